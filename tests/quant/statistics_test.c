/* Streaming statistics, and the ranges that observers make of them. */
#include "check.h"

enum { N = 10000 };

static void fill(float *x, float centre)
{
    tq_random random;
    tq_random_init(&random, 7, 0, 0);
    for (int i = 0; i < N; i++)
        x[i] = centre + (float)tq_random_normal(&random);
}

/** Two passes in long double. */
static void check_by_hand(const tq_statistics *s, const float *x, int n)
{
    long double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    for (int i = 0; i < n; i++)
        squares += (x[i] - sum / n) * (x[i] - sum / n);
    CHECK_EQ(s->n, n);
    CHECK_NEAR(s->mean, (double)(sum / n), 1e-12 * fabs((double)(sum / n)) + 1e-13);
    CHECK_NEAR(s->m2, (double)squares, 1e-10 * (double)squares);
}

TEST(mean_and_variance_equal_two_passes)
{
    static float x[N];
    fill(x, 0.0f);
    tq_statistics s;
    tq_statistics_reset(&s);
    tq_statistics_observe(&s, N, x);
    check_by_hand(&s, x, N);
}

TEST(a_large_mean_does_not_cancel_the_variance)
{
    static float x[N];
    fill(x, 1e5f);
    tq_statistics s;
    tq_statistics_reset(&s);
    for (int i = 0; i < N; i += 1000)
        tq_statistics_observe(&s, 1000, x + i);
    check_by_hand(&s, x, N);
}

TEST(merged_parts_equal_the_whole)
{
    static float x[N];
    fill(x, 3.0f);
    tq_statistics whole, part[2];
    tq_statistics_reset(&whole);
    tq_statistics_observe(&whole, N, x);
    for (int k = 0; k < 2; k++)
        tq_statistics_reset(&part[k]);
    tq_statistics_observe(&part[0], 777, x);
    tq_statistics_observe(&part[1], N - 777, x + 777);
    tq_statistics_merge(&part[0], &part[1]);
    check_by_hand(&part[0], x, N);
    CHECK_NEAR(part[0].min, whole.min, 0.0);
    CHECK_NEAR(part[0].max, whole.max, 0.0);
}

TEST(the_same_calls_give_the_same_bits)
{
    static float x[N];
    fill(x, 0.5f);
    tq_statistics a, b;
    tq_statistics_reset(&a);
    tq_statistics_reset(&b);
    tq_statistics_observe(&a, N, x);
    tq_statistics_observe(&b, N, x);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
}

TEST(nan_and_infinite_values_are_counted_apart)
{
    const float x[] = { 1.0f, NAN, 3.0f, INFINITY, -INFINITY, 2.0f };
    tq_statistics s;
    tq_statistics_reset(&s);
    tq_statistics_observe(&s, 6, x);
    CHECK_EQ(s.n, 3);
    CHECK_EQ(s.n_bad, 3);
    CHECK_NEAR(s.mean, 2.0, 0.0);
    CHECK_NEAR(s.max, 3.0, 0.0);
    double a, b;
    CHECK_FAILS(tq_init_range(&(tq_init){ .kind = TQ_INIT_MINMAX }, &s, &a, &b), TQ_ERR_VALUE,
                "3 of 6 observed elements are NaN or infinite");
}

TEST(merging_an_empty_part_changes_nothing)
{
    tq_statistics s, empty;
    tq_statistics_reset(&s);
    tq_statistics_reset(&empty);
    tq_statistics_merge(&s, &empty);
    CHECK_EQ(s.n, 0);
    tq_statistics_observe(&s, 1, (float[]){ 4.0f });
    tq_statistics_merge(&s, &empty);
    CHECK_NEAR(s.mean, 4.0, 0.0);
    CHECK_NEAR(s.m2, 0.0, 0.0);
}

static void check_init(const char *text, double expected_a, double expected_b)
{
    tq_statistics s;
    tq_statistics_reset(&s);
    tq_statistics_observe(&s, 4, (float[]){ -1.0f, 3.0f, -1.0f, 3.0f }); /* mean 1, std 2 */
    tq_init init, back;
    double a, b;
    CHECK_OK(tq_init_parse(text, &init));
    CHECK_OK(tq_init_range(&init, &s, &a, &b));
    CHECK_NEAR(a, expected_a, 0.0);
    CHECK_NEAR(b, expected_b, 0.0);
    CHECK_OK(tq_init_parse(tq_init_text(&init).s, &back));
    CHECK(back.kind == init.kind && back.a == init.a && back.b == init.b);
}

TEST(observers_give_the_ends_of_quantlib)
{
    check_init("minmax", -1.0, 3.0);
    check_init("const", -1.0, 1.0);
    check_init("const:0,6", 0.0, 6.0);
    check_init("meanstd", -5.0, 7.0);
    check_init("meanstd:5", -9.0, 11.0);
}

TEST(bad_inits_are_refused)
{
    static const char *const bad[] = { "min-max",     "const:6,0",   "const:1",
                                       "const:1,2,3", "meanstd:0",   "meanstd:x",
                                       "minmax:1",    "const:nan,1", "" };
    for (int i = 0; i < TQ_COUNT(bad); i++) {
        tq_init init;
        CHECK_FAILS(tq_init_parse(bad[i], &init), TQ_ERR_VALUE, "init");
    }
}

TEST(nothing_observed_is_an_error_but_for_const)
{
    tq_statistics s;
    tq_statistics_reset(&s);
    double a, b;
    CHECK_FAILS(tq_init_range(&(tq_init){ .kind = TQ_INIT_MEANSTD, .n_std = 3 }, &s, &a, &b),
                TQ_ERR_STATE, "nothing was observed");
    CHECK_OK(tq_init_range(&(tq_init){ .kind = TQ_INIT_CONST, .a = -1, .b = 1 }, &s, &a, &b));
}
