/* PACT: grids from bounds, gradients, and the defects of its predecessors. */
#include "check.h"

extern const tq_quantizer tq_quantizer_pact;
static const tq_quantizer *const pact = &tq_quantizer_pact;

static tq_range range_of(const char *text)
{
    tq_range range;
    CHECK_OK(tq_range_parse(text, &range));
    return range;
}

/** The grid after init with [a, b]. */
static tq_grid grid_for(const tq_range *range, double a, double b, tq_rounding rounding,
                        float *params)
{
    CHECK_OK(pact->init(range, a, b, params));
    tq_grid grid;
    pact->grid(range, rounding, params, &grid);
    return grid;
}

/* QuantLib snaps signed bounds to -128 * (|clip_lo| / 127): x 2548 after 1000 forwards. */
TEST(signed_bounds_do_not_drift_over_1000_forwards)
{
    static const char *const ranges[] = { "i8",         "limpbitwidth:8,signed:true", "u8",
                                          "bitwidth:8", "n_levels:256,offset:-10",    "binary",
                                          "ternary" };
    for (int r = 0; r < TQ_COUNT(ranges); r++) {
        const tq_range range = range_of(ranges[r]);
        float params[2];
        const tq_grid first = grid_for(&range, -1.3, 2.7, TQ_ROUND_HALF_UP, params);
        tq_grid grid = first;
        for (int i = 0; i < 1000; i++) {
            float y, x = 0.77f;
            pact->forward(&grid, params, 1, &x, &y, 0);
            pact->grid(&range, TQ_ROUND_HALF_UP, params, &grid);
        }
        CHECK(grid.scale == first.scale && grid.zero_point == first.zero_point);
    }
}

TEST(the_first_grid_is_quantlibs)
{
    float params[2];
    const tq_range i8 = range_of("i8"), u8 = range_of("u8");
    CHECK_NEAR(grid_for(&i8, -1.0, 1.0, 0, params).scale, 1.0f / 127.0f, 0.0);
    CHECK_NEAR(params[0], -128.0 / 127.0, 1e-7);
    CHECK_NEAR(grid_for(&u8, -0.5, 6.0, 0, params).scale, 6.0f / 255.0f, 0.0);
    CHECK_NEAR(params[0], 0.0, 0.0);
    CHECK_NEAR(params[1], 6.0, 0.0);
}

TEST(the_bound_that_decides_is_the_one_trained)
{
    const tq_range u8 = range_of("u8"), i8 = range_of("i8"),
                   limp = range_of("n_levels:15,signed:true");
    const tq_range free_range = range_of("bitwidth:8"), odd = range_of("n_levels:256,offset:-10");
    CHECK_EQ(pact->trainable(&u8), 2);
    CHECK_EQ(pact->trainable(&i8), 1);
    CHECK_EQ(pact->trainable(&limp), 1);
    CHECK_EQ(pact->trainable(&free_range), 3);
    CHECK_EQ(pact->trainable(&odd), 3);
}

TEST(a_signed_scale_follows_clip_lo_alone)
{
    const tq_range i8 = range_of("i8");
    tq_grid grid;
    pact->grid(&i8, TQ_ROUND_HALF_UP, (float[]){ -2.56f, 77.0f }, &grid);
    CHECK_NEAR(grid.scale, 0.02f, 1e-9);
}

TEST(other_pinned_offsets_cover_both_bounds)
{
    const tq_range range = range_of("n_levels:256,offset:-10");
    tq_grid grid;
    pact->grid(&range, TQ_ROUND_HALF_UP, (float[]){ -10.0f, 24.5f }, &grid);
    CHECK_NEAR(grid.scale, 1.0, 0.0);
    pact->grid(&range, TQ_ROUND_HALF_UP, (float[]){ -1.0f, 245.0f }, &grid);
    CHECK_NEAR(grid.scale, 1.0, 0.0);
}

TEST(forward_is_the_value_of_the_code)
{
    static const char *const ranges[] = { "i8",
                                          "u8",
                                          "u4",
                                          "binary",
                                          "ternary",
                                          "bitwidth:8",
                                          "u16",
                                          "n_levels:255,offset:-127",
                                          "bitwidth:24,signed:true" };
    for (int r = 0; r < TQ_COUNT(ranges); r++)
        for (int how = TQ_ROUND_HALF_UP; how <= TQ_ROUND_FLOOR; how++) {
            const tq_range range = range_of(ranges[r]);
            float params[2], y[512];
            const tq_grid grid = grid_for(&range, -1.1, 0.9, (tq_rounding)how, params);
            const tq_tensor x = check_random_f32(1, (int64_t[]){ 512 }, 5, -2.0f, 2.0f);
            float *data = x.data;
            for (int i = 0; i < 128; i++) /* ties and their neighbours */
                data[i] = nextafterf(grid.scale * ((float)i - 64.5f), (float)(i % 3 - 1) * 10.0f);
            pact->forward(&grid, params, 512, data, y, 0);
            for (int i = 0; i < 512; i++) {
                const int64_t q = tq_grid_quantize(&grid, data[i]);
                CHECK(q >= grid.q_min && q <= grid.q_max);
                CHECK(y[i] == tq_grid_dequantize(&grid, q));
            }
            tq_tensor tensor = x;
            tq_tensor_reset(&tensor);
        }
}

