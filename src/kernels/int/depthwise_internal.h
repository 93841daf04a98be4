/* Runs of depthwise convolutions: vectors of 64 consecutive bytes of codes, each byte a channel of
 * a pixel. Taps above one another come in groups of 4, interleaved byte by byte, so that one vector
 * instruction sums a group; neighbouring vectors share the interleaved columns. */
#ifndef TQ_KERNELS_INT_DEPTHWISE_INTERNAL_H
#define TQ_KERNELS_INT_DEPTHWISE_INTERNAL_H

#include "kernels/int/strip_internal.h"

typedef struct tq_depthwise_run {
    const uint8_t *x;                    /* what the first vector reads for its first tap */
    int64_t x_row, x_column;             /* to the next tap of a column, of a row */
    int64_t x_step;                      /* to what the next vector reads */
    int64_t kernel_h, kernel_w;          /* taps */
    const int8_t *w;                     /* [kernel_w][(kernel_h + 3) / 4][64 places][4] */
    const tq_block_constants *constants; /* places of 4 vectors */
    const tq_requant_common *requant;
    uint8_t *y;
    int64_t y_step;
    int64_t n;          /* vectors of the run */
    int n_live, n_last; /* bytes to write of each vector, of the last one */
} tq_depthwise_run;

typedef struct tq_depthwise_variant {
    const char *name;
    unsigned needs;
    void (*run)(const tq_depthwise_run *run);
} tq_depthwise_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_depthwise_variant tq_depthwise_variants[];

void tq_depthwise_run_avx512vnni(const tq_depthwise_run *run);
void tq_depthwise_run_avx2(const tq_depthwise_run *run);

#endif
