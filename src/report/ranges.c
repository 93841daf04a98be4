/* What values are on data: the smallest and the largest, and how much a quantiser adds. For a
 * quantiser y of x
 *
 *   SQNR = 10 log10( sum x^2 / sum (x - y)^2 )  in dB,
 *
 * over all elements of all batches; x is what the quantiser reads. So it is for a pair of
 * QuantizeLinear and DequantizeLinear. Codes with a known grid count as the reals they stand for.
 */
#include "report/report_internal.h"

#include <math.h>
#include <string.h>

enum { BATCH = 8 }; /* every value stays in memory */

typedef struct measure {
    const tq_value *value, *source; /* source NULL: no quantiser made the value */
    double min, max, signal, noise;
    int64_t n;
} measure;

typedef struct measuring {
    const tq_graph *graph;
    const tq_compare_options *options;
    tq_arena *arena;
    int n;
    measure *items;
    tq_pool *pool;
    tq_loader *loader;
    tq_engine *engine;
    tq_type type;
    tq_tensor input;
} measuring;

/** What the value is a quantised form of; NULL. */
static const tq_value *source_of(const tq_value *value)
{
    const tq_node *node = tq_value_producer(value);
    if (node && tq_node_is(node, "FakeQuantize"))
        return tq_node_input(node, 0);
    if (!node || !tq_node_is(node, "DequantizeLinear"))
        return NULL;
    node = tq_value_producer(tq_node_input(node, 0));
    while (node && (tq_node_is(node, "Clip") || tq_node_is(node, "Identity")))
        node = tq_value_producer(tq_node_input(node, 0));
    return node && tq_node_is(node, "QuantizeLinear") ? tq_node_input(node, 0) : NULL;
}

static void add(measuring *m, const tq_value *value)
{
    m->items[m->n++] =
        (measure){ .value = value, .source = source_of(value), .min = INFINITY, .max = -INFINITY };
}

static void find_values(measuring *m)
{
    m->items = TQ_NEW_N(m->arena, measure, tq_graph_n_values(m->graph) + 1);
    for (int i = 0; i < tq_graph_n_inputs(m->graph); i++)
        add(m, tq_graph_input(m->graph, i));
    for (const tq_node *node = tq_graph_first(m->graph); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++)
            add(m, tq_node_output(node, i));
}

/* ---- one batch ---- */

/** The data of a value of this batch; NULL: a kernel that fuses did not make it. */
static const tq_tensor *data_of(const measuring *m, const tq_value *value)
{
    if (tq_value_tensor(value))
        return tq_value_tensor(value);
    if (tq_value_is_input(value))
        return &m->input;
    return tq_engine_value(m->engine, tq_value_name(value));
}

static void add_range(measure *item, const tq_tensor *x)
{
    double scale = 1.0;
    int64_t zero_point = 0;
    if (tq_value_meta_f64(item->value, "quant.scale", &scale) && tq_dtype_is_integer(x->type.dtype))
        tq_value_meta_i64(item->value, "quant.zero_point", &zero_point);
    else
        scale = 1.0;
    for (int64_t i = 0; i < tq_tensor_count(x); i++) {
        const double v = scale * (tq_load_f64(x->data, x->type.dtype, i) - (double)zero_point);
        item->min = v < item->min ? v : item->min;
        item->max = v > item->max ? v : item->max;
    }
    item->n += tq_tensor_count(x);
}

static void add_noise(const measuring *m, measure *item, const tq_tensor *y)
{
    const tq_tensor *x = item->source ? data_of(m, item->source) : NULL;
    if (!x || tq_tensor_count(x) != tq_tensor_count(y))
        return;
    for (int64_t i = 0; i < tq_tensor_count(y); i++) {
        const double v = tq_load_f64(x->data, x->type.dtype, i);
        const double d = v - tq_load_f64(y->data, y->type.dtype, i);
        item->signal += v * v;
        item->noise += d * d;
    }
}

