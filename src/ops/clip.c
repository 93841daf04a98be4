/* Clipping to a range (ONNX Clip-13) and its gradient:
 *
 *   y = min(max(x, min), max),      dx = dy where min < x < max, else 0
 *
 * min and max are scalars of x's dtype, absent: no bound; where min > max, y = max. NaN stays NaN.
 * Any numeric dtype; the gradient is f32. On codes it is a clip still to be applied by the next
 * Requant. */
#include "ops/codes_internal.h"

#include <math.h>

enum { X, MIN, MAX, DY };

static tq_status check_bound(const tq_op_types *t, int i)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[X]->dtype)));
    TQ_TRY(tq_op_need_rank(t, i, 0, 1));
    if (!tq_dim_fits(tq_type_count(t->in[i]), 1))
        return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected a scalar", i,
                       tq_type_text(t->in[i]).s);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    TQ_TRY(check_bound(t, MIN));
    TQ_TRY(check_bound(t, MAX));
    return tq_op_infer_same(t);
}

static double real_bound(const tq_op_run *run, int i, double otherwise)
{
    return tq_run_has(run, i) ? tq_load_f64(run->in[i], run->in_types[i]->dtype, 0) : otherwise;
}

static int64_t integer_bound(const tq_op_run *run, int i, int64_t otherwise)
{
    return tq_run_has(run, i) ? tq_load_i64(run->in[i], run->in_types[i]->dtype, 0) : otherwise;
}

static void forward_integer(const tq_op_run *run, int64_t begin, int64_t end)
{
    const int64_t lo = integer_bound(run, MIN, INT64_MIN), hi = integer_bound(run, MAX, INT64_MAX);
    const tq_dtype dtype = run->in_types[X]->dtype;
    for (int64_t i = begin; i < end; i++) {
        int64_t v = tq_load_i64(run->in[X], dtype, i);
        v = v < lo ? lo : v;
        tq_store_i64(run->out[0], dtype, i, v > hi ? hi : v);
    }
}

static void forward(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_dtype dtype = run->in_types[X]->dtype;
    if (!tq_dtype_is_float(dtype)) {
        forward_integer(run, begin, end);
        return;
    }
    const double lo = real_bound(run, MIN, -INFINITY), hi = real_bound(run, MAX, INFINITY);
    if (dtype != TQ_F32) {
        for (int64_t i = begin; i < end; i++) {
            double v = tq_load_f64(run->in[X], dtype, i);
            v = v < lo ? lo : v;
            tq_store_f64(run->out[0], dtype, i, v > hi ? hi : v);
        }
        return;
    }
    const float *x = run->in[X], lo_f32 = (float)lo, hi_f32 = (float)hi;
    float *y = run->out[0];
    for (int64_t i = begin; i < end; i++) {
        const float v = x[i] < lo_f32 ? lo_f32 : x[i];
        y[i] = v > hi_f32 ? hi_f32 : v;
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, forward, (void *)run);
}

/** The bound at input i, or a constant that bounds nothing. */
static tq_status bound_of(tq_grad *g, int i, float otherwise, tq_value **out)
{
    *out = tq_grad_input(g, i);
    if (*out)
        return TQ_OK;
    const tq_type scalar = tq_type_make(TQ_F32, 0, NULL);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, &scalar, &otherwise));
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status gradient(tq_grad *g)
{
    tq_value *min, *max;
    if (!tq_grad_wants(g, X))
        return TQ_OK;
    TQ_TRY(bound_of(g, MIN, -INFINITY, &min));
    TQ_TRY(bound_of(g, MAX, INFINITY, &max));
    return tq_grad_emit(g, X, "ClipGrad", tq_grad_input(g, X), min, max, tq_grad_of_output(g, 0));
}

static tq_status constant_bound(tq_integerise *t, int i, double otherwise, double *out)
{
    *out = otherwise;
    if (!tq_node_input(tq_int_node(t), i))
        return TQ_OK;
    const tq_tensor *bound = tq_int_constant(t, i);
    if (!bound || tq_tensor_count(bound) != 1)
        return tq_int_refuse(t, "its %s is not a constant", i == MIN ? "minimum" : "maximum");
    *out = tq_load_f64(bound->data, bound->type.dtype, 0);
    return isnan(*out) ? tq_int_refuse(t, "a bound is NaN") : TQ_OK;
}

static tq_status integerise(tq_integerise *t)
{
    double min, max;
    TQ_TRY(constant_bound(t, MIN, -INFINITY, &min));
    TQ_TRY(constant_bound(t, MAX, INFINITY, &max));
    return tq_codes_clip(t, min, max);
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    tq_interval x = tq_bounds_of(b, X);
    if (tq_op_has(t, MIN)) {
        const tq_interval min = tq_bounds_of(b, MIN);
        x = (tq_interval){ x.lo < min.lo ? min.lo : x.lo, x.hi < min.hi ? min.hi : x.hi };
    }
    if (tq_op_has(t, MAX)) {
        const tq_interval max = tq_bounds_of(b, MAX);
        x = (tq_interval){ x.lo > max.lo ? max.lo : x.lo, x.hi > max.hi ? max.hi : x.hi };
    }
    tq_bounds_set(b, 0, x.lo, x.hi);
    return TQ_OK;
}

const tq_op tq_op_clip = {
    .entry = { .name = "Clip", .brief = "clips to a range", .source = "ONNX Clip-13" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY | TQ_OP_INTEGER,
    .inputs = { "x", "?min", "?max" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
    .bounds = bounds,
};

static tq_status infer_grad(tq_op_types *t)
{
    for (int i = X; i <= DY; i++)
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(check_bound(t, MIN));
    TQ_TRY(check_bound(t, MAX));
    return tq_op_infer_same(t);
}

static void backward(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const float *x = run->in[X], *dy = run->in[DY];
    const float lo = *(const float *)run->in[MIN], hi = *(const float *)run->in[MAX];
    float *dx = run->out[0];
    for (int64_t i = begin; i < end; i++)
        dx[i] = (x[i] > lo) & (x[i] < hi) ? dy[i] : 0.0f;
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, backward, (void *)run);
}

const tq_op tq_op_clip_grad = {
    .entry = { .name = "ClipGrad", .brief = "gradient of Clip" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "min", "max", "dy" },
    .outputs = { "dx" },
    .infer = infer_grad,
    .reference = reference_grad,
};
