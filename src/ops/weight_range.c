/* WeightRange: a quantiser's parameters from the statistics of a tensor, at every forward pass;
 * PACT keeps the ends of weight grids this way. No gradient passes. A channel without a usable
 * range gives NaN. */
#include "ops/fake_quantize_internal.h"

#include <math.h>

enum { W };

static tq_status infer(tq_op_types *t)
{
    tq_fake fake;
    tq_init init;
    TQ_TRY(tq_op_need_dtype(t, W, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_fake_read(t->attrs, t->registry, &fake));
    TQ_TRY(tq_init_find(t->registry, tq_attr_string(t->attrs, "init"), &init));
    if (t->n_out != fake.quantizer->n_params)
        return tq_fail(TQ_ERR_VALUE, "has %d outputs, quantizer '%s' has %d parameters", t->n_out,
                       fake.quantizer->entry.name, fake.quantizer->n_params);
    const int64_t axis = tq_attr_int(t->attrs, "axis");
    if (t->in[W]->rank >= 0 && axis >= t->in[W]->rank)
        return tq_fail(TQ_ERR_VALUE, "axis is %lld and w is %s", (long long)axis,
                       tq_type_text(t->in[W]).s);
    const int64_t n = axis < 0 ? 1 : t->in[W]->rank < 0 ? TQ_DIM_ANY : t->in[W]->dims[axis];
    for (int k = 0; k < t->n_out; k++)
        t->out[k] = tq_type_make(TQ_F32, 1, &n);
    return TQ_OK;
}

typedef struct job {
    const tq_op_run *run;
    tq_fake fake;
    tq_init init;
} job;

static void channel(void *context, int64_t c, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_fake *f = &j->fake;
    tq_statistics statistics;
    tq_statistics_reset(&statistics);
    for (int64_t o = 0; o < f->n_outer; o++)
        tq_statistics_observe(&statistics, f->n_inner,
                              (const float *)j->run->in[W] + (o * f->n_channels + c) * f->n_inner);
    float params[TQ_QUANTIZER_MAX_PARAMS];
    double a, b;
    tq_status status = tq_init_range(&j->init, &statistics, &a, &b);
    if (!status)
        status = f->quantizer->init(&f->range, a, b, params);
    for (int k = 0; k < j->run->n_out; k++)
        if (j->run->out[k])
            ((float *)j->run->out[k])[c] = status ? NAN : params[k];
    tq_status_drop(status);
}

static void reference(const tq_op_run *run)
{
    job j = { .run = run };
    tq_status_drop(tq_fake_read(run->attrs, run->registry, &j.fake));
    tq_status_drop(tq_init_find(run->registry, tq_attr_string(run->attrs, "init"), &j.init));
    tq_fake_layout(run->attrs, run->in_types[W], &j.fake);
    tq_parallel_for(run->pool, j.fake.n_channels, channel, &j);
}

const tq_op tq_op_weight_range = {
    .entry = { .name = "WeightRange",
               .brief = "a quantiser's parameters from the statistics of its tensor" },
    .domain = "truq",
    .inputs = { "w" },
    .outputs = { "p0", "?p1", "?p2", "?p3" },
    .attrs = { { .name = "quantizer", .kind = TQ_ATTR_STRING, .s = "pact" },
               { .name = "q_min", .kind = TQ_ATTR_INT },
               { .name = "n_levels", .kind = TQ_ATTR_INT, .i = 256 },
               { .name = "step", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "rounding", .kind = TQ_ATTR_STRING, .s = "half-up" },
               { .name = "init", .kind = TQ_ATTR_STRING, .s = "minmax" },
               { .name = "axis", .kind = TQ_ATTR_INT, .i = -1 },
               { .name = "free_offset", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = reference,
};