TEST(ties_go_up_or_to_even_as_the_grid_says)
{
    const float x[] = { -1.5f, -0.5f, 0.5f, 1.5f, 2.5f };
    tq_grid grid = { .scale = 1.0f, .q_min = -8, .q_max = 7, .step = 1 };
    float y[5];
    pact->forward(&grid, NULL, 5, x, y, 0);
    CHECK(y[0] == -1 && y[1] == 0 && y[2] == 1 && y[3] == 2 && y[4] == 3);
    grid.rounding = TQ_ROUND_HALF_EVEN;
    pact->forward(&grid, NULL, 5, x, y, 0);
    CHECK(y[0] == -2 && y[1] == 0 && y[2] == 0 && y[3] == 2 && y[4] == 2);
    grid.rounding = TQ_ROUND_FLOOR;
    pact->forward(&grid, NULL, 5, x, y, 0);
    CHECK(y[0] == -2 && y[1] == -1 && y[2] == 0 && y[3] == 1 && y[4] == 2);
}

TEST(nan_passes_through_and_infinity_saturates)
{
    for (int how = TQ_ROUND_HALF_UP; how <= TQ_ROUND_STOCHASTIC; how++) {
        const tq_grid grid = {
            .scale = 0.1f, .q_min = -128, .q_max = 127, .step = 1, .rounding = (tq_rounding)how
        };
        float y[3];
        pact->forward(&grid, NULL, 3, (float[]){ NAN, INFINITY, -INFINITY }, y, 0);
        CHECK(isnan(y[0]));
        CHECK_NEAR(y[1], 12.7, 1e-6);
        CHECK_NEAR(y[2], -12.8, 1e-6);
    }
}

TEST(stochastic_rounding_repeats_with_its_seed_and_is_unbiased)
{
    const tq_grid grid = {
        .scale = 1.0f, .q_min = -8, .q_max = 7, .step = 1, .rounding = TQ_ROUND_STOCHASTIC
    };
    static float x[10000], y[10000], again[10000];
    double sum = 0.0;
    for (int i = 0; i < 10000; i++)
        x[i] = 2.3f;
    pact->forward(&grid, NULL, 10000, x, y, 42);
    pact->forward(&grid, NULL, 10000, x, again, 42);
    CHECK(memcmp(y, again, sizeof y) == 0);
    for (int i = 0; i < 10000; i++)
        sum += y[i];
    CHECK_NEAR(sum / 10000, 2.3, 0.02);
}

/* In QuantLib the range is half open: the weight that made it never learns. */
TEST(the_largest_weight_gets_its_gradient)
{
    const tq_range i8 = range_of("i8");
    tq_random random;
    tq_random_init(&random, 11, 0, 0);
    for (int i = 0; i < 5000; i++) {
        const float a = -(float)tq_random_uniform(&random) - 1e-3f;
        const float b = (float)tq_random_uniform(&random) + 1e-3f;
        float params[2], dx[2];
        double dparams[2] = { 0 };
        const tq_grid grid = grid_for(&i8, (double)a, (double)b, TQ_ROUND_HALF_UP, params);
        pact->backward(&grid, &i8, params, 2, (float[]){ a, b }, (float[]){ 1.0f, 1.0f }, dx,
                       dparams);
        CHECK(dx[0] == 1.0f && dx[1] == 1.0f);
    }
}

TEST(the_gradient_of_clip_hi_is_the_sum_above_it)
{
    const tq_range u8 = range_of("u8");
    float params[2], dx[5];
    double dparams[2] = { 0 };
    const tq_grid grid = grid_for(&u8, 0.0, 2.55, TQ_ROUND_HALF_UP, params);
    pact->backward(&grid, &u8, params, 5, (float[]){ -1.0f, 0.0f, 1.0f, 2.56f, 9.0f },
                   (float[]){ 1.0f, 2.0f, 4.0f, 8.0f, 16.0f }, dx, dparams);
    CHECK(dx[0] == 0 && dx[1] == 2 && dx[2] == 4 && dx[3] == 0 && dx[4] == 0);
    CHECK_NEAR(dparams[1], 24.0, 0.0);
    CHECK_NEAR(dparams[0], 0.0, 0.0);
}

