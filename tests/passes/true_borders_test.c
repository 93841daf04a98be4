/* Borders of true networks: inputs and outputs, what is refused, and what options change. */
#include "integers.h"

/* ---- borders ---- */

/* Per-channel output scales before an argmax are a trap: logits must be on one scale. */
TEST(a_head_with_a_scale_per_channel_ends_on_one_scale)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "5", "{0.01, 0.002, 0.03, 0.008, 0.007}",
               "0") "const b: f32[5] = random(1)\n y = Gemm(q, w, b) [transB=1]";
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(tq_value_type(tq_graph_output(p.integer, 0))->dtype, TQ_I32);
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "y");
    integers_release(&p);
}

TEST(a_head_with_one_scale_ends_with_an_int32_bias)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "1", "0.01",
               "-1") "const b: f32[5] = random(1)\n y = Gemm(q, w, b) [transB=1]";
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 0);
    CHECK_EQ(check_count(p.integer, "Add"), 1);
    integers_release(&p);
}

TEST(a_head_without_bias_ends_with_its_sums)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "1", "0.01", "-1") "y = Gemm(q, w) [transB=1]";
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(tq_graph_n_nodes(p.integer), 1);
    integers_release(&p);
}

TEST(a_head_that_only_adds_a_bias_per_channel_keeps_it)
{
    integers_check_agrees("input x: f32[?,5]\n" FQ(
        "q", "x", "0.01", "4", "-128") "const b: f32[5] = {1, -1, 0.5, 0.25, 2}\n y = Add(q, b)");
    integers_check_agrees("input x: f32[?,5]\n" FQ("q", "x", "0.01", "4",
                                                   "-128") "const b: f32[] = 0.5\n y = Add(q, b)");
}

TEST(the_last_softmax_goes)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128") WEIGHT(
        "w", "f32[5,12]", "1", "0.01", "-1") "y = Gemm(q, w) [transB=1]\n p = Softmax(y) [axis=1]";
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Softmax"), 0);
    CHECK_EQ(tq_graph_n_nodes(p.integer), 1);
    integers_release(&p);
}

TEST(an_activation_may_be_an_output)
{
    integers_check_agrees(X W "c = Conv(q, w)\n r = Relu(c)\n" FQ(
        "y", "r", "0.02", "0", "0") "z = MaxPool(y) [kernel_shape=[2,2]]\n output r\n output z");
    integers_check_agrees(X W "c = Conv(q, w)\n r = Relu(c)\n" FQ(
        "y", "r", "0.02", "0", "0") "z = MaxPool(y) [kernel_shape=[2,2]]\n output y\n output z");
}

TEST(an_activation_may_have_many_readers)
{
    integers_check_agrees(
        X W WEIGHT("v", "f32[2,4,1,1]", "2", "0.01", "0") "c = Conv(q, w)\n r = Relu(c)\n" FQ(
            "y", "r", "0.02", "0",
            "0") "d = Conv(y, v)\n e = Conv(y, v) [strides=[2,2]]\n m = MaxPool(y) "
                 "[kernel_shape=[2,2]]\n" FQ("dq", "d", "0.01", "0", "-128")
                     FQ("eq", "e", "0.02", "0", "-128") "o = Neg(dq)\n p = Neg(eq)\n");
}

TEST(several_inputs_and_outputs_keep_order_and_names)
{
    integers_pair p = integers_convert(
        "input a: f32[?,4]\n input b: f32[?,4]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "0", "0") "s = Add(p, q)\n" FQ(
                "y", "s", "0.04", "0", "-128") "o2 = Neg(y)\n o1 = Neg(p)\n output o2\n output o1");
    CHECK_STR(tq_value_name(tq_graph_input(p.integer, 0)), "a");
    CHECK_STR(tq_value_name(tq_graph_input(p.integer, 1)), "b");
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 0))->dtype, TQ_I8);
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 1))->dtype, TQ_U8);
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "o2");
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 1)), "o1");
    integers_release(&p);
}

TEST(an_input_may_go_straight_out)
{
    const char *text =
        "input x: f32[?,4]\n" FQ("q", "x", "0.02", "4", "-128") "z = Identity(q)\n output z";
    integers_check_agrees_but(text, 1); /* q takes the name of the output */
    integers_pair p = integers_convert(text);
    CHECK_STR(tq_node_op_name(tq_graph_first(p.integer)), "Identity");
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "z");
    integers_release(&p);
}

TEST(what_nothing_needs_is_not_converted_but_its_input_is)
{
    integers_pair p = integers_convert(
        "input a: f32[?,4]\n input b: f32[?,4]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "0", "0") "s = Softmax(q)\n t = Neg(s)\n y = Neg(p)\n output y");
    double scale;
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 1))->dtype, TQ_U8);
    CHECK(tq_value_meta_f64(tq_graph_input(p.integer, 1), "quant.scale", &scale));
    integers_release(&p);
}

TEST(one_value_may_be_two_outputs)
{
    integers_pair p = integers_convert(
        "input x: f32[?,4]\n" FQ("q", "x", "0.02", "4", "-128") "z = Neg(q)\n output z\n output z");
    CHECK_EQ(tq_graph_n_outputs(p.integer), 2);
    integers_release(&p);
}

