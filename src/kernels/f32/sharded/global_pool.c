/* GlobalAveragePool of blocked images to plain means, in double, and its gradient back. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

enum { DY = 1 }; /* of GlobalAveragePoolGrad(x, dy); x gives its type only */

typedef struct state {
    const tq_blocks *blocks;
    int64_t n_channels, plane, n_blocked;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_is_batch(run, 0) && run->in_types[0]->rank >= 3;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op;
    const tq_type *x = shapes->in_types[0];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a pool");
    *s = (state){ .blocks = tq_blocks_best(),
                  .n_channels = x->dims[1],
                  .plane = tq_type_count_from(x, 2),
                  .n_blocked = tq_form_count(x, TQ_FORM_BLOCKED) };
    ports->in[0] = TQ_FORM_BLOCKED; /* the gradient reads input 1, plain, and writes blocks */
    ports->out[0] = shapes->n_in > 1 ? TQ_FORM_BLOCKED : TQ_FORM_PLAIN;
    *out_state = s;
    return TQ_OK;
}

static void means(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int block = s->blocks->block;
    for (int64_t i = 0; i < shard->n; i++)
        for (int64_t c = 0; c < s->n_channels; c += block) {
            double sums[TQ_MAX_BLOCK] = { 0 };
            float *y = shard->out[0] + i * s->n_channels + c;
            s->blocks->sum(s->plane, shard->in[0] + i * s->n_blocked + c * s->plane, sums);
            for (int k = 0; k < block && c + k < s->n_channels; k++)
                y[k] = (float)(sums[k] / (double)s->plane);
        }
}

static void spread(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int block = s->blocks->block;
    for (int64_t i = 0; i < shard->n; i++)
        for (int64_t c = 0; c < s->n_channels; c += block) {
            float row[TQ_MAX_BLOCK] = { 0 };
            const float *dy = shard->in[DY] + i * s->n_channels + c;
            float *dx = shard->out[0] + i * s->n_blocked + c * s->plane;
            for (int k = 0; k < block && c + k < s->n_channels; k++)
                row[k] = dy[k] / (float)s->plane;
            for (int64_t p = 0; p < s->plane; p++)
                memcpy(dx + p * block, row, (size_t)block * sizeof *row);
        }
}

const tq_sharded tq_sharded_global_average_pool = {
    .op = "GlobalAveragePool",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE, .reads = 1, .writes = 1, .sample = means } },
};

const tq_sharded tq_sharded_global_average_pool_grad = {
    .op = "GlobalAveragePoolGrad",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE, .reads = 1 << DY, .writes = 1, .sample = spread } },
};
