/* Operators that need no arithmetic beyond comparing and rounding: Abs, Neg and Sign of floats and
 * integers, and Floor, Ceil and Round (ties to even) of floats. Source: ONNX operators, opset 13
 * to 22.
 *
 * Integers saturate: Abs and Neg of -128 as i8 are 127. */
#include "ops/codes_internal.h"

#include <math.h>

typedef double real_function(double x);
typedef int64_t integer_function(int64_t x);

static inline __attribute__((always_inline)) void apply(const tq_op_run *run, real_function *f,
                                                        integer_function *g)
{
    const tq_dtype dtype = run->in_types[0]->dtype;
    const int64_t n = tq_type_count(run->in_types[0]);
    if (dtype == TQ_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)run->out[0])[i] = (float)f((double)((const float *)run->in[0])[i]);
    else if (tq_dtype_is_float(dtype))
        for (int64_t i = 0; i < n; i++)
            tq_store_f64(run->out[0], dtype, i, f(tq_load_f64(run->in[0], dtype, i)));
    else
        for (int64_t i = 0; i < n; i++)
            tq_store_i64(run->out[0], dtype, i, g(tq_load_i64(run->in[0], dtype, i)));
}

static double neg_f64(double x)
{
    return -x;
}
static int64_t neg_i64(int64_t x)
{
    return x == INT64_MIN ? INT64_MAX : -x;
}
static int64_t abs_i64(int64_t x)
{
    return x < 0 ? neg_i64(x) : x;
}
static double sign_f64(double x)
{
    return x > 0 ? 1.0 : x < 0 ? -1.0 : x;
}
static int64_t sign_i64(int64_t x)
{
    return (x > 0) - (x < 0);
}
static int64_t same_i64(int64_t x)
{
    return x;
}

static tq_status infer_numeric(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_NUMERIC));
    return tq_op_infer_same(t);
}

static tq_status infer_float(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    return tq_op_infer_same(t);
}

#define REFERENCE(id, f, g)                                                                        \
    static void reference_##id(const tq_op_run *run)                                               \
    {                                                                                              \
        apply(run, f, g);                                                                          \
    }
REFERENCE(abs, fabs, abs_i64)
REFERENCE(neg, neg_f64, neg_i64)
REFERENCE(sign, sign_f64, sign_i64)
REFERENCE(floor, floor, same_i64)
REFERENCE(ceil, ceil, same_i64)
REFERENCE(round, nearbyint, same_i64)

static tq_status gradient_abs(tq_grad *g)
{
    return tq_grad_emit(g, 0, "AbsGrad", tq_grad_input(g, 0), tq_grad_of_output(g, 0));
}

static tq_status gradient_neg(tq_grad *g)
{
    return tq_grad_emit(g, 0, "Neg", tq_grad_of_output(g, 0));
}

/** -clip(s q + o, lo, hi) = clip(-s q - o, -hi, -lo). */
static tq_status integerise_neg(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (!x)
        return tq_int_refuse(t, "its input is not quantised; put a FakeQuantize on it");
    double *scale = TQ_NEW_N(tq_int_arena(t), double, x->n);
    double *offset = TQ_NEW_N(tq_int_arena(t), double, x->n);
    for (int i = 0; i < x->n; i++) {
        scale[i] = -x->scale[i];
        offset[i] = -x->offset[i];
    }
    tq_codes y = *x;
    y.scale = scale;
    y.offset = offset;
    y.clip_lo = -x->clip_hi;
    y.clip_hi = -x->clip_lo;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

/** Values are stored saturating, so bounds may be cut to the dtype. */
static void set(tq_bounds *b, int64_t lo, int64_t hi)
{
    const tq_dtype dtype = tq_bounds_types(b)->in[0]->dtype;
    const int64_t min = tq_dtype_min(dtype), max = tq_dtype_max(dtype);
    tq_bounds_set(b, 0, tq_clip_i64(lo, min, max), tq_clip_i64(hi, min, max));
}

static tq_status bounds_abs(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, 0);
    const int64_t lo = abs_i64(x.lo), hi = abs_i64(x.hi);
    set(b, x.lo <= 0 && x.hi >= 0 ? 0 : lo < hi ? lo : hi, lo > hi ? lo : hi);
    return TQ_OK;
}

static tq_status bounds_neg(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, 0);
    set(b, neg_i64(x.hi), neg_i64(x.lo));
    return TQ_OK;
}

static tq_status bounds_sign(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, 0);
    set(b, sign_i64(x.lo), sign_i64(x.hi));
    return TQ_OK;
}

#define OP(id, name_, brief_, flags_, infer_, gradient_, integerise_, bounds_)                     \
    const tq_op tq_op_##id = {                                                                     \
        .entry = { .name = name_, .brief = brief_, .source = "ONNX " name_ },                      \
        .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY | (flags_),                                       \
        .inputs = { "x" },                                                                         \
        .outputs = { "y" },                                                                        \
        .infer = infer_,                                                                           \
        .reference = reference_##id,                                                               \
        .gradient = gradient_,                                                                     \
        .integerise = integerise_,                                                                 \
        .bounds = bounds_,                                                                         \
    };
OP(abs, "Abs", "|x|", TQ_OP_INTEGER, infer_numeric, gradient_abs, tq_int_table, bounds_abs)
OP(neg, "Neg", "-x", TQ_OP_INTEGER, infer_numeric, gradient_neg, integerise_neg, bounds_neg)
OP(sign, "Sign", "-1, 0 or 1", TQ_OP_INTEGER, infer_numeric, NULL, tq_int_table, bounds_sign)
OP(floor, "Floor", "rounds down", 0, infer_float, NULL, tq_int_table, NULL)
OP(ceil, "Ceil", "rounds up", 0, infer_float, NULL, tq_int_table, NULL)
OP(round, "Round", "rounds, ties to even", 0, infer_float, NULL, tq_int_table, NULL)

static void reference_abs_grad(const tq_op_run *run)
{
    const tq_dtype dtype = run->in_types[0]->dtype;
    for (int64_t i = 0; i < tq_type_count(run->in_types[0]); i++)
        tq_store_f64(run->out[0], dtype, i,
                     sign_f64(tq_load_f64(run->in[0], dtype, i)) *
                         tq_load_f64(run->in[1], dtype, i));
}

const tq_op tq_op_abs_grad = {
    .entry = { .name = "AbsGrad", .brief = "gradient of Abs" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .infer = tq_unary_infer_grad,
    .reference = reference_abs_grad,
};
