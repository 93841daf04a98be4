/* Cutting a part out of a network. */
#include "rules.h"

static const char *const network = "input x: f32[2]  const s: f32[2] = {1, 2}"
                                   "  a = Mul(x, s)  b = Relu(a)  c = Neg(b)  d = Abs(c)  e = Add(d, a)";

static void check_part(const char *from, const char *to, const char *expected)
{
    tq_graph *graph = check_graph(network), *part;
    CHECK_OK(tq_graph_extract(graph, from != NULL, &from, to != NULL, &to, &part));
    rules_check_graph(part, expected);
    tq_graph_destroy(part);
    tq_graph_destroy(graph);
}

static void check_error(const char *from, const char *to, tq_code code, const char *message)
{
    tq_graph *graph = check_graph(network), *part;
    CHECK_FAILS(tq_graph_extract(graph, from != NULL, &from, to != NULL, &to, &part), code, message);
    tq_graph_destroy(graph);
}

TEST(a_part_between_two_nodes)
{
    check_part("b", "c", "input a: f32[2]  b = Relu(a)  c = Neg(b)");
}

TEST(a_part_from_the_inputs_on)
{
    check_part(NULL, "b", "input x: f32[2]  const s: f32[2] = {1, 2}  a = Mul(x, s)  b = Relu(a)");
}

TEST(a_part_up_to_the_outputs_with_what_comes_from_beside)
{
    check_part("c", NULL, "input b: f32[2]  input a: f32[2]  c = Neg(b)  d = Abs(c)  e = Add(d, a)");
}

TEST(one_node)
{
    check_part("a", "a", "input x: f32[2]  const s: f32[2] = {1, 2}  a = Mul(x, s)");
}

TEST(a_cut_at_a_value)
{
    tq_graph *graph = check_graph("input x: f32[2]  a = Relu(x) \"relu\"  b = Neg(a) \"neg\"  c = Abs(b) \"abs\""), *part;
    const char *from = "a", *to = "b";
    CHECK_OK(tq_graph_extract(graph, 1, &from, 1, &to, &part));
    rules_check_graph(part, "input a: f32[2]  b = Neg(a) \"neg\"");
    tq_graph_destroy(part);
    tq_graph_destroy(graph);
}

TEST(several_ends)
{
    tq_graph *graph = check_graph(network), *part;
    CHECK_OK(tq_graph_extract(graph, 1, (const char *const[]){ "b" }, 2, (const char *const[]){ "b", "d" }, &part));
    rules_check_graph(part, "input a: f32[2]  b = Relu(a)  c = Neg(b)  d = Abs(c)  output b  output d");
    tq_graph_destroy(part);
    tq_graph_destroy(graph);
}

TEST(the_whole_is_a_part)
{
    check_part(NULL, NULL, network);
}

TEST(unknown_names_are_refused)
{
    check_error("nowhere", "c", TQ_ERR_NOT_FOUND, "no node or value 'nowhere'");
    check_error("b", "nowhere", TQ_ERR_NOT_FOUND, "no node or value 'nowhere'");
}

TEST(an_end_must_depend_on_the_start)
{
    check_error("d", "b", TQ_ERR_VALUE, "'b' does not depend on what the part starts from");
}
