/* The proof, the shifts it allows, and the merging of requantisations. */
#include "edits.h"

static tq_status f2t(tq_graph **graph, int fixed_shift)
{
    tq_requant_limits limits = road_limits("generic");
    limits.fixed_shift = fixed_shift;
    limits.floor_mul_add = fixed_shift == 24;
    const tq_true_options options = { .fixed_shift = fixed_shift, .limits = limits };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    return tq_pipeline_run(check_registry(), "f2t", graph, &edit);
}

/* ---- overflow ---- */

/* x u8, all weights 127: n of them reach n * 255 * 127. */
static tq_graph *long_sum(int n)
{
    char text[600];
    snprintf(text, sizeof text,
             "input x: f32[?,%d]\n const s: f32[1] = 0.01 const z: f32[1] = 0\n q = "
             "FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n"
             "const f: f32[%d,1] = 1 const ws: f32[1] = 0.007874016\n w = FakeQuantize(f, ws, z) "
             "[quantizer=\"fixed\", q_min=-128]\n"
             "y = MatMul(q, w)",
             n, n);
    return check_graph(text);
}

TEST(a_sum_that_may_overflow_int32_is_refused_by_name)
{
    tq_graph *graph = long_sum(70000), *before = graph;
    CHECK_FAILS(
        f2t(&graph, -1), TQ_ERR_CHECK,
        "editor 'prove': node 'y' (MatMulInteger) may overflow: sum reaches [0, 2266950000]");
    CHECK(graph == before);
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_FAKE);
    tq_graph_destroy(graph);
}

TEST(a_sum_that_just_fits_is_proven)
{
    tq_graph *graph = long_sum(66000);
    CHECK_OK(f2t(&graph, -1));
    CHECK_STR(tq_node_meta(tq_graph_first(graph), "proof.output"), "0 2137410000");
    tq_graph_destroy(graph);
}

