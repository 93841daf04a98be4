/* Fused convolutions: sums of products, bias and requantisation in one pass over codes with
 * channels innermost. */
#include "base/base.h"
#include "kernels/int/conv_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_PIECES = 16,
    WORTH_A_PIECE = 200000, /* multiplications */
    SLICE = 24576,          /* bytes of weights that stay in the first cache .. */
    SLICED_FROM = 65536,    /* bytes of a block that are worth it */
    SLICE_ROUND = 16,       /* .. cut within a run at multiples of so many groups */
    PIXELS_AT_ONCE = 64     /* whose sums are kept between slices */
};

typedef struct conv_layer {
    tq_layer base;
    tq_window window;
    int64_t n, oc, ic; /* ic: of one group */
    const tq_strip_variant *variant;
    tq_conv_weights w;
    int64_t *runs;
    /* After place: rows of pixels, and how they are shared out. */
    int64_t n_rows, row_pixels, last_pixels; /* the last row may be shorter */
    int64_t x_step;
    bool is_merged;
    int64_t row_pieces, block_pieces;
} conv_layer;

static void release(tq_layer *layer)
{
    conv_layer *l = (conv_layer *)layer;
    tq_conv_weights_reset(&l->w);
    free(l->runs);
    free(l);
}

/* ---- making ------------------------------------------------------------------------------- */

tq_border tq_conv_spec_border(const tq_conv_spec *spec)
{
    const tq_window *w = &spec->window;
    int64_t reach[2];
    for (int i = 0; i < 2; i++) {
        const int64_t end = (w->out[i + 1] - 1) * w->stride[i + 1] - w->pad_begin[i + 1] +
                            (w->kernel[i + 1] - 1) * w->dilation[i + 1] + 1;
        reach[i] = end > w->in[i + 1] ? end - w->in[i + 1] : 0;
    }
    return (tq_border){ w->pad_begin[1], w->pad_begin[2], reach[0], reach[1],
                        (uint8_t)(spec->x_zero + (spec->x_signed ? 128 : 0)) };
}

static tq_status make(conv_layer *l, const tq_conv_spec *spec)
{
    l->window = spec->window;
    l->n = spec->n;
    l->oc = spec->oc;
    l->ic = spec->c / spec->groups;
    TQ_TRY(tq_conv_weights_make(spec, &l->w, &l->variant));
    l->base.is_out_plain = !spec->requant;
    l->base.need[0] = tq_conv_spec_border(spec);
    l->runs = tq_allocate((size_t)l->w.n_runs * sizeof *l->runs);
    return l->runs ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
}

/* ---- placing ------------------------------------------------------------------------------ */

static void find_runs(conv_layer *l)
{
    const tq_codes_layout *x = &l->base.in[0];
    const tq_window *w = &l->window;
    for (int64_t r = 0; r < l->w.n_runs; r++) {
        const int64_t kh = l->w.by_tap ? r / w->kernel[2] : r,
                      kw = l->w.by_tap ? r % w->kernel[2] : 0;
        l->runs[r] = (kh * w->dilation[1] - w->pad_begin[1]) * x->row +
                     (kw * w->dilation[2] - w->pad_begin[2]) * x->pixel;
    }
}

/** A window of one pixel over images without borders: all pixels are one long row, cut so that what
 * a piece reads stays in the cache. */
static bool can_merge(const conv_layer *l)
{
    const tq_window *w = &l->window;
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_begin[i] != 0 || w->out[i] != w->in[i])
            return false;
    return tq_codes_layout_is_dense(&l->base.in[0]) &&
           (l->base.is_out_plain || tq_codes_layout_is_dense(&l->base.out));
}

