/* Integer rules of operators: a fake-quantised graph and the true one made of it agree to one step
 * at every value they have in common, given equal inputs, and at the outputs. */
#include "edits.h"

/* y = FakeQuantize(x) on the grid of scale and zero point, 256 codes from q_min. */
#define FQ(y, x, scale, zero, q_min)                                                               \
    "const " y ".s: f32[1] = " scale " const " y ".z: f32[1] = " zero "\n" y " = FakeQuantize(" x  \
    ", " y ".s, " y ".z) [quantizer=\"fixed\", q_min=" q_min "]\n"
/* A weight of `channels` channels, random in [-1, 1), one scale each. */
#define WEIGHT(w, type, channels, scales, axis)                                                    \
    "const " w ".f: " type " = random(3) const " w ".s: f32[" channels "] = " scales " const " w   \
    ".z: f32[" channels "] = 0\n" w " = FakeQuantize(" w ".f, " w ".s, " w                         \
    ".z) [quantizer=\"fixed\", q_min=-128, axis=" axis "]\n"
#define X "input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "0", "-128")
#define W WEIGHT("w", "f32[4,3,3,3]", "4", "{0.01, 0.008, 0.012, 0.009}", "0")

typedef struct pair {
    tq_graph *fake, *integer;
} pair;

static pair convert(const char *text)
{
    pair p = { .fake = check_graph(text) };
    p.integer = tq_graph_clone(p.fake);
    road_true(&p.integer, "generic");
    CHECK_EQ(tq_graph_stage(p.integer), TQ_STAGE_TRUE);
    CHECK_OK(tq_graph_verify(p.integer));
    return p;
}

static void release(pair *p)
{
    tq_graph_destroy(p->fake);
    tq_graph_destroy(p->integer);
}

/* Also how many values they had in common; more than 2 % of elements a step away are no matter of
 * rounding. */
static void check_agrees_but(const char *text, int n_merged)
{
    pair p = convert(text);
    const road_agreement a = road_compare(p.fake, p.integer, 3, 1);
    CHECK_EQ(a.n_matched, a.n_quantizers - n_merged,
             "(quantisers whose results have a true value)");
    CHECK_EQ(a.n_different * 50 <= a.n_elements, true, "(%d of %d elements differ)",
             (int)a.n_different, (int)a.n_elements);
    release(&p);
}

static void check_agrees(const char *text)
{
    check_agrees_but(text, 0);
}

static void check_refused(const char *text, const char *message)
{
    tq_graph *graph = check_graph(text);
    const tq_true_options options = { .fixed_shift = -1, .limits = road_limits("generic") };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    const tq_status status = tq_pipeline_run(check_registry(), "f2t", &graph, &edit);
    CHECK_EQ(status != NULL, true, "(expected '%s')", message);
    CHECK_EQ(strstr(tq_status_text(status), message) != NULL, true, "(got '%s', expected '%s')",
             tq_status_text(status), message);
    tq_status_drop(status);
    tq_graph_destroy(graph);
}

/* ---- linear operators ---- */

TEST(conv_batch_norm_relu_is_one_requantisation)
{
    const char *text = X W "const b: f32[4] = random(5) const g: f32[4] = {1, 0.5, 2, 1.5} const "
                           "v: f32[4] = {1, 2, 0.5, 1}\n"
                           "c = Conv(q, w, b) [pads=[1,1,1,1]]\n n = BatchNormalization(c, g, b, "
                           "b, v)\n r = Relu(n)\n" FQ("y", "r", "0.015", "0", "0");
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "ConvInteger"), 1);
    CHECK_EQ(check_count(p.integer, "Requant"), 1);
    release(&p);
}

