/* "warm-bounds:STEPS": the bounds of quantisers learn slowly at first: their learning rate grows
 * from 1 / STEPS of the others' to all of it. */
#include "example.h"

static tq_status prepare(const tq_control *control, int *out_n_state)
{
    (void)out_n_state; /* what it sets follows from the step alone */
    double steps;
    TQ_TRY(tq_control_numbers(control, 1, 1, &steps, NULL));
    return steps >= 1 ? TQ_OK : tq_fail(TQ_ERR_VALUE, "expected STEPS of 1 or more");
}

static tq_status before_step(tq_control *control)
{
    double steps;
    TQ_TRY(tq_control_numbers(control, 1, 1, &steps, NULL));
    const double factor = (double)(control->step + 1) / steps;
    for (int i = 0; i < control->n_parameters; i++)
        if (control->parameters[i].role == TQ_ROLE_BOUND)
            control->parameters[i].lr_factor = factor < 1 ? factor : 1;
    return TQ_OK;
}

const tq_controller example_warm_bounds = {
    .entry = { .name = "warm-bounds",
               .brief = "'warm-bounds:STEPS': bounds learn slowly at first" },
    .prepare = prepare,
    .before_step = before_step,
};
