/* Networks as graphs: nodes compute, values carry tensors. */
#ifndef TRUQ_GRAPH_H
#define TRUQ_GRAPH_H

#include <truq/registry.h>
#include <truq/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A network as a bipartite graph: nodes compute, values carry tensors. A value has at most one
 *  producer and any number of consumers. The graph owns both. Not thread-safe. */
typedef struct tq_graph tq_graph;
typedef struct tq_node tq_node;
typedef struct tq_value tq_value;
typedef struct tq_op tq_op;

/* ---- attributes ------------------------------------------------------------------------- */

typedef enum tq_attr_kind {
    TQ_ATTR_NONE, TQ_ATTR_INT, TQ_ATTR_FLOAT, TQ_ATTR_STRING, TQ_ATTR_INTS, TQ_ATTR_FLOATS, TQ_ATTR_STRINGS,
    TQ_ATTR_TENSOR
} tq_attr_kind;

/** A named constant of a node. In a tq_node_spec or an op's table: plain data, copied. */
typedef struct tq_attr {
    const char *name;
    tq_attr_kind kind;
    int64_t i;               /* INT */
    float f;                 /* FLOAT */
    const char *s;           /* STRING */
    int n;                   /* INTS, FLOATS, STRINGS: how many */
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    tq_tensor tensor;        /* TENSOR: shared */
} tq_attr;

#define TQ_INT(name_, value_) ((tq_attr){ .name = (name_), .kind = TQ_ATTR_INT, .i = (value_) })
#define TQ_FLOAT(name_, value_) ((tq_attr){ .name = (name_), .kind = TQ_ATTR_FLOAT, .f = (value_) })
#define TQ_STRING(name_, value_) ((tq_attr){ .name = (name_), .kind = TQ_ATTR_STRING, .s = (value_) })
#define TQ_INTS(name_, n_, values_) ((tq_attr){ .name = (name_), .kind = TQ_ATTR_INTS, .n = (n_), .ints = (values_) })

/** The attributes of one node, with the defaults of its operator behind them. */
typedef struct tq_attrs tq_attrs;

/** The attribute as set on the node, else the operator's default, else NULL. */
TQ_API const tq_attr *tq_attrs_find(const tq_attrs *attrs, const char *name);
/** Set on the node itself (defaults do not count). */
TQ_API bool tq_attrs_has(const tq_attrs *attrs, const char *name);
TQ_API int tq_attrs_count(const tq_attrs *attrs);                 /* those set on the node */
TQ_API const tq_attr *tq_attrs_at(const tq_attrs *attrs, int i);
/** Values, falling back on the operator's default, then on 0, "" or NULL. */
TQ_API int64_t tq_attr_int(const tq_attrs *attrs, const char *name);
TQ_API float tq_attr_float(const tq_attrs *attrs, const char *name);
TQ_API const char *tq_attr_string(const tq_attrs *attrs, const char *name);
TQ_API const int64_t *tq_attr_ints(const tq_attrs *attrs, const char *name, int *out_n);
TQ_API const float *tq_attr_floats(const tq_attrs *attrs, const char *name, int *out_n);
/** ints[i], or `otherwise` when the attribute is absent or shorter. */
TQ_API int64_t tq_attr_int_at(const tq_attrs *attrs, const char *name, int i, int64_t otherwise);
TQ_API const tq_tensor *tq_attr_tensor(const tq_attrs *attrs, const char *name);

/* ---- graphs ----------------------------------------------------------------------------- */

/** An empty graph whose operators come from `registry` (borrowed). The caller destroys it. */
TQ_API tq_graph *tq_graph_create(const tq_registry *registry);
TQ_API void tq_graph_destroy(tq_graph *graph);
/** A deep copy that shares constant data with the original. */
TQ_API tq_graph *tq_graph_clone(const tq_graph *graph);

TQ_API const tq_registry *tq_graph_registry(const tq_graph *graph);
TQ_API const char *tq_graph_name(const tq_graph *graph);
TQ_API void tq_graph_set_name(tq_graph *graph, const char *name);
/** The arena of the graph, for things that live as long as it does. */
TQ_API tq_arena *tq_graph_arena(tq_graph *graph);

/** Adds a graph input; TQ_ERR_VALUE if the name is taken. */
TQ_API tq_status tq_graph_add_input(tq_graph *graph, const char *name, const tq_type *type, tq_value **out_value);
/** Adds a constant (initialiser); shares the data of `tensor`. A taken or NULL name gets a number. */
TQ_API tq_status tq_graph_add_constant(tq_graph *graph, const char *name, const tq_tensor *tensor,
                                       tq_value **out_value);
/** Makes a value a graph output (again if it is one already). */
TQ_API void tq_graph_add_output(tq_graph *graph, tq_value *value);
TQ_API void tq_graph_set_output(tq_graph *graph, int i, tq_value *value);
TQ_API void tq_graph_remove_input(tq_graph *graph, int i);   /* the input has no consumers */
TQ_API void tq_graph_remove_output(tq_graph *graph, int i);

