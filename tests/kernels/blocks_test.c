/* Loops over blocked tiles and sums of outer products: every set against sums by hand. */
#include "check.h"
#include "kernels/f32/blocks_internal.h"
#include "kernels/f32/outer_internal.h"

#include <math.h>
#include <string.h>

enum { PIXELS = 37, MOST = PIXELS * TQ_MAX_BLOCK };

typedef struct data {
    float a[MOST], b[MOST], mean[TQ_MAX_BLOCK], k[TQ_MAX_BLOCK], c[TQ_MAX_BLOCK];
} data;

static void fill(int64_t n, uint64_t seed, float *x)
{
    tq_random random;
    tq_random_init(&random, seed, 1, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * tq_random_uniform(&random) - 1.0);
}

static const tq_blocks *next(int *i, data *d)
{
    const tq_blocks *blocks = tq_blocks_variants[*i];
    if (!blocks)
        return NULL;
    ++*i;
    if (!check_cpu_has(blocks->needs, blocks->name))
        return next(i, d);
    fill(MOST, 1, d->a);
    fill(MOST, 2, d->b);
    fill(TQ_MAX_BLOCK, 3, d->mean);
    fill(TQ_MAX_BLOCK, 4, d->k);
    fill(TQ_MAX_BLOCK, 5, d->c);
    return blocks;
}

TEST(factors_belong_to_channels)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));) {
        float y[4][MOST];
        l->affine(PIXELS, d.a, d.mean, d.k, d.c, y[0]);
        l->affine_grad(PIXELS, d.b, d.a, d.mean, d.k, d.c, d.k, y[1]);
        l->scale(PIXELS, d.a, d.k, y[2]);
        l->shift(PIXELS, d.a, d.k, y[3]);
        for (int p = 0; p < PIXELS * l->block; p++) {
            const int c = p % l->block;
            CHECK(y[0][p] == (d.a[p] - d.mean[c]) * d.k[c] + d.c[c]);
            CHECK(y[1][p] == d.k[c] * d.b[p] + (d.c[c] * (d.a[p] - d.mean[c]) + d.k[c]));
            CHECK(y[2][p] == d.k[c] * d.a[p] && y[3][p] == d.a[p] + d.k[c]);
        }
    }
}

TEST(sums_of_channels_are_added)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));)
        for (int n = 0; n <= PIXELS; n++) {
            double one[TQ_MAX_BLOCK], two[2 * TQ_MAX_BLOCK];
            for (int c = 0; c < 2 * l->block; c++)
                one[c % l->block] = two[c] = 1.0;
            l->sum(n, d.a, one);
            l->sums(n, d.a, d.b, two);
            for (int c = 0; c < l->block; c++) {
                double sum = 1.0, products = 1.0;
                for (int p = 0; p < n; p++) {
                    sum += (double)d.a[p * l->block + c];
                    products += (double)d.a[p * l->block + c] * (double)d.b[p * l->block + c];
                }
                CHECK_NEAR(one[c], sum, 1e-12);
                CHECK_NEAR(two[c], sum, 1e-12);
                CHECK_NEAR(two[l->block + c], products, 1e-12);
            }
        }
}

TEST(planes_to_blocks_and_back)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));)
        for (int n_channels = 1; n_channels <= l->block; n_channels++) {
            float y[MOST], back[MOST];
            memset(y, 7, sizeof y);
            l->gather(PIXELS, n_channels, PIXELS, d.a, y);
            l->scatter(PIXELS, n_channels, PIXELS, y, back);
            CHECK(!memcmp(back, d.a, (size_t)(n_channels * PIXELS) * sizeof(float)));
            for (int p = 0; p < PIXELS; p++)
                for (int c = n_channels; c < l->block; c++)
                    CHECK(y[p * l->block + c] == 0.0f);
        }
}

/* Two windows: rows 0 and 2 of columns 1 and 3, and none at all. Rows are of five pixels. */
static const tq_span spans[2] = { { 1, 2 }, { 0, 0 } };

static tq_window_row two_windows(int block)
{
    return (tq_window_row){
        .n = 2, .spans = spans, .n_h = 2, .h_step = 10 * block, .w_step = 2 * block
    };
}

TEST(the_largest_pixel_wins_and_NaN_before_it)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));) {
        const int b = l->block;
        const tq_window_row row = two_windows(b);
        float y[2 * TQ_MAX_BLOCK];
        d.a[11 * b + 2] = NAN;
        l->max_row(&row, d.a, y);
        for (int c = 0; c < b; c++)
            CHECK(c == 2 ? isnan(y[c])
                         : y[c] == fmaxf(fmaxf(d.a[b + c], d.a[3 * b + c]),
                                         fmaxf(d.a[11 * b + c], d.a[13 * b + c])));
        CHECK(isinf(y[b]) && y[b] < 0);
    }
}

