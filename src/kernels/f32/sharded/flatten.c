/* Flatten, Reshape and ReshapeLike between an image and the row of its features, and back: the rows
 * stay in their place. Other shapes are left to aliases, which cost nothing. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    const tq_type *x = run->in_types[0], *y = run->out_types[0];
    return tq_is_batch(run, 0) && y->rank >= 2 && (x->rank == 2) != (y->rank == 2) &&
           y->dims[0] == x->dims[0];
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    int64_t *count = tq_allocate(sizeof *count);
    if (!count)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a shape");
    *count = tq_type_count_from(shapes->in_types[0], 1);
    *out_state = count;
    return TQ_OK;
}

static void sample(const void *state, const tq_shard *shard)
{
    memcpy(shard->out[0], shard->in[0],
           (size_t)(*(const int64_t *)state * shard->n) * sizeof(float));
}

#define SHAPE(symbol, op_)                                                                         \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts,                                                                        \
        .prepare = prepare,                                                                        \
        .release = free,                                                                           \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_SAMPLE, .reads = 1, .writes = 1, .sample = sample } },        \
    };
SHAPE(flatten, "Flatten")
SHAPE(reshape, "Reshape")
SHAPE(reshape_like, "ReshapeLike")
