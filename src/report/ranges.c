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

typedef struct measure {
    const tq_value *value, *source; /* source NULL: no quantiser made the value */
    double min, max, signal, noise;
    int64_t n;
} measure;

typedef struct measuring {
    tq_runs runs;
    tq_arena *arena;
    int n;
    measure *items;
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
    const tq_graph *graph = m->runs.graphs[0];
    m->items = TQ_NEW_N(m->arena, measure, tq_graph_n_values(graph) + 1);
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        add(m, tq_graph_input(graph, i));
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++)
            add(m, tq_node_output(node, i));
}

/* ---- one batch ---- */

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
    const tq_tensor *x = item->source ? tq_runs_value(&m->runs, 0, item->source) : NULL;
    if (!x || tq_tensor_count(x) != tq_tensor_count(y))
        return;
    for (int64_t i = 0; i < tq_tensor_count(y); i++) {
        const double v = tq_load_f64(x->data, x->type.dtype, i);
        const double d = v - tq_load_f64(y->data, y->type.dtype, i);
        item->signal += v * v;
        item->noise += d * d;
    }
}

static tq_status look(void *context)
{
    const measuring *m = context;
    for (int i = 0; i < m->n; i++) {
        const tq_tensor *y = tq_runs_value(&m->runs, 0, m->items[i].value);
        if (!y || y->type.dtype == TQ_BOOL)
            continue;
        add_range(&m->items[i], y);
        add_noise(m, &m->items[i], y);
    }
    return TQ_OK;
}

static tq_status measure_all(void *context)
{
    measuring *m = context;
    find_values(m);
    return tq_runs_all(&m->runs, "ranges", look, m);
}

/* ---- the rows ---- */

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
    measuring m = { .runs = { .n = 1, .graphs = { graph }, .options = options }, .arena = arena };
    const tq_status status = tq_guard(measure_all, &m);
    tq_runs_reset(&m.runs);
    TQ_TRY(tq_wrap(status, "cannot measure ranges"));
    *out_rows = TQ_NEW_N(arena, tq_value_range, m.n + 1);
    *out_n = 0;
    for (int i = 0; i < m.n; i++)
        if (m.items[i].n > 0)
            (*out_rows)[(*out_n)++] = row_of(&m.items[i], arena);
    return TQ_OK;
}
