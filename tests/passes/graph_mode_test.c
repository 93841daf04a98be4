/* The graph mode: observers that are seen and can go, QDQ pairs by what they saw, integers between
 * the pairs. */
#include "road.h"

static void run_editor(tq_graph *graph, const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, name, &entry));
    CHECK_OK(tq_editor_run((const tq_editor *)(const void *)entry, graph));
}

static void calibrate(tq_graph *graph)
{
    tq_dataset *data = road_random_data(graph, 16, 11);
    CHECK_OK(tq_calibrate(
        graph, &(tq_calibrate_options){
                   .registry = check_registry(), .data = data, .batch = 8, .n_threads = 1 }));
    tq_dataset_close(data);
}

static tq_graph *observed(void)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    CHECK_OK(tq_pipeline_run(
        check_registry(), "graph-mode", &graph,
        &(tq_edit){ .registry = check_registry(), .stop_after = "insert-observers" }));
    return graph;
}

static double difference(const tq_graph *a, const tq_graph *b)
{
    road_run x, y;
    road_run_open(&x, a, 3, 7);
    road_run_open(&y, b, 3, 7);
    const double d = road_distance(tq_engine_output(x.engine, 0), tq_engine_output(y.engine, 0));
    road_run_close(&x);
    road_run_close(&y);
    return d;
}

TEST(observers_change_nothing)
{
    tq_graph *plain = road_build("resnet8", 0.5, 1, 8, 8), *graph = observed();
    CHECK(check_count(graph, "Observer") > 20);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 0);
    CHECK_EQ(check_count(graph, "WeightRange"), 0);
    CHECK_NEAR(difference(plain, graph), 0, 1e-5);
    tq_graph_destroy(plain);
    tq_graph_destroy(graph);
}

TEST(observers_are_inserted_once)
{
    tq_graph *graph = observed();
    const int n = check_count(graph, "Observer");
    run_editor(graph, "insert-observers");
    CHECK_EQ(check_count(graph, "Observer"), n);
    tq_graph_destroy(graph);
}

TEST(an_observer_that_saw_nothing_is_named)
{
    tq_graph *graph = observed();
    CHECK_FAILS(tq_pipeline_run(check_registry(), "graph-mode", &graph, NULL), TQ_ERR_STATE,
                "observer '");
    tq_graph_destroy(graph);
}

TEST(what_was_seen_stays_with_the_observer)
{
    tq_graph *graph = check_graph("input x: f32[?,4]\n y = Observer(x) \"o\"\n z = Relu(y)");
    calibrate(graph);
    const tq_node *node = tq_graph_find_node(graph, "o");
    CHECK_STR(tq_node_meta(node, "observed.n"), "64");
    const double min = strtod(tq_node_meta(node, "observed.min"), NULL);
    const double max = strtod(tq_node_meta(node, "observed.max"), NULL);
    CHECK(min >= 0 && min < max && max <= 1);
    tq_graph_destroy(graph);
}

TEST(pairs_take_the_place_of_observers)
{
    tq_graph *graph = observed();
    calibrate(graph);
    const int n = check_count(graph, "Observer");
    tq_graph *before = tq_graph_clone(graph);
    run_editor(graph, "observers-to-qdq");
    CHECK_EQ(check_count(graph, "Observer"), 0);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), n);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), n);
    CHECK_NEAR(difference(before, graph), 0, 0.3);
    tq_graph_destroy(before);
    tq_graph_destroy(graph);
}

TEST(operators_between_pairs_become_integer)
{
    tq_graph *graph = observed();
    calibrate(graph);
    CHECK_OK(tq_pipeline_run(
        check_registry(), "graph-mode", &graph,
        &(tq_edit){ .registry = check_registry(), .stop_after = "observers-to-qdq" }));
    tq_graph *pairs = tq_graph_clone(graph);
    CHECK_OK(tq_pipeline_run(check_registry(), "graph-mode", &graph, NULL));
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        CHECK_EQ(tq_node_meta(node, "float.why") == NULL, true, "(%s)",
                 tq_node_meta(node, "float.why"));
    CHECK_EQ(check_count(graph, "Conv"), 0);
    CHECK_EQ(check_count(graph, "ConvInteger"), 9);
    CHECK_EQ(check_count(graph, "MatMulInteger"), 1);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 1);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), 1);
    CHECK_NEAR(difference(pairs, graph), 0, 0.15);
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
}

