/* Quantisers on slots: correlation, bias and sum of linear operators, ends of chosen operators,
 * scales of powers of two, shared grids; and that integers compute what they say. */
#include "edits.h"

/* A recipe from text. */
static const char *recipe_file(const char *text)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/slots.yaml", check_folder());
    FILE *file = fopen(path, "w");
    CHECK(file);
    fputs(text, file);
    fclose(file);
    return path;
}

typedef struct sink {
    char text[8192];
} sink;

static void log_line(void *context, const char *line)
{
    sink *s = context;
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s\n", line);
}

static tq_status f2f(tq_graph **graph, const char *recipe_text, sink *out_log)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(), recipe_file(recipe_text), arena, &recipe));
    const tq_edit edit = { .registry = check_registry(),
                           .recipe = recipe,
                           .log = out_log ? log_line : NULL,
                           .context = out_log };
    const tq_status status = tq_pipeline_run(check_registry(), recipe->pipeline, graph, &edit);
    tq_arena_destroy(arena);
    return status;
}

static tq_graph *fake_of(const char *text, const char *recipe)
{
    tq_graph *graph = check_graph(text);
    CHECK_OK(f2f(&graph, recipe, NULL));
    return graph;
}

static const tq_node *quantizer_of(const tq_graph *graph, const char *value)
{
    const tq_value *v = tq_graph_find_value(graph, value);
    CHECK_EQ(v != NULL, true, "(no value '%s')", value);
    for (int i = 0; i < tq_value_n_consumers(v); i++)
        if (tq_node_is(tq_value_consumer(v, i), "FakeQuantize"))
            return tq_value_consumer(v, i);
    return NULL;
}

static void check_slot(const tq_graph *graph, const char *value, const char *slot, int64_t n_levels)
{
    const tq_node *fake = quantizer_of(graph, value);
    CHECK_EQ(fake != NULL, true, "('%s' has no quantiser)", value);
    CHECK_STR(tq_attr_string(tq_node_attrs(fake), "slot"), slot);
    CHECK_EQ(tq_attr_int(tq_node_attrs(fake), "n_levels"), n_levels, "('%s')", value);
}

#define RULES "base: pact8\npipeline: f2f-folded\nfuse_activations: false\nrules:\n"
#define SPLIT                                                                                      \
    "  - {slot: [correlation, bias], range: 'bitwidth:16,signed:true'}\n  - {slot: sum, range: "   \
    "i8}\n"
#define NET                                                                                        \
    "input x: f32[?,2,4,4]\nconst w: f32[3,2,3,3] = random(1) const b: f32[3] = random(2)\n"       \
    "c = Conv(x, w, b) [pads=[1,1,1,1]]\n r = Relu(c)\nconst v: f32[4,3,1,1] = random(3)\n"        \
    "d = Conv(r, v)\n"

TEST(a_convolution_is_split_into_correlation_bias_and_sum)
{
    tq_graph *graph = fake_of(NET, RULES SPLIT);
    check_slot(graph, "c.correlation", "correlation", 65536);
    check_slot(graph, "b", "bias", 65536);
    check_slot(graph, "c", "sum", 256);
    check_slot(graph, "r", "activation", 256);
    CHECK_EQ(tq_node_input(tq_value_producer(tq_graph_find_value(graph, "c.correlation")), 2) ==
                 NULL,
             true, "(the convolution has no bias any more)");
    tq_graph_destroy(graph);
}

TEST(without_a_bias_the_sum_is_the_correlation)
{
    tq_graph *graph = fake_of(NET, RULES SPLIT);
    const tq_value *output = tq_graph_output(graph, 0);
    CHECK_STR(tq_value_name(output), "d");
    CHECK_STR(tq_attr_string(tq_node_attrs(tq_value_producer(output)), "slot"), "sum");
    CHECK_EQ(check_count(graph, "Add"), 1);
    tq_graph_destroy(graph);
}

TEST(a_second_run_adds_nothing)
{
    tq_graph *graph = fake_of(NET, RULES SPLIT);
    char *before = tq_graph_print(graph, -1);
    CHECK_OK(f2f(&graph, RULES SPLIT, NULL));
    char *after = tq_graph_print(graph, -1);
    CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(graph);
}

TEST(a_sum_that_a_quantised_activation_reads_can_be_left_to_it)
{
    tq_graph *graph = fake_of(NET, "base: pact8\nfuse_activations: true\nrules:\n" SPLIT);
    CHECK(!quantizer_of(graph, "c"));
    check_slot(graph, "c.correlation", "correlation", 65536);
    tq_graph_destroy(graph);
}

