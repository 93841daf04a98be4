/* What fused convolutions of both kinds share, and the packed weights of dense ones. */
#ifndef TQ_KERNELS_INT_CONV_INTERNAL_H
#define TQ_KERNELS_INT_CONV_INTERNAL_H

#include "kernels/int/strip_internal.h"

/** Bytes of one group of taps. */
enum { TQ_GROUP = 4 };

/** TQ_ERR_UNSUPPORTED where the padded images could not be held. */
tq_status tq_conv_spec_check(const tq_conv_spec *spec);
/** What the windows reach beyond the image. */
tq_border tq_conv_spec_border(const tq_conv_spec *spec);
/** The sums of output channel `oc` over all codes that x can hold, whose positive and negative
 * weights have these sums. */
tq_sum_range tq_conv_spec_range(const tq_conv_spec *spec, int64_t oc, int64_t positive,
                                int64_t negative);

/** Up to 64 output channels of one group. */
typedef struct tq_conv_block {
    int64_t group, first; /* first output channel */
    int n_channels, n_vectors, bits;
    int8_t *w; /* as strips read it */
    tq_block_constants *constants;
} tq_conv_block;

/** The taps of a window are runs of consecutive bytes, each filled up to groups of 4 by weights of
 * 0. */
typedef struct tq_conv_weights {
    int64_t n_blocks, n_runs, n_groups;
    bool by_tap; /* runs are single taps, else rows of taps */
    tq_conv_block *blocks;
    tq_requant_common requant;
    tq_buffer *packed;
    size_t size; /* bytes of all weights */
} tq_conv_weights;

/** Packs weights and finds constants, for strips by out_variant. TQ_ERR_UNSUPPORTED where no exact
 * requantisation is found. */
tq_status tq_conv_weights_make(const tq_conv_spec *spec, tq_conv_weights *out_weights,
                               const tq_strip_variant **out_variant);
void tq_conv_weights_reset(tq_conv_weights *weights);

#endif