TEST(the_grid_of_an_input_is_stored_with_it)
{
    integers_pair p =
        integers_convert("input x: f32[?,4]\n const s: f32[1] = 0.5 const z: f32[1] = 3\n"
                         "q = FakeQuantize(x, s, z) [quantizer=\"fixed\", q_min=-8, n_levels=16, "
                         "rounding=\"floor\"]\n i = Identity(q)\n d = Dropout(i)\n o = Neg(d)");
    const tq_value *x = tq_graph_input(p.integer, 0);
    double scale;
    int64_t zero_point, q_min, q_max;
    CHECK(tq_value_meta_f64(x, "quant.scale", &scale) && scale == 0.5);
    CHECK(tq_value_meta_i64(x, "quant.zero_point", &zero_point) && zero_point == 3);
    CHECK(tq_value_meta_i64(x, "quant.q_min", &q_min) && q_min == -8);
    CHECK(tq_value_meta_i64(x, "quant.q_max", &q_max) && q_max == 7);
    CHECK_STR(tq_value_meta(x, "quant.rounding"), "floor");
    CHECK_STR(tq_value_meta(x, "quant.of"), "q");
    integers_release(&p);
}

/* ---- refusals ---- */

TEST(a_quantiser_that_was_never_observed_is_named)
{
    integers_check_refused("input x: f32[?,4]\n const s: f32[1] = nan const z: f32[1] = nan\n q = "
                           "FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n y = Neg(q)",
                           "quantizer 'q' was never observed; run 'truq calibrate' first");
}

TEST(an_input_without_quantiser_is_named)
{
    integers_check_refused("input x: f32[?,4]\n y = Neg(x)", "input 'x' has no FakeQuantize");
}

TEST(a_float_operator_without_integer_form_is_named)
{
    integers_check_refused("input x: f32[?,4]\n" FQ("q", "x", "0.02", "0",
                                                    "-128") "r = Softmax(q) [axis=1]\n y = Neg(r)",
                           "'r' (Softmax)");
}

#define HALF_EVEN(scale)                                                                           \
    "const s: f32[1] = " scale " const z: f32[1] = 0\n"                                            \
    "y = FakeQuantize(c, s, z) [quantizer=\"fixed\", q_min=-128, rounding=\"half-even\"]\n o = "   \
    "Neg(y)"

/* Ties of half-even and half-up differ: what an add and a shift cannot compute is refused unless
 * forced; then the proof counts the ties. Scales of powers of two have many. */
TEST(rounding_that_a_shift_cannot_do_is_refused_and_forced_ties_are_counted)
{
    const char *text = "input x: f32[?,1,1,3]\n" FQ("q", "x", "0.25", "0", "-128")
        WEIGHT("w", "f32[1,1,1,1]", "1", "0.0078125", "0") "c = Conv(q, w)\n" HALF_EVEN("0.0625");
    integers_check_refused(text, "cannot round 'half-even', which takes ");
    integers_check_refused(text,
                           "ties to other codes; 'truq f2t --rounding half-up' rounds halves up");
    tq_graph *graph = check_graph(text);
    const tq_true_options options = { .fixed_shift = -1,
                                      .force_half_up = true,
                                      .limits = road_limits("generic") };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    CHECK_OK(tq_pipeline_run(check_registry(), "f2t", &graph, &edit));
    tq_arena *arena = tq_arena_create();
    tq_proof_row *rows;
    int n, n_counted = 0;
    bool proven;
    CHECK_OK(tq_proof_run(graph, arena, &rows, &n, &proven));
    for (int i = 0; i < n; i++)
        if (rows[i].rounding) {
            CHECK_STR(rows[i].rounding, "half-even");
            CHECK(rows[i].n_ties > 10);
            n_counted++;
        }
    CHECK_EQ(n_counted, 1);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

/* 0.01 of a code and so on: no sum of products comes to lie half-way. */
TEST(a_rounding_that_no_tie_tells_from_half_up_needs_no_leave)
{
    integers_check_agrees(X W "c = Conv(q, w)\n" HALF_EVEN("0.02"));
}

/* What is on the grid already is not rounded. */
TEST(codes_on_the_grid_need_no_rounding)
{
    const char *text =
        "input x: f32[?,4]\n" FQ("q", "x", "0.5", "0", "-128") "c = Identity(q)\n" HALF_EVEN("0.5");
    integers_check_agrees_but(text, 1); /* both are one value */
}

TEST(floors_are_kept)
{
    integers_check_agrees(X W "c = Conv(q, w)\n const s: f32[1] = 0.02 const z: f32[1] = 0\n"
                              "y = FakeQuantize(c, s, z) [quantizer=\"fixed\", q_min=-128, "
                              "rounding=\"floor\"]\n o = Neg(y)");
}

/* ---- options ---- */

TEST(a_given_scale_replaces_that_of_the_input)
{
    tq_graph *graph = check_graph(X "y = Neg(q)");
    const tq_true_options options = { .fixed_shift = -1,
                                      .limits = road_limits("generic"),
                                      .n_input_scales = 1,
                                      .input_names = (const char *const[]){ "x" },
                                      .input_scales = (const double[]){ 0.125 } };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    CHECK_OK(tq_pipeline_run(check_registry(), "f2t", &graph, &edit));
    double scale;
    CHECK(tq_value_meta_f64(tq_graph_input(graph, 0), "quant.scale", &scale) && scale == 0.125);
    tq_graph_destroy(graph);
}
