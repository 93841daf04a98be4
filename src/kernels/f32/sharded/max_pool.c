/* MaxPool of blocked images, a pixel of one block at a time, and its gradient. NaN wins over
 * numbers; the gradient goes to the first largest element (the last NaN). */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { X, DY = 2 }; /* of MaxPoolGrad(x, y, dy) */
enum { MAX_TAPS = 256 };

typedef struct state {
    const tq_blocks *blocks;
    tq_window window;
    int64_t n_blocks, in_plane, out_plane;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return run->n_out == 1 && tq_is_batch(run, X) &&
           (run->in_types[X]->rank == 3 || run->in_types[X]->rank == 4) &&
           tq_type_count(run->out_types[0]) > 0;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op;
    const tq_type *x = shapes->in_types[X];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a pool");
    tq_status status = tq_window_read(shapes->attrs, x, NULL, &s->window);
    if (!status && tq_window_volume(s->window.kernel) > MAX_TAPS)
        status = tq_fail(TQ_ERR_UNSUPPORTED, "a window of more than %d elements", MAX_TAPS);
    if (status) {
        free(s);
        return status;
    }
    s->blocks = tq_blocks_best();
    s->n_blocks = (x->dims[1] + s->blocks->block - 1) / s->blocks->block;
    s->in_plane = s->window.in[1] * s->window.in[2];
    s->out_plane = s->window.out[1] * s->window.out[2];
    for (int i = 0; i < shapes->n_in; i++)
        ports->in[i] = TQ_FORM_BLOCKED;
    ports->out[0] = TQ_FORM_BLOCKED;
    *out_state = s;
    return TQ_OK;
}

/** Offsets, in pixels, of the elements that window (oh, ow) sees; returns how many. */
static int find_taps(const tq_window *w, int64_t oh, int64_t ow, int64_t *out_taps)
{
    int64_t h_begin, h_end, w_begin, w_end;
    int n = 0;
    tq_window_taps(w, 1, oh, &h_begin, &h_end);
    tq_window_taps(w, 2, ow, &w_begin, &w_end);
    for (int64_t kh = h_begin; kh < h_end; kh++)
        for (int64_t kw = w_begin; kw < w_end; kw++)
            out_taps[n++] = (oh * w->stride[1] - w->pad_begin[1] + kh * w->dilation[1]) * w->in[2] +
                            (ow * w->stride[2] - w->pad_begin[2] + kw * w->dilation[2]);
    return n;
}

/* Each window is found once for all blocks of a data point. */
static void pool(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block;
    int64_t taps[MAX_TAPS];
    const float *seen[MAX_TAPS];
    for (int64_t o = 0; o < s->out_plane; o++) {
        const int n = find_taps(&s->window, o / s->window.out[2], o % s->window.out[2], taps);
        for (int64_t b = 0; b < shard->n * s->n_blocks; b++) {
            const float *x = shard->in[X] + b * s->in_plane * block;
            for (int t = 0; t < n; t++)
                seen[t] = x + taps[t] * block;
            s->blocks->max_pixel(n, seen, shard->out[0] + (b * s->out_plane + o) * block);
        }
    }
}

static void pass_back(const state *s, int n_taps, const int64_t *taps, const float *x,
                      const float *dy, float *dx)
{
    const int block = s->blocks->block;
    for (int c = 0; c < block; c++) {
        int64_t winner = taps[0];
        float best = x[winner * block + c];
        for (int t = 1; t < n_taps; t++) {
            const float v = x[taps[t] * block + c];
            const bool wins = (v > best) | (v != v);
            winner = wins ? taps[t] : winner;
            best = wins ? v : best;
        }
        dx[winner * block + c] += dy[c];
    }
}

static void pool_grad(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block, image = s->in_plane * block;
    int64_t taps[MAX_TAPS];
    memset(shard->out[0], 0, (size_t)(shard->n * s->n_blocks * image) * sizeof(float));
    for (int64_t o = 0; o < s->out_plane; o++) {
        const int n = find_taps(&s->window, o / s->window.out[2], o % s->window.out[2], taps);
        for (int64_t b = 0; n > 0 && b < shard->n * s->n_blocks; b++)
            pass_back(s, n, taps, shard->in[X] + b * image,
                      shard->in[DY] + (b * s->out_plane + o) * block, shard->out[0] + b * image);
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
