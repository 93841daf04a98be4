/* Rounding to integers. The fraction v - floor(v) is exact in double, so no v + 0.5 can round up a
 * number just below one half. */
#include <truq/quant.h>

#include <math.h>
#include <string.h>

static const char *const names[] = {
    [TQ_ROUND_HALF_UP] = "half-up",       [TQ_ROUND_HALF_EVEN] = "half-even",
    [TQ_ROUND_HALF_AWAY] = "half-away",   [TQ_ROUND_FLOOR] = "floor",
    [TQ_ROUND_STOCHASTIC] = "stochastic",
};

const char *tq_rounding_name(tq_rounding rounding)
{
    return names[rounding];
}

tq_status tq_rounding_parse(const char *name, tq_rounding *out)
{
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (tq_rounding)i;
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_VALUE,
                   "unknown rounding '%.60s'; expected half-up, half-even, half-away, floor or "
                   "stochastic",
                   name);
}

double tq_round(double v, tq_rounding rounding, double u)
{
    const double down = floor(v), fraction = v - down;
    switch (rounding) {
    case TQ_ROUND_HALF_UP:
        return fraction >= 0.5 ? down + 1.0 : down;
    case TQ_ROUND_HALF_EVEN:
        return rint(v);
    case TQ_ROUND_HALF_AWAY:
        return round(v);
    case TQ_ROUND_FLOOR:
        return down;
    case TQ_ROUND_STOCHASTIC:
        return u < fraction ? down + 1.0 : down;
    }
    return v;
}
