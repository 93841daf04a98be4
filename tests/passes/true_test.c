/* Integer rules of operators: a fake-quantised graph and the true one made of it agree to one step
 * at every value they have in common, given equal inputs, and at the outputs. */
#include "integers.h"

/* ---- linear operators ---- */

TEST(conv_batch_norm_relu_is_one_requantisation)
{
    const char *text = X W "const b: f32[4] = random(5) const g: f32[4] = {1, 0.5, 2, 1.5} const "
                           "v: f32[4] = {1, 2, 0.5, 1}\n"
                           "c = Conv(q, w, b) [pads=[1,1,1,1]]\n n = BatchNormalization(c, g, b, "
                           "b, v)\n r = Relu(n)\n" FQ("y", "r", "0.015", "0", "0");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "ConvInteger"), 1);
    CHECK_EQ(check_count(p.integer, "Requant"), 1);
    integers_release(&p);
}

/* The bound of ReLU6 must not get lost: the grid here reaches to 12.75. */
TEST(the_bound_of_relu6_is_kept)
{
    const char *text =
        X WEIGHT("w", "f32[4,3,3,3]", "1", "0.05",
                 "-1") "const k: f32[4] = 20 const lo: f32[] = 0 const hi: f32[] = 6\n c = Conv(q, "
                       "w, k)\n r = Clip(c, lo, hi)\n" FQ("y", "r", "0.05", "0", "0");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    for (const tq_node *node = tq_graph_first(p.integer); node; node = tq_node_next(node))
        if (tq_node_is(node, "Requant") && tq_attr_int(tq_node_attrs(node), "q_max") == 120)
            break;
        else
            CHECK_EQ(tq_node_next(node) != NULL, true, "(no requantisation ends at code 120)");
    integers_release(&p);
}

/* Padding with 0 where the zero point is not 0. */
TEST(padding_writes_the_zero_point)
{
    integers_check_agrees("input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "7", "-128") W
                          "c = Conv(q, w) [pads=[1,1,1,1]]\n" FQ("y", "c", "0.03", "-5", "-128"));
}

TEST(zero_points_of_weights_are_taken_off)
{
    integers_check_agrees("input x: f32[?,3,6,6]\n" FQ(
        "q", "x", "0.02", "100", "0") "const f: f32[4,3,3,3] = random(3) const s: f32[4] = "
                                      "0.01 const k: f32[4] = {128, 120, 100, 90}\n"
                                      "w = FakeQuantize(f, s, k) [quantizer=\"fixed\", "
                                      "q_min=0, axis=0]\n c = Conv(q, w) [pads=[1,1,1,1]]\n" FQ(
                                          "y", "c", "0.03", "128", "0"));
}

