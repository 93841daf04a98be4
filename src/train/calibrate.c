/* Calibration: observe what every FakeQuantize and Observer sees while no quantiser acts, then
 * place the grids (of an Observer: leave with it what it has seen).
 *
 * The float network underneath runs: every FakeQuantize is bypassed (y = x) and a Statistics node
 * reads what it saw, so memory does not grow with the number of images. Batch normalisation uses
 * its running statistics and does not move them. FakeQuantize nodes that share their parameters
 * form one group; those with observe = 1 merge their statistics, batch after batch, in order of
 * nodes. A weight is observed once, as it is; `const` grids need no data. */
#include "train/train_internal.h"

#include <truq/edit.h>
#include <truq/op.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_FIELDS = 6 };

/** FakeQuantize nodes with the same parameters; or one Observer. */
typedef struct group {
    tq_value *parameter; /* the first one tells groups apart; NULL: an Observer */
    tq_node *leader;     /* the first that observes, else the first */
    int64_t n_channels;
    tq_statistics *statistics;
    bool needs_data, observed;
} group;

/** What a FakeQuantize with observe = 1 sees while data runs. */
typedef struct probe {
    const tq_node *node;
    group *group;
} probe;

typedef struct calibration {
    tq_graph *graph;
    const tq_calibrate_options *options;
    tq_arena *arena;
    int n_groups, n_probes;
    size_t groups_capacity, probes_capacity;
    group **groups;
    probe *probes;
    tq_graph *running; /* the float network with one Statistics output per probe */
    tq_pool *pool;
    tq_loader *loader;
    tq_engines engines;
    tq_clock clock;
} calibration;

/* ---- who observes what ----------------------------------------------------------------------- */

static bool observes(const tq_node *node)
{
    return tq_attr_int(tq_node_attrs(node), "observe") != 0;
}

static group *group_of(calibration *c, tq_node *node)
{
    tq_value *parameter = tq_node_input(node, 1);
    for (int i = 0; i < c->n_groups; i++)
        if (c->groups[i]->parameter == parameter)
            return c->groups[i];
    group *g = TQ_NEW(c->arena, group);
    g->parameter = parameter;
    g->leader = node;
    g->n_channels = tq_type_count(tq_value_type(parameter));
    g->statistics = TQ_NEW_N(c->arena, tq_statistics, g->n_channels);
    for (int64_t i = 0; i < g->n_channels; i++)
        tq_statistics_reset(&g->statistics[i]);
    TQ_PUSH(c->arena, c->groups, c->n_groups, c->groups_capacity, g);
    return g;
}

static int64_t axis_of(const tq_node *node)
{
    if (tq_node_is(node, "Observer"))
        return -1;
    const bool per_tensor = tq_type_count(tq_value_type(tq_node_input(node, 1))) == 1;
    return per_tensor ? -1 : tq_attr_int(tq_node_attrs(node), "axis");
}

/** Rows of a Statistics array into a group. */
static tq_status merge(group *g, const tq_tensor *rows, const char *what)
{
    if (tq_tensor_count(rows) != g->n_channels * N_FIELDS)
        return tq_fail(TQ_ERR_SHAPE, "'%s' has %lld channels, its quantiser '%s' has %lld", what,
                       (long long)(tq_tensor_count(rows) / N_FIELDS), tq_node_name(g->leader),
                       (long long)g->n_channels);
    for (int64_t c = 0; c < g->n_channels; c++) {
        const double *row = (const double *)rows->data + c * N_FIELDS;
        const tq_statistics s = { .n = (int64_t)row[0],
                                  .n_bad = (int64_t)row[1],
                                  .min = row[2],
                                  .max = row[3],
                                  .mean = row[4],
                                  .m2 = row[5] };
        if (s.n_bad > 0)
            return tq_fail(TQ_ERR_VALUE, "'%s' has %lld NaN or infinite elements; cannot calibrate",
                           what, (long long)s.n_bad);
        tq_statistics_merge(&g->statistics[c], &s);
    }
    g->observed = true;
    return TQ_OK;
}

/** A constant is observed here and now. */
static tq_status observe_constant(const tq_node *node, group *g)
{
    const tq_value *value = tq_node_input(node, 0);
    tq_graph *graph = tq_graph_create(tq_graph_registry(tq_node_graph(node)));
    tq_value *copy;
    tq_node *statistics;
    tq_tensor rows = { 0 };
    tq_status status = tq_graph_add_constant(graph, "x", tq_value_tensor(value), &copy);
    if (!status)
        status = tq_graph_add_node(graph,
                                   &(tq_node_spec){ .op = "Statistics",
                                                    .inputs = &copy,
                                                    .n_inputs = 1,
                                                    .attrs = &TQ_INT("axis", axis_of(node)),
                                                    .n_attrs = 1 },
                                   &statistics);
    if (!status)
        status = tq_node_evaluate(statistics, &rows);
    if (!status)
        status = merge(g, &rows, tq_value_name(value));
    tq_tensor_reset(&rows);
    tq_graph_destroy(graph);
    return status;
}

