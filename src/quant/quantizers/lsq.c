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

/** dx, and the terms of d scale without the damping, of one block. */
static void backward_block(const tq_grid *grid_, int64_t n, const float *x, const float *dy,
                           float *dx, float *terms)
{
    const float scale = grid_->scale, lo = tq_grid_level_lo(grid_), hi = tq_grid_level_hi(grid_);
    float y[TQ_BLOCK];
    tq_grid_snap(grid_, n, x, y, 0);
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] / scale, rounded = y[i] / scale, g = dy[i];
        const bool inside = (v > lo) & (v < hi);
        terms[i] = g * (inside ? rounded - v : tq_clipf(v, lo, hi));
        dx[i] = inside ? g : 0.0f;
    }
}

static double damping(const tq_range *range, int64_t n)
{
    return 1.0 / sqrt((double)n * fmax((double)tq_range_q_max(range), 1.0));
}

/* The damping counts the elements of one call: FakeQuantizeGrad calls once a channel, or once a
 * shard of a fixed number of them. */
static void backward(const tq_grid *grid_, const tq_range *range, const float *params, int64_t n,
                     const float *x, const float *dy, float *dx, double *dparams)
{
    (void)params;
    double lanes[TQ_N_LANES] = { 0 };
    float terms[TQ_BLOCK];
    for (int64_t i = 0; i < n; i += TQ_BLOCK) {
        const int64_t length = n - i < TQ_BLOCK ? n - i : TQ_BLOCK;
        backward_block(grid_, length, x + i, dy + i, dx + i, terms);
        tq_lanes_add(lanes, length, terms);
    }
    if (n > 0)
        dparams[SCALE] += tq_lanes_sum(lanes) * damping(range, n);
}

static bool plan_gradient(const tq_grid *grid_, const tq_range *range, const float *params,
                          tq_gradient_plan *out_plan)
{
    (void)range, (void)params;
    *out_plan = (tq_gradient_plan){ .is_step = true,
                                    .lo = tq_grid_level_lo(grid_),
                                    .hi = tq_grid_level_hi(grid_) };
    return grid_->rounding == TQ_ROUND_HALF_UP && grid_->step == 1;
}

static void end_gradient(const tq_range *range, const float *params, int64_t n_all,
                         const double sums[2], double *dparams)
{
    (void)params;
    dparams[SCALE] += sums[0] * damping(range, n_all);
}

const tq_quantizer tq_quantizer_lsq = {
    .entry = { .name = "lsq", .brief = "learned step size", .source = "arXiv:1902.08153" },
    .n_params = 1,
    .params = { "scale" },
    .damped = true,
    .init = init,
    .grid = grid,
    .trainable = trainable,
    .forward = forward,
    .backward = backward,
    .snaps = true,
    .plan_gradient = plan_gradient,
    .end_gradient = end_gradient,
};
