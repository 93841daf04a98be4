/* Batch normalisation, tile by tile: with batch statistics, with running ones, and both gradients.
 *
 *   y = (x - mean) * k + bias,  k = scale * invstd,  invstd = 1 / sqrt(var + epsilon)
 *   running: dx = k dy
 *   batch:   dx = k (dy - sum(dy) / M - xhat sum(dy xhat) / M),  xhat = (x - mean) * invstd
 *
 * Sums over the batch in double.
 * Source: Ioffe and Szegedy, arXiv:1502.03167. */
#include "kernels/f32/sharded/sharded_internal.h"
#include "base/base.h"

#include <math.h>
#include <stdlib.h>

enum { MEAN, K, BIAS, N_FORWARD_ROWS };
enum { GRAD_MEAN, A, B, C, N_GRAD_ROWS };
enum { SUM, SUM_PRODUCT, N_SUMS };
_Static_assert((int)N_GRAD_ROWS >= (int)N_FORWARD_ROWS, "one room serves both");

typedef struct state {
    const tq_blocks *blocks;
    double count; /* elements a channel over the batch */
    tq_factors factors;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    for (int i = 0; i < run->n_in; i++)
        if (!run->in_types[i] || run->in_types[i]->dtype != TQ_F32)
            return false;
    return tq_is_batch(run, 0) && run->in_types[0]->rank >= 3;
}

static void release(void *state_)
{
    state *s = state_;
    if (s)
        free(s->factors.rows);
    free(s);
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    const tq_type *x = shapes->in_types[0];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a batch norm");
    s->blocks = tq_blocks_best();
    s->count = (double)(x->dims[0] * tq_type_count_from(x, 2));
    const tq_status status = tq_factors_init(&s->factors, x->dims[1], N_GRAD_ROWS);
    if (status)
        release(s);
    else
        *out_state = s;
    return status;
}

static size_t partial_size(const void *state_)
{
    const state *s = state_;
    return tq_sums_size(s->factors.n_channels, N_SUMS);
}

/* ---- tiles -------------------------------------------------------------------------------- */

/** Sums of input 0, and of its products with the last array read. */
static void sum_squares(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->sums(t->n / t->width, t->in[0], t->in[0], tq_sums_of(t, N_SUMS));
}

static void sum_products(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->sums(t->n / t->width, t->in[0], t->in[1], tq_sums_of(t, N_SUMS));
}

static void affine(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    const tq_factors *f = &s->factors;
    s->blocks->affine(t->n / t->width, t->in[0], tq_factors_of(f, MEAN, t), tq_factors_of(f, K, t),
                      tq_factors_of(f, BIAS, t), t->out[0]);
}

static void affine_grad(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    const tq_factors *f = &s->factors;
    s->blocks->affine_grad(t->n / t->width, t->in[0], t->in[1], tq_factors_of(f, GRAD_MEAN, t),
                           tq_factors_of(f, A, t), tq_factors_of(f, B, t), tq_factors_of(f, C, t),
                           t->out[0]);
}

static void scale(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->scale(t->n / t->width, t->in[0], tq_factors_of(&s->factors, K, t), t->out[0]);
}

/* ---- BatchNormTrain(x, scale, bias, mean, var) -> y, new_mean, new_var, saved_mean, saved_invstd
 */

static void finish_train(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    const float *weight = run->in[1], *bias = run->in[2], *mean = run->in[3], *var = run->in[4];
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    const double momentum = (double)tq_attr_float(run->attrs, "momentum");
    for (int64_t c = 0; c < s->factors.n_channels; c++) {
        const double m = tq_sums_at(total, s->blocks->block, N_SUMS, SUM, c) / s->count;
        const double v = fmax(
            tq_sums_at(total, s->blocks->block, N_SUMS, SUM_PRODUCT, c) / s->count - m * m, 0.0);
        const double invstd = 1.0 / sqrt(v + epsilon);
        const double unbiased = s->count > 1.0 ? v * (s->count / (s->count - 1.0)) : v;
        tq_factors_row(&s->factors, MEAN)[c] = (float)m;
        tq_factors_row(&s->factors, K)[c] = (float)((double)weight[c] * invstd);
        tq_factors_row(&s->factors, BIAS)[c] = bias[c];
        tq_put(run, 1, c, momentum * (double)mean[c] + (1.0 - momentum) * m);
        tq_put(run, 2, c, momentum * (double)var[c] + (1.0 - momentum) * unbiased);
        tq_put(run, 3, c, m);
        tq_put(run, 4, c, invstd);
    }
}

const tq_sharded tq_sharded_batch_norm_train = {
    .op = "BatchNormTrain",
    .accepts = accepts,
    .prepare = prepare,
    .release = release,
    .n_parts = 2,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1 << 0,
                 .sums = TQ_SUM_F64,
                 .partial_size = partial_size,
                 .tile = sum_squares,
                 .finish = finish_train },
               { .kind = TQ_PART_TILE,
                 .reads = 1 << 0,
                 .writes = 1 << 0,
                 .is_second = true,
                 .keeps_zero = true,
                 .tile = affine } },
};

