/* Fused depthwise convolutions (one input and one output channel a group). Where neighbours in a
 * row are neighbours in memory (stride 1) a row of pixels and channels is one run of bytes, cut by
 * 64 whatever the number of channels: the weights then repeat with a period of lcm(C, 64) bytes.
 * Else a vector is 64 channels of one pixel. */
#include "base/base.h"
#include "kernels/int/conv_internal.h"
#include "kernels/int/depthwise_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>

enum { BYTES = TQ_BLOCK_CHANNELS, MOST_PIECES = 16, WORTH_A_PIECE = 16384 /* outputs */ };

typedef struct depthwise_layer {
    tq_layer base;
    tq_window window;
    int64_t n, c, n_kinds, n_tap_groups;
    bool is_flat;
    const tq_depthwise_variant *variant;
    int64_t *taps;
    tq_buffer *packed;
    tq_block_constants *constants;
    int8_t *w;
    tq_requant_common requant;
    int64_t n_pieces;
} depthwise_layer;

static void release(tq_layer *layer)
{
    depthwise_layer *l = (depthwise_layer *)layer;
    tq_buffer_release(l->packed);
    free(l->taps);
    free(l);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/** Channel at byte `b` of vector kind `k`, -1 if none. */
static int64_t channel_at(const depthwise_layer *l, int64_t k, int b)
{
    const int64_t at = k * BYTES + b;
    return l->is_flat ? at % l->c : at < l->c ? at : -1;
}

static void pack_kind(depthwise_layer *l, const tq_conv_spec *spec, int64_t k,
                      const tq_requant_exact *exact)
{
    const tq_window *window = &l->window;
    const int64_t n_taps = window->kernel[1] * window->kernel[2];
    const int64_t zero = spec->x_zero + (spec->x_signed ? 128 : 0);
    tq_block_constants *constants = &l->constants[k];
    int8_t *w = l->w + k * l->n_tap_groups * BYTES * 4;
    for (int p = 0; p < BYTES; p++) {
        const int64_t c = channel_at(l, k, tq_block_channel(TQ_BLOCK_VECTORS, p));
        int64_t sum = 0;
        for (int64_t t = 0; c >= 0 && t < n_taps; t++) {
            const int8_t v = spec->w[c * spec->w_oc + t / window->kernel[2] * spec->w_kh +
                                     t % window->kernel[2] * spec->w_kw];
            w[(t / 4 * BYTES + p) * 4 + t % 4] = v;
            sum += v;
        }
        if (c < 0)
            continue;
        constants->bias[p] =
            (int32_t)(uint32_t)(uint64_t)((spec->bias ? spec->bias[c] : 0) - zero * sum);
        constants->multiplier[p] = (int32_t)tq_requant_exact_multiplier(spec->requant, exact, c);
        constants->addend[tq_addend_place(p)] = tq_requant_exact_addend(spec->requant, exact, c);
    }
}

static tq_status make(depthwise_layer *l, const tq_conv_spec *spec)
{
    tq_requant_exact exact;
    if (!tq_conv_spec_find_exact(spec, &spec->window, 1, &exact))
        return tq_fail(TQ_ERR_UNSUPPORTED, "requantisation needs more than high words");
    l->window = spec->window;
    l->n = spec->n;
    l->c = spec->c;
    l->requant = exact.common;
    l->base.need[0] = tq_conv_spec_border(spec);
    l->is_flat = l->window.stride[2] == 1;
    l->n_kinds = l->is_flat ? l->c / common_divisor(l->c, BYTES) : (l->c + BYTES - 1) / BYTES;
    l->n_tap_groups = (l->window.kernel[1] * l->window.kernel[2] + 3) / 4;
    for (l->variant = tq_depthwise_variants;
         (l->variant->needs & tq_cpu_flags()) != l->variant->needs;)
        l->variant++;
    const size_t constants = (size_t)l->n_kinds * sizeof(tq_block_constants);
    TQ_TRY(tq_buffer_create(constants + (size_t)(l->n_kinds * l->n_tap_groups) * BYTES * 4,
                            &l->packed));
    l->constants = tq_buffer_data(l->packed);
    l->w = (int8_t *)tq_buffer_data(l->packed) + constants;
    l->taps = tq_allocate((size_t)l->n_tap_groups * 4 * sizeof *l->taps);
    if (!l->taps)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
    for (int64_t k = 0; k < l->n_kinds; k++)
        pack_kind(l, spec, k, &exact);
    return TQ_OK;
}

static void place(tq_layer *layer)
{
    depthwise_layer *l = (depthwise_layer *)layer;
    const tq_codes_layout *x = &layer->in[0];
    const tq_window *w = &l->window;
    const int64_t n_taps = w->kernel[1] * w->kernel[2];
    for (int64_t t = 0; t < 4 * l->n_tap_groups; t++) {
        const int64_t at = t < n_taps ? t : 0; /* the rest meets weights of 0 */
        l->taps[t] = (at / w->kernel[2] * w->dilation[1] - w->pad_begin[1]) * x->row +
                     (at % w->kernel[2] * w->dilation[2] - w->pad_begin[2]) * x->pixel;
    }
    const int64_t work = l->n * w->out[1] * w->out[2] * l->c * l->n_tap_groups / 3;
    l->n_pieces = tq_clip_i64(work / WORTH_A_PIECE, 1,
                              l->n * w->out[1] < MOST_PIECES ? l->n * w->out[1] : MOST_PIECES);
}

typedef struct job {
    const depthwise_layer *l;
    const void *x;
    void *y;
} job;

static void run_flat(const depthwise_layer *l, tq_depthwise_run *r)
{
    const int64_t bytes = l->window.out[2] * l->c;
    r->x_step = r->y_step = BYTES;
    r->n = (bytes + BYTES - 1) / BYTES;
    r->kind_step = 1;
    r->n_live = BYTES;
    r->n_last = (int)(bytes - (r->n - 1) * BYTES);
    l->variant->run(r);
}

static void run_blocks(const depthwise_layer *l, tq_depthwise_run *r)
{
    r->n = l->window.out[2];
    r->x_step = l->window.stride[2] * l->base.in[0].pixel;
    r->y_step = l->base.out.pixel;
    for (int64_t c = 0; c < l->c; c += BYTES, r->kind++, r->x += BYTES, r->y += BYTES) {
        r->n_live = r->n_last = (int)(l->c - c < BYTES ? l->c - c : BYTES);
        l->variant->run(r);
    }
}

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const depthwise_layer *l = j->l;
    const int64_t height = l->window.out[1];
    int64_t first, end;
    tq_shard_range(l->n * height, l->n_pieces, i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const int64_t n = k / height, oh = k % height;
        tq_codes_layout_fill(&l->base.out, j->y, n, oh);
        tq_depthwise_run r = {
            .x = tq_codes_layout_in(&l->base.in[0], j->x, n, oh * l->window.stride[1]),
            .taps = l->taps,
            .n_tap_groups = l->n_tap_groups,
            .w = l->w,
            .constants = l->constants,
            .requant = &l->requant,
            .y = tq_codes_layout_out(&l->base.out, j->y, n, oh),
            .n_kinds = l->n_kinds,
        };
        if (l->is_flat)
            run_flat(l, &r);
        else
            run_blocks(l, &r);
    }
}

static void run(const tq_layer *layer, const tq_layer_run *run_)
{
    const depthwise_layer *l = (const depthwise_layer *)layer;
    job j = { l, run_->in[0], run_->out };
    tq_parallel_for(run_->pool, l->n_pieces, run_piece, &j);
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
