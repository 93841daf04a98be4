/* Depthwise runs with VNNI. Up to four taps above one another are interleaved by unpacking bytes,
 * then pairs, within 128-bit lanes: vector j holds in lane l the channels 16 l + 4 j .. + 3, the
 * places of a block. Each such column serves all of the vectors in flight that it is a tap of. */
#include "kernels/int/x86/requant_avx512.h"

#include "kernels/int/depthwise_internal.h"

enum { AT_ONCE = 4 };

/** A load of its own: as an operand of both unpackings it would be two. */
TQ_INLINE __m512i load(const uint8_t *x)
{
    __m512i v = _mm512_loadu_si512(x);
    __asm__("" : "+v"(v));
    return v;
}

/** Rows of a column, interleaved; where there are less than 4, the rest are zeros. */
TQ_INLINE void interleave(const int n_rows, const uint8_t *x, int64_t row, __m512i out[4])
{
    const __m512i nothing = _mm512_setzero_si512();
    const __m512i a = load(x);
    const __m512i b = n_rows > 1 ? load(x + row) : nothing;
    const __m512i c = n_rows > 2 ? load(x + 2 * row) : nothing;
    const __m512i d = n_rows > 3 ? load(x + 3 * row) : nothing;
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);
    out[0] = _mm512_unpacklo_epi16(ab_lo, cd_lo);
    out[1] = _mm512_unpackhi_epi16(ab_lo, cd_lo);
    out[2] = _mm512_unpacklo_epi16(ab_hi, cd_hi);
    out[3] = _mm512_unpackhi_epi16(ab_hi, cd_hi);
}

TQ_INLINE void add_products(__m512i sums[4], const __m512i column[4], const int8_t *w)
{
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        sums[j] = _mm512_dpbusd_epi32(sums[j], column[j], _mm512_load_si512(w + 64 * j));
}

TQ_INLINE void begin(const int n, const tq_depthwise_run *r, __m512i (*sums)[TQ_BLOCK_VECTORS])
{
#pragma GCC unroll 4
    for (int p = 0; p < n; p++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            sums[p][j] = _mm512_load_si512(r->constants->bias + TQ_VECTOR * j);
}

/** Vectors first .. first + n - 1. */
TQ_INLINE void finish(const int n, const tq_depthwise_run *r, int64_t first,
                      __m512i (*sums)[TQ_BLOCK_VECTORS])
{
    tq_requantize_block(4, n, sums, r->constants);
    const __mmask64 live = ~0ull >> (64 - r->n_live), last = ~0ull >> (64 - r->n_last);
#pragma GCC unroll 4
    for (int p = 0; p < n; p++)
        _mm512_mask_storeu_epi8(r->y + (first + p) * r->y_step, first + p == r->n - 1 ? last : live,
                                tq_narrow_vectors(4, sums[p], r->requant));
}

/** n vectors, each `step` columns after the one before. */
TQ_INLINE void run_known(const int n, const int step, const int kernel, const tq_depthwise_run *r,
                         int64_t first)
{
    const int n_groups = (kernel + 3) / 4;
    __m512i sums[AT_ONCE][TQ_BLOCK_VECTORS];
    begin(n, r, sums);
    const uint8_t *x = r->x + first * r->x_step;
    const int8_t *w = r->w;
#pragma GCC unroll 16
    for (int i = 0; i < (n - 1) * step + kernel; i++, x += r->x_column)
#pragma GCC unroll 2
        for (int g = 0; g < n_groups; g++) {
            __m512i column[4];
            interleave(kernel - 4 * g < 4 ? kernel - 4 * g : 4, x + 4 * g * r->x_row, r->x_row,
                       column);
            if (kernel > 3) /* more weights than registers: they are operands in memory */
                __asm__("" : "+r"(w));
#pragma GCC unroll 4
            for (int p = 0; p < n; p++)
                if (i >= p * step && i < p * step + kernel)
                    add_products(sums[p], column, w + ((i - p * step) * n_groups + g) * 256);
        }
    finish(n, r, first, sums);
}

/** The last vectors are made twice where they do not fill a group. */
TQ_INLINE void run_all(const int step, const int kernel, const tq_depthwise_run *r)
{
    int64_t k = 0;
    for (; k + AT_ONCE <= r->n; k += AT_ONCE)
        run_known(AT_ONCE, step, kernel, r, k);
    if (k < r->n && r->n >= AT_ONCE)
        run_known(AT_ONCE, step, kernel, r, r->n - AT_ONCE);
    else
        for (; k < r->n; k++)
            run_known(1, 1, kernel, r, k);
}

static void run_3_by_1(const tq_depthwise_run *r)
{
    run_all(1, 3, r);
}

static void run_3_by_2(const tq_depthwise_run *r)
{
    run_all(2, 3, r);
}

static void run_5_by_1(const tq_depthwise_run *r)
{
    run_all(1, 5, r);
}

static void run_5_by_2(const tq_depthwise_run *r)
{
    run_all(2, 5, r);
}

/** Windows of any size and distance. */
static void run_any(const tq_depthwise_run *r)
{
    for (int64_t k = 0; k < r->n; k++) {
        __m512i sums[1][TQ_BLOCK_VECTORS], column[4];
        const int8_t *w = r->w;
        begin(1, r, sums);
        for (int64_t kw = 0; kw < r->kernel_w; kw++) {
            const uint8_t *x = r->x + k * r->x_step + kw * r->x_column;
            int64_t left = r->kernel_h;
            for (; left > 0; left -= 4, x += 4 * r->x_row, w += 256) {
                if (left >= 4)
                    interleave(4, x, r->x_row, column);
                else if (left == 3)
                    interleave(3, x, r->x_row, column);
                else if (left == 2)
                    interleave(2, x, r->x_row, column);
                else
                    interleave(1, x, r->x_row, column);
                add_products(sums[0], column, w);
            }
        }
        finish(1, r, k, sums);
    }
}

void tq_depthwise_run_avx512vnni(const tq_depthwise_run *r)
{
    const bool is_square = r->kernel_h == r->kernel_w;
    if (is_square && r->kernel_h == 3 && r->x_step == r->x_column)
        run_3_by_1(r);
    else if (is_square && r->kernel_h == 3 && r->x_step == 2 * r->x_column)
        run_3_by_2(r);
    else if (is_square && r->kernel_h == 5 && r->x_step == r->x_column)
        run_5_by_1(r);
    else if (is_square && r->kernel_h == 5 && r->x_step == 2 * r->x_column)
        run_5_by_2(r);
    else
        run_any(r);
}
