/* The text of every set of loops over blocks: a file names its set and the width, and includes this
 * once. Loops over the channels of a block have a constant length, so they become one register. */
#include "kernels/f32/blocks_internal.h"

#include <math.h>

enum { B = TQ_BLOCKS_WIDTH };

#define EACH_CHANNEL for (int c = 0; c < B; c++)

static void affine(int64_t n, const float *restrict x, const float *restrict mean,
                   const float *restrict k, const float *restrict b, float *restrict y)
{
    for (int64_t i = 0; i < n; i++, x += B, y += B)
        EACH_CHANNEL
    y[c] = (x[c] - mean[c]) * k[c] + b[c];
}

static void affine_grad(int64_t n, const float *restrict dy, const float *restrict x,
                        const float *restrict mean, const float *restrict a,
                        const float *restrict b, const float *restrict c_, float *restrict dx)
{
    for (int64_t i = 0; i < n; i++, x += B, dy += B, dx += B)
        EACH_CHANNEL
    dx[c] = a[c] * dy[c] + (b[c] * (x[c] - mean[c]) + c_[c]);
}

static void scale(int64_t n, const float *restrict x, const float *restrict k, float *restrict y)
{
    for (int64_t i = 0; i < n; i++, x += B, y += B)
        EACH_CHANNEL
    y[c] = k[c] * x[c];
}

static void shift(int64_t n, const float *restrict x, const float *restrict b, float *restrict y)
{
    for (int64_t i = 0; i < n; i++, x += B, y += B)
        EACH_CHANNEL
    y[c] = x[c] + b[c];
}

static void sum(int64_t n, const float *restrict x, double *restrict sums_)
{
    double even[B] = { 0 }, odd[B] = { 0 };
    int64_t i = 0;
    for (; i + 2 <= n; i += 2)
        EACH_CHANNEL
        {
            even[c] += (double)x[i * B + c];
            odd[c] += (double)x[(i + 1) * B + c];
        }
    for (; i < n; i++)
        EACH_CHANNEL
    even[c] += (double)x[i * B + c];
    EACH_CHANNEL
    sums_[c] += even[c] + odd[c];
}

static void sums(int64_t n, const float *restrict a, const float *restrict b,
                 double *restrict sums_)
{
    double even[B] = { 0 }, odd[B] = { 0 }, even_b[B] = { 0 }, odd_b[B] = { 0 };
    int64_t i = 0;
    for (; i + 2 <= n; i += 2)
        EACH_CHANNEL
        {
            const double p = (double)a[i * B + c], q = (double)a[(i + 1) * B + c];
            even[c] += p;
            odd[c] += q;
            even_b[c] += p * (double)b[i * B + c];
            odd_b[c] += q * (double)b[(i + 1) * B + c];
        }
    for (; i < n; i++)
        EACH_CHANNEL
        {
            const double p = (double)a[i * B + c];
            even[c] += p;
            even_b[c] += p * (double)b[i * B + c];
        }
    EACH_CHANNEL
    {
        sums_[c] += even[c] + odd[c];
        sums_[B + c] += even_b[c] + odd_b[c];
    }
}

/* Comparisons are vectors only where the loop is not unrolled first. */
#define EACH_CHANNEL_AT_ONCE _Pragma("GCC unroll 1") EACH_CHANNEL

static void max_row(const tq_window_row *row, const float *restrict x, float *restrict y)
{
    for (int64_t o = 0; o < row->n; o++, y += B) {
        EACH_CHANNEL
        y[c] = -INFINITY;
        for (int64_t kh = 0; kh < row->n_h; kh++) {
            const float *restrict at = x + kh * row->h_step + row->spans[o].first * (int64_t)B;
            for (int32_t kw = 0; kw < row->spans[o].n; kw++, at += row->w_step)
                EACH_CHANNEL_AT_ONCE
            y[c] = (at[c] > y[c]) | (at[c] != at[c]) ? at[c] : y[c];
        }
    }
}

/** Which element of a window of n_w columns wins in each channel. */
static void find_winners(const tq_window_row *row, int32_t n_w, const float *restrict x,
                         int32_t *restrict out_winners)
{
    float best[B];
    int32_t k = 0;
    EACH_CHANNEL
    best[c] = x[c];
    EACH_CHANNEL
    out_winners[c] = 0;
    for (int64_t kh = 0; kh < row->n_h; kh++) {
        const float *restrict at = x + kh * row->h_step;
        for (int32_t kw = 0; kw < n_w; kw++, k++, at += row->w_step)
            EACH_CHANNEL_AT_ONCE
            {
                const bool wins = (at[c] > best[c]) | (at[c] != at[c]);
                out_winners[c] = wins ? k : out_winners[c];
                best[c] = wins ? at[c] : best[c];
            }
    }
}

