/* Fused pools over codes with channels innermost: the largest code of each window, and requantised
 * sums of whole images. Codes are held as u8 in the order of their values, so that maxima need no
 * turning. */
#include "base/base.h"
#include "kernels/int/larger_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PIECES = 16, WORTH_A_PIECE = 16384 /* bytes */ };

static void release(tq_layer *layer)
{
    free(layer);
}

/* ---- largest codes ------------------------------------------------------------------------ */

typedef struct max_layer {
    tq_layer base;
    tq_window window;
    const tq_larger_variant *variant;
    int64_t n_pieces;
} max_layer;

typedef struct max_job {
    const max_layer *l;
    const void *x;
    void *y;
} max_job;

/** Outputs first .. end - 1 of the axis whose tap `k` lies in the image. */
static void find_outputs(const tq_window *w, int axis, int64_t k, int64_t *out_first,
                         int64_t *out_end)
{
    const int64_t at = k * w->dilation[axis] - w->pad_begin[axis]; /* of output 0 */
    const int64_t stride = w->stride[axis], left = w->in[axis] - at;
    *out_first = at < 0 ? (stride - 1 - at) / stride : 0;
    *out_end = left > 0 ? tq_clip_i64((left + stride - 1) / stride, 0, w->out[axis]) : 0;
}

/** Row oh of image n: tap by tap. */
static void max_row(const max_job *j, int64_t n, int64_t oh)
{
    const tq_window *w = &j->l->window;
    const tq_codes_layout *x = &j->l->base.in[0], *to = &j->l->base.out;
    uint8_t *y = tq_codes_layout_out(to, j->y, n, oh);
    int64_t h0, h1;
    tq_window_taps(w, 1, oh, &h0, &h1);
    memset(y, 0, (size_t)(to->w * to->pixel));
    for (int64_t kh = h0; kh < h1; kh++)
        for (int64_t kw = 0; kw < w->kernel[2]; kw++) {
            const int64_t ih = oh * w->stride[1] - w->pad_begin[1] + kh * w->dilation[1];
            int64_t first, end;
            find_outputs(w, 2, kw, &first, &end);
            if (first >= end)
                continue;
            const int64_t iw = first * w->stride[2] - w->pad_begin[2] + kw * w->dilation[2];
            j->l->variant->run(
                &(tq_larger_run){ .x = tq_codes_layout_in(x, j->x, n, ih) + iw * x->pixel,
                                  .y = y + first * to->pixel,
                                  .x_step = w->stride[2] * x->pixel,
                                  .y_step = to->pixel,
                                  .n = end - first,
                                  .c = x->c });
        }
}

static void max_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const max_job *j = context;
    const tq_codes_layout *to = &j->l->base.out;
    int64_t first, end;
    tq_shard_range(to->n * to->h, j->l->n_pieces, i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        tq_codes_layout_fill(to, j->y, k / to->h, k % to->h);
        max_row(j, k / to->h, k % to->h);
    }
}

static void run_max(const tq_layer *layer, const tq_layer_run *run)
{
    max_job j = { (const max_layer *)layer, run->in[0], run->out };
    tq_parallel_for(run->pool, j.l->n_pieces, max_piece, &j);
}

static int64_t count_pieces(int64_t units, int64_t bytes)
{
    return tq_clip_i64(bytes / WORTH_A_PIECE, 1, units < MOST_PIECES ? units : MOST_PIECES);
}

static void place_max(tq_layer *layer)
{
    max_layer *l = (max_layer *)layer;
    const tq_codes_layout *x = &layer->in[0], *to = &layer->out;
    l->n_pieces = count_pieces(to->n * to->h, x->n * x->image);
}

static const tq_layer_kind max_kind = {
    .brief = "fused maximum", .place = place_max, .run = run_max, .release = release
};

tq_status tq_layer_max_pool_create(const tq_window *window, tq_layer **out_layer)
{
    max_layer *l;
    TQ_TRY(tq_layer_new(&max_kind, 1, sizeof *l, &l));
    l->window = *window;
    for (l->variant = tq_larger_variants;
         (l->variant->needs & tq_cpu_flags()) != l->variant->needs;)
        l->variant++;
    *out_layer = &l->base;
    return TQ_OK;
}

/* ---- sums of images ----------------------------------------------------------------------- */