/** What tq_graph_add_node needs. Inputs may hold NULL for an absent optional one. */
typedef struct tq_node_spec {
    const char *op;                     /* "Conv" */
    const char *domain;                 /* NULL: whichever operator has that name */
    const char *name;                   /* NULL or taken: made unique */
    int n_inputs;
    tq_value *const *inputs;
    int n_outputs;                      /* 0: 1 */
    const char *const *output_names;    /* NULL, or NULL entries: made from the node's name */
    int n_attrs;
    const tq_attr *attrs;
    tq_node *before;                    /* place in the order; NULL: last */
} tq_node_spec;

/** Adds a node and infers its outputs. `spec` is copied; *out_node is borrowed. Fails with
 *  TQ_ERR_NOT_FOUND if no such operator is registered and TQ_ERR_SHAPE if the inputs do not fit it;
 *  the graph is then unchanged. */
TQ_API tq_status tq_graph_add_node(tq_graph *graph, const tq_node_spec *spec, tq_node **out_node);

/** Shorthand for one-output nodes: tq_graph_emit(g, before, "Add", (tq_value *[]){ a, b }, 2, NULL, 0, &sum). */
TQ_API tq_status tq_graph_emit(tq_graph *graph, tq_node *before, const char *op, tq_value *const *inputs,
                               int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out_value);

/** Unlinks a node; its outputs must have no consumers and not be graph outputs. */
TQ_API void tq_graph_remove_node(tq_graph *graph, tq_node *node);
/** Removes nodes no output depends on, and constants nobody reads. Returns how many nodes went. */
TQ_API int tq_graph_sweep(tq_graph *graph);
/** Puts nodes in topological order, keeping the present order where it is free to. TQ_ERR_CHECK on a cycle. */
TQ_API tq_status tq_graph_sort(tq_graph *graph);

/** Nodes in order. To remove while walking, take the next one first. */
TQ_API tq_node *tq_graph_first(const tq_graph *graph);
TQ_API tq_node *tq_graph_last(const tq_graph *graph);
TQ_API tq_node *tq_node_next(const tq_node *node);
TQ_API tq_node *tq_node_prev(const tq_node *node);
TQ_API int tq_graph_n_nodes(const tq_graph *graph);
TQ_API int tq_graph_n_inputs(const tq_graph *graph);
TQ_API tq_value *tq_graph_input(const tq_graph *graph, int i);
TQ_API int tq_graph_n_outputs(const tq_graph *graph);
TQ_API tq_value *tq_graph_output(const tq_graph *graph, int i);
/** All live values (inputs, constants, outputs of nodes), in order of creation. */
TQ_API int tq_graph_n_values(const tq_graph *graph);
TQ_API tq_value *tq_graph_value(const tq_graph *graph, int i);
TQ_API tq_value *tq_graph_find_value(const tq_graph *graph, const char *name);   /* or NULL */
TQ_API tq_node *tq_graph_find_node(const tq_graph *graph, const char *name);     /* or NULL */

/* ---- nodes ------------------------------------------------------------------------------ */

TQ_API const char *tq_node_name(const tq_node *node);
TQ_API void tq_node_set_name(tq_node *node, const char *name);      /* made unique if taken */
TQ_API const tq_op *tq_node_op(const tq_node *node);
TQ_API const char *tq_node_op_name(const tq_node *node);
TQ_API bool tq_node_is(const tq_node *node, const char *op);
TQ_API tq_graph *tq_node_graph(const tq_node *node);
TQ_API int tq_node_n_inputs(const tq_node *node);
/** The i-th input, NULL if absent or beyond the last. */
TQ_API tq_value *tq_node_input(const tq_node *node, int i);
TQ_API int tq_node_n_outputs(const tq_node *node);
TQ_API tq_value *tq_node_output(const tq_node *node, int i);
/** Rewires one input (NULL: absent); extends the list if i is beyond it. */
TQ_API void tq_node_set_input(tq_node *node, int i, tq_value *value);
TQ_API bool tq_node_is_const_from(const tq_node *node, int i);     /* input i is a constant */
TQ_API const tq_attrs *tq_node_attrs(const tq_node *node);
TQ_API void tq_node_set_attr(tq_node *node, const tq_attr *attr);   /* copied; replaces */
TQ_API void tq_node_remove_attr(tq_node *node, const char *name);
/** Infers this node's output types again from its inputs; wraps errors in "node 'x' (Op): ...". */
TQ_API tq_status tq_node_infer(tq_node *node);

/* ---- values ----------------------------------------------------------------------------- */

