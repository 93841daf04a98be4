/* Batch normalisation by the statistics of the batch, and its gradient (arXiv:1502.03167, algorithm
 * 1 and section 3). Per channel, over the m elements of the batch:
 *
 *   mu = mean(x),  v = mean((x - mu)^2),  r = 1 / sqrt(v + epsilon),  y = (x - mu) r scale + bias
 *   new_mean = momentum * mean + (1 - momentum) * mu
 *   new_var  = momentum * var  + (1 - momentum) * v m / (m - 1)        (unbiased, as PyTorch)
 *   dbias = sum dy,  dscale = sum dy (x - mu) r
 *   dx = scale r (dy - dbias / m - (x - mu) r dscale / m)
 *
 * saved_mean = mu and saved_invstd = r serve the gradient. Sums are double, in order of n and i. */
#include "ops/batch_norm_internal.h"

#include <math.h>

enum { X, SCALE, BIAS, MEAN, VAR };
enum { Y, NEW_MEAN, NEW_VAR, SAVED_MEAN, SAVED_INVSTD };
enum { DY, GRAD_X, GRAD_SCALE, GRAD_MEAN, GRAD_INVSTD }; /* of BatchNormTrainGrad */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_batch_norm_check(t, X, SCALE, VAR));
    t->out[Y] = *t->in[X];
    for (int i = NEW_MEAN; i < t->n_out; i++)
        t->out[i] = *t->in[SCALE];
    return TQ_OK;
}

/** Mean and biased variance of a channel; two passes, so that the variance does not cancel. */
static void statistics(const tq_planes *p, int64_t c, const float *x, double *out_mean,
                       double *out_var)
{
    const double count = (double)(p->n * p->n_inner);
    double sum = 0.0, squares = 0.0;
    for (int64_t n = 0; n < p->n; n++) {
        const float *plane = x + (n * p->n_channels + c) * p->n_inner;
        for (int64_t i = 0; i < p->n_inner; i++)
            sum += (double)plane[i];
    }
    const double mean = sum / count;
    for (int64_t n = 0; n < p->n; n++) {
        const float *plane = x + (n * p->n_channels + c) * p->n_inner;
        for (int64_t i = 0; i < p->n_inner; i++)
            squares += ((double)plane[i] - mean) * ((double)plane[i] - mean);
    }
    *out_mean = mean;
    *out_var = squares / count;
}

static void store(const tq_op_run *run, int output, int64_t c, double value)
{
    if (output < run->n_out && run->out[output])
        ((float *)run->out[output])[c] = (float)value;
}

static void channels(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[X]);
    const float *x = run->in[X], *scale = run->in[SCALE], *bias = run->in[BIAS];
    const double momentum = (double)tq_attr_float(run->attrs, "momentum");
    const double count = (double)(p.n * p.n_inner);
    float *y = run->out[Y];
    for (int64_t c = begin; c < end; c++) {
        double mean, var;
        statistics(&p, c, x, &mean, &var);
        const double inverse = 1.0 / sqrt(var + (double)tq_attr_float(run->attrs, "epsilon"));
        const float k = (float)((double)scale[c] * inverse), mu = (float)mean;
        for (int64_t n = 0; n < p.n; n++) {
            const int64_t at = (n * p.n_channels + c) * p.n_inner;
            for (int64_t i = at; i < at + p.n_inner; i++)
                y[i] = (x[i] - mu) * k + bias[c];
        }
        const double unbiased = count > 1.0 ? var * count / (count - 1.0) : var;
        const double old_mean = (double)((const float *)run->in[MEAN])[c];
        const double old_var = (double)((const float *)run->in[VAR])[c];
        store(run, NEW_MEAN, c, momentum * old_mean + (1.0 - momentum) * mean);
        store(run, NEW_VAR, c, momentum * old_var + (1.0 - momentum) * unbiased);
        store(run, SAVED_MEAN, c, mean);
        store(run, SAVED_INVSTD, c, inverse);
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, run->in_types[X]->dims[1], 1, channels, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    tq_value *inputs[] = { tq_grad_of_output(g, Y), tq_grad_input(g, X), tq_grad_input(g, SCALE),
                           tq_grad_output(g, SAVED_MEAN), tq_grad_output(g, SAVED_INVSTD) };
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "BatchNormTrainGrad",
                                         .inputs = inputs,
                                         .n_inputs = TQ_COUNT(inputs),
                                         .n_outputs = 3 },
                        &node));
    for (int i = X; i <= BIAS; i++)
        tq_grad_set(g, i, tq_node_output(node, i));
    return TQ_OK;
}

const tq_op tq_op_batch_norm_train = {
    .entry = { .name = "BatchNormTrain",
               .brief = "normalisation by the statistics of the batch",
               .source = "arXiv:1502.03167" },
    .domain = "truq",
    .inputs = { "x", "scale", "bias", "mean", "var" },
    .outputs = { "y", "new_mean", "new_var", "saved_mean", "saved_invstd" },
    .attrs = { TQ_FLOAT("epsilon", 1e-5f), TQ_FLOAT("momentum", 0.9f) },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};

/* ---- gradient ---------------------------------------------------------------------------- */

static tq_status infer_grad(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, DY, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_batch_norm_check(t, GRAD_X, GRAD_SCALE, GRAD_INVSTD));
    t->out[0] = *t->in[GRAD_X];
    for (int i = 1; i < t->n_out; i++)
        t->out[i] = *t->in[GRAD_SCALE];
    return TQ_OK;
}

static void grad_channels(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[GRAD_X]);
    const float *dy = run->in[DY], *x = run->in[GRAD_X], *scale = run->in[GRAD_SCALE];
    const float *mean = run->in[GRAD_MEAN], *invstd = run->in[GRAD_INVSTD];
    const double count = (double)(p.n * p.n_inner);
    float *dx = run->out[0];
    for (int64_t c = begin; c < end; c++) {
        double sum, sum_x;
        tq_batch_norm_sums(&p, c, dy, x, (double)mean[c], &sum, &sum_x);
        const double r = (double)invstd[c];
        const float k = (float)((double)scale[c] * r), mean_dy = (float)(sum / count);
        const float slope = (float)(sum_x * r * r / count);
        for (int64_t n = 0; n < p.n; n++) {
            const int64_t at = (n * p.n_channels + c) * p.n_inner;
            for (int64_t i = at; i < at + p.n_inner; i++)
                dx[i] = k * (dy[i] - mean_dy - (x[i] - mean[c]) * slope);
        }
        store(run, 1, c, sum_x * r);
        store(run, 2, c, sum);
    }
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, run->in_types[GRAD_X]->dims[1], 1, grad_channels, (void *)run);
}

const tq_op tq_op_batch_norm_train_grad = {
    .entry = { .name = "BatchNormTrainGrad",
               .brief = "gradient of batch norm in training",
               .source = "arXiv:1502.03167, section 3" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "x", "scale", "saved_mean", "saved_invstd" },
    .outputs = { "dx", "?dscale", "?dbias" },
    .infer = infer_grad,
    .reference = reference_grad,
};
