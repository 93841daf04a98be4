/* Statistics of a whole tensor, tile by tile; tiles and shards are merged in order. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>

enum { N_FIELDS = 6, COMPACT = 1024 };

typedef struct state {
    const tq_loops *loops;
    bool extremes_only;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_is_batch(run, 0) && tq_attr_int(run->attrs, "axis") < 0;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for statistics");
    s->loops = tq_loops_best();
    s->extremes_only = tq_attr_int(shapes->attrs, "extremes_only") != 0;
    *out_state = s;
    return TQ_OK;
}

static size_t partial_size(const void *state_)
{
    (void)state_;
    return sizeof(tq_statistics);
}

/** Statistics that came as zeros have seen nothing. */
static tq_statistics *begun(void *partial)
{
    tq_statistics *s = partial;
    if (s->n == 0 && s->n_bad == 0)
        tq_statistics_reset(s);
    return s;
}

static void join(const void *state_, void *into, const void *from_)
{
    (void)state_;
    const tq_statistics *from = from_;
    if (from->n > 0 || from->n_bad > 0)
        tq_statistics_merge(begun(into), from);
}

/** Of a last block of channels only those count that exist. */
static void observe_some(const state *s, const tq_tile *t, tq_statistics *into)
{
    float compact[COMPACT];
    int64_t n = 0;
    for (int64_t i = 0; i < t->n; i += t->width) {
        for (int c = 0; c < t->n_channels; c++)
            compact[n++] = t->in[0][i + c];
        if (n + t->n_channels > COMPACT || i + t->width >= t->n) {
            s->loops->observe(n, compact, s->extremes_only, into);
            n = 0;
        }
    }
}

static void tile(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    tq_statistics *into = begun(t->partial);
    if (t->n_channels == 0 || t->n_channels == t->width)
        s->loops->observe(t->n, t->in[0], s->extremes_only, into);
    else
        observe_some(s, t, into);
}

static void finish(void *state_, const tq_op_run *run, const void *total)
{
    (void)state_;
    const tq_statistics *s = total;
    const double fields[N_FIELDS] = {
        (double)s->n, (double)s->n_bad, s->min, s->max, s->mean, s->m2
    };
    for (int i = 0; i < N_FIELDS; i++)
        ((double *)run->out[0])[i] = fields[i];
}

const tq_sharded tq_sharded_statistics = {
    .op = "Statistics",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_TILE,
                 .reads = 1,
                 .any_form = true,
                 .sums = TQ_SUM_JOIN,
                 .partial_size = partial_size,
                 .join = join,
                 .tile = tile,
                 .finish = finish } },
};
