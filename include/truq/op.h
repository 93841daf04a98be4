/* Operators: what one descriptor says about an operation. */
#ifndef TRUQ_OP_H
#define TRUQ_OP_H

#include <truq/graph.h>
#include <truq/threads.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A known value that has an unknown element (Shape of a symbolic batch) holds this there. */
#define TQ_VALUE_ANY INT64_MIN

/** What type inference sees. Inputs may be NULL (absent). Fill out[0..n_out-1]. */
typedef struct tq_op_types {
    int n_in, n_out;
    const tq_type *const *in;
    const tq_tensor *const *in_known;   /* the value of input i where it is known now, else NULL */
    const tq_attrs *attrs;
    const tq_registry *registry;
    tq_type *out;                       /* preset to rank -1, dtype TQ_NONE */
    tq_arena *scratch;
    tq_tensor *out_known;               /* data NULL; Shape fills it (from scratch memory) */
} tq_op_types;

/** What an execution sees. Inputs may be NULL (absent). Types are known. */
typedef struct tq_op_run {
    int n_in, n_out;
    const void *const *in;
    void *const *out;
    const tq_type *const *in_types;
    const tq_type *const *out_types;
    const tq_attrs *attrs;
    const tq_registry *registry;        /* finds quantisers by name */
    const bool *in_const;               /* input i never changes between runs */
    tq_pool *pool;                      /* NULL in reference runs */
    int n_shards;                       /* fixed number of pieces for sums over the batch */
    bool bf16;                          /* convolutions may round their operands to bf16; sums stay f32 */
    uint64_t seed;                      /* for Dropout and stochastic rounding: differs by step and node */
    void *scratch;                      /* what the kernel asked for, aligned to 64 */
} tq_op_run;

/** What a gradient rule sees; it adds nodes to the graph (passes/grad calls it). */
typedef struct tq_grad tq_grad;
TQ_API tq_graph *tq_grad_graph(tq_grad *g);
TQ_API tq_node *tq_grad_of(tq_grad *g);                              /* the forward node */
TQ_API const tq_attrs *tq_grad_attrs(tq_grad *g);
TQ_API tq_value *tq_grad_input(tq_grad *g, int i);
TQ_API tq_value *tq_grad_output(tq_grad *g, int i);
/** d loss / d output i; NULL if nothing depends on it. */
TQ_API tq_value *tq_grad_of_output(tq_grad *g, int i);
/** Does anyone want d loss / d input i? */
TQ_API bool tq_grad_wants(tq_grad *g, int i);
/** Adds a node `op` whose output 0 is d loss / d input i. Attributes of the forward node are copied to it
 *  when `copy_attrs`. Does nothing if nobody wants it. */
TQ_API tq_status tq_grad_emit_n(tq_grad *g, int i, const char *op, bool copy_attrs, tq_value *const *inputs,
                                int n_inputs);
#define tq_grad_emit(g, i, op, ...)                                                               \
    tq_grad_emit_n((g), (i), (op), true, (tq_value *const[]){ __VA_ARGS__ },                      \
                   (int)(sizeof((tq_value *[]){ __VA_ARGS__ }) / sizeof(tq_value *)))
/** Adds any node in the backward part; outputs via tq_node_output. */
TQ_API tq_status tq_grad_node(tq_grad *g, const tq_node_spec *spec, tq_node **out_node);
/** Sets d loss / d input i (summed by the caller with other consumers' contributions). */
TQ_API void tq_grad_set(tq_grad *g, int i, tq_value *value);
/** Reduces `value` by sums to the type of input i (undoes broadcasting), then sets it. */
TQ_API tq_status tq_grad_set_unbroadcast(tq_grad *g, int i, tq_value *value);

/** What an integer rule sees: see <truq/integerise.h>. */
typedef struct tq_integerise tq_integerise;

/** What interval analysis sees: ranges of integer inputs, to be carried to outputs; see <truq/integerise.h>. */
typedef struct tq_bounds tq_bounds;

