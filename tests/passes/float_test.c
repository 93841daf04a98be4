/* Editors of float networks: text before and after, the same results, and what must not be touched.
 */
#include "edits.h"

/* ---- remove-identity ---- */

TEST(identity_goes)
{
    edits_check("remove-identity", "input x: f32[2]\n a = Relu(x)\n b = Identity(a)\n c = Tanh(b)",
                "input x: f32[2]\n a = Relu(x)\n c = Tanh(a)", 0);
}

TEST(an_output_keeps_its_name)
{
    edits_check("remove-identity", "input x: f32[2]\n a = Relu(x)\n b = Identity(a)",
                "input x: f32[2]\n b = Relu(x) \"a\"", 0);
}

TEST(identity_between_input_and_output_stays)
{
    edits_check_none("remove-identity", "input x: f32[2]\n b = Identity(x)");
    edits_check_none("remove-identity", "input x: f32[2]\n const k: f32[2] = 1\n b = Identity(k)\n "
                                        "c = Relu(x)\n output b\n output c");
}

/* One constant of two names would be learned twice over. */
TEST(identity_of_a_constant_is_another_constant)
{
    static const char *const editors[] = { "remove-identity", "separate-constants" };
    for (int i = 0; i < TQ_COUNT(editors); i++) {
        tq_graph *graph = check_graph("input x: f32[2]\n const k: f32[2] = 1\n b = Identity(k)\n "
                                      "y = Add(x, k)\n z = Mul(y, b)");
        const tq_entry *entry;
        CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, editors[i], &entry));
        CHECK_OK(tq_editor_run((const tq_editor *)(const void *)entry, graph));
        tq_value *k = tq_graph_find_value(graph, "k"), *b = tq_graph_find_value(graph, "b");
        CHECK_EQ(check_count(graph, "Identity"), 0, "(%s)", editors[i]);
        CHECK(k && b && tq_value_is_const(k) && tq_value_is_const(b));
        void *data;
        CHECK_OK(tq_value_own(b, &data));
        ((float *)data)[0] = 7;
        CHECK_EQ(((const float *)tq_value_tensor(k)->data)[0], 1);
        tq_graph_destroy(graph);
    }
}

/* Without it two outputs would have one name. */
TEST(identity_between_two_outputs_stays)
{
    edits_check("remove-identity",
                "input x: f32[2]\n a = Relu(x)\n b = Identity(a)\n c = Identity(a)",
                "input x: f32[2]\n b = Relu(x) \"a\"\n c = Identity(b)\n output b\n output c", 0);
}

/* ---- fold-constants ---- */

TEST(what_depends_on_constants_is_computed)
{
    edits_check("fold-constants",
                "input x: f32[2]\n const k: f32[2] = {1, 2}\n const m: f32[2] = {3, 4}\n s = "
                "Add(k, m)\n t = Mul(s, s)\n y = Mul(x, t)",
                "input x: f32[2]\n const t: f32[2] = {16, 36}\n y = Mul(x, t)", 0);
}

TEST(a_constant_node_is_a_constant)
{
    edits_check("fold-constants",
                "input x: f32[2]\n k = Constant() [value=f32[2] {1, 2}]\n y = Mul(x, k)",
                "input x: f32[2]\n const k: f32[2] = {1, 2}\n y = Mul(x, k)", 0);
}

TEST(a_folded_output_keeps_its_name)
{
    edits_check("fold-constants",
                "input x: f32[2]\n const k: f32[2] = {-1, 2}\n y = Relu(k)\n z = Relu(x)\n output "
                "z\n output y",
                "input x: f32[2]\n const y: f32[2] = {0, 2}\n z = Relu(x)\n output z\n output y",
                0);
}

