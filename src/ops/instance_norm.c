/* Normalisation of channels by their own statistics, sample by sample (ONNX
 * InstanceNormalization-22, arXiv:1607.08022; GroupNormalization-21, arXiv:1803.08494):
 *
 *   y[n, c] = (x[n, c] - mean) / sqrt(var + epsilon) * scale[c] + bias[c]
 *
 * with mean and biased variance over the plane x[n, c], or over the planes of the group that c is
 * in: num_groups groups of neighbouring channels. f32; sums in double. */
#include "ops/batch_norm_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/normalize_internal.h"

#include <math.h>

enum { X, SCALE, BIAS };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_batch_norm_check(t, X, SCALE, BIAS));
    return tq_op_infer_same(t);
}

static tq_status group_infer(tq_op_types *t)
{
    TQ_TRY(infer(t));
    const int64_t n = tq_attr_int(t->attrs, "num_groups"), channels = t->in[X]->dims[1];
    if (n < 1 || (channels != TQ_DIM_ANY && channels % n != 0))
        return tq_fail(TQ_ERR_VALUE, "num_groups is %lld, x is %s; expected to divide its channels",
                       (long long)n, tq_type_text(t->in[X]).s);
    return TQ_OK;
}

typedef struct job {
    const tq_op_run *run;
    tq_planes planes;
    int64_t n_channels; /* of a group */
    double epsilon;
} job;

/** mean and 1 / sqrt(var + epsilon) of n elements. */
static void statistics(const float *x, int64_t n, double epsilon, double *out_mean,
                       double *out_inverse)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    *out_mean = mean;
    *out_inverse = 1.0 / sqrt(squares / (double)n + epsilon);
}

static void groups(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    const int64_t n_inner = j->planes.n_inner;
    for (int64_t group = begin; group < end; group++) {
        const int64_t first = group * j->n_channels;
        double mean, inverse;
        statistics((const float *)j->run->in[X] + first * n_inner, j->n_channels * n_inner,
                   j->epsilon, &mean, &inverse);
        for (int64_t plane = first; plane < first + j->n_channels; plane++) {
            const float *x = (const float *)j->run->in[X] + plane * n_inner;
            float *y = (float *)j->run->out[0] + plane * n_inner;
            const int64_t c = plane % j->planes.n_channels;
            const double k = (double)((const float *)j->run->in[SCALE])[c] * inverse;
            const double bias = (double)((const float *)j->run->in[BIAS])[c];
            for (int64_t i = 0; i < n_inner; i++)
                y[i] = (float)(((double)x[i] - mean) * k + bias);
        }
    }
}

static void run_groups(const tq_op_run *run, int64_t n_groups)
{
    const tq_planes p = tq_planes_of(run->in_types[X]);
    job j = { .run = run,
              .planes = p,
              .n_channels = n_groups ? p.n_channels / n_groups : 0,
              .epsilon = (double)tq_attr_float(run->attrs, "epsilon") };
    tq_run_for(run, p.n * n_groups, 1, groups, &j);
}

static void reference(const tq_op_run *run)
{
    run_groups(run, tq_planes_of(run->in_types[X]).n_channels);
}

static void group_reference(const tq_op_run *run)
{
    run_groups(run, tq_attr_int(run->attrs, "num_groups"));
}

static tq_status gradient(tq_grad *g)
{
    const int64_t n_channels = tq_value_type(tq_grad_input(g, SCALE))->dims[0];
    return tq_grad_normalize(
        g, &(tq_normalized){
               .axis = 1, .n_groups = n_channels, .centred = true, .per_channel = true });
}

static tq_status group_gradient(tq_grad *g)
{
    return tq_grad_normalize(
        g, &(tq_normalized){ .axis = 1,
                             .n_groups = tq_attr_int(tq_grad_attrs(g), "num_groups"),
                             .centred = true,
                             .per_channel = true });
}

static tq_status integerise(tq_integerise *t)
{
    return tq_integerise_group_normalize(
        t, tq_value_type(tq_node_input(tq_int_node(t), SCALE))->dims[0]);
}

static tq_status group_integerise(tq_integerise *t)
{
    return tq_integerise_group_normalize(t,
                                         tq_attr_int(tq_node_attrs(tq_int_node(t)), "num_groups"));
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
    .gradient = gradient,
    .integerise = integerise,
};

const tq_op tq_op_group_norm = {
    .entry = { .name = "GroupNormalization",
               .brief = "normalisation of groups of channels",
               .source = "arXiv:1803.08494; ONNX GroupNormalization-21" },
    .inputs = { "x", "scale", "bias" },
    .outputs = { "y" },
    .attrs = { TQ_INT("num_groups", 0), TQ_FLOAT("epsilon", 1e-5f), TQ_INT("stash_type", 1) },
    .required_attrs = 1,
    .infer = group_infer,
    .reference = group_reference,
    .gradient = group_gradient,
    .integerise = group_integerise,
};
