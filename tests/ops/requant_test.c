/* Requant, ShiftRight, Lookup and FakeQuantize. */
#include "evaluate.h"

TEST(requant_rounds_down_and_clips)
{
    CHECK_VALUES("const x: i32[4] = {-3,3,1000,-1000} const m: i32[1] = 1 const a: i64[1] = 0 "
                 "y = Requant(x, m, a)[shift=1,q_min=-8,q_max=7,dtype=\"i8\",axis=0]",
                 -2, 1, 7, -8);
}

TEST(requant_has_an_entry_per_channel)
{
    CHECK_VALUES(
        "const x: i32[1,2,2] = {1,2,1,2} const m: i32[2] = {2,-4} const a: i64[2] = {0,16} "
        "y = Requant(x, m, a)[shift=1,q_min=0,q_max=255]",
        1, 2, 6, 4);
    CHECK_REFUSED("const x: i32[1,2] = 1 const m: i32[3] = 1 const a: i64[1] = 0 "
                  "y = Requant(x, m, a)[shift=1,q_min=0,q_max=255]",
                  "i32[3]");
    CHECK_REFUSED("const x: i32[1,2] = 1 const m: i32[1] = 1 const a: i64[1] = 0 "
                  "y = Requant(x, m, a)[shift=1,q_min=0,q_max=256]",
                  "do not fit u8");
    CHECK_REFUSED("const x: i32[1,2] = 1 const m: i32[1] = 1 const a: i64[1] = 0 "
                  "y = Requant(x, m, a)[shift=63,q_min=0,q_max=255]",
                  "shift is 63");
}

TEST(requant_forms_its_product_in_64_bits)
{
    CHECK_VALUES("const x: i32[2] = {2147483647,-2147483648} const m: i32[1] = 2147483647 const a: "
                 "i64[1] = 0 "
                 "y = Requant(x, m, a)[shift=55,q_min=-128,q_max=127,dtype=\"i8\",axis=0]",
                 127, -128);
}

TEST(shift_right_rounds_down)
{
    CHECK_VALUES("const x: i32[4] = {5,-5,-1,4} y = ShiftRight(x)[shift=1]", 2, -3, -1, 2);
}

TEST(a_table_is_indexed_from_the_smallest_code)
{
    CHECK_REFUSED("const x: i8[1] = 0 const t: i8[255] = 0 y = Lookup(x, t)", "256");
    tq_graph *g =
        check_graph("const x: i8[3] = {-128,0,127} const t: i32[256] = 7 y = Lookup(x, t)");
    void *table;
    CHECK_OK(tq_value_own(tq_graph_find_value(g, "t"), &table));
    for (int i = 0; i < 256; i++)
        ((int32_t *)table)[i] = i * i;
    tq_tensor y;
    CHECK_OK(tq_node_evaluate(tq_graph_last(g), &y));
    CHECK_EQ(((const int32_t *)y.data)[0], 0);
    CHECK_EQ(((const int32_t *)y.data)[1], 128 * 128);
    CHECK_EQ(((const int32_t *)y.data)[2], 255 * 255);
    tq_tensor_reset(&y);
    tq_graph_destroy(g);
}

TEST(a_table_may_have_a_row_for_each_channel)
{
    const char *text = "const x: u8[1,2,2] = {0,1,0,1} const t: i8[2,256] = 0 y = Lookup(x, t)";
    tq_graph *g = check_graph(text);
    void *table;
    CHECK_OK(tq_value_own(tq_graph_find_value(g, "t"), &table));
    for (int i = 0; i < 4; i++)
        ((int8_t *)table)[i / 2 * 256 + i % 2] = (int8_t)(10 + i);
    tq_tensor y;
    CHECK_OK(tq_node_evaluate(tq_graph_last(g), &y));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(((const int8_t *)y.data)[i], 10 + i);
    tq_tensor_reset(&y);
    tq_graph_destroy(g);
    CHECK_REFUSED("const x: u8[1,3] = 0 const t: i8[2,256] = 0 y = Lookup(x, t)",
                  "a row for each channel");
}

/* ---- FakeQuantize ---------------------------------------------------------------------------- */

TEST(fake_quantisation_rounds_to_the_grid_of_its_parameters)
{
    CHECK_VALUES("const x: f32[4] = {0.4,0.5,2.6,-1} const l: f32[1] = 0.0 const h: f32[1] = 3.0 "
                 "y = FakeQuantize(x, l, h)[q_min=0,n_levels=4]",
                 0, 1, 3, 0);
}

