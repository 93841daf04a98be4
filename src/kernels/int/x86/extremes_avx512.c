/* Extremes over the thresholds of a channel, eight at a time. */
#include "kernels/int/strip_internal.h"

#include <immintrin.h>

enum { LANES = 8 };

/** (residue - step) mod m, both below m < 2^31: the one of the two differences that is not huge. */
static inline __m256i turn(__m256i residue, __m256i step, __m256i m)
{
    const __m256i less = _mm256_sub_epi32(residue, step);
    return _mm256_min_epu32(less, _mm256_add_epi32(less, m));
}

void tq_extremes_find_avx512(const tq_residues *r, double *out_least, double *out_most)
{
    int32_t first[LANES];
    int64_t residue = r->first;
    for (int i = 0; i < LANES; i++) {
        first[i] = (int32_t)residue;
        residue -= r->step;
        residue += residue < 0 ? r->m : 0;
    }
    const __m256i m = _mm256_set1_epi32(r->m);
    const __m256i step = _mm256_set1_epi32((int32_t)((int64_t)r->step * LANES % r->m));
    const __m512d tilt = _mm512_set1_pd(r->tilt), rate = _mm512_set1_pd(r->rate);
    __m256i residues = _mm256_loadu_si256((const __m256i *)(const void *)first);
    __m256i k =
        _mm256_add_epi32(_mm256_set1_epi32(r->begin), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    __m512d least = _mm512_set1_pd(1e300), most = _mm512_set1_pd(-1e300);
    for (int32_t left = r->last - r->begin + 1; left > 0; left -= LANES) {
        const __mmask8 live = (__mmask8)(left >= LANES ? 0xff : (1u << left) - 1);
        const __m512d part = _mm512_mul_pd(
            rate, _mm512_cvtepi32_pd(_mm256_sub_epi32(_mm256_set1_epi32(r->middle), residues)));
        const __m512d v = _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(k), tilt), part);
        least = _mm512_mask_min_pd(least, live, least, v);
        most = _mm512_mask_max_pd(most, live, most, v);
        residues = turn(residues, step, m);
        k = _mm256_add_epi32(k, _mm256_set1_epi32(LANES));
    }
    *out_least = _mm512_reduce_min_pd(least);
    *out_most = _mm512_reduce_max_pd(most);
}
