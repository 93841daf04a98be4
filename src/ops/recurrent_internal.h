/* What the recurrent operators share: their arrays, the walk over time, their activations. */
#ifndef TQ_OPS_RECURRENT_INTERNAL_H
#define TQ_OPS_RECURRENT_INTERNAL_H

#include "ops/ops.h"

/** Inputs and outputs of all three; RNN and GRU end with INITIAL_H and LAST_H. G gates, D
 * directions:
 *
 *   X          [T, N, I]      R [D, G H, H]        initial_h, initial_c  [D, N, H]
 *   W          [D, G H, I]    B [D, 2 G H]         P  [D, 3 H]
 *   sequence_lens [N]  i32    Y [T, D, N, H]       Y_h, Y_c              [D, N, H]
 *
 * With layout 1 N comes first wherever it is an axis of its own. */
enum {
    TQ_RECURRENT_X,
    TQ_RECURRENT_W,
    TQ_RECURRENT_R,
    TQ_RECURRENT_B,
    TQ_RECURRENT_LENGTHS,
    TQ_RECURRENT_INITIAL_H,
    TQ_RECURRENT_INITIAL_C,
    TQ_RECURRENT_P
};
enum { TQ_RECURRENT_Y, TQ_RECURRENT_LAST_H, TQ_RECURRENT_LAST_C };

/** Steps keep their vectors on the stack, so that their length has a limit. */
enum { TQ_RECURRENT_GATES = 4, TQ_RECURRENT_FUNCTIONS = 3, TQ_RECURRENT_HIDDEN = 4096 };

typedef struct tq_recurrent_function {
    double (*f)(double x, double alpha, double beta);
    double alpha, beta;
} tq_recurrent_function;

/** One step of one sequence in one direction. All vectors are [H]. */
typedef struct tq_recurrent_step {
    const tq_op_run *run;
    int64_t direction, n_hidden;
    double clip; /* INFINITY: none */
    const tq_recurrent_function *functions;
    double (*gates)[TQ_RECURRENT_HIDDEN]; /* W x + Wb of each gate */
    double *h, *c;                        /* before the step; after it when it returns */
    double *work;
} tq_recurrent_step;

typedef struct tq_recurrent_cell {
    int n_gates, n_functions;
    const char *functions[TQ_RECURRENT_FUNCTIONS]; /* where `activations` is absent */
    void (*step)(const tq_recurrent_step *s);
} tq_recurrent_cell;

/** out += R v + Rb of one gate. */
void tq_recurrent_add(const tq_recurrent_step *s, int gate, const double *v, double *out);

/** The i-th activation of x, and of x clipped to [-clip, clip] before it. */
double tq_recurrent_apply(const tq_recurrent_step *s, int i, double x);
double tq_recurrent_clip_apply(const tq_recurrent_step *s, int i, double x);

tq_status tq_recurrent_infer(tq_op_types *t, const tq_recurrent_cell *cell);
void tq_recurrent_run(const tq_op_run *run, const tq_recurrent_cell *cell);
int64_t tq_recurrent_macs(const tq_op_types *t);

/** `activations` with activation_alpha and activation_beta, or the cell's own: n_functions for each
 *  direction. TQ_ERR_UNSUPPORTED names one that is not known. */
tq_status tq_recurrent_read_functions(const tq_attrs *attrs, const tq_recurrent_cell *cell,
                                      int n_directions,
                                      tq_recurrent_function out[2 * TQ_RECURRENT_FUNCTIONS]);

#define TQ_RECURRENT_ATTRS                                                                         \
    { .name = "activation_alpha", .kind = TQ_ATTR_FLOATS },                                        \
        { .name = "activation_beta", .kind = TQ_ATTR_FLOATS },                                     \
        { .name = "activations", .kind = TQ_ATTR_STRINGS }, TQ_FLOAT("clip", 0.0f),                \
        TQ_STRING("direction", "forward"), TQ_INT("hidden_size", 0), TQ_INT("layout", 0)

#endif
