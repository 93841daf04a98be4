/* Two networks on the same data, value by value: where do they part?
 *
 * Values of A and B belong together when B's metadata "quant.of" names A's value (or A's names
 * B's), else when they share their name. Codes are dequantised, x = scale * (q - zero_point), so
 * differences are in real units; in steps of the grid that B's value lies on, else A's. */
#include "report/report_internal.h"

#include <truq/fake.h>

#include <math.h>
#include <string.h>

static const double SAME = 1e-5; /* relative: values without a grid are the same */

/** A value of each, and what was seen of them. */
typedef struct pair {
    const tq_value *a, *b;
    double step;
    double max_difference, max_magnitude;
    int64_t n, n_equal;
} pair;

typedef struct comparison {
    tq_runs runs;
    tq_arena *arena;
    int n;
    pair *pairs;
} comparison;

/* ---- which values belong together ---- */

/** Scale of the grid that a FakeQuantize with one scale puts its output on; 0: not known. */
static double fake_step(const tq_node *node, tq_arena *arena)
{
    tq_grid *grids;
    int n;
    const tq_status status = tq_fake_grids(node, arena, &grids, &n);
    const bool one = !status && n == 1 && isfinite(grids[0].scale) && grids[0].scale > 0.0f;
    tq_status_drop(status);
    return one ? (double)grids[0].scale : 0.0;
}

/** Scale of the grid a value lies on, or is put on by its only reader; 0: none is known. */
static double step_of(const tq_value *value, tq_arena *arena)
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
        return fake_step(producer, arena);
    if (tq_value_n_consumers(value) == 1 && tq_node_is(tq_value_consumer(value, 0), "FakeQuantize"))
        return fake_step(tq_value_consumer(value, 0), arena);
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
    const tq_value *b = partner_of(c->runs.graphs[1], tq_value_name(a));
    const char *of = tq_value_meta(a, "quant.of");
    if (of && (!b || !comparable(a, b)))
        b = tq_graph_find_value(c->runs.graphs[1], of);
    return b && comparable(a, b) ? b : NULL;
}

static tq_status find_pairs(comparison *c)
{
    size_t capacity = 0;
    for (const tq_node *node = tq_graph_first(c->runs.graphs[0]); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++) {
            const tq_value *a = tq_node_output(node, i);
            const tq_value *b = a ? find_partner(c, a) : NULL;
            if (!b)
                continue;
            const double step_b = step_of(b, c->arena);
            const double step = step_b > 0.0 ? step_b : step_of(a, c->arena);
            const pair found = { .a = a, .b = b, .step = step };
            TQ_PUSH(c->arena, c->pairs, c->n, capacity, found);
        }
    return c->n ? TQ_OK
                : tq_fail(TQ_ERR_STATE, "the networks have no inner value in common, neither by "
                                        "name nor by what f2t noted");
}

/* ---- one batch ---- */

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
    const tq_tensor *a = tq_runs_value(&c->runs, 0, p->a), *b = tq_runs_value(&c->runs, 1, p->b);
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

static tq_status look(void *context)
{
    const comparison *c = context;
    for (int i = 0; i < c->n; i++)
        TQ_TRY(compare_pair(c, &c->pairs[i]));
    return TQ_OK;
}

static tq_status compare(void *context)
{
    comparison *c = context;
    TQ_TRY(find_pairs(c));
    return tq_runs_all(&c->runs, "layers", look, c);
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
    comparison c = { .runs = { .n = 2, .graphs = { a, b }, .options = options }, .arena = arena };
    const tq_status status = tq_guard(compare, &c);
    tq_runs_reset(&c.runs);
    TQ_TRY(tq_wrap(status, "cannot compare layers"));
    *out_rows = TQ_NEW_N(arena, tq_layer_difference, c.n);
    *out_n = 0;
    for (int i = 0; i < c.n; i++)
        if (c.pairs[i].n > 0)
            (*out_rows)[(*out_n)++] = row_of(&c.pairs[i], arena);
    return TQ_OK;
}
