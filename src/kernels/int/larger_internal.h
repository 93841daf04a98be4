/* The larger of two codes, for pixels some way apart. */
#ifndef TQ_KERNELS_INT_LARGER_INTERNAL_H
#define TQ_KERNELS_INT_LARGER_INTERNAL_H

#include <truq/op.h>

typedef struct tq_larger_run {
    const uint8_t *x;
    uint8_t *y;
    int64_t x_step, y_step; /* to the next pixel */
    int64_t n, c;           /* pixels, bytes of each */
} tq_larger_run;

/** y = max(x, y), byte by byte; nothing beyond the c bytes of a pixel is touched. */
typedef struct tq_larger_variant {
    const char *name;
    unsigned needs;
    void (*run)(const tq_larger_run *run);
} tq_larger_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_larger_variant tq_larger_variants[];

void tq_larger_run_avx512(const tq_larger_run *run);
void tq_larger_run_avx2(const tq_larger_run *run);

#endif
