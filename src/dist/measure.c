/* What a message between neighbours costs: time = alpha + beta * bytes. Messages go to and fro
 * through the same machinery as those of sums. First the ranks (0, 1), (2, 3) ..., then (1, 2), (3,
 * 4) ... measure at the same time. */
#include "dist/dist_internal.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static const size_t sizes[] = { 0, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304 };
enum { N_SIZES = sizeof sizes / sizeof *sizes, N_BATCHES = 6 };

/** Messages to and fro in one batch: fewer of the large ones. */
static int count_trips(size_t size)
{
    return size <= 16384 ? 50 : size <= 262144 ? 10 : 2;
}

typedef struct ping {
    int peer, n_trips;
    bool begins;
} ping;

static void plan_ping(const tq_ranks *ranks, const tq_job *job, int part, tq_plan *plan)
{
    (void)part;
    const ping *p = job->context;
    if (p->peer < 0 || p->peer >= ranks->wire.n_ranks)
        return; /* nobody there, but the operation is counted as on all ranks */
    for (int i = 0; i < 2 * p->n_trips; i++)
        plan->moves[plan->n_moves++] = (tq_move){
            .kind = (i % 2 == 0) == p->begins ? TQ_MOVE_SEND : TQ_MOVE_RECEIVE,
            .ends_group = true,
            .peer = p->peer,
            .size = job->size,
        };
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** The best time of one message of each size over the link to the neighbour `peer`: [N_SIZES]. */
static tq_status measure_link(tq_ranks *ranks, int peer, char *data, double *out_times)
{
    for (int i = 0; i < N_SIZES; i++) {
        const ping context = { peer, count_trips(sizes[i]), ranks->wire.index < peer };
        const tq_job job = { .data = data,
                             .size = sizes[i],
                             .n_parts = 1,
                             .n_most_moves = 2 * context.n_trips,
                             .plan = plan_ping,
                             .context = &context };
        out_times[i] = INFINITY;
        for (int batch = 0; batch < N_BATCHES; batch++) {
            const double begin = seconds();
            TQ_TRY(tq_work_run(ranks, &job));
            out_times[i] = fmin(out_times[i], (seconds() - begin) / (2 * context.n_trips));
        }
    }
    return TQ_OK;
}

/** times [n_ranks - 1][N_SIZES]: row i is the link of i and i + 1, as i measured it. */
static tq_status measure_links(tq_ranks *ranks, double *times)
{
    const int rank = ranks->wire.index, n_ranks = ranks->wire.n_ranks;
    char *data = tq_allocate(sizes[N_SIZES - 1]);
    if (!data)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    tq_status status = TQ_OK;
    for (int turn = 0; turn < 2 && !status; turn++) {
        const int peer = rank % 2 == turn ? rank + 1 : rank - 1;
        double unused[N_SIZES];
        const bool is_ours = peer > rank && peer < n_ranks;
        status = measure_link(ranks, peer, data, is_ours ? times + (size_t)rank * N_SIZES : unused);
    }
    free(data);
    return status;
}

/** Every rank's row to all of them; the last rank has none. */
static tq_status share_links(tq_ranks *ranks, double *times)
{
    const int n_ranks = ranks->wire.n_ranks;
    int64_t *begins = tq_allocate(((size_t)n_ranks + 1) * sizeof *begins);
    if (!begins)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    for (int i = 0; i <= n_ranks; i++)
        begins[i] = i < n_ranks - 1 ? i : n_ranks - 1;
    const tq_status status = tq_ranks_gather_rows(ranks, times, N_SIZES * sizeof *times, begins);
    free(begins);
    return status;
}

/** Minimises sum over i of ((alpha + beta * sizes[i] - times[i]) / times[i])^2, beta >= 0: on a
 * busy machine long messages may seem no slower than short ones. */
static tq_ranks_link fit(const double *times)
{
    double w = 0, x = 0, xx = 0, y = 0, xy = 0; /* sums of weights 1 / t^2 times powers */
    for (int i = 0; i < N_SIZES; i++) {
        const double size = (double)sizes[i], weight = 1 / (times[i] * times[i]);
        w += weight;
        x += weight * size;
        xx += weight * size * size;
        y += weight * times[i];
        xy += weight * size * times[i];
    }
    tq_ranks_link link = { .beta_s_per_byte = fmax((w * xy - x * y) / (w * xx - x * x), 0.0) };
    link.alpha_s = (y - link.beta_s_per_byte * x) / w;
    for (int i = 0; i < N_SIZES; i++) {
        const double fitted = link.alpha_s + link.beta_s_per_byte * (double)sizes[i];
        link.misfit = fmax(link.misfit, fabs(fitted - times[i]) / times[i]);
    }
    return link;
}

tq_status tq_ranks_measure(tq_ranks *ranks, tq_ranks_link *out_link)
{
    *out_link = (tq_ranks_link){ 0 };
    const int n_links = tq_ranks_count(ranks) - 1;
    if (n_links == 0)
        return TQ_OK;
    double *times = tq_allocate((size_t)n_links * N_SIZES * sizeof *times);
    if (!times)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    tq_status status = measure_links(ranks, times);
    if (!status)
        status = share_links(ranks, times);
    for (int i = N_SIZES; i < n_links * N_SIZES; i++) /* the slowest link at each size */
        times[i % N_SIZES] = fmax(times[i % N_SIZES], times[i]);
    if (!status)
        *out_link = fit(times);
    free(times);
    return status;
}
