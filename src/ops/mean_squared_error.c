/* Mean squared error over all elements, and its gradient.
 *
 *   loss = 1/n sum_i (x[i] - target[i])^2,   d loss / d x[i] = 2/n (x[i] - target[i]) * dloss
 *
 *   x, target  f32, of one shape
 *
 * Summed in double over a fixed number of shards of the first axis and a fixed tree. */
#include "ops/ops.h"

enum { X, TARGET, DLOSS };
enum { MAX_SHARDS = 64 };

static tq_status check(const tq_op_types *t)
{
    for (int i = X; i <= TARGET; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, 1 << TQ_F32));
        TQ_TRY(tq_op_need_rank(t, i, 1, TQ_MAX_RANK));
    }
    const tq_type *x = t->in[X], *target = t->in[TARGET];
    bool same = x->rank == target->rank;
    for (int d = 0; same && d < x->rank; d++)
        same = tq_dim_fits(x->dims[d], target->dims[d]);
    if (!same)
        return tq_fail(TQ_ERR_SHAPE, "x is %s, target is %s; expected one shape", tq_type_text(x).s,
                       tq_type_text(target).s);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(check(t));
    t->out[0] = tq_type_make(TQ_F32, 0, NULL);
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const float *x = run->in[X], *target = run->in[TARGET];
    const tq_type *type = run->in_types[X];
    const int64_t n_inner = tq_type_count_from(type, 1);
    const int64_t n_shards = tq_clip_i64(run->n_shards, 1, MAX_SHARDS);
    double parts[MAX_SHARDS] = { 0.0 };
    for (int64_t s = 0; s < n_shards; s++) {
        int64_t begin, end;
        tq_shard_range(type->dims[0], n_shards, s, &begin, &end);
        for (int64_t i = begin * n_inner; i < end * n_inner; i++) {
            const double distance = (double)x[i] - (double)target[i];
            parts[s] += distance * distance;
        }
    }
    tq_tree_sum_f64(parts, n_shards, 1, 1);
    *(float *)run->out[0] = (float)(parts[0] / (double)tq_type_count(type));
}

/** The square is symmetric: the same operator serves both sides. */
static tq_status gradient(tq_grad *g)
{
    tq_value *x = tq_grad_input(g, X), *target = tq_grad_input(g, TARGET);
    tq_value *dloss = tq_grad_of_output(g, 0);
    TQ_TRY(tq_grad_emit(g, X, "MeanSquaredErrorGrad", x, target, dloss));
    return tq_grad_emit(g, TARGET, "MeanSquaredErrorGrad", target, x, dloss);
}

static tq_status infer_gradient(tq_op_types *t)
{
    TQ_TRY(check(t));
    TQ_TRY(tq_op_need_dtype(t, DLOSS, 1 << TQ_F32));
    TQ_TRY(tq_op_need_rank(t, DLOSS, 0, 0));
    t->out[0] = *t->in[X];
    return TQ_OK;
}

static void reference_gradient(const tq_op_run *run)
{
    const float *x = run->in[X], *target = run->in[TARGET];
    const int64_t n = tq_type_count(run->in_types[X]);
    const double factor = 2.0 * (double)*(const float *)run->in[DLOSS] / (double)n;
    float *dx = run->out[0];
    for (int64_t i = 0; i < n; i++)
        dx[i] = (float)(factor * ((double)x[i] - (double)target[i]));
}

const tq_op tq_op_mean_squared_error = {
    .entry = { .name = "MeanSquaredError", .brief = "mean squared error over all elements" },
    .domain = "truq",
    .inputs = { "x", "target" },
    .outputs = { "loss" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};

const tq_op tq_op_mean_squared_error_grad = {
    .entry = { .name = "MeanSquaredErrorGrad", .brief = "gradient of MeanSquaredError" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "target", "dloss" },
    .outputs = { "dx" },
    .infer = infer_gradient,
    .reference = reference_gradient,
};
