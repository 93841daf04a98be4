/* A batch shared among ranks: what an engine asks of the others, by the room of ranks. */
#include "train/train_internal.h"

static tq_status count(tq_share *share, double start, tq_status status)
{
    share->counts->wait_s += tq_now() - start;
    return status;
}

static tq_status sum_f64(void *context, double *data, int64_t n)
{
    tq_share *share = context;
    const double start = tq_now();
    share->counts->n_sums++;
    share->counts->sum_bytes += n * (int64_t)sizeof *data;
    return count(share, start, tq_ranks_sum_f64(share->ranks, data, n));
}

static tq_status begin_sum_f32(void *context, float *data, int64_t n, void **out_work)
{
    tq_share *share = context;
    tq_ranks_work *work;
    share->counts->n_buckets++;
    share->counts->bucket_bytes += n * (int64_t)sizeof *data;
    TQ_TRY(tq_ranks_begin_sum_f32(share->ranks, data, n, &work));
    *out_work = work;
    return TQ_OK;
}

static tq_status finish(void *context, void *work)
{
    const double start = tq_now();
    return count(context, start, tq_ranks_finish(work));
}

static tq_status progress(void *context)
{
    const tq_share *share = context;
    return tq_ranks_progress(share->ranks);
}

static tq_status gather(void *context, void *rows, size_t row_size)
{
    return tq_share_gather(context, rows, row_size);
}

void tq_share_init(tq_share *share, tq_ranks *ranks, int64_t batch, int n_shards,
                   tq_exchange_counts *counts, tq_arena *arena)
{
    const int n = tq_ranks_count(ranks), index = tq_ranks_index(ranks);
    int64_t end;
    *share = (tq_share){ .ranks = ranks,
                         .n_shards = (int)tq_clip_i64(batch, 1, n_shards),
                         .counts = counts };
    share->is_shared = n > 1 && n <= share->n_shards;
    share->row_begins = TQ_NEW_N(arena, int64_t, n + 1);
    for (int i = 0; i < n; i++)
        tq_rank_rows(batch, share->n_shards, n, i, &share->row_begins[i], &end);
    share->row_begins[n] = batch;
    share->exchange = (tq_exchange){ .context = share,
                                     .own_outputs = true,
                                     .sum_f64 = sum_f64,
                                     .begin_sum_f32 = begin_sum_f32,
                                     .finish = finish,
                                     .progress = progress,
                                     .gather = gather };
    if (share->is_shared)
        tq_tree_share(share->n_shards, n, index, &share->exchange.shard_begin,
                      &share->exchange.shard_end);
}

tq_status tq_share_begin(const tq_share *share)
{
    return share->is_shared ? tq_ranks_set_shards(share->ranks, share->n_shards) : TQ_OK;
}

tq_status tq_share_gather(tq_share *share, void *rows, size_t row_size)
{
    if (!share->is_shared)
        return TQ_OK;
    const double start = tq_now();
    const int64_t n_rows = share->row_begins[tq_ranks_count(share->ranks)];
    share->counts->n_gathers++;
    share->counts->gather_bytes += n_rows * (int64_t)row_size;
    return count(share, start,
                 tq_ranks_gather_rows(share->ranks, rows, row_size, share->row_begins));
}

void tq_share_rows(const tq_share *share, int64_t *out_begin, int64_t *out_end)
{
    const int index = share->is_shared ? tq_ranks_index(share->ranks) : 0;
    const int n = share->is_shared ? 1 : tq_ranks_count(share->ranks);
    *out_begin = share->is_shared ? share->row_begins[index] : 0;
    *out_end = share->row_begins[index + n];
}

tq_status tq_share_sum(tq_share *share, double *data, int64_t n)
{
    return share->is_shared ? sum_f64(share, data, n) : TQ_OK;
}