/* The bound of ReLU6 must not get lost: the grid here reaches to 12.75. */
TEST(the_bound_of_relu6_is_kept)
{
    const char *text =
        X WEIGHT("w", "f32[4,3,3,3]", "1", "0.05",
                 "-1") "const k: f32[4] = 20 const lo: f32[] = 0 const hi: f32[] = 6\n c = Conv(q, "
                       "w, k)\n r = Clip(c, lo, hi)\n" FQ("y", "r", "0.05", "0", "0");
    check_agrees(text);
    pair p = convert(text);
    for (const tq_node *node = tq_graph_first(p.integer); node; node = tq_node_next(node))
        if (tq_node_is(node, "Requant") && tq_attr_int(tq_node_attrs(node), "q_max") == 120)
            break;
        else
            CHECK_EQ(tq_node_next(node) != NULL, true, "(no requantisation ends at code 120)");
    release(&p);
}

/* Padding with 0 where the zero point is not 0. */
TEST(padding_writes_the_zero_point)
{
    check_agrees("input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "7", "-128") W
                 "c = Conv(q, w) [pads=[1,1,1,1]]\n" FQ("y", "c", "0.03", "-5", "-128"));
}

TEST(zero_points_of_weights_are_taken_off)
{
    check_agrees("input x: f32[?,3,6,6]\n" FQ(
        "q", "x", "0.02", "100", "0") "const f: f32[4,3,3,3] = random(3) const s: f32[4] = "
                                      "0.01 const k: f32[4] = {128, 120, 100, 90}\n"
                                      "w = FakeQuantize(f, s, k) [quantizer=\"fixed\", "
                                      "q_min=0, axis=0]\n c = Conv(q, w) [pads=[1,1,1,1]]\n" FQ(
                                          "y", "c", "0.03", "128", "0"));
}

