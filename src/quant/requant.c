/* Requantisation parameters: integers mul, add, shift such that
 *
 *   (x * mul[c] + add[c]) >> shift  =  round(real_scale[c] * x + real_offset[c])
 *   mul = round(real_scale * 2^shift),   add = round(real_offset * 2^shift) + 2^(shift - 1)
 *
 * >> rounds down; the half in `add` makes it half-up (no half for floor). The largest shift the
 * limits allow is the most exact one: what a smaller shift represents exactly a larger does too,
 * and the error of mul and add is at most 2^-(shift + 1) per unit of x. Scaling a double by 2^shift
 * is exact, the rest is integer arithmetic in 128 bits. */
#include <truq/quant.h>

#include <math.h>

typedef __int128 i128;

/** What tq_requant_find was asked. */
typedef struct request {
    const tq_requant_limits *limits;
    int n;
    const double *scale, *offset;
    int64_t lo, hi;
    tq_rounding rounding;
} request;

static bool fits(i128 v, int bits)
{
    const i128 limit = (i128)1 << (bits - 1);
    return v >= -limit && v < limit;
}

/** v * 2^shift as an integer; false if it needs more than 63 bits. */
static bool scale_up(double v, int shift, tq_rounding rounding, int64_t *out)
{
    const double scaled = tq_round(ldexp(v, shift), rounding, 0.0);
    if (!(fabs(scaled) < 0x1p62))
        return false;
    *out = (int64_t)scaled;
    return true;
}

/** mul and add of channel c at this shift; false if a limit is exceeded. */
static bool try_channel(const request *r, int c, int shift, int64_t *out_mul, int64_t *out_add)
{
    const tq_requant_limits *limits = r->limits;
    const tq_rounding how = limits->floor_mul_add ? TQ_ROUND_FLOOR : TQ_ROUND_HALF_UP;
    const int64_t half =
        r->rounding == TQ_ROUND_FLOOR || shift == 0 ? 0 : INT64_C(1) << (shift - 1);
    const bool always_0 = r->lo == 0 && r->hi == 0; /* a dead input: any multiplier will do */
    int64_t mul, add;
    if (!scale_up(always_0 && !limits->power_of_two ? 0.0 : r->scale[c], shift, how, &mul) ||
        !scale_up(r->offset[c], shift, how, &add))
        return false;
    add += half;
    if (limits->f32_exact) {
        if (!fits(mul, 25))
            return false;
        add = (int64_t)(float)add;
    }
    const i128 at_lo = (i128)r->lo * mul, at_hi = (i128)r->hi * mul;
    const int bits = limits->product_bits;
    *out_mul = mul;
    *out_add = add;
    return fits(mul, limits->mul_bits) && fits(add, limits->add_bits) && fits(at_lo, bits) &&
           fits(at_hi, bits) && fits(at_lo + add, bits) && fits(at_hi + add, bits);
}

/** Fills out at this shift; the first channel that does not fit, or -1. */
static int try_shift(const request *r, int shift, tq_requant *out)
{
    out->shift = shift;
    for (int c = 0; c < r->n; c++)
        if (!try_channel(r, c, shift, &out->mul[c], &out->add[c]))
            return c;
    return -1;
}

