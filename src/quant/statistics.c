/* Streaming statistics: extremes, mean and variance in constant memory, merged without loss.
 * A run of values is cut into blocks; each block is summed around its own mean in double, and
 * blocks meet by the update of Chan, Golub and LeVeque (1979):
 *
 *   mean = mean_a + d n_b / n,   m2 = m2_a + m2_b + d^2 n_a n_b / n,   d = mean_b - mean_a
 *
 * so mean and variance do not cancel as sum(x^2) / n - mean^2 does. */
#include "quant/quant_internal.h"

#include <math.h>

enum { BLOCK = 4096, N_SUMS = 32 };

void tq_statistics_reset(tq_statistics *s)
{
    *s = (tq_statistics){ .min = INFINITY, .max = -INFINITY };
}

void tq_statistics_merge(tq_statistics *into, const tq_statistics *from)
{
    into->n_bad += from->n_bad;
    if (from->n == 0)
        return;
    const double n_a = (double)into->n, n_b = (double)from->n, n = n_a + n_b;
    const double d = from->mean - into->mean;
    into->mean += d * (n_b / n);
    into->m2 += from->m2 + d * d * (n_a * n_b / n);
    into->n += from->n;
    into->min = fmin(into->min, from->min);
    into->max = fmax(into->max, from->max);
}

/** Folds the lanes, halves onto halves. */
static double fold(double lane[N_SUMS])
{
    for (int half = N_SUMS / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

/** Sum of (x - centre)^power, power 1 or 2: element i goes to lane i % N_SUMS. */
static double sum_around(int64_t n, const float *x, double centre, int power)
{
    double lane[N_SUMS] = { 0 };
    int64_t i = 0;
    for (; i + N_SUMS <= n; i += N_SUMS)
        for (int k = 0; k < N_SUMS; k++) {
            const double d = (double)x[i + k] - centre;
            lane[k] += power == 2 ? d * d : d;
        }
    for (int k = 0; i < n; i++, k++) {
        const double d = (double)x[i] - centre;
        lane[k] += power == 2 ? d * d : d;
    }
    return fold(lane);
}

static void find_extremes(int64_t n, const float *x, tq_statistics *s)
{
    float min[TQ_N_LANES], max[TQ_N_LANES];
    for (int k = 0; k < TQ_N_LANES; k++)
        min[k] = max[k] = x[0];
    int64_t i = 0;
    for (; i + TQ_N_LANES <= n; i += TQ_N_LANES)
        for (int k = 0; k < TQ_N_LANES; k++) {
            min[k] = x[i + k] < min[k] ? x[i + k] : min[k];
            max[k] = x[i + k] > max[k] ? x[i + k] : max[k];
        }
    for (int k = 0; k < TQ_N_LANES; k++) {
        s->min = fmin(s->min, (double)min[k]);
        s->max = fmax(s->max, (double)max[k]);
    }
    for (; i < n; i++) {
        s->min = fmin(s->min, (double)x[i]);
        s->max = fmax(s->max, (double)x[i]);
    }
}

/** Statistics of one block, n > 0, all finite. */
static tq_statistics block_statistics(int64_t n, const float *x)
{
    tq_statistics s;
    tq_statistics_reset(&s);
    find_extremes(n, x, &s);
    s.n = n;
    s.mean = sum_around(n, x, 0.0, 1) / (double)n;
    s.m2 = s.min == s.max ? 0.0 : sum_around(n, x, s.mean, 2);
    return s;
}

/** Copies the finite values; returns how many. */
static int64_t keep_finite(int64_t n, const float *x, float *out)
{
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i]))
            out[n_kept++] = x[i];
    return n_kept;
}

static bool all_finite(int64_t n, const float *x)
{
    int n_bad = 0;
    for (int64_t i = 0; i < n; i++)
        n_bad += !(fabsf(x[i]) < INFINITY);
    return n_bad == 0;
}

void tq_statistics_observe(tq_statistics *s, int64_t n, const float *x)
{
    float finite[BLOCK];
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t length = n - begin < BLOCK ? n - begin : BLOCK;
        const float *block = x + begin;
        int64_t n_finite = length;
        if (!all_finite(length, block)) {
            n_finite = keep_finite(length, block, finite);
            block = finite;
        }
        s->n_bad += length - n_finite;
        if (n_finite == 0)
            continue;
        const tq_statistics part = block_statistics(n_finite, block);
        tq_statistics_merge(s, &part);
    }
}
