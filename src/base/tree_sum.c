/* Sums of equal parts by a fixed binary tree: step 1 adds part 1 to 0, 3 to 2, ..., step 2 adds 2
 * to 0, ... The order of the additions depends on the number of parts alone. Seen from the root, n
 * parts are cut at the largest power of two below n; so are both halves, down to one part. */
#include "base/base.h"
#include <truq/threads.h>

void tq_tree_sum(float *parts, int64_t n_parts, int64_t count, int64_t stride)
{
    for (int64_t step = 1; step < n_parts; step *= 2)
        for (int64_t i = 0; i + step < n_parts; i += 2 * step) {
            float *to = parts + i * stride;
            const float *from = parts + (i + step) * stride;
            for (int64_t k = 0; k < count; k++)
                to[k] += from[k];
        }
}

void tq_tree_sum_f64(double *parts, int64_t n_parts, int64_t count, int64_t stride)
{
    for (int64_t step = 1; step < n_parts; step *= 2)
        for (int64_t i = 0; i + step < n_parts; i += 2 * step) {
            double *to = parts + i * stride;
            const double *from = parts + (i + step) * stride;
            for (int64_t k = 0; k < count; k++)
                to[k] += from[k];
        }
}

static int64_t largest_power_below(int64_t n)
{
    int64_t power = 1;
    while (power <= (n - 1) / 2)
        power *= 2;
    return power;
}

tq_tree_cut tq_tree_split(int64_t n_shards, int n_ranks)
{
    const int64_t left = largest_power_below(n_shards), right = n_shards - left;
    int64_t n = (2 * n_ranks * left + n_shards) / (2 * n_shards); /* to nearest, half up */
    const int64_t fewest = n_ranks - right > 1 ? n_ranks - right : 1;
    const int64_t most = left < n_ranks - 1 ? left : n_ranks - 1;
    n = n < fewest ? fewest : n > most ? most : n;
    return (tq_tree_cut){ .n_left_shards = left, .n_left_ranks = (int)n };
}

void tq_tree_share(int64_t n_shards, int n_ranks, int rank, int64_t *out_begin, int64_t *out_end)
{
    TQ_ASSERT(n_ranks >= 1 && n_ranks <= n_shards && rank >= 0 && rank < n_ranks);
    int64_t begin = 0, end = n_shards;
    while (n_ranks > 1) {
        const tq_tree_cut cut = tq_tree_split(end - begin, n_ranks);
        if (rank < cut.n_left_ranks) {
            end = begin + cut.n_left_shards;
            n_ranks = cut.n_left_ranks;
        } else {
            begin += cut.n_left_shards;
            n_ranks -= cut.n_left_ranks;
            rank -= cut.n_left_ranks;
        }
    }
    *out_begin = begin;
    *out_end = end;
}
