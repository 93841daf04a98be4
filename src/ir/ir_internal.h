/* What the files of this room share: the structs behind <truq/graph.h>. */
#ifndef TQ_IR_INTERNAL_H
#define TQ_IR_INTERNAL_H

#include <truq/op.h>

/* A set of names with what they name: open addressing, keys borrowed from the arena. */
typedef struct tq_names {
    size_t n, capacity;
    struct tq_name_slot {
        const char *name;
        void *item;
    } * slots;
} tq_names;

void *tq_names_find(const tq_names *names, const char *name);
void tq_names_add(tq_names *names, const char *name, void *item);
void tq_names_remove(tq_names *names, const char *name);
void tq_names_free(tq_names *names);

typedef struct tq_meta {
    const char *key, *text;
} tq_meta;

/* Key-value pairs in order of first setting. */
typedef struct tq_metas {
    int n;
    size_t capacity;
    tq_meta *items;
} tq_metas;

void tq_metas_set(tq_metas *metas, tq_arena *arena, const char *key, const char *text);
const char *tq_metas_get(const tq_metas *metas, const char *key);
bool tq_metas_at(const tq_metas *metas, int i, const char **out_key, const char **out_text);
void tq_metas_copy(tq_metas *to, tq_arena *arena, const tq_metas *from);

struct tq_attrs {
    const tq_op *op;
    tq_arena *arena;
    int n;
    size_t capacity;
    tq_attr *items;
};

/* Copies everything an attribute points to; tensors are shared. */
tq_attr tq_attr_copy(tq_arena *arena, const tq_attr *attr);
void tq_attrs_set(tq_attrs *attrs, const tq_attr *attr);
void tq_attrs_remove(tq_attrs *attrs, const char *name);
void tq_attrs_reset(tq_attrs *attrs); /* releases tensors */

struct tq_value {
    tq_graph *graph;
    const char *name;
    tq_type type;
    tq_node *producer;
    int output_index;
    int n_consumers;
    size_t consumers_capacity;
    tq_node **consumers; /* one entry a use */
    int n_graph_outputs; /* how often it is an output of the graph */
    bool is_input, is_const;
    tq_tensor tensor; /* constants: shared data */
    tq_tensor known;  /* inferred small value, data in the arena; data NULL: unknown */
    tq_metas metas;
};

struct tq_node {
    tq_graph *graph;
    const char *name;
    const tq_op *op;
    tq_attrs attrs;
    int n_inputs, n_outputs;
    size_t inputs_capacity;
    tq_value **inputs, **outputs;
    tq_node *prev, *next;
    tq_metas metas;
    int64_t mark; /* scratch of sorting, sweeping and cloning */
};

typedef struct tq_values {
    int n;
    size_t capacity;
    tq_value **items;
} tq_values;

struct tq_graph {
    tq_arena *arena;
    const tq_registry *registry;
    const char *name;
    tq_values values, inputs, outputs;
    tq_node *first, *last;
    int n_nodes;
    tq_names value_names, node_names;
    tq_metas metas;
};

tq_value *tq_value_create(tq_graph *graph, const char *name, const tq_type *type);
void tq_value_forget(tq_value *value); /* takes it out of the graph's list and names */
void tq_value_add_use(tq_value *value, tq_node *node);
void tq_value_remove_use(tq_value *value, const tq_node *node);

/* Inference of one node into arrays of n_out types and known values (from scratch memory). */
tq_status tq_infer_outputs(const tq_graph *graph, const tq_op *op, const tq_attrs *attrs,
                           tq_value *const *inputs, int n_inputs, int n_outputs, tq_arena *scratch,
                           tq_type *out_types, tq_tensor *out_known);
/* Checks number of inputs and outputs and required attributes against the operator's schema. */
tq_status tq_schema_check(const tq_op *op, const tq_attrs *attrs, tq_value *const *inputs,
                          int n_inputs, int n_outputs);
void tq_value_set_known(tq_value *value, const tq_tensor *known);

#endif
