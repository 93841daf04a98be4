/* What others quantised becomes fake-quantised: the editors of the pipeline "lift", on graphs in
 * text. */
#include "check.h"

static void lift(tq_graph **graph)
{
    CHECK_OK(tq_pipeline_run(check_registry(), "lift", graph, NULL));
}

static tq_node *first_of(const tq_graph *graph, const char *op)
{
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, op))
            return node;
    check_fail(__FILE__, __LINE__, "there is no %s", op);
}

static int64_t attr(const tq_graph *graph, const char *op, const char *name)
{
    return tq_attr_int(tq_node_attrs(first_of(graph, op)), name);
}

static const char pair[] = "input x: f32[2,5] const s: f32[] = {0.3} const z: u8[] = {100} "
                           "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)";

TEST(a_pair_becomes_a_quantiser_with_the_same_bits)
{
    tq_graph *graph = check_graph(pair);
    tq_tensor x = check_random_f32(2, (int64_t[]){ 2, 5 }, 1, -60, 60);
    ((float *)x.data)[0] = 0.45f; /* a tie: 1.5 steps */
    tq_tensor before = check_run(graph, &x);
    lift(&graph);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 1);
    CHECK_EQ(tq_graph_n_nodes(graph), 1);
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "y");
    CHECK_STR(tq_graph_meta(graph, "dialect"), "qdq");
    tq_tensor after = check_run(graph, &x);
    CHECK(tq_tensor_equal(&before, &after));
    tq_tensor_reset(&x);
    tq_tensor_reset(&before);
    tq_tensor_reset(&after);
    tq_graph_destroy(graph);
}

TEST(the_dialect_onnx_keeps_pairs_as_they_are)
{
    tq_graph *graph = check_graph(pair);
    tq_graph_set_meta(graph, "dialect", "onnx");
    lift(&graph);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 0);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 1);
    tq_graph_destroy(graph);
}

TEST(a_clip_between_narrows_the_grid)
{
    tq_graph *graph = check_graph("input x: f32[4] const s: f32[] = {0.5} const z: i8[] = {0} "
                                  "const lo: i8[] = {-7} const hi: i8[] = {7} "
                                  "q = QuantizeLinear(x, s, z) c = Clip(q, lo, hi) "
                                  "y = DequantizeLinear(c, s, z)");
    lift(&graph);
    CHECK_EQ(tq_graph_n_nodes(graph), 1);
    CHECK_EQ(attr(graph, "FakeQuantize", "q_min"), -7);
    CHECK_EQ(attr(graph, "FakeQuantize", "n_levels"), 15);
    tq_graph_destroy(graph);
}

TEST(codes_that_move_become_reals_that_move)
{
    tq_graph *graph =
        check_graph("input x: f32[1,2,4,4] const s: f32[] = {0.5} const z: u8[] = {3} "
                    "q = QuantizeLinear(x, s, z) m = MaxPool(q) [kernel_shape=[2,2]] "
                    "y = DequantizeLinear(m, s, z)");
    lift(&graph);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 1);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), 0);
    CHECK_EQ(tq_value_type(tq_node_output(first_of(graph, "MaxPool"), 0))->dtype, TQ_F32);
    tq_graph_destroy(graph);
}

TEST(codes_that_someone_reads_stay_codes)
{
    tq_graph *graph = check_graph("input x: f32[4] const s: f32[] = {0.5} const z: u8[] = {0} "
                                  "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) "
                                  "n = Cast(q) [to=6] output y output n");
    lift(&graph);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 1);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 0);
    tq_graph_destroy(graph);
}

TEST(codes_at_the_borders_become_reals)
{
    tq_graph *graph = check_graph("input x: u8[1,2] const s: f32[] = {0.5} const z: u8[] = {7} "
                                  "a = DequantizeLinear(x, s, z) b = Relu(a) "
                                  "y = QuantizeLinear(b, s, z)");
    lift(&graph);
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_input(graph, 0))).s, "f32[1,2]");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_output(graph, 0))).s, "f32[1,2]");
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "y");
    CHECK_EQ(check_count(graph, "FakeQuantize"), 2);
    tq_graph_destroy(graph);
}

