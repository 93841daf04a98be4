/* Joining and leaving, and the collective operations as jobs of moves. */
#include "dist/dist_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_alone(const tq_ranks *ranks)
{
    return !ranks || ranks->wire.n_ranks == 1;
}

/* ---- coming and going -------------------------------------------------------------------------
 */

tq_status tq_ranks_join(tq_ranks **out_ranks)
{
    tq_ranks *ranks = tq_allocate(sizeof *ranks);
    if (!ranks)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    ranks->wire.n_ranks = 1;
    const tq_status status = tq_ranks_launched() == 1 ? TQ_OK : tq_wire_join(&ranks->wire);
    if (status) {
        free(ranks);
        return tq_wrap(status, "cannot join the other ranks");
    }
    tq_tree_path_init(&ranks->path, ranks->wire.n_ranks, ranks->wire.n_ranks, ranks->wire.index);
    *out_ranks = ranks;
    return TQ_OK;
}

void tq_ranks_leave(tq_ranks *ranks)
{
    if (!ranks)
        return;
    TQ_ASSERT(!ranks->in_flight);
    if (ranks->wire.transport)
        ranks->wire.transport->leave(ranks->wire.state);
    tq_work_free_spare(ranks);
    free(ranks);
}

int tq_ranks_index(const tq_ranks *ranks)
{
    return ranks ? ranks->wire.index : 0;
}

int tq_ranks_count(const tq_ranks *ranks)
{
    return ranks ? ranks->wire.n_ranks : 1;
}

tq_status tq_ranks_set_shards(tq_ranks *ranks, int64_t n_shards)
{
    const int n_ranks = tq_ranks_count(ranks);
    if (n_shards < n_ranks)
        return tq_fail(TQ_ERR_VALUE,
                       "%d %s, but only %" PRId64 " shards; start fewer ranks, or cut the batch "
                       "into more shards with --shards",
                       n_ranks, n_ranks == 1 ? "rank" : "ranks", n_shards);
    if (is_alone(ranks))
        return TQ_OK;
    TQ_ASSERT(!ranks->in_flight);
    tq_tree_path_init(&ranks->path, n_shards, n_ranks, ranks->wire.index);
    return TQ_OK;
}

void tq_ranks_give_way(const tq_ranks *ranks)
{
    if (tq_ranks_index(ranks) > 0)
        nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
}

void tq_ranks_abort(tq_ranks *ranks, int exit_status)
{
    if (!is_alone(ranks))
        ranks->wire.transport->abort(exit_status);
}

/* ---- sums -------------------------------------------------------------------------------------
 */

static void add_f32(void *to, const void *from, size_t size)
{
    float *sum = to;
    const float *more = from;
    for (size_t i = 0; i < size / sizeof *sum; i++)
        sum[i] += more[i];
}

static void add_f64(void *to, const void *from, size_t size)
{
    double *sum = to;
    const double *more = from;
    for (size_t i = 0; i < size / sizeof *sum; i++)
        sum[i] += more[i];
}

/** Part `part` of n values of value_size bytes. */
static void cut_part(const tq_job *job, size_t value_size, int part, size_t *out_offset,
                     size_t *out_size)
{
    int64_t begin, end;
    tq_shard_range((int64_t)(job->size / value_size), job->n_parts, part, &begin, &end);
    *out_offset = (size_t)begin * value_size;
    *out_size = (size_t)(end - begin) * value_size;
}

static void plan_sum_part(const tq_ranks *ranks, const tq_job *job, int part, tq_plan *plan)
{
    size_t offset, size;
    cut_part(job, *(const size_t *)job->context, part, &offset, &size);
    const int root = (int)((int64_t)part * ranks->wire.n_ranks / job->n_parts);
    if (job->n_parts == 1)
        tq_plan_exchange(&ranks->path, offset, size, plan);
    else
        tq_plan_sum(&ranks->path, root, offset, size, plan);
}

/** *value_size outlives the work. */
static tq_job sum_job(const tq_ranks *ranks, void *data, int64_t n, const size_t *value_size)
{
    const size_t size = (size_t)n * *value_size;
    const int n_parts = tq_sum_n_parts(size, ranks->wire.n_ranks);
    const tq_tree_path *path = &ranks->path;
    return (tq_job){
        .data = data,
        .size = size,
        .scratch_size = size,
        .n_parts = n_parts,
        .n_most_moves = n_parts == 1 ? tq_plan_most_across(path) : tq_plan_most_rooted(path),
        .plan = plan_sum_part,
        .context = value_size,
    };
}

