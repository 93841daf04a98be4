/* What Conv, ConvTranspose and ConvInteger and their gradients share beside the maps of
 * conv_core_internal.h. */
#ifndef TQ_OPS_CONV_INTERNAL_H
#define TQ_OPS_CONV_INTERNAL_H

#include "ops/codes_internal.h"
#include "ops/conv_core_internal.h"

/* Rows of the attribute tables. */
#define TQ_WINDOW_ATTRS                                                                            \
    TQ_STRING("auto_pad", "NOTSET"), TQ_INTS("dilations", 0, NULL),                                \
        TQ_INTS("kernel_shape", 0, NULL), TQ_INTS("pads", 0, NULL), TQ_INTS("strides", 0, NULL)
#define TQ_CONV_ATTRS TQ_WINDOW_ATTRS, TQ_INT("group", 1)
#define TQ_CONV_TRANSPOSE_ATTRS                                                                    \
    TQ_CONV_ATTRS, TQ_INTS("output_padding", 0, NULL), TQ_INTS("output_shape", 0, NULL)

/** Bias at input i is absent or [channels]. */
tq_status tq_conv_check_bias(const tq_op_types *t, int i, int64_t channels);
/** Bounds of a convolution of x (zero point taken off) with weights [M, C / groups, kernel...]:
 * known ones, or any in w_range when w is NULL. */
tq_sum_bounds tq_conv_bounds(const tq_conv *conv, tq_interval x, const tq_tensor *w,
                             const int64_t *zero_points, int64_t n_zero_points,
                             tq_interval w_range);
/** Multiply-accumulates of Conv and ConvInteger. */
int64_t tq_conv_op_macs(const tq_op_types *t);
/** The integer rule of Conv. */
tq_status tq_conv_integerise(tq_integerise *t);

/** ConvTranspose on i32 or i64: what it computes, its bounds, and the rule that leads there. */
void tq_conv_transpose_integer(const tq_op_run *run, const tq_conv *conv);
tq_status tq_conv_transpose_bounds(tq_bounds *b);
tq_status tq_conv_transpose_integerise(tq_integerise *t);

#endif