static tq_status add_fake(calibration *c, tq_node *node)
{
    tq_init init;
    group *g = group_of(c, node);
    TQ_TRY(tq_init_find(c->options->registry, tq_attr_string(tq_node_attrs(node), "init"), &init));
    if (!observes(node))
        return TQ_OK;
    if (!observes(g->leader))
        g->leader = node;
    if (init.kind == TQ_INIT_CONST)
        return TQ_OK;
    if (tq_node_is_const_from(node, 0))
        return observe_constant(node, g);
    g->needs_data = true;
    TQ_PUSH(c->arena, c->probes, c->n_probes, c->probes_capacity, ((probe){ node, g }));
    return TQ_OK;
}

/** Observers of weights are placed by the weights themselves. */
static void add_observer(calibration *c, tq_node *node)
{
    if (tq_node_is_const_from(node, 0))
        return;
    group *g = TQ_NEW(c->arena, group);
    g->leader = node;
    g->n_channels = 1;
    g->statistics = TQ_NEW(c->arena, tq_statistics);
    tq_statistics_reset(g->statistics);
    TQ_PUSH(c->arena, c->groups, c->n_groups, c->groups_capacity, g);
    TQ_PUSH(c->arena, c->probes, c->n_probes, c->probes_capacity, ((probe){ node, g }));
}

static tq_status find_groups(calibration *c)
{
    bool any = false; /* observers of weights need no data, and are calibrated as they stand */
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "Observer")) {
            add_observer(c, node);
            any = true;
        }
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize") && tq_node_is_const_from(node, 1))
            TQ_TRY(tq_wrap(add_fake(c, node), "node '%s' (FakeQuantize)", tq_node_name(node)));
    return c->n_groups || any
               ? TQ_OK
               : tq_fail(TQ_ERR_STATE,
                         "the network has nothing to calibrate; run 'truq f2f' first");
}

/* ---- running the float network --------------------------------------------------------------- */

static bool is_untrained(const tq_node *norm)
{
    for (int i = 3; i < 5; i++) {
        const tq_tensor *x = tq_value_tensor(tq_node_input(norm, i));
        for (int64_t c = 0; x && c < tq_tensor_count(x); c++)
            if (((const float *)x->data)[c] != (i == 3 ? 0.0f : 1.0f))
                return false;
    }
    return true;
}

/** Running statistics that no training ever moved (mean 0, variance 1) say nothing of the values
 * that training will see: then, and only then, batches are observed normalised by themselves. */
static tq_status normalise_untrained(tq_graph *running)
{
    int n_norms = 0;
    for (const tq_node *node = tq_graph_first(running); node; node = tq_node_next(node)) {
        if (!tq_node_is(node, "BatchNormalization"))
            continue;
        if (!is_untrained(node))
            return TQ_OK;
        n_norms++;
    }
    const tq_entry *entry;
    if (n_norms == 0)
        return TQ_OK;
    TQ_TRY(tq_registry_find(tq_graph_registry(running), TQ_KIND_EDITOR, "train-batchnorm", &entry));
    return tq_editor_run((const tq_editor *)(const void *)entry, running);
}

/** An Observer leaves all that it has seen with itself. */
static bool needs_extremes_only(const calibration *c, const tq_node *node)
{
    tq_init init;
    if (tq_node_is(node, "Observer"))
        return false;
    const tq_status status =
        tq_init_find(c->options->registry, tq_attr_string(tq_node_attrs(node), "init"), &init);
    tq_status_drop(status);
    return !status && tq_init_is_extremes(&init);
}

