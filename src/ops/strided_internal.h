/* Copies between strided layouts, and the sizes that data movement operators compute. */
#ifndef TQ_OPS_STRIDED_INTERNAL_H
#define TQ_OPS_STRIDED_INTERNAL_H

#include "ops/ops.h"

/** out[index . out_strides] = in[index . in_strides] for all index in dims; elements of `size`
 * bytes, strides in elements (any sign). */
void tq_copy_strided(int rank, const int64_t *dims, size_t size, void *out,
                     const int64_t *out_strides, const void *in, const int64_t *in_strides);

/** Copies the bytes of input i to output 0 (same number of elements). */
void tq_copy_input(const tq_op_run *run, int i);

/** out += in for f32 and f64, n elements. */
void tq_accumulate(void *out, const void *in, tq_dtype dtype, int64_t n);

/** Output type: dtype of input 0, dims known to be `rank` many but not known. */
void tq_infer_rank_only(tq_op_types *t, int rank);

/** Axes of attribute or input `values` (-rank .. rank-1, no one twice) as bits. */
tq_status tq_axes_bits(const int64_t *values, int n, int rank, uint32_t *out_bits);

/** A gradient operator's inputs fit: `infer` of the forward operator on inputs order[0..n-1] (-1:
 * absent) gives the type of input `dy`. */
tq_status tq_check_forward(const tq_op_types *t, tq_status (*infer)(tq_op_types *t),
                           const int *order, int n, int dy);

/** The gradient of an operator that only regroups elements: dx = ReshapeLike(dy, x). */
tq_status tq_grad_reshape(tq_grad *g);

/** A constant list of integers (i64) in the graph of a gradient. */
tq_status tq_grad_ints(tq_grad *g, int n, const int64_t *values, tq_value **out_value);

/** Output bounds are those of input 0 (and of all other inputs, for the second). */
tq_status tq_bounds_keep(tq_bounds *b);
tq_status tq_bounds_union(tq_bounds *b);

#endif
