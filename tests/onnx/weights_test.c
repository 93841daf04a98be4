/* Weights files, and weights by name into a network. */
#include "check.h"

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", check_folder(), name);
    return path;
}

static const char network[] = "input x: f32[1,2] const fc.weight: f32[2,2] = {1, 2, 3, 4} "
                              "const fc.bias: f32[2] = {5, 6} const lo: f32[] = {0} "
                              "h = Gemm(x, fc.weight, fc.bias) y = Clip(h, lo)";

static tq_tensor make(tq_dtype dtype, int rank, const int64_t *dims, double value)
{
    const tq_type type = tq_type_make(dtype, rank, dims);
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        tq_store_f64(tensor.data, dtype, i, value + (double)i);
    return tensor;
}

static float element(const tq_graph *graph, const char *name, int i)
{
    return ((const float *)tq_value_tensor(tq_graph_find_value(graph, name))->data)[i];
}

TEST(safetensors_come_back_the_same)
{
    tq_graph *graph = check_graph(network);
    CHECK_OK(tq_safetensors_save(graph, path_of("w.safetensors")));
    tq_arena *arena = tq_arena_create();
    int n;
    const char **names;
    tq_tensor *tensors;
    CHECK_OK(tq_safetensors_load(path_of("w.safetensors"), arena, &n, &names, &tensors));
    CHECK_EQ(n, 3);
    CHECK_STR(names[0], "fc.weight");
    CHECK(tq_tensor_equal(&tensors[0], tq_value_tensor(tq_graph_find_value(graph, "fc.weight"))));
    CHECK_OK(tq_weights_apply(graph, n, names, tensors));
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&tensors[i]);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

TEST(weights_are_converted_and_counters_ignored)
{
    tq_graph *graph = check_graph(network);
    const char *const names[] = { "fc.bias", "fc.weight", "bn.num_batches_tracked" };
    tq_tensor tensors[] = { make(TQ_F16, 1, (int64_t[]){ 2 }, 7),
                            make(TQ_F64, 2, (int64_t[]){ 2, 2 }, 1), make(TQ_I64, 0, NULL, 3) };
    CHECK_OK(tq_weights_apply(graph, 3, names, tensors));
    CHECK_EQ(element(graph, "fc.bias", 1), 8);
    CHECK_EQ(tq_value_type(tq_graph_find_value(graph, "fc.bias"))->dtype, TQ_F32);
    for (int i = 0; i < 3; i++)
        tq_tensor_reset(&tensors[i]);
    tq_graph_destroy(graph);
}

TEST(all_that_does_not_fit_is_listed_and_nothing_changes)
{
    tq_graph *graph = check_graph(network);
    const char *const names[] = { "fc.weight", "head.a", "head.b" };
    tq_tensor tensors[] = { make(TQ_F32, 1, (int64_t[]){ 3 }, 0), make(TQ_F32, 0, NULL, 0),
                            make(TQ_F32, 0, NULL, 0) };
    CHECK_FAILS(tq_weights_apply(graph, 3, names, tensors), TQ_ERR_VALUE,
                "missing: 'fc.bias'; extra: 'head.a', 'head.b'; of another shape or dtype: "
                "'fc.weight' (given f32[3], needed f32[2,2])");
    CHECK_EQ(element(graph, "fc.weight", 3), 4);
    for (int i = 0; i < 3; i++)
        tq_tensor_reset(&tensors[i]);
    tq_graph_destroy(graph);
}

static void check_broken(const char *header, size_t data_size, const char *text)
{
    char bytes[1024] = { 0 };
    const size_t n = strlen(header);
    bytes[0] = (char)n;
    bytes[1] = (char)(n >> 8);
    memcpy(bytes + 8, header, n);
    CHECK_OK(tq_file_write(path_of("broken"), bytes, 8 + n + data_size));
    tq_arena *arena = tq_arena_create();
    int count;
    const char **names;
    tq_tensor *tensors;
    CHECK_FAILS(tq_safetensors_load(path_of("broken"), arena, &count, &names, &tensors),
                TQ_ERR_FORMAT, text);
    tq_arena_destroy(arena);
}

TEST(broken_safetensors_end_in_one_error)
{
    check_broken("{\"a\": 3}", 0, "tensor 'a': has no dtype");
    check_broken("[]", 0, "no JSON object");
    check_broken("{\"a\": ", 0, "no JSON object");
    check_broken("{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}", 8,
                 "has 4 bytes, f32[2] needs 8");
    check_broken("{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}", 4,
                 "ends at byte 8");
    check_broken("{\"a\": {\"dtype\": \"F32\", \"shape\": [-2], \"data_offsets\": [0, 8]}}", 8,
                 "list of sizes");
    check_broken("{\"a\": {\"dtype\": \"F32\", \"shape\": [1e30], \"data_offsets\": [0, 8]}}", 8,
                 "list of sizes");
    check_broken("{\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 1]}, "
                 "\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 1]}}",
                 1, "there twice");
}

TEST(a_file_shorter_than_its_header_is_no_safetensors)
{
    CHECK_OK(tq_file_write(path_of("short"), "\xff\xff\0\0\0\0\0\0{}", 10));
    tq_arena *arena = tq_arena_create();
    int n;
    const char **names;
    tq_tensor *tensors;
    CHECK_FAILS(tq_safetensors_load(path_of("short"), arena, &n, &names, &tensors), TQ_ERR_FORMAT,
                "cut off");
    tq_arena_destroy(arena);
}
