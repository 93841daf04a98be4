/* Normalisation over the last axes (ONNX LayerNormalization-17, arXiv:1607.06450;
 * RMSNormalization-23, arXiv:1910.07467):
 *
 *   LayerNormalization:  y = (x - mean) / sqrt(var + epsilon) * scale + bias
 *   RMSNormalization:    y = x / sqrt(mean(x^2) + epsilon) * scale
 *
 * mean and biased variance over axes axis .. rank-1; scale and bias broadcast to those axes. The
 * optional outputs are the mean and 1 / sqrt(var + epsilon) of each group. f32; sums in double. */
#include "ops/integer_rules_internal.h"
#include "ops/normalize_internal.h"

#include <math.h>
#include <string.h>

enum { X, SCALE, BIAS };
enum { Y, MEAN, INVSTD };

/** The normalised axes of x as a type of their own. */
static tq_type tail_of(const tq_type *x, int axis)
{
    return tq_type_make(x->dtype, x->rank - axis, x->dims + axis);
}

/** A parameter's size is what the axis has, where `tail` does not know. */
static tq_status check_parameter(const tq_op_types *t, int i, tq_type *tail)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, i, 0, tail->rank));
    tq_type both;
    TQ_TRY(tq_type_broadcast(t->in[i], tail, &both));
    for (int d = 0; d < tail->rank; d++) {
        if (tail->dims[d] != TQ_DIM_ANY && tail->dims[d] != both.dims[d])
            return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected to broadcast to %s", i,
                           tq_type_text(t->in[i]).s, tq_type_text(tail).s);
        tail->dims[d] = both.dims[d];
    }
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_dtype(t, SCALE, TQ_DTYPE_BIT(TQ_F32)));
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    tq_type tail = tail_of(t->in[X], axis);
    TQ_TRY(check_parameter(t, SCALE, &tail));
    TQ_TRY(check_parameter(t, BIAS, &tail));
    t->out[Y] = *t->in[X];
    memcpy(t->out[Y].dims + axis, tail.dims, (size_t)tail.rank * sizeof *tail.dims);
    for (int i = MEAN; i < t->n_out; i++) {
        t->out[i] = *t->in[X];
        for (int d = axis; d < t->out[i].rank; d++)
            t->out[i].dims[d] = 1;
    }
    return TQ_OK;
}

typedef struct job {
    const tq_op_run *run;
    bool centred;
    tq_type tail;
    int64_t size; /* elements of a group */
    int64_t scale_strides[TQ_MAX_RANK], bias_strides[TQ_MAX_RANK];
} job;

static int64_t dot(const int64_t *a, const int64_t *b, int n)
{
    int64_t sum = 0;
    for (int d = 0; d < n; d++)
        sum += a[d] * b[d];
    return sum;
}

static void normalise(const job *j, int64_t group, double mean, double inverse)
{
    const float *x = (const float *)j->run->in[X] + group * j->size;
    float *y = (float *)j->run->out[Y] + group * j->size;
    const float *scale = j->run->in[SCALE];
    const float *bias = tq_run_has(j->run, BIAS) ? j->run->in[BIAS] : NULL;
    int64_t index[TQ_MAX_RANK] = { 0 };
    for (int64_t i = 0; i < j->size; i++) {
        const double k = (double)scale[dot(index, j->scale_strides, j->tail.rank)];
        const double b = bias ? (double)bias[dot(index, j->bias_strides, j->tail.rank)] : 0.0;
        y[i] = (float)(((double)x[i] - mean) * inverse * k + b);
        tq_index_next(j->tail.rank, j->tail.dims, index);
    }
}

static double mean_of(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static void groups(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    const tq_op_run *run = j->run;
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    for (int64_t group = begin; group < end; group++) {
        const float *x = (const float *)run->in[X] + group * j->size;
        const double mean = j->centred ? mean_of(x, j->size) : 0.0;
        double squares = 0.0;
        for (int64_t i = 0; i < j->size; i++)
            squares += ((double)x[i] - mean) * ((double)x[i] - mean);
        const double inverse = 1.0 / sqrt(squares / (double)j->size + epsilon);
        normalise(j, group, mean, inverse);
        if (run->n_out > MEAN && run->out[MEAN])
            ((float *)run->out[MEAN])[group] = (float)mean;
        if (run->n_out > INVSTD && run->out[INVSTD])
            ((float *)run->out[INVSTD])[group] = (float)inverse;
    }
}

static void run_groups(const tq_op_run *run, bool centred)
{
    const tq_type *x = run->in_types[X];
    const int64_t given = tq_attr_int(run->attrs, "axis");
    const int axis = (int)(given < 0 ? given + x->rank : given);
    job j = { .run = run,
              .centred = centred,
              .tail = tail_of(x, axis),
              .size = tq_type_count_from(x, axis) };
    tq_broadcast_strides(run->in_types[SCALE], &j.tail, j.scale_strides);
    if (tq_run_has(run, BIAS))
        tq_broadcast_strides(run->in_types[BIAS], &j.tail, j.bias_strides);
    tq_run_for(run, tq_type_count_to(x, axis), 1, groups, &j);
}

static void reference(const tq_op_run *run)
{
    run_groups(run, true);
}

static void reference_rms(const tq_op_run *run)
{
    run_groups(run, false);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_normalize(g, &(tq_normalized){ .axis = tq_attr_int(tq_grad_attrs(g), "axis"),
                                                  .n_groups = 1,
                                                  .centred = true });
}

static tq_status gradient_rms(tq_grad *g)
{
    return tq_grad_normalize(
        g, &(tq_normalized){ .axis = tq_attr_int(tq_grad_attrs(g), "axis"), .n_groups = 1 });
}

static tq_status integerise(tq_integerise *t)
{
    return tq_integerise_normalize(t, true);
}

static tq_status integerise_rms(tq_integerise *t)
{
    return tq_integerise_normalize(t, false);
}

const tq_op tq_op_layer_norm = {
    .entry = { .name = "LayerNormalization",
               .brief = "normalisation over the last axes",
               .source = "arXiv:1607.06450; ONNX LayerNormalization-17" },
    .inputs = { "x", "scale", "?bias" },
    .outputs = { "y", "?mean", "?invstd" },
    .attrs = { TQ_INT("axis", -1), TQ_FLOAT("epsilon", 1e-5f), TQ_INT("stash_type", 1) },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

const tq_op tq_op_rms_norm = {
    .entry = { .name = "RMSNormalization",
               .brief = "division by the root mean square over the last axes",
               .source = "arXiv:1910.07467; ONNX RMSNormalization-23" },
    .inputs = { "x", "scale" },
    .outputs = { "y" },
    .attrs = { TQ_INT("axis", -1), TQ_FLOAT("epsilon", 1e-5f), TQ_INT("stash_type", 1) },
    .infer = infer,
    .reference = reference_rms,
    .gradient = gradient_rms,
    .integerise = integerise_rms,
};
