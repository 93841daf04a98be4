/* The list of layers, and the lists of what there is. */
#include "check.h"

static const char NETWORK[] =
    "input x: f32[?,3,8,8] const w: f32[4,3,3,3] = 0.5 c = Conv(x,w)[pads=[1,1,1,1]] "
    "r = Relu(c) const f: f32[4,2] = 0.1 g = GlobalAveragePool(r) t = Flatten(g) "
    "y = MatMul(t,f)";

static const char *layers(tq_arena *arena, const tq_layers_options *options)
{
    tq_graph *graph = check_graph(NETWORK);
    const char *text;
    CHECK_OK(tq_report_layers(graph, options, arena, &text));
    tq_graph_destroy(graph);
    return text;
}

TEST(a_layer_says_its_weight_and_what_is_not_the_default)
{
    tq_arena *arena = tq_arena_create();
    const char *text = layers(arena, &(tq_layers_options){ 0 });
    CHECK(strstr(text, "Conv(4x3x3x3, pads=1x1x1x1)") != NULL);
    CHECK(strstr(text, "f32[?,4,8,8]") != NULL);
    CHECK(strstr(text, "Relu()") != NULL);
    tq_arena_destroy(arena);
}

static const char *node_text(const char *network, const char *node, tq_arena *arena)
{
    tq_graph *graph = check_graph(network);
    const char *text = tq_report_node(tq_graph_find_node(graph, node), arena);
    tq_graph_destroy(graph);
    return text;
}

TEST(single_numbers_and_short_lists_are_said)
{
    tq_arena *arena = tq_arena_create();
    const char *network = "input x: f32[2,3] const lo: f32[] = 0 const hi: f32[] = 6 "
                          "c = Clip(x,lo,hi) \"clip\" const s: i64[2] = {3,-1} "
                          "r = Reshape(c,s) \"shape\" const w: f32[2,1] = 1 const b: f32[1] = 5 "
                          "y = Gemm(r,w,b) \"fc\"";
    CHECK_STR(node_text(network, "clip", arena), "Clip(min=0, max=6)");
    CHECK_STR(node_text(network, "shape", arena), "Reshape(shape=3x-1)");
    CHECK_STR(node_text(network, "fc", arena), "Gemm(2x1)");
    CHECK_STR(node_text("input x: f32[2] const a: f32[] = 0 const b: f32[] = 4 "
                        "y = FakeQuantize(x,a,b) \"q\"",
                        "q", arena),
              "FakeQuantize(clip_lo=0, clip_hi=4)");
    CHECK_STR(node_text("input x: f32[2] y = Cast(x)[to=6] \"c\"", "c", arena), "Cast(to=i32)");
    tq_arena_destroy(arena);
}

TEST(devices_are_a_column_where_there_are_any)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(NETWORK);
    const char *text;
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ 0 }, arena, &text));
    CHECK(strstr(text, "device") == NULL);
    tq_node_set_meta(tq_graph_find_node(graph, "r"), "device", "npu");
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ 0 }, arena, &text));
    CHECK(strstr(text, "device") != NULL && strstr(text, "npu") != NULL);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(integers_between_reals_are_a_mixed_network)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(NETWORK);
    tq_graph_set_meta(graph, "stage", "partial");
    const char *text;
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ 0 }, arena, &text));
    CHECK(strstr(text, ": mixed network") != NULL);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(totals_are_those_of_one_sample)
{
    tq_arena *arena = tq_arena_create();
    const char *text = layers(arena, &(tq_layers_options){ 0 });
    CHECK(strstr(text, "5 of 5 nodes, 116 parameters, 6920 MACs") != NULL);
    tq_arena_destroy(arena);
}

TEST(a_shared_weight_counts_once)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[2,3] const w: f32[3,3] = 1 a = MatMul(x,w) "
                                  "y = MatMul(a,w)");
    const char *text;
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ 0 }, arena, &text));
    CHECK(strstr(text, "2 of 2 nodes, 9 parameters") != NULL);
    tq_graph_destroy(graph);
    graph = check_graph("input x: u8[2,3] const w: i8[3,3] = 1 y = MatMulInteger(x,w)");
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ 0 }, arena, &text));
    CHECK(strstr(text, "1 of 1 nodes, 9 parameters") != NULL);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(filters_choose_by_operator_and_name)
{
    tq_arena *arena = tq_arena_create();
    const char *const types[] = { "Conv", "Relu", NULL };
    CHECK(strstr(layers(arena, &(tq_layers_options){ .types = types }), "\n2 of 5 nodes") != NULL);
    CHECK(strstr(layers(arena, &(tq_layers_options){ .filter = "^[cr]$" }), "\n2 of 5") != NULL);
    tq_arena_destroy(arena);
}

TEST(edges_name_neighbours_inputs_and_constants)
{
    tq_arena *arena = tq_arena_create();
    const char *const types[] = { "MatMul", NULL };
    const char *text = layers(arena, &(tq_layers_options){ .types = types, .edges = true });
    CHECK(strstr(text, "    <- t\n    <- constant f\n    -> output y\n") != NULL);
    tq_arena_destroy(arena);
}

TEST(a_bad_filter_is_wrong_usage)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(NETWORK);
    const char *text;
    CHECK_FAILS(tq_report_layers(graph, &(tq_layers_options){ .filter = "(" }, arena, &text),
                TQ_ERR_USAGE, "no regular expression");
    CHECK_FAILS(tq_report_layers(graph, &(tq_layers_options){ .filter = "op:Conv" }, arena, &text),
                TQ_ERR_USAGE, "filter 'op:Conv', column 1: expected name:, type: or device:");
    CHECK_OK(tq_report_layers(graph, &(tq_layers_options){ .filter = "conv:0" }, arena, &text));
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(operators_say_what_they_lack)
{
    tq_arena *arena = tq_arena_create();
    const char *text = tq_report_list(check_registry(), TQ_KIND_OP, true, arena);
    const char *conv = strstr(text, "\"name\": \"Conv\"");
    CHECK(conv != NULL && strstr(conv, "\"gradient\": true") != NULL);
    const char *shape = strstr(text, "\"name\": \"Shape\"");
    const char *gradient = shape ? strstr(shape, "\"gradient\": ") : NULL;
    CHECK(gradient != NULL && strncmp(gradient, "\"gradient\": false", 17) == 0);
    tq_arena_destroy(arena);
}

TEST(a_proof_that_fails_says_where)
{
    tq_arena *arena = tq_arena_create();
    const tq_proof_row rows[] = {
        { .node = "a",
          .op = "Add",
          .lo = -5,
          .hi = 300,
          .inner_lo = -5,
          .inner_hi = 300,
          .inner_bits = 8,
          .problem = "sum needs 10 bits, has 8" },
        { .node = "b", .op = "Relu", .lo = 0, .hi = 255, .fits = true, .fp32_exact = true },
    };
    const char *text = tq_report_proof(rows, 2, false, false, arena);
    CHECK(strstr(text, "sum needs 10 bits, has 8") != NULL);
    CHECK(strstr(text, "not proven: 1 of 2 nodes fail") != NULL);
    CHECK(strstr(tq_report_proof(rows, 2, false, true, arena), "\"proven\": false") != NULL);
    tq_arena_destroy(arena);
}
