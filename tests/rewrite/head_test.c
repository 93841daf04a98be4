/* The walk-through's head of MobileNetV1 as a text rule: on the zoo's network, quantised but for its head, average pool and
 * linear layer become a sum of codes and a layer whose weights absorb the scale; the logits stay. */
#include "road.h"

static const char *const head =
    "rule mnv1_head {\n"
    "  p = GlobalAveragePool(x) sole\n"
    "  f = Flatten(p) sole\n"
    "  y = Gemm(f, w: const, b: const?)\n"
    "  where scale(x) > 0\n"
    "=>\n"
    "  q = ReduceSum(round(x / scale(x)), [2, 3]) [keepdims = 0]\n"
    "  y = @y(q, w * (scale(x) / (dims(x, 2) * dims(x, 3))), b)\n"
    "}\n";

/* Everything is quantised but the head. */
static const char *write_recipe(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/head.yaml", check_folder());
    FILE *file = fopen(path, "w");
    CHECK(file);
    fprintf(file, "base: pact8\nrules:\n  - {slot: [pool, interposed], quantizer: none}\n"
                  "  - {slot: weight, filter: {last: true}, quantizer: none}\n");
    CHECK_EQ(fclose(file), 0);
    return path;
}

TEST(the_head_of_mobilenet_v1_computes_on_codes)
{
    tq_arena *arena = tq_arena_create();
    int n, n_rules;
    const tq_editor *const *editors;
    tq_graph *before = road_build("mobilenet_v1", 0.25, 3, 64, 64);
    road_fake(&before, write_recipe());
    tq_graph *after = tq_graph_clone(before);
    CHECK_OK(tq_rules_parse(check_registry(), head, "head", arena, &n_rules, &editors));
    CHECK_OK(tq_editor_apply(editors[0], after, NULL, &n));
    CHECK_EQ(n, 1);
    CHECK_EQ(check_count(after, "GlobalAveragePool"), 0);
    CHECK_EQ(check_count(after, "ReduceSum"), 1);
    CHECK_EQ(check_count(after, "Gemm"), 1);

    const int64_t dims[] = { 2, 3, 64, 64 };
    tq_tensor x = check_random_f32(4, dims, 3, 0, 1);
    tq_tensor y = check_run(before, &x), z = check_run(after, &x);
    double max = 0, largest = 0;
    for (int64_t i = 0; i < tq_tensor_count(&y); i++) {
        max = fmax(max, fabs((double)((float *)y.data)[i] - (double)((float *)z.data)[i]));
        largest = fmax(largest, fabs((double)((float *)y.data)[i]));
    }
    CHECK(largest > 0);
    CHECK_NEAR(max / largest, 0.0, 1e-5);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    tq_tensor_reset(&z);
    tq_graph_destroy(before);
    tq_graph_destroy(after);
    tq_arena_destroy(arena);
}
