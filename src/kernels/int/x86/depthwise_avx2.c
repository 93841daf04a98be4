/* Depthwise runs with AVX2: halves of 32 channels; bytes are widened to 16 bits. */
#include "kernels/int/depthwise_internal.h"
#include "kernels/int/x86/requant_avx2.h"

/** Sums over 4 taps of 8 channels, whose bytes lie by fours. */
static inline __m256i multiply(__m256i x, const int8_t *w)
{
    const __m256i lo =
        _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(x)),
                          _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w)));
    const __m256i hi = _mm256_madd_epi16(
        _mm256_cvtepu8_epi16(_mm256_extracti128_si256(x, 1)),
        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(w + 16))));
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(lo, hi), 0xd8);
}

/** Half h of the 64 channels. sums[j]: place 16 j + 8 h. */
static void sum_half(const tq_depthwise_run *r, const uint8_t *x, const int8_t *w, __m256i sums[4])
{
    for (int64_t g = 0; g < r->n_tap_groups; g++, w += 256) {
        const int64_t *taps = r->taps + 4 * g;
        const __m256i a = tq_load_256(x + taps[0]), b = tq_load_256(x + taps[1]);
        const __m256i c = tq_load_256(x + taps[2]), d = tq_load_256(x + taps[3]);
        const __m256i ab_lo = _mm256_unpacklo_epi8(a, b), ab_hi = _mm256_unpackhi_epi8(a, b);
        const __m256i cd_lo = _mm256_unpacklo_epi8(c, d), cd_hi = _mm256_unpackhi_epi8(c, d);
        const __m256i v[4] = { _mm256_unpacklo_epi16(ab_lo, cd_lo),
                               _mm256_unpackhi_epi16(ab_lo, cd_lo),
                               _mm256_unpacklo_epi16(ab_hi, cd_hi),
                               _mm256_unpackhi_epi16(ab_hi, cd_hi) };
        for (int j = 0; j < 4; j++)
            sums[j] = _mm256_add_epi32(sums[j], multiply(v[j], w + 64 * j));
    }
}

void tq_depthwise_run_avx2(const tq_depthwise_run *r)
{
    for (int64_t k = 0; k < r->n; k++) {
        int32_t out[TQ_BLOCK_CHANNELS];
        const int64_t kind = (r->kind + k * r->kind_step) % r->n_kinds;
        const tq_block_constants *constants = &r->constants[kind];
        for (int h = 0; h < 2; h++) {
            __m256i sums[4];
            for (int j = 0; j < 4; j++)
                sums[j] = tq_load_256(constants->bias + 16 * j + 8 * h);
            sum_half(r, r->x + k * r->x_step + 32 * h, r->w + kind * r->n_tap_groups * 256 + 32 * h,
                     sums);
            for (int j = 0; j < 4; j++)
                _mm256_storeu_si256((__m256i *)(void *)(out + 16 * j + 8 * h), sums[j]);
        }
        tq_requantize_block_avx2(TQ_BLOCK_VECTORS, out, constants, r->requant,
                                 k == r->n - 1 ? r->n_last : r->n_live, r->y + k * r->y_step);
    }
}