TEST(groups_strides_and_dilations_stay)
{
    integers_check_agrees("input x: f32[?,4,9,9]\n" FQ("q", "x", "0.01", "0", "-128") WEIGHT(
        "w", "f32[8,2,3,3]", "8", "0.01",
        "0") "c = Conv(q, w) [group=2, strides=[2,1], dilations=[1,2], "
             "pads=[1,0,1,2]]\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(convolutions_of_one_axis_work)
{
    integers_check_agrees("input x: f32[?,2,16]\n" FQ("q", "x", "0.01", "3", "-128") WEIGHT(
        "w", "f32[4,2,5]", "4", "0.01",
        "0") "const b: f32[4] = random(1)\n c = Conv(q, w, b) [pads=[2,2]]\n r "
             "= Relu(c)\n" FQ("y", "r", "0.02", "0", "0"));
}

TEST(transposed_convolutions_work)
{
    integers_check_agrees("input x: f32[?,3,4,4]\n" FQ("q", "x", "0.01", "9", "-128") WEIGHT(
        "w", "f32[3,2,3,3]", "2", "{0.01, 0.02}",
        "1") "const b: f32[2] = random(1)\n c = ConvTranspose(q, w, b) [strides=[2,1], "
             "pads=[1,0,0,1], output_padding=[1,0], dilations=[1,2]]\n" FQ("y", "c", "0.02", "0",
                                                                           "-128"));
    integers_check_agrees("input x: f32[?,4,5]\n" FQ("q", "x", "0.01", "0", "0") WEIGHT(
        "w", "f32[4,3,3]", "1", "0.01",
        "-1") "c = ConvTranspose(q, w) [group=2, strides=[2]]\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(gemm_and_matmul_work)
{
    integers_check_agrees("input x: f32[?,12]\n" FQ("q", "x", "0.01", "5", "-128") WEIGHT(
        "w", "f32[5,12]", "5", "0.01",
        "0") "const b: f32[5] = random(1)\n c = Gemm(q, w, b) [transB=1, alpha=0.5, "
             "beta=2.0]\n" FQ("y", "c", "0.02", "0", "-128"));
    integers_check_agrees("input x: f32[?,3,12]\n" FQ("q", "x", "0.01", "5", "-128") WEIGHT(
        "w", "f32[12,5]", "5", "0.01",
        "1") "const b: f32[5] = random(1)\n m = MatMul(q, w)\n c = Add(m, "
             "b)\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(the_product_of_two_activations_works)
{
    integers_check_agrees(
        "input a: f32[?,3,4]\n input b: f32[?,4,5]\n" FQ("p", "a", "0.01", "5", "-128") FQ(
            "q", "b", "0.02", "100", "0") "m = MatMul(p, q)\n" FQ("y", "m", "0.03", "0", "-128"));
}

TEST(a_shared_weight_serves_two_layers)
{
    const char *text = "input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "0", "-128")
        WEIGHT("w", "f32[3,3,1,1]", "3", "0.01", "0") "c = Conv(q, w)\n" FQ(
            "y", "c", "0.01", "0", "-128") "d = Conv(y, w)\n" FQ("z", "d", "0.01", "0",
                                                                 "-128") "o = Neg(z)";
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "ConvInteger"), 2);
    const tq_node *first = NULL;
    for (const tq_node *node = tq_graph_first(p.integer); node; node = tq_node_next(node))
        if (tq_node_is(node, "ConvInteger")) {
            CHECK(!first || tq_node_input(first, 1) == tq_node_input(node, 1));
            first = node;
        }
    integers_release(&p);
}

/* Channels that training killed: gamma is 0, or all weights are. */
TEST(dead_channels_are_constants)
{
    integers_check_agrees(
        X "const f: f32[2,3,1,1] = {1, -1, 0.5, 0, 0, 0} const s: f32[2] = {0.01, "
          "0.000000059604645} const z: f32[2] = 0\n"
          "w = FakeQuantize(f, s, z) [quantizer=\"fixed\", q_min=-128, axis=0]\n c = Conv(q, w)\n"
          "const g: f32[2] = {0, 1} const b: f32[2] = {0.5, -0.25} const v: f32[2] = 1\n n = "
          "BatchNormalization(c, g, b, b, v)\n" FQ("y", "n", "0.015", "0", "-128"));
}

TEST(a_batch_norm_alone_is_a_requantisation)
{
    integers_check_agrees(
        X "const g: f32[3] = {1, -2, 0.5} const b: f32[3] = {0.5, -0.25, 1} const v: f32[3] "
          "= 1\n n = BatchNormalization(q, g, b, b, v)\n" FQ("y", "n", "0.03", "0", "-128"));
}

TEST(a_batch_norm_before_a_linear_operator_needs_codes)
{
    integers_check_refused(
        X W "const g: f32[3] = {1, -2, 0.5} const v: f32[3] = 1\n n = BatchNormalization(q, "
            "g, g, g, v)\n c = Conv(n, w)\n" FQ("y", "c", "0.03", "0", "-128"),
        "put a");
}

/* ---- functions ---- */

TEST(functions_become_tables)
{
    static const char *const functions[] = {
        "LeakyRelu(q) [alpha=0.1]", "Sigmoid(q)", "Tanh(q)", "HardSwish(q)",
        "HardSigmoid(q)",           "Elu(q)",     "Gelu(q)", "Softplus(q)"
    };
    for (int i = 0; i < TQ_COUNT(functions); i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "input x: f32[?,40]\n" FQ("q", "x", "0.03", "9",
                                           "-128") "f = %s\n" FQ("y", "f", "0.015", "0", "-128"),
                 functions[i]);
        integers_check_agrees(text);
        integers_pair p = integers_convert(text);
        CHECK_EQ(check_count(p.integer, "Lookup"), 1, "(%s)", functions[i]);
        integers_release(&p);
    }
}

#define PRELU(slopes)                                                                              \
    "input x: f32[?,3,5]\n" FQ("q", "x", "0.03", "7",                                              \
                               "-128") "const a: " slopes                                          \
                                       "\n f = PRelu(q, a)\n" FQ("y", "f", "0.02", "0", "-128")

TEST(slopes_of_prelu_are_a_table_or_one_for_each_channel)
{
    integers_check_equal(PRELU("f32[1] = 0.25"));
    integers_check_equal(PRELU("f32[3,1] = {0.25, 0.1, -0.5}"));
    integers_check_equal(PRELU("f32[5] = {0.25, 0.1, 0.5, 0, 1.5}"));
    integers_check_refused(PRELU("f32[3,5] = 0.25"), "expected one number, or one per channel");
}

/* ---- pools ---- */

#define POOL(attrs, zero)                                                                          \
    "input x: f32[?,3,7,7]\n" FQ("q", "x", "0.02", zero, "-128") "p = AveragePool(q) [" attrs      \
                                                                 "]\n" FQ("y", "p", "0.015", "3",  \
                                                                          "-128")

/* Average pools as float divisions are what "true" networks of others still have. */
TEST(average_pools_are_sums)
{
    integers_check_agrees(POOL("kernel_shape=[2,2], strides=[2,2]", "0"));
    integers_check_agrees(POOL("kernel_shape=[3,3]", "-11"));
    integers_check_agrees(POOL("kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]", "-11"));
    integers_check_agrees(
        POOL("kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1", "0"));
    integers_check_agrees(POOL("kernel_shape=[2,2], strides=[2,2], ceil_mode=1", "-11"));
    integers_check_agrees(
        POOL("kernel_shape=[2,2], strides=[2,2], ceil_mode=1, count_include_pad=1", "0"));
    integers_check_refused(POOL("kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1", "5"),
                           "padding counts");
}

TEST(means_over_planes_are_sums)
{
    integers_check_agrees(
        "input x: f32[?,3,7,7]\n" FQ("q", "x", "0.02", "4", "-128") "p = GlobalAveragePool(q)\n" FQ(
            "y", "p", "0.005", "0", "-128"));
    integers_check_agrees("input x: f32[?,3,7,7]\n const axes: i64[2] = {2, 3}\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "p = ReduceMean(q, axes) [keepdims=0]\n" FQ("y", "p", "0.005", "0", "-128"));
    integers_check_agrees("input x: f32[?,3,8]\n const axes: i64[1] = {1}\n" FQ(
        "q", "x", "0.02", "4", "-128") "p = ReduceMean(q, axes)\n" FQ("y", "p", "0.01", "0",
                                                                      "-128"));
}

TEST(maximum_pools_keep_the_codes)
{
    integers_check_agrees("input x: f32[?,3,7,7]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "p = MaxPool(q) [kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]]\n"
                "z = Neg(p)");
}

/* ---- additions ---- */

TEST(operands_of_one_scale_are_added_as_they_are)
{
    const char *text = "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
        FQ("q", "b", "0.02", "-9", "-128") "s = Add(p, q)\n" FQ("y", "s", "0.03", "0", "-128");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Mul"), 0);
    integers_release(&p);
}

/* The steps on the way say whose they are and never take the name of another node. */
TEST(the_last_of_several_nodes_has_the_name)
{
    integers_pair p = integers_convert(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.02", "-9", "-128") "s = Add(p, q) \"add\"\n" FQ(
                "t", "s", "0.03", "0", "-128") "u = Add(t, t) \"add_1\"\n" FQ("y", "u", "0.05", "0",
                                                                              "-128"));
    CHECK(tq_node_is(tq_graph_find_node(p.integer, "add"), "Add"));
    CHECK(tq_node_is(tq_graph_find_node(p.integer, "add_1"), "Add"));
    CHECK(tq_node_is(tq_graph_find_node(p.integer, "add.cast"), "Cast"));
    CHECK(tq_node_is(tq_graph_find_node(p.integer, "add.cast_1"), "Cast"));
    integers_release(&p);
}

TEST(operands_of_different_scales_are_brought_together)
{
    integers_check_agrees(
        "input a: f32[?,80]\n input b: f32[?,80]\n" FQ("p", "a", "0.0213", "4", "-128")
            FQ("q", "b", "0.0347", "0", "0") "s = Add(p, q)\n r = Relu(s)\n" FQ("y", "r", "0.03",
                                                                                "0", "0"));
    integers_check_agrees(
        "input a: f32[?,80]\n input b: f32[?,80]\n" FQ("p", "a", "0.0213", "4", "-128")
            FQ("q", "b", "0.0347", "0", "0") "s = Sub(p, q)\n" FQ("y", "s", "0.03", "0", "-128"));
}

TEST(scales_too_far_apart_are_refused)
{
    integers_check_refused(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "0", "-128") FQ(
            "q", "b", "20000000", "0", "-128") "s = Add(p, q)\n" FQ("y", "s", "0.03", "0", "-128"),
        "editor 'integerise': cannot integerise 's' (Add): operands have scales");
}

TEST(a_tree_of_additions_has_no_requantisation_inside)
{
    const char *text = "input a: f32[?,8]\n" FQ(
        "p", "a", "0.02", "0", "-128") "s = Add(p, p)\n t = Add(s, p)\n" FQ("y", "t", "0.05", "0",
                                                                            "-128");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 1);
    integers_release(&p);
}

/* ---- joining and moving ---- */

TEST(parts_of_one_grid_are_joined_as_they_are)
{
    const char *text = "input a: f32[?,4]\n input b: f32[?,6]\n" FQ("p", "a", "0.02", "4", "-128")
        FQ("q", "b", "0.02", "4", "-128") "c = Concat(p, q) [axis=1]\n" FQ("y", "c", "0.02", "4",
                                                                           "-128");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 0);
    integers_release(&p);
}

