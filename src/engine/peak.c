/* What the machine does at most: loops of independent multiply-accumulates on every thread, and the
 * sum of arrays larger than the caches. The best of several short runs counts: others may be using
 * the machine. */
#include "base/base.h"
#include "engine/engine_internal.h"

#include <stdlib.h>

enum { RUNS = 8, ARRAY = 48 << 20 /* bytes a thread */ };

typedef struct job {
    void (*run)(int64_t n);
    int64_t n;
    const uint64_t *data;
    uint64_t *sums;
} job;

static double best_time(tq_pool *pool, void (*piece)(void *, int64_t, int), job *j)
{
    double best = 0.0;
    for (int i = 0; i < RUNS; i++) {
        const double start = tq_engine_now();
        tq_parallel_for(pool, tq_pool_size(pool), piece, j);
        const double seconds = tq_engine_now() - start;
        best = best == 0.0 || seconds < best ? seconds : best;
    }
    return best;
}

static void run_probe(void *context, int64_t i, int worker)
{
    (void)i;
    (void)worker;
    const job *j = context;
    j->run(j->n);
}

/** Multiply-accumulates per second of the best probe that this CPU has. */
static double measure_macs(tq_pool *pool, bool is_codes, const char **out_unit)
{
    const tq_probe *p = tq_probes;
    while (p->is_codes != is_codes || (p->needs & tq_cpu_flags()) != p->needs)
        p++;
    *out_unit = p->unit;
    job j = { .run = p->run, .n = 1000 };
    const double once = best_time(pool, run_probe, &j);
    j.n = (int64_t)(1000.0 * 0.002 / once) + 1; /* 2 ms a run */
    return (double)(j.n * p->macs) * tq_pool_size(pool) / best_time(pool, run_probe, &j);
}

static void sum_array(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t n = ARRAY / (int64_t)sizeof *j->data;
    const uint64_t *x = j->data + i * n;
    uint64_t sums[8] = { 0 };
    for (int64_t k = 0; k < n; k += 8)
        for (int s = 0; s < 8; s++)
            sums[s] += x[k + s];
    for (int s = 0; s < 8; s++)
        j->sums[i] += sums[s];
}

tq_status tq_peak_measure(tq_pool *pool, tq_peak *out_peak)
{
    const int n = tq_pool_size(pool);
    tq_buffer *buffer;
    uint64_t *sums = tq_allocate((size_t)n * sizeof *sums);
    if (!sums)
        return tq_fail(TQ_ERR_MEMORY, "no memory to measure with");
    const tq_status status = tq_buffer_create((size_t)n * ARRAY, &buffer);
    if (status) {
        free(sums);
        return status;
    }
    uint64_t *data = tq_buffer_data(buffer);
    for (int64_t i = 0; i < (int64_t)n * ARRAY / (int64_t)sizeof *data; i++)
        data[i] = (uint64_t)i; /* pages of zeros may all be one */
    job j = { .data = data, .sums = sums };
    *out_peak = (tq_peak){ .memory_bytes = (double)n * ARRAY / best_time(pool, sum_array, &j) };
    out_peak->code_macs = measure_macs(pool, true, &out_peak->code_unit);
    out_peak->f32_macs = measure_macs(pool, false, &out_peak->f32_unit);
    tq_buffer_release(buffer);
    free(sums);
    return TQ_OK;
}