/* The same layer by this road and by fake quantisation: the same grids give the same integers. */
TEST(it_agrees_with_the_other_road)
{
    const char *text =
        "input x: f32[2,3,5,5]\n const w: f32[4,3,3,3] = random(1)\n y = Conv(x, w) \"c\"\n "
        "z = Relu(y)\n const v: f32[2,4,1,1] = random(2)\n o = Conv(z, v)";
    tq_graph *a = check_graph(text), *b = check_graph(text);
    CHECK_OK(tq_pipeline_run(
        check_registry(), "graph-mode", &a,
        &(tq_edit){ .registry = check_registry(), .stop_after = "insert-observers" }));
    calibrate(a);
    CHECK_OK(tq_pipeline_run(check_registry(), "graph-mode", &a, NULL));
    road_fake(&b, "pact8");
    CHECK_OK(tq_f2t_run(&b, &(tq_f2t_options){ .shift = -1, .partial = true }, NULL));
    CHECK_EQ(check_count(a, "ConvInteger"), 2);
    CHECK_EQ(tq_graph_n_nodes(a), tq_graph_n_nodes(b));
    CHECK_NEAR(difference(a, b), 0, 0.05);
    tq_graph_destroy(a);
    tq_graph_destroy(b);
}

/* ---- by hand ---- */

static const char *const by_hand = "input x: f32[2,4]\n const s: f32[] = 0.0078125\n const z: i8[] "
                                   "= 0\n const w: f32[4,4] = random(1)\n"
                                   "q = QuantizeLinear(x, s, z) \"mine\"\n d = DequantizeLinear(q, "
                                   "s, z)\n a = MatMul(d, w) \"m\"\n "
                                   "b = Relu(a)\n p = QuantizeLinear(b, s, z) \"yours\"\n e = "
                                   "DequantizeLinear(p, s, z)\n c = MatMul(e, w) \"n\"";

TEST(pairs_placed_by_hand_stay)
{
    tq_graph *graph = check_graph(by_hand);
    run_editor(graph, "insert-observers");
    CHECK(tq_graph_find_node(graph, "mine") && tq_graph_find_node(graph, "yours"));
    CHECK_EQ(check_count(graph, "Observer"), 2); /* the weight: the head has one scale */
    calibrate(graph);
    run_editor(graph, "observers-to-qdq");
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 4);
    CHECK(tq_graph_find_node(graph, "mine") && tq_graph_find_node(graph, "yours"));
    tq_graph *pairs = tq_graph_clone(graph);
    run_editor(graph, "fuse-dq-op-q");
    CHECK_EQ(check_count(graph, "MatMulInteger"), 2);
    CHECK_EQ(check_count(graph, "Requant"), 1);
    CHECK(tq_graph_find_node(graph, "mine") != NULL);
    CHECK_NEAR(difference(pairs, graph), 0, 0.03);
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
}

/* A pair that loading took for a quantiser is one again. */
TEST(pairs_that_became_quantisers_become_pairs_again)
{
    tq_graph *graph = check_graph(by_hand), *pairs = check_graph(by_hand);
    CHECK_OK(tq_pipeline_run(check_registry(), "lift", &graph, NULL));
    CHECK_EQ(check_count(graph, "FakeQuantize"), 2);
    run_editor(graph, "insert-observers");
    CHECK_EQ(check_count(graph, "FakeQuantize"), 2);
    calibrate(graph);
    run_editor(graph, "observers-to-qdq");
    CHECK_EQ(check_count(graph, "FakeQuantize"), 0);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 4);
    CHECK(tq_graph_find_node(graph, "mine") && tq_graph_find_node(graph, "yours"));
    run_editor(pairs, "insert-observers");
    calibrate(pairs);
    run_editor(pairs, "observers-to-qdq");
    CHECK_NEAR(difference(pairs, graph), 0, 0);
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
}

/* A quantiser that rounds otherwise than QuantizeLinear does stays one. */
TEST(quantisers_of_another_rounding_stay)
{
    tq_graph *graph = check_graph("input x: f32[2,4]\n const s: f32[] = 0.5\n const z: f32[] = 0\n"
                                  "y = FakeQuantize(x, s, z) [quantizer=\"fixed\", q_min=-128]\n"
                                  "o = Observer(y)");
    calibrate(graph);
    run_editor(graph, "observers-to-qdq");
    CHECK_EQ(check_count(graph, "FakeQuantize"), 1);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 1);
    tq_graph_destroy(graph);
}

