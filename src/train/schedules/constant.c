/* The learning rate stays. */
#include <truq/train.h>

static double factor(const double *args, int64_t step, int64_t n_steps, int64_t steps_per_epoch)
{
    (void)args, (void)step, (void)n_steps, (void)steps_per_epoch;
    return 1.0;
}

const tq_schedule tq_schedule_constant = {
    .entry = { .name = "constant", .brief = "the learning rate stays" },
    .factor = factor,
};
