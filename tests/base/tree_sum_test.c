/* How the tree of a sum is shared among ranks: each gets one node, and no bit changes. */
#include "check.h"

/** "4 4 8": the lengths of the runs of all ranks; checks that the runs follow each other. */
static const char *shares(int64_t n_shards, int n_ranks)
{
    static char text[256];
    int64_t next = 0, begin, end;
    size_t used = 0;
    for (int rank = 0; rank < n_ranks; rank++, next = end) {
        tq_tree_share(n_shards, n_ranks, rank, &begin, &end);
        CHECK_EQ(begin, next, "rank %d", rank);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, rank ? " " : "", end - begin);
    }
    CHECK_EQ(next, n_shards);
    return text;
}

TEST(sixteen_shards_are_shared_as_evenly_as_the_nodes_of_their_tree_allow)
{
    CHECK_STR(shares(16, 1), "16");
    CHECK_STR(shares(16, 2), "8 8");
    CHECK_STR(shares(16, 3), "4 4 8");
    CHECK_STR(shares(16, 4), "4 4 4 4");
    CHECK_STR(shares(16, 16), "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
}

TEST(other_numbers_of_shards_are_cut_at_powers_of_two)
{
    CHECK_STR(shares(6, 2), "4 2");
    CHECK_STR(shares(6, 3), "2 2 2");
    CHECK_STR(shares(5, 2), "4 1");
    CHECK_STR(shares(5, 3), "2 2 1");
    CHECK_STR(shares(5, 4), "1 1 2 1");
    CHECK_STR(shares(1, 1), "1");
}

/** The tree over the sums of the runs: each stands where its run begins, the other places hold -0, which
 *  adds nothing to any float. */
static float sum_of_runs(const float *parts, int n_shards, int n_ranks)
{
    float run[40], sums[40];
    for (int i = 0; i < n_shards; i++)
        sums[i] = -0.0f;
    for (int rank = 0; rank < n_ranks; rank++) {
        int64_t begin, end;
        tq_tree_share(n_shards, n_ranks, rank, &begin, &end);
        memcpy(run, parts + begin, (size_t)(end - begin) * sizeof *run);
        tq_tree_sum(run, end - begin, 1, 1);
        sums[begin] = run[0];
    }
    tq_tree_sum(sums, n_shards, 1, 1);
    return sums[0];
}

TEST(sums_of_runs_meet_in_the_bits_of_the_whole_sum)
{
    tq_random random;
    tq_random_init(&random, 7, 0, 0);
    for (int n_shards = 1; n_shards <= 40; n_shards++)
        for (int n_ranks = 1; n_ranks <= n_shards; n_ranks++) {
            float parts[40], whole[40];
            for (int i = 0; i < n_shards; i++)
                parts[i] = (float)(tq_random_normal(&random) * exp(8 * tq_random_normal(&random)));
            memcpy(whole, parts, sizeof whole);
            tq_tree_sum(whole, n_shards, 1, 1);
            const float sum = sum_of_runs(parts, n_shards, n_ranks);
            CHECK_EQ(memcmp(&sum, whole, sizeof sum), 0, "%d shards, %d ranks", n_shards, n_ranks);
        }
}

TEST(of_a_power_of_two_no_rank_has_more_than_its_share_rounded_up_to_a_power_of_two)
{
    for (int64_t n_shards = 1; n_shards <= 64; n_shards *= 2)
        for (int n_ranks = 1; n_ranks <= n_shards; n_ranks++)
            for (int rank = 0; rank < n_ranks; rank++) {
                int64_t begin, end, most = 1;
                tq_tree_share(n_shards, n_ranks, rank, &begin, &end);
                while (most * n_ranks < n_shards)
                    most *= 2;
                CHECK(end > begin && end - begin <= most);
            }
}
