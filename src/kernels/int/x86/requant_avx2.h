/* Requantisation of 8 sums by the high words of 64-bit products. */
#ifndef TQ_KERNELS_INT_X86_REQUANT_AVX2_H
#define TQ_KERNELS_INT_X86_REQUANT_AVX2_H

#include "kernels/int/strip_internal.h"

#include <immintrin.h>

static inline __m256i tq_load_256(const void *data)
{
    return _mm256_loadu_si256((const __m256i *)data);
}

/** Codes - 128 of the sums at place first .. first + 7. */
static inline __m256i tq_requantize_eight(const tq_block_constants *c, const int32_t *sums,
                                          int first)
{
    const int at = first / TQ_VECTOR * TQ_VECTOR + first % TQ_VECTOR / 2;
    const __m256i a = tq_load_256(sums + first), m = tq_load_256(c->multiplier + first);
    const __m256i e = _mm256_add_epi64(_mm256_mul_epi32(a, m), tq_load_256(c->addend + at));
    const __m256i o =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(m, 32)),
                         tq_load_256(c->addend + at + 8));
    const __m128i up = _mm_cvtsi32_si128(c->up);
    const __m256i hi = _mm256_blend_epi32(_mm256_srli_epi64(_mm256_sll_epi64(e, up), 32),
                                          _mm256_sll_epi64(o, up), 0xaa);
    return _mm256_sra_epi32(hi, _mm_cvtsi32_si128(c->shift));
}

static inline void tq_requantize_block_avx2(int n_vectors, const int32_t *sums,
                                            const tq_block_constants *constants,
                                            const tq_requant_common *q, int n_channels, uint8_t *y)
{
    for (int first = 0; first < n_vectors * TQ_VECTOR; first += 8) {
        int32_t codes[8];
        _mm256_storeu_si256((__m256i *)(void *)codes, tq_requantize_eight(constants, sums, first));
        for (int i = 0; i < 8; i++) {
            const int c = tq_block_channel(n_vectors, first + i);
            if (c < n_channels)
                y[c] = (uint8_t)tq_clip_i64(128 + (int64_t)codes[i], q->q_min, q->q_max);
        }
    }
}

#endif
