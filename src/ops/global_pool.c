/* Pools over whole planes (ONNX GlobalAveragePool-22, GlobalMaxPool-22) and their gradients:
 *
 *   y[n, c] = mean or max of x[n, c, ...];      dx = dy / size everywhere, or dy at the first
 * largest element
 *
 * f32 (sums in double); GlobalMaxPool also on integers. On codes the mean is GlobalSumPool, scale /
 * size. */
#include "ops/pool_internal.h"

#include <string.h>

enum { X, DY };
enum { MAX_X, MAX_Y, MAX_DY }; /* of GlobalMaxPoolGrad */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 2, TQ_MAX_RANK));
    t->out[0] = tq_global_type(t->in[X]);
    return TQ_OK;
}

static void mean_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_taps taps = tq_taps_all(run->in_types[X]);
    const int64_t size = tq_taps_count(&taps);
    for (int64_t plane = begin; plane < end; plane++)
        ((float *)run->out[0])[plane] =
            (float)(tq_taps_sum_f32(&taps, (const float *)run->in[X] + plane * size) /
                    (double)size);
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 16, mean_planes, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "GlobalAveragePoolGrad", tq_grad_input(g, X),
                        tq_grad_of_output(g, 0));
}

static tq_status integerise(tq_integerise *t)
{
    const tq_codes *x;
    tq_value *sums;
    TQ_TRY(tq_pool_operand(t, &x, &sums));
    const int64_t count = tq_type_count_from(tq_value_type(sums), 2);
    if (count < 1)
        return tq_int_refuse(t, "input is %s; its size must be known",
                             tq_type_text(tq_value_type(sums)).s);
    TQ_TRY(tq_int_emit(t, "GlobalSumPool", &sums, 1, NULL, 0, &sums));
    tq_pool_state_mean(t, x, sums, (double)count,
                       (tq_interval){ tq_sat_mul(x->lo, count), tq_sat_mul(x->hi, count) });
    return TQ_OK;
}

const tq_op tq_op_global_average_pool = {
    .entry = { .name = "GlobalAveragePool",
               .brief = "mean of each plane",
               .source = "ONNX GlobalAveragePool-22" },
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

static tq_status infer_grad(tq_op_types *t)
{
    for (int i = 0; i < t->n_in; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 2, TQ_MAX_RANK));
    }
    return tq_op_infer_same(t);
}

static void grad_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const int64_t size = tq_type_count_from(run->in_types[X], 2);
    for (int64_t plane = begin; plane < end; plane++) {
        const float value = ((const float *)run->in[DY])[plane] / (float)size;
        float *dx = (float *)run->out[0] + plane * size;
        for (int64_t i = 0; i < size; i++)
            dx[i] = value;
    }
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 16, grad_planes, (void *)run);
}

const tq_op tq_op_global_average_pool_grad = {
    .entry = { .name = "GlobalAveragePoolGrad", .brief = "gradient of GlobalAveragePool" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .infer = infer_grad,
    .reference = reference_grad,
};

/* ---- maximum ----------------------------------------------------------------------------- */

static tq_status infer_max(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_REAL | TQ_DTYPES_CODES | TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_rank(t, X, 2, TQ_MAX_RANK));
    if (tq_type_count_from(t->in[X], 2) == 0)
        return tq_fail(TQ_ERR_SHAPE, "x is %s; expected an element in each plane",
                       tq_type_text(t->in[X]).s);
    t->out[0] = tq_global_type(t->in[X]);
    return TQ_OK;
}

static void max_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_dtype dtype = run->in_types[X]->dtype;
    const size_t element = tq_dtype_size(dtype);
    const tq_taps taps = tq_taps_all(run->in_types[X]);
    const int64_t size = tq_taps_count(&taps);
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t best = tq_taps_argmax(&taps, run->in[X], dtype, plane * size);
        memcpy((char *)run->out[0] + (size_t)plane * element,
               (const char *)run->in[X] + (size_t)(plane * size + best) * element, element);
    }
}

static void reference_max(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 16, max_planes, (void *)run);
}

static tq_status gradient_max(tq_grad *g)
{
    return tq_grad_emit(g, X, "GlobalMaxPoolGrad", tq_grad_input(g, X), tq_grad_output(g, 0),
                        tq_grad_of_output(g, 0));
}

static tq_status bounds_max(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, X);
    tq_bounds_set(b, 0, x.lo, x.hi);
    return TQ_OK;
}

const tq_op tq_op_global_max_pool = {
    .entry = { .name = "GlobalMaxPool",
               .brief = "largest element of each plane",
               .source = "ONNX GlobalMaxPool-22" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer_max,
    .reference = reference_max,
    .gradient = gradient_max,
    .integerise = tq_int_keep,
    .bounds = bounds_max,
};

static void max_grad_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_taps taps = tq_taps_all(run->in_types[MAX_X]);
    const int64_t size = tq_taps_count(&taps);
    for (int64_t plane = begin; plane < end; plane++) {
        float *dx = (float *)run->out[0] + plane * size;
        for (int64_t i = 0; i < size; i++)
            dx[i] = 0.0f;
        dx[tq_taps_argmax(&taps, run->in[MAX_X], TQ_F32, plane * size)] =
            ((const float *)run->in[MAX_DY])[plane];
    }
}

static void reference_max_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[MAX_X], 2), 16, max_grad_planes, (void *)run);
}

const tq_op tq_op_global_max_pool_grad = {
    .entry = { .name = "GlobalMaxPoolGrad", .brief = "gradient of GlobalMaxPool" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "y", "dy" },
    .outputs = { "dx" },
    .infer = infer_grad,
    .reference = reference_max_grad,
};
