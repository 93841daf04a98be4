/* The loops of truq bench: training steps and calibration passes over random data points held in
 * memory, as the library runs them. */
#include "bench.h"

#include <math.h>
#include <string.h>

/* ---- random data points ---------------------------------------------------------------------- */

/** A few random data points, over and over; labels run through the classes. */
typedef struct points {
    tq_tensor data; /* [N_POINTS, ...] */
    int64_t n_classes;
} points;

enum { N_POINTS = 16 };

static tq_status read_point(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const points *p = dataset->state;
    const tq_type *all = &p->data.type;
    const tq_type one = tq_type_make(all->dtype, all->rank - 1, all->dims + 1);
    out_sample->label = i % p->n_classes;
    return tq_tensor_init_from(&out_sample->data, &one,
                               (const float *)p->data.data +
                                   i % N_POINTS * tq_type_count_from(all, 1));
}

static const tq_dataset_driver driver = { .entry = { .name = "random" }, .read = read_point };

/** Data points for the only input of the graph. */
static tq_status make_points(const tq_bench *b, int64_t n, points *p, tq_dataset *out_dataset)
{
    const tq_graph *graph = *b->graph;
    tq_type type, output;
    if (tq_graph_n_inputs(graph) != 1 || tq_graph_n_outputs(graph) < 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "the network has %d inputs; expected 1",
                       tq_graph_n_inputs(graph));
    TQ_TRY(tq_bench_type(tq_graph_input(graph, 0), N_POINTS, &type));
    if (type.dtype != TQ_F32 || type.rank < 1)
        return tq_fail(TQ_ERR_TYPE, "the input is %s; expected f32", tq_type_text(&type).s);
    type.dims[0] = N_POINTS;
    output = *tq_value_type(tq_graph_output(graph, 0));
    p->n_classes = output.rank > 1 && output.dims[1] > 0 ? output.dims[1] : 1;
    TQ_TRY(tq_tensor_init(&p->data, &type));
    tq_bench_fill(&p->data, 1);
    *out_dataset = (tq_dataset){ .driver = &driver,
                                 .arena = b->cli->arena,
                                 .spec = "random",
                                 .n = n,
                                 .n_classes = p->n_classes,
                                 .state = p };
    return TQ_OK;
}

static tq_status find_preset(const tq_bench *b, const tq_preset **out_preset)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(b->cli->registry, TQ_KIND_PRESET, "raw", &entry));
    *out_preset = (const tq_preset *)(const void *)entry;
    return TQ_OK;
}

/* ---- calibration ----------------------------------------------------------------------------- */

static bool is_uncalibrated(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        const tq_value *parameter = tq_node_input(node, 1);
        const tq_tensor *tensor = parameter ? tq_value_tensor(parameter) : NULL;
        if (!tq_node_is(node, "FakeQuantize") || !tensor)
            continue;
        for (int64_t i = 0; i < tq_tensor_count(tensor); i++)
            if (isnan(tq_load_f64(tensor->data, tensor->type.dtype, i)))
                return true;
    }
    return false;
}

static tq_status calibrate(const tq_bench *b, tq_graph *graph, const tq_dataset *data,
                           int64_t batch)
{
    tq_calibrate_options options = {
        .registry = b->cli->registry, .data = data, .batch = batch, .n_threads = (int)b->n_threads
    };
    TQ_TRY(find_preset(b, &options.preset));
    return tq_calibrate(graph, &options);
}

tq_status tq_bench_calibrate(tq_bench *b)
{
    points p = { 0 };
    tq_dataset data;
    if (!is_uncalibrated(*b->graph))
        return TQ_OK;
    tq_status status = make_points(b, b->batch, &p, &data);
    if (!status)
        status = calibrate(b, *b->graph, &data, b->batch);
    tq_tensor_reset(&p.data);
    return status;
}

/* ---- training -------------------------------------------------------------------------------- */

/** Times steps by the calls that report them. */
typedef struct step_clock {
    tq_bench *bench;
    double last, least, shard_seconds, of_step; /* of_step: of shards, in the last step */
    int64_t n, n_steps;
    bool layers;
    tq_layer_times times;
    tq_status status;
} step_clock;

static void on_step(void *context, const tq_progress *progress)
{
    step_clock *c = context;
    const double now = tq_bench_now();
    if (strcmp(progress->phase, "train") != 0)
        return;
    if (c->n++ > 1) { /* the first steps plan and warm up */
        tq_bench_round(c->bench, now - c->last);
        if (c->least == 0.0 || now - c->last < c->least) {
            c->least = now - c->last;
            c->bench->shard_seconds = c->of_step;
        }
    }
    c->last = now;
}

/** The engine lives no longer than its training: the table is printed at the last step. */
static void on_engine(void *context, const tq_engine *engine)
{
    step_clock *c = context;
    const int n_threads = (int)c->bench->n_threads;
    c->of_step = tq_engine_shard_seconds(engine) - c->shard_seconds;
    c->shard_seconds = tq_engine_shard_seconds(engine);
    if (!c->layers)
        return;
    tq_layer_times_take(&c->times, c->bench->cli->arena, engine, n_threads);
    if (c->n == c->n_steps - 1)
        c->status = tq_layer_times_print(&c->times, false, n_threads);
}