static tq_status check_request(const request *r)
{
    const tq_requant_limits *limits = r->limits;
    if (r->n < 1 || r->lo > r->hi)
        return tq_fail(TQ_ERR_VALUE, "requantisation of %d channels of codes in [%lld, %lld]", r->n,
                       (long long)r->lo, (long long)r->hi);
    const int widths[] = { limits->mul_bits, limits->add_bits, limits->product_bits };
    for (int i = 0; i < TQ_COUNT(widths); i++)
        if (widths[i] < 2 || widths[i] > 64)
            return tq_fail(TQ_ERR_VALUE, "requantisation width of %d bits; expected 2 to 64",
                           widths[i]);
    if (limits->shift_min < 0 || limits->shift_max > 62 || limits->shift_min > limits->shift_max ||
        limits->fixed_shift > 62)
        return tq_fail(TQ_ERR_VALUE, "requantisation shifts %d to %d (fixed %d); expected 0 to 62",
                       limits->shift_min, limits->shift_max, limits->fixed_shift);
    for (int c = 0; c < r->n; c++)
        if (!isfinite(r->scale[c]) || !isfinite(r->offset[c]))
            return tq_fail(TQ_ERR_VALUE, "channel %d has scale %g and offset %g; expected numbers",
                           c, r->scale[c], r->offset[c]);
    if (r->rounding != TQ_ROUND_HALF_UP && r->rounding != TQ_ROUND_FLOOR)
        return tq_fail(
            TQ_ERR_CHECK,
            "an add and a shift cannot round '%s'; 'truq f2t --rounding half-up' rounds halves up",
            tq_rounding_name(r->rounding));
    return TQ_OK;
}

/** Targets with one multiplier need one scale. */
static tq_status check_one_scale(const request *r)
{
    for (int c = 1; c < r->n; c++)
        if (r->scale[c] != r->scale[0])
            return tq_fail(TQ_ERR_CHECK,
                           "the target has one multiplier for all channels, but channel %d needs "
                           "%.9g and channel 0 %.9g; quantise weights per tensor",
                           c, r->scale[c], r->scale[0]);
    return TQ_OK;
}

/** The shift of a target without multipliers: all scales are the same 2^-shift. */
static tq_status find_power_of_two(const request *r, int *out_shift)
{
    for (int c = 0; c < r->n; c++) {
        int exponent;
        const bool power = frexp(r->scale[c], &exponent) == 0.5;
        const int shift = 1 - exponent;
        if (!power || shift < r->limits->shift_min || shift > r->limits->shift_max)
            return tq_fail(TQ_ERR_CHECK,
                           "the target has no multiplier: channel %d needs %.9g, expected 2^-%d to "
                           "2^-%d; use power-of-two scales",
                           c, r->scale[c], r->limits->shift_min, r->limits->shift_max);
        *out_shift = shift;
    }
    return check_one_scale(r);
}

tq_status tq_requant_find(const tq_requant_limits *limits, int n, const double *real_scale,
                          const double *real_offset, int64_t lo, int64_t hi, tq_rounding rounding,
                          tq_arena *arena, tq_requant *out)
{
    const request r = { limits, n, real_scale, real_offset, lo, hi, rounding };
    TQ_TRY(check_request(&r));
    int most = limits->shift_max, least = limits->shift_min;
    if (limits->fixed_shift >= 0)
        most = least = limits->fixed_shift;
    if (limits->per_tensor)
        TQ_TRY(check_one_scale(&r));
    if (limits->power_of_two) {
        int shift = 0;
        TQ_TRY(find_power_of_two(&r, &shift));
        if (shift < least || shift > most)
            return tq_fail(TQ_ERR_CHECK, "the scale is 2^-%d, but the shift is fixed at %d", shift,
                           limits->fixed_shift);
        most = least = shift;
    }
    *out = (tq_requant){ .n = n,
                         .mul = TQ_NEW_N(arena, int64_t, n),
                         .add = TQ_NEW_N(arena, int64_t, n) };
    int c = 0;
    for (int shift = most; shift >= least; shift--) {
        c = try_shift(&r, shift, out);
        if (c < 0)
            return TQ_OK;
    }
    return tq_fail(
        TQ_ERR_CHECK,
        "channel %d: y = %.9g x + %.9g for x in [%lld, %lld] fits no shift from %d to %d "
        "with %d-bit multiplier, %d-bit addend and %d-bit product",
        c, real_scale[c], real_offset[c], (long long)lo, (long long)hi, least, most,
        limits->mul_bits, limits->add_bits, limits->product_bits);
}
