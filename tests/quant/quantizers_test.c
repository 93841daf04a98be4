/* What every registered quantiser keeps; and the gradients of `fixed` and `lsq`. */
#include "check.h"

extern const tq_quantizer tq_quantizer_fixed, tq_quantizer_lsq;

static tq_range range_of(const char *text)
{
    tq_range range;
    CHECK_OK(tq_range_parse(text, &range));
    return range;
}

TEST(every_quantizer_is_idempotent_on_its_grid)
{
    const tq_registry *registry = check_registry();
    const tq_range i8 = range_of("i8");
    for (int k = 0; k < tq_registry_count(registry, TQ_KIND_QUANTIZER); k++) {
        const tq_quantizer *quantizer =
            (const void *)tq_registry_at(registry, TQ_KIND_QUANTIZER, k);
        float params[TQ_QUANTIZER_MAX_PARAMS], y[256], again[256];
        CHECK_OK(quantizer->init(&i8, -1.0, 1.5, params));
        tq_grid grid;
        quantizer->grid(&i8, TQ_ROUND_HALF_UP, params, &grid);
        tq_tensor x = check_random_f32(1, (int64_t[]){ 256 }, 1, -2.0f, 2.0f);
        quantizer->forward(&grid, params, 256, x.data, y, 0);
        quantizer->forward(&grid, params, 256, y, again, 0);
        CHECK(memcmp(y, again, sizeof y) == 0);
        CHECK(quantizer->trainable(&i8) >> quantizer->n_params == 0);
        tq_tensor_reset(&x);
    }
}

TEST(a_lone_element_and_odd_lengths_are_as_the_whole)
{
    const tq_range i8 = range_of("i8");
    float params[2], dx[13], one;
    CHECK_OK(tq_quantizer_fixed.init(&i8, -1.0, 1.0, params));
    tq_grid grid;
    tq_quantizer_fixed.grid(&i8, TQ_ROUND_HALF_UP, params, &grid);
    tq_tensor x = check_random_f32(1, (int64_t[]){ 13 }, 2, -2.0f, 2.0f);
    const float *v = x.data;
    tq_quantizer_fixed.backward(&grid, &i8, params, 13, v, v, dx, NULL);
    for (int i = 0; i < 13; i++) {
        tq_quantizer_fixed.backward(&grid, &i8, params, 1, v + i, v + i, &one, NULL);
        CHECK(one == dx[i]);
    }
    tq_tensor_reset(&x);
}

TEST(fixed_passes_gradients_where_the_code_is_on_the_grid)
{
    const tq_range u4 = range_of("u4");
    const float params[2] = { 1.0f, 0.0f };
    tq_grid grid;
    tq_quantizer_fixed.grid(&u4, TQ_ROUND_HALF_UP, params, &grid);
    float dx[5];
    tq_quantizer_fixed.backward(&grid, &u4, params, 5,
                                (float[]){ -0.6f, -0.4f, 7.0f, 15.4f, 15.6f },
                                (float[]){ 1, 1, 1, 1, 1 }, dx, NULL);
    CHECK(dx[0] == 0 && dx[1] == 1 && dx[2] == 1 && dx[3] == 1 && dx[4] == 0);
}

TEST(fixed_takes_a_free_zero_point)
{
    const tq_range range = range_of("bitwidth:8");
    float params[2];
    CHECK_OK(tq_quantizer_fixed.init(&range, -1.0, 1.0, params));
    tq_grid grid;
    tq_quantizer_fixed.grid(&range, TQ_ROUND_HALF_UP, params, &grid);
    CHECK_EQ(grid.zero_point, 128);
    CHECK_EQ(tq_quantizer_fixed.trainable(&range), 0);
}

TEST(lsq_refuses_a_free_offset)
{
    const tq_range range = range_of("bitwidth:8");
    float params[1];
    CHECK_FAILS(tq_quantizer_lsq.init(&range, -1.0, 1.0, params), TQ_ERR_VALUE, "no zero point");
}

TEST(lsq_gradients_are_the_papers)
{
    const tq_range i4 = range_of("i4");
    const float scale = 0.5f, x[4] = { 0.6f, -9.0f, 9.0f, 0.25f }, dy[4] = { 1, 2, 4, 8 };
    tq_grid grid;
    tq_quantizer_lsq.grid(&i4, TQ_ROUND_HALF_UP, &scale, &grid);
    float dx[4];
    double dscale = 0.0;
    tq_quantizer_lsq.backward(&grid, &i4, &scale, 4, x, dy, dx, &dscale);
    CHECK(dx[0] == 1 && dx[1] == 0 && dx[2] == 0 && dx[3] == 8);
    const double sum = (1.0 - 1.2) + 2 * -8.0 + 4 * 7.0 + 8 * (1.0 - 0.5);
    CHECK_NEAR(dscale, sum / sqrt(4.0 * 7.0), 1e-6);
}

TEST(an_lsq_scale_below_zero_leaves_a_grid)
{
    const tq_range i4 = range_of("i4");
    tq_grid grid;
    tq_quantizer_lsq.grid(&i4, TQ_ROUND_HALF_UP, (float[]){ -0.1f }, &grid);
    CHECK_NEAR(grid.scale, 0x1p-24, 0.0);
}
