/* Gradients of ReduceSum and ReduceMean: every element gets dy of its group, over the group's size
 * for the mean. x gives the shape only. f32, f64. */
#include "ops/reduce_internal.h"

enum { X, DY, AXES };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_REAL));
    TQ_TRY(tq_op_need_rank(t, X, 0, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_dtype(t, DY, TQ_DTYPE_BIT(t->in[X]->dtype)));
    return tq_op_infer_same(t);
}

static void spread(const tq_op_run *run, bool mean)
{
    const tq_reduction r = tq_reduction_of(run, AXES);
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int64_t count = tq_reduction_count(&r), n_kept = tq_type_count(run->in_types[DY]);
    for (int64_t i = 0; i < n_kept; i++) {
        const int64_t base = tq_reduction_at(&r, i);
        const double dy = tq_load_f64(run->in[DY], dtype, i);
        const double value = mean ? dy / (double)count : dy;
        int64_t index[TQ_MAX_RANK] = { 0 };
        for (int64_t k = 0; k < count; k++) {
            int64_t at = base;
            for (int d = 0; d < r.n_reduced; d++)
                at += index[d] * r.reduced_strides[d];
            tq_store_f64(run->out[0], dtype, at, value);
            tq_index_next(r.n_reduced, r.reduced, index);
        }
    }
}

static void reference_sum(const tq_op_run *run)
{
    spread(run, false);
}

static void reference_mean(const tq_op_run *run)
{
    spread(run, true);
}

const tq_op tq_op_reduce_sum_grad = {
    .entry = { .name = "ReduceSumGrad", .brief = "gradient of ReduceSum" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy", "?axes" },
    .outputs = { "dx" },
    .attrs = { TQ_INT("keepdims", 1), TQ_INT("noop_with_empty_axes", 0) },
    .infer = infer,
    .reference = reference_sum,
};

const tq_op tq_op_reduce_mean_grad = {
    .entry = { .name = "ReduceMeanGrad", .brief = "gradient of ReduceMean" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy", "?axes" },
    .outputs = { "dx" },
    .attrs = { TQ_INT("keepdims", 1), TQ_INT("noop_with_empty_axes", 0) },
    .infer = infer,
    .reference = reference_mean,
};