TEST(a_gradient_goes_to_the_first_largest_pixel_or_the_last_NaN)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));) {
        const int b = l->block;
        const tq_window_row row = two_windows(b);
        float dx[15 * TQ_MAX_BLOCK] = { 0 }, dy[2 * TQ_MAX_BLOCK];
        for (int c = 0; c < b; c++) {
            d.a[b + c] = d.a[11 * b + c] = 1.0f;
            d.a[3 * b + c] = d.a[13 * b + c] = c == 1 ? NAN : c == 2 ? 2.0f : 0.0f;
            dy[c] = dy[b + c] = (float)(c + 1);
            dx[b + c] = 10.0f;
        }
        l->max_row_grad(&row, d.a, dy, dx);
        for (int c = 0; c < b; c++) {
            const int winner = c == 1 ? 13 : c == 2 ? 3 : 1;
            for (int p = 0; p < 15; p++)
                CHECK(dx[p * b + c] ==
                      (p == 1 ? 10.0f : 0.0f) + (p == winner ? (float)(c + 1) : 0.0f));
        }
    }
}

/** To the nearest bf16, by arithmetic: 8 bits of significand, half to even. */
static float rounded(float x)
{
    int exponent;
    const double m = frexp((double)x, &exponent);
    return (float)ldexp(nearbyint(ldexp(m, 8)), exponent - 8);
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

TEST(bf16_is_the_nearest)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));) {
        uint16_t half[MOST];
        float back[MOST];
        d.a[0] = 1.00390625f; /* ties, down and up to even */
        d.a[1] = 1.01171875f;
        d.a[2] = -0.0f;
        d.a[3] = (float)INFINITY;
        d.a[4] = from_bits(0x7f800001); /* NaN, none of whose bits is kept */
        d.a[5] = from_bits(0x7f7fffff); /* to infinity */
        l->to_half(MOST, d.a, half);
        l->from_half(MOST, half, back);
        CHECK(back[0] == 1.0f && back[1] == 1.015625f && signbit(back[2]) && back[2] == 0.0f);
        CHECK(isinf(back[3]) && isnan(back[4]) && isinf(back[5]));
        for (int k = 6; k < MOST; k++)
            CHECK(back[k] == rounded(d.a[k]));
    }
}

TEST(pairs_of_rows_are_interleaved)
{
    data d;
    int v = 0;
    for (const tq_blocks *l; (l = next(&v, &d));) {
        const int b = l->block, stride = b + 5;
        uint16_t half[TQ_MAX_BLOCK * TQ_MAX_BLOCK];
        float back[TQ_MAX_BLOCK * TQ_MAX_BLOCK];
        l->pair_rows(d.a, stride, half);
        l->from_half(b * b, half, back);
        for (int row = 0; row < b; row++)
            for (int c = 0; c < b; c++)
                CHECK(back[row / 2 * 2 * b + 2 * c + row % 2] == rounded(d.a[row * stride + c]));
    }
}

/** The sum of outer products of x channel and y channel over the rows of two data points. */
static double by_hand(const tq_outer_job *j, int block, int x_channel, int y_block, int y_channel)
{
    const float *x = j->x, *y = j->y;
    double sum = 0.0;
    for (int s = 0; s < j->n_samples; s++)
        for (int r = 0; r < j->n_rows; r++)
            for (int64_t p = 0; p < j->rows[r].n; p++)
                sum += (double)x[s * j->x_sample + j->rows[r].x + p * j->x_step + x_channel] *
                       (double)y[s * j->y_sample + j->rows[r].y + y_block * j->y_block + p * block +
                                 y_channel];
    return sum;
}

/** Every tile of the job, on f32 or on the same in bf16, to which two earlier sums are added. */
static void check_outer(const tq_outer *o, const tq_outer_job *reals, const tq_outer_job *job,
                        bool is_half)
{
    const int b = o->block;
    for (int n_blocks = 1; n_blocks <= TQ_OUTER_BLOCKS; n_blocks++)
        for (int first = 0; first < b; first += o->n_x) {
            float sums[8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK];
            (is_half ? o->run_half : o->run)(job, first, n_blocks, sums);
            for (int i = 0; i < o->n_x * n_blocks * b; i++)
                CHECK_NEAR((double)sums[i],
                           by_hand(reals, b, first + i / (n_blocks * b), i / b % n_blocks, i % b) +
                               (double)job->more[0][i] + (double)job->more[1][i],
                           1e-5);
        }
}

TEST(outer_products_of_every_set)
{
    static float x[8192], y[8192], more[2][8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK];
    static uint16_t half_x[8192], half_y[8192];
    fill(8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK, 8, more[0]);
    fill(8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK, 9, more[1]);
    for (int v = 0; tq_outer_variants[v]; v++) {
        const tq_outer *o = tq_outer_variants[v];
        if (!check_cpu_has(o->needs, o->name))
            continue;
        fill(8192, 6, x);
        fill(8192, 7, y);
        const int b = o->block;
        const tq_outer_row rows[] = { { 0, 0, 5 }, { 13 * b, 7 * b, 0 }, { 20 * b, 9 * b, 4 } };
        tq_outer_job job = {
            x, y, 50 * b, 40 * b, 14 * b, 2 * b, rows, 3, 2, 2, { more[0], more[1] }
        };
        check_outer(o, &job, &job, false);
        tq_blocks_best()->to_half(8192, x, half_x);
        tq_blocks_best()->to_half(8192, y, half_y);
        tq_blocks_best()->from_half(8192, half_x, x);
        tq_blocks_best()->from_half(8192, half_y, y);
        tq_outer_job half = job;
        half.x = half_x;
        half.y = half_y;
        check_outer(o, &job, &half, true);
        job.x_step = half.x_step = b;
        check_outer(o, &job, &half, true);
    }
}
