/* Smooth functions of one element and their gradients, one table row each: f(x) and f'(x), so that
 * <Op>Grad(x, dy) = f'(x) * dy. Computed in double and rounded once; NaN stays NaN. f32, f64, f16,
 * bf16. On codes each is a table between two FakeQuantize.
 *
 * Source: ONNX operators, opset 13 to 22; Gelu arXiv:1606.08415, Selu arXiv:1706.02515, HardSwish
 * arXiv:1905.02244. */
#include "ops/codes_internal.h"

#include <math.h>
#include <string.h>

/* What the attributes alpha and beta (or gamma, approximate) give. */
typedef struct parameters {
    double a, b;
    bool tanh_form;
} parameters;

static parameters read_parameters(const tq_attrs *attrs)
{
    const tq_attr *b = tq_attrs_find(attrs, "beta");
    return (parameters){
        .a = (double)tq_attr_float(attrs, "alpha"),
        .b = (double)tq_attr_float(attrs, b ? "beta" : "gamma"),
        .tanh_form = strcmp(tq_attr_string(attrs, "approximate"), "tanh") == 0,
    };
}

typedef double unary_function(double x, const parameters *p);

/** y = f(x), or y = f(x) * dy when dy is given. */
static inline __attribute__((always_inline)) void apply(const tq_op_run *run, const void *dy,
                                                        unary_function *f)
{
    const parameters p = read_parameters(run->attrs);
    const tq_dtype dtype = run->in_types[0]->dtype;
    const int64_t n = tq_type_count(run->in_types[0]);
    if (dtype == TQ_F32) {
        const float *x = run->in[0], *factor = dy;
        float *y = run->out[0];
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)(factor ? f((double)x[i], &p) * (double)factor[i] : f((double)x[i], &p));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const double value = f(tq_load_f64(run->in[0], dtype, i), &p);
        tq_store_f64(run->out[0], dtype, i, dy ? value * tq_load_f64(dy, dtype, i) : value);
    }
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    return tq_op_infer_same(t);
}

