/* The p-norm of each window, and of each plane (ONNX LpPool-22, GlobalLpPool-22):
 *
 *   y[n, c, o] = (sum over taps inside x of |x|^p)^(1 / p)
 *
 * f32; sums in double. */
#include "ops/pool_internal.h"

#include <math.h>

enum { X };

static tq_status check(const tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    const int64_t p = tq_attr_int(t->attrs, "p");
    if (p < 1)
        return tq_fail(TQ_ERR_VALUE, "p is %lld; expected a positive number", (long long)p);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(check(t));
    TQ_TRY(tq_op_need_rank(t, X, 3, 5));
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &window));
    t->out[0] = tq_window_type(&window, t->in[X], t->in[X]->dims[1]);
    return TQ_OK;
}

static tq_status global_infer(tq_op_types *t)
{
    TQ_TRY(check(t));
    TQ_TRY(tq_op_need_rank(t, X, 3, TQ_MAX_RANK));
    t->out[0] = tq_global_type(t->in[X]);
    return TQ_OK;
}

static double norm(const tq_taps *t, const float *plane, double p)
{
    double sum = 0.0;
    for (int64_t kd = 0; kd < t->n[0]; kd++)
        for (int64_t kh = 0; kh < t->n[1]; kh++) {
            const float *row = plane + tq_taps_row(t, kd, kh);
            for (int64_t kw = 0; kw < t->n[2]; kw++)
                sum += pow(fabs((double)row[kw * t->step[2]]), p);
        }
    return pow(sum, 1.0 / p);
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_window window = tq_pool_of(run->attrs, run->in_types[X]);
    const double p = (double)tq_attr_int(run->attrs, "p");
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    for (int64_t o = 0; o < out_size; o++) {
        const tq_taps taps = tq_taps_at(&window, o);
        for (int64_t plane = begin; plane < end; plane++)
            ((float *)run->out[0])[plane * out_size + o] =
                (float)norm(&taps, (const float *)run->in[X] + plane * in_size, p);
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 16, planes, (void *)run);
}

static void global_reference(const tq_op_run *run)
{
    const tq_taps taps = tq_taps_all(run->in_types[X]);
    const double p = (double)tq_attr_int(run->attrs, "p");
    for (int64_t plane = 0; plane < tq_type_count_to(run->in_types[X], 2); plane++)
        ((float *)run->out[0])[plane] =
            (float)norm(&taps, (const float *)run->in[X] + plane * tq_taps_count(&taps), p);
}

const tq_op tq_op_lp_pool = {
    .entry = { .name = "LpPool", .brief = "p-norm of each window", .source = "ONNX LpPool-22" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_POOL_ATTRS, TQ_INT("p", 2) },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer,
    .reference = reference,
};

const tq_op tq_op_global_lp_pool = {
    .entry = { .name = "GlobalLpPool",
               .brief = "p-norm of each plane",
               .source = "ONNX GlobalLpPool-22" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_INT("p", 2) },
    .infer = global_infer,
    .reference = global_reference,
};
