/* What the reductions share: which axes go, and walking kept and reduced axes apart. */
#ifndef TQ_OPS_REDUCE_INTERNAL_H
#define TQ_OPS_REDUCE_INTERNAL_H

#include "ops/codes_internal.h"

/** Axes of x split into those that stay and those that are reduced, each in order, with strides of
 * x. */
typedef struct tq_reduction {
    unsigned mask; /* bit d: axis d is reduced */
    int n_kept, n_reduced;
    int64_t kept[TQ_MAX_RANK], kept_strides[TQ_MAX_RANK];
    int64_t reduced[TQ_MAX_RANK], reduced_strides[TQ_MAX_RANK];
} tq_reduction;

/** Bits of the axes that attributes and given axes (n < 0: the input is absent) reduce;
 * TQ_ERR_VALUE when one is outside the rank or given twice. */
tq_status tq_reduction_mask(const tq_attrs *attrs, int rank, const int64_t *axes, int n,
                            unsigned *out_mask);
/** x is known. */
void tq_reduction_init(tq_reduction *r, const tq_type *x, unsigned mask);
/** The reduction of a run of op(x, ..., axes at input `axes`). */
tq_reduction tq_reduction_of(const tq_op_run *run, int axes);
/** Type after reducing; dtype of x. */
tq_type tq_reduction_type(const tq_type *x, unsigned mask, bool keepdims);
/** Offset in x of kept position number i. */
int64_t tq_reduction_at(const tq_reduction *r, int64_t i);
int64_t tq_reduction_count(const tq_reduction *r); /* elements reduced into one */

/** Integer rules of ReduceMean and ReduceSum. */
tq_status tq_reduce_integerise(tq_integerise *t, bool mean);

#endif
