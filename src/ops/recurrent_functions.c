/* Activations of the recurrent operators (ONNX RNN-22). Each function takes the next entries of
 * activation_alpha and activation_beta if it has such a parameter at all; what is left out there is
 * the default of the operator of that name, where there is one. */
#include "ops/recurrent_internal.h"

#include <math.h>
#include <string.h>

#define F(name)                                                                                    \
    static double name(double x, __attribute__((unused)) double alpha,                             \
                       __attribute__((unused)) double beta)

F(relu)
{
    return x < 0 ? 0.0 : x;
}
F(tanh_)
{
    return tanh(x);
}
F(sigmoid)
{
    return 1.0 / (1.0 + exp(-x));
}
F(affine)
{
    return alpha * x + beta;
}
F(leaky_relu)
{
    return x < 0 ? alpha * x : x;
}
F(thresholded_relu)
{
    return x <= alpha ? 0.0 : x;
}
F(scaled_tanh)
{
    return alpha * tanh(beta * x);
}
F(hard_sigmoid)
{
    return fmin(fmax(alpha * x + beta, 0.0), 1.0);
}
F(elu)
{
    return x < 0 ? alpha * expm1(x) : x;
}
F(softsign)
{
    return x / (1.0 + fabs(x));
}
F(softplus)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const struct {
    const char *name;
    bool has_alpha, has_beta;
    tq_recurrent_function function;
} functions[] = {
    { "Relu", false, false, { relu, 0, 0 } },
    { "Tanh", false, false, { tanh_, 0, 0 } },
    { "Sigmoid", false, false, { sigmoid, 0, 0 } },
    { "Affine", true, true, { affine, NAN, NAN } },
    { "LeakyRelu", true, false, { leaky_relu, 0.01, 0 } },
    { "ThresholdedRelu", true, false, { thresholded_relu, 1, 0 } },
    { "ScaledTanh", true, true, { scaled_tanh, NAN, NAN } },
    { "HardSigmoid", true, true, { hard_sigmoid, 0.2, 0.5 } },
    { "Elu", true, false, { elu, 1, 0 } },
    { "Softsign", false, false, { softsign, 0, 0 } },
    { "Softplus", false, false, { softplus, 0, 0 } },
};

static int find(const char *name)
{
    for (int i = 0; i < TQ_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return i;
    return -1;
}

/** The parameters of one attribute that are still to be given out. */
typedef struct parameters {
    const float *values;
    int n;
} parameters;

static void take(parameters *p, double *value)
{
    if (p->n == 0)
        return;
    *value = (double)*p->values++;
    p->n--;
}

tq_status tq_recurrent_read_functions(const tq_attrs *attrs, const tq_recurrent_cell *cell,
                                      int n_directions,
                                      tq_recurrent_function out[2 * TQ_RECURRENT_FUNCTIONS])
{
    const int n = cell->n_functions * n_directions;
    const tq_attr *given = tq_attrs_find(attrs, "activations");
    const bool own = !given || given->n == 0;
    if (!own && given->n != n)
        return tq_fail(TQ_ERR_VALUE, "activations names %d functions; expected %d", given->n, n);
    parameters alpha, beta;
    alpha.values = tq_attr_floats(attrs, "activation_alpha", &alpha.n);
    beta.values = tq_attr_floats(attrs, "activation_beta", &beta.n);
    for (int i = 0; i < n; i++) {
        const char *name = own ? cell->functions[i % cell->n_functions] : given->strings[i];
        const int k = find(name);
        if (k < 0)
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "activation '%s' is not known; expected Relu, Tanh, Sigmoid, Affine, "
                           "LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign or "
                           "Softplus",
                           name);
        out[i] = functions[k].function;
        if (functions[k].has_alpha)
            take(&alpha, &out[i].alpha);
        if (functions[k].has_beta)
            take(&beta, &out[i].beta);
        if (isnan(out[i].alpha) || isnan(out[i].beta))
            return tq_fail(TQ_ERR_VALUE,
                           "activation '%s' needs an activation_alpha and an "
                           "activation_beta",
                           name);
    }
    return TQ_OK;
}
