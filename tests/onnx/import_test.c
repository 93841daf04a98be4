/* ONNX models become graphs: names, constants, types, metadata, and what is refused. */
#include "onnx/model.h"

static const int64_t n4[] = { -1, 4 };

TEST(a_model_becomes_its_graph)
{
    message g = graph_xy(2, n4);
    const message conv = node("Relu", "act", "x", "h"), sum = node("Add", NULL, "h,b", "y");
    const message b = tensor_f32("b", 4, (float[]){ 1, 2, 3, 4 });
    put(&g, 1, &conv);
    put(&g, 1, &sum);
    put(&g, 5, &b);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    check_text(graph, "graph \"g\" {\n"
                      "  input x: f32[?,4];\n"
                      "  const b: f32[4] = {1.0, 2.0, 3.0, 4.0};\n"
                      "  h = Relu(x) \"act\";\n"
                      "  y = Add(h, b) \"Add_1\";\n"
                      "  output y;\n"
                      "  meta value x \"dim.0\" = \"N\";\n"
                      "  meta value y \"dim.0\" = \"N\";\n"
                      "}\n");
}

TEST(made_up_names_keep_clear_of_later_ones)
{
    message g = graph_xy(2, n4);
    const message a = node("Relu", NULL, "x", "h"), b = node("Relu", "Relu_0", "h", "y");
    put(&g, 1, &a);
    put(&g, 1, &b);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    CHECK_STR(tq_node_name(tq_graph_first(graph)), "Relu_0_1");
    CHECK_STR(tq_node_name(tq_graph_last(graph)), "Relu_0");
    tq_graph_destroy(graph);
}

TEST(two_nodes_of_one_name_get_two_names)
{
    message g = graph_xy(2, n4);
    const message a = node("Relu", "act", "x", "h"), b = node("Relu", "act", "h", "y");
    put(&g, 1, &a);
    put(&g, 1, &b);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    CHECK_STR(tq_node_name(tq_graph_last(graph)), "act_1");
    tq_graph_destroy(graph);
}

TEST(an_initialiser_that_is_an_input_too_is_a_constant)
{
    message g = graph_xy(2, n4);
    const message sum = node("Add", NULL, "x,b", "y"), b = tensor_f32("b", 1, (float[]){ 1 });
    const message input = info("b", FLOAT, 1, (int64_t[]){ 1 });
    put(&g, 1, &sum);
    put(&g, 5, &b);
    put(&g, 11, &input);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    CHECK_EQ(tq_graph_n_inputs(graph), 1);
    CHECK(tq_value_is_const(tq_graph_find_value(graph, "b")));
    tq_graph_destroy(graph);
}

TEST(constant_nodes_become_constants)
{
    message g = graph_xy(2, n4), whole = node("Constant", NULL, "", "a");
    message number = node("Constant", NULL, "", "b");
    const message value = tensor_f32(NULL, 1, (float[]){ 2 });
    attr_tensor(&whole, "value", &value);
    attr_float(&number, "value_float", 3);
    const message first = node("Mul", NULL, "x,a", "h"), second = node("Mul", NULL, "h,b", "y");
    put(&g, 1, &whole);
    put(&g, 1, &number);
    put(&g, 1, &first);
    put(&g, 1, &second);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    CHECK_EQ(tq_graph_n_nodes(graph), 2);
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_find_value(graph, "a"))).s, "f32[1]");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_find_value(graph, "b"))).s, "f32[]");
    tq_graph_destroy(graph);
}

TEST(an_attribute_that_onnx_does_not_know_becomes_metadata)
{
    message n = node("Relu", "r", "x", "y");
    attr_int(&n, "out_bits", 8);
    attr_float(&n, "ratio", 2);
    attr_text(&n, "note", "7");
    tq_graph *graph = NULL;
    CHECK_OK(read_node(&n, 10, 2, n4, &graph));
    const tq_node *r = tq_graph_first(graph);
    CHECK_STR(tq_node_meta(r, "attr.out_bits"), "8");
    CHECK_STR(tq_node_meta(r, "attr.ratio"), "2.0");
    CHECK_STR(tq_node_meta(r, "attr.note"), "\"7\"");
    tq_graph_destroy(graph);
}

TEST(metadata_finds_its_graph_node_and_value)
{
    message g = graph_xy(2, n4);
    const message relu = node("Relu", "a:b%", "x", "y");
    put(&g, 1, &relu);
    message model = model_of(&g, 17);
    const char *const props[][2] = { { "truq.graph:preset", "raw" },
                                     { "truq.node:a%3Ab%25:note", "n" },
                                     { "truq.value:y:quant.scale", "0.5" },
                                     { "truq.value:gone:k", "v" },
                                     { "author", "me" } };
    for (int i = 0; i < TQ_COUNT(props); i++) {
        message entry = { 0 };
        put_text(&entry, 1, props[i][0]);
        put_text(&entry, 2, props[i][1]);
        put(&model, 14, &entry);
    }
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    CHECK_STR(tq_graph_meta(graph, "preset"), "raw");
    CHECK_STR(tq_graph_meta(graph, "onnx.author"), "me");
    CHECK_STR(tq_node_meta(tq_graph_first(graph), "note"), "n");
    CHECK_STR(tq_value_meta(tq_graph_find_value(graph, "y"), "quant.scale"), "0.5");
    tq_graph_destroy(graph);
}

/* ---- refused: not supported ---- */

