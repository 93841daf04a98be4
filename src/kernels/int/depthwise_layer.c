/* Fused depthwise convolutions (one input and one output channel a group). A vector is 64 channels
 * of one pixel, or, where several pixels fit and neighbours in a row are neighbours in memory
 * (stride 1), all channels of as many pixels as fit. */
#include "base/base.h"
#include "kernels/int/conv_internal.h"
#include "kernels/int/depthwise_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>

enum {
    BYTES = TQ_BLOCK_CHANNELS,
    PIECES_A_THREAD = 8,
    WORTH_A_PIECE = 65536 /* bytes of weights for vectors */
};

typedef struct depthwise_layer {
    tq_layer base;
    tq_window window;
    int64_t n, c;
    int64_t n_pixels, n_blocks; /* pixels of a vector, vectors of a pixel */
    int64_t w_size;             /* bytes of the weights of a block */
    const tq_depthwise_variant *variant;
    tq_buffer *packed;
    tq_block_constants *constants;
    int8_t *w;
    tq_requant_common requant;
} depthwise_layer;

static void release(tq_layer *layer)
{
    depthwise_layer *l = (depthwise_layer *)layer;
    tq_buffer_release(l->packed);
    free(l);
}

/** Channel at byte `b` of a vector of block `k`, -1 if none. */
static int64_t channel_at(const depthwise_layer *l, int64_t k, int b)
{
    if (l->n_pixels > 1)
        return b < l->n_pixels * l->c ? b % l->c : -1;
    return k * BYTES + b < l->c ? k * BYTES + b : -1;
}

static void pack_block(depthwise_layer *l, const tq_conv_spec *spec, int64_t k,
                       const tq_requant_exact *exact, const tq_sum_range *ranges)
{
    const tq_window *window = &l->window;
    const int64_t n_groups = (window->kernel[1] + 3) / 4;
    for (int p = 0; p < BYTES; p++) {
        const int64_t c = channel_at(l, k, tq_block_channel(TQ_BLOCK_VECTORS, p));
        if (c < 0)
            continue;
        for (int64_t kw = 0; kw < window->kernel[2]; kw++)
            for (int64_t kh = 0; kh < window->kernel[1]; kh++)
                l->w[k * l->w_size + ((kw * n_groups + kh / 4) * BYTES + p) * 4 + kh % 4] =
                    spec->w[c * spec->w_oc + kh * spec->w_kh + kw * spec->w_kw];
        tq_block_constants_set(&l->constants[k], p, spec->requant, exact, c, &ranges[c]);
    }
}

static tq_status pack(depthwise_layer *l, const tq_conv_spec *spec, const tq_sum_range *ranges)
{
    tq_requant_exact exact;
    if (!tq_requant_exact_find(spec->requant, spec->oc, ranges, 0, &exact))
        return tq_fail(TQ_ERR_UNSUPPORTED, "requantisation needs more than high words");
    l->requant = exact.common;
    const int64_t constants = l->n_blocks * (int64_t)sizeof(tq_block_constants);
    TQ_TRY(tq_buffer_create((size_t)(constants + l->n_blocks * l->w_size), &l->packed));
    l->constants = tq_buffer_data(l->packed);
    l->w = (int8_t *)tq_buffer_data(l->packed) + constants;
    for (int64_t k = 0; k < l->n_blocks; k++)
        pack_block(l, spec, k, &exact, ranges);
    return TQ_OK;
}

static tq_sum_range find_range(const tq_conv_spec *spec, int64_t c)
{
    int64_t sums[2] = { 0, 0 }; /* of positive weights, of negative ones */
    for (int64_t kh = 0; kh < spec->window.kernel[1]; kh++)
        for (int64_t kw = 0; kw < spec->window.kernel[2]; kw++) {
            const int8_t w = spec->w[c * spec->w_oc + kh * spec->w_kh + kw * spec->w_kw];
            sums[w < 0] += w;
        }
    return tq_conv_spec_range(spec, c, sums[0], sums[1]);
}

