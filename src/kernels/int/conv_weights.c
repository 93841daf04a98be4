/* Weights of fused convolutions as strips read them, with the constants of their blocks.
 *
 * The taps of a window are runs of consecutive bytes of x: a kernel row, or one tap of one group
 * where taps lie apart. With x held as u8 and zero point z
 *
 *   sum (x - z) w + b = sum x w + (b - z sum w)
 *
 * modulo 2^32, and what is padding holds z. Weights that fit 4 or 2 bits are held so in whole
 * blocks of 64 channels, where that is not slower: shorter sums than PACKED_FROM would wait for the
 * unpacking longer than for bytes from the nearest cache. */
#include "base/base.h"
#include "kernels/int/conv_internal.h"
#include "kernels/int/layer_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PACKED_FROM = 192 /* taps of a channel */ };

tq_sum_range tq_conv_spec_range(const tq_conv_spec *spec, int64_t oc, int64_t positive,
                                int64_t negative)
{
    const int64_t zero = spec->x_zero + (spec->x_signed ? 128 : 0);
    const int64_t bias = (spec->bias ? spec->bias[oc] : 0) - zero * (positive + negative);
    return (tq_sum_range){ bias, bias + 255 * negative, bias + 255 * positive };
}

/* Weights on their way. */
typedef struct packing {
    const tq_conv_spec *spec;
    tq_conv_weights *w;
    int64_t n_taps;                       /* of a channel, zeros between and after runs included */
    int8_t *taps;                         /* [oc][n_runs][n_groups][4] */
    tq_sum_range *ranges;                 /* [oc] */
    int bits;                             /* that all weights fit: 8, 4 or 2 */
    tq_requant_exact exact, exact_packed; /* for 8 bits, for `bits` */
} packing;

/* ---- order and sums ----------------------------------------------------------------------- */

/** All taps of a channel in the order of runs. */
static void order_taps(const packing *p, int64_t oc)
{
    const tq_conv_spec *spec = p->spec;
    const bool by_tap = p->w->by_tap;
    const int64_t kernel = spec->window.kernel[2], run = p->w->n_groups * TQ_GROUP;
    const int64_t pixel = spec->c, n_inputs = spec->c / spec->groups;
    for (int64_t kh = 0; kh < spec->window.kernel[1]; kh++)
        for (int64_t kw = 0; kw < kernel; kw++) {
            const int8_t *from = spec->w + oc * spec->w_oc + kh * spec->w_kh + kw * spec->w_kw;
            int8_t *to = p->taps + oc * p->n_taps +
                         (by_tap ? (kh * kernel + kw) * run : kh * run + kw * pixel);
            for (int64_t c = 0; c < n_inputs; c++)
                to[c] = from[c * spec->w_c];
        }
}

/** The sums of a channel; widens *least and *most to its weights. */
static tq_sum_range sum_taps(const packing *p, int64_t oc, int *least, int *most)
{
    enum { AT_ONCE = 128 }; /* whose sums fit 16 bits */
    const int8_t *w = p->taps + oc * p->n_taps;
    int64_t positive = 0, negative = 0;
    int low = *least, high = *most;
    for (int64_t i = 0; i < p->n_taps; i += AT_ONCE) {
        const int64_t end = i + AT_ONCE < p->n_taps ? i + AT_ONCE : p->n_taps;
        int16_t sum = 0, magnitude = 0;
        int8_t lo = 0, hi = 0;
        for (int64_t k = i; k < end; k++) {
            sum = (int16_t)(sum + w[k]);
            lo = w[k] < lo ? w[k] : lo;
            hi = w[k] > hi ? w[k] : hi;
            magnitude = (int16_t)(magnitude + (w[k] < 0 ? -w[k] : w[k]));
        }
        positive += (magnitude + sum) / 2;
        negative -= (magnitude - sum) / 2;
        low = lo < low ? lo : low;
        high = hi > high ? hi : high;
    }
    *least = low;
    *most = high;
    return tq_conv_spec_range(p->spec, oc, positive, negative);
}

/** The fewest bits that hold the weights, where runs are of whole steps of four groups. */
static int find_bits(const packing *p, const tq_strip_variant *variant, int least, int most)
{
    if (!variant->unpacks || p->n_taps < PACKED_FROM)
        return 8;
    for (int bits = 2; bits < 8; bits *= 2)
        if (least >= -(1 << (bits - 1)) && most < 1 << (bits - 1) && p->w->n_groups % 4 == 0)
            return bits;
    return 8;
}

