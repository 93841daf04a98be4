/* What integer rules and bounds of the operators share: grids of operands, constant weights, and
 * bounds of sums of products. */
#ifndef TQ_OPS_CODES_INTERNAL_H
#define TQ_OPS_CODES_INTERNAL_H

#include "ops/ops.h"

#include <truq/integerise.h>

/* ---- operands of integer rules -------------------------------------------------------------- */

/** Input i as codes with no clip still to be applied; refuses, naming the missing FakeQuantize. */
tq_status tq_codes_affine(tq_integerise *t, int i, const tq_codes **out_codes);
/** As above, with one scale and an offset that is a zero point: real = scale * (code - zero_point).
 */
tq_status tq_codes_grid(tq_integerise *t, int i, const tq_codes **out_codes,
                        int64_t *out_zero_point);
/** The pending clip cannot change any value. */
bool tq_codes_clip_is_idle(const tq_codes *codes);

/** Output 0 is input 0 clipped to [lo, hi] once more: joined to the pending clip, no node. */
tq_status tq_codes_clip(tq_integerise *t, double lo, double hi);

/** A constant quantised weight; one scale, or one for each index along an axis. */
typedef struct tq_weight_codes {
    const tq_codes *codes;
    const tq_tensor *data;
    const int64_t *zero_points; /* codes->n of them */
    bool has_zero_points;       /* some are not 0 */
} tq_weight_codes;

/** Input i as constant codes, per tensor or per channel along `axis`. */
tq_status tq_codes_weight(tq_integerise *t, int i, int axis, tq_weight_codes *out_weight);

/** The constant real numbers at input i (float, or codes taken back to real), n of them after
 * repeating a single one; *out_reals = NULL when the input is absent. `from` what: "bias". */
tq_status tq_codes_reals(tq_integerise *t, int i, const char *what, int64_t n,
                         const double **out_reals);

/** A scalar constant of that dtype. */
tq_status tq_codes_scalar(tq_integerise *t, const char *suffix, tq_dtype dtype, int64_t value,
                          tq_value **out_value);

/** The attributes that are set on the node being replaced. */
const tq_attr *tq_codes_attrs(tq_integerise *t, int *out_n);

/* ---- bounds of sums ---------------------------------------------------------------------- */

typedef struct tq_interval {
    int64_t lo, hi;
} tq_interval;

/** Bounds of one sum of products: of the whole, and of every part of it in any order. */
typedef struct tq_sum_bounds {
    tq_interval sum, part;
} tq_sum_bounds;

/** Adds one product of w and anything in x. */
void tq_sum_bounds_add(tq_sum_bounds *b, tq_interval x, int64_t w);
/** Adds `count` products of anything in x and anything in w. */
void tq_sum_bounds_add_n(tq_sum_bounds *b, tq_interval x, tq_interval w, int64_t count);
/** The smallest interval around both; `first`: b holds nothing yet. */
void tq_sum_bounds_join(tq_sum_bounds *b, const tq_sum_bounds *more, bool first);
tq_interval tq_interval_product(tq_interval a, tq_interval b);
/** All of x + [-zero_point]. */
tq_interval tq_interval_shift(tq_interval x, int64_t by);

/** Bounds over output rows of w [n_rows, n_columns] with row stride and column stride in elements:
 * for each row sum over columns of x * (w - zero_points[row]); zero_points NULL: none; one: shared.
 */
typedef struct tq_weight_rows {
    const tq_tensor *w;
    int64_t n_rows, n_columns, row_stride, column_stride;
    const int64_t *zero_points;
    int64_t n_zero_points;
} tq_weight_rows;
tq_sum_bounds tq_weight_rows_bounds(const tq_weight_rows *rows, tq_interval x);

/** The known values of input i (all of them), in scratch memory; NULL when they are not known. */
const int64_t *tq_known_values(const tq_op_types *t, int i, int64_t *out_n);
/** Bounds of input i of a bounds rule. */
tq_interval tq_bounds_of(const tq_bounds *b, int i);
/** States sum and partial sums of output 0, held in `bits`. */
void tq_bounds_set_sum(tq_bounds *b, const tq_sum_bounds *sum, int bits);
/** Bits of an accumulator of that dtype. */
int tq_accumulator_bits(tq_dtype dtype);

#endif
