/* Patterns of rules: what they match and what not. */
#include "rules.h"

TEST(a_statement_matches_its_operator)
{
    CHECK_EQ(rules_count("y = Relu(x)", "input x: f32[4]  y = Relu(x)  z = Sigmoid(y)"), 1);
}

TEST(alternatives_match_any_of_them)
{
    CHECK_EQ(rules_count("y = Relu|Sigmoid(x)", "input x: f32[4]  y = Relu(x)  z = Sigmoid(y)"), 2);
}

TEST(an_underscore_matches_any_operator)
{
    CHECK_EQ(rules_count("y = _(...)", "input x: f32[4]  y = Relu(x)  z = Add(y, x)"), 2);
}

TEST(nested_calls_are_a_chain)
{
    const char *graph = "input x: f32[4]  a = Relu(x)  b = Sigmoid(a)  c = Sigmoid(x)";
    CHECK_EQ(rules_count("y = Sigmoid(Relu(x))", graph), 1);
}

TEST(a_name_used_twice_is_the_same_value)
{
    const char *graph = "input x: f32[4]  input y: f32[4]  a = Add(x, x)  b = Add(x, y)";
    CHECK_EQ(rules_count("y = Add(x, x)", graph), 1);
}

TEST(commutative_inputs_come_in_any_order)
{
    const char *graph = "input x: f32[4]  const c: f32[4] = 2  a = Mul(c, x)  b = Mul(x, c)";
    CHECK_EQ(rules_count("y = Mul(x, s: const)", graph), 1);
    CHECK_EQ(rules_count("y = Mul(x, s: const) commutative", graph), 2);
}

TEST(five_commutative_inputs_are_tried_in_all_orders)
{
    const char *graph = "input x: f32[4]  input z: f32[4]  a = Relu(x)  b = Sigmoid(x)  c = Neg(x)  d = Abs(x)"
                        " y = Sum(d, z, c, b, a)";
    CHECK_EQ(rules_count("y = Sum(Relu(p), Sigmoid(p), Neg(p), Abs(p), q) commutative", graph), 1);
}

TEST(a_number_is_a_constant_of_one_element)
{
    const char *graph = "input x: f32[4]  const zero: f32[] = 0  const many: f32[4] = 0"
                        " a = Max(x, zero)  b = Max(x, many)";
    CHECK_EQ(rules_count("y = Max(x, 0)", graph), 1);
    CHECK_EQ(rules_count("y = Max(x, 1)", graph), 0);
}

TEST(an_absent_input_matches_an_empty_place)
{
    const char *graph = "input x: f32[4]  const hi: f32[] = 6  a = Clip(x, , hi)  b = Clip(x, hi, hi)";
    CHECK_EQ(rules_count("y = Clip(x, , hi)", graph), 1);
}

TEST(an_optional_input_may_be_absent)
{
    const char *graph = "input x: f32[1,2,3,3]  const w: f32[4,2,1,1] = 1  const b: f32[4] = 1"
                        " a = Conv(x, w)  c = Conv(x, w, b)";
    CHECK_EQ(rules_count("y = Conv(x, w: const, b: const?)", graph), 2);
    CHECK_EQ(rules_count("y = Conv(x, w: const, b: const)", graph), 1);
    CHECK_EQ(rules_count("y = Conv(x, w: const)", graph), 1);
    CHECK_EQ(rules_count("y = Conv(x, ...)", graph), 2);
}

TEST(kinds_of_captures)
{
    const char *graph = "input x: f32[4]  const c: f32[4] = 1  const s: f32[] = 1  r = Relu(x)"
                        " a = Add(r, c)  b = Add(r, s)  d = Add(r, x)  e = Add(r, r)";
    CHECK_EQ(rules_count("y = Add(_, v: const)", graph), 2);
    CHECK_EQ(rules_count("y = Add(_, v: scalar)", graph), 1);
    CHECK_EQ(rules_count("y = Add(_, v: input)", graph), 1);
    CHECK_EQ(rules_count("y = Add(_, v: dynamic)", graph), 2);
}

TEST(sole_wants_one_consumer_and_no_graph_output)
{
    const char *one = "input x: f32[4]  r = Relu(x)  y = Neg(r)";
    const char *two = "input x: f32[4]  r = Relu(x)  y = Neg(r)  z = Abs(r)";
    const char *out = "input x: f32[4]  r = Relu(x)  y = Neg(r)  output y  output r";
    CHECK_EQ(rules_count("y = Neg(Relu(x) sole)", one), 1);
    CHECK_EQ(rules_count("y = Neg(Relu(x) sole)", two), 0);
    CHECK_EQ(rules_count("y = Neg(Relu(x) sole)", out), 0);
    CHECK_EQ(rules_count("y = Neg(Relu(x))", two), 1);
}

