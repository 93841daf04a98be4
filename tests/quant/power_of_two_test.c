/* Scales of powers of two: the nearest in the logarithm, whatever the quantiser. */
#include "check.h"

static tq_grid grid_of(const char *quantizer, tq_range range, float p0, float p1)
{
    const tq_quantizer *q = (const tq_quantizer *)(const void *)tq_registry_get(
        check_registry(), TQ_KIND_QUANTIZER, quantizer);
    tq_grid grid;
    tq_quantizer_grid(q, &range, TQ_ROUND_HALF_UP, (float[]){ p0, p1 }, &grid);
    return grid;
}

TEST(the_scale_is_the_nearest_power_of_two_in_the_logarithm)
{
    const tq_range i8 = { .q_min = -128, .n_levels = 256, .step = 1, .power_of_two = true };
    CHECK_NEAR((double)grid_of("lsq", i8, 0.25f, 0).scale, 0.25, 0);
    CHECK_NEAR((double)grid_of("lsq", i8, 0.35f, 0).scale, 0.25, 0); /* below 2^-1.5 = 0.3535 */
    CHECK_NEAR((double)grid_of("lsq", i8, 0.36f, 0).scale, 0.5, 0);
    CHECK_NEAR((double)grid_of("pact", i8, -1.0f, 1.0f).scale, 0x1p-7, 0);
    CHECK_NEAR((double)grid_of("lsq", i8, 3e38f, 0).scale, 0x1p127, 0);
}

TEST(a_free_zero_point_keeps_the_lower_end)
{
    const tq_range range = {
        .n_levels = 256, .step = 1, .free_offset = true, .power_of_two = true
    };
    const tq_grid grid = grid_of("pact", range, -1.0f, 4.1f); /* 5.1 / 255 = 0.02 -> 2^-6 */
    CHECK_NEAR((double)grid.scale, 0x1p-6, 0);
    CHECK_NEAR((double)tq_grid_dequantize(&grid, 0), -1.0, 0x1p-7);
}

TEST(without_the_rule_the_scale_is_the_quantisers)
{
    const tq_range i8 = { .q_min = -128, .n_levels = 256, .step = 1 };
    CHECK_NEAR((double)grid_of("lsq", i8, 0.3f, 0).scale, (double)0.3f, 0);
}

TEST(a_scale_never_observed_stays_unknown)
{
    const tq_range i8 = { .q_min = -128, .n_levels = 256, .step = 1, .power_of_two = true };
    CHECK(isnan(grid_of("lsq", i8, NAN, 0).scale));
}
