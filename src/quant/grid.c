/* Grids: scale and zero point from a real range [a, b], codes of values, values of codes.
 *
 *   x ~ scale * (q - zero_point)
 *
 * Pinned offset (QuantLib's get_scale; m = q_min, M = q_max, zero_point = 0): the range that covers
 * [a, b] on the side or sides where the codes have the sign of the data,
 *   max(a / m, b / M),  a / m  or  b / M;   max(|a|, |b|) / max(|m|, |M|) where no sign fits.
 * Free offset: scale = (b - a) / (n_levels - 1), zero_point = q_min - a / scale rounded.
 * (QuantLib's get_zero_scale has the factor of this formula upside down.) */
#include "quant/quant_internal.h"

#include <math.h>

tq_status tq_grid_check_ends(double a, double b)
{
    if (!isfinite(a) || !isfinite(b) || a > b)
        return tq_fail(TQ_ERR_VALUE, "real range is [%g, %g]; expected two finite numbers in order",
                       a, b);
    return TQ_OK;
}

double tq_grid_scale_from_ends(const tq_range *range, double a, double b)
{
    const double m = (double)range->q_min, M = (double)tq_range_q_max(range);
    double scale;
    if (a < 0.0 && b > 0.0 && m < 0.0 && M > 0.0)
        scale = fmax(a / m, b / M);
    else if (a < 0.0 && m < 0.0 && (b <= 0.0 || M <= 0.0))
        scale = a / m;
    else if (b > 0.0 && M > 0.0)
        scale = b / M;
    else
        scale = fmax(fabs(a), fabs(b)) / fmax(fabs(m), fabs(M));
    return tq_scale_guard(scale);
}

tq_status tq_grid_scale_pinned(const tq_range *range, double a, double b, float *out_scale)
{
    TQ_TRY(tq_grid_check_ends(a, b));
    const float scale = (float)tq_grid_scale_from_ends(range, a, b);
    if (!isfinite(scale))
        return tq_fail(TQ_ERR_VALUE, "real range [%g, %g] is too wide for a float scale", a, b);
    *out_scale = scale;
    return TQ_OK;
}

tq_status tq_grid_scale_free(const tq_range *range, double a, double b, float *out_scale,
                             int32_t *out_zero_point)
{
    TQ_TRY(tq_grid_check_ends(a, b));
    a = fmin(a, 0.0);
    b = fmax(b, 0.0);
    const double n_steps = (double)(range->n_levels - 1);
    const double exact = tq_scale_guard((b - a) / (n_steps * range->step));
    const float scale = (float)exact;
    if (!isfinite(scale))
        return tq_fail(TQ_ERR_VALUE, "real range [%g, %g] is too wide for a float scale", a, b);
    const double zero = (double)range->q_min + floor(-a / exact + 0.5);
    const double zero_point = fmin(zero, (double)tq_range_q_max(range));
    if (zero_point > INT32_MAX || zero_point < INT32_MIN)
        return tq_fail(TQ_ERR_VALUE, "zero point %.0f is beyond 32 bits", zero_point);
    *out_scale = scale;
    *out_zero_point = (int32_t)zero_point;
    return TQ_OK;
}

/** QuantLib's floor: counted from the lower end, and a quarter of a step of grace at the upper one,
 *  so that the largest value is not floored away. Float arithmetic in its order. */
static double level_floor(const tq_grid *grid, float x)
{
    const float lo = tq_grid_lo(grid), hi = tq_grid_hi(grid), step = (float)grid->step;
    const float above = tq_clipf(x - lo, 0.0f, (hi + grid->scale / 4.0f) - lo);
    const double i = floor((double)(above / (step * grid->scale)));
    const double last = (double)((grid->q_max - grid->q_min) / grid->step);
    return (double)(grid->q_min - grid->zero_point) + grid->step * (i > last ? last : i);
}

double tq_grid_level(const tq_grid *grid, float x, double u)
{
    if (grid->rounding == TQ_ROUND_FLOOR)
        return level_floor(grid, x);
    const double lo = (double)(grid->q_min - grid->zero_point);
    const double hi = (double)(grid->q_max - grid->zero_point);
    const double v = (double)(x / grid->scale), clipped = v < lo ? lo : v > hi ? hi : v;
    if (grid->step == 1)
        return tq_round(clipped, grid->rounding, u) + 0.0;
    return lo + grid->step * tq_round((clipped - lo) / grid->step, grid->rounding, u);
}

/** 2^round(log2 s) by the exponent alone: s = m 2^e with m in [1/2, 1) is nearer to 2^e than to
 *  2^(e-1), in the logarithm, from m = 1/sqrt 2 on. */
static float nearest_power_of_two(float s)
{
    int e;
    const double m = frexp((double)s, &e);
    const int nearest = m >= 0.70710678118654752440 ? e : e - 1;
    return (float)ldexp(1.0, nearest > 127 ? 127 : nearest);
}

void tq_quantizer_grid(const tq_quantizer *quantizer, const tq_range *range, tq_rounding rounding,
                       const float *params, tq_grid *out_grid)
{
    quantizer->grid(range, rounding, params, out_grid);
    const float scale = out_grid->scale;
    if (!range->power_of_two || !isfinite(scale) || !(scale > 0.0f))
        return;
    out_grid->scale = nearest_power_of_two(scale);
    if (out_grid->zero_point == 0)
        return;
    const double below = (double)scale * (double)(out_grid->zero_point - range->q_min);
    const double zero_point = (double)range->q_min + floor(below / (double)out_grid->scale + 0.5);
    out_grid->zero_point =
        (int32_t)fmin(fmax(zero_point, (double)range->q_min), (double)tq_range_q_max(range));
}

int64_t tq_grid_quantize(const tq_grid *grid, float x)
{
    const double level = tq_grid_level(grid, isnan(x) ? 0.0f : x, 0.5);
    return isnan(level) ? grid->q_min : (int64_t)level + grid->zero_point;
}

float tq_grid_dequantize(const tq_grid *grid, int64_t q)
{
    return grid->scale * (float)(q - grid->zero_point);
}