/* ---- blocks ------------------------------------------------------------------------------- */

/** Within groups. */
static tq_status cut_blocks(const packing *p)
{
    const tq_conv_spec *spec = p->spec;
    tq_conv_weights *w = p->w;
    const int64_t each = spec->oc / spec->groups;
    int64_t n = 0;
    w->n_blocks = spec->groups * ((each + TQ_BLOCK_CHANNELS - 1) / TQ_BLOCK_CHANNELS);
    w->blocks = tq_allocate((size_t)w->n_blocks * sizeof *w->blocks);
    if (!w->blocks)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
    for (int64_t g = 0; g < spec->groups; g++)
        for (int64_t first = 0; first < each; first += TQ_BLOCK_CHANNELS) {
            tq_conv_block *b = &w->blocks[n++];
            b->group = g;
            b->first = g * each + first;
            b->n_channels = (int)tq_clip_i64(each - first, 1, TQ_BLOCK_CHANNELS);
            b->n_vectors = (b->n_channels + TQ_VECTOR - 1) / TQ_VECTOR;
            b->bits = b->n_vectors == TQ_BLOCK_VECTORS ? p->bits : 8;
        }
    return TQ_OK;
}

static size_t block_size(const tq_conv_weights *w, const tq_conv_block *b)
{
    return (size_t)(w->n_runs * w->n_groups * b->n_vectors) * TQ_VECTOR * TQ_GROUP *
           (size_t)b->bits / 8;
}

/** Constants first, then weights. */
static tq_status place_blocks(tq_conv_weights *w)
{
    const size_t constants = (size_t)w->n_blocks * sizeof(tq_block_constants);
    for (int64_t i = 0; i < w->n_blocks; i++)
        w->size += block_size(w, &w->blocks[i]);
    TQ_TRY(tq_buffer_create(constants + w->size, &w->packed));
    tq_block_constants *c = tq_buffer_data(w->packed);
    int8_t *at = (int8_t *)(c + w->n_blocks);
    for (int64_t i = 0; i < w->n_blocks; i++) {
        w->blocks[i].constants = &c[i];
        w->blocks[i].w = at;
        at += block_size(w, &w->blocks[i]);
    }
    return TQ_OK;
}

/** Sixteen channels, group after group. */
static void pack_vector(const packing *p, const int8_t *const taps[TQ_VECTOR], int64_t step,
                        int8_t *to)
{
    for (int64_t g = 0; g < p->n_taps; g += TQ_GROUP, to += step)
        for (int i = 0; i < TQ_VECTOR; i++)
            memcpy(to + TQ_GROUP * i, taps[i] + g, TQ_GROUP);
}

/** The same as fields of bytes: those of 8 / bits groups that follow each other. */
static void pack_fields(const packing *p, const int8_t *const taps[TQ_VECTOR], int64_t step,
                        int8_t *to)
{
    const int bits = p->bits, n_fields = 8 / bits;
    const unsigned mask = (1u << bits) - 1;
    for (int64_t g = 0; g < p->n_taps; g += TQ_GROUP * n_fields, to += step)
        for (int i = 0; i < TQ_VECTOR * TQ_GROUP; i++) {
            const int8_t *from = taps[i / TQ_GROUP] + g + i % TQ_GROUP;
            unsigned byte = 0;
            for (int f = 0; f < n_fields; f++)
                byte |= ((uint8_t)from[f * TQ_GROUP] & mask) << (bits * f);
            to[i] = (int8_t)byte;
        }
}

static void pack_block(const packing *p, const tq_conv_block *b, const int8_t *nothing)
{
    const int64_t step = (int64_t)b->n_vectors * TQ_VECTOR * TQ_GROUP;
    for (int j = 0; j < b->n_vectors; j++) {
        const int8_t *taps[TQ_VECTOR];
        for (int i = 0; i < TQ_VECTOR; i++) {
            const int c = tq_block_channel(b->n_vectors, TQ_VECTOR * j + i);
            taps[i] = c < b->n_channels ? p->taps + (b->first + c) * p->n_taps : nothing;
        }
        int8_t *to = b->w + TQ_VECTOR * TQ_GROUP * j;
        if (b->bits == 8)
            pack_vector(p, taps, step, to);
        else
            pack_fields(p, taps, step, to);
    }
}

