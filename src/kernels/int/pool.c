/* MaxPool of 8-bit codes, SumPool and GlobalSumPool: rows of the window are combined first, then
 * columns. */
#include "base/base.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

typedef struct state {
    tq_window window;
    int64_t n_planes, in_plane, out_plane;
    bool is_signed;
    size_t worker_size;
} state;

typedef struct job {
    const state *s;
    const uint8_t *x;
    void *y;
    char *scratch;
} job;

/* Codes are compared as u8: i8 ones with the top bit turned. */
static inline uint8_t flip_of(const state *s)
{
    return s->is_signed ? 0x80 : 0;
}

static bool accepts(const tq_op_run *run)
{
    const tq_type *x = run->in_types[0];
    return run->n_out == 1 && (x->dtype == TQ_U8 || x->dtype == TQ_I8) &&
           (x->rank == 3 || x->rank == 4) && tq_type_count(run->out_types[0]) > 0 &&
           tq_type_count(x) > 0;
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
    s->out_plane = tq_type_count_from(run->out_types[0], 2);
    s->is_signed = x->dtype == TQ_I8;
    s->worker_size = ((size_t)s->window.in[2] * sizeof(int32_t) + 63) / 64 * 64;
    *out_state = s;
    return TQ_OK;
}

static size_t scratch_size(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    return s->worker_size * (run->pool ? (size_t)tq_pool_size(run->pool) : 1);
}

/* ---- MaxPool ---------------------------------------------------------------------------- */

static void max_row(const state *s, const uint8_t *x, int64_t oh, uint8_t *columns, uint8_t *y)
{
    const tq_window *w = &s->window;
    const uint8_t flip = flip_of(s);
    int64_t begin, end;
    memset(columns, 0, (size_t)w->in[2]);
    tq_window_taps(w, 1, oh, &begin, &end);
    for (int64_t k = begin; k < end; k++) {
        const int64_t row = oh * w->stride[1] - w->pad_begin[1] + k * w->dilation[1];
        const uint8_t *from = x + row * w->in[2];
        for (int64_t i = 0; i < w->in[2]; i++) {
            const uint8_t v = from[i] ^ flip;
            columns[i] = columns[i] > v ? columns[i] : v;
        }
    }
    for (int64_t ow = 0; ow < w->out[2]; ow++) {
        const int64_t first = ow * w->stride[2] - w->pad_begin[2];
        uint8_t best = 0;
        tq_window_taps(w, 2, ow, &begin, &end);
        for (int64_t k = begin; k < end; k++) {
            const uint8_t v = columns[first + k * w->dilation[2]];
            best = best > v ? best : v;
        }
        y[ow] = best ^ flip;
    }
}

static void max_plane(void *context, int64_t plane, int worker)
{
    const job *j = context;
    const state *s = j->s;
    uint8_t *columns = (uint8_t *)j->scratch + (size_t)worker * s->worker_size;
    for (int64_t oh = 0; oh < s->window.out[1]; oh++)
        max_row(s, j->x + plane * s->in_plane, oh, columns,
                (uint8_t *)j->y + plane * s->out_plane + oh * s->window.out[2]);
}

static void run_max(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    job j = { .s = s, .x = run->in[0], .y = run->out[0], .scratch = run->scratch };
    tq_parallel_for(run->pool, s->n_planes, max_plane, &j);
}

/* ---- SumPool ---------------------------------------------------------------------------- */

static inline int32_t code_at(const state *s, const uint8_t *x, int64_t i)
{
    return s->is_signed ? (int8_t)x[i] : x[i];
}

static void sum_row(const state *s, const uint8_t *x, int64_t oh, int32_t *columns, int32_t *y)
{
    const tq_window *w = &s->window;
    int64_t begin, end;
    memset(columns, 0, (size_t)w->in[2] * sizeof *columns);
    tq_window_taps(w, 1, oh, &begin, &end);
    for (int64_t k = begin; k < end; k++) {
        const int64_t row = oh * w->stride[1] - w->pad_begin[1] + k * w->dilation[1];
        for (int64_t i = 0; i < w->in[2]; i++)
            columns[i] += code_at(s, x + row * w->in[2], i);
    }
    for (int64_t ow = 0; ow < w->out[2]; ow++) {
        const int64_t first = ow * w->stride[2] - w->pad_begin[2];
        int32_t sum = 0;
        tq_window_taps(w, 2, ow, &begin, &end);
        for (int64_t k = begin; k < end; k++)
            sum += columns[first + k * w->dilation[2]];
        y[ow] = sum;
    }
}

static void sum_plane(void *context, int64_t plane, int worker)
{
    const job *j = context;
    const state *s = j->s;
    int32_t *columns = (int32_t *)(void *)(j->scratch + (size_t)worker * s->worker_size);
    for (int64_t oh = 0; oh < s->window.out[1]; oh++)
        sum_row(s, j->x + plane * s->in_plane, oh, columns,
                (int32_t *)j->y + plane * s->out_plane + oh * s->window.out[2]);
}

static void run_sum(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    job j = { .s = s, .x = run->in[0], .y = run->out[0], .scratch = run->scratch };
    tq_parallel_for(run->pool, s->n_planes, sum_plane, &j);
}

/* ---- GlobalSumPool ---------------------------------------------------------------------- */

static bool accepts_global(const tq_op_run *run)
{
    const tq_type *x = run->in_types[0];
    return (x->dtype == TQ_U8 || x->dtype == TQ_I8) && x->rank >= 2;
}

static void run_global(const tq_op_run *run, void *state_)
{
    (void)state_;
    const tq_type *x = run->in_types[0];
    const int64_t n_planes = tq_type_count_to(x, 2), plane = tq_type_count_from(x, 2);
    int32_t *y = run->out[0];
    for (int64_t p = 0; p < n_planes; p++) {
        uint32_t sum = 0;
        if (x->dtype == TQ_I8)
            for (int64_t i = 0; i < plane; i++)
                sum += (uint32_t)((const int8_t *)run->in[0])[p * plane + i];
        else
            for (int64_t i = 0; i < plane; i++)
                sum += ((const uint8_t *)run->in[0])[p * plane + i];
        y[p] = (int32_t)sum;
    }
}

const tq_kernel tq_kernel_int_max_pool = {
    .entry = { .name = "MaxPool", .brief = "rows of codes" },
    .accepts = accepts,
    .prepare = prepare,
    .scratch_size = scratch_size,
    .run = run_max,
    .release = free,
};

const tq_kernel tq_kernel_int_sum_pool = {
    .entry = { .name = "SumPool", .brief = "rows of codes" },
    .accepts = accepts,
    .prepare = prepare,
    .scratch_size = scratch_size,
    .run = run_sum,
    .release = free,
};

const tq_kernel tq_kernel_int_global_sum_pool = {
    .entry = { .name = "GlobalSumPool", .brief = "rows of codes" },
    .accepts = accepts_global,
    .run = run_global,
};