TEST(a_bias_in_a_batch_norm_or_behind_a_product_stays_there)
{
    tq_graph *graph = fake_of(
        "input x: f32[?,2,4,4]\nconst w: f32[3,2,1,1] = random(1) const k: f32[3] = 1\n"
        "c = Conv(x, w)  n = BatchNormalization(c, k, k, k, k)\n r = Relu(n)\n f = Flatten(r)\n"
        "const v: f32[48,5] = random(3) const b: f32[5] = random(2)\nm = MatMul(f, v) y = Add(m, "
        "b)\n",
        "base: pact8\nfuse_activations: false\nrules:\n" SPLIT);
    check_slot(graph, "c", "correlation", 65536);
    check_slot(graph, "n", "sum", 256);
    check_slot(graph, "m", "correlation", 65536);
    check_slot(graph, "b", "bias", 65536);
    CHECK_EQ(check_count(graph, "BatchNormalization"), 1);
    CHECK_EQ(check_count(graph, "Add"), 1);
    tq_graph_destroy(graph);
}

TEST(a_bias_that_two_operators_read_is_refused_by_name)
{
    tq_graph *graph = check_graph(
        "input x: f32[?,2,4,4]\nconst w: f32[3,2,1,1] = random(1) const b: f32[3] = random(2)\n"
        "c = Conv(x, w, b)  d = Conv(x, w, b)");
    CHECK_FAILS(f2f(&graph, RULES SPLIT, NULL), TQ_ERR_UNSUPPORTED, "its bias 'b' is read 2 times");
    tq_graph_destroy(graph);
}

TEST(ends_of_chosen_operators_have_quantisers_of_their_own)
{
    tq_graph *graph = fake_of(
        NET,
        "base: pact8\nrules:\n  - {slot: input, filter: {types: [Relu]}, range: i4}\n"
        "  - {slot: output, filter: {types: [Relu]}, range: u4}\n  - {slot: output, range: i16}\n");
    const tq_node *relu = tq_value_producer(tq_graph_find_value(graph, "r"));
    const tq_node *before = tq_value_producer(tq_node_input(relu, 0));
    CHECK_EQ(tq_attr_int(tq_node_attrs(before), "n_levels"), 16);
    check_slot(graph, "r", "output", 16);
    check_slot(graph, "x", "input", 256);
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "d");
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_value_producer(tq_graph_output(graph, 0))), "n_levels"),
             65536);
    tq_graph_destroy(graph);
}

/* ---- shared grids ---- */

#define BRANCHES                                                                                   \
    "input x: f32[?,2,4,4]\nconst w: f32[3,2,1,1] = random(1) const v: f32[3,2,1,1] = random(2)\n" \
    "a = Conv(x, w)  p = Relu(a)\n b = Conv(x, v)  q = Relu(b)\n"
#define POOLS "s = MaxPool(p) [kernel_shape=[2,2]]\n t = MaxPool(q) [kernel_shape=[2,2]]\n"

static bool share(const tq_graph *graph, const char *a, const char *b)
{
    return tq_node_input(quantizer_of(graph, a), 1) == tq_node_input(quantizer_of(graph, b), 1);
}

TEST(operands_of_a_concatenation_share_a_grid)
{
    const char *text = BRANCHES "y = Concat(p, q) [axis=1]\n z = Relu(y)";
    tq_graph *graph = fake_of(text, "base: pact8\nrules:\n  - {slot: activation, range: u8}\n");
    CHECK(!share(graph, "p", "q"));
    tq_graph_destroy(graph);
    graph = fake_of(text, "base: pact8\nrules:\n  - {slot: activation, range: u8, share: concat}\n"
                          "  - {slot: concat, range: u8, share: concat}\n");
    CHECK(share(graph, "p", "q"));
    CHECK(share(graph, "p", "y"));
    tq_graph_destroy(graph);
}

TEST(what_meets_in_an_addition_shares_its_grid)
{
    tq_graph *graph =
        fake_of("input x: f32[?,2,4,4]\nconst w: f32[2,2,1,1] = random(1) const b: f32[2] = 1\n"
                "a = Conv(x, w, b)  y = Add(a, x)  z = Relu(y)",
                RULES "  - {slot: sum, range: i8, share: add}\n");
    CHECK(share(graph, "a", "y"));
    const tq_value *after = tq_node_output(quantizer_of(graph, "a"), 0);
    CHECK_EQ(tq_node_is(tq_value_consumer(after, 0), "Add"), true, "(no second quantiser)");
    tq_graph_destroy(graph);
}

TEST(what_meets_but_differs_stays_apart_and_the_log_says_so)
{
    tq_graph *graph = check_graph(BRANCHES "y = Concat(p, q) [axis=1]\n z = Relu(y)");
    sink log = { "" };
    CHECK_OK(f2f(&graph,
                 "base: pact8\nrules:\n  - {slot: activation, range: u8, share: concat}\n"
                 "  - {slot: activation, filter: {regex: '^q$'}, range: u4, share: concat}\n",
                 &log));
    CHECK(!share(graph, "p", "q"));
    CHECK(strstr(log.text, "meet in 'y' but differ in n_levels"));
    tq_graph_destroy(graph);
}

