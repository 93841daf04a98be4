/* Sums over all axes but the channels, tile by tile: ChannelSum(x), and ReduceSum(x, axes) where
 * the axes are all but axis 1. In double. */
#include "kernels/f32/sharded/sharded_internal.h"
#include "base/base.h"

#include <stdlib.h>

typedef struct state {
    const tq_blocks *blocks;
    int64_t n_channels;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_is_batch(run, 0) && run->in_types[0]->rank >= 3;
}

/** The sum of [n, c, ...] has c elements, all on axis 1; so the axes that were summed follow. */
static bool accepts_reduce(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    if (!tq_is_batch(run, 0))
        return false;
    const tq_type *x = run->in_types[0], *y = run->out_types[0];
    if (x->rank == 2 && y->rank == 1)
        return y->dims[0] == x->dims[1] && x->dims[0] != x->dims[1] && x->dims[1] > 1;
    bool is_there = y->rank == x->rank;
    for (int d = 0; is_there && d < y->rank; d++)
        is_there = y->dims[d] == (d == 1 ? x->dims[1] : 1);
    return is_there && x->dims[1] > 1;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a sum");
    s->blocks = tq_blocks_best();
    s->n_channels = shapes->in_types[0]->dims[1];
    *out_state = s;
    return TQ_OK;
}

static size_t partial_size(const void *state_)
{
    const state *s = state_;
    return tq_sums_size(s->n_channels, 1);
}

static void tile(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->sum(t->n / t->width, t->in[0], tq_sums_of(t, 1));
}

static void finish(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    for (int64_t c = 0; c < s->n_channels; c++)
        tq_put(run, 0, c, tq_sums_at(total, s->blocks->block, 1, 0, c));
}

#define CHANNEL_SUM(symbol, op_, accepts_)                                                         \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts_,                                                                       \
        .prepare = prepare,                                                                        \
        .release = free,                                                                           \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_TILE,                                                         \
                     .reads = 1 << 0,                                                              \
                     .sums = TQ_SUM_F64,                                                           \
                     .partial_size = partial_size,                                                 \
                     .tile = tile,                                                                 \
                     .finish = finish } },                                                         \
    };
CHANNEL_SUM(channel_sum, "ChannelSum", accepts)
CHANNEL_SUM(reduce_sum, "ReduceSum", accepts_reduce)
