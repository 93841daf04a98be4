/* Replacements of rules: what comes out, and what is refused. */
#include "rules.h"

static void check_failure(const char *before, const char *rule, tq_code code, const char *message)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(before);
    CHECK_FAILS(tq_editor_apply(rule_of(rule, arena), graph, NULL, NULL), code, message);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(the_new_value_has_the_name_of_the_old_one)
{
    rules_check("input x: f32[4]  y = Relu(x) \"relu\"  z = Neg(y)", "rule a { y = Relu(x) => y = Abs(x) }",
                "input x: f32[4]  y = Abs(x) \"relu\"  z = Neg(y)");
}

TEST(a_value_is_replaced_by_an_older_one)
{
    rules_check("input x: f32[4]  a = Neg(x)  y = Identity(a)  z = Abs(y)", "rule a { y = Identity(x) => y = x }",
                "input x: f32[4]  a = Neg(x)  z = Abs(a)");
}

TEST(a_graph_output_keeps_its_name)
{
    rules_check("input x: f32[4]  a = Neg(x)  y = Identity(a)", "rule a { y = Identity(x: dynamic) => y = x }",
                "input x: f32[4]  y = Neg(x) \"a\"");
}

TEST(an_input_that_becomes_an_output_passes_an_identity)
{
    rules_check("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) => y = x }", "input x: f32[4]  y = Identity(x)");
}

TEST(constants_are_folded_at_once)
{
    rules_check("input x: f32[2]  const s: f32[2] = {2, 3}  const t: f32[2] = {5, 7}  a = Mul(x, s)  y = Mul(a, t)",
                "rule a { y = Mul(Mul(x, s: const) sole, t: const) => y = Mul(x, s * t) }",
                "input x: f32[2]  const s: f32[2] = {10, 21}  y = Mul(x, s)");
}

TEST(a_constant_named_after_its_node_keeps_its_name)
{
    rules_check("input x: f32[2]  const y.weight: f32[2] = {2, 3}  y = Mul(x, y.weight)  z = Neg(y)",
                "rule a { y = Mul(x, w: const) where max(w) < 4 => y = Mul(x, w * 2) }",
                "input x: f32[2]  const y.weight: f32[2] = {4, 6}  y = Mul(x, y.weight)  z = Neg(y)");
}

TEST(numbers_take_the_type_of_the_value_beside_them)
{
    rules_check("input x: f16[2]  y = Neg(x)", "rule a { y = Neg(x) => y = x * -1 }",
                "input x: f16[2]  const y/const: f16[] = -1  y = Mul(x, y/const)");
}

TEST(lists_beside_values_take_their_dtype_too)
{
    rules_check("input x: f16[3]  y = Neg(x)", "rule a { y = Neg(x) => y = x * [1, 2, 3] }",
                "input x: f16[3]  const y/const: f16[3] = {1, 2, 3}  y = Mul(x, y/const)");
}

TEST(lists_compute_element_by_element)
{
    rules_check("input x: f32[2]  y = Neg(x)",
                "rule a { y = Neg(x) where [2, 3] * 2 - 1 == [3, 5], sqrt([4, 9]) == [2, 3], [6, 8] // [3, 2] == [2, 4]"
                " => y = x * ([1, 2] * [0.5, 4]) }",
                "input x: f32[2]  const y/const: f32[2] = {0.5, 8}  y = Mul(x, y/const)");
    check_failure("input x: f32[2]  y = Neg(x)", "rule a { y = Neg(x) => y = x * ([1, 2] * [1, 2, 3]) }", TQ_ERR_VALUE,
                  "the lists have different lengths");
}

