/* Batch normalisation with given statistics (ONNX BatchNormalization-15, inference), and its
 * gradient:
 *
 *   y = (x - mean) * k + bias,      k = scale / sqrt(var + epsilon)       per channel
 *   dx = k * dy,  dscale = sum dy * (x - mean) / sqrt(var + epsilon),  dbias = sum dy
 *
 *   x  [N, C, ...] f32;  scale, bias, mean, var  [C] f32.  k is formed in double; sums are double.
 *
 * On codes it composes into scale and offset, and needs no node. */
#include "ops/batch_norm_internal.h"
#include "ops/codes_internal.h"

#include <math.h>

enum { X, SCALE, BIAS, MEAN, VAR };
enum { DY, GRAD_X, GRAD_SCALE, GRAD_MEAN, GRAD_VAR }; /* of BatchNormGrad */

tq_status tq_batch_norm_check(const tq_op_types *t, int x, int first, int last)
{
    TQ_TRY(tq_op_need_dtype(t, x, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, x, 2, TQ_MAX_RANK));
    for (int i = first; i <= last; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 1, 1));
        if (!tq_dim_fits(t->in[i]->dims[0], t->in[x]->dims[1]))
            return tq_fail(TQ_ERR_SHAPE, "x is %s, input %d is %s; expected one value per channel",
                           tq_type_text(t->in[x]).s, i, tq_type_text(t->in[i]).s);
    }
    return TQ_OK;
}

tq_planes tq_planes_of(const tq_type *x)
{
    return (tq_planes){ x->dims[0], x->dims[1], tq_type_count_from(x, 2) };
}

void tq_batch_norm_sums(const tq_planes *p, int64_t c, const float *dy, const float *x, double mean,
                        double *out_dy, double *out_dy_x)
{
    double sum = 0.0, sum_x = 0.0;
    for (int64_t n = 0; n < p->n; n++) {
        const int64_t at = (n * p->n_channels + c) * p->n_inner;
        for (int64_t i = at; i < at + p->n_inner; i++) {
            sum += (double)dy[i];
            sum_x += (double)dy[i] * ((double)x[i] - mean);
        }
    }
    *out_dy = sum;
    *out_dy_x = sum_x;
}

static tq_status infer(tq_op_types *t)
{
    if (tq_attr_int(t->attrs, "training_mode") || t->n_out > 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "training_mode is not implemented; export the network for inference");
    TQ_TRY(tq_batch_norm_check(t, X, SCALE, VAR));
    return tq_op_infer_same(t);
}

static void channels(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[X]);
    const float *scale = run->in[SCALE], *bias = run->in[BIAS], *mean = run->in[MEAN];
    const float *var = run->in[VAR];
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t c = plane % p.n_channels;
        const float k = (float)((double)scale[c] / sqrt((double)var[c] + epsilon));
        const float *x = (const float *)run->in[X] + plane * p.n_inner;
        float *y = (float *)run->out[0] + plane * p.n_inner;
        for (int64_t i = 0; i < p.n_inner; i++)
            y[i] = (x[i] - mean[c]) * k + bias[c];
    }
}

static void reference(const tq_op_run *run)
{
    const tq_planes p = tq_planes_of(run->in_types[X]);
    tq_run_for(run, p.n * p.n_channels, 16, channels, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    tq_value *inputs[] = { tq_grad_of_output(g, 0), tq_grad_input(g, X), tq_grad_input(g, SCALE),
                           tq_grad_input(g, MEAN), tq_grad_input(g, VAR) };
    const tq_attr epsilon = TQ_FLOAT("epsilon", tq_attr_float(tq_grad_attrs(g), "epsilon"));
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "BatchNormGrad",
                                         .inputs = inputs,
                                         .n_inputs = TQ_COUNT(inputs),
                                         .n_outputs = 3,
                                         .attrs = &epsilon,
                                         .n_attrs = 1 },
                        &node));
    for (int i = X; i <= BIAS; i++)
        tq_grad_set(g, i, tq_node_output(node, i));
    return TQ_OK;
}

/* ---- integers ------------------------------------------------------------------------------ */

static tq_status constant(tq_integerise *t, int i, const char *what, int64_t n, const double **out)
{
    TQ_TRY(tq_codes_reals(t, i, what, n, out));
    return *out ? TQ_OK : tq_int_refuse(t, "%s is missing", what);
}