TEST(groups_strides_and_dilations_stay)
{
    check_agrees("input x: f32[?,4,9,9]\n" FQ("q", "x", "0.01", "0", "-128")
                     WEIGHT("w", "f32[8,2,3,3]", "8", "0.01",
                            "0") "c = Conv(q, w) [group=2, strides=[2,1], dilations=[1,2], "
                                 "pads=[1,0,1,2]]\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(convolutions_of_one_axis_work)
{
    check_agrees("input x: f32[?,2,16]\n" FQ("q", "x", "0.01", "3", "-128")
                     WEIGHT("w", "f32[4,2,5]", "4", "0.01",
                            "0") "const b: f32[4] = random(1)\n c = Conv(q, w, b) [pads=[2,2]]\n r "
                                 "= Relu(c)\n" FQ("y", "r", "0.02", "0", "0"));
}

TEST(transposed_convolutions_work)
{
    check_agrees("input x: f32[?,3,4,4]\n" FQ("q", "x", "0.01", "9", "-128") WEIGHT(
        "w", "f32[3,2,3,3]", "2", "{0.01, 0.02}",
        "1") "const b: f32[2] = random(1)\n c = ConvTranspose(q, w, b) [strides=[2,1], "
             "pads=[1,0,0,1], output_padding=[1,0], dilations=[1,2]]\n" FQ("y", "c", "0.02", "0",
                                                                           "-128"));
    check_agrees("input x: f32[?,4,5]\n" FQ("q", "x", "0.01", "0", "0") WEIGHT(
        "w", "f32[4,3,3]", "1", "0.01",
        "-1") "c = ConvTranspose(q, w) [group=2, strides=[2]]\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(gemm_and_matmul_work)
{
    check_agrees("input x: f32[?,12]\n" FQ("q", "x", "0.01", "5", "-128") WEIGHT(
        "w", "f32[5,12]", "5", "0.01",
        "0") "const b: f32[5] = random(1)\n c = Gemm(q, w, b) [transB=1, alpha=0.5, "
             "beta=2.0]\n" FQ("y", "c", "0.02", "0", "-128"));
    check_agrees("input x: f32[?,3,12]\n" FQ("q", "x", "0.01", "5", "-128")
                     WEIGHT("w", "f32[12,5]", "5", "0.01",
                            "1") "const b: f32[5] = random(1)\n m = MatMul(q, w)\n c = Add(m, "
                                 "b)\n" FQ("y", "c", "0.02", "0", "-128"));
}

TEST(the_product_of_two_activations_works)
{
    check_agrees("input a: f32[?,3,4]\n input b: f32[?,4,5]\n" FQ("p", "a", "0.01", "5", "-128") FQ(
        "q", "b", "0.02", "100", "0") "m = MatMul(p, q)\n" FQ("y", "m", "0.03", "0", "-128"));
}

TEST(a_shared_weight_serves_two_layers)
{
    const char *text = "input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "0", "-128")
        WEIGHT("w", "f32[3,3,1,1]", "3", "0.01", "0") "c = Conv(q, w)\n" FQ(
            "y", "c", "0.01", "0", "-128") "d = Conv(y, w)\n" FQ("z", "d", "0.01", "0",
                                                                 "-128") "o = Neg(z)";
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "ConvInteger"), 2);
    const tq_node *first = NULL;
    for (const tq_node *node = tq_graph_first(p.integer); node; node = tq_node_next(node))
        if (tq_node_is(node, "ConvInteger")) {
            CHECK(!first || tq_node_input(first, 1) == tq_node_input(node, 1));
            first = node;
        }
    release(&p);
}

/* Channels that training killed: gamma is 0, or all weights are. */
TEST(dead_channels_are_constants)
{
    check_agrees(
        X "const f: f32[2,3,1,1] = {1, -1, 0.5, 0, 0, 0} const s: f32[2] = {0.01, "
          "0.000000059604645} const z: f32[2] = 0\n"
          "w = FakeQuantize(f, s, z) [quantizer=\"fixed\", q_min=-128, axis=0]\n c = Conv(q, w)\n"
          "const g: f32[2] = {0, 1} const b: f32[2] = {0.5, -0.25} const v: f32[2] = 1\n n = "
          "BatchNormalization(c, g, b, b, v)\n" FQ("y", "n", "0.015", "0", "-128"));
}

TEST(a_batch_norm_alone_is_a_requantisation)
{
    check_agrees(X
                 "const g: f32[3] = {1, -2, 0.5} const b: f32[3] = {0.5, -0.25, 1} const v: f32[3] "
                 "= 1\n n = BatchNormalization(q, g, b, b, v)\n" FQ("y", "n", "0.03", "0", "-128"));
}

TEST(a_batch_norm_before_a_linear_operator_needs_codes)
{
    check_refused(X W
                  "const g: f32[3] = {1, -2, 0.5} const v: f32[3] = 1\n n = BatchNormalization(q, "
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
        check_agrees(text);
        pair p = convert(text);
        CHECK_EQ(check_count(p.integer, "Lookup"), 1, "(%s)", functions[i]);
        release(&p);
    }
}

TEST(one_slope_of_prelu_is_a_table_many_are_refused)
{
    check_agrees("input x: f32[?,3,5]\n" FQ(
        "q", "x", "0.03", "0",
        "-128") "const a: f32[1] = 0.25\n f = PRelu(q, a)\n" FQ("y", "f", "0.03", "0", "-128"));
    check_refused(
        "input x: f32[?,3,5]\n" FQ(
            "q", "x", "0.03", "0",
            "-128") "const a: f32[3,1] = {0.25, 0.1, 0.5}\n f = PRelu(q, a)\n" FQ("y", "f", "0.03",
                                                                                  "0", "-128"),
        "use LeakyRelu or one slope");
}

/* ---- pools ---- */

#define POOL(attrs, zero)                                                                          \
    "input x: f32[?,3,7,7]\n" FQ("q", "x", "0.02", zero, "-128") "p = AveragePool(q) [" attrs      \
                                                                 "]\n" FQ("y", "p", "0.015", "3",  \
                                                                          "-128")

/* Average pools as float divisions are what "true" networks of others still have. */
TEST(average_pools_are_sums)
{
    check_agrees(POOL("kernel_shape=[2,2], strides=[2,2]", "0"));
    check_agrees(POOL("kernel_shape=[3,3]", "-11"));
    check_agrees(POOL("kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]", "-11"));
    check_agrees(
        POOL("kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1", "0"));
    check_agrees(POOL("kernel_shape=[2,2], strides=[2,2], ceil_mode=1", "-11"));
    check_agrees(POOL("kernel_shape=[2,2], strides=[2,2], ceil_mode=1, count_include_pad=1", "0"));
    check_refused(POOL("kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1", "5"),
                  "padding counts");
}

TEST(means_over_planes_are_sums)
{
    check_agrees(
        "input x: f32[?,3,7,7]\n" FQ("q", "x", "0.02", "4", "-128") "p = GlobalAveragePool(q)\n" FQ(
            "y", "p", "0.005", "0", "-128"));
    check_agrees("input x: f32[?,3,7,7]\n const axes: i64[2] = {2, 3}\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "p = ReduceMean(q, axes) [keepdims=0]\n" FQ("y", "p", "0.005", "0", "-128"));
    check_agrees("input x: f32[?,3,8]\n const axes: i64[1] = {1}\n" FQ(
        "q", "x", "0.02", "4", "-128") "p = ReduceMean(q, axes)\n" FQ("y", "p", "0.01", "0",
                                                                      "-128"));
}

TEST(maximum_pools_keep_the_codes)
{
    check_agrees("input x: f32[?,3,7,7]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "p = MaxPool(q) [kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]]\n"
                "z = Neg(p)");
}

/* ---- additions ---- */

TEST(operands_of_one_scale_are_added_as_they_are)
{
    const char *text = "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
        FQ("q", "b", "0.02", "-9", "-128") "s = Add(p, q)\n" FQ("y", "s", "0.03", "0", "-128");
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Mul"), 0);
    release(&p);
}

TEST(operands_of_different_scales_are_brought_together)
{
    check_agrees("input a: f32[?,80]\n input b: f32[?,80]\n" FQ("p", "a", "0.0213", "4", "-128")
                     FQ("q", "b", "0.0347", "0",
                        "0") "s = Add(p, q)\n r = Relu(s)\n" FQ("y", "r", "0.03", "0", "0"));
    check_agrees("input a: f32[?,80]\n input b: f32[?,80]\n" FQ("p", "a", "0.0213", "4", "-128") FQ(
        "q", "b", "0.0347", "0", "0") "s = Sub(p, q)\n" FQ("y", "s", "0.03", "0", "-128"));
}

TEST(scales_too_far_apart_are_refused)
{
    check_refused("input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "0", "-128")
                      FQ("q", "b", "20000000", "0", "-128") "s = Add(p, q)\n" FQ("y", "s", "0.03",
                                                                                 "0", "-128"),
                  "node 's' (Add): cannot integerise 's' (Add)");
}

TEST(a_tree_of_additions_has_no_requantisation_inside)
{
    const char *text = "input a: f32[?,8]\n" FQ(
        "p", "a", "0.02", "0", "-128") "s = Add(p, p)\n t = Add(s, p)\n" FQ("y", "t", "0.05", "0",
                                                                            "-128");
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 1);
    release(&p);
}

/* ---- joining and moving ---- */

TEST(parts_of_one_grid_are_joined_as_they_are)
{
    const char *text = "input a: f32[?,4]\n input b: f32[?,6]\n" FQ("p", "a", "0.02", "4", "-128")
        FQ("q", "b", "0.02", "4", "-128") "c = Concat(p, q) [axis=1]\n" FQ("y", "c", "0.02", "4",
                                                                           "-128");
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 0);
    release(&p);
}