TEST(grids_of_channels_give_lists)
{
    const char *const before = "input x: f32[2,2]  const v: f32[2,2] = {3, 1, 0.5, 1.25}  const lo: f32[2] = {-8, -2}  "
                               "const hi: f32[2] = {7, 1.75}  "
                               "w = FakeQuantize(v, lo, hi) [q_min=-8, n_levels=16, axis=0]  y = MatMul(x, w)";
    tq_graph *graph = check_graph(before);
    CHECK_EQ(rules_apply("rule a { y = MatMul(x, w) where scale(w) == [1, 0.25], zero_point(w) == [0, 0], "
                         "grid_axis(w) == 0, q_min(w) == -8, q_max(w) == 7, max(scale(w)) == 1, len(scale(w)) == 2, "
                         "not has(scale(x)) => y = MatMul(x, w * along(scale(w), -2, 2)) }",
                         graph),
             1);
    CHECK_NEAR(tq_load_f64(tq_value_tensor(tq_graph_find_value(graph, "y/Reshape"))->data, TQ_F32, 1), 0.25, 0);
    tq_graph_destroy(graph);
}

/* A rule for one scale leaves grids of channels alone, whichever way it asks. */
TEST(lists_have_no_order)
{
    const char *const rules[] = { "rule a { y = MatMul(x, w) where scale(w) > 0 => y = MatMul(x, w * scale(w)) }",
                                  "rule a { y = MatMul(x, w) where not scale(w) <= 0 => y = MatMul(x, w * scale(w)) }" };
    tq_graph *graph = check_graph("input x: f32[2,2]  const v: f32[2,2] = 1  const lo: f32[2] = {-8, -2}  "
                                  "const hi: f32[2] = {7, 1.75}  "
                                  "w = FakeQuantize(v, lo, hi) [q_min=-8, n_levels=16, axis=0]  y = MatMul(x, w)");
    for (int i = 0; i < TQ_COUNT(rules); i++)
        CHECK_EQ(rules_apply(rules[i], graph), 0);
    tq_graph_destroy(graph);
}

TEST(one_scale_for_all_is_a_number_behind_moves_and_channels_are_not_known_there)
{
    const char *const moved = "rule a { y = Neg(t) where scale(t) == 0.5, not has(grid_axis(t)) => y = Abs(t) }";
    tq_graph *graph = check_graph("input x: f32[2,2]  const lo: f32[1] = -4  const hi: f32[1] = 3.5  "
                                  "q = FakeQuantize(x, lo, hi) [q_min=-8, n_levels=16]  t = Transpose(q)  y = Neg(t)");
    CHECK_EQ(rules_apply(moved, graph), 1);
    tq_graph_destroy(graph);
    graph = check_graph("input x: f32[2,2]  const lo: f32[2] = {-4, -4}  const hi: f32[2] = {3.5, 3.5}  "
                        "q = FakeQuantize(x, lo, hi) [q_min=-8, n_levels=16, axis=1]  t = Transpose(q)  y = Neg(t)");
    CHECK_EQ(rules_apply(moved, graph), 0);
    CHECK_EQ(rules_apply("rule b { y = Neg(t) where not has(scale(t)) => y = Abs(t) }", graph), 1);
    tq_graph_destroy(graph);
}

TEST(the_scale_of_a_power_of_two_grid_is_the_one_that_is_used)
{
    tq_graph *graph = check_graph("input x: f32[2]  const lo: f32[1] = -4.4  const hi: f32[1] = 3.85  "
                                  "q = FakeQuantize(x, lo, hi) [q_min=-8, n_levels=16, power_of_two=1]  y = Neg(q)");
    CHECK_EQ(rules_apply("rule a { y = Neg(q) where scale(q) == 0.5 => y = Abs(q) }", graph), 1);
    tq_graph_destroy(graph);
}

TEST(lists_become_shapes)
{
    rules_check("input x: f32[2,3]  y = Flatten(x)", "rule a { y = Flatten(x) => y = Reshape(x, [dims(x, 0), 3]) }",
                "input x: f32[2,3]  const y/const: i64[2] = {2, 3}  y = Reshape(x, y/const)");
}

