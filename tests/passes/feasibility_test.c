/* What a target can run, known beforehand: verdicts, reasons, memory; and the table that decides.
 */
#include "road.h"

static const tq_backend *backend_of(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_BACKEND, name, &entry));
    return (const tq_backend *)(const void *)entry;
}

static const tq_feasible_node *row_of(const tq_feasibility *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->nodes[i].node, name) == 0)
            return &f->nodes[i];
    check_fail(__FILE__, __LINE__, "no row '%s'", name);
}

static bool has_editor(const tq_feasible_node *row, const char *name)
{
    for (int i = 0; i < row->n_editors; i++)
        if (strcmp(row->editors[i], name) == 0)
            return true;
    return false;
}

static tq_feasibility judge(const char *text, const char *backend, tq_arena *arena)
{
    tq_graph *graph = check_graph(text);
    tq_feasibility f;
    CHECK_OK(tq_feasibility_run(graph, backend_of(backend), NULL, arena, &f));
    tq_graph_destroy(graph);
    return f;
}

static void check_refused(const char *text, const char *node, const char *why)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge(text, "dory", arena);
    CHECK_EQ(f.runs, false, "(%s)", text);
    CHECK_EQ(row_of(&f, node)->verdict, TQ_NEVER_RUNS, "(%s)", text);
    CHECK_EQ(strstr(row_of(&f, node)->why, why) != NULL, true, "(why: %s)", row_of(&f, node)->why);
    tq_arena_destroy(arena);
}

TEST(a_network_of_the_zoo_runs_after_editors)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    char *before = tq_graph_print(graph, 0), *after;
    tq_feasibility f;
    CHECK_OK(tq_feasibility_run(graph, backend_of("dory"), NULL, arena, &f));
    CHECK_EQ(f.runs, true, "(%s)", f.problem ? f.problem : "");
    CHECK_EQ(f.n_never, 0);
    CHECK_EQ(f.n_after, tq_graph_n_nodes(graph));
    CHECK(has_editor(row_of(&f, "conv1"), "quantize-weights"));
    CHECK(has_editor(row_of(&f, "conv1"), "integerise"));
    CHECK(has_editor(row_of(&f, "stage1.add"), "harmonise-adds"));
    after = tq_graph_print(graph, 0);
    CHECK_STR(before, after);
    free(before);
    free(after);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(all_stages_of_a_network_agree)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    tq_feasibility f[3];
    CHECK_OK(tq_feasibility_run(graph, backend_of("dory"), NULL, arena, &f[0]));
    road_fake(&graph, "pact8");
    CHECK_OK(tq_feasibility_run(graph, backend_of("dory"), NULL, arena, &f[1]));
    road_true(&graph, "dory");
    CHECK_OK(tq_feasibility_run(graph, backend_of("dory"), NULL, arena, &f[2]));
    for (int i = 0; i < 3; i++) {
        CHECK(f[i].runs);
        CHECK_EQ(f[i].macs, f[0].macs, "(stage %d)", i);
        CHECK_EQ(f[i].peak_bytes, f[0].peak_bytes, "(stage %d)", i);
        CHECK_NEAR((double)f[i].weight_bytes, (double)f[0].weight_bytes,
                   0.02 * (double)f[0].weight_bytes);
    }
    CHECK_EQ(f[2].n_runs, f[2].n);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(an_uncalibrated_network_is_judged_too)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge("input x: f32[1,2,4,4]\n const w: f32[3,2,1,1] = random(1)\n"
                                   "const lo: f32[1] = nan\n const hi: f32[1] = nan\n"
                                   "q = FakeQuantize(x, lo, hi) [q_min=-128]\n"
                                   "const wl: f32[1] = -1\n const wh: f32[1] = 1\n"
                                   "v = FakeQuantize(w, wl, wh) [q_min=-128]\n y = Conv(q, v)",
                                   "generic", arena);
    CHECK(f.runs);
    CHECK_EQ(f.n, 3);
    tq_arena_destroy(arena);
}

TEST(limits_of_the_target_are_reasons)
{
    check_refused("input x: f32[1,4,8,8]\n const w: f32[8,4,3,3] = random(1)\n y = Conv(x, w) "
                  "[dilations=[2,2]] \"c\"\n z = Relu(y)",
                  "c", "dilation 2 is beyond 1");
    check_refused("input x: f32[1,4,8,8]\n const w: f32[8,2,3,3] = random(1)\n y = Conv(x, w) "
                  "[group=2] \"c\"\n z = Relu(y)",
                  "c", "2 groups");
    check_refused(
        "input x: f32[1,4,8,8]\n y = MaxPool(x) [kernel_shape=[2,2], pads=[0,0,1,1]] \"p\"", "p",
        "padding is not symmetric");
    check_refused("input x: f32[1,4,8]\n const w: f32[8,4,3] = random(1)\n y = Conv(x, w) \"c\"",
                  "c", "rank 3");
    check_refused("input x: f32[1,4,8,8]\n y = Transpose(x) [perm=[0,2,3,1]] \"t\"", "t",
                  "no operator 'Transpose'");
}

TEST(what_has_no_integer_form_never_runs)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f =
        judge("input x: f32[2,4]\n const w: f32[4,4] = random(1)\n a = MatMul(x, w) \"m\"\n"
              "const k: f32[] = 1\n b = Mod(a, k) [fmod=1] \"odd\"\n c = MatMul(b, w) \"n\"",
              "generic", arena);
    CHECK_EQ(f.n_never, 1);
    CHECK_EQ(row_of(&f, "odd")->verdict, TQ_NEVER_RUNS);
    CHECK_EQ(row_of(&f, "n")->verdict, TQ_RUNS_AFTER);
    CHECK(!f.runs);
    tq_arena_destroy(arena);
}

