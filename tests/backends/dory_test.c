/* DORY's files, read back: the network as the frontend sees it, lifted to integers, gives layer by layer the features that were
 * written; what the frontend would refuse is refused before anything is written. */
#include "road.h"

#include <sys/stat.h>
#include <unistd.h>

static tq_status export_to(const tq_graph *graph, const char *folder, const tq_tensor *codes)
{
    const tq_backend *dory = (const tq_backend *)(const void *)tq_registry_get(check_registry(), TQ_KIND_BACKEND, "dory");
    return dory->export_files(graph, &(tq_export_request){ .folder = folder, .name = "net", .inputs = codes,
                                                           .n_inputs = 1, .registry = check_registry() });
}

/* The numbers of a feature file, in its order. */
static int64_t read_features(const char *folder, const char *file, int64_t *values, int64_t max)
{
    char path[600], line[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *in = fopen(path, "r");
    if (!in)
        return -1;
    CHECK(fgets(line, sizeof line, in) && line[0] == '#');
    int64_t n = 0;
    while (n < max && fgets(line, sizeof line, in)) {
        CHECK(strchr(line, ','));
        values[n++] = strtoll(line, NULL, 10);
    }
    fclose(in);
    return n;
}

/* x in H, W, C order, as the files have it. */
static int64_t hwc(const tq_tensor *x, int64_t i)
{
    const int64_t *d = x->type.dims;
    if (x->type.rank != 4)
        return tq_load_i64(x->data, x->type.dtype, i);
    const int64_t c = i % d[1], w = i / d[1] % d[3], h = i / d[1] / d[3];
    return tq_load_i64(x->data, x->type.dtype, (c * d[2] + h) * d[3] + w);
}

static bool equals(const tq_tensor *x, const int64_t *values, int64_t n)
{
    bool same = tq_tensor_count(x) == n;
    for (int64_t i = 0; same && i < n; i++)
        same = hwc(x, i) == values[i];
    return same;
}

static bool equals_some_value(const tq_graph *graph, const tq_engine *engine, const int64_t *values, int64_t n)
{
    for (int i = 0; i < tq_graph_n_values(graph); i++) {
        const tq_tensor *x = tq_engine_value(engine, tq_value_name(tq_graph_value(graph, i)));
        if (x && equals(x, values, n))
            return true;
    }
    return false;
}

/* Every out_layer file equals some tensor of the re-read network; how many there are. */
static int check_features(const char *folder, const tq_graph *reread, const tq_engine *engine)
{
    enum { MAX = 1 << 20 };
    int64_t *values = malloc(MAX * sizeof *values);
    int layer = 0;
    for (;; layer++) {
        char file[32];
        snprintf(file, sizeof file, "out_layer%d.txt", layer);
        const int64_t n = read_features(folder, file, values, MAX);
        if (n < 0)
            break;
        CHECK_EQ(equals_some_value(reread, engine, values, n), true, "(no tensor equals layer %d)", layer);
    }
    free(values);
    return layer;
}

static int export_and_reread(const char *zoo, double capacity, int64_t c, int64_t h, int64_t w)
{
    tq_graph *graph = road_build(zoo, capacity, c, h, w), *reread;
    road_fake(&graph, "pact8");
    road_true(&graph, "dory");
    tq_tensor codes = road_codes(graph, 1, 7), wide;
    char folder[256], path[512];
    snprintf(folder, sizeof folder, "%s/%s", check_folder(), zoo);
    CHECK_OK(export_to(graph, folder, &codes));
    snprintf(path, sizeof path, "%s/net_ql_integerized.onnx", folder);
    CHECK_OK(tq_model_load(check_registry(), path, NULL, &reread));
    CHECK_OK(tq_tensor_cast(&codes, tq_value_type(tq_graph_input(reread, 0))->dtype, &wide));
    tq_engine *engine;
    CHECK_OK(tq_engine_create(reread, &wide.type, 1, &(tq_engine_options){ .keep_all = true }, &engine));
    CHECK_OK(tq_engine_run(engine, &wide, 1, 0));
    const int n_layers = check_features(folder, reread, engine);
    tq_engine_destroy(engine);
    tq_tensor_reset(&codes);
    tq_tensor_reset(&wide);
    tq_graph_destroy(reread);
    tq_graph_destroy(graph);
    return n_layers;
}

TEST(mobilenet_v1_is_read_back_layer_by_layer)
{
    CHECK_EQ(export_and_reread("mobilenet_v1", 0.25, 3, 32, 32), 27 + 2);
}

TEST(a_residual_network_is_read_back_layer_by_layer)
{
    CHECK_EQ(export_and_reread("resnet8", 0.5, 3, 16, 16), 9 + 3 + 2);
}

TEST(mobilenet_v2_is_read_back)
{
    CHECK(export_and_reread("mobilenet_v2", 0.35, 3, 32, 32) > 50);
}

TEST(a_network_for_another_target_is_refused_and_nothing_is_written)
{
    tq_graph *graph = road_build("resnet8", 0.5, 3, 16, 16);
    road_fake(&graph, "pact8");
    road_true(&graph, "generic");
    tq_tensor codes = road_codes(graph, 1, 7);
    char folder[256];
    snprintf(folder, sizeof folder, "%s/refused", check_folder());
    CHECK_FAILS(export_to(graph, folder, &codes), TQ_ERR_UNSUPPORTED, "truq f2t --backend dory");
    CHECK(access(folder, F_OK) != 0);
    tq_tensor_reset(&codes);
    tq_graph_destroy(graph);
}

TEST(a_float_network_is_refused)
{
    tq_graph *graph = road_build("resnet8", 0.5, 3, 16, 16);
    CHECK_FAILS(export_to(graph, check_folder(), NULL), TQ_ERR_STATE, "not true-quantised");
    tq_graph_destroy(graph);
}
