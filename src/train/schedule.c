/* A schedule as the user writes it, with linear warm-up before it:
 *
 *   factor(step) = (step + 1) / n_warmup                          while step < n_warmup
 *                  schedule(step - n_warmup, n_steps - n_warmup)  from then on */
#include "train/train_internal.h"

static tq_status parse_args(const char *text, double *args)
{
    int n;
    TQ_TRY(tq_call_numbers(text, 0, TQ_SCHEDULE_MAX_ARGS, args, &n));
    for (int i = 0; i < n; i++)
        if (!(args[i] > 0.0))
            return tq_fail(TQ_ERR_VALUE, "%g is no positive number", args[i]);
    return TQ_OK;
}

tq_status tq_plan_parse(const tq_registry *registry, const char *text, tq_plan *out_plan)
{
    *out_plan = (tq_plan){ 0 };
    const char *whole = text ? text : "constant", *args;
    const tq_entry *entry;
    TQ_TRY(tq_call_find(registry, TQ_KIND_SCHEDULE, whole, &entry, &args));
    out_plan->schedule = (const tq_schedule *)entry;
    return tq_wrap(parse_args(args, out_plan->args), "schedule '%s'", whole);
}

double tq_plan_factor(const tq_plan *plan, int64_t step)
{
    if (step < plan->n_warmup)
        return (double)(step + 1) / (double)plan->n_warmup;
    return plan->schedule->factor(plan->args, step - plan->n_warmup, plan->n_steps - plan->n_warmup,
                                  plan->steps_per_epoch);
}
