/* Time: how fast a loop goes and when it will be done. Nothing here reaches a result. */
#include "train/train_internal.h"

#include <math.h>
#include <time.h>

double tq_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tq_clock_start(tq_clock *clock)
{
    *clock = (tq_clock){ .start = tq_now() };
}

void tq_clock_tick(tq_clock *clock, int64_t n_images)
{
    clock->n_images += n_images;
    clock->n_batches++;
}

double tq_clock_rate(const tq_clock *clock)
{
    const double seconds = tq_now() - clock->start;
    return seconds > 0.0 ? (double)clock->n_images / seconds : 0.0;
}

double tq_clock_eta(const tq_clock *clock, int64_t n_batches_left)
{
    if (!clock->n_batches)
        return (double)NAN;
    return (tq_now() - clock->start) / (double)clock->n_batches * (double)n_batches_left;
}