TEST(every_channel_has_its_own_grid)
{
    CHECK_VALUES(
        "const x: f32[2,2] = {0.4,1,0.4,1} const l: f32[2] = 0.0 const h: f32[2] = {3,1.5} "
        "y = FakeQuantize(x, l, h)[q_min=0,n_levels=4,axis=0]",
        0, 1, 0.5, 1);
    CHECK_VALUES(
        "const x: f32[2,2] = {0.4,0.4,1,1} const l: f32[2] = 0.0 const h: f32[2] = {3,1.5} "
        "y = FakeQuantize(x, l, h)[q_min=0,n_levels=4,axis=1]",
        0, 0.5, 1, 1);
}

TEST(parameters_that_were_never_observed_make_nan)
{
    CHECK_VALUES("const x: f32[2] = {1,2} const l: f32[1] = {nan} const h: f32[1] = {nan} "
                 "y = FakeQuantize(x, l, h)[q_min=0,n_levels=4]",
                 NAN, NAN);
    CHECK_OUTPUT("const x: f32[2] = {1,2} const l: f32[1] = {nan} const h: f32[1] = {nan} const d: "
                 "f32[2] = 1.0 "
                 "dx,dl,dh = FakeQuantizeGrad(x, l, h, d)[q_min=0,n_levels=4]",
                 2, NAN);
}

TEST(a_wrong_quantiser_or_parameter_is_named)
{
    CHECK_REFUSED(
        "const x: f32[2] = 1.0 const l: f32[1] = 0.0 y = FakeQuantize(x, l, l)[quantizer=\"pakt\"]",
        "pakt");
    CHECK_REFUSED("const x: f32[2,3] = 1.0 const l: f32[4] = 0.0 y = FakeQuantize(x, l, l)[axis=0]",
                  "clip_lo");
    CHECK_REFUSED("const x: f32[2] = 1.0 const l: f32[1] = 0.0 y = FakeQuantize(x, l)", "input 2");
}

TEST(a_range_of_weights_follows_the_weights)
{
    CHECK_OUTPUT("const w: f32[2,3] = {-2,1,0,0.5,0.25,-0.25} l,h = "
                 "WeightRange(w)[q_min=-127,n_levels=255,axis=0]",
                 0, -2, -0.5);
    CHECK_OUTPUT("const w: f32[2,3] = {-2,1,0,0.5,0.25,-0.25} l,h = "
                 "WeightRange(w)[q_min=-127,n_levels=255,axis=-1]",
                 1, 2);
}

/* (round(v) - v) / sqrt(n q_max) summed over n = 8, however they are cut: v = 1/4 gives -1/4 each.
 */
TEST(damping_by_the_number_of_elements_counts_all_of_them)
{
    CHECK_OUTPUT("const x: f32[2,1,4] = 0.25 const s: f32[1] = 1.0 const d: f32[2,1,4] = 1.0 "
                 "dx,ds = FakeQuantizeGrad(x, s, d)[quantizer=\"lsq\",q_min=-3,n_levels=6,axis=1]",
                 1, -2.0 / 4.0);
}

/** FakeQuantizeGrad's dp1 over 1000 elements with a number of shards and threads. */
static float clip_gradient(int n_threads)
{
    tq_graph *g = check_graph("input x: f32[1000] const d: f32[1000] = random(3) const l: f32[1] = "
                              "0.0 const h: f32[1] = 0.3 "
                              "y,a,b = FakeQuantizeGrad(x, l, h, d)[q_min=0,n_levels=16] output b");
    tq_pool *pool;
    tq_engine *engine;
    CHECK_OK(tq_pool_create(n_threads, &pool));
    const tq_engine_options options = { .pool = pool, .n_shards = 8 };
    tq_tensor x = check_random_f32(1, (int64_t[]){ 1000 }, 5, -1.0f, 1.0f);
    CHECK_OK(tq_engine_create(g, &x.type, 1, &options, &engine));
    CHECK_OK(tq_engine_run(engine, &x, 1, 0));
    const float sum = *(const float *)tq_engine_output(engine, 0)->data;
    tq_engine_destroy(engine);
    tq_pool_destroy(pool);
    tq_tensor_reset(&x);
    tq_graph_destroy(g);
    return sum;
}

TEST(gradients_of_parameters_do_not_depend_on_threads)
{
    const float one = clip_gradient(1), two = clip_gradient(2);
    CHECK(one != 0.0f && memcmp(&one, &two, sizeof one) == 0);
}