TEST(parts_of_different_grids_are_brought_onto_one)
{
    check_agrees("input a: f32[?,40]\n input b: f32[?,60]\n" FQ("p", "a", "0.02", "4", "-128")
                     FQ("q", "b", "0.03", "100",
                        "0") "c = Concat(p, q) [axis=1]\n" FQ("y", "c", "0.025", "4", "-128"));
}

TEST(movement_keeps_codes)
{
    check_agrees("input x: f32[?,4,6]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "const perm: i64[3] = {0, -1, 2}\n const axes: i64[1] = {1}\n"
                "t = Transpose(q) [perm=[0,2,1]]\n r = Reshape(t, perm)\n f = "
                "Flatten(r)\n u = Unsqueeze(f, axes)\n s = Squeeze(u, axes)\n"
                "a, b = Split(s) [axis=1, num_outputs=2]\n c = Concat(b, a) "
                "[axis=1]\n z = Neg(c)");
}

TEST(padding_by_pad_writes_the_zero_point)
{
    check_agrees("input x: f32[?,2,4]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "const pads: i64[6] = {0,0,1,0,0,2}\n p = Pad(q, pads)\n z = Neg(p)");
}

TEST(slices_and_gathers_keep_codes)
{
    check_agrees("input x: f32[?,4,6]\n" FQ(
        "q", "x", "0.02", "4", "-128") "const a: i64[1] = 1 const b: i64[1] = 6 const axis: i64[1] "
                                       "= 2 const step: i64[1] = 2\n"
                                       "s = Slice(q, a, b, axis, step)\n const i: i64[3] = {3, 0, "
                                       "-1}\n g = Gather(s, i) [axis=1]\n");
}

TEST(larger_and_smaller_of_two_compare_codes)
{
    check_agrees("input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
                     FQ("q", "b", "0.02", "4", "-128") "m = Max(p, q)\n n = Min(p, m)\n" FQ(
                         "y", "n", "0.03", "0", "-128"));
    check_refused(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "4", "-128") "m = Max(p, q)\n" FQ("y", "m", "0.03", "0", "-128"),
        "operands need one equal scale");
}

