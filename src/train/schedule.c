/* A schedule as the user writes it, with linear warm-up before it:
 *
 *   factor(step) = (step + 1) / n_warmup                          while step < n_warmup
 *                  schedule(step - n_warmup, n_steps - n_warmup)  from then on */
#include "train/train_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tq_status parse_args(const char *whole, const char *text, double *args)
{
    for (int n = 0; *text; n++) {
        char *end;
        const double number = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !(number > 0.0) || !isfinite(number))
            return tq_fail(TQ_ERR_VALUE, "schedule '%s': '%s' is no positive number", whole, text);
        if (n == TQ_SCHEDULE_MAX_ARGS)
            return tq_fail(TQ_ERR_VALUE, "schedule '%s' has more than %d numbers", whole,
                           TQ_SCHEDULE_MAX_ARGS);
        args[n] = number;
        text = *end ? end + 1 : end;
    }
    return TQ_OK;
}

tq_status tq_plan_parse(const tq_registry *registry, const char *text, tq_plan *out_plan)
{
    *out_plan = (tq_plan){ 0 };
    const char *whole = text ? text : "constant", *colon = strchr(whole, ':');
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(colon ? colon - whole : (ptrdiff_t)strlen(whole)),
             whole);
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(registry, TQ_KIND_SCHEDULE, name, &entry));
    out_plan->schedule = (const tq_schedule *)entry;
    return parse_args(whole, colon ? colon + 1 : "", out_plan->args);
}

double tq_plan_factor(const tq_plan *plan, int64_t step)
{
    if (step < plan->n_warmup)
        return (double)(step + 1) / (double)plan->n_warmup;
    return plan->schedule->factor(plan->args, step - plan->n_warmup, plan->n_steps - plan->n_warmup,
                                  plan->steps_per_epoch);
}