static tq_status run_batch(measuring *m, const tq_batch *batch)
{
    tq_tensor_reset(&m->input);
    TQ_TRY(tq_feed(m->graph, 0, &batch->input, &m->input));
    if (!m->engine || !tq_type_equal(&m->input.type, &m->type)) {
        tq_engine_destroy(m->engine);
        m->engine = NULL;
        m->type = m->input.type;
        const tq_engine_options options = { .pool = m->pool, .keep_all = true };
        TQ_TRY(tq_engine_create(m->graph, &m->type, 1, &options, &m->engine));
    }
    TQ_TRY(tq_engine_run(m->engine, &m->input, 1, 0));
    for (int i = 0; i < m->n; i++) {
        const tq_tensor *y = data_of(m, m->items[i].value);
        if (!y || y->type.dtype == TQ_BOOL)
            continue;
        add_range(&m->items[i], y);
        add_noise(m, &m->items[i], y);
    }
    return TQ_OK;
}

/* ---- all data ---- */

static tq_status open_data(measuring *m)
{
    const tq_compare_options *o = m->options;
    if (tq_graph_n_inputs(m->graph) != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "the network has %d inputs; ranges are measured with one",
                       tq_graph_n_inputs(m->graph));
    const tq_type *type = tq_value_type(tq_graph_input(m->graph, 0));
    if (type->rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; its first axis must be the batch",
                       tq_value_name(tq_graph_input(m->graph, 0)), tq_type_text(type).s);
    tq_loader_options loader = { .preset = o->preset,
                                 .batch = o->batch > 0 ? o->batch : BATCH,
                                 .limit = o->limit,
                                 .n_workers = o->n_threads,
                                 .sample_type =
                                     tq_type_make(TQ_F32, type->rank - 1, type->dims + 1) };
    if (type->dims[0] > 0)
        loader.batch = type->dims[0];
    if (type->rank == 4) {
        loader.height = type->dims[2] > 0 ? type->dims[2] : 0;
        loader.width = type->dims[3] > 0 ? type->dims[3] : 0;
    }
    TQ_TRY(tq_pool_create(o->n_threads, &m->pool));
    return tq_loader_create(o->registry, o->data, &loader, &m->loader);
}

static tq_status measure_all(void *context)
{
    measuring *m = context;
    find_values(m);
    TQ_TRY(open_data(m));
    const int64_t n_batches = tq_loader_n_batches(m->loader);
    int64_t n_images = 0;
    TQ_TRY(tq_loader_start(m->loader, 0, 0));
    for (int64_t k = 1;; k++) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(m->loader, &batch));
        if (batch.n == 0)
            return TQ_OK;
        TQ_TRY(run_batch(m, &batch));
        n_images += batch.n;
        const tq_progress progress = { .phase = "ranges",
                                       .batch = k,
                                       .n_batches = n_batches,
                                       .n_images = n_images,
                                       .loss = (double)NAN,
                                       .top1 = (double)NAN,
                                       .lr = (double)NAN,
                                       .images_per_s = (double)NAN,
                                       .eta_s = (double)NAN };
        if (m->options->progress)
            m->options->progress(m->options->context, &progress);
    }
}

static tq_value_range row_of(const measure *item, tq_arena *arena)
{
    const bool quantised = item->source && item->signal > 0;
    return (tq_value_range){
        .value = tq_arena_strdup(arena, tq_value_name(item->value)),
        .min = item->min,
        .max = item->max,
        .sqnr = quantised ? 10.0 * log10(item->signal / item->noise) : (double)NAN,
    };
}

tq_status tq_ranges_measure(const tq_graph *graph, const tq_compare_options *options,
                            tq_arena *arena, tq_value_range **out_rows, int *out_n)
{
    measuring m = { .graph = graph, .options = options, .arena = arena };
    const tq_status status = tq_guard(measure_all, &m);
    tq_tensor_reset(&m.input);
    tq_engine_destroy(m.engine);
    tq_loader_destroy(m.loader);
    tq_pool_destroy(m.pool);
    TQ_TRY(tq_wrap(status, "cannot measure ranges"));
    *out_rows = TQ_NEW_N(arena, tq_value_range, m.n + 1);
    *out_n = 0;
    for (int i = 0; i < m.n; i++)
        if (m.items[i].n > 0)
            (*out_rows)[(*out_n)++] = row_of(&m.items[i], arena);
    return TQ_OK;
}
