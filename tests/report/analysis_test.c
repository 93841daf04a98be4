/* What show tells of a network: nodes by expressions, what feeds what, ranges and noise on data. */
#include "road.h"

static tq_graph *example(void)
{
    return check_graph(
        "input x: f32[?,4]\n const w: f32[4,4] = random(1)\n a = MatMul(x, w) \"stage1.fc\"\n"
        "b = Relu(a) \"stage1.relu\"\n c = MatMul(b, w) \"stage2.fc\"\n d = Tanh(x) \"side\"\n"
        "e = Add(c, d) \"sum\"\n const l: f32[] = 0\n const h: f32[] = 6\n f = Clip(e, l, h) "
        "\"last\"");
}

/* The names of the nodes shown, one space between them. */
static const char *shown(const tq_layers_options *options, tq_arena *arena)
{
    tq_graph *graph = example();
    tq_layers_options json = *options;
    const char *text, *names = "";
    json.json = true;
    CHECK_OK(tq_report_layers(graph, &json, arena, &text));
    for (const char *at = strstr(text, "\"layers\""); (at = strstr(at, "\"name\": \"")) != NULL;) {
        at += 9;
        names = tq_arena_printf(arena, "%s%s%.*s", names, *names ? " " : "", (int)strcspn(at, "\""),
                                at);
    }
    tq_graph_destroy(graph);
    return names;
}

static void check_filter(const char *filter, const char *expected)
{
    tq_arena *arena = tq_arena_create();
    CHECK_STR(shown(&(tq_layers_options){ .filter = filter }, arena), expected);
    tq_arena_destroy(arena);
}

TEST(a_plain_filter_is_a_regular_expression)
{
    check_filter("fc$", "stage1.fc stage2.fc");
    check_filter("not", "");
    check_filter("^(side|sum)$", "side sum");
}

TEST(filters_are_expressions)
{
    check_filter("type:MatMul", "stage1.fc stage2.fc");
    check_filter("type:MatMul and not name:^stage1", "stage2.fc");
    check_filter("type:Relu6 or type:Add", "sum last");
    check_filter("not (type:MatMul or type:Tanh)", "stage1.relu sum last");
    check_filter("type:MatMul or type:Add and name:stage", "stage1.fc stage2.fc");
    check_filter("name:(fc|relu)$ and (name:stage1)", "stage1.fc stage1.relu");
    check_filter("name:\"s.*e\" and not name:stage", "side");
    check_filter("not not type:Add", "sum");
}

static void check_wrong(const char *filter, tq_code code, const char *text)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = example();
    const char *out;
    CHECK_FAILS(tq_report_layers(graph, &(tq_layers_options){ .filter = filter }, arena, &out),
                code, text);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(wrong_filters_say_where)
{
    check_wrong("type:Conv and", TQ_ERR_USAGE, "column 14");
    check_wrong("(type:Conv", TQ_ERR_USAGE, "expected ')'");
    check_wrong("type:Conv type:Relu", TQ_ERR_USAGE, "column 11: expected 'and', 'or' or the end");
    check_wrong("type:Nosuch", TQ_ERR_NOT_FOUND, "unknown op");
    check_wrong("name:( or type:Conv", TQ_ERR_USAGE, "no regular expression");
    check_wrong("name:\"open", TQ_ERR_USAGE, "closing quote");
    check_wrong("name:", TQ_ERR_USAGE, "a value");
    char deep[700];
    memset(deep, '(', 600);
    strcpy(deep + 600, "type:Conv");
    check_wrong(deep, TQ_ERR_USAGE, "fewer parts");
}

TEST(what_feeds_a_node_and_what_it_feeds)
{
    tq_arena *arena = tq_arena_create();
    CHECK_STR(shown(&(tq_layers_options){ .upstream = "stage2.fc" }, arena),
              "stage1.fc stage1.relu stage2.fc");
    CHECK_STR(shown(&(tq_layers_options){ .downstream = "stage1.relu" }, arena),
              "stage1.relu stage2.fc sum last");
    CHECK_STR(shown(&(tq_layers_options){ .upstream = "e", .downstream = "a" }, arena),
              "stage1.fc stage1.relu stage2.fc sum");
    CHECK_STR(shown(&(tq_layers_options){ .upstream = "sum", .filter = "not type:MatMul" }, arena),
              "stage1.relu side sum");
    tq_graph *graph = example();
    const char *text;
    CHECK_FAILS(tq_report_layers(graph, &(tq_layers_options){ .upstream = "nope" }, arena, &text),
                TQ_ERR_NOT_FOUND, "no node 'nope'");
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

/* ---- on data ---- */

static const tq_value_range *row_of(const tq_value_range *rows, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].value, name) == 0)
            return &rows[i];
    check_fail(__FILE__, __LINE__, "no range of '%s'", name);
}

TEST(ranges_and_noise_are_measured)
{
    tq_graph *graph = check_graph(
        "input x: f32[?,8]\n const lo: f32[1] = 0\n const hi: f32[1] = 1\n"
        "a = FakeQuantize(x, lo, hi) [q_min=0, n_levels=256]\n"
        "b = FakeQuantize(x, lo, hi) [q_min=0, n_levels=16]\n c = Add(a, b)\n d = Neg(c)");
    tq_dataset *data = road_random_data(graph, 64, 3);
    tq_arena *arena = tq_arena_create();
    tq_value_range *rows;
    int n;
    CHECK_OK(tq_ranges_measure(
        graph, &(tq_compare_options){ .registry = check_registry(), .data = data, .n_threads = 1 },
        arena, &rows, &n));
    CHECK_EQ(n, 5);
    CHECK(isnan(row_of(rows, n, "x")->sqnr) && isnan(row_of(rows, n, "c")->sqnr));
    /* a uniform signal of power 1/3 against noise of step^2 / 12 */
    CHECK_NEAR(row_of(rows, n, "a")->sqnr, 10 * log10(12.0 / 3 * 255 * 255), 1.0);
    CHECK_NEAR(row_of(rows, n, "b")->sqnr, 10 * log10(12.0 / 3 * 15 * 15), 1.0);
    CHECK(row_of(rows, n, "x")->min >= 0 && row_of(rows, n, "x")->max <= 1);
    CHECK_NEAR(row_of(rows, n, "d")->min, -row_of(rows, n, "c")->max, 0);
    tq_arena_destroy(arena);
    tq_dataset_close(data);
    tq_graph_destroy(graph);
}

TEST(bits_are_those_of_the_grid)
{
    tq_graph *graph = check_graph(
        "input x: f32[2]\n const lo: f32[1] = 0\n const hi: f32[1] = 1\n"
        "a = FakeQuantize(x, lo, hi) [q_min=0, n_levels=16]\n b = Identity(a)\n c = Tanh(b)");
    CHECK_EQ(tq_value_bits(tq_graph_find_value(graph, "x")), 4);
    CHECK_EQ(tq_value_bits(tq_graph_find_value(graph, "a")), 4);
    CHECK_EQ(tq_value_bits(tq_graph_find_value(graph, "b")), 4);
    CHECK_EQ(tq_value_bits(tq_graph_find_value(graph, "c")), 32);
    tq_graph_destroy(graph);
}
