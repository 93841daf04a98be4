/* Learned step size quantisation: the scale is a parameter trained with the weights.
 * Source: Esser et al., ICLR 2020, arXiv:1902.08153, eqs. 1-3. The zero point is 0.
 *
 *   y = scale * round(clip(v, q_min, q_max)),  v = x / scale
 *   dx = dy where q_min < v < q_max, else 0
 *   d scale = sum of dy * (round(v) - v inside, q_min below, q_max above) / sqrt(n * q_max) */
#include "quant/quant_internal.h"

#include <math.h>

enum { SCALE };

static tq_status init(const tq_range *range, double a, double b, float *params)
{
    if (range->free_offset)
        return tq_fail(TQ_ERR_VALUE,
                       "lsq has no zero point, range '%s' needs one; say signed or "
                       "offset",
                       tq_range_text(range).s);
    return tq_grid_scale_pinned(range, a, b, &params[SCALE]);
}

static void grid(const tq_range *range, tq_rounding rounding, const float *params,
                 tq_grid *out_grid)
{
    *out_grid = (tq_grid){ .scale = (float)tq_scale_guard((double)params[SCALE]),
                           .q_min = range->q_min,
                           .q_max = tq_range_q_max(range),
                           .step = range->step,
                           .rounding = rounding };
}

static unsigned trainable(const tq_range *range)
{
    (void)range;
    return 1u << SCALE;
}

static void forward(const tq_grid *grid_, const float *params, int64_t n, const float *x, float *y,
                    uint64_t seed)
{
    (void)params;
    tq_grid_snap(grid_, n, x, y, seed);
}

/* Summed in double, in index order: the same for any number of threads. */
static void backward(const tq_grid *grid_, const tq_range *range, const float *params, int64_t n,
                     const float *x, const float *dy, float *dx, double *dparams)
{
    (void)params;
    const float lo = tq_grid_level_lo(grid_), hi = tq_grid_level_hi(grid_);
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] / grid_->scale;
        const bool inside = v > lo && v < hi;
        const double slope =
            inside ? tq_grid_level(grid_, x[i], 0.5) - (double)v : (double)tq_clipf(v, lo, hi);
        dx[i] = inside ? dy[i] : 0.0f;
        sum += (double)dy[i] * slope;
    }
    const double q_most = fmax((double)tq_range_q_max(range), 1.0);
    if (n > 0)
        dparams[SCALE] += sum / sqrt((double)n * q_most);
}

const tq_quantizer tq_quantizer_lsq = {
    .entry = { .name = "lsq", .brief = "learned step size", .source = "arXiv:1902.08153" },
    .n_params = 1,
    .params = { "scale" },
    .init = init,
    .grid = grid,
    .trainable = trainable,
    .forward = forward,
    .backward = backward,
};
