/* Constants by which blocks requantise give the bits of the definition. */
#include "book.h"

TEST(every_search_for_extremes_equals_the_definition)
{
    tq_random_init(&stream, 3, 0, 0);
    for (int i = 0; i < 500; i++) {
        const int32_t m = (int32_t)draw(1, i % 2 ? 50 : INT32_MAX);
        const int32_t begin = (int32_t)draw(-127, 0);
        const tq_residues r = { .m = m,
                                .step = (int32_t)draw(0, m - 1),
                                .first = (int32_t)draw(0, m - 1),
                                .middle = (int32_t)draw(0, m - 1),
                                .begin = begin,
                                .last = begin + (int32_t)draw(0, 254),
                                .tilt = (double)draw(-100, 100) * 1e-9,
                                .rate = 1.0 / (double)m };
        double low = INFINITY, high = -INFINITY, least, most;
        for (int64_t k = r.begin; k <= r.last; k++) {
            const int64_t residue = ((r.first - (k - r.begin) * r.step) % m + m) % m;
            const double v = (double)k * r.tilt + r.rate * (double)(r.middle - residue);
            low = fmin(low, v);
            high = fmax(high, v);
        }
        for (const tq_extremes_variant *v = tq_extremes_variants; v->name; v++)
            if (check_cpu_has(v->needs, v->name)) {
                v->find(&r, &least, &most);
                CHECK(least == low && most == high);
            }
    }
}

/* Floats are compared with words at every sum there is: scales that are powers of two put
 * thresholds exactly on sums, odd ones close beside. */
TEST(floats_that_are_chosen_give_every_code)
{
    int n_floats = 0, n_words = 0;
    const tq_extremes_variant *portable = tq_extremes_variants;
    while (portable->needs)
        portable++;
    tq_random_init(&stream, 4, 0, 0);
    for (int i = 0; i < 60; i++) {
        tq_block_constants constants = { 0 };
        tq_requant_exact exact;
        tq_sum_range range = { 0, -draw(1, 200000), draw(1, 200000) };
        book b;
        open_book(&b, 3e4, i % 2, i % 2 ? -128 : 0, i % 2 ? 127 : 255);
        if (i % 3 == 0)
            ((int32_t *)b.multiplier.data)[i] = 1 << draw(20, 30);
        CHECK(tq_requant_exact_find(&b.spec, 1, &range, 0, &exact));
        exact.floats = portable;
        tq_block_constants_set(&constants, 0, &b.spec, &exact, i, &range);
        n_words += constants.needs_words;
        n_floats += !constants.needs_words;
        for (int64_t sum = range.least; !constants.needs_words && sum <= range.most; sum++) {
            const double exactly =
                (double)constants.scale[0] * (double)(float)(sum + constants.bias[0]) +
                (double)constants.offset[0];
            const double code =
                fmax(fmin(floor(exactly) + 128.0, exact.common.q_max), exact.common.q_min);
            if ((int64_t)code != code_of(&b, sum, i))
                CHECK_EQ((int64_t)code, code_of(&b, sum, i), "sum %" PRId64, sum);
        }
        close_book(&b);
    }
    CHECK(n_floats > 30);
    CHECK(n_words > 0);
}
