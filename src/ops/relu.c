/* Rectified linear unit (ONNX Relu-14) and its gradient:
 *
 *   y = max(x, 0),      dx = dy where x > 0, else 0
 *
 * NaN stays NaN. Any float or signed integer dtype; the gradient is f32. On codes it is a clip
 * still to be applied: the next FakeQuantize takes it into its Requant. */
#include "ops/codes_internal.h"

#include <math.h>

enum { X, DY };

static const uint32_t dtypes = TQ_DTYPES_FLOAT | TQ_DTYPES_INTEGER;

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, dtypes));
    return tq_op_infer_same(t);
}

static void forward(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_dtype dtype = run->in_types[X]->dtype;
    const float *x = run->in[X];
    float *y = run->out[0];
    if (dtype == TQ_F32)
        for (int64_t i = begin; i < end; i++)
            y[i] = x[i] < 0.0f ? 0.0f : x[i];
    else if (tq_dtype_is_float(dtype))
        for (int64_t i = begin; i < end; i++) {
            const double v = tq_load_f64(x, dtype, i);
            tq_store_f64(y, dtype, i, v < 0.0 ? 0.0 : v);
        }
    else
        for (int64_t i = begin; i < end; i++) {
            const int64_t v = tq_load_i64(x, dtype, i);
            tq_store_i64(y, dtype, i, v < 0 ? 0 : v);
        }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, forward, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "ReluGrad", tq_grad_input(g, X), tq_grad_of_output(g, 0));
}

static tq_status integerise(tq_integerise *t)
{
    return tq_codes_clip(t, 0.0, INFINITY);
}

static tq_status bounds(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, X);
    tq_bounds_set(b, 0, x.lo < 0 ? 0 : x.lo, x.hi < 0 ? 0 : x.hi);
    return TQ_OK;
}

const tq_op tq_op_relu = {
    .entry = { .name = "Relu", .brief = "max(x, 0)", .source = "ONNX Relu-14" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY | TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
    .bounds = bounds,
};

static void backward(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const float *x = run->in[X], *dy = run->in[DY];
    float *dx = run->out[0];
    for (int64_t i = begin; i < end; i++)
        dx[i] = x[i] > 0.0f ? dy[i] : 0.0f;
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, backward, (void *)run);
}

const tq_op tq_op_relu_grad = {
    .entry = { .name = "ReluGrad", .brief = "gradient of Relu" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .infer = tq_unary_infer_grad,
    .reference = reference_grad,
};
