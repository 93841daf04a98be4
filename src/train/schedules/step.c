/* "step:EPOCHS,FACTOR": every EPOCHS epochs the learning rate is multiplied by FACTOR (30 and 0.1
 * where they are not given). */
#include <truq/train.h>

#include <math.h>

static double factor(const double *args, int64_t step, int64_t n_steps, int64_t steps_per_epoch)
{
    (void)n_steps;
    const double epochs = args[0] > 0.0 ? args[0] : 30.0, gamma = args[1] > 0.0 ? args[1] : 0.1;
    const double period = epochs * (double)(steps_per_epoch > 0 ? steps_per_epoch : 1);
    return pow(gamma, floor((double)step / period));
}

const tq_schedule tq_schedule_step = {
    .entry = { .name = "step", .brief = "'step:EPOCHS,FACTOR': times FACTOR every EPOCHS" },
    .factor = factor,
};
