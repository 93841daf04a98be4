/* What the files of the engine share: slots are the values of a planned graph, steps its nodes. */
#ifndef TQ_ENGINE_INTERNAL_H
#define TQ_ENGINE_INTERNAL_H

#include <truq/engine.h>

/** Where the bytes of a value lie. */
typedef enum tq_place {
    TQ_PLACE_INPUT,    /* the caller's, known at each run */
    TQ_PLACE_CONSTANT, /* the initialiser's, in the graph that was planned */
    TQ_PLACE_BLOCK,    /* in the activation block, at `offset` */
    TQ_PLACE_OUTPUT,   /* a buffer of its own that survives the run */
    TQ_PLACE_ALIAS     /* the bytes of slot `source` */
} tq_place;

typedef struct tq_slot {
    const tq_value *value; /* in the engine's copy of the graph */
    const tq_value *original;
    tq_place place;
    int source;          /* INPUT: which input; ALIAS: which slot */
    int first, last;     /* steps between which the bytes must live */
    size_t size, offset; /* BLOCK */
    tq_tensor tensor;    /* buffer only where place is OUTPUT */
} tq_slot;

typedef struct tq_step {
    const tq_node *node;
    const tq_kernel *kernel; /* NULL: the reference, or nothing where the output is an alias */
    void *state;
    bool skip;
    int *in, *out; /* slots, -1 where absent */
    tq_op_run run;
    double seconds;
} tq_step;

struct tq_engine {
    tq_arena *arena;
    const tq_graph *original;
    tq_graph *graph;
    tq_engine_options options;
    int n_slots, n_steps, n_outputs;
    tq_slot *slots;
    tq_step *steps;
    int *outputs;       /* slot of each graph output */
    tq_tensor *results; /* what tq_engine_output hands out */
    bool *copied;       /* output i is a graph input: copied at the end of a run */
    size_t block_size, scratch_size;
    tq_buffer *block, *scratch;
};

/** Chooses places and offsets of all slots, allocates the block, the scratch and the outputs. */
tq_status tq_engine_lay_out(tq_engine *engine);

/** "node 'conv1' (Conv): ..." in front of an error. */
tq_status tq_engine_wrap(tq_status status, const tq_node *node);

#endif
