/* Every network of the zoo, small, all the way: float -> fake -> calibrated -> true. The true one
 * verifies, is proven, holds no float and no division, agrees with the fake one node by node, gives
 * the same bits on every engine and for any number of threads; every stage survives ONNX. */
#include "road.h"

enum { BATCH = 4 };

/* ---- ONNX ---- */

/* Text of a graph with all constants as checksums. */
static char *text_of(const tq_graph *graph)
{
    char *text = tq_graph_print(graph, 0);
    CHECK(text);
    return text;
}

static void check_same_outputs(const tq_graph *a, const tq_graph *b)
{
    road_run ra, rb;
    road_run_open_with(&ra, a, 2, 21, &(tq_engine_options){ 0 });
    road_run_open_with(&rb, b, 2, 21, &(tq_engine_options){ 0 });
    for (int i = 0; i < tq_graph_n_outputs(a); i++)
        CHECK_EQ(tq_tensor_equal(tq_engine_output(ra.engine, i), tq_engine_output(rb.engine, i)),
                 true, "(output %d)", i);
    road_run_close(&ra);
    road_run_close(&rb);
}

static void check_survives_onnx(const tq_graph *graph, const char *stage)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s.onnx", check_folder(), stage);
    CHECK_OK(tq_onnx_export(graph, path, 0));
    tq_graph *back;
    CHECK_OK(tq_onnx_import(check_registry(), path, &back));
    char *a = text_of(graph), *b = text_of(back);
    CHECK_STR(b, a);
    free(a);
    free(b);
    check_same_outputs(graph, back);
    tq_graph_destroy(back);
}

/* ---- what a true network is ---- */

static void check_is_true(const tq_graph *graph)
{
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_TRUE);
    CHECK_OK(tq_graph_verify(graph));
    CHECK_EQ(check_count(graph, "Div"), 0);
    for (int i = 0; i < tq_graph_n_values(graph); i++)
        CHECK_EQ(tq_dtype_is_float(tq_value_type(tq_graph_value(graph, i))->dtype), false,
                 "(value '%s')", tq_value_name(tq_graph_value(graph, i)));
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        CHECK_EQ(tq_node_has_flag(node, TQ_OP_INTEGER | TQ_OP_MOVES), true, "(node '%s' is %s)",
                 tq_node_name(node), tq_node_op_name(node));
        CHECK_EQ(tq_node_meta(node, "proof.output") != NULL, true, "(node '%s' has no proof)",
                 tq_node_name(node));
    }
}

static void check_proven(const tq_graph *graph)
{
    tq_arena *arena = tq_arena_create();
    tq_proof_row *rows;
    int n;
    bool proven;
    CHECK_OK(tq_proof_run(graph, arena, &rows, &n, &proven));
    CHECK(proven);
    CHECK_EQ(n, tq_graph_n_nodes(graph));
    /* Real values stay within the proven bounds. */
    road_run run;
    road_run_open(&run, graph, BATCH, 3);
    for (int i = 0; i < n; i++) {
        const tq_tensor *y = tq_engine_value(
            run.engine, tq_value_name(tq_node_output(tq_graph_find_node(graph, rows[i].node), 0)));
        for (int64_t k = 0; k < tq_tensor_count(y); k++) {
            const int64_t v = tq_load_i64(y->data, y->type.dtype, k);
            CHECK_EQ(v >= rows[i].lo && v <= rows[i].hi, true,
                     "(node '%s' gives %" PRId64 ", proven are %" PRId64 " to %" PRId64 ")",
                     rows[i].node, v, rows[i].lo, rows[i].hi);
        }
    }
    road_run_close(&run);
    tq_arena_destroy(arena);
}

static void check_same_bits(const tq_graph *graph, const road_run *wanted,
                            const tq_engine_options *options, const char *what)
{
    road_run run;
    road_run_open_with(&run, graph, BATCH, 33, options);
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        CHECK_EQ(
            tq_tensor_equal(tq_engine_output(wanted->engine, i), tq_engine_output(run.engine, i)),
            true, "(%s)", what);
    road_run_close(&run);
}

