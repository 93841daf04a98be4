/* Pools: every piece once, and results that do not know how many threads there were. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct tally {
    atomic_int runs[1000];
    atomic_int n_bad_workers;
    int size;
} tally;

static void count_piece(void *context, int64_t i, int worker)
{
    tally *t = context;
    atomic_fetch_add(&t->runs[i], 1);
    if (worker < 0 || worker >= t->size)
        atomic_fetch_add(&t->n_bad_workers, 1);
}

TEST(every_piece_runs_once_in_every_job)
{
    for (int size = 1; size <= 5; size++) {
        tq_pool *pool;
        CHECK_OK(tq_pool_create(size, &pool));
        CHECK_EQ(tq_pool_size(pool), size);
        tally t = { .size = size };
        for (int job = 0; job < 200; job++)
            tq_parallel_for(pool, 1 + job * 7 % 1000, count_piece, &t);
        for (int i = 0; i < 1000; i++) {
            int expected = 0;
            for (int job = 0; job < 200; job++)
                expected += i < 1 + job * 7 % 1000;
            CHECK_EQ(t.runs[i], expected, "piece %d, %d threads", i, size);
        }
        CHECK_EQ(t.n_bad_workers, 0);
        tq_pool_destroy(pool);
    }
}

enum { MOST_PIECES = 20, N_JOBS = 30 };

/* A sequence of jobs, each of which reads what the one before wrote. */
typedef struct chain {
    uint32_t values[N_JOBS + 1][MOST_PIECES];
    int job; /* of this thread's copy */
    struct chain *all;
} chain;

static int64_t count_links(int job)
{
    return job % 4 == 0 ? 1 : 1 + job * 7 % MOST_PIECES;
}

static void add_link(void *context, int64_t i, int worker)
{
    (void)worker;
    const int job = ((const chain *)context)->job;
    chain *c = ((chain *)context)->all;
    for (int64_t k = i; k < MOST_PIECES; k += count_links(job))
        c->values[job + 1][k] += 3 * c->values[job][k] + c->values[job][(k + 7) % MOST_PIECES] + 1;
}

static void walk_chain(void *context, tq_pool *pool)
{
    chain mine = { .all = context };
    for (mine.job = 0; mine.job < N_JOBS; mine.job++)
        tq_parallel_for(pool, count_links(mine.job), add_link, &mine);
}

TEST(threads_that_walk_together_run_every_piece_of_every_job_once)
{
    static chain expected;
    for (int k = 0; k < MOST_PIECES; k++)
        expected.values[0][k] = (uint32_t)k;
    walk_chain(&expected, NULL);
    for (int size = 1; size <= 5; size++) {
        tq_pool *pool;
        CHECK_OK(tq_pool_create(size, &pool));
        for (int walk = 0; walk < 400; walk++) {
            chain c = { 0 };
            memcpy(c.values[0], expected.values[0], sizeof c.values[0]);
            tq_pool_together(pool, walk_chain, &c);
            CHECK_EQ(memcmp(c.values, expected.values, sizeof c.values), 0, "walk %d of %d threads",
                     walk, size);
            tally t = { .size = size }; /* jobs of the other kind in between */
            tq_parallel_for(pool, 3, count_piece, &t);
            CHECK_EQ(t.runs[0] + t.runs[1] + t.runs[2], 3);
        }
        tq_pool_destroy(pool);
    }
}

typedef struct walkers {
    tally t;
    pthread_t caller;
} walkers;

/* The caller comes last: others did all that they may, and the next walk still counts right. */
static void wait_first(void *context, tq_pool *pool)
{
    if (pthread_equal(pthread_self(), ((walkers *)context)->caller))
        usleep(2000);
    for (int job = 0; job < 3; job++)
        tq_parallel_for(pool, 8, count_piece, &((walkers *)context)->t);
}

TEST(a_caller_that_comes_last_to_a_walk_loses_none)
{
    tq_pool *pool;
    CHECK_OK(tq_pool_create(3, &pool));
    for (int walk = 0; walk < 20; walk++) {
        walkers w = { .t = { .size = 3 }, .caller = pthread_self() };
        tq_pool_together(pool, wait_first, &w);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(w.t.runs[i], 3, "piece %d of walk %d", i, walk);
    }
    tq_pool_destroy(pool);
}

static void append_piece(void *context, int64_t i, int worker)
{
    char *text = context;
    snprintf(text + strlen(text), 8, "%d:%d ", (int)i, worker);
}

