/* Tiles with VNNI: 6 rows of 64 columns stay in 24 registers; each step multiplies four bytes of a
 * column with four of a row (vpdpbusd, u8 by i8, no saturation).
 *
 * Columns are packed by unpacking bytes, then pairs, within 128-bit lanes, so vector j of a group
 * holds in lane l the columns 16 l + 4 j .. + 3: the 4x4 lanes are transposed back when results are
 * stored. */
#include "kernels/int/tile_internal.h"

#include <immintrin.h>

enum { ROWS = 6 };

void tq_tile_pack_avx512vnni(const uint8_t *const rows[TQ_TILE_GROUP], uint8_t *group)
{
    const __m512i a = _mm512_loadu_si512(rows[0]), b = _mm512_loadu_si512(rows[1]);
    const __m512i c = _mm512_loadu_si512(rows[2]), d = _mm512_loadu_si512(rows[3]);
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);
    _mm512_storeu_si512(group, _mm512_unpacklo_epi16(ab_lo, cd_lo));
    _mm512_storeu_si512(group + 64, _mm512_unpackhi_epi16(ab_lo, cd_lo));
    _mm512_storeu_si512(group + 128, _mm512_unpacklo_epi16(ab_hi, cd_hi));
    _mm512_storeu_si512(group + 192, _mm512_unpackhi_epi16(ab_hi, cd_hi));
}

int tq_tile_place_avx512vnni(int column)
{
    return column / 4 % 4 * 16 + column / 16 * 4 + column % 4;
}

/** Stores four vectors whose 128-bit lanes are transposed. */
static inline void store(const __m512i v[4], int32_t *out)
{
    const __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44),
                  b = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    const __m512i c = _mm512_shuffle_i32x4(v[0], v[1], 0xee),
                  d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    _mm512_storeu_si512(out, _mm512_shuffle_i32x4(a, b, 0x88));
    _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(a, b, 0xdd));
    _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(c, d, 0x88));
    _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(c, d, 0xdd));
}

static inline __attribute__((always_inline)) void multiply_rows(const int n_rows, int64_t n_groups,
                                                                const uint8_t *panel,
                                                                const int8_t *w, int64_t w_stride,
                                                                const int32_t *offset, int32_t *out)
{
    __m512i sums[ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            sums[r][j] = _mm512_set1_epi32(offset[r]);
    for (int64_t g = 0; g < n_groups; g++, panel += TQ_TILE_PANEL, w += TQ_TILE_GROUP) {
        const __m512i x0 = _mm512_loadu_si512(panel), x1 = _mm512_loadu_si512(panel + 64);
        const __m512i x2 = _mm512_loadu_si512(panel + 128), x3 = _mm512_loadu_si512(panel + 192);
#pragma GCC unroll 6
        for (int r = 0; r < n_rows; r++) {
            int32_t word;
            __builtin_memcpy(&word, w + r * w_stride, sizeof word);
            const __m512i v = _mm512_set1_epi32(word);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], x0, v);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], x1, v);
            sums[r][2] = _mm512_dpbusd_epi32(sums[r][2], x2, v);
            sums[r][3] = _mm512_dpbusd_epi32(sums[r][3], x3, v);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < n_rows; r++)
        store(sums[r], out + r * TQ_TILE_COLUMNS);
}

void tq_tile_multiply_avx512vnni(int64_t n_groups, int64_t n_rows, const uint8_t *panel,
                                 const int8_t *w, int64_t w_stride, const int32_t *offset,
                                 int32_t *out)
{
    int64_t r = 0;
    for (; r + ROWS <= n_rows; r += ROWS)
        multiply_rows(ROWS, n_groups, panel, w + r * w_stride, w_stride, offset + r,
                      out + r * TQ_TILE_COLUMNS);
    for (; r + 2 <= n_rows; r += 2)
        multiply_rows(2, n_groups, panel, w + r * w_stride, w_stride, offset + r,
                      out + r * TQ_TILE_COLUMNS);
    if (r < n_rows)
        multiply_rows(1, n_groups, panel, w + r * w_stride, w_stride, offset + r,
                      out + r * TQ_TILE_COLUMNS);
}

int32_t tq_tile_dot_avx512vnni(int64_t n, const uint8_t *a, const int8_t *w)
{
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = 0; k < n; k += 64) {
        const __mmask64 live = n - k >= 64 ? ~0ull : ~0ull >> (64 - (n - k)); /* no read past n */
        sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(live, a + k),
                                  _mm512_maskz_loadu_epi8(live, w + k));
    }
    return _mm512_reduce_add_epi32(sum);
}