TEST(a_signed_range_redirects_the_upper_gradient_to_clip_lo)
{
    const tq_range i8 = range_of("i8");
    float params[2], dx[3];
    double dparams[2] = { 0 };
    const tq_grid grid = grid_for(&i8, -1.28, 1.27, TQ_ROUND_HALF_UP, params);
    pact->backward(&grid, &i8, params, 3, (float[]){ -3.0f, 0.0f, 3.0f },
                   (float[]){ 1.0f, 2.0f, 4.0f }, dx, dparams);
    CHECK_NEAR(dparams[0], 1.0 - 127.0 / 128.0 * 4.0, 1e-12);
    CHECK_NEAR(dparams[1], 0.0, 0.0);
}

/** Sum of y over x, as clip_lo or clip_hi is moved; all x beyond the ends, so rounding plays no
 * part. */
static double saturated_sum(const tq_range *range, const float *params)
{
    const float x[4] = { -90.0f, -80.0f, 700.0f, 80.0f };
    float y[4];
    tq_grid grid;
    pact->grid(range, TQ_ROUND_HALF_UP, params, &grid);
    pact->forward(&grid, params, 4, x, y, 0);
    return (double)y[0] + 2.0 * (double)y[1] + 4.0 * (double)y[2] + 8.0 * (double)y[3];
}

TEST(gradients_of_bounds_equal_finite_differences)
{
    static const char *const ranges[] = { "u8",
                                          "i8",
                                          "ternary",
                                          "n_levels:256,offset:-10",
                                          "n_levels:15,signed:true",
                                          "n_levels:8,offset:-7" };
    const float x[4] = { -90.0f, -80.0f, 700.0f, 80.0f }, dy[4] = { 1, 2, 4, 8 };
    for (int r = 0; r < TQ_COUNT(ranges); r++) {
        const tq_range range = range_of(ranges[r]);
        float params[2], dx[4];
        double dparams[2] = { 0 };
        tq_grid grid = grid_for(&range, -3.0, 5.0, TQ_ROUND_HALF_UP, params);
        if (range.q_min == -10)
            params[0] *= 0.5f; /* away from the point where both bounds decide */
        pact->grid(&range, TQ_ROUND_HALF_UP, params, &grid);
        pact->backward(&grid, &range, params, 4, x, dy, dx, dparams);
        for (int k = 0; k < 2; k++) {
            const float h = 0.0625f, centre = params[k];
            params[k] = centre + h;
            const double above = saturated_sum(&range, params);
            params[k] = centre - h;
            const double below = saturated_sum(&range, params);
            params[k] = centre;
            if (k == 0 && range.q_min == -10)
                continue; /* at this point the bounds tie or clip_hi decides: one-sided */
            CHECK_NEAR(dparams[k], (above - below) / (2.0 * (double)h), 1e-3);
        }
    }
}

TEST(a_dead_bound_still_gets_a_gradient_and_a_grid)
{
    const tq_range u8 = range_of("u8");
    const float params[2] = { 0.0f, -0.3f };
    tq_grid grid;
    pact->grid(&u8, TQ_ROUND_HALF_UP, params, &grid);
    CHECK_NEAR(grid.scale, 0x1p-24, 0.0);
    float dx[2], y;
    double dparams[2] = { 0 };
    pact->backward(&grid, &u8, params, 2, (float[]){ 0.5f, 2.0f }, (float[]){ -1.0f, -2.0f }, dx,
                   dparams);
    CHECK_NEAR(dparams[1], -3.0, 0.0); /* a step against it raises the bound */
    pact->forward(&grid, params, 1, (float[]){ 1.0f }, &y, 0);
    CHECK(isfinite(y));
}

TEST(init_refuses_what_is_no_range)
{
    const tq_range u8 = range_of("u8"), free_range = range_of("bitwidth:8");
    float params[2];
    CHECK_FAILS(pact->init(&u8, NAN, 1.0, params), TQ_ERR_VALUE, "finite");
    CHECK_FAILS(pact->init(&free_range, 0.0, INFINITY, params), TQ_ERR_VALUE, "finite");
    CHECK_FAILS(pact->init(&u8, 2.0, 1.0, params), TQ_ERR_VALUE, "in order");
}

TEST(a_range_of_zeros_gives_a_bound_above_zero)
{
    static const char *const ranges[] = { "u8", "i8", "bitwidth:8" };
    for (int r = 0; r < TQ_COUNT(ranges); r++) {
        const tq_range range = range_of(ranges[r]);
        float params[2];
        CHECK(grid_for(&range, 0.0, 0.0, TQ_ROUND_HALF_UP, params).scale > 0.0f);
        CHECK(params[1] > 0.0f);
    }
}

TEST(parameters_never_observed_show_as_nan)
{
    const tq_range i8 = range_of("i8"), free_range = range_of("bitwidth:8");
    tq_grid grid;
    pact->grid(&i8, TQ_ROUND_HALF_UP, (float[]){ NAN, NAN }, &grid);
    CHECK(isnan(grid.scale));
    pact->grid(&free_range, TQ_ROUND_HALF_UP, (float[]){ NAN, NAN }, &grid);
    CHECK(isnan(grid.scale));
}
