/* The extremes of what was seen: [a, b] = [min, max]. */
#include "quant/quant_internal.h"

static tq_status range(const tq_statistics *s, const tq_init *init, double *out_a, double *out_b)
{
    (void)init;
    TQ_TRY(tq_statistics_need(s));
    *out_a = s->min;
    *out_b = s->max;
    return TQ_OK;
}

const tq_observer tq_observer_minmax = {
    .entry = { .name = "minmax", .brief = "smallest and largest value seen" },
    .range = range,
    .extremes_only = true,
};