/** A clone whose outputs are the statistics, with all FakeQuantize taken out. */
static tq_status build_running(calibration *c)
{
    c->running = tq_graph_clone(c->graph);
    TQ_TRY(tq_graph_open_batch(c->running, 0));
    tq_value **outputs = TQ_NEW_N(c->arena, tq_value *, c->n_probes);
    for (int i = 0; i < c->n_probes; i++) {
        const tq_node *node = c->probes[i].node;
        tq_node *twin = tq_graph_find_node(c->running, tq_node_name(node));
        tq_value *x = tq_node_input(twin, 0);
        const tq_attr attrs[] = { TQ_INT("axis", axis_of(node)),
                                  TQ_INT("extremes_only", needs_extremes_only(c, node)) };
        TQ_TRY(tq_graph_emit(c->running, twin, "Statistics", &x, 1, attrs, TQ_COUNT(attrs),
                             &outputs[i]));
    }
    while (tq_graph_n_outputs(c->running) > 0)
        tq_graph_remove_output(c->running, 0);
    for (tq_node *node = tq_graph_first(c->running), *next; node; node = next) {
        next = tq_node_next(node);
        if (!tq_node_is(node, "FakeQuantize"))
            continue;
        tq_value_redirect_consumers(tq_node_output(node, 0), tq_node_input(node, 0));
        tq_graph_remove_node(c->running, node);
    }
    for (int i = 0; i < c->n_probes; i++)
        tq_graph_add_output(c->running, outputs[i]);
    tq_graph_sweep(c->running);
    return normalise_untrained(c->running);
}

static tq_status run_batch(calibration *c, const tq_batch *batch)
{
    tq_tensor input;
    TQ_TRY(tq_feed(c->running, 0, &batch->input, &input));
    tq_engine *engine;
    tq_status status = tq_engines_get(&c->engines, &input.type, &engine);
    if (!status)
        status = tq_engine_run(engine, &input, 1, 0);
    tq_tensor_reset(&input);
    for (int i = 0; !status && i < c->n_probes; i++)
        status = merge(c->probes[i].group, tq_engine_output(engine, i),
                       tq_value_name(tq_node_input(c->probes[i].node, 0)));
    return status;
}

static void report(const calibration *c, int64_t batch, int64_t n_batches)
{
    if (!c->options->progress)
        return;
    const tq_progress progress = { .phase = "calibrate",
                                   .batch = batch,
                                   .n_batches = n_batches,
                                   .n_images = c->clock.n_images,
                                   .loss = (double)NAN,
                                   .top1 = (double)NAN,
                                   .lr = (double)NAN,
                                   .images_per_s = tq_clock_rate(&c->clock),
                                   .eta_s = tq_clock_eta(&c->clock, n_batches - batch) };
    c->options->progress(c->options->context, &progress);
}

static tq_status run_data(calibration *c)
{
    const tq_calibrate_options *o = c->options;
    if (!o->data)
        return tq_fail(TQ_ERR_STATE, "quantizer '%s' is placed by data: calibration needs some",
                       tq_node_name(c->probes[0].node));
    tq_loader_options loader = { .preset = o->preset };
    TQ_TRY(tq_loader_options_for(c->graph, &loader));
    loader.batch = tq_batch_for(c->graph, o->batch > 0 ? o->batch : 32);
    if (o->n_batches > 0 && o->n_batches <= INT64_MAX / loader.batch)
        loader.limit = o->n_batches * loader.batch;
    TQ_TRY(build_running(c));
    TQ_TRY(tq_pool_create(o->n_threads, &c->pool));
    loader.n_workers = tq_pool_size(c->pool);
    TQ_TRY(tq_loader_create(o->registry, o->data, &loader, &c->loader));
    c->engines = (tq_engines){ .graph = c->running, .pool = c->pool, .n_inputs = 1 };
    const int64_t n_batches = tq_loader_n_batches(c->loader);
    tq_clock_start(&c->clock);
    TQ_TRY(tq_loader_start(c->loader, 0, 0));
    for (int64_t b = 1;; b++) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(c->loader, &batch));
        if (batch.n == 0)
            break;
        TQ_TRY(run_batch(c, &batch));
        tq_clock_tick(&c->clock, batch.n);
        report(c, b, n_batches);
    }
    return TQ_OK;
}

/* ---- placing the grids ----------------------------------------------------------------------- */

/** With attribute unsigned_if_positive the codes start at 0 where nothing negative was seen, and
 * are signed where something was. */
static void choose_sign(calibration *c, const group *g, double least)
{
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node)) {
        if (!tq_node_is(node, "FakeQuantize") || tq_node_input(node, 1) != g->parameter)
            continue;
        const tq_attrs *attrs = tq_node_attrs(node);
        const int64_t q_min = tq_attr_int(attrs, "q_min");
        if (!tq_attr_int(attrs, "unsigned_if_positive"))
            continue;
        if (least >= 0.0)
            tq_node_set_attr(node, &TQ_INT("q_min", 0));
        else if (q_min == 0)
            tq_node_set_attr(node, &TQ_INT("q_min", -(tq_attr_int(attrs, "n_levels") / 2)));
    }
}

