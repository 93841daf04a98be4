/* What the files of this room share. */
#ifndef TRUQ_QUANT_QUANT_INTERNAL_H
#define TRUQ_QUANT_QUANT_INTERNAL_H

#include <truq/quant.h>

#include <float.h>
#include <math.h>

extern const tq_observer tq_observer_const, tq_observer_minmax, tq_observer_meanstd;

/** Long arrays are taken in blocks of so many elements; sums run in so many lanes (lanes.c). */
enum { TQ_BLOCK = 512, TQ_N_LANES = 8 };

/** Adds x[0..n-1] to the lanes; a following call goes on at lane 0. */
void tq_lanes_add(double *lanes, int64_t n, const float *x);
/** Folds the lanes into lanes[0] and returns it. */
double tq_lanes_sum(double *lanes);

/** TQ_ERR_STATE if nothing was observed, TQ_ERR_VALUE if NaN or inf was. */
tq_status tq_statistics_need(const tq_statistics *s);

/** The scale of a grid about which nothing is known (its ends are both 0, or its learned bound has
 *  left the side it belongs to): small, and x / scale still stays far from overflow. */
#define TQ_SCALE_DEFAULT 0x1p-24
/** No scale is smaller: clear of denormal numbers, also as 1 / scale. */
#define TQ_SCALE_LEAST 0x1p-100

/** `scale`, made safe: the default where it is not positive, the least where it is too small. NaN,
 *  a parameter never observed, stays NaN so that it shows. */
static inline double tq_scale_guard(double scale)
{
    return scale <= 0.0 ? TQ_SCALE_DEFAULT : scale < TQ_SCALE_LEAST ? TQ_SCALE_LEAST : scale;
}

/** TQ_ERR_VALUE unless a <= b and both are finite. */
tq_status tq_grid_check_ends(double a, double b);
/** tq_grid_scale_pinned without the checks, in double. */
double tq_grid_scale_from_ends(const tq_range *range, double a, double b);

/** q - zero_point of the code of x, as a number; NaN for NaN. */
double tq_grid_level(const tq_grid *grid, float x, double u);
/** y[i] = the value of the code of x[i]; NaN stays NaN. `seed` serves stochastic rounding. */
void tq_grid_snap(const tq_grid *grid, int64_t n, const float *x, float *y, uint64_t seed);

/** The first and last level of the grid, and their real values. */
static inline float tq_grid_level_lo(const tq_grid *g)
{
    return (float)(g->q_min - g->zero_point);
}
static inline float tq_grid_level_hi(const tq_grid *g)
{
    return (float)(g->q_max - g->zero_point);
}
static inline float tq_grid_lo(const tq_grid *g)
{
    return g->scale * tq_grid_level_lo(g);
}
static inline float tq_grid_hi(const tq_grid *g)
{
    return g->scale * tq_grid_level_hi(g);
}

/** The ends between which a gradient passes: they belong to the range and are a few ulp wide. The
 *  weight that made the range, which may lie one rounding beyond scale * q_max, must learn (in
 *  QuantLib the largest weight never does). */
static inline float tq_pass_least(float lo)
{
    return lo - 4.0f * FLT_EPSILON * fabsf(lo);
}
static inline float tq_pass_most(float hi)
{
    return hi + 4.0f * FLT_EPSILON * fabsf(hi);
}
/** Straight-through: dx = dy where lo <= x <= hi, else 0. */
void tq_pass_inside(float lo, float hi, int64_t n, const float *x, const float *dy, float *dx);
/** Sums of dy over x <= lo and over x >= hi, in double, in an order that depends on n alone. */
void tq_sum_outside(float lo, float hi, int64_t n, const float *x, const float *dy,
                    double *out_below, double *out_above);

#endif
