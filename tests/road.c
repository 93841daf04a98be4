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
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(), recipe_name, arena, &recipe));
    road_fake_with(graph, recipe);
    tq_arena_destroy(arena);
}

void road_fake_with(tq_graph **graph, const tq_recipe *recipe)
{
    const tq_registry *registry = check_registry();
    const tq_edit edit = { .registry = registry, .recipe = recipe };
    CHECK_OK(tq_pipeline_run(registry, recipe->pipeline, graph, &edit));
    tq_dataset *data = road_random_data(*graph, 16, 11);
    CHECK_OK(tq_calibrate(*graph, &(tq_calibrate_options){ .registry = registry, .data = data, .batch = 8,
                                                           .n_threads = 1 }));
    tq_dataset_close(data);
}

tq_requant_limits road_limits(const char *backend)
{
    return ((const tq_backend *)(const void *)tq_registry_get(check_registry(), TQ_KIND_BACKEND, backend))->requant;
}

void road_true(tq_graph **graph, const char *backend)
{
    const tq_registry *registry = check_registry();
    const tq_true_options options = { .backend = backend, .fixed_shift = -1, .limits = road_limits(backend) };
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

/* ---- runs ---- */

static tq_tensor random_input(const tq_value *input, int64_t n, uint64_t seed)
{
    tq_type type = *tq_value_type(input);
    for (int d = 0; d < type.rank; d++)
        if (type.dims[d] == TQ_DIM_ANY)
            type.dims[d] = n;
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init(&tensor, &type));
    int64_t lo = -128, hi = 127;
    const bool is_float = tq_dtype_is_float(type.dtype);
    if (!is_float) {
        lo = tq_dtype_min(type.dtype);
        hi = tq_dtype_max(type.dtype);
        tq_value_meta_i64(input, "quant.q_min", &lo);
        tq_value_meta_i64(input, "quant.q_max", &hi);
    }
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int64_t i = 0; i < tq_type_count(&type); i++) {
        if (is_float)
            tq_store_f64(tensor.data, type.dtype, i, 2 * tq_random_uniform(&random) - 1);
        else
            tq_store_i64(tensor.data, type.dtype, i, lo + tq_random_below(&random, hi - lo + 1));
    }
    return tensor;
}

void road_run_open_with(road_run *run, const tq_graph *graph, int64_t n, uint64_t seed, const tq_engine_options *options)
{
    tq_type types[ROAD_MAX_INPUTS];
    run->n_inputs = tq_graph_n_inputs(graph);
    CHECK(run->n_inputs <= ROAD_MAX_INPUTS);
    for (int i = 0; i < run->n_inputs; i++) {
        run->inputs[i] = random_input(tq_graph_input(graph, i), n, seed + (uint64_t)i);
        types[i] = run->inputs[i].type;
    }
    CHECK_OK(tq_engine_create(graph, types, run->n_inputs, options, &run->engine));
    CHECK_OK(tq_engine_run(run->engine, run->inputs, run->n_inputs, 0));
}

void road_run_open(road_run *run, const tq_graph *graph, int64_t n, uint64_t seed)
{
    road_run_open_with(run, graph, n, seed, &(tq_engine_options){ .keep_all = true });
}

void road_run_close(road_run *run)
{
    tq_engine_destroy(run->engine);
    for (int i = 0; i < run->n_inputs; i++)
        tq_tensor_reset(&run->inputs[i]);
}

double road_distance(const tq_tensor *a, const tq_tensor *b)
{
    if (!tq_type_equal(&a->type, &b->type))
        return INFINITY;
    double worst = 0;
    for (int64_t i = 0; i < tq_tensor_count(a); i++) {
        const double d = tq_load_f64(a->data, a->type.dtype, i) - tq_load_f64(b->data, b->type.dtype, i);
        worst = isnan(d) ? INFINITY : fmax(worst, fabs(d));
    }
    return worst;
}

/* ---- fake against true ---- */

typedef struct comparison {
    const tq_graph *fake, *integer;
    road_run run;
    tq_tensor *values; /* of the fake graph, by number of value */
    road_agreement found;
} comparison;

static int number_of(const tq_graph *graph, const tq_value *value)
{
    for (int i = 0; i < tq_graph_n_values(graph); i++)
        if (tq_graph_value(graph, i) == value)
            return i;
    return -1;
}

/* scale * (code - zero point), as floats. */
static tq_tensor reals_of(const tq_tensor *codes, double scale, int64_t zero_point)
{
    tq_type type = codes->type;
    type.dtype = TQ_F32;
    tq_tensor reals;
    CHECK_OK(tq_tensor_init(&reals, &type));
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)reals.data)[i] = (float)(scale * (double)(tq_load_i64(codes->data, codes->type.dtype, i) - zero_point));
    return reals;
}

