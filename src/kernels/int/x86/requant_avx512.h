/* Requantisation of vectors of 16 sums by the high words of 64-bit products, and packing to bytes.
 */
#ifndef TQ_KERNELS_INT_X86_REQUANT_AVX512_H
#define TQ_KERNELS_INT_X86_REQUANT_AVX512_H

#include "kernels/int/strip_internal.h"

#include <immintrin.h>

#define TQ_INLINE static inline __attribute__((always_inline))

/** Constants of vector j of a block. */
typedef struct tq_vector_constants {
    __m512i even, odd, add_even, add_odd;
} tq_vector_constants;

TQ_INLINE tq_vector_constants tq_vector_constants_load(const tq_block_constants *c, int j)
{
    const __m512i even = _mm512_loadu_si512(c->multiplier + TQ_VECTOR * j);
    return (tq_vector_constants){ even, _mm512_srli_epi64(even, 32),
                                  _mm512_loadu_si512(c->addend + TQ_VECTOR * j),
                                  _mm512_loadu_si512(c->addend + TQ_VECTOR * j + 8) };
}

TQ_INLINE __m512i tq_requantize_vector(__m512i sums, const tq_vector_constants *c, __m128i shift)
{
    const __m512 apart = _mm512_movehdup_ps(_mm512_castsi512_ps(sums));
    const __m512i e = _mm512_add_epi64(_mm512_mul_epi32(sums, c->even), c->add_even);
    const __m512i o =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_castps_si512(apart), c->odd), c->add_odd);
    const __m512 hi =
        _mm512_mask_movehdup_ps(_mm512_castsi512_ps(o), 0x5555, _mm512_castsi512_ps(e));
    return _mm512_sra_epi32(_mm512_castps_si512(hi), shift);
}

/** Codes of 16 n_vectors channels in order, in the low bytes. */
TQ_INLINE __m512i tq_narrow_vectors(const int n_vectors, const __m512i *v)
{
    const __m512i last = v[n_vectors - 1];
    const __m512i lo = _mm512_packs_epi32(v[0], n_vectors > 1 ? v[1] : last);
    const __m512i hi = n_vectors > 2 ? _mm512_packs_epi32(v[2], last) : lo;
    const __m512i bytes = _mm512_packus_epi16(lo, hi);
    if (n_vectors == 1)
        return _mm512_permutexvar_epi32(
            _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), bytes);
    if (n_vectors == 2)
        return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 0, 0, 0, 0), bytes);
    if (n_vectors == 3)
        return _mm512_permutexvar_epi32(
            _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0), bytes);
    return bytes;
}

#endif
