/* Any other operator whose output elements depend on one element of each input: its reference, tile
 * by tile. Constants of one element may be among the inputs. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct state {
    const tq_op *op;
    tq_op_run run;
    const void *in[TQ_OP_MAX_NAMES]; /* the constants */
} state;

static bool is_array(const tq_op_run *run, int i)
{
    return tq_is_batch(run, i) && tq_type_equal(run->in_types[i], run->out_types[0]);
}

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    if (!(op->flags & TQ_OP_ELEMENTWISE) || op->flags & (TQ_OP_RANDOM | TQ_OP_INTEGER) ||
        !op->reference || run->n_out != 1 || run->n_in > TQ_OP_MAX_NAMES)
        return false;
    bool any = false;
    for (int i = 0; i < run->n_in; i++) {
        const tq_type *type = run->in_types[i];
        if (type && !is_array(run, i) && (tq_type_count(type) != 1 || type->dtype != TQ_F32))
            return false;
        any = any || is_array(run, i);
    }
    return any && run->out_types[0]->dtype == TQ_F32;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for %s", op->entry.name);
    s->op = op;
    s->run = *shapes;
    for (int i = 0; i < shapes->n_in; i++)
        if (is_array(shapes, i))
            ports->reads[0] |= 1u << i;
    *out_state = s;
    return TQ_OK;
}

static void begin(void *state_, const tq_op_run *run)
{
    state *s = state_;
    memcpy(s->in, run->in, (size_t)run->n_in * sizeof *s->in);
}

static void tile(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    const tq_type row = tq_type_make(TQ_F32, 1, &t->n), one = tq_type_make(TQ_F32, 0, NULL);
    const tq_type *in_types[TQ_OP_MAX_NAMES], *out_types[] = { &row };
    const void *in[TQ_OP_MAX_NAMES];
    for (int i = 0; i < s->run.n_in; i++) {
        in[i] = t->in[i] ? t->in[i] : s->in[i];
        in_types[i] = !s->run.in_types[i] ? NULL : t->in[i] ? &row : &one;
    }
    tq_op_run run = s->run;
    run.in = in;
    run.out = (void *[]){ t->out[0] };
    run.in_types = in_types;
    run.out_types = out_types;
    run.pool = NULL;
    s->op->reference(&run);
}

const tq_sharded tq_sharded_any_elementwise = {
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_TILE,
                 .writes = 1,
                 .any_form = true,
                 .begin = begin,
                 .tile = tile } },
};