TEST(opsets_from_7_to_28_are_read)
{
    const message relu = node("Relu", NULL, "x", "y");
    for (int opset = 7; opset <= 28; opset++) {
        tq_graph *graph = NULL;
        CHECK_OK(read_node(&relu, opset, 2, n4, &graph));
        tq_graph_destroy(graph);
    }
    tq_graph *graph;
    CHECK_FAILS(read_node(&relu, 6, 2, n4, &graph), TQ_ERR_UNSUPPORTED, "opset 6");
    CHECK_FAILS(read_node(&relu, 29, 2, n4, &graph), TQ_ERR_UNSUPPORTED, "opset 29");
}

TEST(an_unknown_operator_is_named_with_its_node)
{
    message g = graph_xy(2, n4), n = node("Frobnicate", "f1", "x", "y"), import = { 0 };
    put_text(&n, 7, "org.x");
    put(&g, 1, &n);
    message model = model_of(&g, 17);
    put_text(&import, 1, "org.x");
    put_int(&import, 2, 3);
    put(&model, 8, &import);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_UNSUPPORTED,
                "node 'f1' (Frobnicate): operator 'Frobnicate' of domain 'org.x'");
}

TEST(an_operator_younger_than_the_opset_is_refused)
{
    const message n = node("HardSwish", NULL, "x", "y");
    tq_graph *graph;
    CHECK_FAILS(read_node(&n, 13, 2, n4, &graph), TQ_ERR_UNSUPPORTED, "came with opset 14");
}

TEST(dtypes_that_are_not_supported_are_named)
{
    message g = { 0 };
    const message x = info("x", STRING, 2, n4), y = info("y", FLOAT, 2, n4);
    const message n = node("Identity", NULL, "x", "y");
    put(&g, 1, &n);
    put(&g, 11, &x);
    put(&g, 12, &y);
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_UNSUPPORTED,
                "graph input 'x': data type STRING is not supported");
}

TEST(a_subgraph_as_attribute_is_not_supported)
{
    message n = node("Relu", NULL, "x", "y"), attr = { 0 };
    put_text(&attr, 1, "body");
    put_int(&attr, 20, 5);
    put(&n, 5, &attr);
    tq_graph *graph;
    CHECK_FAILS(read_node(&n, 17, 2, n4, &graph), TQ_ERR_UNSUPPORTED, "attribute 'body'");
}

TEST(functions_are_not_supported)
{
    message g = graph_xy(2, n4);
    const message relu = node("Relu", NULL, "x", "y");
    put(&g, 1, &relu);
    message model = model_of(&g, 17), function = { 0 };
    put_text(&function, 1, "f");
    put(&model, 25, &function);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_UNSUPPORTED, "functions (here 'f')");
}

/* ---- refused: broken ---- */

static void check_broken(const message *n, const char *text)
{
    tq_graph *graph;
    CHECK_FAILS(read_node(n, 17, 2, n4, &graph), TQ_ERR_FORMAT, text);
}

TEST(a_name_that_nothing_makes_is_an_error)
{
    const message n = node("Relu", "r", "nowhere", "y");
    check_broken(&n, "node 'r' (Relu): reads 'nowhere', which nothing makes");
}

TEST(a_cycle_is_an_error)
{
    const message n = node("Add", "r", "x,y", "y");
    check_broken(&n, "cycle");
}

TEST(a_value_made_twice_is_an_error)
{
    const message n = node("Relu", "r", "x", "x");
    check_broken(&n, "value 'x' is made twice");
}

TEST(an_attribute_of_the_wrong_kind_is_an_error)
{
    message n = node("Flatten", "f", "x", "y");
    attr_text(&n, "axis", "one");
    check_broken(&n, "attribute 'axis' is a string, expected an integer");
}

TEST(an_attribute_given_twice_is_an_error)
{
    message n = node("Flatten", "f", "x", "y");
    attr_int(&n, "axis", 1);
    attr_int(&n, "axis", 1);
    check_broken(&n, "attribute 'axis' twice");
}

TEST(a_nul_in_a_name_is_an_error)
{
    message g = graph_xy(2, n4), n = { 0 };
    put_bytes(&n, 1, "x\0z", 3);
    put_text(&n, 2, "y");
    put_text(&n, 4, "Relu");
    put(&g, 1, &n);
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_FORMAT, "holds a NUL");
}

TEST(a_graph_without_outputs_is_an_error)
{
    message g = { 0 };
    put_text(&g, 2, "g");
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_FORMAT, "no output");
}

TEST(a_graph_output_that_nothing_makes_is_an_error)
{
    const message n = node("Relu", "r", "x", "z");
    check_broken(&n, "graph output 'y' is made by nothing");
}

TEST(files_that_are_no_models_are_errors)
{
    tq_graph *graph;
    CHECK_FAILS(tq_onnx_import(check_registry(), "/nowhere/m.onnx", &graph), TQ_ERR_IO,
                "/nowhere/m.onnx");
    CHECK_FAILS(tq_onnx_import(check_registry(), "/tmp", &graph), TQ_ERR_IO, "folder");
    CHECK_FAILS(tq_onnx_import_bytes(check_registry(), "", 0, "empty", NULL, &graph), TQ_ERR_FORMAT,
                "cannot import 'empty': not an ONNX model");
    CHECK_FAILS(tq_onnx_import_bytes(check_registry(), "hello world", 11, "t", NULL, &graph),
                TQ_ERR_FORMAT, "not an ONNX model");
}
