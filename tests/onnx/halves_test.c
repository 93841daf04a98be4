/* Networks of 16-bit floats: operators without a kernel for them run in f32. */
#include "onnx/model.h"

enum { FLOAT16 = 10 };

/** Softmax of x[2], of a dtype; y is given as an output of the same. */
static tq_status read_softmax(int data_type, tq_graph **out_graph)
{
    const int64_t dims[] = { 1, 2 };
    message g = { 0 };
    const message x = info("x", data_type, 2, dims), y = info("y", data_type, 2, dims);
    const message n = node("Softmax", "s", "x", "y");
    put_text(&g, 2, "g");
    put(&g, 11, &x);
    put(&g, 12, &y);
    put(&g, 1, &n);
    const message model = model_of(&g, 17);
    return read_model(&model, out_graph);
}

TEST(an_operator_without_halves_reads_floats_and_its_result_is_rounded)
{
    tq_graph *graph;
    CHECK_OK(read_softmax(FLOAT16, &graph));
    check_text(graph, "graph \"g\" {\n"
                      "  input x: f16[1,2];\n"
                      "  x.wide = Cast(x) [to=1] \"s.cast\";\n"
                      "  y.wide = Softmax(x.wide) \"s\";\n"
                      "  y = Cast(y.wide) [to=10] \"s.cast_1\";\n"
                      "  output y;\n"
                      "}\n");
}

TEST(constant_halves_become_constant_floats)
{
    const int64_t dims[] = { 1, 2 }, two = 2;
    const uint16_t numbers[] = { 0x3c00, 0x4000 }; /* 1, 2 */
    message g = { 0 };
    const message x = info("x", FLOAT16, 2, dims), y = info("y", FLOAT16, 2, dims);
    const message s = tensor_raw("scale", FLOAT16, 1, &two, numbers, sizeof numbers);
    const message n = node("LayerNormalization", "l", "x,scale", "y");
    put_text(&g, 2, "g");
    put(&g, 11, &x);
    put(&g, 12, &y);
    put(&g, 5, &s);
    put(&g, 1, &n);
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_OK(read_model(&model, &graph));
    const tq_value *scale = tq_node_input(tq_graph_find_node(graph, "l"), 1);
    CHECK_EQ(tq_value_type(scale)->dtype, TQ_F32);
    CHECK_NEAR((double)((const float *)tq_value_tensor(scale)->data)[1], 2, 0);
    CHECK_EQ(tq_value_type(tq_graph_output(graph, 0))->dtype, TQ_F16);
    tq_graph_destroy(graph);
}

TEST(doubles_are_not_narrowed)
{
    tq_graph *graph;
    CHECK_FAILS(read_softmax(DOUBLE, &graph), TQ_ERR_UNSUPPORTED, "expected one of f32");
}
