/* Constants by which blocks requantise their sums, and the proofs that they give the bits of
 *
 *   q = clip((s m + a) >> t, q_min, q_max).
 *
 * Words: (s m + a) >> t = hi32(s m' + a') >> (t' - 32), t' = max(t, 32), m' = m 2^(t' - t), a'
 * likewise, where s m' + a' fits 64 bits for every s that can occur; if m' does not fit 32, s m + a
 * is shifted instead. Sums that come multiplied by a power of two have as much larger a and t.
 * Codes that are not signed are found as q - 128: a' holds -128 2^(t') then, exactly, since the
 * shift is a floor.
 *
 * Floats: q = floor(M (s - b) + A), where M, A are f32, the sum of product and A is rounded down
 * once (a floor does not see that: all integers in reach are on the grid of f32), and b is the sum
 * whose code is the one in the middle. Both sides grow with s (or fall, where m < 0), so they are
 * equal everywhere if they are at both sides of every threshold s_k, the least sum whose code is k:
 *
 *   M (s_k - b) + A >= k > M (s_k - 1 - b) + A, or A in [max c_k, M + min c_k), c_k = k - M (s_k -
 * b)
 *
 * With s_k m + a = k 2^t + r_k, where r_k = (r_(k-1) - 2^t) mod m, and n the code in the middle,
 *
 *   c_k = n + (k - n)(1 - M 2^t / m) + M / m (b m + a - n 2^t - r_k)
 *
 * in which no sum is larger than its terms by much, so that f64 finds it within 2^-45. */
#include "kernels/int/layer_internal.h"
#include "kernels/int/strip_internal.h"

#include <math.h>

int64_t tq_requant_spec_entry(const tq_tensor *tensor, int64_t c)
{
    return tq_load_i64(tensor->data, tensor->type.dtype, tq_tensor_count(tensor) == 1 ? 0 : c);
}

bool tq_requant_spec_read(const tq_node *requant, tq_requant_spec *out)
{
    const tq_attrs *attrs = tq_node_attrs(requant);
    const tq_dtype dtype = tq_value_type(tq_node_output(requant, 0))->dtype;
    *out = (tq_requant_spec){
        .multiplier = tq_value_tensor(tq_node_input(requant, 1)),
        .addend = tq_value_tensor(tq_node_input(requant, 2)),
        .shift = tq_attr_int(attrs, "shift"),
        .q_min = tq_attr_int(attrs, "q_min"),
        .q_max = tq_attr_int(attrs, "q_max"),
        .y_signed = dtype == TQ_I8,
    };
    return out->multiplier && out->addend && (dtype == TQ_U8 || dtype == TQ_I8) &&
           (tq_attr_int(attrs, "axis") == 1 ||
            (tq_tensor_count(out->multiplier) == 1 && tq_tensor_count(out->addend) == 1));
}

int64_t tq_requant_spec_apply(const tq_requant_spec *spec, int64_t x, int64_t channel)
{
    const uint64_t product =
        (uint64_t)x * (uint64_t)tq_requant_spec_entry(spec->multiplier, channel);
    const int64_t sum = (int64_t)(product + (uint64_t)tq_requant_spec_entry(spec->addend, channel));
    return tq_clip_i64(sum >> spec->shift, spec->q_min, spec->q_max);
}

static __int128 magnitude(__int128 v)
{
    return v < 0 ? -v : v;
}

/** Sums are i32. */
static int64_t largest(const tq_sum_range *range)
{
    const int64_t most = range->most > -range->least ? range->most : -range->least;
    return tq_clip_i64(most, 0, INT64_C(1) << 31);
}

/** What is added to codes, so that those held as 128 become 0. */
static int64_t centre_of(const tq_requant_spec *spec)
{
    return spec->y_signed ? 0 : -128;
}

