/* Normalisation of each plane by its own statistics (ONNX InstanceNormalization-22,
 * arXiv:1607.08022):
 *
 *   y[n, c] = (x[n, c] - mean) / sqrt(var + epsilon) * scale[c] + bias[c]
 *
 * with mean and biased variance over the plane x[n, c]. f32; sums in double. */
#include "ops/batch_norm_internal.h"

#include <math.h>

enum { X, SCALE, BIAS };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_batch_norm_check(t, X, SCALE, BIAS));
    return tq_op_infer_same(t);
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[X]);
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    for (int64_t plane = begin; plane < end; plane++) {
        const float *x = (const float *)run->in[X] + plane * p.n_inner;
        float *y = (float *)run->out[0] + plane * p.n_inner;
        double sum = 0.0, squares = 0.0;
        for (int64_t i = 0; i < p.n_inner; i++)
            sum += (double)x[i];
        const double mean = sum / (double)p.n_inner;
        for (int64_t i = 0; i < p.n_inner; i++)
            squares += ((double)x[i] - mean) * ((double)x[i] - mean);
        const int64_t c = plane % p.n_channels;
        const double k = (double)((const float *)run->in[SCALE])[c] /
                         sqrt(squares / (double)p.n_inner + epsilon);
        const double bias = (double)((const float *)run->in[BIAS])[c];
        for (int64_t i = 0; i < p.n_inner; i++)
            y[i] = (float)(((double)x[i] - mean) * k + bias);
    }
}

static void reference(const tq_op_run *run)
{
    const tq_planes p = tq_planes_of(run->in_types[X]);
    tq_run_for(run, p.n * p.n_channels, 1, planes, (void *)run);
}

const tq_op tq_op_instance_norm = {
    .entry = { .name = "InstanceNormalization",
               .brief = "normalisation of each plane",
               .source = "arXiv:1607.08022; ONNX InstanceNormalization-22" },
    .inputs = { "x", "scale", "bias" },
    .outputs = { "y" },
    .attrs = { TQ_FLOAT("epsilon", 1e-5f) },
    .infer = infer,
    .reference = reference,
};
