/* A number of standard deviations around the mean: [a, b] = mean -/+ n_std * sqrt(variance), the
 * variance over all n values seen (as QuantLib's, not n - 1). */
#include "quant/quant_internal.h"

#include <math.h>

static tq_status range(const tq_statistics *s, const tq_init *init, double *out_a, double *out_b)
{
    TQ_TRY(tq_statistics_need(s));
    const double half = init->n_std * sqrt(s->m2 / (double)s->n);
    *out_a = s->mean - half;
    *out_b = s->mean + half;
    return TQ_OK;
}

const tq_observer tq_observer_meanstd = {
    .entry = { .name = "meanstd", .brief = "mean minus and plus n standard deviations" },
    .range = range,
};
