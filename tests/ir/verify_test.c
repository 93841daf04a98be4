/* The verifier finds each way a graph can be broken and names node and value. */
#include "check.h"

static const char chain[] =
    "input x: f32[2,3]\n const k: f32[3] = 1\n a = Relu(x)\n b = Add(a, k)\n c = Relu(b)";

static void check_broken(tq_graph *graph, const char *message)
{
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_CHECK, message);
    tq_graph_destroy(graph);
}

TEST(a_sound_graph_passes)
{
    tq_graph *graph = check_graph(chain);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(a_cycle_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_node *a = tq_graph_find_node(graph, "a");
    tq_node_set_input(a, 0, tq_graph_find_value(graph, "c"));
    CHECK_FAILS(tq_graph_sort(graph), TQ_ERR_CHECK, "is part of a cycle");
    check_broken(graph, "node 'a' (Relu): input 'c' comes from node 'c', which runs later");
}

TEST(a_node_that_reads_itself_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_node *a = tq_graph_find_node(graph, "a");
    tq_node_set_input(a, 0, tq_node_output(a, 0));
    CHECK_FAILS(tq_graph_sort(graph), TQ_ERR_CHECK, "node 'a' (Relu) is part of a cycle");
    check_broken(graph, "node 'a' (Relu): input 'a'");
}

TEST(an_order_against_the_edges_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_value *late, *x = tq_graph_find_value(graph, "x");
    CHECK_OK(tq_graph_emit(graph, NULL, "Relu", &x, 1, NULL, 0, &late));
    tq_node_set_input(tq_graph_find_node(graph, "b"), 0, late);
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_CHECK, "which runs later");
    CHECK_OK(tq_graph_sort(graph));
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
}

TEST(a_value_of_another_graph_is_named)
{
    tq_graph *graph = check_graph(chain), *other = check_graph(chain);
    tq_node_set_input(tq_graph_find_node(graph, "a"), 0, tq_graph_find_value(other, "x"));
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_CHECK,
                "node 'a' (Relu): input 0 ('x') does not belong to this graph");
    tq_node_set_input(tq_graph_find_node(graph, "a"), 0, tq_graph_find_value(graph, "x"));
    tq_graph_destroy(graph);
    tq_graph_destroy(other);
}

TEST(a_removed_value_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_value *x = tq_graph_find_value(graph, "x"), *gone;
    CHECK_OK(tq_graph_emit(graph, NULL, "Relu", &x, 1, NULL, 0, &gone));
    tq_graph_remove_node(graph, tq_value_producer(gone));
    tq_node_set_input(tq_graph_find_node(graph, "b"), 0, gone);
    check_broken(graph, "node 'b' (Add): input 0");
}

TEST(a_missing_operand_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_node_set_input(tq_graph_find_node(graph, "b"), 1, NULL);
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_VALUE, "node 'b' (Add): input 1 ('B') is missing");
    tq_graph_destroy(graph);
}

TEST(a_type_that_the_operator_does_not_give_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_type type = tq_type_make(TQ_F32, 2, (int64_t[]){ 2, 4 });
    tq_value_set_type(tq_graph_find_value(graph, "a"), &type);
    check_broken(graph, "node 'a' (Relu): output 'a' is f32[2,4], its operator gives f32[2,3]");
}

TEST(inputs_that_do_not_fit_are_named)
{
    tq_graph *graph = check_graph(chain);
    tq_type type = tq_type_make(TQ_F32, 2, (int64_t[]){ 2, 4 });
    tq_value_set_type(tq_graph_find_value(graph, "x"), &type);
    tq_value_set_type(tq_graph_find_value(graph, "a"), &type);
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_SHAPE, "node 'b' (Add)");
    tq_graph_destroy(graph);
}

TEST(a_constant_whose_type_is_not_its_data_is_named)
{
    tq_graph *graph = check_graph("input x: f32[3]\n const k: f32[3] = 1\n b = Add(x, k)");
    tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 1 });
    tq_value_set_type(tq_graph_find_value(graph, "k"), &type);
    check_broken(graph, "constant 'k' is f32[1], its data f32[3]");
}

TEST(an_attribute_of_the_wrong_kind_is_named)
{
    tq_graph *graph = check_graph("input x: f32[3]\n y = LeakyRelu(x) [alpha=0.5]");
    tq_node_set_attr(tq_graph_first(graph), &TQ_INT("alpha", 1));
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_TYPE, "node 'y' (LeakyRelu): attribute 'alpha'");
    tq_graph_destroy(graph);
}

TEST(an_unknown_attribute_is_named)
{
    tq_graph *graph = check_graph(chain);
    tq_node_set_attr(tq_graph_first(graph), &TQ_INT("beta", 1));
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_UNSUPPORTED, "attribute 'beta'");
    tq_graph_destroy(graph);
}

TEST(a_required_attribute_that_is_gone_is_named)
{
    tq_graph *graph = check_graph("input x: f32[1,1,4,4]\n y = MaxPool(x) [kernel_shape=[2,2]]");
    tq_node_remove_attr(tq_graph_first(graph), "kernel_shape");
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_VALUE, "attribute 'kernel_shape' is missing");
    tq_graph_destroy(graph);
}

TEST(a_graph_without_output_is_refused)
{
    tq_graph *graph = check_graph(chain);
    tq_graph_remove_output(graph, 0);
    check_broken(graph, "the graph has no output");
}

TEST(an_output_of_another_graph_is_named)
{
    tq_graph *graph = check_graph(chain), *other = check_graph(chain);
    tq_graph_set_output(graph, 0, tq_graph_find_value(other, "b"));
    CHECK_FAILS(tq_graph_verify(graph), TQ_ERR_CHECK, "output 'b' does not belong to this graph");
    tq_graph_set_output(graph, 0, tq_graph_find_value(graph, "c"));
    tq_graph_destroy(graph);
    tq_graph_destroy(other);
}

TEST(names_stay_unique)
{
    tq_graph *graph = check_graph(chain);
    tq_value_set_name(tq_graph_find_value(graph, "b"), "a");
    tq_node_set_name(tq_graph_find_node(graph, "b"), "a");
    CHECK(tq_graph_find_value(graph, "a_1"));
    CHECK(tq_graph_find_node(graph, "a_1"));
    CHECK_OK(tq_graph_verify(graph));
    tq_type type = *tq_value_type(tq_graph_find_value(graph, "x"));
    CHECK_FAILS(tq_graph_add_input(graph, "a", &type, NULL), TQ_ERR_VALUE,
                "input 'a': a value has that name already");
    tq_graph_destroy(graph);
}

/* A float head inside a "true" network is what this project's predecessors shipped. */
TEST(a_true_network_holds_no_float_value)
{
    tq_graph *graph =
        check_graph("meta \"stage\" = \"true\"\n input x: u8[1,4]\n y = Cast(x) [to=1]");
    check_broken(graph, "node 'y' (Cast): output 'y' is f32[1,4] in a true-quantised network");
}

TEST(a_true_network_does_not_divide)
{
    tq_graph *graph = check_graph(
        "meta \"stage\" = \"true\"\n input x: i32[1,4]\n const k: i32[] = 4\n y = Div(x, k)");
    check_broken(graph, "node 'y' (Div): a true-quantised network must not divide");
}
