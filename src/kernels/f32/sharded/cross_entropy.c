/* CrossEntropy and its gradient, row by row. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"
#include "ops/ops.h"

#include <stdlib.h>

enum { LOGITS, LABELS, DLOSS };

typedef struct state {
    int64_t n, n_classes;
    double smoothing, factor;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_is_batch(run, LOGITS);
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a loss");
    s->n = shapes->in_types[LOGITS]->dims[0];
    s->n_classes = shapes->in_types[LOGITS]->dims[1];
    s->smoothing = (double)tq_attr_float(shapes->attrs, "label_smoothing");
    *out_state = s;
    return TQ_OK;
}

static size_t partial_size(const void *state_)
{
    (void)state_;
    return sizeof(double);
}

static void sample(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t *labels = (const int64_t *)(const void *)shard->in[LABELS];
    double sum = 0.0;
    for (int64_t i = 0; i < shard->n; i++)
        sum += tq_cross_entropy_row(shard->in[LOGITS] + i * s->n_classes, s->n_classes, labels[i],
                                    s->smoothing);
    *(double *)shard->partial = sum;
}

static void finish(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    tq_put(run, 0, 0, *(const double *)total / (double)s->n);
}

const tq_sharded tq_sharded_cross_entropy = {
    .op = "CrossEntropy",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE,
                 .reads = 1 << LOGITS | 1 << LABELS,
                 .sums = TQ_SUM_F64,
                 .partial_size = partial_size,
                 .sample = sample,
                 .finish = finish } },
};

/* ---- gradient ---------------------------------------------------------------------------- */

static void begin_grad(void *state_, const tq_op_run *run)
{
    state *s = state_;
    s->factor = (double)*(const float *)run->in[DLOSS] / (double)s->n;
}

static void sample_grad(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t *labels = (const int64_t *)(const void *)shard->in[LABELS];
    for (int64_t i = 0; i < shard->n; i++)
        tq_cross_entropy_row_grad(shard->in[LOGITS] + i * s->n_classes, s->n_classes, labels[i],
                                  s->smoothing, s->factor, shard->out[0] + i * s->n_classes);
}

const tq_sharded tq_sharded_cross_entropy_grad = {
    .op = "CrossEntropyGrad",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE,
                 .reads = 1 << LOGITS | 1 << LABELS,
                 .writes = 1,
                 .begin = begin_grad,
                 .sample = sample_grad } },
};
