/* What the convolution operators share: each is one of the three products of (src, weight, dst). */
#ifndef TQ_KERNELS_F32_CONV_INTERNAL_H
#define TQ_KERNELS_F32_CONV_INTERNAL_H

#include "kernels/f32/dnnl_internal.h"

enum { TQ_CONV_OUT = -1 };

/** Which input of an operator plays which role; its output, TQ_CONV_OUT, plays the one computed. */
typedef struct tq_conv_operator {
    tq_conv_role computes;
    int input[TQ_CONV_ROLES];
    bool has_bias; /* optional input 2 */
    /** Geometry; false if this is not a case for the kernel. */
    bool (*read)(const tq_attrs *attrs, const tq_type *const types[TQ_CONV_ROLES],
                 tq_conv_shape *out_shape);
} tq_conv_operator;

/** True for f32 1d and 2d convolutions with elements. */
bool tq_conv_operator_accepts(const tq_conv_operator *op, const tq_op_run *shapes);
tq_status tq_conv_operator_prepare(const tq_conv_operator *op, const tq_op_run *shapes,
                                   void **out_state);
size_t tq_conv_operator_scratch_size(const tq_op_run *shapes, void *state);
void tq_conv_operator_run(const tq_op_run *run, void *state);
void tq_conv_operator_release(void *state);

#endif
