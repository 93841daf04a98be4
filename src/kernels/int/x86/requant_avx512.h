/* Requantisation of vectors of 16 sums, by floats where their proof holds (three instructions a
 * vector), else by the high words of 64-bit products, and packing to bytes. */
#ifndef TQ_KERNELS_INT_X86_REQUANT_AVX512_H
#define TQ_KERNELS_INT_X86_REQUANT_AVX512_H

#include "kernels/int/strip_internal.h"

#include <immintrin.h>

#define TQ_INLINE static inline __attribute__((always_inline))

enum { TQ_ROUND_DOWN = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };

/** Codes - 128 of the sums of vector j of a block. */
TQ_INLINE __m512i tq_requantize_floats(__m512i sums, const tq_block_constants *c, int j)
{
    const __m512 scale = _mm512_load_ps(c->scale + TQ_VECTOR * j);
    const __m512 offset = _mm512_load_ps(c->offset + TQ_VECTOR * j);
    const __m512 q = _mm512_fmadd_round_ps(_mm512_cvtepi32_ps(sums), scale, offset, TQ_ROUND_DOWN);
    return _mm512_cvt_roundps_epi32(q, TQ_ROUND_DOWN);
}

/** The same by words. */
TQ_INLINE __m512i tq_requantize_words(__m512i sums, const tq_block_constants *c, int j)
{
    const __m512i even = _mm512_load_si512(c->multiplier + TQ_VECTOR * j);
    const __m512i odd = _mm512_srli_epi64(even, 32);
    const __m512 apart = _mm512_movehdup_ps(_mm512_castsi512_ps(sums));
    __m512i e = _mm512_add_epi64(_mm512_mul_epi32(sums, even),
                                 _mm512_load_si512(c->addend + TQ_VECTOR * j));
    __m512i o = _mm512_add_epi64(_mm512_mul_epi32(_mm512_castps_si512(apart), odd),
                                 _mm512_load_si512(c->addend + TQ_VECTOR * j + 8));
    if (c->up > 0) {
        e = _mm512_sll_epi64(e, _mm_cvtsi32_si128(c->up));
        o = _mm512_sll_epi64(o, _mm_cvtsi32_si128(c->up));
    }
    const __m512 hi =
        _mm512_mask_movehdup_ps(_mm512_castsi512_ps(o), 0x5555, _mm512_castsi512_ps(e));
    return _mm512_sra_epi32(_mm512_castps_si512(hi), _mm_cvtsi32_si128(c->shift));
}

/** Sums of n_pixels x n_vectors become codes - 128. */
TQ_INLINE void tq_requantize_block(const int n_vectors, const int n_pixels,
                                   __m512i (*sums)[TQ_BLOCK_VECTORS], const tq_block_constants *c)
{
#pragma GCC unroll 4
    for (int j = 0; j < n_vectors; j++) {
        if (c->needs_words >> j & 1) {
#pragma GCC unroll 16
            for (int p = 0; p < n_pixels; p++)
                sums[p][j] = tq_requantize_words(sums[p][j], c, j);
        } else {
#pragma GCC unroll 16
            for (int p = 0; p < n_pixels; p++)
                sums[p][j] = tq_requantize_floats(sums[p][j], c, j);
        }
    }
}

/** Codes of 16 n_vectors channels in order, in the low bytes, of codes - 128 by vectors. */
TQ_INLINE __m512i tq_narrow_vectors(const int n_vectors, const __m512i *v,
                                    const tq_requant_common *requant)
{
    const __m512i last = v[n_vectors - 1];
    const __m512i lo = _mm512_packs_epi32(v[0], n_vectors > 1 ? v[1] : last);
    const __m512i hi = n_vectors > 2 ? _mm512_packs_epi32(v[2], last) : lo;
    const __m512i turned = _mm512_xor_si512(_mm512_packs_epi16(lo, hi), _mm512_set1_epi8(-128));
    const __m512i bytes =
        _mm512_min_epu8(_mm512_max_epu8(turned, _mm512_set1_epi8((char)requant->q_min)),
                        _mm512_set1_epi8((char)requant->q_max));
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
