/* Progress of loops. On a terminal one line that is drawn again and again; elsewhere plain lines on
 * standard output, so that standard error holds nothing but errors. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24, PAUSE = 2 /* seconds */ };

tq_meter tq_meter_make(bool silent)
{
    return (tq_meter){ .silent = silent, .terminal = isatty(STDERR_FILENO) == 1 };
}

void tq_meter_clear(tq_meter *meter)
{
    if (meter->drawn)
        fputs("\r\033[K", stderr);
    meter->drawn = false;
}

/** "epoch 2/5, loss 0.1234, top-1 88.20 %, 1234 images/s" */
static void numbers_text(const tq_progress *p, char *out, size_t room)
{
    size_t n = 0;
    out[0] = 0;
    if (p->n_epochs > 0)
        n += (size_t)snprintf(out + n, room - n, ", epoch %" PRId64 "/%" PRId64, p->epoch,
                              p->n_epochs);
    if (isfinite(p->loss) && n < room)
        n += (size_t)snprintf(out + n, room - n, ", loss %.4f", p->loss);
    if (isfinite(p->top1) && n < room)
        n += (size_t)snprintf(out + n, room - n, ", top-1 %.2f %%", p->top1);
    if (isfinite(p->images_per_s) && n < room)
        snprintf(out + n, room - n, ", %.0f images/s", p->images_per_s);
}

static void draw(tq_meter *meter, const tq_progress *p)
{
    char numbers[160], bar[BAR + 1];
    const int64_t filled = p->n_batches > 0 ? BAR * p->batch / p->n_batches : 0;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR] = 0;
    numbers_text(p, numbers, sizeof numbers);
    fprintf(stderr, "\r\033[K%s [%s] %" PRId64 "/%" PRId64 "%s", p->phase, bar, p->batch,
            p->n_batches, numbers);
    if (isfinite(p->eta_s))
        fprintf(stderr, ", ETA %.0f s", ceil(p->eta_s));
    fflush(stderr);
    meter->drawn = true;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** Is it time for a line? At the end of an epoch; else after 10 % more, if that took a while. */
static bool is_due(tq_meter *meter, const tq_progress *p)
{
    const bool same = meter->last_phase && !strcmp(meter->last_phase, p->phase);
    const bool ends = p->batch >= p->n_batches;
    const int64_t tenths = p->n_batches > 0 ? 10 * p->batch / p->n_batches : 10;
    if (!same || meter->last_epoch != p->epoch) {
        meter->tenths = 0;
        meter->said = false;
        meter->last_time = now();
    }
    meter->last_phase = p->phase;
    meter->last_epoch = p->epoch;
    if (ends)
        return p->n_epochs > 0 || meter->said;
    if (p->n_epochs > 1 || tenths <= meter->tenths || now() - meter->last_time < PAUSE)
        return false;
    meter->tenths = tenths;
    meter->last_time = now();
    return meter->said = true;
}

static void print_line(const tq_progress *p)
{
    char numbers[160];
    numbers_text(p, numbers, sizeof numbers);
    tq_print("%s %" PRId64 " %%%s\n", p->phase,
             p->n_batches > 0 ? 100 * p->batch / p->n_batches : 100, numbers);
    fflush(stdout);
}

void tq_meter_show(void *context, const tq_progress *progress)
{
    tq_meter *meter = context;
    if (meter->terminal && progress->batch < progress->n_batches) {
        draw(meter, progress);
        return;
    }
    tq_meter_clear(meter);
    const bool stays = !meter->terminal || progress->n_epochs > 0; /* to be read later */
    if (is_due(meter, progress) && stays && !meter->silent)
        print_line(progress);
}