static tq_status parameter_data(const group *g, const tq_quantizer *quantizer, float **out_data)
{
    for (int k = 0; k < quantizer->n_params; k++) {
        tq_value *value = tq_node_input(g->leader, 1 + k);
        if (!value || !tq_value_is_const(value) || tq_value_type(value)->dtype != TQ_F32 ||
            tq_type_count(tq_value_type(value)) != g->n_channels)
            return tq_fail(TQ_ERR_SHAPE, "parameter '%s' is no f32 constant of %lld elements",
                           quantizer->params[k], (long long)g->n_channels);
        void *data;
        TQ_TRY(tq_value_own(value, &data));
        out_data[k] = data;
    }
    return TQ_OK;
}

/** A preset that ends in Integerise has placed the grid of the input already: int8 codes. */
static bool is_integerised_input(const calibration *c, const group *g)
{
    return c->options->preset && c->options->preset->scale > 0 && g->n_channels == 1 &&
           tq_value_is_input(tq_node_input(g->leader, 0));
}

static tq_status place_input(calibration *c, const group *g, const tq_quantizer *quantizer,
                             float **data)
{
    const double scale = c->options->preset->scale;
    float params[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    tq_node_set_attr(g->leader, &TQ_INT("q_min", -128));
    tq_node_set_attr(g->leader, &TQ_INT("n_levels", 256));
    const tq_range range = tq_fake_range(tq_node_attrs(g->leader));
    TQ_TRY(quantizer->init(&range, -128 * scale, 127 * scale, params));
    for (int k = 0; k < quantizer->n_params; k++)
        data[k][0] = params[k];
    return TQ_OK;
}

/** Statistics as metadata, with all their digits. */
static void leave_statistics(const group *g)
{
    static const char *const keys[] = { "observed.min", "observed.max", "observed.mean",
                                        "observed.m2" };
    const double values[] = { g->statistics->min, g->statistics->max, g->statistics->mean,
                              g->statistics->m2 };
    char text[48];
    snprintf(text, sizeof text, "%lld", (long long)g->statistics->n);
    tq_node_set_meta(g->leader, "observed.n", text);
    for (int i = 0; i < TQ_COUNT(keys); i++) {
        snprintf(text, sizeof text, "%.17g", values[i]);
        tq_node_set_meta(g->leader, keys[i], text);
    }
}

static tq_status place(calibration *c, const group *g)
{
    if (!g->parameter) {
        leave_statistics(g);
        return TQ_OK;
    }
    if (!observes(g->leader) && tq_is_placed(g->leader))
        return TQ_OK; /* others placed it: it observes nothing */
    const tq_quantizer *quantizer;
    float *data[TQ_QUANTIZER_MAX_PARAMS];
    tq_init init;
    TQ_TRY(tq_fake_quantizer(g->leader, &quantizer));
    TQ_TRY(tq_init_find(c->options->registry, tq_attr_string(tq_node_attrs(g->leader), "init"),
                        &init));
    TQ_TRY(parameter_data(g, quantizer, data));
    if (is_integerised_input(c, g))
        return place_input(c, g, quantizer, data);
    double *a = TQ_NEW_N(c->arena, double, g->n_channels);
    double *b = TQ_NEW_N(c->arena, double, g->n_channels), least = INFINITY;
    for (int64_t i = 0; i < g->n_channels; i++) {
        TQ_TRY(tq_init_range(&init, &g->statistics[i], &a[i], &b[i]));
        least = fmin(least, g->observed ? g->statistics[i].min : a[i]);
    }
    choose_sign(c, g, least);
    const tq_range range = tq_fake_range(tq_node_attrs(g->leader));
    for (int64_t i = 0; i < g->n_channels; i++) {
        float params[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
        TQ_TRY(quantizer->init(&range, a[i], b[i], params));
        for (int k = 0; k < quantizer->n_params; k++)
            data[k][i] = params[k];
    }
    return TQ_OK;
}

static tq_status calibrate(void *context)
{
    calibration *c = context;
    c->arena = tq_arena_create();
    TQ_TRY(find_groups(c));
    if (c->n_probes > 0)
        TQ_TRY(run_data(c));
    for (int i = 0; i < c->n_groups; i++)
        TQ_TRY(
            tq_wrap(place(c, c->groups[i]), "quantizer '%s'", tq_node_name(c->groups[i]->leader)));
    return TQ_OK;
}

tq_status tq_calibrate(tq_graph *graph, const tq_calibrate_options *options)
{
    calibration c = { .graph = graph, .options = options };
    const tq_status status = tq_guard(calibrate, &c);
    tq_engines_reset(&c.engines);
    tq_loader_destroy(c.loader);
    tq_pool_destroy(c.pool);
    tq_graph_destroy(c.running);
    tq_arena_destroy(c.arena);
    return tq_wrap(status, "cannot calibrate");
}