TEST(parts_of_different_grids_are_brought_onto_one)
{
    integers_check_agrees(
        "input a: f32[?,40]\n input b: f32[?,60]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "100", "0") "c = Concat(p, q) [axis=1]\n" FQ("y", "c", "0.025",
                                                                              "4", "-128"));
}

TEST(movement_keeps_codes)
{
    integers_check_agrees("input x: f32[?,4,6]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "const perm: i64[3] = {0, -1, 2}\n const axes: i64[1] = {1}\n"
                "t = Transpose(q) [perm=[0,2,1]]\n r = Reshape(t, perm)\n f = "
                "Flatten(r)\n u = Unsqueeze(f, axes)\n s = Squeeze(u, axes)\n"
                "a, b = Split(s) [axis=1, num_outputs=2]\n c = Concat(b, a) "
                "[axis=1]\n z = Neg(c)");
}

TEST(padding_by_pad_writes_the_zero_point)
{
    integers_check_agrees("input x: f32[?,2,4]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "const pads: i64[6] = {0,0,1,0,0,2}\n p = Pad(q, pads)\n z = Neg(p)");
}

TEST(slices_and_gathers_keep_codes)
{
    integers_check_agrees("input x: f32[?,4,6]\n" FQ(
        "q", "x", "0.02", "4", "-128") "const a: i64[1] = 1 const b: i64[1] = 6 const axis: i64[1] "
                                       "= 2 const step: i64[1] = 2\n"
                                       "s = Slice(q, a, b, axis, step)\n const i: i64[3] = {3, 0, "
                                       "-1}\n g = Gather(s, i) [axis=1]\n");
}

TEST(larger_and_smaller_of_two_compare_codes)
{
    integers_check_agrees(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.02", "4", "-128") "m = Max(p, q)\n n = Min(p, m)\n" FQ("y", "n", "0.03",
                                                                                   "0", "-128"));
    integers_check_refused(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "4", "-128") "m = Max(p, q)\n" FQ("y", "m", "0.03", "0", "-128"),
        "operands need one equal scale");
}

