/* Requantisation, 16 accumulators at a time in two vectors of 64-bit words. */
#include "kernels/int/requant_internal.h"

#include <immintrin.h>

typedef struct constants {
    __m512i multiplier, addend, q_min, q_max;
    __m128i shift;
    bool is_narrow; /* the multiplier fits 32 bits */
} constants;

static inline __m128i requantize(const constants *c, __m256i x)
{
    const __m512i wide = _mm512_cvtepi32_epi64(x);
    const __m512i product = c->is_narrow ? _mm512_mul_epi32(wide, c->multiplier)
                                         : _mm512_mullo_epi64(wide, c->multiplier);
    const __m512i q = _mm512_sra_epi64(_mm512_add_epi64(product, c->addend), c->shift);
    return _mm512_cvtepi64_epi8(_mm512_min_epi64(_mm512_max_epi64(q, c->q_min), c->q_max));
}

void tq_requant_avx512(const tq_requant_row *row, int64_t n, const int32_t *x, uint8_t *y)
{
    const constants c = {
        .multiplier = _mm512_set1_epi64(row->multiplier),
        .addend = _mm512_set1_epi64(row->addend),
        .q_min = _mm512_set1_epi64(row->q_min),
        .q_max = _mm512_set1_epi64(row->q_max),
        .shift = _mm_cvtsi32_si128(row->shift),
        .is_narrow = row->multiplier == (int32_t)row->multiplier,
    };
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 live = n - i >= 16 ? 0xffff : (__mmask16)(0xffff >> (16 - (n - i)));
        const __m512i v = _mm512_maskz_loadu_epi32(live, x + i);
        const __m128i lo = requantize(&c, _mm512_castsi512_si256(v));
        const __m128i hi = requantize(&c, _mm512_extracti64x4_epi64(v, 1));
        _mm_mask_storeu_epi8(y + i, live, _mm_unpacklo_epi64(lo, hi));
    }
}