TEST(what_may_overflow_never_runs)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge("input x: i32[2,4]\n const w: i32[4,3] = 9\n"
                                   "a = MatMul(x, w) \"m\"",
                                   "generic", arena);
    CHECK_EQ(row_of(&f, "m")->verdict, TQ_NEVER_RUNS);
    CHECK(strstr(row_of(&f, "m")->why, "may overflow: sum") != NULL);
    tq_arena_destroy(arena);
}

TEST(activations_share_memory_when_they_can)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge("input x: f32[1,2,4,4]\n const w: f32[8,2,1,1] = random(1)\n"
                                   "a = Conv(x, w) \"c\"\n b = Relu(a)\n d = Flatten(b)\n"
                                   "const v: f32[128,3] = random(2)\n e = Gemm(d, v) \"g\"",
                                   "dory", arena);
    CHECK_EQ(f.peak_bytes, 32 + 128);
    CHECK_STR(f.peak_node, "c");
    CHECK_EQ(row_of(&f, "c")->weight_bytes, 16);
    CHECK_EQ(row_of(&f, "g")->weight_bytes, 128 * 3);
    CHECK_EQ(f.macs, 16 * 16 + 128 * 3);
    tq_arena_destroy(arena);
}

/* Weights of 4 bits take half the bytes. */
TEST(bits_of_quantisers_count)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge("input x: f32[1,2,4,4]\n const w: f32[8,2,1,1] = random(1)\n"
                                   "const wl: f32[1] = -1\n const wh: f32[1] = 1\n"
                                   "v = FakeQuantize(w, wl, wh) [q_min=-8, n_levels=16]\n"
                                   "q = FakeQuantize(x, wl, wh) [q_min=-2, n_levels=4]\n"
                                   "y = Conv(q, v) \"c\"",
                                   "generic", arena);
    CHECK_EQ(row_of(&f, "c")->weight_bytes, 8);
    CHECK_EQ(f.weight_bytes, 8);
    CHECK_EQ(f.peak_bytes, 8 + 128);
    tq_arena_destroy(arena);
}

TEST(a_network_too_large_for_every_chip_does_not_run)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f = judge(
        "input x: f32[1,3000]\n const w: f32[3000,3000] = 0.5\n y = MatMul(x, w)", "dory", arena);
    CHECK_EQ(f.n_never, 0);
    CHECK(!f.runs);
    CHECK_EQ(f.n_chips, 3);
    CHECK(!f.chips[0].fits_outside);
    tq_arena_destroy(arena);
}

/* A requantisation that no layer can take up shows only in the whole. */
TEST(the_whole_is_looked_at)
{
    tq_arena *arena = tq_arena_create();
    const tq_feasibility f =
        judge("input x: f32[1,4,8,8]\n y = MaxPool(x) [kernel_shape=[2,2]]\n"
              "z = Relu(y)\n const w: f32[2,4,1,1] = random(1)\n o = Conv(z, w)",
              "dory", arena);
    CHECK_EQ(f.n_never, 0);
    CHECK_EQ(f.runs, f.problem == NULL);
    CHECK(f.problem != NULL && strstr(f.problem, "DORY") != NULL);
    tq_arena_destroy(arena);
}

/* ---- the table ---- */

TEST(the_table_says_what_is_found_and_expected)
{
    static const tq_op_limits ops[] = { { .op = "ConvInteger",
                                          .kernel_max = 3,
                                          .stride_max = 1,
                                          .out_channels_max = 4,
                                          .weight_dtypes = 1 << TQ_I8 },
                                        { 0 } };
    const tq_backend backend = { .entry = { .name = "tiny" }, .ops = ops };
    tq_graph *graph =
        check_graph("input x: u8[1,2,8,8]\n const w: i8[4,2,5,5] = 1\n y = ConvInteger(x, w)");
    CHECK_FAILS(tq_backend_check_node(&backend, tq_graph_first(graph)), TQ_ERR_UNSUPPORTED,
                "kernel 5 is beyond 3");
    tq_graph_destroy(graph);
    graph = check_graph("input x: u8[1,2,8,8]\n const w: u8[4,2,3,3] = 1\n y = ConvInteger(x, w)");
    CHECK_FAILS(tq_backend_check_node(&backend, tq_graph_first(graph)), TQ_ERR_UNSUPPORTED,
                "its weight is u8, expected i8");
    tq_graph_destroy(graph);
    graph = check_graph(
        "input x: u8[1,2,8,8]\n const w: i8[5,2,3,3] = 1\n y = ConvInteger(x, w) \"c\"");
    CHECK_FAILS(tq_backend_check_graph(&backend, graph), TQ_ERR_UNSUPPORTED,
                "backend 'tiny' cannot run node 'c' (ConvInteger): number of output channels 5");
    tq_graph_destroy(graph);
    graph = check_graph("input x: u8[1,2,8,8]\n const w: i8[4,2,3,3] = 1\n const z: u8[] = 3\n"
                        "y = ConvInteger(x, w, z)");
    CHECK_FAILS(tq_backend_check_node(&backend, tq_graph_first(graph)), TQ_ERR_UNSUPPORTED,
                "zero point");
    tq_graph_destroy(graph);
}
