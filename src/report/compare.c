/* Two networks on the same data, value by value: where do they part?
 *
 * Values of A and B belong together when B's metadata "quant.of" names A's value (or A's names
 * B's), else when they share their name. Codes are dequantised, x = scale * (q - zero_point), so
 * differences are in real units; in steps of the grid that B's value lies on, else A's. */
#include "report/report_internal.h"

#include <math.h>
#include <string.h>

enum { BATCH = 8 };              /* every value stays in memory */
static const double SAME = 1e-5; /* relative: values without a grid are the same */

/** A value of each, and what was seen of them. */
typedef struct pair {
    const tq_value *a, *b;
    double step;
    double max_difference, max_magnitude;
    int64_t n, n_equal;
} pair;

typedef struct comparison {
    const tq_graph *graphs[2];
    const tq_compare_options *options;
    tq_arena *arena;
    int n;
    pair *pairs;
    tq_pool *pool;
    tq_loader *loader;
    tq_engine *engines[2];
    tq_type types[2];
} comparison;

/* ---- which values belong together ---- */

/** Scale of the grid that a FakeQuantize with one scale puts its output on; 0: not known. */
static double fake_step(const tq_node *node)
{
    float params[TQ_QUANTIZER_MAX_PARAMS];
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_entry *entry = tq_registry_get(tq_graph_registry(tq_node_graph(node)),
                                            TQ_KIND_QUANTIZER, tq_attr_string(attrs, "quantizer"));
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)entry;
    if (!quantizer)
        return 0.0;
    for (int i = 0; i < quantizer->n_params; i++) {
        const tq_value *value = tq_node_input(node, 1 + i);
        const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
        if (!tensor || tq_tensor_count(tensor) != 1)
            return 0.0;
        params[i] = (float)tq_load_f64(tensor->data, tensor->type.dtype, 0);
    }
    const tq_range range = { .q_min = tq_attr_int(attrs, "q_min"),
                             .n_levels = tq_attr_int(attrs, "n_levels"),
                             .step = (int)tq_attr_int(attrs, "step"),
                             .free_offset = tq_attr_int(attrs, "free_offset") != 0,
                             .power_of_two = tq_attr_int(attrs, "power_of_two") != 0 };
    tq_grid grid;
    tq_quantizer_grid(quantizer, &range, TQ_ROUND_HALF_UP, params, &grid);
    return isfinite(grid.scale) && grid.scale > 0.0f ? (double)grid.scale : 0.0;
}

/** Scale of the grid a value lies on, or is put on by its only reader; 0: none is known. */
static double step_of(const tq_value *value)
{
    double scale;
    const tq_dtype dtype = tq_value_type(value)->dtype;
    if (tq_dtype_is_integer(dtype)) {
        if (tq_dtype_size(dtype) > 2 && tq_value_meta_f64(value, "quant.scale", &scale))
            return 0.0; /* an accumulator: so fine that its steps mean nothing */
        return tq_value_meta_f64(value, "quant.scale", &scale) ? scale : 1.0;
    }
    const tq_node *producer = tq_value_producer(value);
    if (producer && tq_node_is(producer, "FakeQuantize"))
        return fake_step(producer);
    if (tq_value_n_consumers(value) == 1 && tq_node_is(tq_value_consumer(value, 0), "FakeQuantize"))
        return fake_step(tq_value_consumer(value, 0));
    return 0.0;
}

static bool is_inner(const tq_value *value)
{
    return tq_value_producer(value) && !tq_value_is_const(value);
}

/** An integer without a scale is no real number: it compares with another such integer only. */
static bool comparable(const tq_value *a, const tq_value *b)
{
    double scale;
    const bool integer_a = tq_dtype_is_integer(tq_value_type(a)->dtype);
    const bool integer_b = tq_dtype_is_integer(tq_value_type(b)->dtype);
    const bool bare_a = integer_a && !tq_value_meta_f64(a, "quant.scale", &scale);
    const bool bare_b = integer_b && !tq_value_meta_f64(b, "quant.scale", &scale);
    return is_inner(a) && is_inner(b) && bare_a == bare_b;
}