/* A bound waits for the next quantiser, through what keeps the order of codes; what does arithmetic
 * cannot wait. */
TEST(a_bound_waits_for_the_next_quantiser)
{
    const char *relu =
        X WEIGHT("w", "f32[4,3,3,3]", "1", "0.01", "-1") "c = Conv(q, w)\n r = Relu(c)\n";
    char text[3000];
    snprintf(text, sizeof text, "%sm = MaxPool(r) [kernel_shape=[2,2]]\n%s", relu,
             FQ("y", "m", "0.02", "0", "0"));
    check_agrees(text);
    snprintf(text, sizeof text, "%sm = AveragePool(r) [kernel_shape=[2,2]]\n%s", relu,
             FQ("y", "m", "0.02", "0", "0"));
    check_refused(text, "a clip on input 'r' is not requantised yet; put a FakeQuantize on it");
}

TEST(bounds_that_do_not_start_at_zero_are_kept)
{
    check_agrees(
        X W
        "const lo: f32[] = -0.7 const hi: f32[] = 1.3\n c = Conv(q, w)\n r = Clip(c, lo, hi)\n" FQ(
            "y", "r", "0.02", "10", "-128"));
    check_agrees(
        X W
        "const lo: f32[] = -0.7 const hi: f32[] = 1.3\n c = Conv(q, w)\n r = Clip(c, lo, hi)\n");
}

/* ---- products ---- */

TEST(a_squeeze_and_excite_block_works)
{
    check_agrees(
        "input x: f32[?,4,5,5]\n" FQ("q", "x", "0.02", "0", "-128") "p = GlobalAveragePool(q)\n" FQ(
            "pq", "p", "0.005", "0", "-128")
            WEIGHT("w", "f32[4,4,1,1]", "4", "0.01", "0") "c = Conv(pq, w)\n" FQ(
                "cq", "c", "0.01", "0",
                "-128") "s = HardSigmoid(cq)\n" FQ("sq", "s", "0.00392", "0",
                                                   "0") "m = Mul(q, sq)\n" FQ("y", "m", "0.01", "0",
                                                                              "-128"));
}

TEST(constant_factors_go_into_the_scale)
{
    const char *text = "input x: f32[?,4,5]\n" FQ(
        "q", "x", "0.02", "3",
        "-128") "const k: f32[] = 0.25 const m: f32[4,1] = {1, -2, 0.5, 3}\n"
                "a = Mul(q, k)\n b = Div(a, k)\n c = Mul(b, m)\n d = Sub(c, m)\n" FQ(
                    "y", "d", "0.03", "0", "-128");
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Mul") + check_count(p.integer, "Div"), 0);
    release(&p);
}

