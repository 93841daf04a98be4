/* Rounding of numbers, above all of ties. */
#include "check.h"

static void check_ties(tq_rounding rounding, const double expected[6])
{
    static const double v[6] = { -2.5, -1.5, -0.5, 0.5, 1.5, 2.5 };
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(tq_round(v[i], rounding, 0.5), expected[i], 0.0);
}

TEST(ties_go_where_the_name_says)
{
    check_ties(TQ_ROUND_HALF_UP, (double[]){ -2, -1, 0, 1, 2, 3 });
    check_ties(TQ_ROUND_HALF_EVEN, (double[]){ -2, -2, 0, 0, 2, 2 });
    check_ties(TQ_ROUND_HALF_AWAY, (double[]){ -3, -2, -1, 1, 2, 3 });
    check_ties(TQ_ROUND_FLOOR, (double[]){ -3, -2, -1, 0, 1, 2 });
}

TEST(just_below_a_half_rounds_down)
{
    CHECK_NEAR(tq_round(0.49999999999999994, TQ_ROUND_HALF_UP, 0.0), 0.0, 0.0);
}

TEST(stochastic_rounds_up_as_often_as_the_fraction_says)
{
    int n_up = 0;
    for (int i = 0; i < 1000; i++)
        n_up += tq_round(3.25, TQ_ROUND_STOCHASTIC, i / 1000.0) == 4.0;
    CHECK_EQ(n_up, 250);
    CHECK_NEAR(tq_round(3.0, TQ_ROUND_STOCHASTIC, 0.0), 3.0, 0.0);
}

TEST(nan_and_infinity_stay)
{
    for (int r = TQ_ROUND_HALF_UP; r <= TQ_ROUND_STOCHASTIC; r++) {
        CHECK(isnan(tq_round(NAN, (tq_rounding)r, 0.5)));
        CHECK(tq_round(INFINITY, (tq_rounding)r, 0.5) == INFINITY);
    }
}

TEST(names_parse_back)
{
    for (int r = TQ_ROUND_HALF_UP; r <= TQ_ROUND_STOCHASTIC; r++) {
        tq_rounding back;
        CHECK_OK(tq_rounding_parse(tq_rounding_name((tq_rounding)r), &back));
        CHECK_EQ(back, r);
    }
    tq_rounding none;
    CHECK_FAILS(tq_rounding_parse("up", &none), TQ_ERR_VALUE, "half-up");
}
