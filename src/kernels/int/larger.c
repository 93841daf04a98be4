/* The larger of two codes in portable C, and the table of variants. */
#include "kernels/int/larger_internal.h"

static void run(const tq_larger_run *r)
{
    for (int64_t i = 0; i < r->n; i++) {
        const uint8_t *x = r->x + i * r->x_step;
        uint8_t *y = r->y + i * r->y_step;
        for (int64_t c = 0; c < r->c; c++)
            y[c] = y[c] > x[c] ? y[c] : x[c];
    }
}

const tq_larger_variant tq_larger_variants[] = {
    { "avx512", TQ_CPU_AVX512F | TQ_CPU_AVX512BW, tq_larger_run_avx512 },
    { "avx2", TQ_CPU_AVX2, tq_larger_run_avx2 },
    { "reference", 0, run },
    { 0 },
};
