/* Strips of every variant give the sums of products by hand and their requantisation by the book,
 * and read and write nothing beyond their arrays. */
#include "book.h"

typedef struct shape {
    int n_vectors, n_channels, n_pixels, bits;
    int64_t n_runs, n_groups, x_step;
} shape;

/** Weight of channel c: tap i of group g of run r. */
typedef struct weights {
    int8_t *of_channels; /* [channels][n_runs][n_groups][4] */
    int8_t *packed;
} weights;

static int8_t *weight_at(const weights *w, const shape *s, int c, int64_t r, int64_t g, int i)
{
    return &w->of_channels[((c * s->n_runs + r) * s->n_groups + g) * 4 + i];
}

static weights make_weights(const shape *s)
{
    const int64_t n = s->n_runs * s->n_groups * 4;
    const int fields = 8 / s->bits, n_places = 16 * s->n_vectors;
    weights w = { calloc((size_t)(n * MOST), 1), check_random_bytes(n * n_places / fields) };
    for (int64_t i = 0; i < n * s->n_channels; i++)
        w.of_channels[i] = (int8_t)draw(-(1 << (s->bits - 1)), (1 << (s->bits - 1)) - 1);
    memset(w.packed, 0, (size_t)(n * n_places / fields));
    for (int64_t g = 0; g < s->n_runs * s->n_groups; g++)
        for (int p = 0; p < n_places; p++)
            for (int i = 0; i < 4; i++) {
                int8_t *to = &w.packed[(g / fields * n_places + p) * 4 + i];
                const unsigned field = (unsigned)*weight_at(
                    &w, s, tq_block_channel(s->n_vectors, p), g / s->n_groups, g % s->n_groups, i);
                *to = (int8_t)((uint8_t)*to | (field & ((1u << s->bits) - 1))
                                                  << (g % fields * s->bits));
            }
    return w;
}

static int64_t sum_by_hand(const shape *s, const weights *w, const tq_strip *strip, int pixel,
                           int c, int64_t bias)
{
    int64_t sum = bias;
    for (int64_t r = 0; r < s->n_runs; r++)
        for (int64_t g = 0; g < s->n_groups; g++)
            for (int i = 0; i < 4; i++)
                sum += strip->x[pixel * s->x_step + strip->runs[r] + 4 * g + i] *
                       *weight_at(w, s, c, r, g, i);
    return sum;
}

static tq_sum_range range_by_hand(const shape *s, const weights *w, int c, int64_t bias)
{
    tq_sum_range range = { bias, bias, bias };
    for (int64_t i = 0; i < s->n_runs * s->n_groups * 4; i++) {
        const int64_t v = 255 * w->of_channels[c * s->n_runs * s->n_groups * 4 + i];
        *(v < 0 ? &range.least : &range.most) += v;
    }
    return range;
}

/** Sums first, with more of them to come, then codes. */
static void check_strip(const tq_strip_variant *v, const shape *s, const weights *w, const book *b,
                        tq_strip *strip, const int64_t *biases)
{
    int configured = 0;
    int32_t sums[TQ_STRIP_PIXELS * MOST];
    strip->configured = &configured;
    strip->sums = sums;
    v->run(s->n_vectors, s->n_pixels, strip);
    for (int p = 0; p < s->n_pixels; p++)
        for (int k = 0; k < 16 * s->n_vectors; k++) {
            const int c = tq_block_channel(s->n_vectors, k);
            const int64_t begin = strip->constants->bias[k] / (1 << (8 - s->bits));
            if (c < s->n_channels)
                CHECK_EQ(sums[p * MOST + k] >> (8 - s->bits), sum_by_hand(s, w, strip, p, c, begin),
                         "%s, %d bits", v->name, s->bits);
        }
    strip->sums = NULL;
    v->run(s->n_vectors, s->n_pixels, strip);
    if (v->end)
        v->end();
    for (int p = 0; p < s->n_pixels; p++)
        for (int c = 0; c < s->n_channels; c++)
            CHECK_EQ(tq_strip_y(strip, p)[c],
                     code_of(b, sum_by_hand(s, w, strip, p, c, biases[c]), c),
                     "%s: %d of %d channels, %d pixels, %d bits, channel %d", v->name,
                     s->n_channels, 16 * s->n_vectors, s->n_pixels, s->bits, c);
}

