/* Strips with AVX2: bytes are widened to 16 bits, since vpmaddubsw would saturate. */
#include "kernels/int/x86/requant_avx2.h"

/** Pairs of 4 taps of 4 channels, twice: sums of pairs, to be added by neighbours. Of field f. */
static inline __m256i widen(const int8_t *w, int bits, int64_t f)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)w);
    const __m128i up = _mm_sll_epi16(v, _mm_cvtsi32_si128(8 - bits * (int)(f + 1)));
    return _mm256_cvtepi8_epi16(_mm_and_si128(up, _mm_set1_epi8((char)(0xffu << (8 - bits)))));
}

static inline __m256i broadcast(const uint8_t *x)
{
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(word)));
}

/** Eight sums of each pixel: those at place first .. first + 7. */
static void sum_eight(const int n_vectors, int n_pixels, const tq_strip *s, int first,
                      int32_t (*sums)[TQ_BLOCK_CHANNELS])
{
    const int64_t n_fields = 8 / s->bits;
    __m256i lo[4], hi[4];
    for (int p = 0; p < 4; p++)
        lo[p] = hi[p] = _mm256_setzero_si256();
    const int8_t *w = s->w + 4 * first;
    for (int64_t r = 0; r < s->n_runs; r++) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t g = 0; g < s->n_groups; g++, x += 4) {
            const int64_t f = g % n_fields;
            const __m256i a = widen(w, s->bits, f), b = widen(w + 16, s->bits, f);
            w += f == n_fields - 1 ? n_vectors * 64 : 0;
            for (int p = 0; p < n_pixels; p++) {
                const __m256i v = broadcast(x + p * s->x_step);
                lo[p] = _mm256_add_epi32(lo[p], _mm256_madd_epi16(a, v));
                hi[p] = _mm256_add_epi32(hi[p], _mm256_madd_epi16(b, v));
            }
        }
    }
    for (int p = 0; p < n_pixels; p++) {
        const __m256i from = tq_load_256(s->from + p * s->from_step + first);
        const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(lo[p], hi[p]), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(sums[p] + first), _mm256_add_epi32(sum, from));
    }
}

void tq_strip_run_avx2(int n_vectors, int n_pixels, const tq_strip *s)
{
    int32_t sums[4][TQ_BLOCK_CHANNELS];
    for (int first = 0; first < n_vectors * TQ_VECTOR; first += 8)
        sum_eight(n_vectors, n_pixels, s, first, sums);
    for (int p = 0; p < n_pixels; p++)
        if (s->sums)
            __builtin_memcpy(s->sums + p * TQ_BLOCK_CHANNELS, sums[p],
                             (size_t)n_vectors * TQ_VECTOR * sizeof(int32_t));
        else
            tq_requantize_block_avx2(n_vectors, sums[p], s->constants, s->requant, s->n_channels,
                                     tq_strip_y(s, p));
}
