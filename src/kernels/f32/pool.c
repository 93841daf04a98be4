/* MaxPool of f32 and its gradient, plane by plane. Forward, the rows of a window are combined
 * first, then its columns. NaN wins over numbers; the gradient goes to the first largest element
 * (the last NaN). */
#include "base/base.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

typedef struct state {
    tq_window window;
    int64_t n_planes, in_plane, out_plane;
    size_t worker_size;
} state;

typedef struct job {
    const state *s;
    const float *x, *dy;
    float *out;
    char *scratch;
} job;

static bool accepts(const tq_op_run *run)
{
    const tq_type *x = run->in_types[0];
    return run->n_out == 1 && x->dtype == TQ_F32 && (x->rank == 3 || x->rank == 4) &&
           tq_type_count(run->out_types[0]) > 0 && tq_type_count(x) > 0;
}

static tq_status prepare(const tq_op_run *run, void **out_state)
{
    const tq_type *x = run->in_types[0];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a pool");
    const tq_status status = tq_window_read(run->attrs, x, NULL, &s->window);
    if (status) {
        free(s);
        return status;
    }
    s->n_planes = tq_type_count_to(x, 2);
    s->in_plane = tq_type_count_from(x, 2);
    s->out_plane = s->window.out[1] * s->window.out[2];
    s->worker_size = ((size_t)s->window.in[2] * sizeof(float) + 63) / 64 * 64;
    *out_state = s;
    return TQ_OK;
}

static size_t scratch_size(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    return s->worker_size * (run->pool ? (size_t)tq_pool_size(run->pool) : 1);
}

static inline bool wins(float v, float best)
{
    return (v > best) | (v != v);
}

/* ---- forward ---------------------------------------------------------------------------- */

static void max_row(const tq_window *w, const float *x, int64_t oh, float *restrict columns,
                    float *y)
{
    int64_t begin, end;
    for (int64_t i = 0; i < w->in[2]; i++)
        columns[i] = -INFINITY;
    tq_window_taps(w, 1, oh, &begin, &end);
    for (int64_t k = begin; k < end; k++) {
        const float *row =
            x + (oh * w->stride[1] - w->pad_begin[1] + k * w->dilation[1]) * w->in[2];
        for (int64_t i = 0; i < w->in[2]; i++)
            columns[i] = wins(row[i], columns[i]) ? row[i] : columns[i];
    }
    for (int64_t ow = 0; ow < w->out[2]; ow++) {
        const int64_t first = ow * w->stride[2] - w->pad_begin[2];
        float best = -INFINITY;
        tq_window_taps(w, 2, ow, &begin, &end);
        for (int64_t k = begin; k < end; k++) {
            const float v = columns[first + k * w->dilation[2]];
            best = wins(v, best) ? v : best;
        }
        y[ow] = best;
    }
}

static void max_plane(void *context, int64_t plane, int worker)
{
    const job *j = context;
    const state *s = j->s;
    float *columns = (float *)(void *)(j->scratch + (size_t)worker * s->worker_size);
    for (int64_t oh = 0; oh < s->window.out[1]; oh++)
        max_row(&s->window, j->x + plane * s->in_plane, oh, columns,
                j->out + plane * s->out_plane + oh * s->window.out[2]);
}

static void run_max(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    job j = { .s = s, .x = run->in[0], .out = run->out[0], .scratch = run->scratch };
    tq_parallel_for(run->pool, s->n_planes, max_plane, &j);
}

/* ---- gradient ---------------------------------------------------------------------------- */

/** Offset of the winner among rows [begin, end) of the window's taps; -1: there is none. */
static int64_t find_winner(const tq_window *w, const float *x, int64_t oh, int64_t ow,
                           int64_t begin, int64_t end)
{
    const int64_t top = oh * w->stride[1] - w->pad_begin[1];
    const int64_t left = ow * w->stride[2] - w->pad_begin[2];
    int64_t kw_begin, kw_end, winner = -1;
    float best = -INFINITY;
    tq_window_taps(w, 2, ow, &kw_begin, &kw_end);
    for (int64_t kh = begin; kh < end; kh++)
        for (int64_t kw = kw_begin; kw < kw_end; kw++) {
            const int64_t at = (top + kh * w->dilation[1]) * w->in[2] + left + kw * w->dilation[2];
            if (winner < 0 || wins(x[at], best)) {
                winner = at;
                best = x[at];
            }
        }
    return winner;
}

static void grad_plane(void *context, int64_t plane, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const tq_window *w = &s->window;
    const float *x = j->x + plane * s->in_plane, *dy = j->dy + plane * s->out_plane;
    float *dx = j->out + plane * s->in_plane;
    for (int64_t i = 0; i < s->in_plane; i++)
        dx[i] = 0.0f;
    for (int64_t oh = 0; oh < w->out[1]; oh++) {
        int64_t begin, end;
        tq_window_taps(w, 1, oh, &begin, &end);
        for (int64_t ow = 0; ow < w->out[2]; ow++) {
            const int64_t winner = find_winner(w, x, oh, ow, begin, end);
            if (winner >= 0)
                dx[winner] += dy[oh * w->out[2] + ow];
        }
    }
}

/** (x, y, dy) -> dx */
static void run_grad(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    job j = { .s = s, .x = run->in[0], .dy = run->in[2], .out = run->out[0] };
    tq_parallel_for(run->pool, s->n_planes, grad_plane, &j);
}

const tq_kernel tq_kernel_f32_max_pool = {
    .entry = { .name = "MaxPool", .brief = "rows of f32" },
    .accepts = accepts,
    .prepare = prepare,
    .scratch_size = scratch_size,
    .run = run_max,
    .release = free,
};

const tq_kernel tq_kernel_f32_max_pool_grad = {
    .entry = { .name = "MaxPoolGrad", .brief = "planes of f32" },
    .accepts = accepts,
    .prepare = prepare,
    .run = run_grad,
    .release = free,
};
