/* Depthwise runs with VNNI. Four taps are interleaved by unpacking bytes, then pairs, within
 * 128-bit lanes: vector j holds in lane l the channels 16 l + 4 j .. + 3, the places of a block. */
#include "kernels/int/x86/requant_avx512.h"

#include "kernels/int/depthwise_internal.h"

TQ_INLINE void sum_group(const uint8_t *x, const int64_t *taps, const int8_t *w, __m512i sums[4])
{
    const __m512i a = _mm512_loadu_si512(x + taps[0]), b = _mm512_loadu_si512(x + taps[1]);
    const __m512i c = _mm512_loadu_si512(x + taps[2]), d = _mm512_loadu_si512(x + taps[3]);
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);
    sums[0] =
        _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(ab_lo, cd_lo), _mm512_loadu_si512(w));
    sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(ab_lo, cd_lo),
                                  _mm512_loadu_si512(w + 64));
    sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(ab_hi, cd_hi),
                                  _mm512_loadu_si512(w + 128));
    sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(ab_hi, cd_hi),
                                  _mm512_loadu_si512(w + 192));
}

TQ_INLINE void run(const tq_depthwise_run *r, const int64_t n_tap_groups)
{
    const __m128i shift = _mm_cvtsi32_si128(r->requant->shift);
    const __m512i q_min = _mm512_set1_epi8((char)r->requant->q_min);
    const __m512i q_max = _mm512_set1_epi8((char)r->requant->q_max);
    const uint8_t *x = r->x;
    uint8_t *y = r->y;
    int64_t kind = r->kind;
    for (int64_t k = 0; k < r->n; k++, x += r->x_step, y += r->y_step) {
        const tq_block_constants *constants = &r->constants[kind];
        const int8_t *w = r->w + kind * n_tap_groups * 256;
        __m512i sums[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            sums[j] = _mm512_loadu_si512(constants->bias + TQ_VECTOR * j);
        for (int64_t g = 0; g < n_tap_groups; g++)
            sum_group(x, r->taps + 4 * g, w + 256 * g, sums);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const tq_vector_constants c = tq_vector_constants_load(constants, j);
            sums[j] = tq_requantize_vector(sums[j], &c, shift);
        }
        const __m512i q = tq_narrow_vectors(4, sums);
        const __mmask64 live = ~0ull >> (64 - (k == r->n - 1 ? r->n_last : r->n_live));
        _mm512_mask_storeu_epi8(y, live, _mm512_min_epu8(_mm512_max_epu8(q, q_min), q_max));
        kind += r->kind_step;
        kind = kind == r->n_kinds ? 0 : kind;
    }
}

void tq_depthwise_run_avx512vnni(const tq_depthwise_run *r)
{
    if (r->n_tap_groups == 3) /* 3 x 3 */
        run(r, 3);
    else
        run(r, r->n_tap_groups);
}