TEST(attributes_are_copied_and_overridden)
{
    rules_check("input x: f32[1,4,5,5]  const w: f32[4,2,3,3] = 1  y = Conv(x, w) [group=2, pads=[1,1,1,1]]",
                "rule a { y = Conv(x, w) where y.pads == [1, 1, 1, 1]"
                " => y = Conv(x, w) [...y, pads = [2, 1, 0, 1], auto_pad = \"NOTSET\"] }",
                "input x: f32[1,4,5,5]  const w: f32[4,2,3,3] = 1"
                " y = Conv(x, w) [group=2, pads=[2,1,0,1], auto_pad=\"NOTSET\"]");
}

TEST(an_absent_input_stays_absent)
{
    const char *rule = "rule a { c = Conv(x, w: const, b: const?) sole  y = Mul(c, s: scalar)"
                       " => y = Conv(x, w * s, b * s) [...c] }";
    rules_check("input x: f32[1,1,2,2]  const w: f32[1,1,1,1] = 3  const s: f32[] = 2  c = Conv(x, w)  y = Mul(c, s)",
                rule, "input x: f32[1,1,2,2]  const w: f32[1,1,1,1] = 6  y = Conv(x, w)");
    rules_check("input x: f32[1,1,2,2]  const w: f32[1,1,1,1] = 3  const b: f32[1] = 1  const s: f32[] = 2"
                " c = Conv(x, w, b)  y = Mul(c, s)",
                rule, "input x: f32[1,1,2,2]  const w: f32[1,1,1,1] = 6  const b: f32[1] = 2  y = Conv(x, w, b)");
}

TEST(the_same_operator_again)
{
    rules_check("input x: f32[1,1,4,4]  const lo: f32[] = 0  const hi: f32[] = 6  a = Clip(x, lo, hi)"
                " y = MaxPool(a) [kernel_shape=[2,2]]",
                "rule a { a = Relu|Clip(x, ...) sole  y = MaxPool(a) => y = @a(@y(x), ...) }",
                "input x: f32[1,1,4,4]  const lo: f32[] = 0  const hi: f32[] = 6"
                " y/MaxPool = MaxPool(x) [kernel_shape=[2,2]]  y = Clip(y/MaxPool, lo, hi)");
}

TEST(a_node_is_put_behind_the_old_one)
{
    rules_check("input x: f32[4]  y = Sigmoid(x) \"s\"  z = Neg(y)",
                "rule a { y = Sigmoid(x)  z = Neg(y) => y = Identity(y)  z = Abs(y) }",
                "input x: f32[4]  y/before = Sigmoid(x) \"s\"  y = Identity(y/before) \"z/Identity\"  z = Abs(y)");
}

TEST(several_outputs_are_replaced)
{
    rules_check("input x: f32[4]  r = Relu(x)  a = Neg(r)  b = Abs(r)",
                "rule a { r = Relu(x)  a = Neg(r)  b = Abs(r) => q = Sigmoid(x)  a = Abs(q)  b = Neg(q) }",
                "input x: f32[4]  b/Sigmoid = Sigmoid(x)  a = Abs(b/Sigmoid)  b = Neg(b/Sigmoid)");
}

TEST(an_operator_may_give_several_outputs)
{
    rules_check("input x: f32[4]  const i: i64[2] = {0, 1}  const k: i64[2] = {2, 3}  a = Gather(x, i)  b = Gather(x, k)",
                "rule a { a = Gather(x, i: const)  b = Gather(x, k: const)"
                " where elements(i) == [0, 1], elements(k) == [2, 3] => a, b = Split(x, [2, 2]) }",
                "input x: f32[4]  const b/const: i64[2] = {2, 2}  a, b = Split(x, b/const)");
}

