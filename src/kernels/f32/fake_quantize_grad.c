/* FakeQuantizeGrad of the quantisers whose gradient kernels may compute themselves, channel by
 * channel, or in a fixed number of pieces for a tensor of one grid; their sums meet in a fixed
 * tree.
 */
#include "kernels/f32/loops_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { X = TQ_FAKE_X, PARAMS = TQ_FAKE_PARAMS, MAX_PIECES = 64, PIECE = 16384 };

typedef struct job {
    const tq_loops *loops;
    const tq_op_run *run;
    tq_fake fake;
    bool sums_wanted;
    int64_t n, n_pieces; /* of a tensor of one grid */
    double sums[MAX_PIECES][2];
} job;

/** All levels stay where the loops are exact, whatever the parameters. */
static bool accepts(const tq_op_run *run)
{
    tq_fake fake;
    const tq_status status = tq_fake_read(run->attrs, run->registry, &fake);
    const int64_t limit = 1 << 20;
    tq_status_drop(status);
    return !status && run->in_types[X]->dtype == TQ_F32 && tq_type_count(run->in_types[X]) > 0 &&
           fake.quantizer->plan_gradient && fake.rounding == TQ_ROUND_HALF_UP &&
           fake.range.step == 1 && !fake.range.free_offset && fake.range.q_min >= -limit &&
           tq_range_q_max(&fake.range) <= limit;
}

/** The grid and plan of channel c; false: it was never observed. */
static bool plan(const job *j, int64_t c, float *params, tq_grid *grid, tq_gradient_plan *out_plan)
{
    const tq_quantizer *q = j->fake.quantizer;
    if (!tq_fake_params(j->run->in + PARAMS, j->run->in_types + PARAMS, q->n_params, c, params))
        return false;
    tq_quantizer_grid(q, &j->fake.range, j->fake.rounding, params, grid);
    return q->plan_gradient(grid, &j->fake.range, params, out_plan);
}

static void run_loop(const job *j, const tq_grid *grid, const tq_gradient_plan *p, int64_t at,
                     int64_t n, double *sums)
{
    const float *x = (const float *)j->run->in[X] + at;
    const float *dy = (const float *)j->run->in[j->run->n_in - 1] + at;
    float *dx = (float *)j->run->out[0] + at;
    double *wanted = j->sums_wanted ? sums : NULL;
    if (p->is_step)
        j->loops->step_grad(n, x, dy, grid->scale, p->lo, p->hi, dx, wanted);
    else
        j->loops->pass_inside(n, x, dy, (float[]){ p->least, p->most, p->lo, p->hi }, dx, wanted);
}

static void store(const job *j, int64_t c, const float *params, int64_t n_all, const double *sums)
{
    const tq_quantizer *q = j->fake.quantizer;
    double dparams[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    if (params)
        q->end_gradient(&j->fake.range, params, n_all, sums, dparams);
    for (int k = 0; k < q->n_params; k++)
        if (j->run->out[PARAMS + k])
            ((float *)j->run->out[PARAMS + k])[c] = params ? (float)dparams[k] : NAN;
}

static void fill_nan(const job *j, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ((float *)j->run->out[0])[at + i] = NAN;
}

static void channel(void *context, int64_t c, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_fake *f = &j->fake;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    double sums[2] = { 0.0, 0.0 };
    tq_grid grid;
    tq_gradient_plan p;
    const bool is_known = plan(j, c, params, &grid, &p);
    for (int64_t o = 0; o < f->n_outer; o++) {
        const int64_t at = (o * f->n_channels + c) * f->n_inner;
        if (is_known)
            run_loop(j, &grid, &p, at, f->n_inner, sums);
        else
            fill_nan(j, at, f->n_inner);
    }
    store(j, c, is_known ? params : NULL, f->n_outer * f->n_inner, sums);
}

static void piece(void *context, int64_t i, int worker)
{
    (void)worker;
    job *j = context;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    tq_grid grid;
    tq_gradient_plan p;
    int64_t begin, end;
    tq_shard_range(j->n, j->n_pieces, i, &begin, &end);
    if (plan(j, 0, params, &grid, &p))
        run_loop(j, &grid, &p, begin, end - begin, j->sums[i]);
    else
        fill_nan(j, begin, end - begin);
}

static void run(const tq_op_run *run_, void *state)
{
    job j = { .loops = state, .run = run_, .n = tq_type_count(run_->in_types[X]) };
    tq_status_drop(tq_fake_read(run_->attrs, run_->registry, &j.fake));
    tq_fake_layout(run_->attrs, run_->in_types[X], &j.fake);
    for (int k = 0; k < j.fake.quantizer->n_params; k++)
        j.sums_wanted = j.sums_wanted || run_->out[PARAMS + k];
    if (j.fake.n_channels > 1) {
        tq_parallel_for(run_->pool, j.fake.n_channels, channel, &j);
        return;
    }
    float params[TQ_QUANTIZER_MAX_PARAMS];
    tq_grid grid;
    tq_gradient_plan p;
    j.n_pieces = tq_clip_i64(j.n / PIECE, 1, MAX_PIECES);
    tq_parallel_for(run_->pool, j.n_pieces, piece, &j);
    tq_tree_sum_f64(j.sums[0], j.n_pieces, 2, 2);
    store(&j, 0, plan(&j, 0, params, &grid, &p) ? params : NULL, j.n, j.sums[0]);
}

const tq_kernel tq_kernel_f32_fake_quantize_grad = {
    .entry = { .name = "FakeQuantizeGrad", .brief = "f32 loops" },
    .accepts = accepts,
    .prepare = tq_loops_prepare,
    .run = run,
};
