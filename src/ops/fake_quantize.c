/* FakeQuantize: x rounded to the grid that a quantiser makes of its parameters p0, p1, ..., one
 * grid for the tensor or one per index of `axis`. FakeQuantizeGrad gives d loss / dx and the
 * parameters' gradients. Elements are cut into a fixed number of shards, and parameter gradients
 * are summed in double over them by a fixed tree: the same bits for any number of threads.
 * Parameters that were never observed (NaN) make the result NaN. */
#include "ops/fake_quantize_internal.h"
#include "ops/integer_rules_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_SHARDS = 64 };

tq_status tq_fake_read(const tq_attrs *attrs, const tq_registry *registry, tq_fake *out)
{
    const tq_entry *entry;
    *out = (tq_fake){ 0 };
    TQ_TRY(
        tq_registry_find(registry, TQ_KIND_QUANTIZER, tq_attr_string(attrs, "quantizer"), &entry));
    out->quantizer = (const tq_quantizer *)entry;
    const int64_t n_levels = tq_attr_int(attrs, "n_levels"), step = tq_attr_int(attrs, "step");
    const int64_t q_min = tq_attr_int(attrs, "q_min");
    if (n_levels < 2 || n_levels > INT64_C(1) << 32 || step < 1 || step > 2 || q_min < INT32_MIN ||
        q_min > INT32_MAX)
        return tq_fail(TQ_ERR_VALUE,
                       "range of %lld levels from %lld in steps of %lld is not possible",
                       (long long)n_levels, (long long)q_min, (long long)step);
    out->range = tq_fake_range(attrs);
    return tq_rounding_parse(tq_attr_string(attrs, "rounding"), &out->rounding);
}

tq_status tq_fake_check_params(const tq_op_types *t, const tq_fake *fake, int first)
{
    const tq_type *x = t->in[TQ_FAKE_X];
    const int64_t axis = tq_attr_int(t->attrs, "axis");
    for (int k = 0; k < fake->quantizer->n_params; k++) {
        TQ_TRY(tq_op_need_dtype(t, first + k, TQ_DTYPE_BIT(TQ_F32)));
        const tq_type *p = t->in[first + k];
        if (x->rank < 0 || p->rank < 0)
            continue;
        if (axis >= x->rank)
            return tq_fail(TQ_ERR_VALUE, "axis is %lld and x is %s", (long long)axis,
                           tq_type_text(x).s);
        const int64_t want = axis < 0 ? 1 : x->dims[axis];
        const bool one = axis < 0 && p->rank == 0;
        if (!one && (p->rank != 1 || !tq_dim_fits(p->dims[0], want)))
            return tq_fail(TQ_ERR_SHAPE, "parameter '%s' is %s, x is %s; expected %lld entries",
                           fake->quantizer->params[k], tq_type_text(p).s, tq_type_text(x).s,
                           (long long)want);
    }
    return TQ_OK;
}

void tq_fake_layout(const tq_attrs *attrs, const tq_type *x, tq_fake *fake)
{
    const int axis = (int)tq_attr_int(attrs, "axis");
    fake->n_outer = axis < 0 ? 1 : tq_type_count_to(x, axis);
    fake->n_channels = axis < 0 ? 1 : x->dims[axis];
    fake->n_inner = axis < 0 ? tq_type_count(x) : tq_type_count_from(x, axis + 1);
}

bool tq_fake_params(const void *const *params, const tq_type *const *types, int n_params, int64_t c,
                    float *out_params)
{
    bool observed = true;
    for (int k = 0; k < n_params; k++) {
        out_params[k] = ((const float *)params[k])[tq_type_count(types[k]) == 1 ? 0 : c];
        observed = observed && !isnan(out_params[k]);
    }
    return observed;
}