TEST(attributes_are_compared)
{
    const char *graph = "input x: f32[4]  a = LeakyRelu(x) [alpha=0.25]  b = LeakyRelu(x)";
    CHECK_EQ(rules_count("y = LeakyRelu(x) [alpha = 0.25]", graph), 1);
    CHECK_EQ(rules_count("y = LeakyRelu(x) [alpha < 0.1]", graph), 1); /* the default */
    CHECK_EQ(rules_count("y = LeakyRelu(x) [alpha != 0.25]", graph), 1);
    CHECK_EQ(rules_count("y = LeakyRelu(x) [alpha in [0.25, 0.5]]", graph), 1);
}

TEST(shapes_are_compared)
{
    const char *graph = "input x: f32[?,8,4,4]  const w: f32[6,8,1,1] = 1  const v: f32[8,1,1,1] = 1"
                        " a = Conv(x, w)  b = Conv(x, v) [group=8]";
    CHECK_EQ(rules_count("y = Conv(x, w) where dims(w, 0) == dims(x, 1)", graph), 1);
    CHECK_EQ(rules_count("y = Conv(x, w) [group == dims(x, 1)]", graph), 1);
    CHECK_EQ(rules_count("y = Conv(x, w) where rank(x) == 4, dims(w, 1) * y.group == dims(x, 1)", graph), 2);
    CHECK_EQ(rules_count("y = Conv(x, w) where dims(w) == [6, 8, 1, 1]", graph), 1);
}

TEST(what_is_not_known_holds_neither_way)
{
    const char *graph = "input x: f32[?,8]  y = Relu(x)";
    CHECK_EQ(rules_count("y = Relu(x) where dims(x, 0) == 1", graph), 0);
    CHECK_EQ(rules_count("y = Relu(x) where dims(x, 0) != 1", graph), 0);
    CHECK_EQ(rules_count("y = Relu(x) where not (dims(x, 0) == 1)", graph), 0);
    CHECK_EQ(rules_count("y = Relu(x) where not has(dims(x, 0))", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where dims(x, 0) == 1 or dims(x, 1) == 8", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where (dims(x, 0) ?? 7) == 7", graph), 1);
}

TEST(an_optional_part_may_be_missing)
{
    const char *with = "input x: f32[4]  a = Neg(x)  b = Relu(a)  y = Abs(b)";
    const char *without = "input x: f32[4]  a = Neg(x)  y = Abs(a)";
    const char *pattern = "y = Abs(Relu(Neg(x))?)";
    CHECK_EQ(rules_count(pattern, with), 1);
    CHECK_EQ(rules_count(pattern, without), 1);
    CHECK_EQ(rules_count("a = Neg(x)  r = Relu(a)?  y = Abs(r) where count(r) == 0", without), 1);
    CHECK_EQ(rules_count("a = Neg(x)  r = Relu(a)?  y = Abs(r) where count(r) == 0", with), 0);
}

TEST(a_repeated_part_is_as_long_as_it_can_be)
{
    const char *graph = "input x: f32[4]  a = Neg(x)  b = Relu(a)  c = Relu(b)  d = Relu(c)  y = Abs(d)";
    CHECK_EQ(rules_count("r = Relu(x)*  y = Abs(r) where count(r) == 3", graph), 1);
    CHECK_EQ(rules_count("y = Abs(Relu(Neg(x))+)", graph), 1);
    CHECK_EQ(rules_count("y = Neg(Relu(x)+)", graph), 0);
    CHECK_EQ(rules_count("y = Neg(Relu(x)*)", graph), 1);
}

TEST(a_repeated_part_gives_back_what_the_rest_needs)
{
    const char *graph = "input x: f32[4]  a = Relu(x)  b = Relu(a)  y = Abs(b)";
    CHECK_EQ(rules_count("r = Relu(q)*  q = Relu(x)  y = Abs(r) where count(r) == 1", graph), 1);
}

TEST(conditions_on_a_repeated_part_hold_for_each)
{
    const char *graph = "input x: f32[4]  a = LeakyRelu(x) [alpha=0.5]  b = LeakyRelu(a) [alpha=0.25]  y = Abs(b)";
    CHECK_EQ(rules_count("r = LeakyRelu(x)* [alpha > 0.3]  y = Abs(r) where count(r) == 0", graph), 1);
    CHECK_EQ(rules_count("r = LeakyRelu(x)* [alpha < 0.3]  y = Abs(r) where count(r) == 1", graph), 1);
}

TEST(several_outputs_are_captured)
{
    const char *graph = "input x: f32[4,6]  const s: i64[2] = {2, 2}  a, b = Split(x, s)  c = Relu(a)  d = Relu(b)";
    CHECK_EQ(rules_count("a, b = Split(x, s)  c = Relu(a)  d = Relu(b)", graph), 1);
    CHECK_EQ(rules_count("a, b = Split(x, s)  d = Relu(b)", graph), 1);
}