/* Codes that are moved and clipped between a pair stay codes. */
TEST(what_others_do_with_codes_is_kept)
{
    tq_graph *graph = check_graph(
        "input x: f32[1,2,4,4]\n const s: f32[] = 0.0078125\n const z: i8[] = 0\n const lo: i8[] = "
        "-100\n"
        "const hi: i8[] = 100\n const w: f32[2,2,1,1] = random(1)\n const ws: f32[] = 0.01\n"
        "q = QuantizeLinear(x, s, z)\n c = Clip(q, lo, hi)\n d = DequantizeLinear(c, s, z)\n"
        "v = QuantizeLinear(w, ws, z)\n u = DequantizeLinear(v, ws, z)\n a = Conv(d, u)\n"
        "p = QuantizeLinear(a, s, z)\n m = MaxPool(p) [kernel_shape=[2,2], strides=[2,2]]\n"
        "e = DequantizeLinear(m, s, z)\n f = Conv(e, u)\n g = QuantizeLinear(f, s, z)\n "
        "k = Clip(g, lo, hi)\n h = DequantizeLinear(k, s, z)");
    tq_graph *pairs = tq_graph_clone(graph);
    run_editor(graph, "fuse-dq-op-q");
    CHECK_EQ(check_count(graph, "ConvInteger"), 2);
    CHECK_EQ(check_count(graph, "Clip"), 2);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), 1);
    CHECK_NEAR(difference(pairs, graph), 0, 0.009);
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
}

/* Powers of two: sums of products lie half-way between codes, which QuantizeLinear takes to the
 * even one and a shift cannot. */
#define WITH_TIES                                                                                  \
    "input x: f32[2,4]\n const s: f32[] = 0.0078125\n const z: i8[] = 0\n const w: i8[4,4] = 3\n"  \
    "q = QuantizeLinear(x, s, z)\n d = DequantizeLinear(q, s, z)\n v = DequantizeLinear(w, s, "    \
    "z)\n"                                                                                         \
    "a = MatMul(d, v) \"m\"\n p = QuantizeLinear(a, s, z)\n e = DequantizeLinear(p, s, z)"

static void run_forced(tq_graph *graph, const char *name)
{
    const tq_entry *entry;
    const tq_true_options options = { .fixed_shift = -1,
                                      .force_half_up = true,
                                      .limits = road_limits("generic") };
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, name, &entry));
    CHECK_OK(tq_editor_apply((const tq_editor *)(const void *)entry, graph,
                             &(tq_edit){ .registry = check_registry(), .true_options = &options },
                             NULL));
}

TEST(a_pair_whose_ties_integers_would_round_otherwise_stays_real_unless_forced)
{
    tq_graph *graph = check_graph(WITH_TIES), *forced = check_graph(WITH_TIES);
    tq_graph *pairs = tq_graph_clone(graph);
    run_editor(graph, "fuse-dq-op-q");
    CHECK_EQ(check_count(graph, "Requant"), 0);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 2);
    CHECK_NEAR(difference(pairs, graph), 0, 0);
    run_forced(forced, "fuse-dq-op-q");
    CHECK_EQ(check_count(forced, "Requant"), 1);
    CHECK_EQ(check_count(forced, "QuantizeLinear"), 1);
    CHECK_NEAR(difference(pairs, forced), 0, 0.0079); /* a step of the grid, at ties */
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
    tq_graph_destroy(forced);
}

TEST(what_has_no_integer_form_stays_between_its_pair)
{
    tq_graph *graph = check_graph(
        "input x: f32[2,4]\n const s: f32[] = 0.0078125\n const z: i8[] = 0\n const k: f32[] = "
        "0.5\n"
        "q = QuantizeLinear(x, s, z)\n d = DequantizeLinear(q, s, z)\n a = Mod(d, k) [fmod=1]\n"
        "p = QuantizeLinear(a, s, z)\n e = DequantizeLinear(p, s, z)");
    char *before = tq_graph_print(graph, -1);
    tq_graph *same = tq_graph_clone(graph);
    run_editor(graph, "fuse-dq-op-q");
    CHECK_EQ(check_count(graph, "Mod"), 1);
    CHECK_EQ(tq_graph_n_nodes(graph), tq_graph_n_nodes(same));
    CHECK_NEAR(difference(graph, same), 0, 0);
    free(before);
    tq_graph_destroy(same);
    tq_graph_destroy(graph);
}

/* Four bits: codes take 4-bit dtypes in the pair and bytes in the integer form. */
TEST(narrow_grids_have_narrow_pairs)
{
    tq_graph *graph = check_graph("input x: f32[2,4]\n const w: f32[4,4] = random(1)\n"
                                  "a = Observer(x) [q_min=-8, n_levels=16]\n b = Observer(w) "
                                  "[q_min=-8, n_levels=16, axis=1]\n"
                                  "y = MatMul(a, b)\n c = Observer(y) [q_min=-127, n_levels=255]");
    calibrate(graph);
    run_editor(graph, "observers-to-qdq");
    CHECK_EQ(check_count(graph, "Clip"), 1); /* 255 levels */
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 3);
    tq_graph *pairs = tq_graph_clone(graph);
    run_editor(graph, "fuse-dq-op-q");
    CHECK_NEAR(difference(pairs, graph), 0, 0.02);
    tq_graph_destroy(pairs);
    tq_graph_destroy(graph);
}
