/* What FakeQuantize, its gradient, its integer rule and WeightRange read alike from a node. */
#ifndef TQ_OPS_FAKE_QUANTIZE_INTERNAL_H
#define TQ_OPS_FAKE_QUANTIZE_INTERNAL_H

#include "ops/ops.h"

#include <truq/fake.h>

enum { TQ_FAKE_X, TQ_FAKE_PARAMS };

/** A quantised tensor as [n_outer, n_channels, n_inner] with one grid per channel. */
typedef struct tq_fake {
    const tq_quantizer *quantizer;
    tq_range range;
    tq_rounding rounding;
    int64_t n_outer, n_channels, n_inner;
} tq_fake;

/** Quantiser, range and rounding from attributes; TQ_ERR_NOT_FOUND, TQ_ERR_VALUE. */
tq_status tq_fake_read(const tq_attrs *attrs, const tq_registry *registry, tq_fake *out);
/** Parameters in inputs first, first + 1, ... are f32 with one entry, or one per index of axis. */
tq_status tq_fake_check_params(const tq_op_types *t, const tq_fake *fake, int first);
/** Fills the layout from the type of x (known) and attribute axis. */
void tq_fake_layout(const tq_attrs *attrs, const tq_type *x, tq_fake *fake);
/** Parameters of channel c; false when one is NaN (never observed). */
bool tq_fake_params(const void *const *params, const tq_type *const *types, int n_params, int64_t c,
                    float *out_params);

#endif
