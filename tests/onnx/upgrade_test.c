/* Each operator by the schema version in force: older forms become the newest. */
#include "onnx/model.h"

static const int64_t n4[] = { -1, 4 }, image[] = { -1, 3, 8, 8 };

/** The text of a graph that holds just this node, without header and metadata lines. */
static void check_form(const message *n, int opset, int rank, const int64_t *dims,
                       const char *expected)
{
    tq_graph *graph = NULL;
    CHECK_OK(read_node(n, opset, rank, dims, &graph));
    char *text = tq_graph_print(graph, -1), *start = strstr(text, "];\n") + 3;
    *strstr(start, "  output") = 0;
    CHECK_STR(start, expected);
    free(text);
    tq_graph_destroy(graph);
}

TEST(clip_6_had_its_bounds_as_attributes)
{
    message n = node("Clip", "c", "x", "y");
    attr_float(&n, "min", 0);
    attr_float(&n, "max", 6);
    check_form(&n, 10, 2, n4,
               "  const c.min: f32[] = {0.0};\n"
               "  const c.max: f32[] = {6.0};\n"
               "  y = Clip(x, c.min, c.max) \"c\";\n");
}

TEST(clip_6_with_one_bound_leaves_the_other_out)
{
    message n = node("Clip", "c", "x", "y");
    attr_float(&n, "max", 6);
    check_form(&n, 10, 2, n4,
               "  const c.max: f32[] = {6.0};\n"
               "  y = Clip(x, , c.max) \"c\";\n");
}

TEST(slice_1_had_attributes)
{
    message n = node("Slice", "s", "x", "y");
    attr_ints(&n, "axes", 1, (int64_t[]){ 1 });
    attr_ints(&n, "starts", 1, (int64_t[]){ 0 });
    attr_ints(&n, "ends", 1, (int64_t[]){ 2 });
    check_form(&n, 9, 2, n4,
               "  const s.starts: i64[1] = {0};\n"
               "  const s.ends: i64[1] = {2};\n"
               "  const s.axes: i64[1] = {1};\n"
               "  y = Slice(x, s.starts, s.ends, s.axes) \"s\";\n");
}

TEST(pad_2_had_attributes_and_some_write_them_into_newer_files)
{
    message n = node("Pad", "p", "x", "y");
    attr_text(&n, "mode", "constant");
    attr_ints(&n, "pads", 4, (int64_t[]){ 0, 1, 0, 1 });
    attr_int(&n, "value", 0);
    for (int opset = 10; opset <= 13; opset += 3)
        check_form(&n, opset, 2, n4,
                   "  const p.pads: i64[4] = {0, 1, 0, 1};\n"
                   "  const p.value: f32[] = {0.0};\n"
                   "  y = Pad(x, p.pads, p.value) [mode=\"constant\"] \"p\";\n");
}

TEST(reduce_mean_had_its_axes_as_attribute_up_to_17)
{
    message n = node("ReduceMean", "m", "x", "y");
    attr_ints(&n, "axes", 1, (int64_t[]){ -1 });
    check_form(&n, 17, 2, n4,
               "  const m.axes: i64[1] = {-1};\n"
               "  y = ReduceMean(x, m.axes) \"m\";\n");
}

TEST(squeeze_and_unsqueeze_had_their_axes_as_attribute)
{
    message n = node("Unsqueeze", "u", "x", "y");
    attr_ints(&n, "axes", 1, (int64_t[]){ 0 });
    check_form(&n, 11, 2, n4,
               "  const u.axes: i64[1] = {0};\n"
               "  y = Unsqueeze(x, u.axes) \"u\";\n");
}

TEST(dropout_10_had_its_ratio_as_attribute)
{
    message n = node("Dropout", "d", "x", "y");
    attr_float(&n, "ratio", 0.25f);
    check_form(&n, 10, 2, n4,
               "  const d.ratio: f32[] = {0.25};\n"
               "  y = Dropout(x, d.ratio) \"d\";\n");
}

TEST(softmax_before_13_over_the_last_axis_is_the_new_one)
{
    const message n = node("Softmax", "s", "x", "y");
    check_form(&n, 12, 2, n4, "  y = Softmax(x) [axis=-1] \"s\";\n");
}

TEST(softmax_before_13_over_one_axis_that_is_not_1_is_the_new_one)
{
    const message n = node("Softmax", "s", "x", "y");
    check_form(&n, 9, 4, (int64_t[]){ -1, 10, 1, 1 }, "  y = Softmax(x) [axis=1] \"s\";\n");
}

TEST(softmax_before_13_over_several_axes_is_flattened)
{
    const message n = node("Softmax", "s", "x", "y");
    check_form(&n, 12, 4, image,
               "  s.flatten = Flatten(x) [axis=1];\n"
               "  s = Softmax(s.flatten) [axis=-1];\n"
               "  s.shape = Shape(x);\n"
               "  y = Reshape(s, s.shape) \"s.reshape\";\n");
}

TEST(the_flattened_softmax_keeps_its_shape)
{
    const message n = node("LogSoftmax", "s", "x", "y");
    tq_graph *graph = NULL;
    CHECK_OK(read_node(&n, 12, 4, image, &graph));
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_output(graph, 0))).s, "f32[?,3,8,8]");
    tq_graph_destroy(graph);
}

TEST(batch_norm_in_training_mode_is_refused)
{
    message g = graph_xy(4, image), n = node("BatchNormalization", "bn", "x,c,c,c,c", "y");
    const message c = tensor_f32("c", 3, (float[]){ 1, 1, 1 });
    attr_int(&n, "training_mode", 1);
    put(&g, 1, &n);
    put(&g, 5, &c);
    const message model = model_of(&g, 15);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_UNSUPPORTED, "training mode");
}

TEST(batch_norm_7_with_spatial_0_is_refused)
{
    message g = graph_xy(4, image), n = node("BatchNormalization", "bn", "x,c,c,c,c", "y");
    const message c = tensor_f32("c", 3, (float[]){ 1, 1, 1 });
    attr_int(&n, "spatial", 0);
    put(&g, 1, &n);
    put(&g, 5, &c);
    const message model = model_of(&g, 7);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_UNSUPPORTED, "spatial");
}

TEST(upsample_becomes_resize)
{
    message g = graph_xy(4, image), n = node("Upsample", "u", "x,s", "y");
    const message s = tensor_f32("s", 4, (float[]){ 1, 1, 2, 2 });
    put(&g, 1, &n);
    put(&g, 5, &s);
    const message model = model_of(&g, 9);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    const tq_node *resize = tq_graph_first(graph);
    CHECK(tq_node_is(resize, "Resize"));
    CHECK_STR(tq_attr_string(tq_node_attrs(resize), "coordinate_transformation_mode"),
              "asymmetric");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_output(graph, 0))).s, "f32[?,3,16,16]");
    tq_graph_destroy(graph);
}

TEST(outputs_that_are_not_implemented_are_unsupported)
{
    const message n = node("Softmax", "s", "x", "y,z");
    tq_graph *graph;
    CHECK_FAILS(read_node(&n, 17, 2, n4, &graph), TQ_ERR_UNSUPPORTED,
                "node 's' (Softmax): has 2 outputs, 1 are supported");
}
