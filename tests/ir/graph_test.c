/* Graphs as a data structure: order, sweeping, copies, sharing, redirection. */
#include "check.h"

static const char diamond[] =
    "input x: f32[2]\n a = Relu(x)\n b = Sigmoid(a)\n c = Tanh(a)\n d = Add(b, c)";

static const char *order_of(const tq_graph *graph)
{
    static char text[256];
    text[0] = '\0';
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        strcat(text, tq_node_name(node));
        strcat(text, " ");
    }
    return text;
}

TEST(sorting_a_sorted_graph_changes_nothing)
{
    tq_graph *graph = check_graph(diamond);
    CHECK_OK(tq_graph_sort(graph));
    CHECK_STR(order_of(graph), "a b c d ");
    tq_graph_destroy(graph);
}

TEST(sorting_moves_only_what_must_move)
{
    tq_graph *graph = check_graph(diamond);
    tq_value *a = tq_graph_find_value(graph, "a"), *e;
    CHECK_OK(tq_graph_emit(graph, NULL, "Relu", &a, 1, NULL, 0, &e)); /* last */
    tq_node_set_name(tq_value_producer(e), "e");
    tq_node_set_input(tq_graph_find_node(graph, "c"), 0, e);
    CHECK_OK(tq_graph_sort(graph));
    CHECK_STR(order_of(graph), "a b e c d ");
    tq_graph_destroy(graph);
}

