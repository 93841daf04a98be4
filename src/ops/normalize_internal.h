/* The gradient that the normalisations by their own statistics share. */
#ifndef TQ_OPS_NORMALIZE_INTERNAL_H
#define TQ_OPS_NORMALIZE_INTERNAL_H

#include "ops/ops.h"

/** What is normalised together: the axes of x from `axis` on, cut into n_groups runs. */
typedef struct tq_normalized {
    int64_t axis, n_groups;
    bool centred;     /* the mean is taken off first */
    bool per_channel; /* scale and bias are [C], else they broadcast to the normalised axes */
} tq_normalized;

/** Gradients to x, scale and bias (inputs 0 to 2; 2 may be absent). Only output 0 has a gradient.
 */
tq_status tq_grad_normalize(tq_grad *g, const tq_normalized *n);

#endif
