/* What the convolution operators share: each is one of the three products of (src, weight, dst). */
#ifndef TQ_KERNELS_F32_CONV_INTERNAL_H
#define TQ_KERNELS_F32_CONV_INTERNAL_H

#include "kernels/f32/dnnl_internal.h"

enum { TQ_CONV_OUT = -1 };

/** Which input of an operator plays which role; its output, TQ_CONV_OUT, plays the one computed. */
typedef struct tq_conv_operator {
    const char *name;
    tq_conv_role computes;
    int input[TQ_CONV_ROLES];
    bool has_bias;      /* optional input 2 */
    bool is_transposed; /* the operator is a ConvTranspose or one of its gradients */
} tq_conv_operator;

/** All six. */
extern const tq_conv_operator tq_conv_operators[];
enum { TQ_N_CONV_OPERATORS = 6 };
/** That of the name of `op`; NULL: it is none. */
const tq_conv_operator *tq_conv_operator_find(const tq_op *op);

/** Geometry of f32 1d and 2d convolutions with elements; false: this is not a case for oneDNN. */
bool tq_conv_shape_read(const tq_conv_operator *op, const tq_op_run *shapes,
                        tq_conv_shape *out_shape);
/** A dense convolution of whole blocks, on a CPU that multiplies bf16. */
bool tq_conv_takes_half(const tq_conv_shape *shape);
/** Is there a bias, and does the product add it itself? */
bool tq_conv_has_bias(const tq_conv_operator *op, const tq_op_run *shapes);

#endif
