/* Depthwise runs with AVX2: halves of 32 channels; bytes are widened to 16 bits, and sums of pairs
 * of taps are added in the end. */
#include "kernels/int/depthwise_internal.h"
#include "kernels/int/x86/requant_avx2.h"

enum { HALF = 32 };

static inline __m256i widen_weights(const int8_t *w)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
}

/** Up to four rows of a column, interleaved; where there are less, the rest are zeros. */
static inline void interleave(int64_t n_rows, const uint8_t *x, int64_t row, __m256i out[4])
{
    const __m256i nothing = _mm256_setzero_si256();
    const __m256i a = tq_load_256(x), b = n_rows > 1 ? tq_load_256(x + row) : nothing;
    const __m256i c = n_rows > 2 ? tq_load_256(x + 2 * row) : nothing;
    const __m256i d = n_rows > 3 ? tq_load_256(x + 3 * row) : nothing;
    const __m256i ab_lo = _mm256_unpacklo_epi8(a, b), ab_hi = _mm256_unpackhi_epi8(a, b);
    const __m256i cd_lo = _mm256_unpacklo_epi8(c, d), cd_hi = _mm256_unpackhi_epi8(c, d);
    out[0] = _mm256_unpacklo_epi16(ab_lo, cd_lo);
    out[1] = _mm256_unpackhi_epi16(ab_lo, cd_lo);
    out[2] = _mm256_unpacklo_epi16(ab_hi, cd_hi);
    out[3] = _mm256_unpackhi_epi16(ab_hi, cd_hi);
}

/** Sums of a half of the 64 channels, at places 16 j ..; w and sums are at its first place. */
static void sum_half(const tq_depthwise_run *r, const uint8_t *x, const int8_t *w, int32_t *sums)
{
    __m256i lo[4], hi[4];
    for (int j = 0; j < 4; j++)
        lo[j] = hi[j] = _mm256_setzero_si256();
    for (int64_t kw = 0; kw < r->kernel_w; kw++)
        for (int64_t kh = 0; kh < r->kernel_h; kh += 4, w += 256) {
            __m256i column[4];
            interleave(r->kernel_h - kh, x + kh * r->x_row + kw * r->x_column, r->x_row, column);
            for (int j = 0; j < 4; j++) {
                const __m256i a = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(column[j]));
                const __m256i b = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(column[j], 1));
                lo[j] = _mm256_add_epi32(lo[j], _mm256_madd_epi16(a, widen_weights(w + 64 * j)));
                hi[j] =
                    _mm256_add_epi32(hi[j], _mm256_madd_epi16(b, widen_weights(w + 64 * j + 16)));
            }
        }
    for (int j = 0; j < 4; j++) {
        const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(lo[j], hi[j]), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(sums + 16 * j),
                            _mm256_add_epi32(sum, tq_load_256(sums + 16 * j)));
    }
}

void tq_depthwise_run_avx2(const tq_depthwise_run *r)
{
    for (int64_t k = 0; k < r->n; k++) {
        int32_t sums[TQ_BLOCK_CHANNELS];
        __builtin_memcpy(sums, r->constants->bias, sizeof sums);
        for (int h = 0; h < 2; h++)
            sum_half(r, r->x + k * r->x_step + HALF * h, r->w + HALF * h, sums + 8 * h);
        tq_requantize_block_avx2(TQ_BLOCK_VECTORS, sums, r->constants, r->requant,
                                 k == r->n - 1 ? r->n_last : r->n_live, r->y + k * r->y_step);
    }
}