/* The network of 66000 fits because its inputs end at 255; as raw int8 products it would not. */
TEST(the_bounds_of_an_input_are_those_of_its_grid)
{
    tq_graph *graph = check_graph(
        "meta \"stage\" = \"true\"\n input x: u8[1,4]\n const w: i8[4,1] = {127, -1, 2, 0}\n y = "
        "MatMulInteger(x, w)\n"
        "meta value x \"quant.q_min\" = \"10\"\n meta value x \"quant.q_max\" = \"20\"");
    tq_arena *arena = tq_arena_create();
    tq_proof_row *rows;
    int n;
    bool proven;
    CHECK_OK(tq_proof_run(graph, arena, &rows, &n, &proven));
    CHECK(proven && n == 1 && rows[0].fits && rows[0].fp32_exact);
    CHECK_EQ(rows[0].lo, 10 * 127 - 20 + 20);
    CHECK_EQ(rows[0].hi, 20 * 127 - 10 + 40);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

TEST(a_bias_beyond_int32_is_refused_by_name)
{
    tq_graph *graph = check_graph("input x: f32[?,4]\n const s: f32[1] = 0.00001 const z: f32[1] = "
                                  "0\n q = FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n"
                                  "const f: f32[4,2] = 1 const b: f32[2] = {1, 100000}\n w = "
                                  "FakeQuantize(f, s, z) [quantizer=\"fixed\", q_min=-128]\n"
                                  "m = MatMul(q, w)\n y = Add(m, b)");
    const tq_status status = f2t(&graph, -1);
    CHECK(status);
    CHECK(strstr(tq_status_text(status), "'y' (Add)"));
    CHECK(strstr(tq_status_text(status), "does not fit int32"));
    tq_status_drop(status);
    tq_graph_destroy(graph);
}

/* ---- shifts ---- */

static const char layer[] =
    "input x: f32[?,3,6,6]\n const s: f32[1] = 0.02 const z: f32[1] = 0 const o: f32[1] = 0.015\n"
    "q = FakeQuantize(x, s, z) [quantizer=\"fixed\", q_min=-128]\n"
    "const f: f32[4,3,3,3] = random(3) const ws: f32[4] = {0.01, 0.008, 0.012, 0.009} const wz: "
    "f32[4] = 0\n"
    "w = FakeQuantize(f, ws, wz) [quantizer=\"fixed\", q_min=-128, axis=0]\n"
    "const g: f32[4] = {1, -0.5, 2, 1.5} const b: f32[4] = {0.1, -0.2, 0.3, 0.05} const m: f32[4] "
    "= {0.5, 0.1, -0.7, 0.2}\n"
    "const v: f32[4] = {1, 2, 0.5, 0.25}\n c = Conv(q, w)\n n = BatchNormalization(c, g, b, m, v) "
    "[epsilon=0.0]\n r = Relu(n)\n"
    "y = FakeQuantize(r, o, z) [quantizer=\"fixed\", rounding=\"floor\"]";

static const tq_node *find_requant(const tq_graph *graph)
{
    const tq_node *node = tq_graph_first(graph);
    while (node && !tq_node_is(node, "Requant"))
        node = tq_node_next(node);
    CHECK(node);
    return node;
}

TEST(a_shift_is_as_large_as_the_multiplier_allows)
{
    tq_graph *graph = check_graph(layer);
    CHECK_OK(f2t(&graph, -1));
    const tq_tensor *mul = tq_value_tensor(tq_node_input(find_requant(graph), 1));
    int64_t most = 0;
    for (int64_t c = 0; c < tq_tensor_count(mul); c++)
        most = llabs(tq_load_i64(mul->data, mul->type.dtype, c)) > most
                   ? llabs(tq_load_i64(mul->data, mul->type.dtype, c))
                   : most;
    CHECK(most <= INT32_MAX);
    CHECK(2 * most > INT32_MAX); /* one more bit would not fit */
    tq_graph_destroy(graph);
}

/* QuantLib: D = 2^24, mul = floor(D eps_in gamma / (sigma eps_out)), add = floor(D (beta sigma - mu
 * gamma) / (sigma eps_out)), y = clip(floor((acc mul + add) / D), 0, 255). */
TEST(a_shift_of_24_is_quantlibs_formula)
{
    static const double gamma[] = { 1, -0.5, 2, 1.5 }, beta[] = { 0.1, -0.2, 0.3, 0.05 },
                        mu[] = { 0.5, 0.1, -0.7, 0.2 };
    static const double var[] = { 1, 2, 0.5, 0.25 }, ws[] = { 0.01, 0.008, 0.012, 0.009 };
    tq_graph *graph = check_graph(layer);
    CHECK_OK(f2t(&graph, 24));
    const tq_node *requant = find_requant(graph);
    const tq_tensor *mul = tq_value_tensor(tq_node_input(requant, 1)),
                    *add = tq_value_tensor(tq_node_input(requant, 2));
    CHECK_EQ(tq_attr_int(tq_node_attrs(requant), "shift"), 24);
    for (int c = 0; c < 4; c++) {
        const double sigma = sqrt((double)(float)var[c]),
                     in = (double)(float)0.02 * (double)(float)ws[c], out = (double)(float)0.015;
        const double k = 16777216.0 * in * gamma[c] / (sigma * out);
        const double l = 16777216.0 *
                         ((double)(float)beta[c] * sigma - (double)(float)mu[c] * gamma[c]) /
                         (sigma * out);
        CHECK_EQ(tq_load_i64(mul->data, mul->type.dtype, c), (int64_t)floor(k), "(channel %d)", c);
        CHECK_EQ(tq_load_i64(add->data, add->type.dtype, c), (int64_t)floor(l), "(channel %d)", c);
    }
    road_run run;
    road_run_open(&run, graph, 2, 5);
    const tq_tensor *acc = tq_engine_value(run.engine, tq_value_name(tq_node_input(requant, 0)));
    const tq_tensor *y = tq_engine_value(run.engine, tq_value_name(tq_node_output(requant, 0)));
    for (int64_t i = 0; i < tq_tensor_count(y); i++) {
        const int64_t c = i / 16 % 4, k = tq_load_i64(mul->data, mul->type.dtype, c),
                      l = tq_load_i64(add->data, add->type.dtype, c);
        const double exact =
            floor(((double)tq_load_i64(acc->data, TQ_I32, i) * (double)k + (double)l) / 16777216.0);
        CHECK_EQ(tq_load_i64(y->data, y->type.dtype, i), (int64_t)fmin(fmax(exact, 0), 255),
                 "(element %d)", (int)i);
    }
    road_run_close(&run);
    tq_graph_destroy(graph);
}

/* ---- merge-requants ---- */

static tq_graph *requants(int64_t shift1, int64_t add1, int q_min1, int q_max1, int64_t mul2,
                          int64_t add2, int shift2, int q_min2, int q_max2)
{
    char text[900];
    snprintf(text, sizeof text,
             "input x: i16[1,1,65536]\n const m1: i64[1] = {%" PRId64
             "} const a1: i64[1] = {%" PRId64 "} const m2: i32[1] = {%" PRId64
             "} const a2: i64[1] = {%" PRId64 "}\n"
             "a = Requant(x, m1, a1) [shift=%d, q_min=%d, q_max=%d, dtype=\"i16\"]\n"
             "y = Requant(a, m2, a2) [shift=%d, q_min=%d, q_max=%d, dtype=\"i8\"]",
             (int64_t)1 << shift1, add1, mul2, add2, (int)shift1, q_min1, q_max1, shift2, q_min2,
             q_max2);
    return check_graph(text);
}

/* All 65536 codes. */
static tq_tensor run_all(const tq_graph *graph)
{
    tq_tensor x;
    CHECK_OK(tq_tensor_init(&x, tq_value_type(tq_graph_input(graph, 0))));
    for (int i = 0; i < 65536; i++)
        ((int16_t *)x.data)[i] = (int16_t)(i - 32768);
    tq_tensor y = check_run(graph, &x);
    tq_tensor_reset(&x);
    return y;
}

TEST(merged_requantisations_are_exact_for_every_code)
{
    static const struct {
        int64_t shift1, add1;
        int lo1, hi1;
        int64_t mul2, add2;
        int shift2, lo2, hi2;
    } cases[] = {
        { 0, 0, -128, 127, 77, 1 << 6, 7, -128, 127 },
        { 24, 1 << 23, 0, 255, 123456, 1 << 19, 20, -128, 127 },
        { 16, 65535, -300, 200, -999, 5, 10, -100, 100 },
        { 8, 128, 10, 20, 3000, -70000, 9, -128, 127 },
        { 4, 8, -32768, 32767, 1, 0, 8, -128, 127 },
        { 0, 0, -5, 5, 0, 12345, 8, -128, 127 },
        { 10, 512, -128, 127, -65536, 32768, 16, 0, 127 },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        tq_graph *graph =
            requants(cases[i].shift1, cases[i].add1, cases[i].lo1, cases[i].hi1, cases[i].mul2,
                     cases[i].add2, cases[i].shift2, cases[i].lo2, cases[i].hi2);
        tq_tensor before = run_all(graph);
        CHECK_OK(tq_editor_run(edits_find("merge-requants"), graph));
        CHECK_EQ(tq_graph_n_nodes(graph), 1, "(case %d)", i);
        tq_tensor after = run_all(graph);
        CHECK_EQ(tq_tensor_equal(&before, &after), true, "(case %d)", i);
        tq_tensor_reset(&before);
        tq_tensor_reset(&after);
        tq_graph_destroy(graph);
    }
}

static void check_stays(tq_graph *graph)
{
    const int n = tq_graph_n_nodes(graph);
    CHECK_OK(tq_editor_run(edits_find("merge-requants"), graph));
    CHECK_EQ(tq_graph_n_nodes(graph), n);
    tq_graph_destroy(graph);
}

TEST(a_first_requantisation_that_does_more_than_clip_stays)
{
    tq_graph *graph = requants(8, 0, -128, 127, 77, 64, 7, -128, 127);
    tq_node_set_attr(tq_graph_first(graph), &TQ_INT("shift", 7));
    check_stays(graph);
    check_stays(requants(8, 256, -128, 127, 77, 64, 7, -128, 127)); /* adds one step */
    check_stays(requants(8, -1, -128, 127, 77, 64, 7, -128, 127));  /* takes one off */
}

TEST(a_first_requantisation_that_others_read_stays)
{
    tq_graph *graph = requants(8, 0, -128, 127, 77, 64, 7, -128, 127);
    tq_graph_add_output(graph, tq_graph_find_value(graph, "a"));
    check_stays(graph);
}

/* Without the clip x reaches 2^15: times 2^49 it would not fit. */
TEST(a_clip_that_keeps_the_product_small_stays)
{
    tq_graph *graph = requants(0, 0, -2, 2, 1, 0, 0, -128, 127);
    int64_t large = (int64_t)1 << 49;
    const tq_tensor mul = { .type = tq_type_make(TQ_I64, 1, (int64_t[]){ 1 }), .data = &large };
    tq_tensor own;
    CHECK_OK(tq_tensor_copy(&mul, &own));
    tq_value_set_tensor(tq_graph_find_value(graph, "m2"), &own);
    tq_tensor_reset(&own);
    CHECK_OK(tq_graph_infer(graph));
    check_stays(graph);
}
