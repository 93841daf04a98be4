/* Integer networks of others become ours: the same numbers in narrow types, with the operators that
 * the proof, the fast kernels and the exporters know. */
#include "road.h"

static tq_graph *foreign(const char *text, const char *dialect)
{
    tq_graph *graph = check_graph(text);
    tq_graph_set_meta(graph, "dialect", dialect);
    tq_graph_set_meta(graph, "stage", "true");
    return graph;
}

static tq_status convert(tq_graph **graph, const char *codes)
{
    tq_range range = { 0 };
    if (codes)
        CHECK_OK(tq_range_parse(codes, &range));
    return tq_f2t_run(graph,
                      &(tq_f2t_options){ .shift = -1,
                                         .n_codes = codes != NULL,
                                         .code_names = (const char *const[]){ NULL },
                                         .codes = &range },
                      NULL);
}

/* The same codes from both; `graph` is replaced by what it became. */
static void check_same(tq_graph **graph, const char *codes)
{
    tq_graph *before = tq_graph_clone(*graph);
    CHECK_OK(convert(graph, codes));
    tq_type type = *tq_value_type(tq_graph_input(before, 0));
    const tq_dtype narrow = tq_value_type(tq_graph_input(*graph, 0))->dtype;
    tq_tensor wide, x;
    CHECK_OK(tq_tensor_init(&wide, &type));
    for (int64_t i = 0; i < tq_tensor_count(&wide); i++)
        ((int64_t *)wide.data)[i] =
            tq_dtype_min(narrow) +
            (i * 37 + 11) % (tq_dtype_max(narrow) - tq_dtype_min(narrow) + 1);
    CHECK_OK(tq_tensor_cast(&wide, narrow, &x));
    tq_tensor y = check_run(before, &wide), z = check_run(*graph, &x);
    for (int64_t i = 0; i < tq_tensor_count(&y); i++)
        CHECK_EQ(tq_load_i64(z.data, z.type.dtype, i), tq_load_i64(y.data, y.type.dtype, i),
                 "(element %lld)", (long long)i);
    tq_tensor_reset(&wide);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    tq_tensor_reset(&z);
    tq_graph_destroy(before);
    CHECK_EQ(tq_graph_stage(*graph), TQ_STAGE_TRUE);
}

static const char quantlib[] =
    "input x: i64[1,2,4,4]\n const w: i64[3,2,3,3] = "
    "{1,-2,3,4,-5,6,7,-8,9,10,-11,12,13,-14,15,16,-17,"
    "18,19,-20,21,22,-23,24,25,-26,27,28,-29,30,31,-32,33,34,-35,36,37,-38,39,40,-41,42,43,-44,45,"
    "46,"
    "-47,48,49,-50,51,52,-53,54}\n"
    "const b: i64[3] = {100, -200, 300}\n const k: i64[3,1,1] = {5, 6, 7}\n"
    "const l: i64[3,1,1] = {1000, 2000, -3000}\n const m: i64[] = {3}\n"
    "const lo: i64[] = {0}\n const hi: i64[] = {255}\n"
    "c = Conv(x, w, b) [pads=[1,1,1,1]] \"conv\"\n p = Mul(c, k)\n a = Add(p, l)\n n = Mul(a, m)\n"
    "s = ShiftRight(n) [shift=9]\n y = Clip(s, lo, hi) \"clip\"";

TEST(products_and_sums_compose_into_one_requantisation)
{
    tq_graph *graph = foreign(quantlib, "nemo");
    check_same(&graph, "u8");
    CHECK_EQ(check_count(graph, "ConvInteger"), 1);
    CHECK_EQ(check_count(graph, "Requant"), 1);
    CHECK_EQ(check_count(graph, "Mul") + check_count(graph, "ShiftRight"), 0);
    const tq_node *requant = tq_graph_find_node(graph, "clip");
    const tq_tensor *mul = tq_value_tensor(tq_node_input(requant, 1));
    CHECK_EQ(tq_load_i64(mul->data, mul->type.dtype, 2), 7 * 3);
    CHECK_EQ(tq_value_type(tq_node_output(requant, 0))->dtype, TQ_U8);
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "y");
    tq_graph_destroy(graph);
}

TEST(signed_codes_are_signed_bytes)
{
    tq_graph *graph = foreign(quantlib, "quantlib");
    check_same(&graph, "i8");
    CHECK_EQ(tq_value_type(tq_graph_input(graph, 0))->dtype, TQ_I8);
    CHECK_EQ(check_count(graph, "ConvInteger"), 1);
    tq_graph_destroy(graph);
}