TEST(quantisers_of_weights_are_not_folded)
{
    edits_check_none("fold-constants",
                     "input x: f32[1,2]\n const w: f32[2,3] = random(1)\n const lo: f32[1] = -1\n "
                     "const hi: f32[1] = 1\n"
                     "q = FakeQuantize(w, lo, hi) [q_min=-128]\n y = MatMul(x, q)");
}

/* ---- canonicalise-activations ---- */

TEST(spellings_of_relu_become_relu)
{
    edits_check("canonicalise-activations", "input x: f32[2]\n const z: f32[] = 0\n y = Max(x, z)",
                "input x: f32[2]\n y = Relu(x)", 0);
    edits_check("canonicalise-activations", "input x: f32[2]\n const z: f32[1] = 0\n y = Max(z, x)",
                "input x: f32[2]\n y = Relu(x)", 0);
    edits_check("canonicalise-activations", "input x: f32[2]\n const z: f32[] = 0\n y = Clip(x, z)",
                "input x: f32[2]\n y = Relu(x)", 0);
    edits_check(
        "canonicalise-activations",
        "input x: f32[2]\n const z: f32[] = 0\n const h: f32[] = inf\n y = Clip(x, z, h) \"n\"",
        "input x: f32[2]\n y = Relu(x) \"n\"", 0);
}

/* The bound of ReLU6 must not get lost. */
TEST(bounds_that_bound_stay)
{
    edits_check_none(
        "canonicalise-activations",
        "input x: f32[2]\n const z: f32[] = 0\n const h: f32[] = 6\n y = Clip(x, z, h)");
    edits_check_none("canonicalise-activations",
                     "input x: f32[2]\n const h: f32[] = 6\n y = Clip(x, , h)");
    edits_check_none("canonicalise-activations",
                     "input x: f32[2]\n const z: f32[] = -1\n y = Clip(x, z)");
    edits_check_none("canonicalise-activations",
                     "input x: f32[2]\n const z: f32[2] = 0\n y = Max(x, z)");
}

TEST(a_maximum_that_adds_an_axis_stays)
{
    edits_check_none("canonicalise-activations",
                     "input x: f32[2]\n const z: f32[1,1] = 0\n y = Max(x, z)");
}

/* ---- canonicalise-flatten ---- */

TEST(views_become_flatten)
{
    const char *flat = "input x: f32[2,3,4]\n y = Flatten(x) [axis=1]";
    edits_check("canonicalise-flatten",
                "input x: f32[2,3,4]\n const s: i64[2] = {2, -1}\n y = Reshape(x, s)", flat, 0);
    edits_check("canonicalise-flatten",
                "input x: f32[2,3,4]\n const s: i64[2] = {0, -1}\n y = Reshape(x, s)", flat, 0);
    edits_check("canonicalise-flatten",
                "input x: f32[2,3,4]\n const s: i64[2] = {-1, 12}\n y = Reshape(x, s)", flat, 0);
    edits_check("canonicalise-flatten",
                "input x: f32[?,3,4]\n const s: i64[2] = {-1, 12}\n y = Reshape(x, s)",
                "input x: f32[?,3,4]\n y = Flatten(x) [axis=1]", 0);
}

TEST(a_view_by_shape_arithmetic_becomes_flatten)
{
    edits_check("canonicalise-flatten",
                "input x: f32[?,3,4]\n const zero: i64[] = 0\n const axes: i64[1] = {0}\n const "
                "rest: i64[1] = {-1}\n s = Shape(x)\n"
                "n = Gather(s, zero) [axis=0]\n u = Unsqueeze(n, axes)\n t = Concat(u, rest) "
                "[axis=0]\n y = Reshape(x, t)",
                "input x: f32[?,3,4]\n y = Flatten(x) [axis=1]", 0);
}

TEST(other_shapes_stay)
{
    edits_check_none("canonicalise-flatten",
                     "input x: f32[2,3,4]\n const s: i64[2] = {6, -1}\n y = Reshape(x, s)");
    edits_check_none("canonicalise-flatten",
                     "input x: f32[?,3,4]\n const s: i64[2] = {-1, 6}\n y = Reshape(x, s)");
    edits_check_none("canonicalise-flatten",
                     "input x: f32[2,3,4]\n const s: i64[3] = {2, 12, 1}\n y = Reshape(x, s)");
}

