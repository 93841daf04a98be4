/* FakeQuantize with one grid for the whole tensor, and its gradient, tile by tile. Where the
 * quantiser allows it in the kernels' own loops, else in the quantiser's. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <math.h>
#include <stdlib.h>

enum { X = TQ_FAKE_X, PARAMS = TQ_FAKE_PARAMS };

typedef struct state {
    const tq_loops *loops;
    tq_fake fake;
    int n_in;
    int64_t n_all;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    bool is_observed, is_fast, is_planned, is_summed; /* summed: somebody wants the sums */
    tq_grid grid;
    tq_gradient_plan plan;
} state;

/** What is drawn must not be drawn again where a phase makes an array anew. */
static bool is_repeatable(const tq_op_run *run)
{
    tq_fake fake;
    const tq_status status = tq_fake_read(run->attrs, run->registry, &fake);
    tq_status_drop(status);
    return !status && !fake.quantizer->draws && fake.rounding != TQ_ROUND_STOCHASTIC;
}

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    for (int i = PARAMS; i < run->n_in; i++)
        if (run->in_types[i] && i + 1 < run->n_in && tq_type_count(run->in_types[i]) != 1)
            return false;
    return is_repeatable(run) && tq_is_batch(run, X) && tq_attr_int(run->attrs, "axis") < 0 &&
           tq_type_count(run->in_types[PARAMS]) == 1;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a quantiser");
    const tq_status status = tq_fake_read(shapes->attrs, shapes->registry, &s->fake);
    s->loops = tq_loops_best();
    s->n_in = shapes->n_in;
    s->n_all = tq_type_count(shapes->in_types[X]);
    if (status)
        free(s);
    else
        *out_state = s;
    return status;
}

/** All levels stay where the loops round exactly. */
static bool levels_are_exact(const tq_grid *grid)
{
    const int64_t limit = 1 << 22;
    return grid->step == 1 && grid->q_min - grid->zero_point >= -limit &&
           grid->q_max - grid->zero_point <= limit;
}

static void begin(void *state_, const tq_op_run *run)
{
    state *s = state_;
    const tq_quantizer *q = s->fake.quantizer;
    s->is_observed =
        tq_fake_params(run->in + PARAMS, run->in_types + PARAMS, q->n_params, 0, s->params);
    if (!s->is_observed)
        return;
    tq_quantizer_grid(q, &s->fake.range, s->fake.rounding, s->params, &s->grid);
    const bool is_exact = levels_are_exact(&s->grid);
    s->is_fast = q->snaps && is_exact && s->grid.rounding == TQ_ROUND_HALF_UP;
    s->is_planned = q->plan_gradient && is_exact &&
                    q->plan_gradient(&s->grid, &s->fake.range, s->params, &s->plan);
}

static void fill_nan(int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = NAN;
}

static void tile(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    const tq_grid *g = &s->grid;
    if (!s->is_observed)
        fill_nan(t->n, t->out[0]);
    else if (s->is_fast)
        s->loops->snap_half_up(t->n, t->in[X], g->scale, (float)(g->q_min - g->zero_point),
                               (float)(g->q_max - g->zero_point), t->out[0]);
    else
        s->fake.quantizer->forward(g, s->params, t->n, t->in[X], t->out[0], 0);
}

const tq_sharded tq_sharded_fake_quantize = {
    .op = "FakeQuantize",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1 << X,
                 .writes = 1,
                 .any_form = true,
                 .keeps_zero = true,
                 .begin = begin,
                 .tile = tile } },
};

/* ---- FakeQuantizeGrad(x, p0.., dy) -> dx, dp0, ... ---------------------------------------------
 */

static tq_status prepare_grad(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                              void **out_state)
{
    ports->reads[0] = 1u << X | 1u << (shapes->n_in - 1);
    return prepare(op, shapes, ports, out_state);
}

static size_t partial_size(const void *state_)
{
    (void)state_;
    return TQ_QUANTIZER_MAX_PARAMS * sizeof(double);
}

/** The quantiser's own loop; it damps by the elements of one call. */
static void backward(const state *s, const tq_tile *t)
{
    const tq_quantizer *q = s->fake.quantizer;
    double own[TQ_QUANTIZER_MAX_PARAMS] = { 0 }, *sums = t->partial;
    q->backward(&s->grid, &s->fake.range, s->params, t->n, t->in[X], t->in[s->n_in - 1], t->out[0],
                own);
    const double factor = q->damped ? sqrt((double)t->n / (double)s->n_all) : 1.0;
    for (int k = 0; sums && k < q->n_params; k++)
        sums[k] += factor * own[k];
}

static void begin_grad(void *state_, const tq_op_run *run)
{
    state *s = state_;
    begin(s, run);
    s->is_summed = false;
    for (int k = 0; k < s->fake.quantizer->n_params; k++)
        s->is_summed = s->is_summed || run->out[PARAMS + k];
}

static void tile_grad(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    const tq_gradient_plan *p = &s->plan;
    const float *x = t->in[X], *dy = t->in[s->n_in - 1];
    double *sums = s->is_summed ? t->partial : NULL;
    if (!s->is_observed)
        fill_nan(t->n, t->out[0]);
    else if (!s->is_planned)
        backward(s, t);
    else if (p->is_step)
        s->loops->step_grad(t->n, x, dy, s->grid.scale, p->lo, p->hi, t->out[0], sums);
    else
        s->loops->pass_inside(t->n, x, dy, (float[]){ p->least, p->most, p->lo, p->hi }, t->out[0],
                              sums);
}

static void finish_grad(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    const tq_quantizer *q = s->fake.quantizer;
    double dparams[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    const double *sums = total;
    if (s->is_observed && s->is_planned)
        q->end_gradient(&s->fake.range, s->params, s->n_all, sums, dparams);
    for (int k = 0; k < q->n_params; k++)
        tq_put(run, PARAMS + k, 0,
               !s->is_observed ? (double)NAN
               : s->is_planned ? dparams[k]
                               : sums[k]);
}

/* dx is 0 where dy is. */
const tq_sharded tq_sharded_fake_quantize_grad = {
    .op = "FakeQuantizeGrad",
    .accepts = accepts,
    .prepare = prepare_grad,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_TILE,
                 .writes = 1,
                 .any_form = true,
                 .keeps_zero = true,
                 .sums = TQ_SUM_F64,
                 .partial_size = partial_size,
                 .begin = begin_grad,
                 .tile = tile_grad,
                 .finish = finish_grad } },
};