static void check_engines(const tq_graph *graph)
{
    road_run one;
    road_run_open_with(&one, graph, BATCH, 33, &(tq_engine_options){ 0 });
    check_same_bits(graph, &one, &(tq_engine_options){ .keep_all = true }, "all values kept");
    check_same_bits(graph, &one, &(tq_engine_options){ .reference_only = true }, "reference");
    for (int n = 2; n <= 3; n++) {
        tq_pool *pool;
        CHECK_OK(tq_pool_create(n, &pool));
        check_same_bits(graph, &one, &(tq_engine_options){ .pool = pool },
                        n == 2 ? "2 threads" : "3 threads");
        tq_pool_destroy(pool);
    }
    road_run_close(&one);
}

/* ---- fake against true ---- */

static void check_agrees(const tq_graph *fake, const tq_graph *integer)
{
    const road_agreement a = road_compare(fake, integer, 1, 5);
    CHECK_EQ(a.n_matched >= a.n_quantizers * 9 / 10, true,
             "(%d of %d quantisers have a true value)", a.n_matched, a.n_quantizers);
    CHECK_EQ(a.n_different * 50 <= a.n_elements, true, "(%d of %d elements differ by a step)",
             (int)a.n_different, (int)a.n_elements);
}

/* The whole networks, errors of all layers together: logits of both within a twentieth of their
 * range. */
static void check_outputs_close(const tq_graph *fake, const tq_graph *integer)
{
    double scale;
    int64_t zero_point;
    road_run t, f;
    road_run_open_with(&t, integer, BATCH, 8, &(tq_engine_options){ 0 });
    CHECK(tq_value_meta_f64(tq_graph_input(integer, 0), "quant.scale", &scale) &&
          tq_value_meta_i64(tq_graph_input(integer, 0), "quant.zero_point", &zero_point));
    tq_type type = t.inputs[0].type;
    type.dtype = TQ_F32;
    f = (road_run){ .n_inputs = 1 };
    CHECK_OK(tq_tensor_init(&f.inputs[0], &type));
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)f.inputs[0].data)[i] =
            (float)(scale * (double)(tq_load_i64(t.inputs[0].data, t.inputs[0].type.dtype, i) -
                                     zero_point));
    CHECK_OK(tq_engine_create(fake, &type, 1, &(tq_engine_options){ 0 }, &f.engine));
    CHECK_OK(tq_engine_run(f.engine, f.inputs, 1, 0));
    const tq_tensor *real = tq_engine_output(f.engine, 0), *codes = tq_engine_output(t.engine, 0);
    CHECK(tq_value_meta_f64(tq_graph_output(integer, 0), "quant.scale", &scale) &&
          tq_value_meta_i64(tq_graph_output(integer, 0), "quant.zero_point", &zero_point));
    double lo = INFINITY, hi = -INFINITY, worst = 0;
    for (int64_t i = 0; i < tq_tensor_count(real); i++) {
        const double r = (double)((const float *)real->data)[i];
        const double c =
            scale * (double)(tq_load_i64(codes->data, codes->type.dtype, i) - zero_point);
        lo = fmin(lo, r);
        hi = fmax(hi, r);
        worst = fmax(worst, fabs(r - c));
    }
    CHECK_EQ(worst <= 0.05 * (hi - lo), true, "(outputs in [%g, %g] differ by %g)", lo, hi, worst);
    road_run_close(&f);
    road_run_close(&t);
}

static void walk_with(tq_graph *graph, const tq_recipe *recipe)
{
    check_survives_onnx(graph, "float");
    road_fake_with(&graph, recipe);
    CHECK_OK(tq_graph_verify(graph));
    check_survives_onnx(graph, "fake");
    tq_graph *fake = tq_graph_clone(graph);
    road_true(&graph, "generic");
    check_is_true(graph);
    check_proven(graph);
    check_survives_onnx(graph, "true");
    check_engines(graph);
    check_outputs_close(fake, graph);
    const bool floors = strcmp(recipe->entry.name, "pact8-floor") == 0;
    if (!floors) /* in f32 a floor may drop a code that lies on its grid */
        check_agrees(fake, graph);
    tq_graph_destroy(fake);
    tq_graph_destroy(graph);
}