static const char layer[] =
    "input x: f32[1,2] const s: f32[2] = {0.5, 0.25} const z: i8[2] = {0, 4} "
    "const w: i8[2,2] = {1, 2, 3, 4} const bs: f32[] = {0.1} const b: i32[2] = {10, -20} "
    "wd = DequantizeLinear(w, s, z) [axis=0] bd = DequantizeLinear(b, bs) ";

/* A converter gives an i8 network inputs of u8 so: two pairs, one behind the other. */
TEST(codes_of_an_input_may_change_their_grid_at_once)
{
    tq_graph *graph =
        check_graph("input x: u8[4] const s: f32[] = {0.5} const a: u8[] = {128} "
                    "const b: i8[] = {0} d = DequantizeLinear(x, s, a) q = QuantizeLinear(d, s, b) "
                    "e = DequantizeLinear(q, s, b) y = Relu(e)");
    lift(&graph);
    CHECK_EQ(check_count(graph, "DequantizeLinear") + check_count(graph, "QuantizeLinear"), 0);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 2);
    CHECK_EQ(tq_value_type(tq_graph_input(graph, 0))->dtype, TQ_F32);
    tq_graph_destroy(graph);
}

TEST(weights_can_be_trained_and_biases_are_floats)
{
    char text[600];
    snprintf(text, sizeof text, "%s y = Gemm(x, wd, bd) [transB=1]", layer);
    tq_graph *graph = check_graph(text);
    lift(&graph);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 1);
    CHECK_EQ(attr(graph, "FakeQuantize", "axis"), 0);
    const tq_node *gemm = first_of(graph, "Gemm");
    const tq_tensor *bias = tq_value_tensor(tq_node_input(gemm, 2));
    CHECK_NEAR(((const float *)bias->data)[1], -2.0, 1e-6);
    const float *w = tq_value_tensor(tq_node_input(first_of(graph, "FakeQuantize"), 0))->data;
    CHECK_NEAR(w[0], 0.5, 0);
    CHECK_NEAR(w[2], -0.25, 0);
    tq_graph_destroy(graph);
}

TEST(a_transposed_weight_keeps_its_scales_with_their_channels)
{
    char text[600];
    snprintf(text, sizeof text, "%s t = Transpose(wd) [perm=[1,0]] m = MatMul(x, t) y = Add(m, bd)",
             layer);
    tq_graph *graph = check_graph(text);
    tq_tensor x = check_random_f32(2, (int64_t[]){ 1, 2 }, 1, -1, 1), before = check_run(graph, &x);
    lift(&graph);
    CHECK_EQ(check_count(graph, "Transpose"), 0);
    CHECK_EQ(attr(graph, "FakeQuantize", "axis"), 1);
    tq_tensor after = check_run(graph, &x);
    CHECK(tq_tensor_equal(&before, &after));
    tq_tensor_reset(&x);
    tq_tensor_reset(&before);
    tq_tensor_reset(&after);
    tq_graph_destroy(graph);
}

TEST(a_scale_of_zero_is_named)
{
    tq_graph *graph = check_graph("input x: f32[4] const bad: f32[] = {0} const z: u8[] = {0} "
                                  "q = QuantizeLinear(x, bad, z) y = DequantizeLinear(q, bad, z)");
    CHECK_FAILS(tq_pipeline_run(check_registry(), "lift", &graph, NULL), TQ_ERR_VALUE,
                "'bad' is 0");
    tq_graph_destroy(graph);
}

TEST(an_integer_layer_between_known_grids_computes_reals)
{
    tq_graph *graph = check_graph(
        "input x: f32[2,3] const s: f32[] = {0.5} const z: u8[] = {9} "
        "const w: i8[3,2] = {1, -2, 3, 4, -5, 6} const m: f32[2] = {0.05, 0.1} "
        "q = QuantizeLinear(x, s, z) a = MatMulInteger(q, w, z) f = Cast(a) [to=1] y = Mul(f, m)");
    tq_tensor x = check_random_f32(2, (int64_t[]){ 2, 3 }, 1, -4, 4), before = check_run(graph, &x);
    lift(&graph);
    CHECK_EQ(check_count(graph, "MatMulInteger"), 0);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 2);
    tq_tensor after = check_run(graph, &x);
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(((float *)after.data)[i], ((float *)before.data)[i], 1e-5);
    tq_tensor_reset(&x);
    tq_tensor_reset(&before);
    tq_tensor_reset(&after);
    tq_graph_destroy(graph);
}
