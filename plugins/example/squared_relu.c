/* The squared rectified linear unit (So et al., 2021, arXiv:2109.08668) and its gradient:
 *
 *   y = max(x, 0)^2,      dx = 2 max(x, 0) dy
 *
 * With x = s (q - z) its integers are y = s^2 r^2 with r = max(q - z, 0): a Max and a Mul, exact;
 * the scale s^2 waits for the next FakeQuantize. */
#include "example.h"

#include <math.h>

enum { X, DY };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, 1u << TQ_F32));
    return tq_op_infer_same(t);
}

static void reference(const tq_op_run *run)
{
    const float *x = run->in[X];
    float *y = run->out[0];
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++) {
        const float r = x[i] > 0.0f ? x[i] : 0.0f;
        y[i] = r * r;
    }
}

/** The gradient is nodes too: passes see it. */
static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "SquaredReluGrad", tq_grad_input(g, X), tq_grad_of_output(g, 0));
}

static void reference_grad(const tq_op_run *run)
{
    const float *x = run->in[X], *dy = run->in[DY];
    float *dx = run->out[0];
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        dx[i] = x[i] > 0.0f ? 2.0f * x[i] * dy[i] : 0.0f;
}

static bool has_one_grid(const tq_codes *x)
{
    const double zero_point = -x->offset[0] / x->scale[0];
    return x->axis < 0 && x->clip_lo == -INFINITY && x->clip_hi == INFINITY &&
           fabs(zero_point - rint(zero_point)) < 1e-6 && fabs(zero_point) < 0x1p30;
}

static int64_t at_most(int64_t code, int64_t zero_point)
{
    return code > zero_point ? code - zero_point : 0;
}

static tq_status scalar(tq_integerise *t, const char *suffix, int64_t value, tq_value **out)
{
    return tq_int_add_constant(t, suffix, TQ_I32, 1, (int64_t[]){ 1 }, &value, out);
}

static tq_status emit(tq_integerise *t, const tq_codes *x, int64_t zero_point, tq_value **out)
{
    const int onnx_i32 = 6;
    tq_value *q[2] = { x->codes };
    TQ_TRY(tq_int_emit(t, "Cast", q, 1, &TQ_INT("to", onnx_i32), 1, &q[0]));
    if (zero_point) {
        TQ_TRY(scalar(t, "zero_point", zero_point, &q[1]));
        TQ_TRY(tq_int_emit(t, "Sub", q, 2, NULL, 0, &q[0]));
    }
    TQ_TRY(scalar(t, "zero", 0, &q[1]));
    TQ_TRY(tq_int_emit(t, "Max", q, 2, NULL, 0, &q[0]));
    return tq_int_emit(t, "Mul", (tq_value *[]){ q[0], q[0] }, 2, NULL, 0, out);
}

static tq_status integerise(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, X);
    if (!x || !has_one_grid(x))
        return tq_int_refuse(t,
                             "its input is on no grid of one scale; put a FakeQuantize before it");
    const int64_t zero_point = (int64_t)rint(-x->offset[0] / x->scale[0]);
    const int64_t lo = at_most(x->lo, zero_point), hi = at_most(x->hi, zero_point);
    if (hi > 46340) /* its square must fit int32 */
        return tq_int_refuse(t, "its input has codes up to %lld; at most 46340 have a square",
                             (long long)hi);
    double *scale = TQ_NEW(tq_int_arena(t), double), *offset = TQ_NEW(tq_int_arena(t), double);
    *scale = x->scale[0] * x->scale[0];
    tq_codes y = { .axis = -1,
                   .n = 1,
                   .scale = scale,
                   .offset = offset,
                   .clip_lo = -INFINITY,
                   .clip_hi = INFINITY,
                   .lo = lo * lo,
                   .hi = hi * hi };
    TQ_TRY(emit(t, x, zero_point, &y.codes));
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

const tq_op example_squared_relu = {
    .entry = { .name = "SquaredRelu", .brief = "max(x, 0)^2", .source = "arXiv:2109.08668" },
    .domain = "example",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

const tq_op example_squared_relu_grad = {
    .entry = { .name = "SquaredReluGrad", .brief = "gradient of SquaredRelu" },
    .domain = "example",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .infer = infer,
    .reference = reference_grad,
};
