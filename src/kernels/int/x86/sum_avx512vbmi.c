/* Sums by tables with VBMI: vpermi2b looks 64 bytes up among 128, so a table of 256 takes two of
 * them and a choice by the top bit, one of 512 twice that and a choice by the carry of the sum. */
#include "kernels/int/sum_internal.h"

#include <immintrin.h>

typedef struct table {
    __m512i v[4];
} table;

static inline table load(const uint8_t *bytes)
{
    return (table){ { _mm512_loadu_si512(bytes), _mm512_loadu_si512(bytes + 64),
                      _mm512_loadu_si512(bytes + 128), _mm512_loadu_si512(bytes + 192) } };
}

static inline __m512i look_up(const table *t, __m512i i)
{
    const __m512i lo = _mm512_permutex2var_epi8(t->v[0], i, t->v[1]);
    const __m512i hi = _mm512_permutex2var_epi8(t->v[2], i, t->v[3]);
    return _mm512_mask_mov_epi8(lo, _mm512_movepi8_mask(i), hi);
}

static inline __mmask64 live(int64_t left)
{
    return left >= 64 ? ~0ull : ~0ull >> (64 - left);
}

void tq_sum_two_avx512vbmi(const tq_sum_tables *t, int64_t n, const uint8_t *a, const uint8_t *b,
                           uint8_t *y)
{
    const table first = load(t->operands[0]), second = load(t->operands[1]);
    const table lo = load(t->y), hi = load(t->y + 256);
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 m = live(n - i);
        __m512i u = _mm512_maskz_loadu_epi8(m, a + i), v = _mm512_maskz_loadu_epi8(m, b + i);
        u = t->is_identity[0] ? u : look_up(&first, u);
        v = t->is_identity[1] ? v : look_up(&second, v);
        const __m512i sum = _mm512_add_epi8(u, v);
        const __mmask64 carry = _mm512_cmplt_epu8_mask(sum, u);
        _mm512_mask_storeu_epi8(y + i, m,
                                _mm512_mask_mov_epi8(look_up(&lo, sum), carry, look_up(&hi, sum)));
    }
}

void tq_sum_one_avx512vbmi(const tq_sum_tables *t, int64_t n, const uint8_t *a, uint8_t *y)
{
    const table first = load(t->operands[0]);
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 m = live(n - i);
        _mm512_mask_storeu_epi8(y + i, m, look_up(&first, _mm512_maskz_loadu_epi8(m, a + i)));
    }
}