/** Places of channels that do not exist keep zeros. */
static void fill_constants(const packing *p, const tq_conv_block *b)
{
    const tq_requant_exact *exact = b->bits == 8 ? &p->exact : &p->exact_packed;
    for (int i = 0; i < b->n_vectors * TQ_VECTOR; i++) {
        const int c = tq_block_channel(b->n_vectors, i);
        const tq_sum_range *range = &p->ranges[b->first + c];
        if (c < b->n_channels && p->spec->requant)
            tq_block_constants_set(b->constants, i, p->spec->requant, exact, b->first + c, range);
        else if (c < b->n_channels)
            b->constants->bias[i] = (int32_t)(uint32_t)((uint64_t)range->bias << (8 - b->bits));
    }
}

/* ---- the whole ---------------------------------------------------------------------------- */

/** Constants for weights of so many bits exist. */
static bool find_exact(const packing *p, int bits, tq_requant_exact *out)
{
    const tq_conv_spec *spec = p->spec;
    if (spec->requant)
        return tq_requant_exact_find(spec->requant, spec->oc, p->ranges, 8 - bits, out);
    bool fits = true;
    for (int64_t oc = 0; bits < 8 && oc < spec->oc; oc++)
        fits = fits && p->ranges[oc].most <= INT32_MAX >> (8 - bits) &&
               p->ranges[oc].least >= INT32_MIN >> (8 - bits);
    return fits;
}

static tq_status pack(packing *p, const tq_strip_variant *variant)
{
    int least = 0, most = 0;
    const int8_t *nothing = p->taps + p->spec->oc * p->n_taps;
    for (int64_t oc = 0; oc < p->spec->oc; oc++) {
        order_taps(p, oc);
        p->ranges[oc] = sum_taps(p, oc, &least, &most);
    }
    p->bits = find_bits(p, variant, least, most);
    if (!find_exact(p, 8, &p->exact))
        return tq_fail(TQ_ERR_UNSUPPORTED, "requantisation needs more than high words");
    if (!find_exact(p, p->bits, &p->exact_packed))
        p->bits = 8;
    p->w->requant = p->exact.common;
    TQ_TRY(cut_blocks(p));
    TQ_TRY(place_blocks(p->w));
    for (int64_t i = 0; i < p->w->n_blocks; i++) {
        pack_block(p, &p->w->blocks[i], nothing);
        fill_constants(p, &p->w->blocks[i]);
    }
    return TQ_OK;
}

/** With the taps of one more channel, all zeros. */
static tq_status make(packing *p, const tq_strip_variant *variant)
{
    p->n_taps = p->w->n_runs * p->w->n_groups * TQ_GROUP;
    p->taps = tq_allocate((size_t)((p->spec->oc + 1) * p->n_taps));
    p->ranges = tq_allocate((size_t)p->spec->oc * sizeof *p->ranges);
    const tq_status status =
        p->taps && p->ranges ? pack(p, variant) : tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
    free(p->taps);
    free(p->ranges);
    return status;
}

tq_status tq_conv_weights_make(const tq_conv_spec *spec, tq_conv_weights *out_weights,
                               const tq_strip_variant **out_variant)
{
    const tq_window *window = &spec->window;
    const bool by_tap = spec->groups > 1 || (window->dilation[2] > 1 && window->kernel[2] > 1);
    const int64_t bytes = by_tap ? spec->c / spec->groups : window->kernel[2] * spec->c;
    *out_weights = (tq_conv_weights){
        .by_tap = by_tap,
        .n_runs = window->kernel[1] * (by_tap ? window->kernel[2] : 1),
        .n_groups = (bytes + TQ_GROUP - 1) / TQ_GROUP,
    };
    *out_variant = tq_strip_best(out_weights->n_runs, out_weights->n_groups);
    packing p = { .spec = spec, .w = out_weights };
    const tq_status status = make(&p, *out_variant);
    if (status)
        tq_conv_weights_reset(out_weights);
    return status;
}

void tq_conv_weights_reset(tq_conv_weights *weights)
{
    tq_buffer_release(weights->packed);
    free(weights->blocks);
    *weights = (tq_conv_weights){ 0 };
}
