/* Fused convolutions: sums of products, bias and requantisation in one pass over codes with
 * channels innermost. */
#include "base/base.h"
#include "kernels/int/conv_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIECES_A_THREAD = 8,
    MOST_UNITS = 16,       /* wanted of a layer, so that threads find equal shares */
    WORTH_A_PIECE = 60000, /* multiplications, .. */
    OUTPUT = 24,           /* .. of which an output is worth so many */
    SLICE = 24576,         /* bytes of weights that stay in the first cache .. */
    SLICED_FROM = 65536,   /* bytes of a block that are worth it */
    SLICE_ROUND = 16,      /* .. cut within a run at multiples of so many groups */
    PIXELS_AT_ONCE = 64,   /* whose sums are kept between slices */
    ROW_PIXELS = 192,      /* at most, where rows are cut at will */
    LINE = 64,
    CHUNK = 131072,   /* bytes of x that stay in the second cache, .. */
    CHUNK_PIXELS = 32 /* .. if there are some */
};

/** A row cut into strips of nearly equal length. */
typedef struct cut {
    int64_t n, shorter, n_longer; /* strips, pixels of most, strips of one more */
} cut;

typedef struct conv_layer {
    tq_layer base;
    tq_window window;
    int64_t n, oc, ic; /* ic: of one group */
    const tq_strip_variant *variant;
    tq_conv_weights w;
    int64_t *runs;
    /* After place: pixels in rows, rows in chunks; a unit is a block of channels of a chunk. */
    bool is_merged; /* rows are cut without regard to those of images, which x does not show, .. */
    bool is_flat;   /* .. nor does y */
    int64_t n_pixels, row_pixels, n_rows, chunk_rows, n_chunks;
    int64_t x_step;
    cut whole[TQ_BLOCK_VECTORS + 1], last[TQ_BLOCK_VECTORS + 1]; /* rows, by vectors of a block */
    bool by_blocks; /* units in order of blocks, else of chunks */
    int64_t most_pieces;
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

/** A window of one pixel over images without borders: all pixels of x are one long row. */
static bool can_merge(const conv_layer *l)
{
    const tq_window *w = &l->window;
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_begin[i] != 0 || w->out[i] != w->in[i])
            return false;
    return tq_codes_layout_is_dense(&l->base.in[0]);
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/** Bytes of the weights of a group; of half or a quarter of two or four, which are held together.
 */
static int64_t group_size(const tq_conv_block *b)
{
    return (int64_t)b->n_vectors * TQ_VECTOR * TQ_GROUP * b->bits / 8;
}

/** Do the weights of a block overflow the first cache, so that several strips are to share them
 * slice by slice? */
static bool is_sliced(const conv_layer *l, const tq_conv_block *b)
{
    return l->w.n_runs * l->w.n_groups * group_size(b) > SLICED_FROM && l->n_pixels > 1 &&
           l->row_pixels <= PIXELS_AT_ONCE;
}

/** None longer than a row of y. */
static cut cut_strips(const conv_layer *l, int n_vectors, int64_t n_pixels)
{
    const int64_t fit = l->variant->most_pixels[n_vectors];
    const int64_t width = l->is_flat ? l->n_pixels : l->window.out[2];
    const int64_t n = divide_up(n_pixels, fit < width ? fit : width);
    return (cut){ n, n_pixels / n, n_pixels % n };
}

static void cut_rows(conv_layer *l)
{
    const tq_codes_layout *x = &l->base.in[0];
    const int64_t strip = l->variant->most_pixels[l->w.blocks[0].n_vectors];
    l->n_pixels = l->n * l->window.out[1] * l->window.out[2];
    l->row_pixels = l->window.out[2];
    if (l->is_merged) {
        const int64_t most = tq_clip_i64(SLICE / x->pixel, strip, ROW_PIXELS);
        const int64_t n = divide_up(l->n_pixels, most);
        l->row_pixels = divide_up(l->n_pixels, n > 2 ? n : 2);
    }
    l->n_rows = divide_up(l->n_pixels, l->row_pixels);
    l->is_flat = l->is_merged && (l->base.is_out_plain || tq_codes_layout_is_dense(&l->base.out));
    for (int v = 1; v <= TQ_BLOCK_VECTORS; v++) {
        l->whole[v] = cut_strips(l, v, l->row_pixels);
        l->last[v] = cut_strips(l, v, l->n_pixels - (l->n_rows - 1) * l->row_pixels);
    }
}

/** So many rows that x stays in the second cache, or sums between slices in the first. */
static void cut_chunks(conv_layer *l)
{
    const tq_codes_layout *x = &l->base.in[0];
    const int64_t row = l->is_merged ? l->row_pixels * x->pixel : l->window.stride[1] * x->row;
    const int64_t few = divide_up(CHUNK_PIXELS, l->row_pixels);
    const int64_t even = divide_up(l->n_rows * l->w.n_blocks, MOST_UNITS);
    l->chunk_rows = CHUNK / row < even ? CHUNK / row : even;
    l->chunk_rows = l->chunk_rows > few ? l->chunk_rows : few;
    if (is_sliced(l, &l->w.blocks[0]))
        l->chunk_rows = PIXELS_AT_ONCE / l->row_pixels;
    l->chunk_rows = tq_clip_i64(l->chunk_rows, 1, l->n_rows);
    l->n_chunks = divide_up(l->n_rows, l->chunk_rows);
}

static void place(tq_layer *layer)
{
    conv_layer *l = (conv_layer *)layer;
    const int64_t outputs = l->n * l->window.out[1] * l->window.out[2] * l->oc;
    find_runs(l);
    l->x_step = l->window.stride[2] * layer->in[0].pixel;
    l->is_merged = can_merge(l);
    cut_rows(l);
    cut_chunks(l);
    /* where weights outweigh pixels they are to be read once only */
    l->by_blocks = (int64_t)l->w.size > l->n * layer->in[0].image + outputs;
    const int64_t work = outputs * (l->w.n_runs * l->w.n_groups * TQ_GROUP + OUTPUT);
    l->most_pieces = tq_clip_i64(work / WORTH_A_PIECE, 1, l->n_chunks * l->w.n_blocks);
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct job {
    const conv_layer *l;
    const uint8_t *x;
    void *y;
    int64_t n_pieces;
} job;

/* Where a pixel lies. */
typedef struct pixel {
    const uint8_t *x;
    uint8_t *y;    /* the first of all where the output is plain */
    int64_t index; /* among all */
    int64_t near;  /* pixels from it to the end of its row of y .. */
    int64_t rows;  /* .. and rows from that to the end of its image */
} pixel;

static pixel find_pixel(const job *j, int64_t index)
{
    const conv_layer *l = j->l;
    const int64_t height = l->window.out[1], width = l->window.out[2];
    const int64_t row = index / width, ow = index - row * width;
    const int64_t n = row / height, oh = row - n * height;
    pixel p = { .index = index,
                .near = l->is_flat ? l->n_pixels : width - ow,
                .rows = height - oh,
                .y = j->y };
    p.x = tq_codes_layout_in(&l->base.in[0], j->x, n, oh * l->window.stride[1]) + ow * l->x_step;
    if (!l->base.is_out_plain)
        p.y = tq_codes_layout_out(&l->base.out, j->y, n, oh) + ow * l->base.out.pixel;
    return p;
}

/** How much further y lies in the row after that of the pixel. */
static int64_t y_jump(const conv_layer *l, const pixel *p)
{
    const tq_codes_layout *y = &l->base.out;
    const int64_t above = l->window.out[1] * y->row;
    return y->row - l->window.out[2] * y->pixel + (p->rows > 1 ? 0 : y->image - above);
}

/** Goes n pixels further, at most to the end of the next row. */
static void advance(const conv_layer *l, int64_t n, pixel *p)
{
    p->x += n * l->x_step;
    p->y += n * l->base.out.pixel;
    p->index += n;
    p->near -= n;
    if (p->near > 0)
        return;
    const tq_codes_layout *x = &l->base.in[0];
    const int64_t stride = l->window.stride[1], height = l->window.out[1];
    if (!l->is_merged)
        p->x += stride * x->row - l->window.out[2] * l->x_step +
                (p->rows > 1 ? 0 : x->image - height * stride * x->row);
    p->y += y_jump(l, p);
    p->near += l->window.out[2];
    p->rows = p->rows > 1 ? p->rows - 1 : height;
}

/** Sums in the order of channels, as plain i32 [pixels, oc]. */
static void store_plain(const job *j, const tq_conv_block *b, const int32_t *sums, int64_t first,
                        int n)
{
    int32_t *y = (int32_t *)j->y + first * j->l->oc + b->first;
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
    int64_t x_first; /* what a slice reads in a window */
    int64_t sums_step;
    const int8_t *next_end; /* of the weights of the slice after it, if there are several */
    int configured;
    int32_t *sums; /* [PIXELS_AT_ONCE][64] */
} strips;

/** The strips of a slice, before the first one. Sums go from slice to slice, if there are several;
 * then each strip brings near as many lines of the next slice as it takes steps, until all are. */
static tq_strip begin_strips(strips *t, const slice *c)
{
    const conv_layer *l = t->j->l;
    const tq_conv_block *b = t->b;
    const int64_t size = group_size(b);
    const int8_t *w = b->w + (c->run * l->w.n_groups + c->group) * size;
    const bool is_kept = !c->is_first || !c->is_last, is_plain = l->base.is_out_plain;
    t->x_first = b->group * l->ic + c->group * TQ_GROUP;
    t->sums_step = is_kept && !c->is_last ? TQ_BLOCK_CHANNELS : 0;
    t->next_end = w + 2 * c->n_runs * c->n_groups * size;
    return (tq_strip){ .x_step = l->x_step,
                       .runs = l->runs + c->run,
                       .n_runs = c->n_runs,
                       .n_groups = c->n_groups,
                       .w = w,
                       .bits = b->bits,
                       .ahead = is_kept ? w + c->n_runs * c->n_groups * size : w,
                       .ahead_step = is_kept ? LINE : 0,
                       .from = c->is_first ? b->constants->bias : t->sums,
                       .from_step = c->is_first ? 0 : TQ_BLOCK_CHANNELS,
                       .constants = b->constants,
                       .requant = &l->w.requant,
                       .y_step = l->base.out.pixel,
                       .n_channels = b->n_channels,
                       .configured = &t->configured,
                       .sums = !c->is_last || is_plain ? t->sums : NULL };
}

static void look_ahead(const strips *t, tq_strip *s)
{
    if (s->ahead_step == 0)
        return;
    s->ahead += s->n_runs * s->n_groups * s->bits / 8 * LINE;
    if (s->ahead >= t->next_end)
        s->ahead_step = 0;
}

static void run_row(strips *t, const cut *of, bool is_last, pixel *p, tq_strip *s)
{
    const conv_layer *l = t->j->l;
    for (int64_t i = 0; i < of->n; i++) {
        const int n = (int)(of->shorter + (i < of->n_longer));
        s->x = p->x + t->x_first;
        s->y = p->y + t->b->first;
        s->n_near = (int)(n < p->near ? n : p->near);
        if (n > p->near)
            s->y_jump = y_jump(l, p);
        l->variant->run(t->b->n_vectors, n, s);
        if (is_last && s->sums)
            store_plain(t->j, t->b, s->sums, p->index, n);
        s->from += n * s->from_step;
        s->sums += n * t->sums_step;
        look_ahead(t, s);
        advance(l, n, p);
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

static void run_slice(strips *t, const slice *c, int64_t first, int64_t end)
{
    const conv_layer *l = t->j->l;
    tq_strip s = begin_strips(t, c);
    pixel p = find_pixel(t->j, first * l->row_pixels);
    const int v = t->b->n_vectors;
    for (int64_t k = first; k < end; k++)
        run_row(t, k < l->n_rows - 1 ? &l->whole[v] : &l->last[v], c->is_last, &p, &s);
}

/** All taps at once, or slice by slice. */
static void run_rows(strips *t, int64_t first, int64_t end)
{
    const conv_layer *l = t->j->l;
    const int64_t all = l->w.n_runs * l->w.n_groups;
    const int64_t fit = SLICE / group_size(t->b) / SLICE_ROUND * SLICE_ROUND;
    const int64_t most_groups = is_sliced(l, t->b) && fit < all ? fit : all;
    slice c = { 0 };
    while (next_slice(l, most_groups, &c))
        run_slice(t, &c, first, end);
}

/** The border of rows that begin among pixels first .. end - 1. */
static void fill_borders(const job *j, int64_t first, int64_t end)
{
    const tq_codes_layout *y = &j->l->base.out;
    const int64_t height = j->l->window.out[1], width = j->l->window.out[2];
    const int64_t row = divide_up(first, width), last = divide_up(end, width) - 1;
    if (j->l->base.is_out_plain || tq_codes_layout_is_dense(y))
        return;
    int64_t n = row / height, oh = row % height;
    for (int64_t r = row; r <= last; r++) {
        tq_codes_layout_fill(y, j->y, n, oh);
        oh = oh + 1 < height ? oh + 1 : 0;
        n += oh == 0;
    }
}

static void run_unit(strips *t, int64_t block, int64_t chunk)
{
    const conv_layer *l = t->j->l;
    const int64_t first = chunk * l->chunk_rows, left = l->n_rows - first;
    const int64_t end = first + (left < l->chunk_rows ? left : l->chunk_rows);
    if (block == 0)
        fill_borders(t->j, first * l->row_pixels,
                     end == l->n_rows ? l->n_pixels : end * l->row_pixels);
    t->b = &l->w.blocks[block];
    run_rows(t, first, end);
}

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const conv_layer *l = j->l;
    _Alignas(64) int32_t sums[PIXELS_AT_ONCE * TQ_BLOCK_CHANNELS];
    strips t = { .j = j, .sums = sums };
    int64_t first, end;
    tq_shard_range(l->n_chunks * l->w.n_blocks, j->n_pieces, i, &first, &end);
    for (int64_t u = first; u < end; u++)
        if (l->by_blocks)
            run_unit(&t, u / l->n_chunks, u % l->n_chunks);
        else
            run_unit(&t, u % l->w.n_blocks, u / l->w.n_blocks);
    if (l->variant->end)
        l->variant->end();
}

static void run(const tq_layer *layer, const tq_layer_run *run_)
{
    const conv_layer *l = (const conv_layer *)layer;
    const int64_t most = PIECES_A_THREAD * tq_pool_size(run_->pool);
    job j = { l, run_->in[0], run_->out, l->most_pieces < most ? l->most_pieces : most };
    if (j.n_pieces > tq_pool_size(run_->pool)) /* equal shares */
        j.n_pieces -= j.n_pieces % tq_pool_size(run_->pool);
    tq_parallel_for(run_->pool, j.n_pieces, run_piece, &j);
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
