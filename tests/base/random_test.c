/* Random numbers: the same everywhere, for ever. */
#include "check.h"

TEST(the_generator_is_xoshiro256_star_star)
{
    tq_random random = { { 1, 2, 3, 4 } }; /* first values of the authors' program */
    CHECK_EQ(tq_random_u64(&random), 11520);
    CHECK_EQ(tq_random_u64(&random), 0);
    CHECK_EQ(tq_random_u64(&random), 1509978240);
    CHECK_EQ(tq_random_u64(&random), 1215971899390074240);
}

TEST(a_stream_repeats_and_its_key_matters)
{
    tq_random a, b, c, d;
    tq_random_init(&a, 42, 1, 2);
    tq_random_init(&b, 42, 1, 2);
    tq_random_init(&c, 42, 2, 1);
    tq_random_init(&d, 43, 1, 2);
    const uint64_t first = tq_random_u64(&a);
    CHECK(first == tq_random_u64(&b));
    CHECK(first != tq_random_u64(&c) && first != tq_random_u64(&d));
}

TEST(streams_have_fixed_values)
{
    tq_random random;
    tq_random_init(&random, 0, 0, 0);
    CHECK_EQ(tq_random_u64(&random), INT64_C(-8337984852823022123));
    tq_random_init(&random, 7, 3, 1);
    CHECK_EQ(tq_random_u64(&random), INT64_C(2465295738131735582));
    CHECK_NEAR(tq_random_uniform(&random), 0x1.dbb8f43a1c594p-3, 0);
    CHECK_NEAR(tq_random_normal(&random), -0x1.51b903f4f25f6p+0, 0);
    CHECK_NEAR(tq_random_normal(&random), 0x1.64c87839e52a5p-3, 0);
}

TEST(normal_numbers_follow_box_and_muller)
{
    tq_random random, uniform;
    tq_random_init(&random, 5, 0, 0);
    uniform = random;
    for (int i = 0; i < 10000; i++) {
        const double u = 1.0 - tq_random_uniform(&uniform), v = tq_random_uniform(&uniform);
        const double expected = sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
        CHECK_NEAR(tq_random_normal(&random), expected, 1e-14);
    }
}

TEST(normal_numbers_have_mean_0_and_variance_1)
{
    tq_random random;
    tq_random_init(&random, 1, 0, 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        const double x = tq_random_normal(&random);
        sum += x;
        squares += x * x;
    }
    CHECK_NEAR(sum / 100000, 0, 0.01);
    CHECK_NEAR(squares / 100000, 1, 0.02);
}

TEST(below_stays_in_range_and_reaches_all)
{
    tq_random random;
    tq_random_init(&random, 1, 0, 0);
    int seen[7] = { 0 };
    for (int i = 0; i < 7000; i++)
        seen[tq_random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++)
        CHECK(seen[i] > 850 && seen[i] < 1150);
    CHECK_EQ(tq_random_below(&random, 1), 0);
    CHECK(tq_random_below(&random, INT64_MAX) >= 0);
}

TEST(a_shuffle_keeps_all_items)
{
    tq_random random;
    tq_random_init(&random, 1, 0, 0);
    int64_t items[100], sum = 0;
    for (int i = 0; i < 100; i++)
        items[i] = i;
    tq_random_shuffle(&random, items, 100);
    bool seen[100] = { false };
    int n_fixed = 0;
    for (int i = 0; i < 100; i++) {
        n_fixed += items[i] == i;
        CHECK(!seen[items[i]]);
        seen[items[i]] = true;
        sum += items[i];
    }
    CHECK_EQ(sum, 4950);
    CHECK(n_fixed < 10);
}
