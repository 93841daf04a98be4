/* Snapping arrays to a grid, and the straight-through gradient: the inner loops of all quantisers.
 * The fast loops compute what tq_grid_level defines, for levels within 2^22: adding and taking away
 * 1.5 * 2^23 rounds a float to an integer, ties to even, and v - r tells exactly what was rounded
 * off; so they need no library call and become vector code on any machine. */
#include "quant/quant_internal.h"

static const float magic = 0x1.8p23f;

static inline float round_even(float v)
{
    return (v + magic) - magic;
}

static inline float round_up(float v)
{
    const float r = round_even(v);
    return r + (v - r == 0.5f ? 1.0f : 0.0f);
}

static inline float round_down(float v)
{
    const float r = round_even(v);
    return r - (r > v ? 1.0f : 0.0f);
}

static void snap_half_up(const tq_grid *grid, int64_t n, const float *restrict x, float *restrict y)
{
    const float scale = grid->scale, lo = tq_grid_level_lo(grid), hi = tq_grid_level_hi(grid);
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * round_up(tq_clipf(x[i] / scale, lo, hi));
}

static void snap_half_even(const tq_grid *grid, int64_t n, const float *restrict x,
                           float *restrict y)
{
    const float scale = grid->scale, lo = tq_grid_level_lo(grid), hi = tq_grid_level_hi(grid);
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * round_even(tq_clipf(x[i] / scale, lo, hi));
}

static void snap_floor(const tq_grid *grid, int64_t n, const float *restrict x, float *restrict y)
{
    const float scale = grid->scale, first = tq_grid_level_lo(grid), lo = tq_grid_lo(grid);
    const float span = (tq_grid_hi(grid) + scale / 4.0f) - lo;
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * (first + round_down(tq_clipf(x[i] - lo, 0.0f, span) / scale));
}

/** Uniform in [0, 1) for element i: SplitMix64 of seed and index. */
static double uniform(uint64_t seed, int64_t i)
{
    uint64_t z = seed + ((uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void tq_grid_snap(const tq_grid *grid, int64_t n, const float *x, float *y, uint64_t seed)
{
    const int64_t lo = grid->q_min - grid->zero_point, hi = grid->q_max - grid->zero_point;
    const int64_t limit = INT64_C(1) << 22;
    const bool fast = grid->step == 1 && lo >= -limit && hi <= limit && hi - lo < limit;
    if (fast && grid->rounding == TQ_ROUND_HALF_UP)
        snap_half_up(grid, n, x, y);
    else if (fast && grid->rounding == TQ_ROUND_HALF_EVEN)
        snap_half_even(grid, n, x, y);
    else if (fast && grid->rounding == TQ_ROUND_FLOOR)
        snap_floor(grid, n, x, y);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = grid->scale * (float)tq_grid_level(grid, x[i], uniform(seed, i));
}

void tq_pass_inside(float lo, float hi, int64_t n, const float *restrict x,
                    const float *restrict dy, float *restrict dx)
{
    const float least = tq_pass_least(lo), most = tq_pass_most(hi);
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i], g = dy[i]; /* both loads unconditional: the loop becomes vectors */
        dx[i] = (v < least) | (v > most) ? 0.0f : g;
    }
}

void tq_sum_outside(float lo, float hi, int64_t n, const float *x, const float *dy,
                    double *out_below, double *out_above)
{
    double below[TQ_N_LANES] = { 0 }, above[TQ_N_LANES] = { 0 };
    float dy_below[TQ_BLOCK], dy_above[TQ_BLOCK];
    for (int64_t begin = 0; begin < n; begin += TQ_BLOCK) {
        const int64_t length = n - begin < TQ_BLOCK ? n - begin : TQ_BLOCK;
        for (int64_t i = 0; i < length; i++) {
            const float v = x[begin + i], g = dy[begin + i];
            dy_below[i] = v <= lo ? g : 0.0f;
            dy_above[i] = v >= hi ? g : 0.0f;
        }
        tq_lanes_add(below, length, dy_below);
        tq_lanes_add(above, length, dy_above);
    }
    *out_below = tq_lanes_sum(below);
    *out_above = tq_lanes_sum(above);
}