/* The unknown size is that of another axis: what looks like the batch is not. */
TEST(an_unknown_size_of_another_axis_is_no_batch)
{
    edits_check_none(
        "canonicalise-flatten",
        "input x: f32[2,?,4]\n const one: i64[1] = {1}\n const rest: i64[1] = {-1}\n s = Shape(x)\n"
        "n = Gather(s, one) [axis=0]\n t = Concat(n, rest) [axis=0]\n y = Reshape(x, t)");
}

/* ---- linear-bias-into-bn ---- */

TEST(a_bias_before_a_batch_norm_moves_into_its_mean)
{
    edits_check(
        "linear-bias-into-bn",
        "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = {1,2,3,4}\n const b: f32[2] = {0.5, -1}\n "
        "const g: f32[2] = {1, 2}\n"
        "const s: f32[2] = {0, 1}\n const m: f32[2] = {1, 1}\n const v: f32[2] = {1, 4}\n c = "
        "Conv(x, w, b)\n"
        "y = BatchNormalization(c, g, s, m, v)",
        "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = {1,2,3,4}\n const g: f32[2] = {1, 2}\n"
        "const s: f32[2] = {0, 1}\n const v: f32[2] = {1, 4}\n const m: f32[2] = {0.5, 2}\n c = "
        "Conv(x, w)\n"
        "y = BatchNormalization(c, g, s, m, v)",
        1e-5);
}

TEST(a_second_reader_keeps_the_bias)
{
    edits_check_none("linear-bias-into-bn",
                     "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = 1\n const b: f32[2] = 1\n "
                     "const g: f32[2] = 1\n c = Conv(x, w, b)\n"
                     "y = BatchNormalization(c, g, g, g, g)\n z = Relu(c)");
}

TEST(a_mean_that_two_batch_norms_share_is_not_written)
{
    edits_check("linear-bias-into-bn",
                "input x: f32[1,1,2]\n const w: f32[1,1,1] = 2\n const b: f32[1] = 0.5\n const g: "
                "f32[1] = 1\n const m: f32[1] = 1\n"
                "c = Conv(x, w, b)\n y = BatchNormalization(c, g, g, m, g)\n z = "
                "BatchNormalization(x, g, g, m, g)",
                "input x: f32[1,1,2]\n const w: f32[1,1,1] = 2\n const g: f32[1] = 1\n const m: "
                "f32[1] = 1\n const m_1: f32[1] = 0.5\n"
                "c = Conv(x, w)\n y = BatchNormalization(c, g, g, m_1, g)\n z = "
                "BatchNormalization(x, g, g, m, g)",
                1e-5);
}

/* ---- fold-batchnorm ---- */

TEST(a_batch_norm_folds_into_the_convolution)
{
    edits_check("fold-batchnorm",
                "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = {1,2,3,4}\n const g: f32[2] = {2, "
                "3}\n const s: f32[2] = {0, 1}\n"
                "const m: f32[2] = {1, 2}\n const v: f32[2] = {4, 9}\n c = Conv(x, w)\n"
                "y = BatchNormalization(c, g, s, m, v) [epsilon=0.0]",
                "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = {1,2,3,4}\n const s: f32[2] = "
                "{-1, -1}\n y = Conv(x, w, s) \"c\"",
                1e-5);
}

TEST(a_second_consumer_blocks_the_fold)
{
    edits_check_none(
        "fold-batchnorm",
        "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = 1\n const g: f32[2] = 1\n c = Conv(x, w)\n"
        "y = BatchNormalization(c, g, g, g, g)\n z = Relu(c)");
    edits_check_none(
        "fold-batchnorm",
        "input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = 1\n const g: f32[2] = 1\n c = Conv(x, w)\n"
        "y = BatchNormalization(c, g, g, g, g)\n output c\n output y");
}

