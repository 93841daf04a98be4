/* Type inference: a symbolic batch through the shape arithmetic that exporters write; concrete
 * shapes for an engine. */
#include "check.h"

static void check_type(const tq_graph *graph, const char *value, const char *expected)
{
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_find_value(graph, value))).s, expected);
}

/* x.view(x.size(0), -1), as PyTorch exports it. */
static const char view[] = "input x: f32[?,4,2,3]\n const zero: i64[] = 0\n const axes: i64[1] = "
                           "{0}\n const rest: i64[1] = {-1}\n"
                           "s = Shape(x)\n n = Gather(s, zero) [axis=0]\n u = Unsqueeze(n, axes)\n"
                           "t = Concat(u, rest) [axis=0]\n y = Reshape(x, t)\n z = Relu(y)";

TEST(a_symbolic_batch_passes_shape_arithmetic)
{
    tq_graph *graph = check_graph(view);
    const tq_tensor *known = tq_value_known(tq_graph_find_value(graph, "t"));
    CHECK(known);
    CHECK_EQ(tq_load_i64(known->data, TQ_I64, 0), TQ_VALUE_ANY);
    CHECK_EQ(tq_load_i64(known->data, TQ_I64, 1), -1);
    CHECK_EQ(tq_value_type(tq_graph_find_value(graph, "y"))->rank, 2);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(a_concrete_batch_makes_it_exact)
{
    tq_graph *graph = check_graph(view);
    const tq_type type = tq_type_make(TQ_F32, 4, (int64_t[]){ 5, 4, 2, 3 });
    CHECK_OK(tq_graph_infer_for(graph, &type, 1));
    check_type(graph, "z", "f32[5,24]");
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(computed_sizes_are_known)
{
    tq_graph *graph = check_graph(
        "input x: f32[2,3,4]\n const two: i64[1] = {2}\n s = Shape(x)\n m = Mul(s, two)\n"
        "const one: f32[1,1,1] = 1\n y = Expand(one, m)");
    check_type(graph, "y", "f32[4,6,8]");
    tq_graph_destroy(graph);
}

TEST(arithmetic_on_an_unknown_size_is_unknown_not_wrong)
{
    tq_graph *graph =
        check_graph("input x: f32[?,3]\n const two: i64[1] = {2}\n s = Shape(x)\n m = Mul(s, two)\n"
                    "const one: f32[1,1] = 1\n y = Expand(one, m)");
    const tq_type *type = tq_value_type(tq_graph_find_value(graph, "y"));
    CHECK(!tq_type_is_known(type));
    tq_graph_destroy(graph);
}

TEST(a_shape_that_does_not_fit_the_input_is_refused)
{
    tq_graph *graph = check_graph(view);
    const tq_type wrong = tq_type_make(TQ_F32, 4, (int64_t[]){ 5, 4, 2, 2 });
    CHECK_FAILS(tq_graph_infer_for(graph, &wrong, 1), TQ_ERR_SHAPE,
                "input 'x' is f32[?,4,2,3], given f32[5,4,2,2]");
    CHECK_FAILS(tq_graph_infer_for(graph, &wrong, 2), TQ_ERR_VALUE, "has 1 inputs, 2 given");
    tq_graph_destroy(graph);
}

TEST(inference_names_the_node)
{
    tq_graph *graph = check_graph("input x: f32[?,3]\n const k: f32[4,3] = 1\n y = Add(x, k)");
    const tq_type wrong = tq_type_make(TQ_F32, 2, (int64_t[]){ 2, 3 });
    CHECK_FAILS(tq_graph_infer_for(graph, &wrong, 1), TQ_ERR_SHAPE, "node 'y' (Add)");
    tq_graph_destroy(graph);
}

TEST(macs_and_parameters_are_those_of_one_sample)
{
    tq_graph *graph =
        check_graph("input x: f32[?,3,8,8]\n const w: f32[4,3,3,3] = 1\n const b: f32[4] = 1\n"
                    "y = Conv(x, w, b) [pads=[1,1,1,1]]");
    CHECK_EQ(tq_node_macs(tq_graph_first(graph)), 4 * 3 * 9 * 64);
    CHECK_EQ(tq_node_n_parameters(tq_graph_first(graph)), 4 * 27 + 4);
    tq_graph_destroy(graph);
}