/** Does the whole 64-bit sum of a channel fit, where it comes multiplied by 2^up? */
static bool fits(const tq_requant_spec *spec, int64_t oc, const tq_sum_range *range, int up)
{
    const __int128 m = tq_requant_spec_entry(spec->multiplier, oc);
    const __int128 a = (__int128)tq_requant_spec_entry(spec->addend, oc) +
                       (__int128)centre_of(spec) * (INT64_C(1) << spec->shift);
    return m >= INT32_MIN && m <= INT32_MAX &&
           magnitude(m) * largest(range) + magnitude(a) <= INT64_MAX >> up;
}

bool tq_requant_exact_find(const tq_requant_spec *spec, int64_t n_channels,
                           const tq_sum_range *ranges, int sum_up, tq_requant_exact *out)
{
    const int64_t moved = 128 + centre_of(spec), shift = spec->shift + sum_up;
    if (spec->q_min + moved < 0 || spec->q_max + moved > 255)
        return false;
    *out = (tq_requant_exact){
        .common = { (uint8_t)(spec->q_min + moved), (uint8_t)(spec->q_max + moved) },
        .sum_up = sum_up,
        .up = shift < 32 ? (int)(32 - shift) : 0,
    };
    if (tq_cpu_flags() & TQ_CPU_AVX512F)
        for (out->floats = tq_extremes_variants;
             (out->floats->needs & tq_cpu_flags()) != out->floats->needs;)
            out->floats++;
    bool is_large = false;
    for (int64_t c = 0; c < n_channels; c++) {
        const int64_t m = tq_requant_spec_entry(spec->multiplier, c);
        if (!fits(spec, c, &ranges[c], sum_up + out->up) ||
            (sum_up > 0 && largest(&ranges[c]) > INT32_MAX >> sum_up))
            return false;
        is_large = is_large || m < INT32_MIN >> out->up || m > INT32_MAX >> out->up;
    }
    if (is_large) { /* for the multiplier */
        out->up_product = out->up;
        out->up = 0;
    }
    return true;
}

/* ---- floats --------------------------------------------------------------------------------- */

/* One channel: codes clip((s m + a) >> t) of sums least .. most, m > 0. */
typedef struct channel {
    int64_t m, a, t, q_min, q_max, least, most;
    const tq_extremes_variant *variant;
} channel;

typedef struct float_constants {
    float scale, offset;
    int64_t base;
} float_constants;

static int64_t code_of(const channel *c, int64_t sum)
{
    return tq_clip_i64((sum * c->m + c->a) >> c->t, c->q_min, c->q_max);
}

/** The least sum whose code reaches k, and its residue s m + a - k 2^t. */
static int64_t threshold(const channel *c, int64_t k, int32_t *out_residue)
{
    const int64_t wanted = k * (INT64_C(1) << c->t) - c->a;
    int64_t sum = wanted / c->m, residue = sum * c->m - wanted;
    if (residue < 0) {
        sum++;
        residue += c->m;
    }
    *out_residue = (int32_t)residue;
    return sum;
}

static void find_extremes(const tq_residues *r, double *out_least, double *out_most)
{
    int32_t residue = r->first;
    double least = INFINITY, most = -INFINITY;
    for (int32_t k = r->begin; k <= r->last; k++) {
        const double v = (double)k * r->tilt + r->rate * (double)(r->middle - residue);
        least = v < least ? v : least;
        most = v > most ? v : most;
        residue -= r->step;
        residue += residue >> 31 & r->m;
    }
    *out_least = least;
    *out_most = most;
}

const tq_extremes_variant tq_extremes_variants[] = {
    { "avx512", TQ_CPU_AVX512F | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ, tq_extremes_find_avx512 },
    { "reference", 0, find_extremes },
    { 0 },
};

/** The offset that goes with this scale, if there is one; `whole`: the code in the middle, and what
 * is added to codes. */
static bool find_offset(const channel *c, tq_residues *r, int64_t whole, float scale,
                        float *out_offset)
{
    static const double error = 0x1p-44;
    double least, most;
    r->tilt = 1.0 - ldexp((double)scale, (int)c->t) / (double)c->m;
    r->rate = (double)scale / (double)c->m;
    c->variant->find(r, &least, &most);
    const double end = least + (double)scale;
    *out_offset = (float)((double)whole + 0.5 * (most + end));
    const double offset = (double)*out_offset - (double)whole;
    return offset - most >= error && end - offset >= error;
}

