/* Fake- to true-quantised: what integer rules of operators see, and the proof that nothing overflows. */
#ifndef TRUQ_INTEGERISE_H
#define TRUQ_INTEGERISE_H

#include <truq/op.h>
#include <truq/quant.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is known of a value of the fake-quantised graph while it is being integerised. The real value is
 *      clip(scale[c] * code + offset[c], clip_lo, clip_hi)
 *  with `codes` an integer value already in the graph. Scale and offset are lazy: batch norms and biases
 *  compose into them, and the next FakeQuantize turns them into one Requant. */
typedef struct tq_codes {
    tq_value *codes;          /* u8, i8, i32, ... */
    int axis;                 /* channel axis of scale and offset; -1: one for all */
    int n;                    /* entries */
    const double *scale;
    const double *offset;
    double clip_lo, clip_hi;  /* real bounds still to be applied; -inf, inf: none */
    int64_t lo, hi;           /* proven bounds of the codes */
} tq_codes;

/** Options of f2t. */
typedef struct tq_true_options {
    const char *backend;                      /* NULL: "generic" */
    int fixed_shift;                          /* -1: auto */
    bool force_half_up;                       /* --rounding half-up */
    int n_input_scales;
    const char *const *input_names;           /* NULL entry: all inputs */
    const double *input_scales;
    tq_requant_limits limits;                 /* filled from the backend's description */
    bool partial;                             /* what has no integer form stays float, an island between DequantizeLinear and
                                                 QuantizeLinear, and so do inputs and outputs */
} tq_true_options;

TQ_API tq_graph *tq_int_graph(tq_integerise *t);
TQ_API tq_node *tq_int_node(tq_integerise *t);               /* the node to replace */
TQ_API tq_arena *tq_int_arena(tq_integerise *t);
TQ_API const tq_true_options *tq_int_options(tq_integerise *t);
/** Codes of input i, NULL if it has none (float constant, or absent). */
TQ_API const tq_codes *tq_int_input(tq_integerise *t, int i);
/** The float constant at input i, else NULL. */
TQ_API const tq_tensor *tq_int_constant(tq_integerise *t, int i);
/** States the codes of output i. */
TQ_API void tq_int_set(tq_integerise *t, int i, const tq_codes *codes);
/** Adds an integer node before the one being replaced. */
TQ_API tq_status tq_int_emit(tq_integerise *t, const char *op, tq_value *const *inputs, int n_inputs,
                             const tq_attr *attrs, int n_attrs, tq_value **out);
/** A constant of the true graph. */
TQ_API tq_status tq_int_add_constant(tq_integerise *t, const char *suffix, tq_dtype dtype, int rank, const int64_t *dims,
                                     const int64_t *values, tq_value **out);
/** TQ_ERR_UNSUPPORTED with the reason; the editor puts "cannot integerise 'node' (Op): " before it. */
TQ_API tq_status tq_int_refuse(tq_integerise *t, const char *format, ...) TQ_PRINTF(2, 3);

/* Rules that many operators share. */
/** Same codes, same scale: the operator itself works on integers (MaxPool, Reshape, Transpose, Flatten, ...). */
TQ_API tq_status tq_int_keep(tq_integerise *t);
/** A table over the codes, for unary functions between two FakeQuantize. */
TQ_API tq_status tq_int_table(tq_integerise *t);

/* ---- bounds ------------------------------------------------------------------------------- */

TQ_API const tq_op_types *tq_bounds_types(const tq_bounds *b);
/** Bounds of input i; constants are exact: their data is in tq_bounds_types()->in_known. */
TQ_API void tq_bounds_input(const tq_bounds *b, int i, int64_t *out_lo, int64_t *out_hi);
TQ_API void tq_bounds_set(tq_bounds *b, int i, int64_t lo, int64_t hi);
/** States the bounds of an intermediate result held in `bits` signed bits ("product", "sum"); the proof fails if it does not fit. */
TQ_API void tq_bounds_intermediate(tq_bounds *b, const char *what, int64_t lo, int64_t hi, int bits);
/** Sum of products of x in [lo, hi] with constant weights, per output channel: saturating int64 arithmetic. */
TQ_API int64_t tq_sat_add(int64_t a, int64_t b);
TQ_API int64_t tq_sat_mul(int64_t a, int64_t b);

/** One row of the proof table. */
typedef struct tq_proof_row {
    const char *node, *op;
    int64_t lo, hi;                 /* of output 0 */
    int64_t inner_lo, inner_hi;     /* widest intermediate */
    int inner_bits;                 /* width it must fit */
    bool fits;
    bool fp32_exact, fp64_exact;    /* every intermediate within 2^24, 2^53 */
    const char *problem;            /* when it does not fit */
    const char *rounding;           /* that was asked for where it rounds half up instead; else NULL */
    int64_t n_ties;                 /* then: inputs, over all channels, that it takes to another code */
} tq_proof_row;

/** Interval analysis of a true graph with its real weights. Rows live in the arena; *out_proven says all fit.
 *  Input bounds come from metadata "quant.q_min/q_max" of the inputs, else from their dtypes. */
TQ_API tq_status tq_proof_run(const tq_graph *graph, tq_arena *arena, tq_proof_row **out_rows, int *out_n, bool *out_proven);

#ifdef __cplusplus
}
#endif
#endif
