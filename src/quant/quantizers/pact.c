/* PACT: the ends of the real range are parameters, trained with the network.
 * Source: Choi et al., arXiv:1805.06085; signed and free ranges as in QuantLib.
 *
 * One bound decides the scale of a pinned range, and so the other end as well:
 *   unsigned            scale = clip_hi / q_max
 *   (quasi-)symmetric   scale = clip_lo / q_min; clip_hi = clip_lo * q_max / q_min is implied
 *   other offsets       the larger of the two
 *   free offset         both bounds, zero point between them
 * The grid is derived anew from the parameters before every forward and never written back, so it
 * cannot drift (QuantLib's signed bounds grow by 128/127 at each forward).
 *
 *   dx = dy inside the closed range, else 0
 *   d clip_lo = sum of dy over x <= lo,  d clip_hi = sum of dy over x >= hi;
 *   a pinned range gives both sums to the bound that decides: dy/d bound at the other end is the
 *   ratio of the ends. */
#include "quant/quant_internal.h"

#include <math.h>

enum { CLIP_LO, CLIP_HI };

/** Which bound decides, if that follows from the range alone; else -1. */
static int decider_of_range(const tq_range *range)
{
    const int64_t q_min = range->q_min, q_max = tq_range_q_max(range);
    if (range->free_offset)
        return -1;
    if (q_min >= 0)
        return CLIP_HI;
    if (q_max <= 0 || q_max == -q_min || q_max == -q_min - 1)
        return CLIP_LO;
    return -1;
}

static int decider(const tq_range *range, const float *params)
{
    const int fixed = decider_of_range(range);
    if (fixed >= 0)
        return fixed;
    const double lo = (double)params[CLIP_LO] / (double)range->q_min;
    const double hi = (double)params[CLIP_HI] / (double)tq_range_q_max(range);
    return lo >= hi ? CLIP_LO : CLIP_HI;
}

static unsigned trainable(const tq_range *range)
{
    const int fixed = decider_of_range(range);
    return fixed >= 0 ? 1u << fixed : 1u << CLIP_LO | 1u << CLIP_HI;
}

static tq_status init(const tq_range *range, double a, double b, float *params)
{
    float scale;
    if (range->free_offset) {
        int32_t zero_point;
        TQ_TRY(tq_grid_scale_free(range, a, b, &scale, &zero_point));
        params[CLIP_LO] = (float)fmin(a, 0.0);
        params[CLIP_HI] = (float)fmax(b, params[CLIP_LO] < 0.0f ? 0.0 : TQ_SCALE_DEFAULT);
        return TQ_OK;
    }
    TQ_TRY(tq_grid_scale_pinned(range, a, b, &scale));
    const double exact = tq_grid_scale_from_ends(range, a, b);
    params[CLIP_LO] = (float)(exact * (double)range->q_min);
    params[CLIP_HI] = (float)(exact * (double)tq_range_q_max(range));
    return TQ_OK;
}

/** Scale and zero point of a free range; NaN bounds give a NaN scale. */
static void grid_free(const tq_range *range, const float *params, tq_grid *grid)
{
    const double a = fmin((double)params[CLIP_LO], 0.0), b = fmax((double)params[CLIP_HI], 0.0);
    const bool known = !isnan(params[CLIP_LO]) && !isnan(params[CLIP_HI]);
    const tq_status status =
        known ? tq_grid_scale_free(range, a, b, &grid->scale, &grid->zero_point) : TQ_OK;
    if (status || !known)
        grid->scale = NAN;
    tq_status_drop(status);
}

/* A bound that training pushed to the wrong side of zero leaves the smallest grid: almost
 * everything is beyond its end then, so the bound gets a gradient and can come back. */
static void grid(const tq_range *range, tq_rounding rounding, const float *params,
                 tq_grid *out_grid)
{
    *out_grid = (tq_grid){ .q_min = range->q_min,
                           .q_max = tq_range_q_max(range),
                           .step = range->step,
                           .rounding = rounding };
    if (range->free_offset) {
        grid_free(range, params, out_grid);
        return;
    }
    const int k = decider(range, params);
    const int64_t end = k == CLIP_LO ? range->q_min : tq_range_q_max(range);
    out_grid->scale = (float)tq_scale_guard((double)params[k] / (double)end);
}

static void forward(const tq_grid *grid_, const float *params, int64_t n, const float *x, float *y,
                    uint64_t seed)
{
    (void)params;
    tq_grid_snap(grid_, n, x, y, seed);
}

/** The bounds' gradients from the sums of dy at or beyond the lower and the upper end. */
static void end_gradient(const tq_range *range, const float *params, int64_t n_all,
                         const double sums[2], double *dparams)
{
    (void)n_all;
    const double below = sums[0], above = sums[1];
    const double q_min = (double)range->q_min, q_max = (double)tq_range_q_max(range);
    if (range->free_offset) {
        dparams[CLIP_LO] += below;
        dparams[CLIP_HI] += above;
    } else if (decider(range, params) == CLIP_LO) {
        dparams[CLIP_LO] += below + (q_max != 0.0 ? above * (q_max / q_min) : 0.0);
    } else {
        dparams[CLIP_HI] += above + (q_min != 0.0 ? below * (q_min / q_max) : 0.0);
    }
}

/** An end at code 0 stays there whatever the bound: what lies beyond it is not summed. */
static bool plan_gradient(const tq_grid *grid_, const tq_range *range, const float *params,
                          tq_gradient_plan *out_plan)
{
    const float lo = tq_grid_lo(grid_), hi = tq_grid_hi(grid_);
    const bool is_free = range->free_offset;
    const int k = is_free ? -1 : decider(range, params);
    *out_plan = (tq_gradient_plan){
        .least = tq_pass_least(lo),
        .most = tq_pass_most(hi),
        .lo = k == CLIP_HI && range->q_min == 0 ? -INFINITY : lo,
        .hi = k == CLIP_LO && tq_range_q_max(range) == 0 ? INFINITY : hi,
    };
    return true;
}

static void backward(const tq_grid *grid_, const tq_range *range, const float *params, int64_t n,
                     const float *x, const float *dy, float *dx, double *dparams)
{
    const float lo = tq_grid_lo(grid_), hi = tq_grid_hi(grid_);
    double sums[2];
    tq_pass_inside(lo, hi, n, x, dy, dx);
    tq_sum_outside(lo, hi, n, x, dy, &sums[0], &sums[1]);
    end_gradient(range, params, n, sums, dparams);
}

const tq_quantizer tq_quantizer_pact = {
    .entry = { .name = "pact",
               .brief = "parameterised clipping: trained bounds",
               .source = "arXiv:1805.06085" },
    .n_params = 2,
    .params = { "clip_lo", "clip_hi" },
    .decays = 1u << CLIP_LO | 1u << CLIP_HI,
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
