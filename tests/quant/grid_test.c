/* Scales, zero points and codes. */
#include "check.h"

static tq_range range_of(const char *text)
{
    tq_range range;
    CHECK_OK(tq_range_parse(text, &range));
    return range;
}

static float pinned(const char *range_text, double a, double b)
{
    const tq_range range = range_of(range_text);
    float scale = 0.0f;
    CHECK_OK(tq_grid_scale_pinned(&range, a, b, &scale));
    return scale;
}

TEST(the_pinned_scale_covers_the_sides_that_have_codes)
{
    CHECK_NEAR(pinned("i8", -1.0, 1.0), 1.0f / 127, 0.0); /* both sides: the larger */
    CHECK_NEAR(pinned("i8", -2.0, 1.0), 2.0f / 128, 0.0);
    CHECK_NEAR(pinned("i8", -2.0, -1.0), 2.0f / 128, 0.0); /* one-sided data */
    CHECK_NEAR(pinned("i8", 0.0, 1.0), 1.0f / 127, 0.0);
    CHECK_NEAR(pinned("u8", 0.0, 6.0), 6.0f / 255, 0.0); /* one-sided codes */
    CHECK_NEAR(pinned("u8", -3.0, 6.0), 6.0f / 255, 0.0);
    CHECK_NEAR(pinned("n_levels:8,offset:-7", -7.0, 2.0), 1.0, 0.0);
    CHECK_NEAR(pinned("u8", -3.0, -1.0), 3.0f / 255, 0.0); /* signs that do not meet */
    CHECK_NEAR(pinned("binary", -0.5, 0.25), 0.5, 0.0);
    CHECK_NEAR(pinned("ternary", -0.5, 0.75), 0.75, 0.0);
}

TEST(a_channel_of_one_constant_has_a_scale)
{
    CHECK_NEAR(pinned("i8", -0.5, -0.5), 0.5f / 128, 0.0);
    CHECK_NEAR(pinned("i8", 0.5, 0.5), 0.5f / 127, 0.0);
    CHECK_NEAR(pinned("i8", 0.0, 0.0), 0x1p-24, 0.0);
}

TEST(tiny_ranges_keep_a_scale_that_can_be_inverted)
{
    CHECK_NEAR(pinned("i8", -1e-20, 1e-20), 1e-20f / 127, 1e-27);
    const float least = pinned("i8", -1e-44, 1e-44);
    CHECK(least > 0.0f && isfinite(1.0f / least));
}

TEST(ends_that_are_no_numbers_or_out_of_order_are_refused)
{
    const tq_range range = range_of("i8");
    float scale;
    int32_t zero_point;
    CHECK_FAILS(tq_grid_scale_pinned(&range, NAN, 1.0, &scale), TQ_ERR_VALUE, "nan");
    CHECK_FAILS(tq_grid_scale_pinned(&range, -1.0, INFINITY, &scale), TQ_ERR_VALUE, "inf");
    CHECK_FAILS(tq_grid_scale_pinned(&range, 1.0, -1.0, &scale), TQ_ERR_VALUE, "[1, -1]");
    CHECK_FAILS(tq_grid_scale_pinned(&range, -1e300, 1.0, &scale), TQ_ERR_VALUE, "too wide");
    CHECK_FAILS(tq_grid_scale_free(&range, NAN, 1.0, &scale, &zero_point), TQ_ERR_VALUE, "nan");
}

/* QuantLib's get_zero_scale has its factor inverted: at 8 bit and [-1, 1] its scale is 508. */
TEST(the_free_scale_is_not_inverted)
{
    const tq_range range = range_of("bitwidth:8");
    float scale;
    int32_t zero_point;
    CHECK_OK(tq_grid_scale_free(&range, -1.0, 1.0, &scale, &zero_point));
    CHECK_NEAR(scale, 2.0f / 255, 0.0);
    CHECK_EQ(zero_point, 128);
}

TEST(a_free_grid_always_holds_zero)
{
    const tq_range range = range_of("bitwidth:8");
    static const double ends[][2] = { { 1, 3 }, { -3, -1 }, { -0.1, 7 }, { 0, 0 }, { -5, 5 } };
    for (int i = 0; i < TQ_COUNT(ends); i++) {
        tq_grid grid = { .q_min = 0, .q_max = 255, .step = 1 };
        CHECK_OK(tq_grid_scale_free(&range, ends[i][0], ends[i][1], &grid.scale, &grid.zero_point));
        CHECK(grid.zero_point >= 0 && grid.zero_point <= 255 && grid.scale > 0.0f);
        CHECK_NEAR(tq_grid_dequantize(&grid, tq_grid_quantize(&grid, 0.0f)), 0.0, 0.0);
    }
}