TQ_API const char *tq_value_name(const tq_value *value);
TQ_API void tq_value_set_name(tq_value *value, const char *name);   /* made unique if taken */
TQ_API const tq_type *tq_value_type(const tq_value *value);
TQ_API void tq_value_set_type(tq_value *value, const tq_type *type);
TQ_API tq_node *tq_value_producer(const tq_value *value);           /* NULL: input or constant */
TQ_API int tq_value_output_index(const tq_value *value);            /* which output of its producer */
TQ_API bool tq_value_is_input(const tq_value *value);
TQ_API bool tq_value_is_output(const tq_value *value);
TQ_API bool tq_value_is_const(const tq_value *value);
/** The data of a constant, else NULL. */
TQ_API const tq_tensor *tq_value_tensor(const tq_value *value);
/** The data of a constant, or what inference knows of a small value (an unknown element is TQ_VALUE_ANY), else NULL. */
TQ_API const tq_tensor *tq_value_known(const tq_value *value);
/** Replaces the data of a constant (shared) and its type. */
TQ_API void tq_value_set_tensor(tq_value *value, const tq_tensor *tensor);
/** The data of a constant for writing: copied first if anyone shares it. */
TQ_API tq_status tq_value_own(tq_value *value, void **out_data);
TQ_API int tq_value_n_consumers(const tq_value *value);             /* graph outputs do not count */
TQ_API tq_node *tq_value_consumer(const tq_value *value, int i);
/** Every consumer, and every graph output, of `from` takes `to` instead. */
TQ_API void tq_value_redirect_consumers(tq_value *from, tq_value *to);
/** As above, but `except` keeps reading `from`. */
TQ_API void tq_value_redirect_consumers_but(tq_value *from, tq_value *to, const tq_node *except);

/* ---- metadata: typed facts that annotators leave; saved with the model -------------------- */

/** Keys are dotted ("quant.scale"); values are text, numbers with all their digits. NULL removes. */
TQ_API void tq_graph_set_meta(tq_graph *graph, const char *key, const char *text);
TQ_API const char *tq_graph_meta(const tq_graph *graph, const char *key);           /* or NULL */
TQ_API void tq_node_set_meta(tq_node *node, const char *key, const char *text);
TQ_API const char *tq_node_meta(const tq_node *node, const char *key);
TQ_API void tq_value_set_meta(tq_value *value, const char *key, const char *text);
TQ_API const char *tq_value_meta(const tq_value *value, const char *key);
/** Number forms: %.17g and decimal int64. Return false when the key is absent or no number. */
TQ_API void tq_value_set_meta_f64(tq_value *value, const char *key, double number);
TQ_API bool tq_value_meta_f64(const tq_value *value, const char *key, double *out_number);
TQ_API void tq_value_set_meta_i64(tq_value *value, const char *key, int64_t number);
TQ_API bool tq_value_meta_i64(const tq_value *value, const char *key, int64_t *out_number);
/** Walks all entries: key and text of the i-th, false past the end. */
TQ_API bool tq_graph_meta_at(const tq_graph *graph, int i, const char **out_key, const char **out_text);
TQ_API bool tq_node_meta_at(const tq_node *node, int i, const char **out_key, const char **out_text);
TQ_API bool tq_value_meta_at(const tq_value *value, int i, const char **out_key, const char **out_text);

/* ---- stage ------------------------------------------------------------------------------ */

typedef enum tq_stage { TQ_STAGE_FLOAT, TQ_STAGE_FAKE, TQ_STAGE_TRUE } tq_stage;
/** True if the metadata key "stage" says so; fake if there is a FakeQuantize; else float. */
TQ_API tq_stage tq_graph_stage(const tq_graph *graph);
TQ_API const char *tq_stage_name(tq_stage stage);

/* ---- whole-graph services ---------------------------------------------------------------- */

/** Infers all types again in topological order. */
TQ_API tq_status tq_graph_infer(tq_graph *graph);
/** Fixes the types of the inputs (concrete shapes, say), then infers. n = number of inputs. */
TQ_API tq_status tq_graph_infer_for(tq_graph *graph, const tq_type *input_types, int n);
/** Checks what must always hold: links both ways, order, names unique, types as inferred, arities,
 *  required attributes; in a true graph, no float value and no Div. TQ_ERR_CHECK names node and value. */
TQ_API tq_status tq_graph_verify(const tq_graph *graph);
/** Multiply-accumulates and parameters of one node / all nodes for the types it has (batch as 1). */
TQ_API int64_t tq_node_macs(const tq_node *node);
TQ_API int64_t tq_node_n_parameters(const tq_node *node);
/** Is input i a learnt constant: a float one, or the codes of a weight? */
TQ_API bool tq_node_input_is_parameter(const tq_node *node, int i);

/** The readable, diffable text form (docs/text-form.md); free() the result. Constants of more than
 *  `max_elements` elements are elided to their CRC-32 (negative: never). NULL when memory is out. */
TQ_API char *tq_graph_print(const tq_graph *graph, int64_t max_elements);
/** Reads the text form; elided constants become zeros. Errors carry line and column. */
TQ_API tq_status tq_graph_parse(const tq_registry *registry, const char *text, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