/** k (s q + o - mean) + bias = (k s) q + (k (o - mean) + bias). */
static tq_status integerise(tq_integerise *t)
{
    const tq_codes *x;
    TQ_TRY(tq_codes_affine(t, X, &x));
    const tq_node *node = tq_int_node(t);
    const int64_t n = tq_type_count(tq_value_type(tq_node_input(node, SCALE)));
    if (x->n > 1 && (x->axis != 1 || x->n != n))
        return tq_int_refuse(t, "input has scales along axis %d; expected the channels", x->axis);
    const double *scale, *bias, *mean, *var;
    TQ_TRY(constant(t, SCALE, "scale", n, &scale));
    TQ_TRY(constant(t, BIAS, "bias", n, &bias));
    TQ_TRY(constant(t, MEAN, "mean", n, &mean));
    TQ_TRY(constant(t, VAR, "variance", n, &var));
    double *new_scale = TQ_NEW_N(tq_int_arena(t), double, n);
    double *new_offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int64_t c = 0; c < n; c++) {
        const int64_t at = x->n > 1 ? c : 0;
        const double k =
            scale[c] / sqrt(var[c] + (double)tq_attr_float(tq_node_attrs(node), "epsilon"));
        if (!isfinite(k))
            return tq_int_refuse(t, "variance of channel %lld is %g", (long long)c, var[c]);
        new_scale[c] = k * x->scale[at];
        new_offset[c] = k * (x->offset[at] - mean[c]) + bias[c];
    }
    tq_codes y = *x;
    y.axis = 1;
    y.n = (int)n;
    y.scale = new_scale;
    y.offset = new_offset;
    y.clip_lo = -INFINITY;
    y.clip_hi = INFINITY;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

const tq_op tq_op_batch_norm = {
    .entry = { .name = "BatchNormalization",
               .brief = "normalisation by given statistics",
               .source = "arXiv:1502.03167; ONNX BatchNormalization-15" },
    .inputs = { "x", "scale", "bias", "mean", "var" },
    .outputs = { "y", "?new_mean", "?new_var" },
    .attrs = { TQ_FLOAT("epsilon", 1e-5f), TQ_FLOAT("momentum", 0.9f), TQ_INT("training_mode", 0) },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

/* ---- gradient ---------------------------------------------------------------------------- */

static tq_status infer_grad(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, DY, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_batch_norm_check(t, GRAD_X, GRAD_SCALE, GRAD_VAR));
    t->out[0] = *t->in[GRAD_X];
    for (int i = 1; i < t->n_out; i++)
        t->out[i] = *t->in[GRAD_SCALE];
    return TQ_OK;
}

static void grad_channels(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[GRAD_X]);
    const float *dy = run->in[DY], *scale = run->in[GRAD_SCALE], *mean = run->in[GRAD_MEAN];
    const float *var = run->in[GRAD_VAR];
    float *dx = run->out[0];
    for (int64_t c = begin; c < end; c++) {
        const double inverse =
            1.0 / sqrt((double)var[c] + (double)tq_attr_float(run->attrs, "epsilon"));
        const float k = (float)((double)scale[c] * inverse);
        double sum, sum_x;
        tq_batch_norm_sums(&p, c, dy, run->in[GRAD_X], (double)mean[c], &sum, &sum_x);
        for (int64_t n = 0; n < p.n; n++) {
            const int64_t at = (n * p.n_channels + c) * p.n_inner;
            for (int64_t i = at; i < at + p.n_inner; i++)
                dx[i] = k * dy[i];
        }
        if (run->n_out > 1 && run->out[1])
            ((float *)run->out[1])[c] = (float)(sum_x * inverse);
        if (run->n_out > 2 && run->out[2])
            ((float *)run->out[2])[c] = (float)sum;
    }
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, run->in_types[GRAD_X]->dims[1], 1, grad_channels, (void *)run);
}

const tq_op tq_op_batch_norm_grad = {
    .entry = { .name = "BatchNormGrad", .brief = "gradient of batch norm with frozen statistics" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "x", "scale", "mean", "var" },
    .outputs = { "dx", "?dscale", "?dbias" },
    .attrs = { TQ_FLOAT("epsilon", 1e-5f) },
    .infer = infer_grad,
    .reference = reference_grad,
};