/* An activation behind a quantiser (quantisation-aware training of PyTorch): zero is on the grid.
 */
TEST(a_bound_on_the_grid_is_one_of_codes)
{
    const char *text =
        X W "c = Conv(q, w)\n" FQ("p", "c", "0.03", "9", "-128") "r = Relu(p)\n" WEIGHT(
            "v", "f32[2,4,1,1]", "2", "{0.01, 0.02}", "0") "d = Conv(r, v)\n" FQ("y", "d", "0.05",
                                                                                 "0", "-128");
    integers_check_agrees_but(text, 1);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 2); /* the clip is in the first one's bounds */
    CHECK_EQ(check_count(p.integer, "Clip"), 0);
    integers_release(&p);
    integers_check_agrees(
        X W "c = Conv(q, w)\n" FQ("p", "c", "0.03", "9", "-128") "r = Relu(p)\n" WEIGHT(
            "v", "f32[2,4,1,1]", "2", "{0.01, 0.02}",
            "0") "d = Conv(r, v)\n" FQ("y", "d", "0.05", "0",
                                       "-128") "e = Conv(p, v)\n" FQ("z", "e", "0.05", "0",
                                                                     "-128")); /* p is read too */
}

TEST(a_bound_off_the_grid_is_refused)
{
    integers_check_refused(
        X W "c = Conv(q, w)\n" FQ(
            "p", "c", "0.03", "9",
            "-128") "const hi: f32[] = 1.2345\n r = Clip(p, , "
                    "hi)\n" WEIGHT("v", "f32[2,4,1,1]", "2", "{0.01, 0.02}",
                                   "0") "d = Conv(r, v)\n" FQ("y", "d", "0.05", "0", "-128"),
        "is not requantised yet");
}

