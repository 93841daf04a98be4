/* Reorderings: the graph they leave, and that they keep what the network computes: bit for bit, or
 * within the bound that they state. */
#include "road.h"

static const tq_editor *editor(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, name, &entry));
    return (const tq_editor *)(const void *)entry;
}

static int apply(const char *name, tq_graph *graph)
{
    int n;
    CHECK_OK(tq_editor_apply(editor(name), graph, NULL, &n));
    return n;
}

/* The largest difference of what two networks make of one random input. */
static double difference(const tq_graph *a, const tq_graph *b, const tq_tensor *x)
{
    tq_tensor y = check_run(a, x), z = check_run(b, x);
    double max = 0;
    CHECK(tq_type_equal(&y.type, &z.type));
    for (int64_t i = 0; i < tq_tensor_count(&y); i++)
        max = fmax(max, fabs(tq_load_f64(y.data, y.type.dtype, i) - tq_load_f64(z.data, z.type.dtype, i)));
    tq_tensor_reset(&y);
    tq_tensor_reset(&z);
    return max;
}

/* Applies the editor to the network in text form: so many edits, so many nodes `op` then, and the result on random
 * numbers in [-3, 3] is at most `bound` away. */
static void check_editor(const char *name, const char *text, int n_edits, const char *op, int n_op, double bound)
{
    tq_graph *before = check_graph(text), *after = check_graph(text);
    CHECK_EQ(apply(name, after), n_edits);
    CHECK_EQ(check_count(after, op), n_op);
    const tq_type *type = tq_value_type(tq_graph_input(before, 0));
    tq_tensor x = check_random_f32(type->rank, type->dims, 7, -3, 3);
    CHECK_NEAR(difference(before, after, &x), 0.0, bound);
    tq_tensor_reset(&x);
    tq_graph_destroy(before);
    tq_graph_destroy(after);
}

#define POOL "[kernel_shape=[2,2], strides=[2,2]]"

static bool runs_before(const char *name, const char *text, const char *first, const char *second)
{
    tq_graph *graph = check_graph(text);
    apply(name, graph);
    const tq_node *node = tq_graph_first(graph);
    while (!tq_node_is(node, first) && !tq_node_is(node, second))
        node = tq_node_next(node);
    const bool is_first = tq_node_is(node, first);
    tq_graph_destroy(graph);
    return is_first;
}

TEST(a_pool_moves_in_front_of_activations)
{
    const char *relu = "input x: f32[1,2,4,4]  a = Relu(x)  y = MaxPool(a) " POOL;
    const char *clip = "input x: f32[1,2,4,4]  const lo: f32[] = 0  const hi: f32[] = 1  a = Clip(x, lo, hi)"
                       " y = MaxPool(a) " POOL;
    const char *leaky = "input x: f32[1,2,4,4]  a = LeakyRelu(x) [alpha=0.25]  y = MaxPool(a) " POOL;
    check_editor("pool-before-activation", relu, 1, "Relu", 1, 0);
    check_editor("pool-before-activation", clip, 1, "Clip", 1, 0);
    check_editor("pool-before-activation", leaky, 1, "LeakyRelu", 1, 0);
    CHECK(runs_before("pool-before-activation", clip, "MaxPool", "Clip"));
}

TEST(activations_move_in_front_of_a_pool)
{
    const char *clip = "input x: f32[1,2,4,4]  const lo: f32[] = 0  const hi: f32[] = 1"
                       " p = MaxPool(x) " POOL "  y = Clip(p, lo, hi)";
    check_editor("activation-before-pool", clip, 1, "Clip", 1, 0);
    CHECK(runs_before("activation-before-pool", clip, "Clip", "MaxPool"));
}

TEST(a_falling_activation_stays)
{
    check_editor("pool-before-activation",
                 "input x: f32[1,2,4,4]  a = LeakyRelu(x) [alpha=-0.25]  y = MaxPool(a) " POOL, 0, "LeakyRelu", 1, 0);
}