/* ---- BatchNormTrainGrad(dy, x, scale, saved_mean, saved_invstd) -> dx, dscale, dbias -------- */

static void finish_train_grad(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    const float *weight = run->in[2], *mean = run->in[3], *invstd = run->in[4];
    for (int64_t c = 0; c < s->factors.n_channels; c++) {
        const double sum = tq_sums_at(total, s->blocks->block, N_SUMS, SUM, c),
                     is = (double)invstd[c];
        const double product = tq_sums_at(total, s->blocks->block, N_SUMS, SUM_PRODUCT, c);
        const double t = (product - (double)mean[c] * sum) * is, k = (double)weight[c] * is;
        tq_factors_row(&s->factors, GRAD_MEAN)[c] = mean[c];
        tq_factors_row(&s->factors, A)[c] = (float)k;
        tq_factors_row(&s->factors, B)[c] = (float)(-k * is * t / s->count);
        tq_factors_row(&s->factors, C)[c] = (float)(-k * sum / s->count);
        tq_put(run, 1, c, t);
        tq_put(run, 2, c, sum);
    }
}

/* Past the last channel the four factors are 0, so dx is. */
const tq_sharded tq_sharded_batch_norm_train_grad = {
    .op = "BatchNormTrainGrad",
    .accepts = accepts,
    .prepare = prepare,
    .release = release,
    .n_parts = 2,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1 << 0 | 1 << 1,
                 .sums = TQ_SUM_F64,
                 .partial_size = partial_size,
                 .tile = sum_products,
                 .finish = finish_train_grad },
               { .kind = TQ_PART_TILE,
                 .reads = 1 << 0 | 1 << 1,
                 .writes = 1 << 0,
                 .is_second = true,
                 .keeps_zero = true,
                 .tile = affine_grad } },
};

/* ---- BatchNormalization(x, scale, bias, mean, var) -> y ------------------------------------- */

static void begin_inference(void *state_, const tq_op_run *run)
{
    const state *s = state_;
    const float *weight = run->in[1], *bias = run->in[2], *mean = run->in[3], *var = run->in[4];
    const double epsilon = (double)tq_attr_float(run->attrs, "epsilon");
    for (int64_t c = 0; c < s->factors.n_channels; c++) {
        tq_factors_row(&s->factors, MEAN)[c] = mean[c];
        tq_factors_row(&s->factors, K)[c] =
            (float)((double)weight[c] / sqrt((double)var[c] + epsilon));
        tq_factors_row(&s->factors, BIAS)[c] = bias[c];
    }
}

const tq_sharded tq_sharded_batch_norm = {
    .op = "BatchNormalization",
    .accepts = accepts,
    .prepare = prepare,
    .release = release,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1 << 0,
                 .writes = 1 << 0,
                 .keeps_zero = true,
                 .begin = begin_inference,
                 .tile = affine } },
};

/* ---- BatchNormGrad(dy, x, scale, mean, var) -> dx, dscale, dbias ----------------------------- */

static double invstd_of(const tq_op_run *run, int64_t c)
{
    const float *var = run->in[4];
    return 1.0 / sqrt((double)var[c] + (double)tq_attr_float(run->attrs, "epsilon"));
}

static void finish_grad(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    const float *mean = run->in[3];
    for (int64_t c = 0; c < s->factors.n_channels; c++) {
        const double sum = tq_sums_at(total, s->blocks->block, N_SUMS, SUM, c);
        const double product = tq_sums_at(total, s->blocks->block, N_SUMS, SUM_PRODUCT, c);
        tq_put(run, 1, c, (product - (double)mean[c] * sum) * invstd_of(run, c));
        tq_put(run, 2, c, sum);
    }
}

static void begin_grad(void *state_, const tq_op_run *run)
{
    const state *s = state_;
    const float *weight = run->in[2];
    for (int64_t c = 0; c < s->factors.n_channels; c++)
        tq_factors_row(&s->factors, K)[c] = (float)((double)weight[c] * invstd_of(run, c));
}

const tq_sharded tq_sharded_batch_norm_grad = {
    .op = "BatchNormGrad",
    .accepts = accepts,
    .prepare = prepare,
    .release = release,
    .n_parts = 2,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1 << 0 | 1 << 1,
                 .sums = TQ_SUM_F64,
                 .partial_size = partial_size,
                 .tile = sum_products,
                 .finish = finish_grad },
               { .kind = TQ_PART_TILE,
                 .reads = 1 << 0,
                 .writes = 1 << 0,
                 .keeps_zero = true,
                 .begin = begin_grad,
                 .tile = scale } },
};