typedef struct sum_layer {
    tq_layer base;
    int64_t c, correction, shift, q_min, q_max, moved, n_pieces;
    int64_t entries[]; /* multiplier, addend of each channel */
} sum_layer;

typedef struct sum_job {
    const sum_layer *l;
    const void *x;
    void *y;
} sum_job;

enum { CHANNELS = 64 };

/** Sums of n pixels of 64 channels, few enough for 16 bits. */
static void add_pixels(uint32_t *restrict sums, const uint8_t *restrict x, int64_t step, int64_t n)
{
    uint16_t part[CHANNELS] = { 0 };
    for (int64_t i = 0; i < n; i++, x += step)
        for (int c = 0; c < CHANNELS; c++)
            part[c] = (uint16_t)(part[c] + x[c]);
    for (int c = 0; c < CHANNELS; c++)
        sums[c] += part[c];
}

/** Reads whole vectors of channels: layouts have room for that. */
static void sum_channels(const sum_job *j, int64_t n, int64_t first, int64_t count)
{
    enum { AT_ONCE = 256 };
    const sum_layer *l = j->l;
    const tq_codes_layout *x = &l->base.in[0];
    uint32_t sums[CHANNELS] = { 0 };
    for (int64_t h = 0; h < x->h; h++)
        for (int64_t w = 0; w < x->w; w += AT_ONCE)
            add_pixels(sums, tq_codes_layout_in(x, j->x, n, h) + w * x->pixel + first, x->pixel,
                       x->w - w < AT_ONCE ? x->w - w : AT_ONCE);
    uint8_t *y = tq_codes_layout_out(&l->base.out, j->y, n, 0) + first;
    for (int64_t c = 0; c < count; c++) {
        const int64_t *e = l->entries + 2 * (first + c);
        const int32_t sum = (int32_t)(sums[c] - (uint32_t)l->correction);
        const int64_t v = (int64_t)((uint64_t)sum * (uint64_t)e[0] + (uint64_t)e[1]) >> l->shift;
        y[c] = (uint8_t)(tq_clip_i64(v, l->q_min, l->q_max) + l->moved);
    }
}

static void sum_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const sum_job *j = context;
    const int64_t n_blocks = (j->l->c + CHANNELS - 1) / CHANNELS;
    int64_t first, end;
    tq_shard_range(j->l->base.in[0].n * n_blocks, j->l->n_pieces, i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const int64_t n = k / n_blocks, c = k % n_blocks * CHANNELS;
        if (c == 0)
            tq_codes_layout_fill(&j->l->base.out, j->y, n, 0);
        sum_channels(j, n, c, j->l->c - c < CHANNELS ? j->l->c - c : CHANNELS);
    }
}

static void run_sum(const tq_layer *layer, const tq_layer_run *run)
{
    sum_job j = { (const sum_layer *)layer, run->in[0], run->out };
    tq_parallel_for(run->pool, j.l->n_pieces, sum_piece, &j);
}

static void place_sum(tq_layer *layer)
{
    sum_layer *l = (sum_layer *)layer;
    const tq_codes_layout *x = &layer->in[0];
    l->n_pieces = count_pieces(x->n * ((l->c + CHANNELS - 1) / CHANNELS), x->n * x->image);
}

static const tq_layer_kind sum_kind = {
    .brief = "fused sum of images", .place = place_sum, .run = run_sum, .release = release
};

tq_status tq_layer_global_sum_create(int64_t c, int64_t n_summed, bool x_signed,
                                     const tq_requant_spec *requant, tq_layer **out_layer)
{
    sum_layer *l;
    TQ_TRY(tq_layer_new(&sum_kind, 1, sizeof *l + (size_t)c * 2 * sizeof(int64_t), &l));
    l->c = c;
    l->correction = x_signed ? 128 * n_summed : 0;
    l->shift = requant->shift;
    l->q_min = requant->q_min;
    l->q_max = requant->q_max;
    l->moved = requant->y_signed ? 128 : 0;
    for (int64_t i = 0; i < c; i++) {
        l->entries[2 * i] = tq_requant_spec_entry(requant->multiplier, i);
        l->entries[2 * i + 1] = tq_requant_spec_entry(requant->addend, i);
    }
    *out_layer = &l->base;
    return TQ_OK;
}
