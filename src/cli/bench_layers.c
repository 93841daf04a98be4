/* What each step of an engine takes, beside what the machine can do at most. A step that takes
 * shards of the batch through several parts has a row for each of its stages. */
#include "bench.h"

#include <string.h>

static int count_rows(const tq_engine *engine)
{
    int n = 0;
    for (int i = 0; i < tq_engine_n_steps(engine); i++) {
        const int n_stages = tq_engine_n_stages(engine, i);
        n += n_stages ? n_stages : 1;
    }
    return n;
}

/** One row: step `i`, stage `k`, -1 for the step itself. */
typedef struct row {
    const char *node, *kernel;
    double seconds; /* so far, of one worker on average */
    int64_t macs, bytes;
} row;

static row read_row(const tq_engine *engine, int i, int k, int n_threads)
{
    row r = { 0 };
    if (k < 0) {
        r.kernel = tq_engine_step(engine, i, &r.node, &r.seconds);
        tq_engine_step_cost(engine, i, &r.macs, &r.bytes);
        return r;
    }
    r.kernel = tq_engine_stage(engine, i, k, &r.node, &r.seconds, &r.macs);
    r.seconds /= n_threads;
    return r;
}

/** Calls `each` for all rows, in order. */
static void for_rows(const tq_engine *engine, int n_threads,
                     void (*each)(tq_layer_times *times, int at, const row *r),
                     tq_layer_times *times)
{
    int at = 0;
    for (int i = 0; i < tq_engine_n_steps(engine); i++) {
        const int n_stages = tq_engine_n_stages(engine, i);
        for (int k = n_stages ? 0 : -1; k < n_stages; k++) {
            const row r = read_row(engine, i, k, n_threads);
            each(times, at++, &r);
        }
    }
}

static void take_row(tq_layer_times *t, int at, const row *r)
{
    const double took = r->seconds - t->before[at];
    t->before[at] = r->seconds;
    if (t->n_rounds > 0)
        t->least[at] = t->least[at] == 0.0 || took < t->least[at] ? took : t->least[at];
}

void tq_layer_times_take(tq_layer_times *times, tq_arena *arena, const tq_engine *engine,
                         int n_threads)
{
    if (times->engine != engine) { /* another plan: begin again */
        const int n = count_rows(engine);
        *times = (tq_layer_times){ .engine = engine };
        times->before = TQ_NEW_N(arena, double, n + 1);
        times->least = TQ_NEW_N(arena, double, n + 1);
    }
    for_rows(engine, n_threads, take_row, times);
    times->n_rounds++;
}

static void print_row(tq_layer_times *t, int at, const row *r)
{
    const double seconds = t->least[at] > 0.0 ? t->least[at] : 1e-9;
    tq_print("%-28.28s %-56.56s %9.4f", r->node, r->kernel, t->least[at] * 1e3);
    if (r->macs > 0)
        tq_print(" %9.1f %6.1f", (double)r->macs / seconds * 1e-9,
                 100.0 * (double)r->macs / seconds / t->most);
    else
        tq_print(" %9s %6s", "", "");
    if (r->bytes > 0 && t->least[at] > 0.0)
        tq_print(" %7.1f", (double)r->bytes / seconds * 1e-9);
    tq_print("\n");
}

tq_status tq_layer_times_print(tq_layer_times *times, bool is_true, int n_threads)
{
    tq_peak peak;
    tq_pool *pool;
    TQ_TRY(tq_pool_create(n_threads, &pool));
    const tq_status status = tq_peak_measure(pool, &peak);
    n_threads = tq_pool_size(pool);
    tq_pool_destroy(pool);
    TQ_TRY(status);
    times->most = is_true ? peak.code_macs : peak.f32_macs;
    tq_print("at most: %.0f GMAC/s of codes (%s), %.0f of f32 (%s), %.1f GB/s from memory\n\n",
             peak.code_macs * 1e-9, peak.code_unit, peak.f32_macs * 1e-9, peak.f32_unit,
             peak.memory_bytes * 1e-9);
    tq_print("%-28s %-56s %9s %9s %6s %7s\n", "step", "kernel, or operators of one stage", "ms",
             "GMAC/s", "peak%", "GB/s");
    for_rows(times->engine, n_threads, print_row, times);
    tq_print("\n");
    return TQ_OK;
}
