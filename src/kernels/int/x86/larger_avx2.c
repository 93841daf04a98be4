/* The larger of two codes, 32 at a time. */
#include "kernels/int/larger_internal.h"

#include <immintrin.h>

static inline void take(const uint8_t *x, uint8_t *y)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)x);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)y);
    _mm256_storeu_si256((__m256i *)(void *)y, _mm256_max_epu8(a, b));
}

void tq_larger_run_avx2(const tq_larger_run *r)
{
    for (int64_t i = 0; i < r->n; i++) {
        const uint8_t *x = r->x + i * r->x_step;
        uint8_t *y = r->y + i * r->y_step;
        int64_t c = 0;
        for (; c + 32 <= r->c; c += 32)
            take(x + c, y + c);
        if (c > 0 && c < r->c) /* once more what overlaps */
            take(x + r->c - 32, y + r->c - 32);
        for (; r->c < 32 && c < r->c; c++)
            y[c] = y[c] > x[c] ? y[c] : x[c];
    }
}