TEST(a_long_chain_in_reverse_is_sorted)
{
    tq_graph *graph = check_graph("input x: f32[1]");
    tq_value *value = tq_graph_input(graph, 0);
    tq_node *first = NULL;
    for (int i = 0; i < 3000; i++) {
        tq_node *node;
        CHECK_OK(tq_graph_add_node(
            graph,
            &(tq_node_spec){ .op = "Relu", .inputs = &value, .n_inputs = 1, .before = first },
            &node));
        value = tq_node_output(node, 0);
        first = node;
    }
    tq_graph_add_output(graph, value);
    CHECK_OK(tq_graph_sort(graph));
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(sweeping_removes_what_no_output_needs)
{
    tq_graph *graph = check_graph("input x: f32[2]\n const k: f32[2] = 1\n const m: f32[2] = 1\n a "
                                  "= Add(x, k)\n b = Add(a, m)\n"
                                  "c = Relu(b)\n d = Relu(x)\n output d");
    CHECK_EQ(tq_graph_sweep(graph), 3);
    CHECK_EQ(tq_graph_n_nodes(graph), 1);
    CHECK_EQ(tq_graph_n_values(graph), 2);
    CHECK(tq_graph_find_value(graph, "k") == NULL);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(a_node_with_one_live_output_stays)
{
    tq_graph *graph =
        check_graph("input x: f32[4]\n a, b = Split(x) [num_outputs=2]\n c = Relu(a)\n output c");
    CHECK_EQ(tq_graph_sweep(graph), 0);
    CHECK_EQ(tq_graph_n_nodes(graph), 2);
    tq_graph_destroy(graph);
}

TEST(a_clone_is_equal_and_shares_data)
{
    tq_graph *graph = check_graph(
        "graph \"g\" {\n meta \"k\" = \"v\";\n input x: f32[2];\n const w: f32[2] = random(1);\n"
        "y = Mul(x, w) \"n\";\n output y;\n meta node \"n\" \"a\" = \"b\";\n meta value w \"c\" = "
        "\"d\";\n}");
    tq_graph *copy = tq_graph_clone(graph);
    char *a = tq_graph_print(graph, -1), *b = tq_graph_print(copy, -1);
    CHECK_STR(b, a);
    CHECK(tq_value_tensor(tq_graph_find_value(copy, "w"))->data ==
          tq_value_tensor(tq_graph_find_value(graph, "w"))->data);
    CHECK_OK(tq_graph_verify(copy));
    free(a);
    free(b);
    tq_graph_destroy(graph);
    CHECK_EQ(tq_value_type(tq_graph_find_value(copy, "w"))->rank, 1);
    tq_graph_destroy(copy);
}

TEST(owning_a_constant_does_not_write_through_a_clone)
{
    tq_graph *graph = check_graph("input x: f32[2]\n const w: f32[2] = 1\n y = Mul(x, w)");
    tq_graph *copy = tq_graph_clone(graph);
    void *data;
    CHECK_OK(tq_value_own(tq_graph_find_value(copy, "w"), &data));
    ((float *)data)[0] = 5;
    CHECK_NEAR(((float *)tq_value_tensor(tq_graph_find_value(graph, "w"))->data)[0], 1, 0);
    CHECK_NEAR(((float *)tq_value_tensor(tq_graph_find_value(copy, "w"))->data)[0], 5, 0);
    void *again; /* alone now: no second copy */
    CHECK_OK(tq_value_own(tq_graph_find_value(copy, "w"), &again));
    CHECK(again == data);
    tq_graph_destroy(copy);
    tq_graph_destroy(graph);
}

TEST(redirection_takes_consumers_and_outputs)
{
    tq_graph *graph = check_graph("input x: f32[2]\n a = Relu(x)\n b = Add(a, a)\n c = Tanh(a)\n "
                                  "output a\n output b\n output c");
    tq_value *a = tq_graph_find_value(graph, "a"), *x = tq_graph_find_value(graph, "x");
    tq_value_redirect_consumers(a, x);
    CHECK_EQ(tq_value_n_consumers(a), 0);
    CHECK_EQ(tq_value_is_output(a), false);
    CHECK_EQ(tq_value_n_consumers(x), 4); /* Relu, Add twice, Tanh */
    CHECK(tq_graph_output(graph, 0) == x);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(redirection_spares_the_exception)
{
    tq_graph *graph =
        check_graph("input x: f32[2]\n a = Relu(x)\n b = Add(a, a)\n c = Tanh(a)\n output c");
    tq_value *a = tq_graph_find_value(graph, "a"), *x = tq_graph_find_value(graph, "x");
    const tq_node *b = tq_graph_find_node(graph, "b");
    tq_value_redirect_consumers_but(a, x, b);
    CHECK_EQ(tq_value_n_consumers(a), 2);
    CHECK(tq_node_input(b, 0) == a && tq_node_input(b, 1) == a);
    CHECK(tq_node_input(tq_graph_find_node(graph, "c"), 0) == x);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(setting_an_absent_input_to_nothing_adds_nothing)
{
    tq_graph *graph = check_graph("input x: f32[2]\n y = Clip(x)");
    tq_node_set_input(tq_graph_first(graph), 2, NULL);
    CHECK_EQ(tq_node_n_inputs(tq_graph_first(graph)), 1);
    tq_graph_destroy(graph);
}

TEST(a_failed_addition_leaves_the_graph_unchanged)
{
    tq_graph *graph = check_graph(diamond);
    tq_value *x = tq_graph_find_value(graph, "x"), *y;
    char *before = tq_graph_print(graph, -1);
    CHECK_FAILS(tq_graph_emit(graph, NULL, "Relux", &x, 1, NULL, 0, &y), TQ_ERR_NOT_FOUND,
                "'Relux'");
    CHECK_FAILS(tq_graph_emit(graph, NULL, "Conv", (tq_value *[]){ x, x }, 2, NULL, 0, &y),
                TQ_ERR_SHAPE, "Conv");
    char *after = tq_graph_print(graph, -1);
    CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(graph);
}

TEST(a_removed_input_is_gone)
{
    tq_graph *graph = check_graph("input x: f32[2]\n input z: f32[2]\n a = Relu(x)");
    tq_graph_remove_input(graph, 1);
    CHECK_EQ(tq_graph_n_inputs(graph), 1);
    CHECK(tq_graph_find_value(graph, "z") == NULL);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(numbers_of_metadata_are_exact)
{
    tq_graph *graph = check_graph(diamond);
    tq_value *a = tq_graph_find_value(graph, "a");
    double f;
    int64_t i;
    tq_value_set_meta_f64(a, "f", 0.1);
    tq_value_set_meta_i64(a, "i", INT64_MIN);
    tq_value_set_meta(a, "t", "1x");
    CHECK(tq_value_meta_f64(a, "f", &f) && f == 0.1);
    CHECK(tq_value_meta_i64(a, "i", &i) && i == INT64_MIN);
    CHECK(!tq_value_meta_f64(a, "t", &f) && !tq_value_meta_i64(a, "t", &i) &&
          !tq_value_meta_i64(a, "no", &i));
    tq_value_set_meta(a, "t", NULL);
    CHECK(tq_value_meta(a, "t") == NULL);
    tq_graph_destroy(graph);
}

TEST(the_stage_is_what_the_graph_holds)
{
    tq_graph *graph = check_graph(diamond);
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_FLOAT);
    tq_graph_set_meta(graph, "stage", "true");
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_TRUE);
    tq_graph_destroy(graph);
    graph = check_graph("input x: f32[2]\n const lo: f32[1] = -1\n const hi: f32[1] = 1\n y = "
                        "FakeQuantize(x, lo, hi)");
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_FAKE);
    tq_graph_destroy(graph);
}