static tq_status train_steps(tq_bench *b, int64_t n_steps, bool layers)
{
    points p = { 0 };
    tq_dataset data;
    step_clock clock = { .bench = b, .n_steps = n_steps, .layers = layers };
    tq_train_options options = { .registry = b->cli->registry,
                                 .train = &data,
                                 .loss = "cross-entropy",
                                 .optimizer = "sgd",
                                 .params = { .lr = 1e-6, .weight_decay = -1.0, .pact_decay = -1.0 },
                                 .epochs = 1,
                                 .batch = b->batch,
                                 .max_steps = n_steps,
                                 .n_threads = (int)b->n_threads,
                                 .ranks = b->cli->ranks,
                                 .compute = b->compute,
                                 .memory = (size_t)b->memory * 1000000,
                                 .profile = layers,
                                 .stepped = on_engine,
                                 .progress = on_step,
                                 .context = &clock };
    tq_train_result result;
    TQ_TRY(find_preset(b, &options.preset));
    tq_status status = make_points(b, n_steps * b->batch, &p, &data);
    if (!status)
        status = tq_train(*b->graph, &options, &result);
    b->n_steps = status ? 0 : result.steps;
    b->exchange = status ? (tq_exchange_counts){ 0 } : result.exchange;
    tq_tensor_reset(&p.data);
    if (status)
        tq_status_drop(clock.status);
    return status ? status : clock.status;
}

tq_status tq_bench_train(tq_bench *b)
{
    enum { FIRST = 5, MOST = 1000 };
    b->images_a_round = b->batch;
    TQ_TRY(tq_bench_calibrate(b));
    TQ_TRY(train_steps(b, FIRST, false));
    /* only the first rank hears of steps */
    const double step = b->rounds.n > 0 ? b->rounds.seconds[b->rounds.n - 1] : 1.0;
    int64_t n = (int64_t)tq_clip_i64((int64_t)(b->seconds / step), 0, MOST);
    TQ_TRY(tq_ranks_broadcast(b->cli->ranks, &n, sizeof n));
    return train_steps(b, n + 3, b->layers);
}

/* ---- calibration passes ---------------------------------------------------------------------- */

/** The float network underneath: quantisers let everything through. */
static tq_graph *without_quantizers(const tq_graph *graph)
{
    tq_graph *copy = tq_graph_clone(graph);
    for (tq_node *node = tq_graph_first(copy); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize"))
            tq_value_redirect_consumers(tq_node_output(node, 0), tq_node_input(node, 0));
    tq_graph_sweep(copy);
    return copy;
}

static tq_status run_forward(tq_bench *b, const tq_graph *graph, tq_pool *pool)
{
    tq_type type;
    tq_tensor x;
    tq_engine *engine = NULL;
    TQ_TRY(tq_bench_type(tq_graph_input(graph, 0), b->batch, &type));
    TQ_TRY(tq_tensor_init(&x, &type));
    tq_bench_fill(&x, 1);
    const double start = tq_bench_now();
    tq_status status =
        tq_engine_create(graph, &type, 1, &(tq_engine_options){ .pool = pool }, &engine);
    for (int64_t i = 0; !status && i < b->n_images; i += b->batch)
        status = tq_engine_run(engine, &x, 1, 0);
    const double seconds = tq_bench_now() - start;
    b->forward = b->forward == 0.0 || seconds < b->forward ? seconds : b->forward;
    tq_engine_destroy(engine);
    tq_tensor_reset(&x);
    return status;
}

static tq_status time_passes(tq_bench *b, const tq_graph *plain, const tq_dataset *data,
                             tq_pool *pool)
{
    const double end = tq_bench_now() + b->seconds;
    tq_status status = TQ_OK;
    while (!status && (b->rounds.n < 2 || tq_bench_now() < end)) {
        tq_graph *copy = tq_graph_clone(*b->graph);
        const double start = tq_bench_now();
        status = calibrate(b, copy, data, b->batch);
        tq_bench_round(b, tq_bench_now() - start);
        tq_graph_destroy(copy);
        if (!status)
            status = run_forward(b, plain, pool);
    }
    return status;
}

/** A calibration pass and a forward pass over the same number of images, in turn. */
tq_status tq_bench_ptq(tq_bench *b)
{
    tq_pool *pool = NULL;
    points p = { 0 };
    tq_dataset data;
    tq_graph *plain = without_quantizers(*b->graph);
    b->images_a_round = b->n_images;
    tq_status status = make_points(b, b->n_images, &p, &data);
    if (!status)
        status = tq_pool_create((int)b->n_threads, &pool);
    if (!status)
        status = time_passes(b, plain, &data, pool);
    tq_pool_destroy(pool);
    tq_tensor_reset(&p.data);
    tq_graph_destroy(plain);
    return status;
}
