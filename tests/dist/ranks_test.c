/* Ranks without a launcher: how many there are, and that one rank needs nothing. */
#include "check.h"
#include "dist/dist_internal.h"

static const char *const variables[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE",     "MV2_COMM_WORLD_SIZE",
                                         "PMIX_RANK",            "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS",
                                         "MPI_LOCALNRANKS" };

/** The count with these two variables set and no other; NULL is none. */
static int count_with(const char *name, const char *value, const char *name_2, const char *value_2)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    if (name)
        setenv(name, value, 1);
    if (name_2)
        setenv(name_2, value_2, 1);
    const int n = tq_ranks_launched();
    if (name)
        unsetenv(name);
    if (name_2)
        unsetenv(name_2);
    return n;
}

TEST(launchers_say_how_many_ranks_there_are)
{
    CHECK_EQ(count_with(NULL, NULL, NULL, NULL), 1);
    CHECK_EQ(count_with("OMPI_COMM_WORLD_SIZE", "4", "PMIX_RANK", "0"), 4);
    CHECK_EQ(count_with("OMPI_COMM_WORLD_SIZE", "1", "PMIX_RANK", "0"), 1);
    CHECK_EQ(count_with("PMI_SIZE", "2", "MPI_LOCALNRANKS", "1"), 2);
    CHECK_EQ(count_with("MPI_LOCALNRANKS", "3", NULL, NULL), 0);
    CHECK_EQ(count_with("PMIX_RANK", "0", NULL, NULL), 0);
    CHECK_EQ(count_with("PMIX_RANK", "0", "SLURM_NTASKS", "8"), 8);
    CHECK_EQ(count_with("PMI_SIZE", "many", NULL, NULL), 1);
}

TEST(a_process_inside_an_allocation_that_no_launcher_started_is_alone)
{
    CHECK_EQ(count_with("SLURM_NTASKS", "8", "SLURM_STEP_NUM_TASKS", "8"), 1);
}

TEST(one_rank_does_everything_at_once)
{
    CHECK_EQ(count_with(NULL, NULL, NULL, NULL), 1); /* whatever runs this test */
    tq_ranks *ranks = NULL;
    CHECK_OK(tq_ranks_join(&ranks));
    CHECK_EQ(tq_ranks_index(ranks), 0);
    CHECK_EQ(tq_ranks_count(ranks), 1);
    CHECK_OK(tq_ranks_set_shards(ranks, 16));
    float x[] = { 1, 2 };
    double y[] = { 3 };
    tq_ranks_work *work = (tq_ranks_work *)(void *)x;
    CHECK_OK(tq_ranks_sum_f32(ranks, x, 2));
    CHECK_OK(tq_ranks_sum_f64(ranks, y, 1));
    CHECK_OK(tq_ranks_begin_sum_f32(ranks, x, 2, &work));
    CHECK(work == NULL && tq_ranks_work_is_done(work));
    CHECK_OK(tq_ranks_progress(ranks));
    CHECK_OK(tq_ranks_finish(work));
    CHECK_OK(tq_ranks_gather_rows(ranks, x, sizeof *x, (int64_t[]){ 0, 2 }));
    CHECK_OK(tq_ranks_broadcast(ranks, x, sizeof x));
    CHECK_OK(tq_ranks_agree(ranks, "recipe", x, sizeof x));
    CHECK(x[0] == 1 && x[1] == 2 && y[0] == 3);
    tq_ranks_link link;
    CHECK_OK(tq_ranks_measure(ranks, &link));
    CHECK(link.alpha_s == 0 && link.beta_s_per_byte == 0);
    tq_ranks_give_way(ranks);
    tq_ranks_abort(ranks, 1);
    tq_ranks_leave(ranks);
}

TEST(no_ranks_are_one_rank)
{
    CHECK_EQ(tq_ranks_count(NULL), 1);
    CHECK_EQ(tq_ranks_index(NULL), 0);
    CHECK_OK(tq_ranks_sum_f32(NULL, NULL, 5));
    CHECK_OK(tq_ranks_progress(NULL));
    tq_ranks_abort(NULL, 1);
    tq_ranks_leave(NULL);
}

TEST(more_ranks_than_shards_are_refused)
{
    tq_ranks ranks = { .wire.n_ranks = 8 };
    CHECK_FAILS(tq_ranks_set_shards(&ranks, 4), TQ_ERR_VALUE, "8 ranks, but only 4 shards");
    CHECK_FAILS(tq_ranks_set_shards(&ranks, 4), TQ_ERR_VALUE, "--shards");
    CHECK_FAILS(tq_ranks_set_shards(NULL, 0), TQ_ERR_VALUE, "only 0 shards");
}