tq_status tq_unary_infer_grad(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    TQ_TRY(tq_op_need_dtype(t, 1, TQ_DTYPE_BIT(t->in[0]->dtype)));
    const tq_type *x = t->in[0], *dy = t->in[1];
    for (int d = 0; x->rank >= 0 && (d < x->rank || dy->rank != x->rank); d++)
        if (dy->rank != x->rank || !tq_dim_fits(x->dims[d], dy->dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "x is %s, dy is %s; expected one shape", tq_type_text(x).s,
                           tq_type_text(dy).s);
    return tq_op_infer_same(t);
}

/* ---- functions: f and its derivative -------------------------------------------------------- */

#define F(name) static double name(double x, __attribute__((unused)) const parameters *p)

F(elu)
{
    return x < 0 ? p->a * expm1(x) : x;
}
F(elu_d)
{
    return x < 0 ? p->a * exp(x) : 1.0;
}
F(selu)
{
    return p->b * (x < 0 ? p->a * expm1(x) : x);
}
F(selu_d)
{
    return p->b * (x < 0 ? p->a * exp(x) : 1.0);
}
F(celu)
{
    return x < 0 ? p->a * expm1(x / p->a) : x;
}
F(celu_d)
{
    return x < 0 ? exp(x / p->a) : 1.0;
}
F(thresholded_relu)
{
    return x <= p->a ? 0.0 : x;
}
F(thresholded_relu_d)
{
    return x <= p->a ? 0.0 : 1.0;
}
F(sigmoid)
{
    return 1.0 / (1.0 + exp(-x));
}
F(sigmoid_d)
{
    return sigmoid(x, p) * sigmoid(-x, p);
}
F(swish)
{
    return x * sigmoid(p->a * x, p);
}
F(swish_d)
{
    const double s = sigmoid(p->a * x, p);
    return s + p->a * x * s * (1.0 - s);
}
F(tanh_)
{
    return tanh(x);
}
F(tanh_d)
{
    return 1.0 - tanh(x) * tanh(x);
}
F(softplus)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
F(mish)
{
    return x * tanh(softplus(x, p));
}
F(mish_d)
{
    const double t = tanh(softplus(x, p));
    return t + x * (1.0 - t * t) * sigmoid(x, p);
}
F(softsign)
{
    return x / (1.0 + fabs(x));
}
F(softsign_d)
{
    return 1.0 / ((1.0 + fabs(x)) * (1.0 + fabs(x)));
}
F(erf_)
{
    return erf(x);
}
F(erf_d)
{
    return M_2_SQRTPI * exp(-x * x);
}
F(exp_)
{
    return exp(x);
}
F(log_)
{
    return log(x);
}
F(log_d)
{
    return 1.0 / x;
}
F(sqrt_)
{
    return sqrt(x);
}
F(sqrt_d)
{
    return 0.5 / sqrt(x);
}
F(sin_)
{
    return sin(x);
}
F(cos_)
{
    return cos(x);
}
F(cos_d)
{
    return -sin(x);
}
F(reciprocal)
{
    return 1.0 / x;
}
F(reciprocal_d)
{
    return -1.0 / (x * x);
}

static double clip01(double v)
{
    return v < 0 ? 0.0 : v > 1 ? 1.0 : v;
}
F(hard_sigmoid)
{
    return clip01(p->a * x + p->b);
}
F(hard_sigmoid_d)
{
    const double v = p->a * x + p->b;
    return v > 0 && v < 1 ? p->a : 0.0;
}
F(hard_swish)
{
    return x * clip01(x / 6.0 + 0.5);
}
F(hard_swish_d)
{
    return x <= -3 ? 0.0 : x >= 3 ? 1.0 : x / 3.0 + 0.5;
}

/* Gelu is x P(X <= x), X normal; the tanh form is the paper's approximation. */
static const double gelu_cubic = 0.044715;
F(gelu)
{
    if (!p->tanh_form)
        return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
    return 0.5 * x * (1.0 + tanh(sqrt(M_2_PI) * (x + gelu_cubic * x * x * x)));
}
F(gelu_d)
{
    if (!p->tanh_form)
        return 0.5 * (1.0 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) / sqrt(2.0 * M_PI);
    const double t = tanh(sqrt(M_2_PI) * (x + gelu_cubic * x * x * x));
    const double slope = sqrt(M_2_PI) * (1.0 + 3.0 * gelu_cubic * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* id, ONNX name, f, f', what, attributes... */
#define UNARY(id, name_, f, derivative, brief_, ...)                                               \
    static void reference_##id(const tq_op_run *run)                                               \
    {                                                                                              \
        apply(run, NULL, f);                                                                       \
    }                                                                                              \
    static void reference_##id##_grad(const tq_op_run *run)                                        \
    {                                                                                              \
        apply(run, run->in[1], derivative);                                                        \
    }                                                                                              \
    static tq_status gradient_##id(tq_grad *g)                                                     \
    {                                                                                              \
        return tq_grad_emit(g, 0, name_ "Grad", tq_grad_input(g, 0), tq_grad_of_output(g, 0));     \
    }                                                                                              \
    const tq_op tq_op_##id = {                                                                     \
        .entry = { .name = name_, .brief = brief_, .source = "ONNX " name_ },                      \
        .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY,                                                  \
        .inputs = { "x" },                                                                         \
        .outputs = { "y" },                                                                        \
        .attrs = { __VA_ARGS__ },                                                                  \
        .infer = infer,                                                                            \
        .reference = reference_##id,                                                               \
        .gradient = gradient_##id,                                                                 \
        .integerise = tq_int_table,                                                                \
    };                                                                                             \
    const tq_op tq_op_##id##_grad = {                                                              \
        .entry = { .name = name_ "Grad", .brief = "gradient of " name_ },                          \
        .domain = "truq",                                                                          \
        .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,                                               \
        .inputs = { "x", "dy" },                                                                   \
        .outputs = { "dx" },                                                                       \
        .attrs = { __VA_ARGS__ },                                                                  \
        .infer = tq_unary_infer_grad,                                                              \
        .reference = reference_##id##_grad,                                                        \
    };

UNARY(elu, "Elu", elu, elu_d, "x, or alpha (e^x - 1) below 0", TQ_FLOAT("alpha", 1.0f))
UNARY(selu, "Selu", selu, selu_d, "scaled Elu", TQ_FLOAT("alpha", 1.67326319217681884765625f),
      TQ_FLOAT("gamma", 1.05070102214813232421875f))
UNARY(celu, "Celu", celu, celu_d, "x, or alpha (e^(x / alpha) - 1) below 0",
      TQ_FLOAT("alpha", 1.0f))
UNARY(thresholded_relu, "ThresholdedRelu", thresholded_relu, thresholded_relu_d,
      "x above alpha, else 0", TQ_FLOAT("alpha", 1.0f))
UNARY(swish, "Swish", swish, swish_d, "x / (1 + e^-(alpha x))", TQ_FLOAT("alpha", 1.0f))
UNARY(sigmoid, "Sigmoid", sigmoid, sigmoid_d, "1 / (1 + e^-x)", { 0 })
UNARY(tanh, "Tanh", tanh_, tanh_d, "hyperbolic tangent", { 0 })
UNARY(hard_sigmoid, "HardSigmoid", hard_sigmoid, hard_sigmoid_d, "alpha x + beta clipped to [0, 1]",
      TQ_FLOAT("alpha", 0.2f), TQ_FLOAT("beta", 0.5f))
UNARY(hard_swish, "HardSwish", hard_swish, hard_swish_d, "x clip(x / 6 + 1/2, 0, 1)", { 0 })
UNARY(softplus, "Softplus", softplus, sigmoid, "log(1 + e^x)", { 0 })
UNARY(mish, "Mish", mish, mish_d, "x tanh(log(1 + e^x))", { 0 })
UNARY(softsign, "Softsign", softsign, softsign_d, "x / (1 + |x|)", { 0 })
UNARY(erf, "Erf", erf_, erf_d, "error function", { 0 })
UNARY(gelu, "Gelu", gelu, gelu_d, "Gaussian error linear unit", TQ_STRING("approximate", "none"))
UNARY(exp, "Exp", exp_, exp_, "e^x", { 0 })
UNARY(log, "Log", log_, log_d, "natural logarithm", { 0 })
UNARY(sqrt, "Sqrt", sqrt_, sqrt_d, "square root", { 0 })
UNARY(sin, "Sin", sin_, cos_, "sine", { 0 })
UNARY(cos, "Cos", cos_, cos_d, "cosine", { 0 })
UNARY(reciprocal, "Reciprocal", reciprocal, reciprocal_d, "1 / x", { 0 })
