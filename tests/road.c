#include "road.h"

tq_dataset *road_random_data(const tq_graph *graph, int64_t n, uint64_t seed)
{
    tq_type type = *tq_value_type(tq_graph_input(graph, 0));
    type.dims[0] = n;
    type.dtype = TQ_F32;
    tq_tensor x = check_random_f32(type.rank, type.dims, seed, 0, 1);
    char spec[300];
    snprintf(spec, sizeof spec, "npz:%s/random%d.npz", check_folder(), (int)seed);
    CHECK_OK(tq_npz_save(spec + 4, 1, (const char *const[]){ "inputs" }, &x));
    tq_tensor_reset(&x);
    tq_dataset *dataset;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &dataset));
    return dataset;
}

static void perturb(tq_graph *graph, const tq_node *norm, int i, double lo, double hi)
{
    (void)graph;
    void *data;
    tq_value *value = tq_node_input(norm, i);
    CHECK_OK(tq_value_own(value, &data));
    tq_random random;
    tq_random_init(&random, 5, (uint64_t)i, 0);
    for (int64_t c = 0; c < tq_type_count(tq_value_type(value)); c++)
        ((float *)data)[c] = (float)(lo + (hi - lo) * tq_random_uniform(&random));
}

tq_graph *road_build(const char *zoo, double capacity, int64_t c, int64_t h, int64_t w)
{
    tq_graph *graph;
    CHECK_OK(tq_zoo_build(check_registry(), zoo,
                          &(tq_zoo_options){ .capacity = capacity, .input = { c, h, w }, .classes = 10, .seed = 3 },
                          &graph));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "BatchNormalization")) {
            perturb(graph, node, 1, 0.5, 1.5);
            perturb(graph, node, 2, -0.3, 0.3);
            perturb(graph, node, 3, -0.2, 0.2);
            perturb(graph, node, 4, 0.5, 2.0);
        }
    return graph;
}

void road_fake(tq_graph **graph, const char *recipe_name)
{
    const tq_registry *registry = check_registry();
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(registry, recipe_name, arena, &recipe));
    const tq_edit edit = { .registry = registry, .recipe = recipe };
    CHECK_OK(tq_pipeline_run(registry, recipe->pipeline, graph, &edit));
    tq_arena_destroy(arena);
    tq_dataset *data = road_random_data(*graph, 16, 11);
    CHECK_OK(tq_calibrate(*graph, &(tq_calibrate_options){ .registry = registry, .data = data, .batch = 8,
                                                           .n_threads = 1 }));
    tq_dataset_close(data);
}

void road_true(tq_graph **graph, const char *backend)
{
    const tq_registry *registry = check_registry();
    const tq_backend *target = (const tq_backend *)(const void *)tq_registry_get(registry, TQ_KIND_BACKEND, backend);
    const tq_true_options options = { .backend = backend, .fixed_shift = -1, .limits = target->requant };
    const tq_edit edit = { .registry = registry, .true_options = &options };
    CHECK_OK(tq_pipeline_run(registry, "f2t", graph, &edit));
}

tq_tensor road_codes(const tq_graph *graph, int64_t n, uint64_t seed)
{
    const tq_value *input = tq_graph_input(graph, 0);
    tq_type type = *tq_value_type(input);
    type.dims[0] = n;
    tq_tensor codes;
    CHECK_OK(tq_tensor_init(&codes, &type));
    int64_t lo = tq_dtype_min(type.dtype), hi = tq_dtype_max(type.dtype);
    tq_value_meta_i64(input, "quant.q_min", &lo);
    tq_value_meta_i64(input, "quant.q_max", &hi);
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        tq_store_i64(codes.data, type.dtype, i, lo + tq_random_below(&random, hi - lo + 1));
    return codes;
}