static const tq_recipe *recipe_of(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_RECIPE, name, &entry));
    return (const tq_recipe *)(const void *)entry;
}

static void walk_graph(tq_graph *graph, const char *recipe)
{
    walk_with(graph, recipe_of(recipe));
}

static void walk(const char *zoo, double capacity, int64_t c, int64_t h, int64_t w)
{
    walk_graph(road_build(zoo, capacity, c, h, w), "pact8");
}

TEST(mobilenet_v1_walks_the_road)
{
    walk("mobilenet_v1", 0.25, 3, 32, 32);
}
TEST(mobilenet_v2_walks_the_road)
{
    walk("mobilenet_v2", 0.25, 3, 32, 32);
}
TEST(resnet8_walks_the_road)
{
    walk("resnet8", 0.5, 3, 16, 16);
}
TEST(resnet18_walks_the_road)
{
    walk("resnet18", 0.125, 3, 32, 32);
}
TEST(resnet50_walks_the_road)
{
    walk("resnet50", 0.125, 3, 32, 32);
}
TEST(vgg_walks_the_road)
{
    walk("vgg", 0.125, 3, 32, 32);
}
TEST(ds_cnn_walks_the_road)
{
    walk("ds_cnn", 0.25, 0, 0, 0);
}
TEST(the_autoencoder_walks_the_road)
{
    walk("autoencoder", 0.25, 0, 0, 0);
}

TEST(floors_walk_the_road)
{
    walk_graph(road_build("resnet8", 0.5, 3, 16, 16), "pact8-floor");
    walk_graph(road_build("mobilenet_v1", 0.25, 3, 32, 32), "pact8-floor");
}

TEST(relu6_walks_the_road)
{
    tq_graph *graph;
    CHECK_OK(tq_zoo_build(check_registry(), "mobilenet_v2",
                          &(tq_zoo_options){ .capacity = 0.25,
                                             .input = { 3, 32, 32 },
                                             .classes = 10,
                                             .seed = 4,
                                             .activation = "relu6" },
                          &graph));
    walk_graph(graph, "pact8");
}

/* pact8 with another range on weights, or on everything else. */
static void walk_range(const char *zoo, int64_t side, const char *range, bool weights)
{
    tq_recipe recipe = *recipe_of("pact8");
    tq_recipe_rule rules[16];
    CHECK(recipe.n_rules <= TQ_COUNT(rules));
    memcpy(rules, recipe.rules, (size_t)recipe.n_rules * sizeof *rules);
    for (int i = 0; i < recipe.n_rules; i++) {
        if ((rules[i].slot == TQ_SLOT_WEIGHT) != weights)
            continue;
        CHECK_OK(tq_range_parse(range, &rules[i].spec.range));
        rules[i].spec.unsigned_if_positive = false;
    }
    recipe.rules = rules;
    walk_with(road_build(zoo, 0.25, 3, side, side), &recipe);
}

/* Zero points everywhere: on inputs, where padding must write them, and behind every activation. */
TEST(free_offsets_walk_the_road)
{
    walk_range("resnet8", 16, "bitwidth:8", false);
    walk_range("mobilenet_v2", 32, "bitwidth:8", false);
}

TEST(weights_with_zero_points_walk_the_road)
{
    walk_range("resnet8", 16, "bitwidth:8", true);
}

TEST(narrow_weights_walk_the_road)
{
    walk_range("resnet8", 16, "bitwidth:4,signed:true", true);
    walk_range("resnet8", 16, "ternary", true);
    walk_range("mobilenet_v1", 32, "binary", true);
}

TEST(narrow_activations_walk_the_road)
{
    walk_range("resnet8", 16, "bitwidth:4,signed:true", false);
}