TEST(a_word_or_a_list_of_names_makes_a_group)
{
    tq_graph *graph = fake_of(
        BRANCHES POOLS, "base: pact8\nrules:\n  - {slot: activation, range: u8, share: heads}\n");
    CHECK(share(graph, "p", "q"));
    tq_graph_destroy(graph);
    graph = fake_of(BRANCHES POOLS, "base: pact8\nmerge: [[p, q.fq]]\nrules: []\n");
    CHECK(share(graph, "p", "q"));
    tq_graph_destroy(graph);
}

TEST(a_group_that_cannot_be_stops_by_name)
{
    tq_graph *graph = check_graph(BRANCHES POOLS);
    CHECK_FAILS(f2f(&graph, "base: pact8\nmerge: [[p, x]]\nrules: []\n", NULL), TQ_ERR_VALUE,
                "merge: 'p.fq' and 'x.fq' cannot share a grid, they differ in quantizer");
    CHECK_FAILS(f2f(&graph, "base: pact8\nmerge: [[p, nosuch]]\nrules: []\n", NULL),
                TQ_ERR_NOT_FOUND, "no node and no value 'nosuch'");
    CHECK_FAILS(f2f(&graph, "base: pact8\nmerge: [[p, a]]\nrules: []\n", NULL), TQ_ERR_VALUE,
                "'a' has no quantiser");
    tq_graph_destroy(graph);
}

TEST(a_shared_grid_covers_what_all_of_them_saw)
{
    tq_graph *graph = check_graph(
        "input x: f32[?,2,4,4]\nconst w: f32[1,2,1,1] = {1.0, 0.0} const v: f32[1,2,1,1] = "
        "{0.0, 10.0}\na = Conv(x, w) p = Relu(a)\n b = Conv(x, v)  q = Relu(b)\n" POOLS);
    CHECK_OK(f2f(
        &graph, "base: pact8\nmerge: [[p, q]]\nrules:\n  - {slot: activation, range: u8}\n", NULL));
    tq_dataset *data = road_random_data(graph, 8, 3);
    CHECK_OK(tq_calibrate(graph, &(tq_calibrate_options){
                                     .registry = check_registry(), .data = data, .n_threads = 1 }));
    tq_dataset_close(data);
    const tq_tensor *hi = tq_value_tensor(tq_node_input(quantizer_of(graph, "p"), 2));
    CHECK_NEAR(tq_load_f64(hi->data, TQ_F32, 0), 10, 0.6);
    tq_graph_destroy(graph);
}

/* ---- integers ---- */

static void check_integers(const char *recipe_text, const char *zoo)
{
    tq_graph *fake = road_build(zoo, 0.5, 3, 16, 16);
    road_fake(&fake, recipe_file(recipe_text));
    tq_graph *integer = tq_graph_clone(fake);
    road_true(&integer, "generic");
    const road_agreement a = road_compare(fake, integer, 2, 7);
    CHECK_EQ(a.n_matched >= a.n_quantizers * 9 / 10, true, "(%d of %d quantisers matched)",
             a.n_matched, a.n_quantizers);
    CHECK_EQ(a.n_different * 200 <= a.n_elements, true, "(%d of %d differ)", (int)a.n_different,
             (int)a.n_elements);
    tq_graph_destroy(integer);
    tq_graph_destroy(fake);
}

TEST(slots_of_8_16_16_8_bits_become_integers)
{
    check_integers(RULES SPLIT, "resnet8");
}

TEST(scales_of_powers_of_two_become_integers)
{
    check_integers(
        "base: pact8\npipeline: f2f-folded\nrules:\n"
        "  - {slot: weight, range: i8, scale: power-of-two, granularity: per-tensor}\n"
        "  - {slot: [correlation, bias], range: 'bitwidth:16,signed:true', scale: power-of-two}\n"
        "  - {slot: [sum, add, pool, input], range: i8, scale: power-of-two}\n"
        "  - {slot: activation, range: u8, scale: power-of-two}\n",
        "resnet8");
}

TEST(a_correlation_in_16_bits_before_a_batch_norm_becomes_integers)
{
    check_integers("base: pact8\nfuse_activations: false\nrules:\n" SPLIT, "resnet8");
}

TEST(the_bias_is_aligned_to_the_sum_without_a_rounding_of_its_own)
{
    tq_graph *graph = fake_of(
        "input x: f32[?,2,4,4]\nconst w: f32[3,2,1,1] = random(1) const b: f32[3] = random(2)\n"
        "c = Conv(x, w, b)",
        RULES SPLIT);
    tq_dataset *data = road_random_data(graph, 8, 3);
    CHECK_OK(tq_calibrate(graph, &(tq_calibrate_options){
                                     .registry = check_registry(), .data = data, .n_threads = 1 }));
    tq_dataset_close(data);
    road_true(&graph, "generic");
    CHECK_EQ(check_count(graph, "Add"), 0, "(it is in the addend of the sum's Requant)");
    CHECK_EQ(check_count(graph, "Requant"), 2, "(correlation, sum)");
    tq_graph_destroy(graph);
}
