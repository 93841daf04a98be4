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

TEST(the_largest_pixel_wins_and_NaN_before_it)
{
    data d;
    int i = 0;
    for (const tq_blocks *l; (l = next(&i, &d));) {
        const float *taps[3] = { d.a, d.a + 5 * l->block, d.a + 9 * l->block };
        float y[TQ_MAX_BLOCK];
        d.a[5 * l->block + 2] = NAN;
        l->max_pixel(3, taps, y);
        for (int c = 0; c < l->block; c++)
            CHECK(c == 2 ? isnan(y[c]) : y[c] == fmaxf(fmaxf(taps[0][c], taps[1][c]), taps[2][c]));
        l->max_pixel(0, taps, y);
        CHECK(isinf(y[0]) && y[0] < 0);
    }
}

/** The sum of outer products of x channel and y channel over the rows of two data points. */
static double by_hand(const tq_outer_job *j, int block, int x_channel, int y_block, int y_channel)
{
    double sum = 0.0;
    for (int s = 0; s < j->n_samples; s++)
        for (int r = 0; r < j->n_rows; r++)
            for (int64_t p = 0; p < j->rows[r].n; p++)
                sum += (double)j->x[s * j->x_sample + j->rows[r].x + p * j->x_step + x_channel] *
                       (double)j->y[s * j->y_sample + j->rows[r].y + y_block * j->y_block +
                                    p * block + y_channel];
    return sum;
}

TEST(outer_products_of_every_set)
{
    static float x[8192], y[8192];
    fill(8192, 6, x);
    fill(8192, 7, y);
    for (int v = 0; tq_outer_variants[v]; v++) {
        const tq_outer *o = tq_outer_variants[v];
        if (!check_cpu_has(o->needs, o->name))
            continue;
        const int b = o->block;
        const tq_outer_row rows[] = { { 0, 0, 5 }, { 13 * b, 7 * b, 0 }, { 20 * b, 9 * b, 3 } };
        const tq_outer_job job = { x, y, 50 * b, 40 * b, 14 * b, 2 * b, rows, 3, 2 };
        for (int n_blocks = 1; n_blocks <= TQ_OUTER_BLOCKS; n_blocks++)
            for (int first = 0; first < b; first += o->n_x) {
                float sums[8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK];
                o->run(&job, first, n_blocks, sums);
                for (int i = 0; i < o->n_x * n_blocks * b; i++)
                    CHECK_NEAR(
                        (double)sums[i],
                        by_hand(&job, b, first + i / (n_blocks * b), i / b % n_blocks, i % b),
                        1e-5);
            }
    }
}