TEST(a_division_by_an_activation_is_refused)
{
    check_refused(
        "input a: f32[?,8]\n input b: f32[?,8]\n" FQ("p", "a", "0.02", "0", "-128")
            FQ("q", "b", "0.02", "0", "-128") "s = Div(p, q)\n" FQ("y", "s", "0.03", "0", "-128"),
        "a division by a computed value has no integer form");
}

/* ---- borders ---- */

/* Per-channel output scales before an argmax are a trap: logits must be on one scale. */
TEST(a_head_with_a_scale_per_channel_ends_on_one_scale)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "5", "{0.01, 0.002, 0.03, 0.008, 0.007}",
               "0") "const b: f32[5] = random(1)\n y = Gemm(q, w, b) [transB=1]";
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(tq_value_type(tq_graph_output(p.integer, 0))->dtype, TQ_I32);
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "y");
    release(&p);
}

TEST(a_head_with_one_scale_ends_with_an_int32_bias)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "1", "0.01",
               "-1") "const b: f32[5] = random(1)\n y = Gemm(q, w, b) [transB=1]";
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Requant"), 0);
    CHECK_EQ(check_count(p.integer, "Add"), 1);
    release(&p);
}

TEST(a_head_without_bias_ends_with_its_sums)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128")
        WEIGHT("w", "f32[5,12]", "1", "0.01", "-1") "y = Gemm(q, w) [transB=1]";
    check_agrees(text);
    pair p = convert(text);
    CHECK_EQ(tq_graph_n_nodes(p.integer), 1);
    release(&p);
}

TEST(a_head_that_only_adds_a_bias_per_channel_keeps_it)
{
    check_agrees("input x: f32[?,5]\n" FQ(
        "q", "x", "0.01", "4", "-128") "const b: f32[5] = {1, -1, 0.5, 0.25, 2}\n y = Add(q, b)");
    check_agrees("input x: f32[?,5]\n" FQ("q", "x", "0.01", "4",
                                          "-128") "const b: f32[] = 0.5\n y = Add(q, b)");
}

TEST(the_last_softmax_goes)
{
    const char *text = "input x: f32[?,12]\n" FQ("q", "x", "0.01", "0", "-128") WEIGHT(
        "w", "f32[5,12]", "1", "0.01", "-1") "y = Gemm(q, w) [transB=1]\n p = Softmax(y) [axis=1]";
    pair p = convert(text);
    CHECK_EQ(check_count(p.integer, "Softmax"), 0);
    CHECK_EQ(tq_graph_n_nodes(p.integer), 1);
    release(&p);
}

TEST(an_activation_may_be_an_output)
{
    check_agrees(X W "c = Conv(q, w)\n r = Relu(c)\n" FQ(
        "y", "r", "0.02", "0", "0") "z = MaxPool(y) [kernel_shape=[2,2]]\n output r\n output z");
    check_agrees(X W "c = Conv(q, w)\n r = Relu(c)\n" FQ(
        "y", "r", "0.02", "0", "0") "z = MaxPool(y) [kernel_shape=[2,2]]\n output y\n output z");
}

TEST(an_activation_may_have_many_readers)
{
    check_agrees(
        X W WEIGHT("v", "f32[2,4,1,1]", "2", "0.01", "0") "c = Conv(q, w)\n r = Relu(c)\n" FQ(
            "y", "r", "0.02", "0",
            "0") "d = Conv(y, v)\n e = Conv(y, v) [strides=[2,2]]\n m = MaxPool(y) "
                 "[kernel_shape=[2,2]]\n" FQ("dq", "d", "0.01", "0", "-128")
                     FQ("eq", "e", "0.02", "0", "-128") "o = Neg(dq)\n p = Neg(eq)\n");
}