/* A bound waits for the next quantiser, through what keeps the order of codes; before
 * arithmetic it is applied. */
TEST(a_bound_waits_for_the_next_quantiser)
{
    const char *relu =
        X WEIGHT("w", "f32[4,3,3,3]", "1", "0.01", "-1") "c = Conv(q, w)\n r = Relu(c)\n";
    char text[3000];
    snprintf(text, sizeof text, "%sm = MaxPool(r) [kernel_shape=[2,2]]\n%s", relu,
             FQ("y", "m", "0.02", "0", "0"));
    integers_check_agrees(text);
    snprintf(text, sizeof text, "%sm = AveragePool(r) [kernel_shape=[2,2]]\n%s", relu,
             FQ("y", "m", "0.02", "0", "0"));
    integers_check_agrees(text); /* sums on one scale are clipped at 0 before they are averaged */
}

TEST(bounds_that_do_not_start_at_zero_are_kept)
{
    integers_check_agrees(
        X W
        "const lo: f32[] = -0.7 const hi: f32[] = 1.3\n c = Conv(q, w)\n r = Clip(c, lo, hi)\n" FQ(
            "y", "r", "0.02", "10", "-128"));
    integers_check_agrees(
        X W
        "const lo: f32[] = -0.7 const hi: f32[] = 1.3\n c = Conv(q, w)\n r = Clip(c, lo, hi)\n");
}

/* ---- products ---- */

TEST(a_squeeze_and_excite_block_works)
{
    integers_check_agrees(
        "input x: f32[?,4,5,5]\n" FQ("q", "x", "0.02", "0", "-128") "p = GlobalAveragePool(q)\n" FQ(
            "pq", "p", "0.005", "0", "-128")
            WEIGHT("w", "f32[4,4,1,1]", "4", "0.01", "0") "c = Conv(pq, w)\n" FQ(
                "cq", "c", "0.01", "0",
                "-128") "s = HardSigmoid(cq)\n" FQ("sq", "s", "0.00392", "0",
                                                   "0") "m = Mul(q, sq)\n" FQ("y", "m", "0.01", "0",
                                                                              "-128"));
}

TEST(normalised_rows_have_the_size_of_their_scale)
{
    static const char *const sizes[] = { "?", "3" };
    for (int i = 0; i < TQ_COUNT(sizes); i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "input x: f32[?,2,%s]\n" FQ(
                     "q", "x", "0.02", "3",
                     "-128") "const s: f32[3] = {1, 0.5, 2} const b: f32[3] = {0, 1, -1}\n"
                             "n = LayerNormalization(q, s, b)\n" FQ("y", "n", "0.03", "0", "-128"),
                 sizes[i]);
        integers_check_agrees(text);
    }
    integers_check_refused("input x: f32[?,2,?]\n" FQ("q", "x", "0.02", "3",
                                                      "-128") "const s: f32[1] = 1.0\n"
                                                              "n = LayerNormalization(q, s)\n" FQ(
                                                                  "y", "n", "0.03", "0", "-128"),
                           "only one last axis of known size has an integer form");
}

TEST(constant_factors_go_into_the_scale)
{
    const char *text = "input x: f32[?,4,5]\n" FQ(
        "q", "x", "0.02", "3",
        "-128") "const k: f32[] = 0.25 const m: f32[4,1] = {1, -2, 0.5, 3}\n"
                "a = Mul(q, k)\n b = Div(a, k)\n c = Mul(b, m)\n d = Sub(c, m)\n" FQ(
                    "y", "d", "0.03", "0", "-128");
    integers_check_agrees(text);
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Mul") + check_count(p.integer, "Div"), 0);
    integers_release(&p);
}

TEST(a_division_by_an_activation_is_refused)
{
    integers_check_refused(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "0", "-128")
            FQ("q", "b", "0.02", "0", "-128") "s = Div(p, q)\n" FQ("y", "s", "0.03", "0", "-128"),
        "a division by a computed value has no integer form");
}