TEST(a_weight_that_two_convolutions_share_is_not_written)
{
    tq_graph *graph = check_graph("input x: f32[1,2,3,3]\n const w: f32[2,2,1,1] = random(1)\n "
                                  "const g: f32[2] = 2\n c = Conv(x, w)\n"
                                  "y = BatchNormalization(c, g, g, g, g)\n z = Conv(x, w)"),
             *before = tq_graph_clone(graph);
    CHECK_OK(tq_editor_run(edits_find("fold-batchnorm"), graph));
    CHECK_EQ(check_count(graph, "BatchNormalization"), 0);
    CHECK_NEAR(edits_difference(before, graph), 0, 1e-5);
    tq_graph_destroy(before);
    tq_graph_destroy(graph);
}

TEST(grouped_convolutions_fold_too)
{
    tq_graph *graph = check_graph("input x: f32[1,4,3,3]\n const w: f32[4,1,3,3] = random(1)\n "
                                  "const g: f32[4] = {2,3,-1,1}\n"
                                  "const s: f32[4] = random(2)\n const v: f32[4] = {1,2,3,4}\n c = "
                                  "Conv(x, w, s) [group=4]\n"
                                  "y = BatchNormalization(c, g, s, s, v)"),
             *before = tq_graph_clone(graph);
    CHECK_OK(tq_editor_run(edits_find("fold-batchnorm"), graph));
    CHECK_EQ(tq_graph_n_nodes(graph), 1);
    CHECK_NEAR(edits_difference(before, graph), 0, 1e-5);
    tq_graph_destroy(before);
    tq_graph_destroy(graph);
}

TEST(a_network_of_halves_becomes_one_of_floats)
{
    tq_graph *graph = check_graph("input x: f16[2]  const k: f16[2] = {0.5, 3}  y = Mul(x, k) "
                                  "w = Cast(y) [to=1]  s = Softmax(w)  z = Cast(s) [to=10]");
    CHECK_OK(tq_editor_run(edits_find("halves-to-floats"), graph));
    edits_check_text(graph, "input x: f32[2]  const k: f32[2] = {0.5, 3}  y = Mul(x, k) "
                            "z = Softmax(y) \"s\"");
    tq_graph_destroy(graph);
}

TEST(a_network_of_floats_stays_as_it_is)
{
    edits_check_none("halves-to-floats", "input x: f32[2]  y = Cast(x) [to=1]  z = Relu(y)");
}

/* ---- free-batch ---- */

static void opens_to(const char *before, const char *after)
{
    tq_graph *graph = check_graph(before);
    CHECK_OK(tq_graph_open_batch(graph, 5));
    edits_check_text(graph, after);
    tq_graph_destroy(graph);
}

TEST(a_network_for_one_batch_takes_others)
{
    opens_to("input x: f32[1,2,4,4] const s: i64[2] = {1, 32} t = Reshape(x, s) y = Relu(t)",
             "input x: f32[?,2,4,4] const s_1: i64[2] = {0, 32} t = Reshape(x, s_1) y = Relu(t)");
}

/* The first axis is no batch here: the outputs would not follow. */
TEST(a_network_of_no_batch_stays_as_it_is)
{
    static const char *const texts[] = {
        "input x: f32[4,3] const k: f32[4,1] = 1 y = Add(x, k)",
        "input x: f32[4,3] y = Transpose(x) [perm=[1,0]]",
        "input x: f32[4,3] input k: f32[2,3] y = Relu(x) z = Relu(k) output y output z",
        "input x: f32[4,3] y = ReduceMean(x) [keepdims=1]",
    };
    for (int i = 0; i < TQ_COUNT(texts); i++)
        opens_to(texts[i], texts[i]);
}