TEST(an_activation_that_others_read_stays)
{
    check_editor("pool-before-activation",
                 "input x: f32[1,2,4,4]  a = Relu(x)  y = MaxPool(a) " POOL "  z = Neg(a)  output y  output z", 0,
                 "Relu", 1, 0);
}

TEST(the_swap_keeps_names_and_undoes_itself)
{
    tq_graph *graph = check_graph("input x: f32[1,2,4,4]  a = Relu(x) \"act\"  y = MaxPool(a) " POOL " \"pool\"");
    char *before = tq_graph_print(graph, -1);
    CHECK_EQ(apply("pool-before-activation", graph), 1);
    CHECK_EQ(apply("activation-before-pool", graph), 1);
    char *after = tq_graph_print(graph, -1);
    CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(graph);
}

TEST(a_leaky_relu_is_a_maximum)
{
    check_editor("leaky-relu-as-max", "input x: f32[3,50]  y = LeakyRelu(x) [alpha=0.3]", 1, "Max", 1, 0);
    check_editor("leaky-relu-as-max", "input x: f32[3,50]  y = LeakyRelu(x) [alpha=-0.3]", 1, "Max", 1, 0);
    check_editor("leaky-relu-as-max", "input x: f32[3,50]  y = LeakyRelu(x) [alpha=1.5]", 0, "Max", 0, 0);
}

/* (2 k + 2) 2^-24 mean |x|, and |x| <= 3. */
static double pool_bound(int k)
{
    return (2 * k + 2) * 3.0 / 16777216;
}

TEST(an_average_pool_is_a_depthwise_convolution)
{
    check_editor("average-pool-as-conv", "input x: f32[2,3,6,6]  y = AveragePool(x) [kernel_shape=[3,2], strides=[2,1]]",
                 1, "Conv", 1, pool_bound(6));
    check_editor("average-pool-as-conv",
                 "input x: f32[2,3,6,6]  y = AveragePool(x) [kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1]", 1,
                 "Conv", 1, pool_bound(9));
    check_editor("average-pool-as-conv", "input x: f32[2,3,5,4]  y = GlobalAveragePool(x)", 1, "Conv", 1, pool_bound(20));
}

TEST(averages_over_what_padding_leaves_stay)
{
    check_editor("average-pool-as-conv", "input x: f32[2,3,6,6]  y = AveragePool(x) [kernel_shape=[3,3], pads=[1,1,1,1]]",
                 0, "Conv", 0, 0);
    check_editor("average-pool-as-conv", "input x: f32[2,3,6,6]  y = AveragePool(x) [kernel_shape=[4,4], strides=[4,4],"
                                         " ceil_mode=1]",
                 0, "Conv", 0, 0);
}

TEST(a_mean_over_height_and_width_is_a_pool)
{
    check_editor("mean-as-pool", "input x: f32[2,3,5,4]  const a: i64[2] = {2, 3}  y = ReduceMean(x, a)", 1,
                 "GlobalAveragePool", 1, pool_bound(20));
    check_editor("mean-as-pool", "input x: f32[2,3,5,4]  const a: i64[2] = {-1, -2}  y = ReduceMean(x, a) [keepdims=0]", 1,
                 "GlobalAveragePool", 1, pool_bound(20));
    check_editor("mean-as-pool", "input x: f32[2,3,5,4]  const a: i64[2] = {1, 2}  y = ReduceMean(x, a)", 0,
                 "GlobalAveragePool", 0, 0);
}

/* n 2^-24 sum |x w| for n products, |x| <= 3, |w| <= 1. */
TEST(a_convolution_is_split_in_parts_of_its_channels)
{
    const char *text = "input x: f32[1,7,6,6]  const w: f32[4,7,3,3] = random(1)  const b: f32[4] = random(2)"
                       " y = Conv(x, w, b) [pads=[1,1,1,1]]";
    check_editor("split-depth", text, 1, "Conv", 2, 63 * 63 * 3.0 / 16777216);
}

