/* Finding patterns: alternatives, order of inputs, sole consumers, no node in two matches. */
#include "check.h"

static int count_matches(const tq_pattern *pattern, const char *text)
{
    tq_graph *graph = check_graph(text);
    tq_arena *scratch = tq_arena_create();
    tq_match *matches;
    const int n = tq_pattern_find(pattern, graph, NULL, scratch, &matches);
    tq_arena_destroy(scratch);
    tq_graph_destroy(graph);
    return n;
}

static const tq_pattern relu_relu = {
    .n_nodes = 2, .nodes = { { .op = "Relu" }, { .op = "Relu", .inputs = { TQ_FROM(0) } } }
};

TEST(matches_do_not_overlap)
{
    CHECK_EQ(count_matches(&relu_relu, "input x: f32[1]\n a = Relu(x)\n b = Relu(a)\n c = Relu(b)"),
             1);
    CHECK_EQ(
        count_matches(&relu_relu,
                      "input x: f32[1]\n a = Relu(x)\n b = Relu(a)\n c = Relu(b)\n d = Relu(c)"),
        2);
}

TEST(matches_come_in_order_of_their_last_node)
{
    tq_graph *graph =
        check_graph("input x: f32[1]\n a = Relu(x)\n p = Relu(x)\n q = Relu(p)\n b = Relu(a)");
    tq_arena *scratch = tq_arena_create();
    tq_match *matches;
    CHECK_EQ(tq_pattern_find(&relu_relu, graph, NULL, scratch, &matches), 2);
    CHECK_STR(tq_node_name(matches[0].nodes[1]), "q");
    CHECK_STR(tq_node_name(matches[1].nodes[1]), "b");
    tq_arena_destroy(scratch);
    tq_graph_destroy(graph);
}

TEST(alternatives_are_whole_names)
{
    const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Relu|LeakyRelu|Clip" } } };
    CHECK_EQ(
        count_matches(
            &pattern,
            "input x: f32[1]\n a = Relu(x)\n b = LeakyRelu(a)\n c = Clip(b)\n d = PRelu(c, x)"),
        3);
    const tq_pattern longer = { .n_nodes = 1, .nodes = { { .op = "Relu6|Rel" } } };
    CHECK_EQ(count_matches(&longer, "input x: f32[1]\n a = Relu(x)"), 0);
    const tq_pattern any = { .n_nodes = 1 };
    CHECK_EQ(count_matches(&any, "input x: f32[1]\n a = Relu(x)\n b = Sigmoid(a)"), 2);
}

TEST(inputs_commute_only_where_the_pattern_says_so)
{
    const char *text = "input x: f32[1]\n a = Relu(x)\n b = Add(x, a)";
    tq_pattern pattern = {
        .n_nodes = 2, .nodes = { { .op = "Relu" }, { .op = "Add", .inputs = { TQ_FROM(0) } } }
    };
    CHECK_EQ(count_matches(&pattern, text), 0);
    pattern.nodes[1].commutative = true;
    CHECK_EQ(count_matches(&pattern, text), 1);
}

TEST(both_operands_are_matched_in_either_order)
{
    const tq_pattern pattern = {
        .n_nodes = 3,
        .nodes = { { .op = "Relu" },
                   { .op = "Sigmoid" },
                   { .op = "Mul", .inputs = { TQ_FROM(0), TQ_FROM(1) }, .commutative = true } }
    };
    CHECK_EQ(
        count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n b = Sigmoid(x)\n c = Mul(a, b)"),
        1);
    CHECK_EQ(
        count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n b = Sigmoid(x)\n c = Mul(b, a)"),
        1);
    CHECK_EQ(count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n c = Mul(a, a)"), 0);
}

/* x * sigmoid(x): one node read twice, a diamond. */
TEST(one_pattern_node_is_one_node)
{
    const tq_pattern swish = {
        .n_nodes = 3,
        .nodes = { { .op = "Relu" },
                   { .op = "Sigmoid", .inputs = { TQ_FROM(0) } },
                   { .op = "Mul", .inputs = { TQ_FROM(0), TQ_FROM(1) }, .commutative = true } }
    };
    CHECK_EQ(
        count_matches(&swish, "input x: f32[1]\n a = Relu(x)\n b = Sigmoid(a)\n c = Mul(b, a)"), 1);
    CHECK_EQ(
        count_matches(
            &swish, "input x: f32[1]\n a = Relu(x)\n d = Relu(x)\n b = Sigmoid(a)\n c = Mul(b, d)"),
        0);
}

TEST(a_second_reader_or_a_graph_output_is_not_sole)
{
    const tq_pattern pattern = { .n_nodes = 2,
                                 .nodes = { { .op = "Relu", .sole_consumer = true },
                                            { .op = "Tanh", .inputs = { TQ_FROM(0) } } } };
    CHECK_EQ(count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n b = Tanh(a)"), 1);
    CHECK_EQ(count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n b = Tanh(a)\n c = Neg(a)"),
             0);
    CHECK_EQ(count_matches(&pattern,
                           "input x: f32[1]\n a = Relu(x)\n b = Tanh(a)\n output a\n output b"),
             0);
}

TEST(a_second_output_is_not_what_a_pattern_reads)
{
    const tq_pattern pattern = {
        .n_nodes = 2, .nodes = { { .op = "Split" }, { .op = "Relu", .inputs = { TQ_FROM(0) } } }
    };
    CHECK_EQ(count_matches(
                 &pattern,
                 "input x: f32[4]\n a, b = Split(x) [num_outputs=2]\n c = Relu(b)\n d = Tanh(a)"),
             0);
}

static bool is_a(const tq_node *node)
{
    return strcmp(tq_node_name(node), "a") == 0;
}

TEST(conditions_on_nodes_are_asked)
{
    const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Relu", .accept = is_a } } };
    CHECK_EQ(count_matches(&pattern, "input x: f32[1]\n a = Relu(x)\n b = Relu(a)"), 1);
}
