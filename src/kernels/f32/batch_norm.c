/* Batch normalisation over x [N, C, ...]: with batch statistics, with running ones, and both
 * gradients.
 *
 *   y = (x - mean) * k + bias,  k = scale * invstd,  invstd = 1 / sqrt(var + epsilon)
 *   running: dx = k dy
 *   batch:   dx = k (dy - sum(dy) / M - xhat sum(dy xhat) / M),  xhat = (x - mean) * invstd
 *
 * Sums over the batch: a partial sum in double for each shard and channel, joined by a fixed tree.
 * Source: Ioffe and Szegedy, arXiv:1502.03167. */
#include "kernels/f32/loops_internal.h"

#include <math.h>

typedef struct job {
    const tq_loops *loops;
    int64_t n, channels, plane, n_shards;
    const float *x, *dy;
    bool only_sum; /* of x */
    float *y;
    double *sums;   /* [n_shards][channels][2] */
    float *factors; /* [channels][4] */
} job;

static int64_t count_shards(const tq_op_run *run)
{
    return tq_clip_i64(run->in_types[0]->dims[0], 1, run->n_shards > 0 ? run->n_shards : 1);
}

static bool accepts(const tq_op_run *run)
{
    for (int i = 0; i < run->n_in; i++)
        if (!run->in_types[i] || run->in_types[i]->dtype != TQ_F32)
            return false;
    return run->in_types[0]->rank >= 2 && tq_type_count(run->in_types[0]) > 0;
}

static size_t scratch_size(const tq_op_run *run, void *state)
{
    (void)state;
    const size_t channels = (size_t)run->in_types[0]->dims[1];
    return channels * (size_t)count_shards(run) * 2 * sizeof(double) + channels * 4 * sizeof(float);
}

static job make_job(const tq_op_run *run, void *state)
{
    const tq_type *type = run->in_types[0];
    job j = { .loops = state,
              .n = type->dims[0],
              .channels = type->dims[1],
              .plane = tq_type_count_from(type, 2),
              .n_shards = count_shards(run),
              .y = run->out[0],
              .sums = run->scratch };
    j.factors = (float *)(j.sums + j.n_shards * j.channels * 2);
    return j;
}

/* ---- sums ------------------------------------------------------------------------------- */

/** Sums of a and a * b over the shard's samples, where a = dy, b = x, or both x. */
static void sum_shard(void *context, int64_t shard, int worker)
{
    (void)worker;
    const job *j = context;
    const float *a = j->dy ? j->dy : j->x;
    double *sums = j->sums + shard * j->channels * 2, part[2];
    int64_t begin, end;
    tq_shard_range(j->n, j->n_shards, shard, &begin, &end);
    for (int64_t i = 0; i < j->channels * 2; i++)
        sums[i] = 0.0;
    for (int64_t n = begin; n < end; n++)
        for (int64_t c = 0; c < j->channels; c++) {
            const int64_t at = (n * j->channels + c) * j->plane;
            if (j->only_sum) {
                sums[2 * c] += j->loops->sum(j->plane, a + at);
                continue;
            }
            j->loops->sums(j->plane, a + at, j->x + at, part);
            sums[2 * c] += part[0];
            sums[2 * c + 1] += part[1];
        }
}

static void sum_batch(const tq_op_run *run, job *j)
{
    tq_parallel_for(run->pool, j->n_shards, sum_shard, j);
    tq_tree_sum_f64(j->sums, j->n_shards, j->channels * 2, j->channels * 2);
}

/* ---- applying --------------------------------------------------------------------------- */

static void affine_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    for (int64_t c = 0; c < j->channels; c++) {
        const int64_t at = (i * j->channels + c) * j->plane;
        const float *f = j->factors + 4 * c;
        j->loops->affine(j->plane, j->x + at, f[0], f[1], f[2], j->y + at);
    }
}

static void affine_grad_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    for (int64_t c = 0; c < j->channels; c++) {
        const int64_t at = (i * j->channels + c) * j->plane;
        j->loops->affine_grad(j->plane, j->dy + at, j->x + at, j->factors + 4 * c, j->y + at);
    }
}

static void scale_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    for (int64_t c = 0; c < j->channels; c++) {
        const int64_t at = (i * j->channels + c) * j->plane;
        j->loops->scale(j->plane, j->dy + at, j->factors[4 * c], j->y + at);
    }
}

/** Outputs but the first are optional. */
static void put(const tq_op_run *run, int output, int64_t c, double value)
{
    if (output < run->n_out && run->out[output])
        ((float *)run->out[output])[c] = (float)value;
}

/* ---- the four operators ----------------------------------------------------------------- */

