/* Tiles with AVX2. vpmaddubsw would saturate, so bytes are widened to 16 bits: vpmaddwd then gives
 * two exact sums for each column, which are added at the end. */
#include "kernels/int/tile_internal.h"

#include <immintrin.h>

enum { ROWS = 2, STEP = 16 }; /* rows and columns at a time */

static inline __m256i widen(const uint8_t *x)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x));
}

/** Four weights of a row as i16, repeated. */
static inline __m256i spread(const int8_t *w)
{
    int32_t word;
    __builtin_memcpy(&word, w, sizeof word);
    return _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(word)));
}

static inline void store(__m256i a, __m256i b, int32_t offset, int32_t *out)
{
    const __m256i pairs = _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_add_epi32(pairs, _mm256_set1_epi32(offset)));
}

static inline __attribute__((always_inline)) void multiply_rows(const int n_rows, int64_t n_groups,
                                                                const uint8_t *panel,
                                                                const int8_t *w, int64_t w_stride,
                                                                const int32_t *offset, int32_t *out)
{
    __m256i sums[ROWS][4];
#pragma GCC unroll 2
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            sums[r][j] = _mm256_setzero_si256();
    for (int64_t g = 0; g < n_groups; g++, panel += TQ_TILE_PANEL, w += TQ_TILE_GROUP) {
        const __m256i x[4] = { widen(panel), widen(panel + 16), widen(panel + 32),
                               widen(panel + 48) };
#pragma GCC unroll 2
        for (int r = 0; r < n_rows; r++) {
            const __m256i v = spread(w + r * w_stride);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(x[j], v));
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < n_rows; r++) {
        store(sums[r][0], sums[r][1], offset[r], out + r * TQ_TILE_COLUMNS);
        store(sums[r][2], sums[r][3], offset[r], out + r * TQ_TILE_COLUMNS + 8);
    }
}

void tq_tile_multiply_avx2(int64_t n_groups, int64_t n_rows, const uint8_t *panel, const int8_t *w,
                           int64_t w_stride, const int32_t *offset, int32_t *out)
{
    for (int64_t r = 0; r < n_rows; r += ROWS)
        for (int c = 0; c < TQ_TILE_COLUMNS; c += STEP) {
            const uint8_t *x = panel + c * TQ_TILE_GROUP;
            const int8_t *v = w + r * w_stride;
            int32_t *to = out + r * TQ_TILE_COLUMNS + c;
            if (r + ROWS <= n_rows)
                multiply_rows(ROWS, n_groups, x, v, w_stride, offset + r, to);
            else
                multiply_rows(1, n_groups, x, v, w_stride, offset + r, to);
        }
}

int32_t tq_tile_dot_avx2(int64_t n, const uint8_t *a, const int8_t *w)
{
    __m256i sum = _mm256_setzero_si256();
    int64_t k = 0;
    for (; k + 16 <= n; k += 16) {
        const __m256i v =
            _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(w + k)));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widen(a + k), v));
    }
    uint32_t lanes[8], total = 0;
    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    for (int i = 0; i < 8; i++)
        total += lanes[i];
    for (; k < n; k++)
        total += (uint32_t)(a[k] * w[k]);
    return (int32_t)total;
}