TEST(several_inputs_and_outputs_keep_order_and_names)
{
    pair p = convert(
        "input a: f32[?,4]\n input b: f32[?,4]\n" FQ("p", "a", "0.02", "4", "-128")
            FQ("q", "b", "0.03", "0", "0") "s = Add(p, q)\n" FQ(
                "y", "s", "0.04", "0", "-128") "o2 = Neg(y)\n o1 = Neg(p)\n output o2\n output o1");
    CHECK_STR(tq_value_name(tq_graph_input(p.integer, 0)), "a");
    CHECK_STR(tq_value_name(tq_graph_input(p.integer, 1)), "b");
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 0))->dtype, TQ_I8);
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 1))->dtype, TQ_U8);
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "o2");
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 1)), "o1");
    release(&p);
}

TEST(an_input_may_go_straight_out)
{
    const char *text =
        "input x: f32[?,4]\n" FQ("q", "x", "0.02", "4", "-128") "z = Identity(q)\n output z";
    check_agrees_but(text, 1); /* q takes the name of the output */
    pair p = convert(text);
    CHECK_STR(tq_node_op_name(tq_graph_first(p.integer)), "Identity");
    CHECK_STR(tq_value_name(tq_graph_output(p.integer, 0)), "z");
    release(&p);
}

TEST(what_nothing_needs_is_not_converted_but_its_input_is)
{
    pair p = convert("input a: f32[?,4]\n input b: f32[?,4]\n" FQ("p", "a", "0.02", "4", "-128") FQ(
        "q", "b", "0.03", "0", "0") "s = Softmax(q)\n t = Neg(s)\n y = Neg(p)\n output y");
    double scale;
    CHECK_EQ(tq_value_type(tq_graph_input(p.integer, 1))->dtype, TQ_U8);
    CHECK(tq_value_meta_f64(tq_graph_input(p.integer, 1), "quant.scale", &scale));
    release(&p);
}

TEST(one_value_may_be_two_outputs)
{
    pair p = convert(
        "input x: f32[?,4]\n" FQ("q", "x", "0.02", "4", "-128") "z = Neg(q)\n output z\n output z");
    CHECK_EQ(tq_graph_n_outputs(p.integer), 2);
    release(&p);
}

TEST(the_grid_of_an_input_is_stored_with_it)
{
    pair p = convert("input x: f32[?,4]\n const s: f32[1] = 0.5 const z: f32[1] = 3\n"
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
    release(&p);
}

/* ---- refusals ---- */

TEST(a_quantiser_that_was_never_observed_is_named)
{
    check_refused("input x: f32[?,4]\n const s: f32[1] = nan const z: f32[1] = nan\n q = "
                  "FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n y = Neg(q)",
                  "quantizer 'q' was never observed; run 'truq calibrate' first");
}

TEST(an_input_without_quantiser_is_named)
{
    check_refused("input x: f32[?,4]\n y = Neg(x)", "input 'x' has no FakeQuantize");
}

TEST(a_float_operator_without_integer_form_is_named)
{
    check_refused("input x: f32[?,4]\n" FQ("q", "x", "0.02", "0",
                                           "-128") "r = Softmax(q) [axis=1]\n y = Neg(r)",
                  "'r' (Softmax)");
}

/* Ties of half-even and half-up differ: what an add and a shift cannot compute is refused unless
 * forced. */
TEST(rounding_that_a_shift_cannot_do_is_refused)
{
    const char *text = X W "c = Conv(q, w)\n const s: f32[1] = 0.02 const z: f32[1] = 0\n"
                           "y = FakeQuantize(c, s, z) [quantizer=\"fixed\", q_min=-128, "
                           "rounding=\"half-even\"]\n o = Neg(y)";
    check_refused(text, "cannot round 'half-even'");
    tq_graph *graph = check_graph(text);
    const tq_true_options options = { .fixed_shift = -1,
                                      .force_half_up = true,
                                      .limits = road_limits("generic") };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    CHECK_OK(tq_pipeline_run(check_registry(), "f2t", &graph, &edit));
    tq_graph_destroy(graph);
}

TEST(floors_are_kept)
{
    check_agrees(X W "c = Conv(q, w)\n const s: f32[1] = 0.02 const z: f32[1] = 0\n"
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