TEST(residual_additions_are_of_int32)
{
    tq_graph *graph = foreign("input x: i64[1,2,2,2]\n const lo: i64[] = {-128}\n"
                              "const hi: i64[] = {127}\n const k: i64[] = {3}\n"
                              "p = Mul(x, k)\n s = ShiftRight(p) [shift=2]\n a = Clip(s, lo, hi)\n"
                              "t = Add(a, x)\n u = ShiftRight(t) [shift=1]\n y = Clip(u, lo, hi)",
                              "quantlib");
    check_same(&graph, "i8");
    CHECK_EQ(check_count(graph, "Requant"), 2);
    CHECK_EQ(check_count(graph, "Cast"), 2);
    CHECK_EQ(tq_value_type(tq_node_output(tq_graph_find_node(graph, "t"), 0))->dtype, TQ_I32);
    tq_graph_destroy(graph);
}

/* What is wider than a byte is no operand of ConvInteger. */
TEST(wide_codes_stay_wide)
{
    tq_graph *graph = foreign(quantlib, "quantlib");
    tq_range range;
    CHECK_OK(tq_range_parse("bitwidth:12,signed:true", &range));
    CHECK_OK(tq_f2t_run(&graph,
                        &(tq_f2t_options){ .shift = -1,
                                           .n_codes = 1,
                                           .code_names = (const char *const[]){ "x" },
                                           .codes = &range },
                        NULL));
    CHECK_EQ(check_count(graph, "ConvInteger"), 0);
    CHECK_EQ(tq_value_type(tq_node_output(tq_graph_find_node(graph, "conv"), 0))->dtype, TQ_I32);
    tq_graph_destroy(graph);
}

TEST(the_codes_of_inputs_must_be_known)
{
    tq_graph *graph = foreign(quantlib, "quantlib");
    CHECK_FAILS(convert(&graph, NULL), TQ_ERR_STATE, "--codes u8");
    tq_range range = { .q_min = 0, .n_levels = 256, .step = 1 };
    CHECK_FAILS(tq_f2t_run(&graph,
                           &(tq_f2t_options){ .shift = -1,
                                              .n_codes = 1,
                                              .code_names = (const char *const[]){ "z" },
                                              .codes = &range },
                           NULL),
                TQ_ERR_NOT_FOUND, "no input 'z'");
    tq_graph_destroy(graph);
}

/* What is left may still divide or be real. */
TEST(stopped_half_way_it_need_not_be_integers_yet)
{
    const char *text = "input x: i64[1,2]\n const k: i64[] = {3}\n y = Div(x, k)";
    tq_range range = { .q_min = 0, .n_levels = 256, .step = 1 };
    const tq_f2t_options options = {
        .shift = -1, .n_codes = 1, .code_names = (const char *const[]){ NULL }, .codes = &range
    };
    tq_graph *graph = foreign(text, "quantlib");
    tq_graph_set_meta(graph, "stage", "partial");
    CHECK_FAILS(tq_f2t_run(&graph, &options, NULL), TQ_ERR_UNSUPPORTED, "node 'y' divides");
    CHECK_OK(tq_f2t_run(&graph, &options, &(tq_edit){ .stop_after = "narrow-integers" }));
    CHECK_EQ(check_count(graph, "Div"), 1);
    CHECK(!tq_graph_meta(graph, "backend"));
    tq_graph_destroy(graph);
}

static tq_status mark(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_graph_set_meta(graph, "marked", check_count(graph, "ConvInteger") ? "behind" : "before");
    return TQ_OK;
}

