/* Half a cosine from 1 to 0 over all steps: (1 + cos(pi * step / n_steps)) / 2.
 * Source: Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983, eq. 5 (without restarts). */
#include <truq/train.h>

#include <math.h>

static double factor(const double *args, int64_t step, int64_t n_steps, int64_t steps_per_epoch)
{
    (void)args, (void)steps_per_epoch;
    const double pi = 3.14159265358979323846;
    const double part = n_steps > 0 && step < n_steps ? (double)step / (double)n_steps : 1.0;
    return 0.5 * (1.0 + cos(pi * part));
}

const tq_schedule tq_schedule_cosine = {
    .entry = { .name = "cosine", .brief = "half a cosine down to 0", .source = "arXiv:1608.03983" },
    .factor = factor,
};