TEST(a_zero_point_beyond_32_bits_is_refused)
{
    const tq_range range = range_of("bitwidth:32");
    float scale;
    int32_t zero_point;
    CHECK_FAILS(tq_grid_scale_free(&range, -1.0, 0.0, &scale, &zero_point), TQ_ERR_VALUE,
                "32 bits");
}

static int64_t code(const tq_grid *grid, float x)
{
    return tq_grid_quantize(grid, x);
}

TEST(codes_round_and_saturate)
{
    tq_grid grid = { .scale = 0.5f, .q_min = -4, .q_max = 3, .step = 1 };
    CHECK_EQ(code(&grid, 0.25f), 1);
    CHECK_EQ(code(&grid, -0.25f), 0);
    CHECK_EQ(code(&grid, 100.0f), 3);
    CHECK_EQ(code(&grid, -INFINITY), -4);
    CHECK_EQ(code(&grid, NAN), 0);
    grid.rounding = TQ_ROUND_HALF_EVEN;
    CHECK_EQ(code(&grid, 0.25f), 0);
    CHECK_EQ(code(&grid, 0.75f), 2);
}

/* QuantLib's quantiser forgets the step of the sign range: its levels are {-scale, 0}. */
TEST(binary_codes_are_minus_one_and_one)
{
    const tq_grid grid = { .scale = 0.5f, .q_min = -1, .q_max = 1, .step = 2 };
    CHECK_EQ(code(&grid, -0.01f), -1);
    CHECK_EQ(code(&grid, 0.0f), 1);
    CHECK_EQ(code(&grid, 7.0f), 1);
    CHECK_NEAR(tq_grid_dequantize(&grid, 1), 0.5, 0.0);
    CHECK_NEAR(tq_grid_dequantize(&grid, -1), -0.5, 0.0);
}

TEST(ternary_codes_split_at_the_halves)
{
    const tq_grid grid = { .scale = 1.0f, .q_min = -1, .q_max = 1, .step = 1 };
    CHECK_EQ(code(&grid, -0.6f), -1);
    CHECK_EQ(code(&grid, 0.4f), 0);
    CHECK_EQ(code(&grid, 0.5f), 1);
}

TEST(every_code_is_the_code_of_its_value)
{
    static const tq_rounding roundings[] = { TQ_ROUND_HALF_UP, TQ_ROUND_HALF_EVEN,
                                             TQ_ROUND_HALF_AWAY, TQ_ROUND_STOCHASTIC };
    for (int r = 0; r < TQ_COUNT(roundings); r++)
        for (int64_t q = -128; q <= 127; q++) {
            const tq_grid grid = { .scale = 0.0131f,
                                   .zero_point = 5,
                                   .q_min = -128,
                                   .q_max = 127,
                                   .step = 1,
                                   .rounding = roundings[r] };
            CHECK_EQ(code(&grid, tq_grid_dequantize(&grid, q)), q);
        }
}

/** QuantLib 1.5 in its own words, float by float. */
static int64_t quantlib_floor(float x, float scale, float zero, float n_levels)
{
    const float clip_lo = zero * scale, clip_hi = (zero + (n_levels - 1)) * scale;
    float t = x - clip_lo;
    const float most = clip_hi + scale / 4 - clip_lo;
    t = t < 0 ? 0 : t > most ? most : t;
    return (int64_t)zero + (int64_t)floorf(t / scale);
}

TEST(floor_is_quantlibs_with_its_quarter_step_of_grace)
{
    tq_random random;
    tq_random_init(&random, 3, 0, 0);
    for (int i = 0; i < 20000; i++) {
        const float scale = (float)ldexp(0.5 + tq_random_uniform(&random), -8);
        const float x = (float)(300.0 * scale * (tq_random_uniform(&random) - 0.5));
        const tq_grid s8 = {
            .scale = scale, .q_min = -128, .q_max = 127, .step = 1, .rounding = TQ_ROUND_FLOOR
        };
        const tq_grid u8 = {
            .scale = scale, .q_min = 0, .q_max = 255, .step = 1, .rounding = TQ_ROUND_FLOOR
        };
        CHECK_EQ(code(&s8, x), quantlib_floor(x, scale, -128, 256), "x = %.9g", x);
        CHECK_EQ(code(&u8, x), quantlib_floor(x, scale, 0, 256), "x = %.9g", x);
    }
}

TEST(the_largest_value_is_not_floored_away)
{
    for (int i = 1; i < 2000; i++) {
        const float b = (float)i * 0.01f;
        const tq_grid grid = {
            .scale = b / 255.0f, .q_min = 0, .q_max = 255, .step = 1, .rounding = TQ_ROUND_FLOOR
        };
        CHECK(code(&grid, b) >= 254);
        CHECK_EQ(code(&grid, b * 1.01f), 255, "b = %.9g", b);
    }
}
