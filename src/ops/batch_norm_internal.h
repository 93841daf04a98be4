/* What the batch norms share. x is [N, C, ...]; everything else has one value a channel. */
#ifndef TQ_OPS_BATCH_NORM_INTERNAL_H
#define TQ_OPS_BATCH_NORM_INTERNAL_H

#include "ops/ops.h"

/** Input `x` is f32 with 2 or more axes; inputs first .. last are f32 [C]. */
tq_status tq_batch_norm_check(const tq_op_types *t, int x, int first, int last);

/** The layout of x: element i of channel c of sample n is x[(n * n_channels + c) * n_inner + i]. */
typedef struct tq_planes {
    int64_t n, n_channels, n_inner;
} tq_planes;
tq_planes tq_planes_of(const tq_type *x);

/** dy summed, and dy * (x - mean) summed, over one channel, in double. */
void tq_batch_norm_sums(const tq_planes *p, int64_t c, const float *dy, const float *x, double mean,
                        double *out_dy, double *out_dy_x);

#endif