TEST(outputs_without_a_name_must_be_unread)
{
    const char *graph = "input x: f32[4,6]  const s: i64[2] = {2, 2}  a, b = Split(x, s)  c = Relu(a)  d = Relu(b)";
    CHECK_EQ(rules_count("c = Relu(Split(x, s))", graph), 0);
}

TEST(a_pattern_may_have_several_ends)
{
    const char *graph = "input x: f32[4]  r = Relu(x)  a = Neg(r)  b = Abs(r)";
    CHECK_EQ(rules_count("a = Neg(r)  r = Relu(x)  b = Abs(r)", graph), 1);
}

TEST(two_nodes_of_a_pattern_are_two_nodes_of_the_graph)
{
    const char *graph = "input x: f32[4]  r = Relu(x)  a = Neg(r)";
    CHECK_EQ(rules_count("a = Neg(r)  b = Neg(r)", graph), 0);
}

TEST(matches_do_not_overlap)
{
    const char *graph = "input x: f32[4]  a = Relu(x)  b = Relu(a)  c = Relu(b)  d = Relu(c)";
    CHECK_EQ(rules_count("y = Relu(Relu(x))", graph), 2);
}

TEST(elements_and_extremes_of_constants_are_known)
{
    const char *graph = "input x: f32[2,3]  const axes: i64[1] = {1}  const c: f32[3] = {-1, 2, 3}"
                        " a = ReduceSum(x, axes)  b = Mul(x, c)";
    CHECK_EQ(rules_count("y = ReduceSum(x, a) where elements(a) == [1]", graph), 1);
    CHECK_EQ(rules_count("y = ReduceSum(x, a) where a == 1", graph), 1);
    CHECK_EQ(rules_count("y = Mul(x, c) where min(c) == -1, max(c) == 3, size(c) == 3", graph), 1);
}

TEST(arithmetic_of_numbers)
{
    const char *graph = "input x: f32[7]  y = Relu(x)";
    CHECK_EQ(rules_count("y = Relu(x) where 7 // 2 == 3, -7 // 2 == -4, 7 % 4 == 3, -1 % 4 == 3", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where 2 ** 3 == 8, 1 / 4 == 0.25, -2 ** 2 == -4, 2 + 3 * 4 == 14", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where sqrt(16) == 4, abs(-3) == 3, min(2, 1) == 1, len([1, 2]) == 2", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where op(y) == \"Relu\", dtype(x) == \"f32\", name(x) == \"x\"", graph), 1);
    CHECK_EQ(rules_count("y = Relu(x) where not 1 == 2 and (3 < 2 or 2 <= 2)", graph), 1);
}

TEST(captures_are_reported_by_name)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[1,2,3,3]  const w: f32[4,2,1,1] = 1  c = Conv(x, w)  y = Relu(c)");
    const tq_rule *rule;
    tq_rule_match *matches;
    int n;
    CHECK_OK(tq_rule_pattern_parse(check_registry(), "r = Relu(Conv(in, w, b?))", "test", arena, &rule));
    CHECK_OK(tq_rule_find(rule, graph, arena, &n, &matches));
    CHECK_EQ(n, 1);
    CHECK_EQ(matches[0].n_nodes, 2);
    CHECK_STR(tq_node_name(matches[0].nodes[0]), "c");
    CHECK_STR(tq_node_name(matches[0].nodes[1]), "y");
    CHECK_EQ(matches[0].n_captures, 4);
    CHECK_STR(matches[0].names[1], "in");
    CHECK_STR(tq_value_name(matches[0].values[1]), "x");
    CHECK(!matches[0].values[3]);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(a_hostile_pattern_stops_with_an_error)
{
    char text[4096] = "input x: f32[1]  r = Relu(x) ", pattern[2048] = "r = Relu(x) ";
    for (int i = 0; i < 60; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "n%d = Neg(r) ", i);
    for (int i = 0; i < 12; i++)
        snprintf(pattern + strlen(pattern), sizeof pattern - strlen(pattern), "a%d = Neg(r) ", i);
    strcat(pattern, "y = Relu(r) where 1 == 2");
    snprintf(text + strlen(text), sizeof text - strlen(text), "last = Relu(r)");
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(text);
    const tq_rule *rule;
    tq_rule_match *matches;
    int n;
    CHECK_OK(tq_rule_pattern_parse(check_registry(), pattern, "test", arena, &rule));
    CHECK_FAILS(tq_rule_find(rule, graph, arena, &n, &matches), TQ_ERR_CHECK, "node 'last'");
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}
