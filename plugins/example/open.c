/* A quantiser whose gradient passes everywhere, outside the grid too (the straight-through
 * estimator as Bengio et al. first wrote it, arXiv:1308.3432). The scale comes from the observer
 * and is not trained.
 *
 *   y = scale * round(clip(x / scale, q_min, q_max)),      dx = dy */
#include "example.h"

#include <math.h>
#include <string.h>

enum { SCALE };

static tq_status init(const tq_range *range, double a, double b, float *params)
{
    if (range->free_offset)
        return tq_fail(TQ_ERR_VALUE,
                       "open has no zero point, range '%s' needs one; say signed or offset",
                       tq_range_text(range).s);
    return tq_grid_scale_pinned(range, a, b, &params[SCALE]);
}

static void grid(const tq_range *range, tq_rounding rounding, const float *params,
                 tq_grid *out_grid)
{
    *out_grid = (tq_grid){ .scale = params[SCALE],
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

static void forward(const tq_grid *g, const float *params, int64_t n, const float *x, float *y,
                    uint64_t seed)
{
    (void)params, (void)seed;
    for (int64_t i = 0; i < n; i++)
        y[i] = isnan(x[i]) ? x[i] : tq_grid_dequantize(g, tq_grid_quantize(g, x[i]));
}

static void backward(const tq_grid *g, const tq_range *range, const float *params, int64_t n,
                     const float *x, const float *dy, float *dx, double *dparams)
{
    (void)g, (void)range, (void)params, (void)x, (void)dparams;
    memcpy(dx, dy, (size_t)n * sizeof *dx);
}

const tq_quantizer example_open = {
    .entry = { .name = "open",
               .brief = "fixed scale; the gradient passes everywhere",
               .source = "arXiv:1308.3432" },
    .n_params = 1,
    .params = { "scale" },
    .weights_dynamic = true,
    .init = init,
    .grid = grid,
    .trainable = trainable,
    .forward = forward,
    .backward = backward,
};