enum tq_op_flags {
    TQ_OP_ELEMENTWISE = 1 << 0,   /* out[i] depends on in[i] only (after broadcasting) */
    TQ_OP_UNARY = 1 << 1,         /* elementwise in input 0, other inputs constant scalars: a table can replace it */
    TQ_OP_MOVES = 1 << 2,         /* output elements are input elements: scale and codes pass through */
    TQ_OP_RANDOM = 1 << 3,        /* depends on the seed */
    TQ_OP_INTEGER = 1 << 4,       /* an integer operator: may stand in a true-quantised graph */
    TQ_OP_LINEAR = 1 << 5,        /* has a weight at input 1 that is quantised per channel */
    TQ_OP_GRADIENT = 1 << 6,      /* only made by autodiff */
    TQ_OP_DATA_DEPENDENT = 1 << 7 /* output shape needs the value of an input */
};

enum { TQ_OP_MAX_NAMES = 20, TQ_OP_MAX_ATTRS = 24 };

/** An operator. Names of inputs: "x", "?x" optional, "x..." any number from here on. */
struct tq_op {
    tq_entry entry;                               /* ONNX spelling */
    const char *domain;                           /* NULL: ONNX; "truq" is ours */
    unsigned flags;
    const char *inputs[TQ_OP_MAX_NAMES];
    const char *outputs[TQ_OP_MAX_NAMES];
    tq_attr attrs[TQ_OP_MAX_ATTRS];               /* all it takes, with defaults; kind says the type */
    unsigned required_attrs;                      /* bit i: attrs[i] has no default */
    /** Fails with TQ_ERR_SHAPE, TQ_ERR_TYPE, TQ_ERR_UNSUPPORTED. */
    tq_status (*infer)(tq_op_types *t);
    /** Portable C that defines the result. NULL: cannot run. */
    void (*reference)(const tq_op_run *run);
    /** Emits the gradient. NULL: gradients do not pass (infer-only or integer operator). */
    tq_status (*gradient)(tq_grad *g);
    /** Replaces a fake-quantised node by integer ones. NULL: cannot be integerised. */
    tq_status (*integerise)(tq_integerise *t);
    /** Bounds of the outputs from bounds of the inputs. NULL: full range of the output dtype. */
    tq_status (*bounds)(tq_bounds *b);
    /** Multiply-accumulates. NULL: 0. */
    int64_t (*macs)(const tq_op_types *t);
};

/* Checks that many operators share; messages name input and types. */
TQ_API tq_status tq_op_need_rank(const tq_op_types *t, int i, int rank_min, int rank_max);
TQ_API tq_status tq_op_need_dtype(const tq_op_types *t, int i, uint32_t dtype_mask);   /* bits 1 << dtype */
/** One of the ways a "same as input 0" operator infers. */
TQ_API tq_status tq_op_infer_same(tq_op_types *t);
/** Broadcasting of all inputs, dtype of input 0, all dtypes equal. */
TQ_API tq_status tq_op_infer_broadcast(tq_op_types *t);
/** axis in -rank .. rank-1 made non-negative; TQ_ERR_VALUE otherwise. */
TQ_API tq_status tq_op_axis(int64_t axis, int rank, int *out_axis);
/** `node`'s op has that flag. */
TQ_API bool tq_node_has_flag(const tq_node *node, unsigned flag);

/** Runs one operator's reference now, on the caller: constant folding and tests. Outputs are created. */
TQ_API tq_status tq_op_evaluate(const tq_registry *registry, const tq_op *op, const tq_attrs *attrs,
                                const tq_tensor *const *inputs, int n_inputs, tq_tensor *outputs, int n_outputs);
/** The same for a node whose inputs are all constants. */
TQ_API tq_status tq_node_evaluate(const tq_node *node, tq_tensor *outputs);

/** A fast implementation of an operator for some types and CPUs. */
typedef struct tq_kernel {
    tq_entry entry;                                /* name = operator's name; brief = what it is ("onednn") */
    unsigned needs;                                /* TQ_CPU_* */
    bool (*accepts)(const tq_op_run *shapes);      /* data pointers NULL; attributes and types say all */
    /** Makes the state; TQ_ERR_UNSUPPORTED hands the node to the next kernel. May be NULL. */
    tq_status (*prepare)(const tq_op_run *shapes, void **out_state);
    size_t (*scratch_size)(const tq_op_run *shapes, void *state);  /* after prepare; may be NULL */
    void (*run)(const tq_op_run *run, void *state);
    void (*release)(void *state);                  /* may be NULL */
} tq_kernel;

#ifdef __cplusplus
}
#endif
#endif
