/* An observer: [a, b] from the mean, n standard deviations to both sides (4 by default), but never
 * beyond what was seen. */
#include "example.h"

#include <math.h>

static tq_status range(const tq_statistics *s, const tq_init *init, double *out_a, double *out_b)
{
    if (s->n == 0 || s->n_bad > 0)
        return tq_fail(TQ_ERR_STATE, "nothing, or no numbers, were observed");
    const double half = (isnan(init->a) ? 4.0 : init->a) * sqrt(s->m2 / (double)s->n);
    *out_a = fmax(s->min, s->mean - half);
    *out_b = fmin(s->max, s->mean + half);
    return TQ_OK;
}

const tq_observer example_tight = {
    .entry = { .name = "tight", .brief = "n deviations around the mean, within the extremes" },
    .range = range,
};