/** Floats that give code + centre for all sums of a channel. */
static bool find_floats(const channel *c, int64_t centre, float_constants *out)
{
    enum { EXACT = 1 << 24 };
    const int64_t low = code_of(c, c->least), high = code_of(c, c->most);
    if (low == high) { /* every sum has that code */
        *out = (float_constants){ .offset = (float)(low + centre), .base = c->least };
        return true;
    }
    const int64_t first = low + 1, middle = first + (high - first) / 2;
    const float nearest = ldexpf((float)c->m, -(int)c->t);
    const float scales[] = { nearest, nextafterf(nearest, INFINITY), nextafterf(nearest, 0.0f) };
    tq_residues r = { .m = (int32_t)c->m,
                      .step = (int32_t)((INT64_C(1) << c->t) % c->m),
                      .begin = (int32_t)(first - middle),
                      .last = (int32_t)(high - middle) };
    out->base = threshold(c, middle, &r.middle);
    const int64_t least = threshold(c, first, &r.first);
    const double above = (double)(high - middle) / (double)nearest; /* and up to 1 more */
    if (above > EXACT - 2 || out->base - least >= EXACT ||
        (double)nearest * (double)(c->most - c->least) > 0x1p30)
        return false;
    for (int i = 0; i < TQ_COUNT(scales); i++)
        if (find_offset(c, &r, middle + centre, scales[i], &out->offset)) {
            out->scale = scales[i];
            return true;
        }
    return false;
}

/** Negative multipliers are positive ones of the sums turned around. */
static bool find_channel(const tq_requant_spec *spec, const tq_requant_exact *exact, int64_t oc,
                         const tq_sum_range *range, float_constants *out)
{
    const int64_t m = tq_requant_spec_entry(spec->multiplier, oc);
    const int64_t a = tq_requant_spec_entry(spec->addend, oc);
    const bool is_turned = m < 0;
    const channel c = { .m = is_turned ? -m : m,
                        .a = a,
                        .t = spec->shift,
                        .q_min = spec->q_min,
                        .q_max = spec->q_max,
                        .variant = exact->floats,
                        .least = is_turned ? -range->most : range->least,
                        .most = is_turned ? -range->least : range->most };
    *out = (float_constants){ 0 };
    if (!exact->floats || c.m > INT32_MAX || c.t > 52 || a > INT64_MAX / 4 || a < INT64_MIN / 4 ||
        range->most - range->least > INT32_MAX >> exact->sum_up || range->most > INT32_MAX ||
        range->least < INT32_MIN)
        return false;
    const bool found = find_floats(&c, centre_of(spec), out);
    if (!found)
        *out = (float_constants){ 0 };
    if (is_turned) {
        out->scale = -out->scale;
        out->base = -out->base;
    }
    return found;
}

void tq_block_constants_set(tq_block_constants *block, int place, const tq_requant_spec *spec,
                            const tq_requant_exact *exact, int64_t oc, const tq_sum_range *range)
{
    float_constants floats;
    if (!find_channel(spec, exact, oc, range, &floats))
        block->needs_words |= 1u << (place / TQ_VECTOR);
    const uint64_t m = (uint64_t)tq_requant_spec_entry(spec->multiplier, oc);
    const uint64_t a = (uint64_t)tq_requant_spec_entry(spec->addend, oc) +
                       ((uint64_t)centre_of(spec) << spec->shift) + m * (uint64_t)floats.base;
    const uint64_t bias = (uint64_t)(range->bias - floats.base) << exact->sum_up;
    block->bias[place] = (int32_t)(uint32_t)bias;
    block->multiplier[place] = (int32_t)(uint32_t)(m << exact->up);
    block->addend[tq_addend_place(place)] = (int64_t)(a << (exact->sum_up + exact->up));
    block->scale[place] = ldexpf(floats.scale, -exact->sum_up);
    block->offset[place] = floats.offset;
    block->up = exact->up_product;
    block->shift = (int)spec->shift + exact->sum_up + exact->up + exact->up_product - 32;
}
