/* What the files of the engine share: slots are the values of a planned graph, steps its nodes. */
#ifndef TQ_ENGINE_INTERNAL_H
#define TQ_ENGINE_INTERNAL_H

#include "kernels/kernels.h"

#include <truq/engine.h>

/** Where the bytes of a value lie. */
typedef enum tq_place {
    TQ_PLACE_INPUT,    /* the caller's, known at each run */
    TQ_PLACE_CONSTANT, /* the initialiser's, in the graph that was planned */
    TQ_PLACE_BLOCK,    /* in the activation block, at `offset` */
    TQ_PLACE_OUTPUT,   /* a buffer of its own that survives the run */
    TQ_PLACE_ALIAS,    /* the bytes of slot `source` */
    TQ_PLACE_NOWHERE   /* a fused layer swallows it, or it exists in a layout only */
} tq_place;

typedef struct tq_slot {
    const tq_value *value; /* in the engine's copy of the graph; NULL: codes in a layout */
    const tq_value *original;
    tq_place place;
    int source;          /* INPUT: which input; ALIAS: which slot */
    int first, last;     /* steps between which the bytes must live */
    size_t size, offset; /* BLOCK; size is given for layouts, else found from the type */
    tq_tensor tensor;    /* buffer only where place is OUTPUT */
} tq_slot;

typedef struct tq_step {
    const tq_node *node;
    int place; /* of the node in the graph's order: what is drawn depends on that, not on the plan
                */
    const tq_kernel *kernel; /* NULL: the reference, or nothing where the output is an alias */
    void *state;
    tq_layer *layer; /* instead of a kernel: this step stands for nodes up to `node` */
    struct tq_phase
        *phase; /* the same, for parts of nodes run shard by shard (phases_internal.h) */
    bool skip;
    int n_buckets; /* sums between ranks that it waits for */
    int *in, *out; /* slots, -1 where absent */
    tq_op_run run;
    double seconds;
    int64_t macs;
} tq_step;

/** What the engine releases in the end. */
typedef struct tq_released {
    const tq_sharded *sharded;
    void *state;
} tq_released;

struct tq_engine {
    tq_arena *arena;
    const tq_graph *original;
    tq_graph *graph;
    tq_engine_options options;
    int n_slots, n_steps, n_outputs, n_units;
    tq_released *units; /* of phases */
    tq_slot *slots;
    tq_step *steps;
    int *outputs;       /* slot of each graph output */
    tq_tensor *results; /* what tq_engine_output hands out */
    bool *copied;       /* output i is a graph input: copied at the end of a run */
    double shard_seconds;
    size_t block_size, scratch_size;
    tq_buffer *block, *scratch;
    bool *needs_rows; /* of graph inputs: all of them, where ranks share a batch */
    struct tq_bucket *buckets;
    int n_buckets, n_begun, n_finished;
    size_t totals_size;
    tq_buffer *totals_buffer;
    char *totals, *small; /* of sums between ranks; those in f64 of a phase */
};

/** One layer that stands for several nodes, of which `members` ends with the one that makes `out`
 * first. No layer: nothing to fuse. */
typedef struct tq_fusion {
    tq_layer *layer;
    const tq_value *in[TQ_LAYER_MAX_INPUTS], *out;
    const tq_node *members[8];
    int n_members;
} tq_fusion;

/** What `node` and nodes before it can be fused to, where `node` is the last of them. */
tq_status tq_engine_match(const tq_node *node, tq_fusion *out);

/** Planning under way. */
typedef struct tq_plan {
    tq_engine *engine;
    const tq_type *input_types;
    int n_inputs;
    tq_arena *scratch;
    struct tq_plan_key *keys; /* values by address */
    int n_values;
    struct tq_fused_plan *fused;
    size_t stored_limit; /* more of the arrays between phases is computed again */
    bool has_more;       /* arrays that could be */
    struct tq_phased_plan *phased;
} tq_plan;

/** Types and attributes of a node's run, and the slots of its inputs and outputs, -1 where absent.
 */
void tq_plan_bind(const tq_plan *plan, const tq_node *node, tq_op_run *out_run, int **out_in,
                  int **out_out);
/** A step for the node itself. */
tq_status tq_plan_add_node(tq_plan *plan, const tq_node *node);

/** Slot of a value; -1 for none. */
int tq_plan_slot(const tq_plan *plan, const tq_value *value);

/** Finds all fusions and the layouts of their codes. */
tq_status tq_plan_fuse(tq_plan *plan);
/** Does a fusion swallow the node at `index` in order? If it is the last of one, the steps of that
 * are added. */
tq_status tq_plan_add_fused(tq_plan *plan, int index, bool *out_taken);

/** Destroys layers that found no step (an error came first). */
void tq_plan_drop_fusions(tq_plan *plan);

/** Chooses places and offsets of all slots, allocates the block, the scratch and the outputs. */
tq_status tq_engine_lay_out(tq_engine *engine);

/** Seconds, monotonic. */
double tq_engine_now(void);

/** "node 'conv1' (Conv): ..." in front of an error. */
tq_status tq_engine_wrap(tq_status status, const tq_node *node);

#endif