static void max_row_grad(const tq_window_row *row, const float *restrict x,
                         const float *restrict dy, float *restrict dx)
{
    for (int64_t o = 0; o < row->n; o++) {
        const int64_t first = row->spans[o].first * (int64_t)B;
        const int32_t n_w = row->spans[o].n;
        int32_t winners[B], k = 0;
        if (n_w == 0 || row->n_h == 0)
            continue;
        find_winners(row, n_w, x + first, winners);
        for (int64_t kh = 0; kh < row->n_h; kh++)
            for (int32_t kw = 0; kw < n_w; kw++, k++) {
                float *to = dx + first + kh * row->h_step + kw * row->w_step;
                EACH_CHANNEL_AT_ONCE
                to[c] = winners[c] == k ? to[c] + dy[o * B + c] : to[c];
            }
    }
}

static void to_half(int64_t n, const float *restrict x, uint16_t *restrict y)
{
    const uint32_t *bits = (const uint32_t *)(const void *)x;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t b = bits[i], rounded = b + 0x7fff + (b >> 16 & 1);
        y[i] = (uint16_t)((b & 0x7fffffff) > 0x7f800000 ? b >> 16 | 0x40 : rounded >> 16);
    }
}

static void from_half(int64_t n, const uint16_t *restrict x, float *restrict y)
{
    uint32_t *bits = (uint32_t *)(void *)y;
    for (int64_t i = 0; i < n; i++)
        bits[i] = (uint32_t)x[i] << 16;
}

static void pair_rows(const float *x, int64_t x_stride, uint16_t *restrict y)
{
    for (int i = 0; i < B; i += 2, y += 2 * B) {
        uint16_t rows[2][B];
        to_half(B, x + i * x_stride, rows[0]);
        to_half(B, x + (i + 1) * x_stride, rows[1]);
        EACH_CHANNEL
        {
            y[2 * c] = rows[0][c];
            y[2 * c + 1] = rows[1][c];
        }
    }
}

/* ---- transposing --------------------------------------------------------------------------- */

typedef float lanes __attribute__((vector_size(4 * B)));
typedef float lanes_u __attribute__((vector_size(4 * B), aligned(4), may_alias));
typedef int32_t lane_numbers __attribute__((vector_size(4 * B)));

/** Where lane c of the two results of one step comes from: among lanes of a, then of b, which stay
 *  where bit `step` of their number says, the others change places. */
static inline lane_numbers places(int step, int which)
{
    lane_numbers p;
    for (int c = 0; c < B; c++)
        p[c] = which == 0 ? (c & step ? B + (c ^ step) : c) : (c & step ? B + c : c ^ step);
    return p;
}

/* Rows i and i + step exchange the lanes that differ in bit `step`; after all steps rows are
 * columns. */
static void transpose(const float *x, int64_t x_stride, float *y, int64_t y_stride)
{
    lanes rows[B];
    for (int i = 0; i < B; i++)
        rows[i] = *(const lanes_u *)(x + i * x_stride);
#pragma GCC unroll 4
    for (int step = 1; step < B; step *= 2) {
        const lane_numbers first = places(step, 0), second = places(step, 1);
#pragma GCC unroll 16
        for (int i = 0; i < B; i++) {
            if (i & step)
                continue;
            const lanes a = rows[i], b = rows[i + step];
            rows[i] = __builtin_shuffle(a, b, first);
            rows[i + step] = __builtin_shuffle(a, b, second);
        }
    }
    for (int i = 0; i < B; i++)
        *(lanes_u *)(y + i * y_stride) = rows[i];
}

static void gather(int64_t n, int n_channels, int64_t plane, const float *restrict x,
                   float *restrict y)
{
    int64_t i = 0;
    for (; n_channels == B && i + B <= n; i += B)
        transpose(x + i, plane, y + i * B, B);
    for (; i < n; i++)
        EACH_CHANNEL
    y[i * B + c] = c < n_channels ? x[c * plane + i] : 0.0f;
}

static void scatter(int64_t n, int n_channels, int64_t plane, const float *restrict x,
                    float *restrict y)
{
    int64_t i = 0;
    for (; n_channels == B && i + B <= n; i += B)
        transpose(x + i * B, B, y + i, plane);
    for (int c = 0; c < n_channels; c++)
        for (int64_t k = i; k < n; k++)
            y[c * plane + k] = x[k * B + c];
}

const tq_blocks TQ_BLOCKS_SET = {
    .name = TQ_BLOCKS_NAME,
    .needs = TQ_BLOCKS_NEEDS,
    .block = B,
    .affine = affine,
    .affine_grad = affine_grad,
    .scale = scale,
    .shift = shift,
    .sum = sum,
    .sums = sums,
    .max_row = max_row,
    .max_row_grad = max_row_grad,
    .to_half = to_half,
    .from_half = from_half,
    .pair_rows = pair_rows,
    .transpose = transpose,
    .gather = gather,
    .scatter = scatter,
};