static void check_shape(const shape *s, bool y_signed, int64_t q_min, int64_t q_max)
{
    static const int64_t runs[] = { 0, 1000, 1777 };
    const double reach = (double)s->bits * 2e3 * sqrt((double)(s->n_runs * s->n_groups));
    const weights w = make_weights(s);
    const bool is_dense = draw(0, 1);
    const int n_near = is_dense ? s->n_pixels : (int)draw(1, s->n_pixels);
    const int64_t y_step = is_dense ? s->n_channels : 77;
    book b;
    tq_requant_exact exact;
    tq_sum_range ranges[MOST] = { 0 };
    int64_t biases[MOST];
    open_book(&b, reach, y_signed, q_min, q_max);
    for (int c = 0; c < s->n_channels; c++) {
        biases[c] = draw(-5000, 5000);
        ranges[c] = range_by_hand(s, &w, c, biases[c]);
    }
    tq_block_constants *constants =
        constants_of(&b, s->n_vectors, s->n_channels, s->bits, ranges, &exact);
    tq_strip strip = {
        .x = check_random_bytes((s->n_pixels - 1) * s->x_step + runs[s->n_runs - 1] +
                                4 * s->n_groups),
        .x_step = s->x_step,
        .runs = runs,
        .n_runs = s->n_runs,
        .n_groups = s->n_groups,
        .w = w.packed,
        .bits = s->bits,
        .ahead = w.packed,
        .from = constants->bias,
        .constants = constants,
        .requant = &exact.common,
        .y = check_random_bytes((s->n_pixels - 1) * y_step + s->n_channels +
                                (n_near < s->n_pixels ? 100 : 0)),
        .y_step = y_step,
        .y_jump = 100,
        .n_near = n_near,
        .n_channels = s->n_channels,
    };
    for (const tq_strip_variant *v = tq_strip_variants; v->name; v++)
        if (check_cpu_has(v->needs, v->name) && s->n_pixels <= v->most_pixels[s->n_vectors] &&
            s->n_groups >= v->least_groups && (s->bits == 8 || v->unpacks))
            check_strip(v, s, &w, &b, &strip, biases);
    close_book(&b);
    free(constants);
    free(w.of_channels);
}

TEST(every_strip_of_bytes_equals_the_definition)
{
    static const int64_t groups[] = { 1, 5, 16, 17 };
    tq_random_init(&stream, 1, 0, 0);
    for (int n_vectors = 1; n_vectors <= TQ_BLOCK_VECTORS; n_vectors++)
        for (int n_pixels = 1; n_pixels <= TQ_STRIP_PIXELS; n_pixels++) {
            const int channels = 16 * n_vectors - (int)draw(0, 15);
            const shape s = { n_vectors,
                              channels,
                              n_pixels,
                              8,
                              draw(1, 3),
                              groups[n_pixels % 4],
                              4 * groups[n_pixels % 4] + draw(0, 9) };
            check_shape(&s, n_pixels % 2, n_pixels % 2 ? -128 : 0, n_pixels % 2 ? 127 : 255);
        }
}

/* Windows of three pixels, of which the next two share two and one. */
TEST(every_strip_of_overlapping_windows_equals_the_definition)
{
    tq_random_init(&stream, 3, 0, 0);
    for (int n_vectors = 1; n_vectors <= 2; n_vectors++)
        for (int n_pixels = 1; n_pixels <= TQ_STRIP_PIXELS; n_pixels++) {
            const int64_t step = 4 * (1 + n_pixels % 5);
            const shape s = {
                n_vectors, 16 * n_vectors, n_pixels, 8, draw(1, 3), 3 * step / 4, step
            };
            check_shape(&s, n_pixels % 2, n_pixels % 2 ? -128 : 0, n_pixels % 2 ? 127 : 255);
        }
}

TEST(every_strip_of_packed_weights_equals_the_definition)
{
    tq_random_init(&stream, 2, 0, 0);
    for (int bits = 2; bits <= 4; bits += 2)
        for (int n_pixels = 1; n_pixels <= TQ_STRIP_PIXELS; n_pixels++) {
            const int64_t n_groups = 4 * draw(1, 9);
            const shape s = { TQ_BLOCK_VECTORS, 49 + n_pixels % 16, n_pixels,    bits,
                              draw(1, 3),       n_groups,           4 * n_groups };
            check_shape(&s, n_pixels % 3 == 0, 0, n_pixels % 2 ? 15 : 127);
        }
}
