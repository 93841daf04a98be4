/* A grid placed by an observer and not trained.
 *
 *   y = scale * (clip(round(x / scale) + zero_point, q_min, q_max) - zero_point)
 *   dx = dy where the rounded x / scale is on the grid, else 0 */
#include "quant/quant_internal.h"

#include <math.h>

enum { SCALE, ZERO_POINT };

static tq_status init(const tq_range *range, double a, double b, float *params)
{
    int32_t zero_point = 0;
    if (range->free_offset)
        TQ_TRY(tq_grid_scale_free(range, a, b, &params[SCALE], &zero_point));
    else
        TQ_TRY(tq_grid_scale_pinned(range, a, b, &params[SCALE]));
    if (zero_point > 1 << 24)
        return tq_fail(TQ_ERR_VALUE, "zero point %d is beyond 2^24; pin the offset of the range",
                       zero_point);
    params[ZERO_POINT] = (float)zero_point;
    return TQ_OK;
}

static void grid(const tq_range *range, tq_rounding rounding, const float *params,
                 tq_grid *out_grid)
{
    const float zero_point = tq_clipf(params[ZERO_POINT], -0x1p24f, 0x1p24f);
    *out_grid = (tq_grid){ .scale = (float)tq_scale_guard((double)params[SCALE]),
                           .zero_point = isnan(zero_point) ? 0 : (int32_t)zero_point,
                           .q_min = range->q_min,
                           .q_max = tq_range_q_max(range),
                           .step = range->step,
                           .rounding = rounding };
}

static unsigned trainable(const tq_range *range)
{
    (void)range;
    return 0;
}

static void forward(const tq_grid *grid_, const float *params, int64_t n, const float *x, float *y,
                    uint64_t seed)
{
    (void)params;
    tq_grid_snap(grid_, n, x, y, seed);
}

static float half_step(const tq_grid *grid_)
{
    return 0.5f * (float)grid_->step * grid_->scale;
}

static void backward(const tq_grid *grid_, const tq_range *range, const float *params, int64_t n,
                     const float *x, const float *dy, float *dx, double *dparams)
{
    (void)range, (void)params, (void)dparams;
    const float half = half_step(grid_);
    tq_pass_inside(tq_grid_lo(grid_) - half, tq_grid_hi(grid_) + half, n, x, dy, dx);
}

static bool plan_gradient(const tq_grid *grid_, const tq_range *range, const float *params,
                          tq_gradient_plan *out_plan)
{
    (void)range, (void)params;
    const float half = half_step(grid_);
    *out_plan = (tq_gradient_plan){ .least = tq_pass_least(tq_grid_lo(grid_) - half),
                                    .most = tq_pass_most(tq_grid_hi(grid_) + half),
                                    .lo = -INFINITY,
                                    .hi = INFINITY };
    return true;
}

static void end_gradient(const tq_range *range, const float *params, int64_t n_all,
                         const double sums[2], double *dparams)
{
    (void)range, (void)params, (void)n_all, (void)sums, (void)dparams;
}

const tq_quantizer tq_quantizer_fixed = {
    .entry = { .name = "fixed", .brief = "scale and zero point from the observer, not trained" },
    .n_params = 2,
    .params = { "scale", "zero_point" },
    .weights_dynamic = true,
    .init = init,
    .grid = grid,
    .trainable = trainable,
    .forward = forward,
    .backward = backward,
    .snaps = true,
    .plan_gradient = plan_gradient,
    .end_gradient = end_gradient,
};
