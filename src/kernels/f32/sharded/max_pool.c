/* MaxPool of blocked images, a row of one block at a time, and its gradient. NaN wins over numbers;
 * the gradient goes to the first largest element (the last NaN). */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

enum { X, DY = 2 }; /* of MaxPoolGrad(x, y, dy) */

typedef struct state {
    const tq_blocks *blocks;
    tq_window window;
    int64_t n_blocks, in_plane, out_plane;
    tq_span *rows;   /* what each row of windows sees of the rows of x */
    tq_span spans[]; /* and each of its windows of the columns */
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return run->n_out == 1 && tq_is_batch(run, X) &&
           (run->in_types[X]->rank == 3 || run->in_types[X]->rank == 4) &&
           tq_type_count(run->out_types[0]) > 0;
}

static void find_spans(const tq_window *window, int axis, tq_span *out_spans)
{
    for (int64_t o = 0; o < window->out[axis]; o++) {
        int64_t begin, end;
        tq_window_taps(window, axis, o, &begin, &end);
        const int64_t first =
            o * window->stride[axis] - window->pad_begin[axis] + begin * window->dilation[axis];
        out_spans[o] = (tq_span){ begin < end ? (int32_t)first : 0, (int32_t)(end - begin) };
    }
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op;
    const tq_type *x = shapes->in_types[X];
    tq_window window;
    TQ_TRY(tq_window_read(shapes->attrs, x, NULL, &window));
    const size_t n_spans = (size_t)(window.out[1] + window.out[2]);
    state *s = tq_allocate(sizeof *s + n_spans * sizeof *s->spans);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a pool");
    s->blocks = tq_blocks_best();
    s->window = window;
    s->n_blocks = (x->dims[1] + s->blocks->block - 1) / s->blocks->block;
    s->in_plane = window.in[1] * window.in[2];
    s->out_plane = window.out[1] * window.out[2];
    s->rows = s->spans + window.out[2];
    find_spans(&window, 2, s->spans);
    find_spans(&window, 1, s->rows);
    for (int i = 0; i < shapes->n_in; i++)
        ports->in[i] = TQ_FORM_BLOCKED;
    ports->out[0] = TQ_FORM_BLOCKED;
    *out_state = s;
    return TQ_OK;
}

static tq_window_row row_of(const state *s, int64_t oh)
{
    const int64_t block = s->blocks->block, width = s->window.in[2] * block;
    return (tq_window_row){ .n = s->window.out[2],
                            .spans = s->spans,
                            .n_h = s->rows[oh].n,
                            .h_step = s->window.dilation[1] * width,
                            .w_step = s->window.dilation[2] * block };
}

static void pool(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block, width = s->window.in[2] * block;
    for (int64_t b = 0; b < shard->n * s->n_blocks; b++)
        for (int64_t oh = 0; oh < s->window.out[1]; oh++) {
            const tq_window_row row = row_of(s, oh);
            s->blocks->max_row(&row,
                               shard->in[X] + b * s->in_plane * block + s->rows[oh].first * width,
                               shard->out[0] + (b * s->out_plane + oh * row.n) * block);
        }
}

static void pool_grad(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block, width = s->window.in[2] * block;
    memset(shard->out[0], 0,
           (size_t)(shard->n * s->n_blocks * s->in_plane * block) * sizeof(float));
    for (int64_t b = 0; b < shard->n * s->n_blocks; b++)
        for (int64_t oh = 0; oh < s->window.out[1]; oh++) {
            const tq_window_row row = row_of(s, oh);
            const int64_t first = b * s->in_plane * block + s->rows[oh].first * width;
            s->blocks->max_row_grad(&row, shard->in[X] + first,
                                    shard->in[DY] + (b * s->out_plane + oh * row.n) * block,
                                    shard->out[0] + first);
        }
}

const tq_sharded tq_sharded_max_pool = {
    .op = "MaxPool",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE, .reads = 1 << X, .writes = 1, .sample = pool } },
};

const tq_sharded tq_sharded_max_pool_grad = {
    .op = "MaxPoolGrad",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_SAMPLE,
                 .reads = 1 << X | 1 << DY,
                 .writes = 1,
                 .sample = pool_grad } },
};