static tq_status make(depthwise_layer *l, const tq_conv_spec *spec)
{
    l->window = spec->window;
    l->n = spec->n;
    l->c = spec->c;
    l->base.need[0] = tq_conv_spec_border(spec);
    l->n_pixels = l->window.stride[2] == 1 && l->c < BYTES ? BYTES / l->c : 1;
    l->n_blocks = (l->c + BYTES - 1) / BYTES;
    l->w_size = l->window.kernel[2] * ((l->window.kernel[1] + 3) / 4) * BYTES * 4;
    for (l->variant = tq_depthwise_variants;
         (l->variant->needs & tq_cpu_flags()) != l->variant->needs;)
        l->variant++;
    tq_sum_range *ranges = tq_allocate((size_t)l->c * sizeof *ranges);
    if (!ranges)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
    for (int64_t c = 0; c < l->c; c++)
        ranges[c] = find_range(spec, c);
    const tq_status status = pack(l, spec, ranges);
    free(ranges);
    return status;
}

static void place(tq_layer *layer)
{
    (void)layer;
}

typedef struct job {
    const depthwise_layer *l;
    const void *x;
    void *y;
    int64_t n_pieces;
} job;

/** Row oh of image n: blocks first .. end - 1. */
static void run_row(const job *j, int64_t n, int64_t oh, int64_t first, int64_t end)
{
    const depthwise_layer *l = j->l;
    const tq_window *w = &l->window;
    const tq_codes_layout *x = &l->base.in[0], *y = &l->base.out;
    tq_depthwise_run r = {
        .x = tq_codes_layout_in(x, j->x, n, oh * w->stride[1] - w->pad_begin[1]) -
             w->pad_begin[2] * x->pixel + first * BYTES,
        .x_row = w->dilation[1] * x->row,
        .x_column = w->dilation[2] * x->pixel,
        .x_step = l->n_pixels * w->stride[2] * x->pixel,
        .kernel_h = w->kernel[1],
        .kernel_w = w->kernel[2],
        .requant = &l->requant,
        .y = tq_codes_layout_out(y, j->y, n, oh) + first * BYTES,
        .y_step = l->n_pixels * y->pixel,
        .n = (w->out[2] + l->n_pixels - 1) / l->n_pixels,
    };
    for (int64_t k = first; k < end; k++, r.x += BYTES, r.y += BYTES) {
        const int64_t channels = l->c - k * BYTES < BYTES ? l->c - k * BYTES : BYTES;
        r.w = l->w + k * l->w_size;
        r.constants = &l->constants[k];
        r.n_live = (int)(l->n_pixels * channels);
        r.n_last = (int)((w->out[2] - (r.n - 1) * l->n_pixels) * channels);
        l->variant->run(&r);
    }
}

/** Blocks of rows, row after row. */
static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t height = j->l->window.out[1], n_blocks = j->l->n_blocks;
    int64_t unit, end;
    tq_shard_range(j->l->n * height * n_blocks, j->n_pieces, i, &unit, &end);
    int64_t row = unit / n_blocks, block = unit % n_blocks;
    for (; row * n_blocks < end; row++, block = 0) {
        const int64_t left = end - row * n_blocks;
        if (block == 0)
            tq_codes_layout_fill(&j->l->base.out, j->y, row / height, row % height);
        run_row(j, row / height, row % height, block, left < n_blocks ? left : n_blocks);
    }
}

static void run(const tq_layer *layer, const tq_layer_run *run_)
{
    const depthwise_layer *l = (const depthwise_layer *)layer;
    const int64_t units = l->n * l->window.out[1] * l->n_blocks;
    const int64_t most = PIECES_A_THREAD * tq_pool_size(run_->pool);
    job j = { l, run_->in[0], run_->out,
              tq_clip_i64(units * l->window.out[2] * l->w_size / WORTH_A_PIECE, 1,
                          units < most ? units : most) };
    tq_parallel_for(run_->pool, j.n_pieces, run_piece, &j);
}

static const tq_layer_kind kind = {
    .brief = "fused depthwise convolution", .place = place, .run = run, .release = release
};

tq_status tq_layer_depthwise_create(const tq_conv_spec *spec, tq_layer **out_layer)
{
    if (spec->c != spec->groups || spec->oc != spec->c || spec->c < 4 || !spec->requant)
        return tq_fail(TQ_ERR_UNSUPPORTED, "not depthwise");
    TQ_TRY(tq_conv_spec_check(spec));
    depthwise_layer *l;
    TQ_TRY(tq_layer_new(&kind, 1, sizeof *l, &l));
    const tq_status status = make(l, spec);
    if (status) {
        release(&l->base);
        return status;
    }
    *out_layer = &l->base;
    return TQ_OK;
}