static void place(tq_layer *layer)
{
    conv_layer *l = (conv_layer *)layer;
    const tq_window *w = &l->window;
    find_runs(l);
    l->x_step = w->stride[2] * layer->in[0].pixel;
    l->is_merged = can_merge(l);
    l->n_rows = l->n * w->out[1];
    l->row_pixels = l->last_pixels = w->out[2];
    if (l->is_merged) {
        const int64_t total = l->n * w->out[1] * w->out[2];
        const int64_t strip = l->variant->most_pixels[l->w.blocks[0].n_vectors];
        l->row_pixels = tq_clip_i64(24576 / layer->in[0].pixel, strip, 192) / strip * strip;
        l->n_rows = (total + l->row_pixels - 1) / l->row_pixels;
        l->last_pixels = total - (l->n_rows - 1) * l->row_pixels;
    }
    const int64_t pixels = l->n * w->out[1] * w->out[2];
    const int64_t work = pixels * l->oc * l->w.n_runs * l->w.n_groups * TQ_GROUP;
    const int64_t n_pieces = tq_clip_i64(work / WORTH_A_PIECE, 1, MOST_PIECES);
    const bool by_blocks =
        (int64_t)l->w.size > l->n * (layer->in[0].image + w->out[1] * w->out[2] * l->oc);
    l->block_pieces = by_blocks && n_pieces > 1 ? tq_clip_i64(n_pieces, 1, l->w.n_blocks) : 1;
    /* where weights outweigh pixels they are to be read once only */
    l->row_pieces =
        l->block_pieces >= 4 ? 1 : tq_clip_i64(n_pieces / l->block_pieces, 1, l->n_rows);
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct job {
    const conv_layer *l;
    const uint8_t *x;
    void *y;
} job;

typedef struct row {
    const uint8_t *x;
    uint8_t *y;              /* NULL where the output is plain */
    int64_t n_pixels, first; /* index of its first pixel among all */
} row;

static row find_row(const job *j, int64_t index)
{
    const conv_layer *l = j->l;
    const tq_codes_layout *x = &l->base.in[0], *y = &l->base.out;
    row r = { .n_pixels = index == l->n_rows - 1 ? l->last_pixels : l->row_pixels,
              .first = index * l->row_pixels };
    if (l->is_merged) {
        r.x = j->x + r.first * x->pixel;
        r.y = (uint8_t *)j->y + (l->base.is_out_plain ? 0 : r.first * y->pixel);
        return r;
    }
    const int64_t n = index / l->window.out[1], oh = index % l->window.out[1];
    r.x = tq_codes_layout_in(x, j->x, n, oh * l->window.stride[1]);
    if (!l->base.is_out_plain)
        r.y = tq_codes_layout_out(y, j->y, n, oh);
    return r;
}

/** Sums in the order of channels, as plain i32 [pixels, oc]. */
static void store_plain(const job *j, const tq_conv_block *b, const int32_t *sums, int64_t pixel,
                        int n)
{
    int32_t *y = (int32_t *)j->y + pixel * j->l->oc + b->first;
    for (int i = 0; i < n; i++, y += j->l->oc)
        for (int p = 0; p < b->n_vectors * TQ_VECTOR; p++) {
            const int c = tq_block_channel(b->n_vectors, p);
            if (c < b->n_channels)
                y[c] = sums[i * TQ_BLOCK_CHANNELS + p] >> (8 - b->bits);
        }
}

/* Consecutive taps of a block: whole runs, or part of one. */
typedef struct slice {
    int64_t run, n_runs, group, n_groups; /* the groups of each of these runs */
    bool is_first, is_last;
} slice;

/** What a worker keeps while it runs strips of one block. */
typedef struct strips {
    const job *j;
    const tq_conv_block *b;
    int configured;
    int32_t *sums;   /* [PIXELS_AT_ONCE][64] */
    int64_t n_ahead; /* lines of the next slice that were called for */
} strips;

/** Bytes of the weights of a group; of half or a quarter of two or four, which are held together.
 */
static int64_t group_size(const tq_conv_block *b)
{
    return (int64_t)b->n_vectors * TQ_VECTOR * TQ_GROUP * b->bits / 8;
}

/** Where slices begin in the packed weight. */
static const int8_t *slice_weight(const conv_layer *l, const tq_conv_block *b, const slice *c)
{
    return b->w + (c->run * l->w.n_groups + c->group) * group_size(b);
}

/** Cuts a row into strips of nearly equal length. `at`: its first pixel among those at once. */
static void run_row(strips *t, const slice *c, const row *r, int64_t at)
{
    const conv_layer *l = t->j->l;
    const tq_conv_block *b = t->b;
    const bool is_plain = l->base.is_out_plain;
    const int64_t most = l->variant->most_pixels[b->n_vectors];
    const int64_t n_strips = (r->n_pixels + most - 1) / most;
    const int64_t shorter = r->n_pixels / n_strips, n_longer = r->n_pixels % n_strips;
    tq_strip s = { .x = r->x + b->group * l->ic + c->group * TQ_GROUP,
                   .x_step = l->x_step,
                   .runs = l->runs + c->run,
                   .n_runs = c->n_runs,
                   .n_groups = c->n_groups,
                   .w = slice_weight(l, b, c),
                   .bits = b->bits,
                   .constants = b->constants,
                   .requant = &l->w.requant,
                   .y = is_plain ? NULL : r->y + b->first,
                   .y_step = l->base.out.pixel,
                   .n_channels = b->n_channels,
                   .configured = &t->configured };
    const int64_t n_lines = c->n_runs * c->n_groups * group_size(b) / TQ_LINE;
    int64_t done = 0;
    for (int64_t i = 0; i < n_strips; i++) {
        const int n = (int)(shorter + (i < n_longer));
        const bool is_kept =
            !c->is_first || !c->is_last; /* else sums leave before the next strip */
        int32_t *sums = t->sums + (is_kept ? at + done : 0) * TQ_BLOCK_CHANNELS;
        s.from = c->is_first ? b->constants->bias : sums;
        s.from_step = c->is_first ? 0 : TQ_BLOCK_CHANNELS;
        s.sums = !c->is_last || is_plain ? sums : NULL;
        s.ahead = s.w + (n_lines + t->n_ahead) * TQ_LINE;
        s.ahead_step = is_kept && t->n_ahead < n_lines ? TQ_LINE : 0;
        t->n_ahead += s.n_runs * s.n_groups;
        l->variant->run(b->n_vectors, n, &s);
        if (c->is_last && is_plain)
            store_plain(t->j, b, sums, r->first + done, n);
        s.x += n * s.x_step;
        if (s.y)
            s.y += n * s.y_step;
        done += n;
    }
}

/** The slice after `c`; false past the end. */
static bool next_slice(const conv_layer *l, int64_t most_groups, slice *c)
{
    int64_t run = c->run + (c->group + c->n_groups == l->w.n_groups ? c->n_runs : 0);
    int64_t group = c->group + c->n_groups == l->w.n_groups ? 0 : c->group + c->n_groups;
    if (c->n_runs == 0)
        run = group = 0;
    if (run >= l->w.n_runs)
        return false;
    const int64_t left = l->w.n_runs - run, fit = most_groups / l->w.n_groups;
    *c = (slice){ .run = run, .group = group, .is_first = run == 0 && group == 0 };
    c->n_runs = group > 0 || fit < 1 ? 1 : fit < left ? fit : left;
    c->n_groups = l->w.n_groups - group < most_groups ? l->w.n_groups - group : most_groups;
    c->is_last = run + c->n_runs == l->w.n_runs && group + c->n_groups == l->w.n_groups;
    return true;
}

/** All taps at once for each row, or, where the weights of the block overflow the first cache and
 * several strips share them, slice by slice for some rows at a time. */
static void run_rows(strips *t, int64_t first, int64_t end)
{
    const conv_layer *l = t->j->l;
    const int64_t size = group_size(t->b);
    const bool is_sliced = l->w.n_runs * l->w.n_groups * size > SLICED_FROM && l->row_pixels > 1 &&
                           l->row_pixels <= PIXELS_AT_ONCE;
    const int64_t most_groups =
        is_sliced ? SLICE / size / SLICE_ROUND * SLICE_ROUND : l->w.n_runs * l->w.n_groups;
    const int64_t rows = is_sliced ? PIXELS_AT_ONCE / l->row_pixels : 1;
    for (int64_t k = first; k < end; k += rows) {
        slice c = { 0 };
        while (next_slice(l, most_groups, &c)) {
            t->n_ahead = 0;
            for (int64_t i = k; i < end && i < k + rows; i++) {
                const row r = find_row(t->j, i);
                run_row(t, &c, &r, (i - k) * l->row_pixels);
            }
        }
    }
}

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const conv_layer *l = j->l;
    _Alignas(64) int32_t sums[PIXELS_AT_ONCE * TQ_BLOCK_CHANNELS];
    strips t = { .j = j, .sums = sums };
    int64_t first_row, end_row, first_block, end_block;
    tq_shard_range(l->n_rows, l->row_pieces, i / l->block_pieces, &first_row, &end_row);
    tq_shard_range(l->w.n_blocks, l->block_pieces, i % l->block_pieces, &first_block, &end_block);
    for (int64_t k = first_row; k < end_row && first_block == 0 && !l->is_merged; k++)
        if (!l->base.is_out_plain)
            tq_codes_layout_fill(&l->base.out, j->y, k / l->window.out[1], k % l->window.out[1]);
    for (int64_t b = first_block; b < end_block; b++) {
        t.b = &l->w.blocks[b];
        run_rows(&t, first_row, end_row);
    }
    if (l->variant->end)
        l->variant->end();
}

static void run(const tq_layer *layer, const tq_layer_run *run_)
{
    const conv_layer *l = (const conv_layer *)layer;
    job j = { l, run_->in[0], run_->out };
    tq_parallel_for(run_->pool, l->row_pieces * l->block_pieces, run_piece, &j);
}

static const tq_layer_kind kind = {
    .brief = "fused convolution", .place = place, .run = run, .release = release
};

tq_status tq_conv_spec_check(const tq_conv_spec *spec)
{
    const tq_border border = tq_conv_spec_border(spec);
    return tq_codes_layout_fits(spec->n, spec->c, spec->window.in[1], spec->window.in[2], &border)
               ? TQ_OK
               : tq_fail(TQ_ERR_UNSUPPORTED, "too much padding for a border");
}

tq_status tq_layer_conv_create(const tq_conv_spec *spec, tq_layer **out_layer)
{
    TQ_TRY(tq_conv_spec_check(spec));
    conv_layer *l;
    TQ_TRY(tq_layer_new(&kind, 1, sizeof *l, &l));
    const tq_status status = make(l, spec);
    if (status) {
        release(&l->base);
        return status;
    }
    *out_layer = &l->base;
    return TQ_OK;
}