TEST(nodes_with_other_readers_stay)
{
    rules_check("input x: f32[4]  r = Relu(x)  y = Relu(r)  z = Neg(r)", "rule a { y = Relu(Relu(x)) => y = Relu(x) }",
                "input x: f32[4]  r = Relu(x)  y = Relu(x)  z = Neg(r)");
}

TEST(metadata_of_values_stay_with_the_value)
{
    rules_check("input x: f32[4]  y = Relu(x)  meta value y \"quant.scale\" = \"0.5\"", "rule a { y = Relu(x) => y = Abs(x) }",
                "input x: f32[4]  y = Abs(x)  meta value y \"quant.scale\" = \"0.5\"");
}

TEST(rounds_go_on_until_nothing_matches)
{
    rules_check("input x: f32[4]  a = Relu(x)  b = Relu(a)  c = Relu(b)  d = Relu(c)  y = Relu(d)",
                "rule a { y = Relu(Relu(x)) => y = Relu(x) }", "input x: f32[4]  y = Relu(x)");
}

TEST(a_replacement_of_another_type_is_refused)
{
    check_failure("input x: f32[4,3]  y = Relu(x)", "rule a { y = Relu(x) => y = Transpose(x) }", TQ_ERR_SHAPE,
                  "editor 'a': at node 'y': test: line 1, column 25: 'y' is f32[4,3] ('y'), its replacement f32[3,4]");
    check_failure("input x: f32[4,3]  y = Relu(x)", "rule a { y = Relu(x) => y = cast(x, \"i32\") }", TQ_ERR_SHAPE,
                  "its replacement i32[4,3]");
}

TEST(an_operator_that_refuses_its_inputs_is_placed)
{
    check_failure("input x: f32[4,3]  y = Relu(x)", "rule a { y = Relu(x) =>\n  y = MatMul(x, x) }", TQ_ERR_SHAPE,
                  "line 2, column 7");
}

TEST(a_rule_that_makes_its_own_matches_is_stopped)
{
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) => y = Relu(Neg(x)) }", TQ_ERR_CHECK,
                  "editor 'a': does not come to an end");
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) => y = Relu(x) + Relu(Neg(x)) }", TQ_ERR_CHECK,
                  "does not come to an end");
}

TEST(arithmetic_that_makes_no_sense_is_placed)
{
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) where dims(x, 0) // 0 == 1 => y = x }", TQ_ERR_VALUE,
                  "line 1, column 39: a division by 0");
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) where x + 1 == 1 => y = x }", TQ_ERR_VALUE,
                  "constants of one element only");
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) where 4611686018427387904 * 4 == 1 => y = x }",
                  TQ_ERR_VALUE, "does not fit 64 bits");
    check_failure("input x: f32[4]  y = Relu(x)", "rule a { y = Relu(x) where \"a\" => y = x }", TQ_ERR_VALUE,
                  "a condition was expected here");
}

TEST(the_scale_of_a_quantiser_is_read)
{
    tq_graph *graph = check_graph(
        "input x: f32[4]  const lo: f32[1] = 0  const hi: f32[1] = 25.5"
        " q = FakeQuantize(x, lo, hi) [quantizer=\"pact\", q_min=0, n_levels=256]  r = Flatten(q)  y = Neg(r)");
    CHECK_EQ(rules_apply("rule a { y = Neg(x) where zero_point(x) == 0, q_max(x) == 255 => y = x * scale(x) }", graph), 1);
    const tq_value *scale = tq_node_input(tq_graph_last(graph), 1);
    CHECK_NEAR(tq_load_f64(tq_value_tensor(scale)->data, TQ_F32, 0), 0.1, 1e-6);
    tq_graph_destroy(graph);
}

TEST(a_rule_logs_what_it_changes)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[4]  a = Relu(x)  y = Relu(a)");
    int n;
    CHECK_OK(tq_editor_apply(rule_of("rule a { y = Relu(Relu(x)) => y = Relu(x) }", arena), graph, NULL, &n));
    CHECK_EQ(n, 1);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}