/** The value of `there` that says it stands for `name`, else the one of that name. */
static const tq_value *partner_of(const tq_graph *there, const char *name)
{
    for (int i = 0; i < tq_graph_n_values(there); i++) {
        const char *of = tq_value_meta(tq_graph_value(there, i), "quant.of");
        if (of && strcmp(of, name) == 0)
            return tq_graph_value(there, i);
    }
    return tq_graph_find_value(there, name);
}

static const tq_value *find_partner(const comparison *c, const tq_value *a)
{
    const tq_value *b = partner_of(c->graphs[1], tq_value_name(a));
    const char *of = tq_value_meta(a, "quant.of");
    if (of && (!b || !comparable(a, b)))
        b = tq_graph_find_value(c->graphs[1], of);
    return b && comparable(a, b) ? b : NULL;
}

static tq_status find_pairs(comparison *c)
{
    size_t capacity = 0;
    for (const tq_node *node = tq_graph_first(c->graphs[0]); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++) {
            const tq_value *a = tq_node_output(node, i);
            const tq_value *b = a ? find_partner(c, a) : NULL;
            if (!b)
                continue;
            const double step = step_of(b) > 0.0 ? step_of(b) : step_of(a);
            const pair found = { .a = a, .b = b, .step = step };
            TQ_PUSH(c->arena, c->pairs, c->n, capacity, found);
        }
    return c->n ? TQ_OK
                : tq_fail(TQ_ERR_STATE, "the networks have no inner value in common, neither by "
                                        "name nor by what f2t noted");
}

/* ---- running both ---- */

static tq_status run_one(comparison *c, int which, const tq_batch *batch)
{
    tq_tensor input;
    TQ_TRY(tq_feed(c->graphs[which], 0, &batch->input, &input));
    tq_status status = TQ_OK;
    if (!c->engines[which] || !tq_type_equal(&input.type, &c->types[which])) {
        tq_engine_destroy(c->engines[which]);
        c->engines[which] = NULL;
        c->types[which] = input.type;
        const tq_engine_options options = { .pool = c->pool, .keep_all = true };
        status = tq_engine_create(c->graphs[which], &input.type, 1, &options, &c->engines[which]);
    }
    if (!status)
        status = tq_engine_run(c->engines[which], &input, 1, 0);
    tq_tensor_reset(&input);
    return status;
}

/** x = scale * (q - zero_point); a value without a scale is what it is. */
static void real_form(const tq_value *value, double *out_scale, int64_t *out_zero_point)
{
    *out_scale = 1.0;
    *out_zero_point = 0;
    if (tq_value_meta_f64(value, "quant.scale", out_scale))
        tq_value_meta_i64(value, "quant.zero_point", out_zero_point);
}

static tq_status compare_pair(const comparison *c, pair *p)
{
    const tq_tensor *a = tq_engine_value(c->engines[0], tq_value_name(p->a));
    const tq_tensor *b = tq_engine_value(c->engines[1], tq_value_name(p->b));
    if (!a || !b)
        return TQ_OK; /* a kernel that fuses did not make it */
    const int64_t n = tq_tensor_count(a);
    if (n != tq_tensor_count(b))
        return tq_fail(TQ_ERR_SHAPE, "value '%s' is %s in the first network, %s in the second",
                       tq_value_name(p->a), tq_type_text(&a->type).s, tq_type_text(&b->type).s);
    double scale_a, scale_b;
    int64_t zero_a, zero_b;
    real_form(p->a, &scale_a, &zero_a);
    real_form(p->b, &scale_b, &zero_b);
    for (int64_t i = 0; i < n; i++) {
        const double x = scale_a * (tq_load_f64(a->data, a->type.dtype, i) - (double)zero_a);
        const double y = scale_b * (tq_load_f64(b->data, b->type.dtype, i) - (double)zero_b);
        const double difference = isnan(x) && isnan(y) ? 0.0 : fabs(x - y);
        p->n_equal += difference <= (p->step > 0.0 ? 0.5 * p->step : SAME * fmax(fabs(x), 1.0));
        p->max_difference =
            isnan(difference) ? (double)INFINITY : fmax(p->max_difference, difference);
        p->max_magnitude = fmax(p->max_magnitude, fabs(x));
    }
    p->n += n;
    return TQ_OK;
}