static tq_status infer(tq_op_types *t)
{
    tq_fake fake;
    TQ_TRY(tq_op_need_dtype(t, TQ_FAKE_X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_fake_read(t->attrs, t->registry, &fake));
    TQ_TRY(tq_fake_check_params(t, &fake, TQ_FAKE_PARAMS));
    return tq_op_infer_same(t);
}

/** x, dy and dx are runs of one channel; the same for shards and for channels. */
typedef struct job {
    const tq_op_run *run;
    tq_fake fake;
    const float *x, *dy;
    float *y;
    int64_t n_pieces;
    double sums[MAX_SHARDS][TQ_QUANTIZER_MAX_PARAMS]; /* of shards; channels write their own */
} job;

static bool channel_grid(const job *j, int64_t c, float *params, tq_grid *grid)
{
    const tq_quantizer *q = j->fake.quantizer;
    if (!tq_fake_params(j->run->in + TQ_FAKE_PARAMS, j->run->in_types + TQ_FAKE_PARAMS, q->n_params,
                        c, params))
        return false;
    tq_quantizer_grid(q, &j->fake.range, j->fake.rounding, params, grid);
    return true;
}

static void fill_nan(int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = NAN;
}

/** One seed for each piece and row of a piece. */
static uint64_t seed_of(uint64_t seed, int64_t i)
{
    return seed ^ ((uint64_t)i + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

static void forward_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_fake *f = &j->fake;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    tq_grid grid;
    int64_t begin = 0, end = f->n_inner, c = i, n_outer = f->n_outer;
    if (f->n_channels == 1) { /* shards of one grid */
        tq_shard_range(f->n_outer * f->n_inner, j->n_pieces, i, &begin, &end);
        c = 0;
        n_outer = 1;
    }
    const bool observed = channel_grid(j, c, params, &grid);
    for (int64_t o = 0; o < n_outer; o++) {
        const int64_t at = (o * f->n_channels + c) * f->n_inner + begin, n = end - begin;
        if (observed)
            f->quantizer->forward(&grid, params, n, j->x + at, j->y + at,
                                  seed_of(j->run->seed, i + o * j->n_pieces));
        else
            fill_nan(n, j->y + at);
    }
}

static int64_t piece_count(const tq_fake *f, int n_shards)
{
    if (f->n_channels != 1)
        return f->n_channels;
    return tq_clip_i64(n_shards, 1, MAX_SHARDS);
}

static void reference(const tq_op_run *run)
{
    job j = { .run = run, .x = run->in[TQ_FAKE_X], .y = run->out[0] };
    tq_status_drop(tq_fake_read(run->attrs, run->registry, &j.fake));
    tq_fake_layout(run->attrs, run->in_types[TQ_FAKE_X], &j.fake);
    j.n_pieces = piece_count(&j.fake, run->n_shards);
    tq_parallel_for(run->pool, j.n_pieces, forward_piece, &j);
}

/* ---- gradient -------------------------------------------------------------------------------- */

/** FakeQuantizeGrad(x, p0.., dy) -> dx, dp0, ... */
static tq_status gradient(tq_grad *g)
{
    const tq_node *node = tq_grad_of(g);
    const int n = tq_node_n_inputs(node);
    tq_value *inputs[TQ_FAKE_PARAMS + TQ_QUANTIZER_MAX_PARAMS + 1];
    for (int i = 0; i < n; i++)
        inputs[i] = tq_grad_input(g, i);
    inputs[n] = tq_grad_of_output(g, 0);
    tq_attr attrs[TQ_OP_MAX_ATTRS];
    const int n_attrs = tq_attrs_count(tq_grad_attrs(g));
    for (int i = 0; i < n_attrs; i++)
        attrs[i] = *tq_attrs_at(tq_grad_attrs(g), i);
    tq_node *made;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "FakeQuantizeGrad",
                                         .n_inputs = n + 1,
                                         .inputs = inputs,
                                         .n_outputs = n,
                                         .n_attrs = n_attrs,
                                         .attrs = attrs },
                        &made));
    for (int i = 0; i < n; i++)
        if (tq_grad_wants(g, i))
            tq_grad_set(g, i, tq_node_output(made, i));
    return TQ_OK;
}

