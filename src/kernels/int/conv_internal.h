/* What fused convolutions of both kinds share. */
#ifndef TQ_KERNELS_INT_CONV_INTERNAL_H
#define TQ_KERNELS_INT_CONV_INTERNAL_H

#include "kernels/int/strip_internal.h"

/** Exact requantisation by high words for all sums that can occur; `ic` channels a group. */
bool tq_conv_spec_find_exact(const tq_conv_spec *spec, const tq_window *window, int64_t ic,
                             tq_requant_exact *out);
/** TQ_ERR_UNSUPPORTED where the padded images could not be held. */
tq_status tq_conv_spec_check(const tq_conv_spec *spec);
/** What the windows reach beyond the image. */
tq_border tq_conv_spec_border(const tq_conv_spec *spec);

#endif
