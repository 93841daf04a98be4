/* Strips with VNNI: up to 24 vectors of sums stay in registers; vpdpbusd multiplies four bytes of a
 * pixel, broadcast, with four of each of 16 channels. Requantisation multiplies even and odd
 * elements apart into 64 bits and keeps the high words. */
#include "kernels/int/x86/requant_avx512.h"

/** Sums of n_pixels x n_vectors become their codes, 32 bits each. */
TQ_INLINE void requantize(const int n_vectors, const int n_pixels, const tq_strip *s,
                          __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS])
{
    const __m128i shift = _mm_cvtsi32_si128(s->requant->shift);
#pragma GCC unroll 4
    for (int j = 0; j < n_vectors; j++) {
        const tq_vector_constants c = tq_vector_constants_load(s->constants, j);
#pragma GCC unroll 12
        for (int p = 0; p < n_pixels; p++)
            sums[p][j] = tq_requantize_vector(sums[p][j], &c, shift);
    }
}

TQ_INLINE void finish(const int n_vectors, const int n_pixels, const tq_strip *s,
                      __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS])
{
    if (s->sums) {
#pragma GCC unroll 12
        for (int p = 0; p < n_pixels; p++)
#pragma GCC unroll 4
            for (int j = 0; j < n_vectors; j++)
                _mm512_storeu_si512(s->sums + p * TQ_BLOCK_CHANNELS + j * TQ_VECTOR, sums[p][j]);
        return;
    }
    requantize(n_vectors, n_pixels, s, sums);
    const __mmask64 live = ~0ull >> (64 - s->n_channels);
    const __m512i q_min = _mm512_set1_epi8((char)s->requant->q_min);
    const __m512i q_max = _mm512_set1_epi8((char)s->requant->q_max);
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++) {
        const __m512i q = tq_narrow_vectors(n_vectors, sums[p]);
        _mm512_mask_storeu_epi8(s->y + p * s->y_step, live,
                                _mm512_min_epu8(_mm512_max_epu8(q, q_min), q_max));
    }
}

TQ_INLINE __m512i broadcast(const uint8_t *x)
{
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
}

TQ_INLINE void strip(const int n_vectors, const int n_pixels, const tq_strip *s)
{
    __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS];
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++)
#pragma GCC unroll 4
        for (int j = 0; j < n_vectors; j++)
            sums[p][j] = _mm512_loadu_si512(s->from + p * s->from_step + j * TQ_VECTOR);
    const int8_t *w = s->w;
    const int64_t step = s->x_step, n_groups = s->n_groups;
    for (int64_t r = 0; r < s->n_runs; r++) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t g = 0; g < n_groups; g++, x += 4, w += n_vectors * 64) {
            __m512i v[TQ_BLOCK_VECTORS];
#pragma GCC unroll 4
            for (int j = 0; j < n_vectors; j++)
                v[j] = _mm512_loadu_si512(w + 64 * j);
#pragma GCC unroll 12
            for (int p = 0; p < n_pixels; p++) {
                const __m512i a = broadcast(x + p * step);
#pragma GCC unroll 4
                for (int j = 0; j < n_vectors; j++)
                    sums[p][j] = _mm512_dpbusd_epi32(sums[p][j], a, v[j]);
            }
        }
    }
    finish(n_vectors, n_pixels, s, sums);
}

#define STRIP(v, p)                                                                                \
    static void strip_##v##_##p(const tq_strip *s)                                                 \
    {                                                                                              \
        strip(v, p, s);                                                                            \
    }
#define SIX(v) STRIP(v, 1) STRIP(v, 2) STRIP(v, 3) STRIP(v, 4) STRIP(v, 5) STRIP(v, 6)
#define TWELVE(v) SIX(v) STRIP(v, 7) STRIP(v, 8) STRIP(v, 9) STRIP(v, 10) STRIP(v, 11) STRIP(v, 12)
TWELVE(1)
TWELVE(2)
SIX(3)
STRIP(3, 7)
STRIP(3, 8)
SIX(4)

static void (*const strips[TQ_BLOCK_VECTORS][TQ_STRIP_PIXELS])(const tq_strip *s) = {
    { strip_1_1, strip_1_2, strip_1_3, strip_1_4, strip_1_5, strip_1_6, strip_1_7, strip_1_8,
      strip_1_9, strip_1_10, strip_1_11, strip_1_12 },
    { strip_2_1, strip_2_2, strip_2_3, strip_2_4, strip_2_5, strip_2_6, strip_2_7, strip_2_8,
      strip_2_9, strip_2_10, strip_2_11, strip_2_12 },
    { strip_3_1, strip_3_2, strip_3_3, strip_3_4, strip_3_5, strip_3_6, strip_3_7, strip_3_8 },
    { strip_4_1, strip_4_2, strip_4_3, strip_4_4, strip_4_5, strip_4_6 },
};

void tq_strip_run_avx512vnni(int n_vectors, int n_pixels, const tq_strip *s)
{
    strips[n_vectors - 1][n_pixels - 1](s);
}