static tq_status grad_infer(tq_op_types *t)
{
    tq_fake fake;
    TQ_TRY(tq_fake_read(t->attrs, t->registry, &fake));
    const int n_params = fake.quantizer->n_params;
    if (t->n_in != n_params + 2 || t->n_out != n_params + 1)
        return tq_fail(TQ_ERR_VALUE, "has %d inputs and %d outputs; expected %d and %d", t->n_in,
                       t->n_out, n_params + 2, n_params + 1);
    TQ_TRY(tq_op_need_dtype(t, TQ_FAKE_X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_fake_check_params(t, &fake, TQ_FAKE_PARAMS));
    for (int i = 0; i <= n_params; i++)
        t->out[i] = *t->in[i];
    return TQ_OK;
}

static void write_sums(const job *j, int64_t c, const double *sums)
{
    for (int k = 0; k < j->fake.quantizer->n_params; k++)
        if (j->run->out[TQ_FAKE_PARAMS + k])
            ((float *)j->run->out[TQ_FAKE_PARAMS + k])[c] = (float)sums[k];
}

/** Gradient of one run of n elements of a channel that has n_all; adds to sums. */
static void backward_run(const job *j, const tq_grid *grid, const float *params, int64_t at,
                         int64_t n, int64_t n_all, double *sums)
{
    const tq_quantizer *q = j->fake.quantizer;
    double own[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    q->backward(grid, &j->fake.range, params, n, j->x + at, j->dy + at, j->y + at, own);
    const double scale = q->damped && n_all > 0 ? sqrt((double)n / (double)n_all) : 1.0;
    for (int k = 0; k < q->n_params; k++)
        sums[k] += scale * own[k];
}

static void fill_nan_sums(double *sums)
{
    for (int k = 0; k < TQ_QUANTIZER_MAX_PARAMS; k++)
        sums[k] = NAN;
}

static void backward_channel(void *context, int64_t c, int worker)
{
    (void)worker;
    job *j = context;
    const tq_fake *f = &j->fake;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    double sums[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    tq_grid grid;
    const bool observed = channel_grid(j, c, params, &grid);
    for (int64_t o = 0; o < f->n_outer; o++) {
        const int64_t at = (o * f->n_channels + c) * f->n_inner;
        if (observed)
            backward_run(j, &grid, params, at, f->n_inner, f->n_outer * f->n_inner, sums);
        else
            fill_nan(f->n_inner, j->y + at);
    }
    if (!observed)
        fill_nan_sums(sums);
    write_sums(j, c, sums);
}

static void backward_shard(void *context, int64_t i, int worker)
{
    (void)worker;
    job *j = context;
    const int64_t n_all = j->fake.n_outer * j->fake.n_inner;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    tq_grid grid;
    int64_t begin, end;
    tq_shard_range(n_all, j->n_pieces, i, &begin, &end);
    if (channel_grid(j, 0, params, &grid)) {
        backward_run(j, &grid, params, begin, end - begin, n_all, j->sums[i]);
        return;
    }
    fill_nan(end - begin, j->y + begin);
    fill_nan_sums(j->sums[i]);
}

static void grad_reference(const tq_op_run *run)
{
    job j = { .run = run, .x = run->in[TQ_FAKE_X], .dy = run->in[run->n_in - 1], .y = run->out[0] };
    tq_status_drop(tq_fake_read(run->attrs, run->registry, &j.fake));
    tq_fake_layout(run->attrs, run->in_types[TQ_FAKE_X], &j.fake);
    j.n_pieces = piece_count(&j.fake, run->n_shards);
    if (j.fake.n_channels != 1) {
        tq_parallel_for(run->pool, j.n_pieces, backward_channel, &j);
        return;
    }
    tq_parallel_for(run->pool, j.n_pieces, backward_shard, &j);
    tq_tree_sum_f64(j.sums[0], j.n_pieces, TQ_QUANTIZER_MAX_PARAMS, TQ_QUANTIZER_MAX_PARAMS);
    write_sums(&j, 0, j.sums[0]);
}

#define FAKE_QUANTIZE_ATTRS                                                                        \
    {                                                                                              \
        { .name = "quantizer", .kind = TQ_ATTR_STRING, .s = "pact" },                              \
            { .name = "q_min", .kind = TQ_ATTR_INT },                                              \
            { .name = "n_levels", .kind = TQ_ATTR_INT, .i = 256 },                                 \
            { .name = "step", .kind = TQ_ATTR_INT, .i = 1 },                                       \
            { .name = "rounding", .kind = TQ_ATTR_STRING, .s = "half-up" },                        \
            { .name = "axis", .kind = TQ_ATTR_INT, .i = -1 },                                      \
            { .name = "init", .kind = TQ_ATTR_STRING, .s = "minmax" },                             \
            { .name = "observe", .kind = TQ_ATTR_INT, .i = 1 },                                    \
            { .name = "slot", .kind = TQ_ATTR_STRING, .s = "" },                                   \
            { .name = "free_offset", .kind = TQ_ATTR_INT },                                        \
            { .name = "unsigned_if_positive", .kind = TQ_ATTR_INT },                               \
            { .name = "power_of_two", .kind = TQ_ATTR_INT },                                       \
        {                                                                                          \
            .name = "share", .kind = TQ_ATTR_STRING, .s = ""                                       \
        }                                                                                          \
    }

const tq_op tq_op_fake_quantize = {
    .entry = { .name = "FakeQuantize", .brief = "x rounded to a quantiser's grid" },
    .domain = "truq",
    .inputs = { "x", "p0", "?p1", "?p2", "?p3" },
    .outputs = { "y" },
    .attrs = FAKE_QUANTIZE_ATTRS,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_fake_quantize,
};

const tq_op tq_op_fake_quantize_grad = {
    .entry = { .name = "FakeQuantizeGrad",
               .brief = "gradients of FakeQuantize's input and parameters" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "p0", "dy_or_p1", "?p2", "?p3", "?dy" },
    .outputs = { "dx", "?dp0", "?dp1", "?dp2", "?dp3" },
    .attrs = FAKE_QUANTIZE_ATTRS,
    .infer = grad_infer,
    .reference = grad_reference,
};