static double largest(const tq_tensor *x)
{
    double most = 0;
    for (int64_t i = 0; i < tq_tensor_count(x); i++)
        most = fmax(most, fabs((double)((const float *)x->data)[i]));
    return most;
}

/* Compares one value, then gives the fake network what the true one has: what follows sees equal inputs. */
static void compare_value(comparison *c, const tq_value *value, const tq_value *twin)
{
    double scale;
    int64_t zero_point;
    CHECK(tq_value_meta_f64(twin, "quant.scale", &scale) && tq_value_meta_i64(twin, "quant.zero_point", &zero_point));
    const tq_tensor *codes = tq_engine_value(c->run.engine, tq_value_name(twin));
    CHECK_EQ(codes != NULL, true, "(value '%s' of the true network)", tq_value_name(twin));
    tq_tensor reals = reals_of(codes, scale, zero_point), *x = &c->values[number_of(c->fake, value)];
    CHECK_EQ(tq_tensor_count(x), tq_tensor_count(&reals), "(elements of '%s')", tq_value_name(value));
    const bool is_output = tq_value_is_output(twin);
    const tq_node *producer = tq_value_producer(twin);
    const bool summed = producer && tq_node_is(producer, "Add") && !tq_node_is(tq_value_producer(value), "FakeQuantize");
    const double slack = (summed ? 1e-4 : 2e-6) * largest(x);
    for (int64_t i = 0; i < tq_tensor_count(x); i++) {
        const double steps = fmax(fabs((double)((float *)x->data)[i] - (double)((float *)reals.data)[i]) - slack, 0) / scale;
        CHECK_EQ(steps <= 1.001, true, "(element %d of '%s' is %g, '%s' says %g: %g steps of %g)", (int)i, tq_value_name(value),
                 (double)((float *)x->data)[i], tq_value_name(twin), (double)((float *)reals.data)[i], steps, scale);
        c->found.n_different += steps > 0.6;
        c->found.worst_steps = fmax(c->found.worst_steps, steps);
    }
    c->found.n_elements += tq_tensor_count(x);
    c->found.n_values++;
    c->found.n_outputs += is_output;
    tq_tensor_reset(x);
    *x = reals;
}

static void compare_node(comparison *c, const tq_node *node)
{
    const tq_tensor *inputs[32] = { 0 };
    tq_tensor outputs[TQ_OP_MAX_NAMES] = { 0 };
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        if (value)
            inputs[i] = tq_value_is_const(value) ? tq_value_tensor(value) : &c->values[number_of(c->fake, value)];
    }
    CHECK_OK(tq_op_evaluate(check_registry(), tq_node_op(node), tq_node_attrs(node), inputs, tq_node_n_inputs(node), outputs,
                            tq_node_n_outputs(node)));
    for (int k = 0; k < tq_node_n_outputs(node); k++) {
        const tq_value *value = tq_node_output(node, k);
        c->values[number_of(c->fake, value)] = outputs[k];
        const int n_before = c->found.n_values;
        for (int i = 0; i < tq_graph_n_values(c->integer); i++) {
            const char *of = tq_value_meta(tq_graph_value(c->integer, i), "quant.of");
            if (of && strcmp(of, tq_value_name(value)) == 0)
                compare_value(c, value, tq_graph_value(c->integer, i));
        }
        const bool quantizer = tq_node_is(node, "FakeQuantize") && !tq_node_is_const_from(node, 0);
        c->found.n_quantizers += quantizer;
        c->found.n_matched += quantizer && c->found.n_values > n_before;
    }
}

road_agreement road_compare(const tq_graph *fake, const tq_graph *integer, int64_t n, uint64_t seed)
{
    comparison c = { .fake = fake, .integer = integer };
    c.values = calloc((size_t)tq_graph_n_values(fake), sizeof *c.values);
    road_run_open(&c.run, integer, n, seed);
    for (int i = 0; i < tq_graph_n_inputs(fake); i++) {
        const tq_value *input = tq_graph_input(integer, i);
        double scale = 1;
        int64_t zero_point = 0;
        if (tq_value_type(tq_graph_input(fake, i))->dtype == TQ_F32)
            CHECK(tq_value_meta_f64(input, "quant.scale", &scale) && tq_value_meta_i64(input, "quant.zero_point", &zero_point));
        c.values[number_of(fake, tq_graph_input(fake, i))] = reals_of(&c.run.inputs[i], scale, zero_point);
    }
    for (const tq_node *node = tq_graph_first(fake); node; node = tq_node_next(node))
        compare_node(&c, node);
    CHECK_EQ(c.found.n_outputs, tq_graph_n_outputs(fake), "(outputs compared)");
    road_run_close(&c.run);
    for (int i = 0; i < tq_graph_n_values(fake); i++)
        tq_tensor_reset(&c.values[i]);
    free(c.values);
    return c.found;
}