TEST(custom_editors_of_plug_ins_run_behind_the_conversion)
{
    static const tq_editor editor = { .entry = { .name = "mark", .brief = "marks the network" },
                                      .stage = TQ_EDIT_CUSTOM,
                                      .run = mark };
    tq_registry *registry = tq_registry_create();
    CHECK_OK(tq_builtin_register(registry));
    tq_registry_set_origin(registry, "marker");
    CHECK_OK(tq_registry_add(registry, TQ_KIND_EDITOR, &editor.entry));
    tq_graph *graph;
    CHECK_OK(tq_graph_parse(registry, quantlib, &graph));
    tq_graph_set_meta(graph, "dialect", "quantlib");
    tq_graph_set_meta(graph, "stage", "true");
    CHECK_OK(convert(&graph, "u8"));
    CHECK_STR(tq_graph_meta(graph, "marked"), "behind");
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

/* Sums that could leave 64 bits are found, whoever wrote the network. */
TEST(what_may_overflow_is_refused)
{
    tq_graph *graph = foreign("input x: i64[1,2]\n const k: i64[] = {4611686018427387904}\n"
                              "const w: i64[2,1] = {4, 4}\n p = Mul(x, k)\n y = MatMul(p, w)",
                              "quantlib");
    CHECK_FAILS(convert(&graph, "u8"), TQ_ERR_CHECK, "may overflow");
    tq_graph_destroy(graph);
}

/* ---- networks that others wrote ---- */

static void check_golden(const char *name, const char *codes, const char *dialect)
{
    char path[300];
    snprintf(path, sizeof path, "golden/%s/model.onnx", name);
    if (!check_shared(path))
        check_skip("golden network '%s' is not there", name);
    tq_graph *graph = NULL;
    tq_npz x, want;
    CHECK_OK(tq_model_load(check_registry(), check_shared(path), dialect, &graph));
    CHECK_OK(convert(&graph, codes));
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_TRUE);
    snprintf(path, sizeof path, "golden/%s/inputs.npz", name);
    CHECK_OK(tq_npz_load(check_shared(path), &x));
    snprintf(path, sizeof path, "golden/%s/outputs.npz", name);
    CHECK_OK(tq_npz_load(check_shared(path), &want));
    tq_tensor narrow;
    CHECK_OK(
        tq_tensor_cast(&x.tensors[0], tq_value_type(tq_graph_input(graph, 0))->dtype, &narrow));
    tq_tensor y = check_run(graph, &narrow);
    CHECK_EQ(tq_tensor_count(&y), tq_tensor_count(&want.tensors[0]));
    for (int64_t i = 0; i < tq_tensor_count(&y); i++)
        CHECK_EQ((double)tq_load_i64(y.data, y.type.dtype, i),
                 tq_load_f64(want.tensors[0].data, want.tensors[0].type.dtype, i), "(%s)", name);
    tq_tensor_reset(&y);
    tq_tensor_reset(&narrow);
    tq_npz_reset(&x);
    tq_npz_reset(&want);
    tq_graph_destroy(graph);
}

TEST(networks_of_deeploy_keep_their_answers)
{
    check_golden("mlperf_ic", "u8", NULL);
    check_golden("mlperf_kws", "u8", NULL);
    check_golden("mini_mobilenet", "u8", NULL);
    check_golden("cnn_linear1", "i8", NULL);
    check_golden("eegformer", "u8", NULL);
    check_golden("kernel_conv_regular_1d_rq", "u8", NULL);
    check_golden("kernel_conv_regular_3x3", "i8", "deeploy");
    check_golden("kernel_hardswish_regular_rq", "i8", NULL);
    check_golden("kernel_softmax_regular", "i8", NULL);
}

/* Deeploy's ResNet8 as DORY takes it. */
TEST(a_network_of_deeploy_goes_to_dory)
{
    const char *path = check_shared("golden/mlperf_ic/model.onnx");
    if (!path)
        check_skip("golden network '%s' is not there", "mlperf_ic");
    tq_graph *graph = NULL;
    tq_range range;
    CHECK_OK(tq_range_parse("u8", &range));
    CHECK_OK(tq_model_load(check_registry(), path, NULL, &graph));
    CHECK_OK(tq_f2t_run(&graph,
                        &(tq_f2t_options){ .backend = "dory",
                                           .shift = -1,
                                           .n_codes = 1,
                                           .code_names = (const char *const[]){ NULL },
                                           .codes = &range },
                        NULL));
    CHECK_OK(tq_export_run(graph, "dory", NULL, check_folder(), NULL, NULL));
    tq_graph_destroy(graph);
}

/* What DORY's exporter writes, average pool and additions too, comes back node by node. */
TEST(an_export_for_dory_comes_back_as_it_was)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8), *back = NULL;
    char path[1200];
    road_fake(&graph, "pact8");
    road_true(&graph, "dory");
    CHECK_OK(tq_export_run(graph, "dory", NULL, check_folder(), NULL, NULL));
    snprintf(path, sizeof path, "%s/%s_ql_integerized.onnx", check_folder(), tq_graph_name(graph));
    CHECK_OK(tq_model_load(check_registry(), path, NULL, &back));
    CHECK_OK(convert(&back, "u8"));
    static const char *const ops[] = { "ConvInteger", "MatMulInteger", "Requant", "Cast", "Add" };
    for (int i = 0; i < TQ_COUNT(ops); i++)
        CHECK_EQ(check_count(back, ops[i]), check_count(graph, ops[i]), "(%s)", ops[i]);
    CHECK_EQ(check_count(back, "SumPool"), 1); /* the window is the whole plane */
    tq_graph_destroy(graph);
    tq_graph_destroy(back);
}
