/* Depthwise runs of every variant give the sums of products by hand and their requantisation by the
 * book, and read and write nothing beyond their arrays. */
#include "book.h"
#include "kernels/int/depthwise_internal.h"

typedef struct window {
    int64_t h, w, x_row, x_column, x_step, n;
    int n_live, n_last;
} window;

enum { BIAS = 77 };

static int64_t sum_by_hand(const window *s, const uint8_t *x, const int8_t *w, int c)
{
    int64_t sum = BIAS;
    int p = 0;
    while (tq_block_channel(4, p) != c)
        p++;
    for (int64_t kh = 0; kh < s->h; kh++)
        for (int64_t kw = 0; kw < s->w; kw++)
            sum += x[kh * s->x_row + kw * s->x_column + c] *
                   w[(kw * ((s->h + 3) / 4) + kh / 4) * 256 + p * 4 + kh % 4];
    return sum;
}

static void check_depthwise(const window *s)
{
    const int64_t n_groups = (s->h + 3) / 4;
    int8_t *w = aligned_alloc(64, (size_t)(s->w * n_groups * 256));
    tq_sum_range ranges[MOST];
    tq_requant_exact exact;
    book b;
    open_book(&b, 2e4 * sqrt((double)(s->h * s->w)), s->n % 2, s->n % 2 ? -128 : 0,
              s->n % 2 ? 127 : 255);
    for (int64_t i = 0; i < s->w * n_groups * 256; i++)
        w[i] = i / 256 % n_groups * 4 + i % 4 < s->h ? (int8_t)draw(-128, 127) : 0;
    for (int p = 0; p < MOST; p++) {
        tq_sum_range *range = &ranges[tq_block_channel(4, p)];
        *range = (tq_sum_range){ BIAS, BIAS, BIAS };
        for (int64_t g = 0; g < s->w * n_groups * 4; g++) {
            const int64_t v = 255 * w[g / 4 * 256 + p * 4 + g % 4];
            *(v < 0 ? &range->least : &range->most) += v;
        }
    }
    tq_block_constants *constants = constants_of(&b, 4, MOST, 8, ranges, &exact);
    const uint8_t *x = check_random_bytes((s->n - 1) * s->x_step + (s->h - 1) * s->x_row +
                                          (s->w - 1) * s->x_column + MOST);
    uint8_t *y = check_random_bytes((s->n - 1) * 65 + s->n_last);
    const tq_depthwise_run r = { x,    s->x_row, s->x_column, s->x_step,     s->h,
                                 s->w, w,        constants,   &exact.common, y,
                                 65,   s->n,     s->n_live,   s->n_last };
    for (const tq_depthwise_variant *v = tq_depthwise_variants; v->name; v++) {
        if (!check_cpu_has(v->needs, v->name))
            continue;
        v->run(&r);
        for (int64_t k = 0; k < s->n; k++)
            for (int c = 0; c < (k == s->n - 1 ? s->n_last : s->n_live); c++) {
                const int64_t sum = sum_by_hand(s, x + k * s->x_step, w, c);
                CHECK_EQ(y[k * 65 + c], code_of(&b, sum, c), "%s: %dx%d, vector %d, channel %d",
                         v->name, (int)s->h, (int)s->w, (int)k, c);
            }
    }
    close_book(&b);
    free(constants);
    free(w);
}

TEST(every_depthwise_run_equals_the_definition)
{
    tq_random_init(&stream, 5, 0, 0);
    for (int64_t kernel = 1; kernel <= 7; kernel++)
        for (int64_t n = 1; n <= 9; n++) {
            const int live = (int)draw(1, 64);
            check_depthwise(&(window){ kernel, kernel, 640, 70, 70, n, live, live });
            check_depthwise(&(window){ kernel, kernel, 900, 32, 64, n, 64, (int)draw(1, 64) });
            check_depthwise(&(window){ kernel, 8 - kernel, 700, 5, 64, n, live, live });
        }
}