TEST(metadata_say_how_many_parts)
{
    const char *text = "meta \"split-depth.channels\" = \"2\"  input x: f32[1,7,6,6]  const w: f32[4,7,3,3] = random(1)"
                       " y = Conv(x, w)";
    check_editor("split-depth", text, 1, "Conv", 4, 63 * 63 * 3.0 / 16777216);
    check_editor("split-depth",
                 "meta \"split-depth.parts\" = \"3\"  input x: f32[1,7,6,6]  const w: f32[4,7,3,3] = random(1)"
                 " y = Conv(x, w)",
                 1, "Add", 2, 63 * 63 * 3.0 / 16777216);
}

TEST(a_grouped_convolution_is_not_split)
{
    check_editor("split-depth", "input x: f32[1,8,6,6]  const w: f32[8,1,3,3] = random(1)  y = Conv(x, w) [group=8]", 0,
                 "Conv", 1, 0);
}

/* ---- on integer networks ---- */

static tq_graph *true_network(void)
{
    tq_graph *graph = road_build("resnet8", 0.5, 3, 16, 16);
    road_fake(&graph, "pact8");
    road_true(&graph, "generic");
    return graph;
}

/* Codes stay the same, and the network is still proven. Returns the number of edits. */
static int check_true(const char *name, const char *setting)
{
    tq_graph *before = true_network(), *after = tq_graph_clone(before);
    if (setting)
        tq_graph_set_meta(after, "split-depth.channels", setting);
    const int n = apply(name, after);
    tq_tensor x = road_codes(before, 2, 5);
    CHECK_NEAR(difference(before, after, &x), 0.0, 0.0);
    const tq_edit edit = { .registry = check_registry() };
    CHECK_OK(tq_editor_apply(editor("prove"), after, &edit, NULL));
    tq_tensor_reset(&x);
    tq_graph_destroy(before);
    tq_graph_destroy(after);
    return n;
}

TEST(integer_convolutions_split_bit_exactly)
{
    CHECK(check_true("split-depth", "3") > 3);
}

TEST(biases_leave_requantisations_bit_exactly)
{
    CHECK(check_true("bias-out-of-requant", NULL) > 3);
}

TEST(biases_go_into_requantisations_bit_exactly)
{
    tq_graph *before = true_network();
    apply("bias-out-of-requant", before);
    const int n_adds = check_count(before, "Add");
    tq_graph *after = tq_graph_clone(before);
    const int n = apply("bias-into-requant", after);
    CHECK(n > 3);
    CHECK_EQ(check_count(after, "Add"), n_adds - n);
    tq_tensor x = road_codes(before, 2, 5);
    CHECK_NEAR(difference(before, after, &x), 0.0, 0.0);
    tq_tensor_reset(&x);
    tq_graph_destroy(before);
    tq_graph_destroy(after);
}

TEST(a_bias_along_another_axis_stays)
{
    tq_graph *graph = check_graph("input x: i32[1,3,2,3]  const b: i32[3] = {1,2,3}  const m: i32[3] = 1  const a: i64[3] = 0"
                                  " s = Add(x, b)  y = Requant(s, m, a) [shift=2, q_min=0, q_max=255]");
    CHECK_EQ(apply("bias-into-requant", graph), 0);
    tq_graph_destroy(graph);
}

TEST(each_says_what_it_costs)
{
    const char *const names[] = { "pool-before-activation", "activation-before-pool", "leaky-relu-as-max",
                                  "average-pool-as-conv",   "mean-as-pool",           "bias-into-requant",
                                  "bias-out-of-requant",    "split-depth" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const tq_editor *e = editor(names[i]);
        CHECK(e->by_name);
        CHECK(strstr(e->entry.brief, "bit-exact") || strstr(e->entry.brief, "within"));
    }
}