static const size_t f32_size = sizeof(float), f64_size = sizeof(double);

tq_status tq_ranks_begin_sum_f32(tq_ranks *ranks, float *data, int64_t n, tq_ranks_work **out_work)
{
    *out_work = NULL;
    if (is_alone(ranks) || n == 0)
        return TQ_OK;
    tq_job job = sum_job(ranks, data, n, &f32_size);
    job.add = add_f32;
    return tq_work_begin(ranks, &job, out_work);
}

tq_status tq_ranks_sum_f32(tq_ranks *ranks, float *data, int64_t n)
{
    tq_ranks_work *work;
    TQ_TRY(tq_ranks_begin_sum_f32(ranks, data, n, &work));
    return tq_ranks_finish(work);
}

tq_status tq_ranks_sum_f64(tq_ranks *ranks, double *data, int64_t n)
{
    if (is_alone(ranks) || n == 0)
        return TQ_OK;
    tq_job job = sum_job(ranks, data, n, &f64_size);
    job.add = add_f64;
    return tq_work_run(ranks, &job);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

typedef struct rows {
    size_t size;
    const int64_t *begins;
} rows;

static void plan_rows(const tq_ranks *ranks, const tq_job *job, int part, tq_plan *plan)
{
    (void)part;
    const rows *r = job->context;
    tq_plan_gather(&ranks->path, r->size, r->begins, plan);
}

tq_status tq_ranks_gather_rows(tq_ranks *ranks, void *data, size_t row_size,
                               const int64_t *row_begins)
{
    if (is_alone(ranks))
        return TQ_OK;
    const rows context = { row_size, row_begins };
    return tq_work_run(ranks, &(tq_job){ .data = data,
                                         .n_parts = 1,
                                         .n_most_moves = tq_plan_most_across(&ranks->path),
                                         .plan = plan_rows,
                                         .context = &context });
}

static void plan_broadcast_part(const tq_ranks *ranks, const tq_job *job, int part, tq_plan *plan)
{
    size_t offset, size;
    cut_part(job, 1, part, &offset, &size);
    tq_plan_broadcast(&ranks->path, 0, offset, size, plan);
}

tq_status tq_ranks_broadcast(tq_ranks *ranks, void *data, size_t size)
{
    if (is_alone(ranks) || size == 0)
        return TQ_OK;
    return tq_work_run(ranks, &(tq_job){ .data = data,
                                         .size = size,
                                         .n_parts = tq_broadcast_n_parts(size),
                                         .n_most_moves = tq_plan_most_rooted(&ranks->path),
                                         .plan = plan_broadcast_part });
}

/** A 64-bit checksum: eight bytes at a time, each multiplied through all bits above. */
static uint64_t checksum(const void *data, size_t size)
{
    const char *bytes = data;
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    while (size > 0) {
        const size_t n = size < sizeof sum ? size : sizeof sum;
        uint64_t word = 0;
        memcpy(&word, bytes, n);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
        bytes += n;
        size -= n;
    }
    return sum;
}

typedef struct identity {
    uint64_t size, checksum;
} identity;

/** One row of every rank: rows [count], this rank's filled in. */
static tq_status gather_one_each(tq_ranks *ranks, void *data, size_t row_size)
{
    const int n_ranks = ranks->wire.n_ranks;
    int64_t *begins = tq_allocate(((size_t)n_ranks + 1) * sizeof *begins);
    if (!begins)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    for (int i = 0; i <= n_ranks; i++)
        begins[i] = i;
    const tq_status status = tq_ranks_gather_rows(ranks, data, row_size, begins);
    free(begins);
    return status;
}

static tq_status compare_identities(const identity *all, int n_ranks, const char *what)
{
    for (int i = 1; i < n_ranks; i++)
        if (all[i].size != all[0].size || all[i].checksum != all[0].checksum)
            return tq_fail(
                TQ_ERR_STATE,
                "rank %d has another %s than rank 0; start all ranks with the same files "
                "and options",
                i, what);
    return TQ_OK;
}

tq_status tq_ranks_agree(tq_ranks *ranks, const char *what, const void *data, size_t size)
{
    if (is_alone(ranks))
        return TQ_OK;
    identity *all = tq_allocate((size_t)ranks->wire.n_ranks * sizeof *all);
    if (!all)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    all[ranks->wire.index] = (identity){ size, checksum(data, size) };
    tq_status status = gather_one_each(ranks, all, sizeof *all);
    if (!status)
        status = compare_identities(all, ranks->wire.n_ranks, what);
    free(all);
    return status;
}
