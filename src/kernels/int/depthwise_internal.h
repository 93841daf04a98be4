/* Runs of depthwise convolutions: 64 consecutive bytes of codes at a time, each byte a channel of
 * its own. Taps come in groups of 4, interleaved byte by byte, so that one vector instruction sums
 * a group. */
#ifndef TQ_KERNELS_INT_DEPTHWISE_INTERNAL_H
#define TQ_KERNELS_INT_DEPTHWISE_INTERNAL_H

#include "kernels/int/strip_internal.h"

typedef struct tq_depthwise_run {
    const uint8_t *x;
    int64_t x_step;      /* to what the next vector reads */
    const int64_t *taps; /* [4 n_tap_groups]: offsets from x */
    int64_t n_tap_groups;
    const int8_t *w;                     /* [n_kinds][n_tap_groups][64 places][4] */
    const tq_block_constants *constants; /* [n_kinds], places of 4 vectors */
    const tq_requant_common *requant;
    uint8_t *y;
    int64_t y_step;
    int64_t n; /* vectors of the run */
    int64_t kind, kind_step,
        n_kinds;        /* vector k takes the weights (kind + k kind_step) mod n_kinds */
    int n_live, n_last; /* bytes to write of each vector, of the last one */
} tq_depthwise_run;

typedef struct tq_depthwise_variant {
    const char *name;
    unsigned needs;
    void (*run)(const tq_depthwise_run *run);
} tq_depthwise_variant;

extern const tq_depthwise_variant tq_depthwise_variants[];

void tq_depthwise_run_avx512vnni(const tq_depthwise_run *run);
void tq_depthwise_run_avx2(const tq_depthwise_run *run);

#endif
