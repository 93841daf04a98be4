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

static void max_pixel(int64_t n_taps, const float *const *taps, float *restrict y)
{
    float best[B];
    EACH_CHANNEL
    best[c] = -INFINITY;
    for (int64_t t = 0; t < n_taps; t++)
        EACH_CHANNEL
        {
            const float v = taps[t][c];
            best[c] = (v > best[c]) | (v != v) ? v : best[c];
        }
    EACH_CHANNEL
    y[c] = best[c];
}

static void gather(int64_t n, int n_channels, int64_t plane, const float *restrict x,
                   float *restrict y)
{
    if (n_channels < B)
        for (int64_t i = 0; i < n * B; i++)
            y[i] = 0.0f;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < n_channels; c++)
            y[i * B + c] = x[c * plane + i];
}

static void scatter(int64_t n, int n_channels, int64_t plane, const float *restrict x,
                    float *restrict y)
{
    for (int c = 0; c < n_channels; c++)
        for (int64_t i = 0; i < n; i++)
            y[c * plane + i] = x[i * B + c];
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
    .max_pixel = max_pixel,
    .gather = gather,
    .scatter = scatter,
};
