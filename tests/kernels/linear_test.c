/* Products of rows of every set: sums by hand, and the same bits whatever rows are beside. */
#include "check.h"
#include "kernels/f32/linear_internal.h"

#include <string.h>

enum { ROWS = 7, IN = 83, OUT = 75, MOST = ROWS * (IN > OUT ? IN : OUT), WEIGHTS = IN * OUT };

static void fill(int64_t n, uint64_t seed, float *x)
{
    tq_random random;
    tq_random_init(&random, seed, 1, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * tq_random_uniform(&random) - 1.0);
}

static float x[MOST], w[WEIGHTS], bias[OUT], y[MOST], one[MOST];

static const tq_linear_set *next(int *i)
{
    const tq_linear_set *set = tq_linear_variants[*i];
    if (!set)
        return NULL;
    ++*i;
    if (!check_cpu_has(set->needs, set->name))
        return next(i);
    fill(MOST, 1, x);
    fill(WEIGHTS, 2, w);
    fill(OUT, 3, bias);
    return set;
}

/** Element (row, column) of x w^T + bias, or of x w + bias. */
static double by_hand(const tq_linear *l, bool transposed, int64_t row, int64_t column)
{
    double sum = l->bias ? (double)l->bias[column] : 0.0;
    for (int64_t k = 0; k < l->n_in; k++)
        sum += (double)l->x[row * l->n_in + k] *
               (double)l->w[transposed ? column * l->n_in + k : k * l->n_out + column];
    return sum;
}

static void check_product(const tq_linear_set *set, bool transposed, tq_linear l)
{
    void (*const run)(const tq_linear *) = transposed ? set->dot : set->combine;
    memset(y, 0, sizeof y);
    l.y = y;
    run(&l);
    for (int64_t row = 0; row < l.n_rows; row++) {
        for (int64_t c = 0; c < l.n_out; c++)
            if (c < l.begin || c >= l.end)
                CHECK(y[row * l.n_out + c] == 0.0f);
            else
                CHECK_NEAR((double)y[row * l.n_out + c], by_hand(&l, transposed, row, c), 2e-5);
        tq_linear alone = l;
        alone.x = l.x + row * l.n_in;
        alone.n_rows = 1;
        alone.y = one;
        run(&alone);
        for (int64_t c = l.begin; c < l.end; c++)
            CHECK(one[c] == y[row * l.n_out + c]);
    }
}

TEST(rows_times_a_matrix)
{
    int i = 0;
    for (const tq_linear_set *set; (set = next(&i));)
        for (int t = 0; t <= 1; t++) {
            const tq_linear all = { x, w, bias, y, ROWS, IN, OUT, 0, OUT };
            check_product(set, t, all);
            const tq_linear some = { x, w, NULL, y, ROWS, IN, OUT, 5, 72 };
            check_product(set, t, some);
            const tq_linear small = { x, w, bias, y, 2, 3, 10, 0, 10 };
            check_product(set, t, small);
        }
}

TEST(sums_of_outer_products_of_rows)
{
    int i = 0;
    for (const tq_linear_set *set; (set = next(&i));)
        for (int n = 1; n <= TQ_LINEAR_COLUMNS; n++) {
            tq_linear_outer l = { .a = x, .b = w, .n_a = 9, .n_b = IN, .begin = 2, .end = 6 };
            float sums[TQ_LINEAR_COLUMNS * IN];
            l.first = 3;
            l.n = n;
            l.column = 4;
            l.n_columns = 77;
            set->outer(&l, sums);
            for (int j = 0; j < n; j++)
                for (int64_t c = 0; c < l.n_columns; c++) {
                    double sum = 0.0;
                    for (int64_t r = l.begin; r < l.end; r++)
                        sum += (double)l.a[r * l.n_a + l.first + j] *
                               (double)l.b[r * l.n_b + l.column + c];
                    CHECK_NEAR((double)sums[j * l.n_columns + c], sum, 1e-5);
                }
        }
}
