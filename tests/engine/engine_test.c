/* Engines: outputs of every kind, memory reuse, constants that change, and what cannot run. */
#include "check.h"

#include <string.h>

static tq_engine *plan(const tq_graph *graph, const tq_engine_options *options)
{
    tq_type types[4];
    const int n = tq_graph_n_inputs(graph);
    for (int i = 0; i < n; i++)
        types[i] = *tq_value_type(tq_graph_input(graph, i));
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(graph, types, n, options, &engine));
    return engine;
}

static const float *run(tq_engine *engine, const tq_tensor *x)
{
    CHECK_OK(tq_engine_run(engine, x, 1, 1));
    return tq_engine_output(engine, 0)->data;
}

TEST(a_chain_runs)
{
    tq_graph *g = check_graph("input x: f32[2,2] a = Relu(x) y = Add(a, x)");
    tq_engine *engine = plan(g, NULL);
    float x[] = { -1, 2, 3, -4 };
    const tq_tensor in = { .type = tq_type_make(TQ_F32, 2, (int64_t[]){ 2, 2 }), .data = x };
    const float *y = run(engine, &in);
    CHECK_EQ(y[0] == -1 && y[1] == 4 && y[2] == 6 && y[3] == -4, 1);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(a_symbolic_batch_is_fixed_by_the_input_types)
{
    tq_graph *g = check_graph("input x: f32[?,3] y = Relu(x)");
    const tq_type type = tq_type_make(TQ_F32, 2, (int64_t[]){ 5, 3 });
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(g, &type, 1, NULL, &engine));
    tq_tensor x = check_random_f32(2, type.dims, 1, -1.0f, 1.0f);
    CHECK_OK(tq_engine_run(engine, &x, 1, 0));
    CHECK_EQ(tq_engine_output(engine, 0)->type.dims[0], 5);
    tq_tensor_reset(&x);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(inputs_and_constants_can_be_outputs)
{
    tq_graph *g = check_graph("input x: f32[2] const c: f32[2] = 3.0 y = Relu(x) output x output c "
                              "output y output y");
    tq_engine *engine = plan(g, NULL);
    float x[] = { -1, 2 };
    const tq_tensor in = { .type = tq_type_make(TQ_F32, 1, (int64_t[]){ 2 }), .data = x };
    run(engine, &in);
    x[0] = 77; /* the output is a copy */
    CHECK_EQ(((const float *)tq_engine_output(engine, 0)->data)[0], -1);
    CHECK_EQ(((const float *)tq_engine_output(engine, 1)->data)[1], 3);
    CHECK_EQ(((const float *)tq_engine_output(engine, 3)->data)[1], 2);
    CHECK(tq_engine_output(engine, 4) == NULL);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(a_chain_of_equal_values_needs_two_buffers)
{
    tq_graph *g = check_graph("input x: f32[64,16] a = Relu(x) b = Relu(a) c = Relu(b) d = Relu(c) "
                              "e = Relu(d) y = Relu(e)");
    tq_engine *engine = plan(g, NULL);
    CHECK_EQ(tq_engine_memory(engine), 2 * 64 * 16 * 4);
    tq_engine_destroy(engine);
    engine = plan(g, &(tq_engine_options){ .keep_all = true });
    CHECK_EQ(tq_engine_memory(engine), 5 * 64 * 16 * 4);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(memory_reuse_changes_no_value)
{
    tq_graph *g =
        check_graph("input x: f32[8,33] a = Relu(x) b = Add(a, x) c = Mul(b, a) d = Sub(c, x) "
                    "e = Add(d, a) f = Mul(e, c) y = Add(f, b)");
    tq_engine *lean = plan(g, NULL), *kept = plan(g, &(tq_engine_options){ .keep_all = true });
    tq_tensor x = check_random_f32(2, (int64_t[]){ 8, 33 }, 3, -1.0f, 1.0f);
    run(lean, &x);
    run(kept, &x);
    CHECK(tq_tensor_equal(tq_engine_output(lean, 0), tq_engine_output(kept, 0)));
    CHECK(tq_engine_memory(lean) < tq_engine_memory(kept));
    tq_tensor_reset(&x);
    tq_engine_destroy(lean);
    tq_engine_destroy(kept);
    tq_graph_destroy(g);
}

TEST(reshapes_share_the_bytes_of_their_input)
{
    tq_graph *g =
        check_graph("input x: f32[4,6] a = Relu(x) b = Flatten(a)[axis=0] c = Identity(b) "
                    "y = Relu(c)");
    tq_engine *engine = plan(g, NULL);
    CHECK_EQ(tq_engine_memory(engine), 128);
    const char *node;
    CHECK_STR(tq_engine_step(engine, 1, &node, NULL), "alias");
    CHECK_STR(node, "b");
    tq_tensor x = check_random_f32(2, (int64_t[]){ 4, 6 }, 3, 0.5f, 1.0f);
    CHECK_EQ(memcmp(run(engine, &x), x.data, 96), 0);
    tq_tensor_reset(&x);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(an_output_that_is_a_reshape_of_an_input_is_written)
{
    tq_graph *g = check_graph("input x: f32[2,2] y = Flatten(x)[axis=0]");
    tq_engine *engine = plan(g, NULL);
    tq_tensor x = check_random_f32(2, (int64_t[]){ 2, 2 }, 3, 0.5f, 1.0f);
    CHECK_EQ(memcmp(run(engine, &x), x.data, 16), 0);
    tq_tensor_reset(&x);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(changed_constants_are_seen_at_the_next_run)
{
    tq_graph *g = check_graph("input x: f32[2] const c: f32[2] = 3.0 y = Add(x, c)");
    tq_engine *engine = plan(g, &(tq_engine_options){ .constants_change = true });
    float x[] = { 1, 2 };
    const tq_tensor in = { .type = tq_type_make(TQ_F32, 1, (int64_t[]){ 2 }), .data = x };
    CHECK_EQ(run(engine, &in)[1], 5);
    void *data;
    CHECK_OK(tq_value_own(tq_graph_find_value(g, "c"), &data));
    ((float *)data)[1] = 40;
    CHECK_EQ(run(engine, &in)[1], 42);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(values_are_found_by_name_when_they_are_kept)
{
    tq_graph *g = check_graph("input x: f32[2] const c: f32[2] = 3.0 a = Add(x, c) y = Relu(a)");
    tq_engine *engine = plan(g, &(tq_engine_options){ .keep_all = true });
    float x[] = { -5, 2 };
    const tq_tensor in = { .type = tq_type_make(TQ_F32, 1, (int64_t[]){ 2 }), .data = x };
    run(engine, &in);
    CHECK_EQ(((const float *)tq_engine_value(engine, "a")->data)[0], -2);
    CHECK_EQ(((const float *)tq_engine_value(engine, "c")->data)[0], 3);
    CHECK(tq_engine_value(engine, "nobody") == NULL);
    tq_engine_destroy(engine);
    engine = plan(g, NULL);
    run(engine, &in);
    CHECK(tq_engine_value(engine, "a") == NULL);
    CHECK(tq_engine_value(engine, "y") != NULL);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(a_wrong_input_is_named)
{
    tq_graph *g = check_graph("input image: f32[2] y = Relu(image)");
    tq_engine *engine = plan(g, NULL);
    tq_tensor x = check_random_f32(1, (int64_t[]){ 3 }, 3, 0.5f, 1.0f);
    CHECK_FAILS(tq_engine_run(engine, &x, 1, 0), TQ_ERR_SHAPE, "input 'image' is f32[3]");
    CHECK_FAILS(tq_engine_run(engine, &x, 0, 0), TQ_ERR_VALUE, "1 inputs, 0 given");
    tq_tensor_reset(&x);
    tq_engine_destroy(engine);
    CHECK_FAILS(tq_engine_create(g, NULL, 0, NULL, &engine), TQ_ERR_VALUE, "1 inputs");
    tq_graph_destroy(g);
}

TEST(an_unknown_shape_is_refused)
{
    tq_graph *g = check_graph("input x: f32[?] y = Relu(x)");
    tq_engine *engine = NULL;
    CHECK_FAILS(tq_engine_create(g, tq_value_type(tq_graph_input(g, 0)), 1, NULL, &engine),
                TQ_ERR_SHAPE, "'x'");
    CHECK(engine == NULL);
    tq_graph_destroy(g);
}

TEST(a_shape_that_depends_on_data_is_refused)
{
    tq_graph *g = check_graph("input x: f32[4] input s: i64[2] y = Reshape(x, s)");
    tq_type types[] = { *tq_value_type(tq_graph_input(g, 0)),
                        *tq_value_type(tq_graph_input(g, 1)) };
    tq_engine *engine = NULL;
    CHECK_FAILS(tq_engine_create(g, types, 2, NULL, &engine), TQ_ERR_UNSUPPORTED, "(Reshape)");
    tq_graph_destroy(g);
}

TEST(the_same_seed_gives_the_same_dropout_and_another_node_another_one)
{
    tq_graph *g = check_graph("input x: f32[64] const r: f32[] = 0.5 const t: bool[] = 1 "
                              "a = Dropout(x, r, t) b = Dropout(x, r, t) output a output b");
    tq_engine *engine = plan(g, NULL);
    tq_tensor x = check_random_f32(1, (int64_t[]){ 64 }, 3, 0.5f, 1.0f), first;
    run(engine, &x);
    CHECK(!tq_tensor_equal(tq_engine_output(engine, 0), tq_engine_output(engine, 1)));
    CHECK_OK(tq_tensor_copy(tq_engine_output(engine, 0), &first));
    run(engine, &x);
    CHECK(tq_tensor_equal(tq_engine_output(engine, 0), &first));
    tq_tensor_reset(&first);
    tq_tensor_reset(&x);
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}