TEST(without_a_pool_the_caller_runs_all_in_order)
{
    char text[64] = "";
    tq_parallel_for(NULL, 3, append_piece, text);
    tq_parallel_for(NULL, 0, append_piece, text);
    CHECK_STR(text, "0:0 1:0 2:0 ");
    CHECK_EQ(tq_pool_size(NULL), 1);
    tq_pool_destroy(NULL);
}

enum { N_ITEMS = 10007, N_SHARDS = 13 };
typedef struct sum_job {
    float items[N_ITEMS], parts[N_SHARDS];
} sum_job;

static void sum_shard(void *context, int64_t i, int worker)
{
    (void)worker;
    sum_job *job = context;
    int64_t begin, end;
    tq_shard_range(N_ITEMS, N_SHARDS, i, &begin, &end);
    job->parts[i] = 0;
    for (int64_t k = begin; k < end; k++)
        job->parts[i] += job->items[k];
}

TEST(a_sharded_sum_has_the_same_bits_for_any_pool)
{
    static sum_job job;
    tq_random random;
    tq_random_init(&random, 3, 0, 0);
    for (int i = 0; i < N_ITEMS; i++)
        job.items[i] = (float)tq_random_normal(&random);
    float first = 0;
    for (int size = 1; size <= 4; size++) {
        tq_pool *pool;
        CHECK_OK(tq_pool_create(size, &pool));
        tq_parallel_for(pool, N_SHARDS, sum_shard, &job);
        tq_tree_sum(job.parts, N_SHARDS, 1, 1);
        first = size == 1 ? job.parts[0] : first;
        CHECK_EQ(memcmp(&first, &job.parts[0], sizeof first), 0, "%d threads", size);
        tq_pool_destroy(pool);
    }
}

TEST(a_tree_sum_adds_neighbours_first)
{
    float parts[] = { 1e8f, 3, -1e8f, 3, 5 }; /* (1e8 + 3) + (-1e8 + 3) + 5; 1e8f steps by 8 */
    tq_tree_sum(parts, 5, 1, 1);
    CHECK_NEAR(parts[0], 5, 0);
}

TEST(a_tree_sum_keeps_to_count_and_stride)
{
    double parts[] = { 1, 2, 9, 10, 20, 9, 100, 200, 9 };
    tq_tree_sum_f64(parts, 3, 2, 3);
    CHECK_NEAR(parts[0], 111, 0);
    CHECK_NEAR(parts[1], 222, 0);
    CHECK_NEAR(parts[2], 9, 0);
}

TEST(shards_cover_all_items_once)
{
    for (int64_t n = 0; n < 40; n++)
        for (int64_t n_shards = 1; n_shards < 12; n_shards++) {
            int64_t next = 0, begin, end;
            for (int64_t i = 0; i < n_shards; i++, next = end) {
                tq_shard_range(n, n_shards, i, &begin, &end);
                CHECK_EQ(begin, next);
                CHECK(end - begin == n / n_shards || end - begin == n / n_shards + 1);
            }
            CHECK_EQ(next, n);
        }
}

TEST(an_impossible_number_of_threads_is_an_error)
{
    tq_pool *pool;
    CHECK_FAILS(tq_pool_create(-1, &pool), TQ_ERR_VALUE, "-1 threads");
    CHECK_FAILS(tq_pool_create(100000, &pool), TQ_ERR_VALUE, "expected 1 to 1024");
    CHECK_OK(tq_pool_create(0, &pool));
    CHECK(tq_pool_size(pool) >= 1);
    tq_pool_destroy(pool);
}

TEST(the_environment_takes_cpu_abilities_away)
{
    const char *set = getenv("TRUQ_CPU");
    char *before = set ? strdup(set) : NULL;
    setenv("TRUQ_CPU", "reference", 1);
    CHECK_EQ(tq_cpu_flags(), 0);
    CHECK_STR(tq_cpu_level(), "reference");
    setenv("TRUQ_CPU", "avx2", 1);
    CHECK_EQ(tq_cpu_flags() & ~(unsigned)(TQ_CPU_AVX2 | TQ_CPU_FMA), 0);
    setenv("TRUQ_CPU", "no such level", 1);
    const unsigned all = tq_cpu_flags();
    unsetenv("TRUQ_CPU");
    CHECK_EQ(tq_cpu_flags(), all);
    if (before)
        setenv("TRUQ_CPU", before, 1);
    free(before);
}
