/* What a calibration observes of a value: count, bad elements, extremes, mean and spread, per
 * channel, as one small array, so that the value itself need not be kept.
 *
 *   x  [..., C, ...]  f32, C at `axis` (-1: one channel for all)
 *   s  [C, 6]         f64: n, n_bad, min, max, mean, m2 of tq_statistics
 *
 * The first axis is cut into a fixed number of shards; shards are merged in order, so the result
 * does not depend on threads. */
#include "ops/ops.h"

#include <truq/quant.h>

enum { N_FIELDS = 6, MAX_SHARDS = 64 };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, 1 << TQ_F32));
    TQ_TRY(tq_op_need_rank(t, 0, 0, TQ_MAX_RANK));
    const int64_t axis = tq_attr_int(t->attrs, "axis");
    if (axis < -1 || axis >= t->in[0]->rank)
        return tq_fail(TQ_ERR_VALUE, "axis is %lld, x is %s", (long long)axis,
                       tq_type_text(t->in[0]).s);
    const int64_t n_channels = axis < 0 ? 1 : t->in[0]->dims[axis];
    t->out[0] = tq_type_make(TQ_F64, 2, (int64_t[]){ n_channels, N_FIELDS });
    return TQ_OK;
}

/** x seen as [n_outer, C, n_inner]. */
typedef struct work {
    const float *x;
    double *out;
    int64_t n_outer, n_channels, n_inner, n_shards;
    tq_statistics parts[MAX_SHARDS];
} work;

static void observe(const work *w, int64_t shard, int64_t c, tq_statistics *out_part)
{
    int64_t begin, end;
    tq_shard_range(w->n_outer, w->n_shards, shard, &begin, &end);
    tq_statistics_reset(out_part);
    for (int64_t o = begin; o < end; o++)
        tq_statistics_observe(out_part, w->n_inner, w->x + (o * w->n_channels + c) * w->n_inner);
}

static void store(const tq_statistics *s, double *out)
{
    const double fields[N_FIELDS] = {
        (double)s->n, (double)s->n_bad, s->min, s->max, s->mean, s->m2
    };
    for (int i = 0; i < N_FIELDS; i++)
        out[i] = fields[i];
}

static void observe_channel(void *context, int64_t c, int worker)
{
    (void)worker;
    const work *w = context;
    tq_statistics all, part;
    tq_statistics_reset(&all);
    for (int64_t s = 0; s < w->n_shards; s++) {
        observe(w, s, c, &part);
        tq_statistics_merge(&all, &part);
    }
    store(&all, w->out + c * N_FIELDS);
}

static void observe_shard(void *context, int64_t s, int worker)
{
    (void)worker;
    work *w = context;
    observe(w, s, 0, &w->parts[s]);
}

static void reference(const tq_op_run *run)
{
    const tq_type *type = run->in_types[0];
    const int axis = (int)tq_attr_int(run->attrs, "axis");
    work w = { .x = run->in[0],
               .out = run->out[0],
               .n_channels = 1,
               .n_shards = tq_clip_i64(run->n_shards, 1, MAX_SHARDS) };
    if (axis >= 0) {
        w.n_outer = tq_type_count_to(type, axis);
        w.n_channels = type->dims[axis];
        w.n_inner = tq_type_count_from(type, axis + 1);
        tq_parallel_for(run->pool, w.n_channels, observe_channel, &w);
        return;
    }
    w.n_outer = type->rank ? type->dims[0] : 1;
    w.n_inner = type->rank ? tq_type_count_from(type, 1) : 1;
    tq_parallel_for(run->pool, w.n_shards, observe_shard, &w);
    for (int64_t s = 1; s < w.n_shards; s++)
        tq_statistics_merge(&w.parts[0], &w.parts[s]);
    store(&w.parts[0], w.out);
}

static bool accepts(const tq_op_run *shapes)
{
    return shapes->pool != NULL;
}

static void run_with_threads(const tq_op_run *run, void *state)
{
    (void)state;
    reference(run);
}

/** The same code with the pool that references go without. */
const tq_kernel tq_kernel_statistics = {
    .entry = { .name = "Statistics", .brief = "threads" },
    .accepts = accepts,
    .run = run_with_threads,
};

const tq_op tq_op_statistics = {
    .entry = { .name = "Statistics",
               .brief = "count, extremes, mean and spread of each channel, for calibration" },
    .domain = "truq",
    .inputs = { "x" },
    .outputs = { "s" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT, .i = -1 },
               /* 1: kernels may leave mean and m2 0 */
               { .name = "extremes_only", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = reference,
};
