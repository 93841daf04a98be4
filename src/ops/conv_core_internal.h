/* Convolution as three bilinear maps between the planes of x [N, C, in...], w [M, C / groups,
 * kernel...] and y [N, M, out...]; Conv, ConvTranspose and their gradients are each one of them. */
#ifndef TQ_OPS_CONV_CORE_INTERNAL_H
#define TQ_OPS_CONV_CORE_INTERNAL_H

#include "ops/ops.h"

typedef struct tq_conv {
    tq_window window; /* `in` is the side of x, `out` the side of y */
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* C and M */
} tq_conv;

/** Reads the attributes of a Conv and checks x against w; unknown dims stay unknown. */
tq_status tq_conv_read(const tq_attrs *attrs, const tq_type *x, const tq_type *w,
                       tq_conv *out_conv);
/** As above when the types were checked before. */
tq_conv tq_conv_of(const tq_attrs *attrs, const tq_type *x, const tq_type *w);

/** The same for ConvTranspose, whose input is `y` here and whose output is `x`: fills window.in,
 * padding and all else. */
tq_status tq_conv_transpose_read(const tq_attrs *attrs, const tq_type *y, const tq_type *w,
                                 tq_conv *out_conv);

/** The arrays of one map; all f32. Sums are float, in the order of the loops: input channel, then
 *  kernel axes, starting from the bias. */
typedef struct tq_conv_f32 {
    const tq_conv *conv;
    const float *x, *w, *y, *bias; /* those the map reads; bias may be NULL, [M] or [C] by map */
    float *out;
} tq_conv_f32;

void tq_conv_forward(const tq_op_run *run, const tq_conv_f32 *arrays);    /* out = y */
void tq_conv_grad_input(const tq_op_run *run, const tq_conv_f32 *arrays); /* out = x */
void tq_conv_grad_weight(const tq_op_run *run,
                         const tq_conv_f32 *arrays); /* out = w; sums in double */

/** The forward map on integers: y = sum (x - x_zero_point) * (w - w_zero_point[m]) + bias[m],
 * modulo 2^32 or 2^64 (the proof shows that it does not wrap). Padding counts as x_zero_point. */
typedef struct tq_conv_integer {
    const tq_conv *conv;
    const void *x, *w, *bias; /* bias: NULL or of y_dtype */
    tq_dtype x_dtype, w_dtype;
    int64_t x_zero_point;
    const void *w_zero_point; /* NULL, or of w_dtype: one, or one per output channel */
    int64_t n_w_zero_points;
    void *y;
    tq_dtype y_dtype; /* i32 or i64 */
} tq_conv_integer;

void tq_conv_integer_forward(const tq_op_run *run, const tq_conv_integer *arrays);

/** Multiply-accumulates of one sample. */
int64_t tq_conv_macs(const tq_conv *conv);

#endif
