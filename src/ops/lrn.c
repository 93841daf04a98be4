/* Local response normalisation across channels (ONNX LRN-13; AlexNet, Krizhevsky et al. 2012, 3.3):
 *
 *   y[c] = x[c] / (bias + alpha / size * sum_k x[k]^2)^beta,
 *
 * k from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) inside x. f32; sums in double. */
#include "ops/batch_norm_internal.h"

#include <math.h>

enum { X };

static tq_status infer(tq_op_types *t)
{
    const int64_t size = tq_attr_int(t->attrs, "size");
    if (size < 1)
        return tq_fail(TQ_ERR_VALUE, "size is %lld; expected a positive number", (long long)size);
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 2, TQ_MAX_RANK));
    return tq_op_infer_same(t);
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_planes p = tq_planes_of(run->in_types[X]);
    const int64_t size = tq_attr_int(run->attrs, "size");
    const double alpha = (double)tq_attr_float(run->attrs, "alpha") / (double)size;
    const double beta = (double)tq_attr_float(run->attrs, "beta");
    const double bias = (double)tq_attr_float(run->attrs, "bias");
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t c = plane % p.n_channels, before = (size - 1) / 2, after = size / 2;
        const int64_t first = c < before ? -c : -before;
        const int64_t last = p.n_channels - 1 - c < after ? p.n_channels - 1 - c : after;
        const float *x = (const float *)run->in[X] + plane * p.n_inner;
        float *y = (float *)run->out[0] + plane * p.n_inner;
        for (int64_t i = 0; i < p.n_inner; i++) {
            double squares = 0.0;
            for (int64_t k = first; k <= last; k++)
                squares += (double)x[k * p.n_inner + i] * (double)x[k * p.n_inner + i];
            y[i] = (float)((double)x[i] / pow(bias + alpha * squares, beta));
        }
    }
}

static void reference(const tq_op_run *run)
{
    const tq_planes p = tq_planes_of(run->in_types[X]);
    tq_run_for(run, p.n * p.n_channels, 1, planes, (void *)run);
}

const tq_op tq_op_lrn = {
    .entry = { .name = "LRN",
               .brief = "local response normalisation across channels",
               .source = "Krizhevsky et al., NIPS 2012; ONNX LRN-13" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_INT("size", 0), TQ_FLOAT("alpha", 1e-4f), TQ_FLOAT("beta", 0.75f),
               TQ_FLOAT("bias", 1.0f) },
    .required_attrs = 1,
    .infer = infer,
    .reference = reference,
};