/** (x, scale, bias, mean, var) -> y */
static void run_inference(const tq_op_run *run, void *state)
{
    const float *scale = run->in[1], *bias = run->in[2], *mean = run->in[3], *var = run->in[4];
    const float epsilon = tq_attr_float(run->attrs, "epsilon");
    job j = make_job(run, state);
    j.x = run->in[0];
    for (int64_t c = 0; c < j.channels; c++) {
        j.factors[4 * c] = mean[c];
        j.factors[4 * c + 1] = (float)((double)scale[c] / sqrt((double)var[c] + (double)epsilon));
        j.factors[4 * c + 2] = bias[c];
    }
    tq_parallel_for(run->pool, j.n, affine_piece, &j);
}

/** (x, scale, bias, mean, var) -> y, new_mean, new_var, saved_mean, saved_invstd */
static void run_train(const tq_op_run *run, void *state)
{
    const float *scale = run->in[1], *bias = run->in[2], *mean = run->in[3], *var = run->in[4];
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    const double momentum = (double)tq_attr_float(run->attrs, "momentum");
    job j = make_job(run, state);
    j.x = run->in[0];
    sum_batch(run, &j);
    const double count = (double)(j.n * j.plane);
    for (int64_t c = 0; c < j.channels; c++) {
        const double m = j.sums[2 * c] / count;
        const double v = fmax(j.sums[2 * c + 1] / count - m * m, 0.0);
        const double invstd = 1.0 / sqrt(v + epsilon);
        const double unbiased = count > 1.0 ? v * (count / (count - 1.0)) : v;
        j.factors[4 * c] = (float)m;
        j.factors[4 * c + 1] = (float)((double)scale[c] * invstd);
        j.factors[4 * c + 2] = bias[c];
        put(run, 1, c, momentum * (double)mean[c] + (1.0 - momentum) * m);
        put(run, 2, c, momentum * (double)var[c] + (1.0 - momentum) * unbiased);
        put(run, 3, c, m);
        put(run, 4, c, invstd);
    }
    tq_parallel_for(run->pool, j.n, affine_piece, &j);
}

/** (dy, x, scale, saved_mean, saved_invstd) -> dx, dscale, dbias */
static void run_train_grad(const tq_op_run *run, void *state)
{
    const float *scale = run->in[2], *mean = run->in[3], *invstd = run->in[4];
    job j = make_job(run, state);
    j.dy = run->in[0];
    j.x = run->in[1];
    sum_batch(run, &j);
    const double count = (double)(j.n * j.plane);
    for (int64_t c = 0; c < j.channels; c++) {
        const double s = j.sums[2 * c], is = (double)invstd[c];
        const double t = (j.sums[2 * c + 1] - (double)mean[c] * s) * is;
        const double k = (double)scale[c] * is;
        float *f = j.factors + 4 * c;
        f[0] = mean[c];
        f[1] = (float)k;
        f[2] = (float)(-k * is * t / count);
        f[3] = (float)(-k * s / count);
        put(run, 1, c, t);
        put(run, 2, c, s);
    }
    tq_parallel_for(run->pool, j.n, affine_grad_piece, &j);
}

/** (dy, x, scale, mean, var) -> dx, dscale, dbias */
static void run_grad(const tq_op_run *run, void *state)
{
    const float *scale = run->in[2], *mean = run->in[3], *var = run->in[4];
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    job j = make_job(run, state);
    j.dy = run->in[0];
    j.x = run->in[1];
    sum_batch(run, &j);
    for (int64_t c = 0; c < j.channels; c++) {
        const double s = j.sums[2 * c], is = 1.0 / sqrt((double)var[c] + epsilon);
        j.factors[4 * c] = (float)((double)scale[c] * is);
        put(run, 1, c, (j.sums[2 * c + 1] - (double)mean[c] * s) * is);
        put(run, 2, c, s);
    }
    tq_parallel_for(run->pool, j.n, scale_piece, &j);
}

/** (dy) -> sums over all but axis 1 */
static void run_channel_sum(const tq_op_run *run, void *state)
{
    float *out = run->out[0];
    job j = make_job(run, state);
    j.x = run->in[0];
    j.only_sum = true;
    sum_batch(run, &j);
    for (int64_t c = 0; c < j.channels; c++)
        out[c] = (float)j.sums[2 * c];
}

#define KERNEL(kernel, op, run_)                                                                   \
    const tq_kernel tq_kernel_f32_##kernel = { .entry = { .name = op, .brief = "f32 loops" },      \
                                               .accepts = accepts,                                 \
                                               .prepare = tq_loops_prepare,                        \
                                               .scratch_size = scratch_size,                       \
                                               .run = run_ };
KERNEL(batch_norm, "BatchNormalization", run_inference)
KERNEL(batch_norm_train, "BatchNormTrain", run_train)
KERNEL(batch_norm_train_grad, "BatchNormTrainGrad", run_train_grad)
KERNEL(batch_norm_grad, "BatchNormGrad", run_grad)
KERNEL(channel_sum, "ChannelSum", run_channel_sum)
