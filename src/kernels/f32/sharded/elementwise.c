/* Relu, Clip and their gradients, Add, Sub, Mul of arrays of one shape, and Identity, tile by tile.
 */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <math.h>
#include <stdlib.h>

enum { X, Y };

typedef struct state {
    const tq_loops *loops;
    float lo, hi; /* of Clip */
} state;

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)shapes, (void)ports;
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for an elementwise operator");
    s->loops = tq_loops_best();
    *out_state = s;
    return TQ_OK;
}

static bool is_like_output(const tq_op_run *run, int i)
{
    return tq_is_batch(run, i) && tq_type_equal(run->in_types[i], run->out_types[0]);
}

static bool accepts_one(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return is_like_output(run, 0);
}

static bool accepts_two(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return is_like_output(run, 0) && is_like_output(run, 1);
}

static bool accepts_clip_grad(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return is_like_output(run, 0) && is_like_output(run, 3);
}

static void begin_clip(void *state_, const tq_op_run *run)
{
    state *s = state_;
    const bool has_lo = run->n_in > 1 && run->in[1], has_hi = run->n_in > 2 && run->in[2];
    s->lo = has_lo ? *(const float *)run->in[1] : -INFINITY;
    s->hi = has_hi ? *(const float *)run->in[2] : INFINITY;
}

static void relu(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->relu(t->n, t->in[X], t->out[0]);
}

static void relu_grad(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->relu_grad(t->n, t->in[0], t->in[1], t->out[0]);
}

static void clip(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->clip(t->n, t->in[X], s->lo, s->hi, t->out[0]);
}

static void clip_grad(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->clip_grad(t->n, t->in[0], t->in[3], s->lo, s->hi, t->out[0]);
}

static void add(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->add(t->n, t->in[X], t->in[Y], t->out[0]);
}

static void sub(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->sub(t->n, t->in[X], t->in[Y], t->out[0]);
}

static void mul(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->loops->mul(t->n, t->in[X], t->in[Y], t->out[0]);
}

#define ELEMENTWISE(symbol, op_, accepts_, reads_, keeps, begin_)                                  \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts_,                                                                       \
        .prepare = prepare,                                                                        \
        .release = free,                                                                           \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_TILE,                                                         \
                     .reads = reads_,                                                              \
                     .writes = 1,                                                                  \
                     .any_form = true,                                                             \
                     .keeps_zero = keeps,                                                          \
                     .begin = begin_,                                                              \
                     .tile = symbol } },                                                           \
    };
ELEMENTWISE(relu, "Relu", accepts_one, 1 << X, true, NULL)
ELEMENTWISE(relu_grad, "ReluGrad", accepts_two, 1 << 0 | 1 << 1, true, NULL)
ELEMENTWISE(clip, "Clip", accepts_one, 1 << X, false, begin_clip)
ELEMENTWISE(clip_grad, "ClipGrad", accepts_clip_grad, 1 << 0 | 1 << 3, true, begin_clip)
ELEMENTWISE(add, "Add", accepts_two, 1 << X | 1 << Y, true, NULL)
ELEMENTWISE(sub, "Sub", accepts_two, 1 << X | 1 << Y, true, NULL)
ELEMENTWISE(mul, "Mul", accepts_two, 1 << X | 1 << Y, true, NULL)