static tq_status open_data(comparison *c)
{
    const tq_compare_options *o = c->options;
    for (int i = 0; i < 2; i++)
        if (tq_graph_n_inputs(c->graphs[i]) != 1)
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "the %s network has %d inputs; layers are compared with one",
                           i ? "second" : "first", tq_graph_n_inputs(c->graphs[i]));
    const tq_type *type = tq_value_type(tq_graph_input(c->graphs[0], 0));
    if (type->rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; its first axis must be the batch",
                       tq_value_name(tq_graph_input(c->graphs[0], 0)), tq_type_text(type).s);
    tq_loader_options loader = { .preset = o->preset,
                                 .batch = o->batch > 0 ? o->batch : BATCH,
                                 .limit = o->limit,
                                 .n_workers = o->n_threads,
                                 .sample_type =
                                     tq_type_make(TQ_F32, type->rank - 1, type->dims + 1) };
    for (int i = 0; i < 2; i++) { /* a batch that is written in a network */
        const tq_type *t = tq_value_type(tq_graph_input(c->graphs[i], 0));
        if (t->rank > 0 && t->dims[0] > 0)
            loader.batch = t->dims[0];
    }
    if (type->rank == 4) {
        loader.height = type->dims[2] > 0 ? type->dims[2] : 0;
        loader.width = type->dims[3] > 0 ? type->dims[3] : 0;
    }
    TQ_TRY(tq_pool_create(o->n_threads, &c->pool));
    return tq_loader_create(o->registry, o->data, &loader, &c->loader);
}

static tq_status run_all(comparison *c)
{
    const int64_t n_batches = tq_loader_n_batches(c->loader);
    int64_t n_images = 0;
    TQ_TRY(tq_loader_start(c->loader, 0, 0));
    for (int64_t k = 1;; k++) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(c->loader, &batch));
        if (batch.n == 0)
            return TQ_OK;
        TQ_TRY(tq_wrap(run_one(c, 0, &batch), "the first network"));
        TQ_TRY(tq_wrap(run_one(c, 1, &batch), "the second network"));
        for (int i = 0; i < c->n; i++)
            TQ_TRY(compare_pair(c, &c->pairs[i]));
        n_images += batch.n;
        const tq_progress progress = { .phase = "layers",
                                       .batch = k,
                                       .n_batches = n_batches,
                                       .n_images = n_images,
                                       .loss = (double)NAN,
                                       .top1 = (double)NAN,
                                       .lr = (double)NAN,
                                       .images_per_s = (double)NAN,
                                       .eta_s = (double)NAN };
        if (c->options->progress)
            c->options->progress(c->options->context, &progress);
    }
}

static tq_status compare(void *context)
{
    comparison *c = context;
    TQ_TRY(find_pairs(c));
    TQ_TRY(open_data(c));
    return run_all(c);
}

/* ---- the rows ---- */

static tq_layer_difference row_of(const pair *p, tq_arena *arena)
{
    const bool has_step = p->step > 0.0;
    const double unit = has_step ? p->step : p->max_magnitude / 256.0;
    return (tq_layer_difference){
        .name = tq_arena_strdup(arena, tq_value_name(p->a)),
        .op = tq_node_op_name(tq_value_producer(p->a)),
        .step = p->step,
        .max_difference = p->max_difference,
        .max_steps = p->max_difference > 0.0 ? p->max_difference / (unit > 0.0 ? unit : 1.0) : 0.0,
        .equal = p->n ? 100.0 * (double)p->n_equal / (double)p->n : (double)NAN,
        .diverges = p->n_equal < p->n,
    };
}

tq_status tq_compare_layers(const tq_graph *a, const tq_graph *b, const tq_compare_options *options,
                            tq_arena *arena, tq_layer_difference **out_rows, int *out_n)
{
    comparison c = { .graphs = { a, b }, .options = options, .arena = arena };
    const tq_status status = tq_guard(compare, &c);
    tq_engine_destroy(c.engines[0]);
    tq_engine_destroy(c.engines[1]);
    tq_loader_destroy(c.loader);
    tq_pool_destroy(c.pool);
    TQ_TRY(tq_wrap(status, "cannot compare layers"));
    *out_rows = TQ_NEW_N(arena, tq_layer_difference, c.n);
    *out_n = 0;
    for (int i = 0; i < c.n; i++)
        if (c.pairs[i].n > 0)
            (*out_rows)[(*out_n)++] = row_of(&c.pairs[i], arena);
    return TQ_OK;
}
