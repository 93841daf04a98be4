/* A pool of threads. The pieces of a job are cut into one share for each thread, the same from job
 * to job, so that a thread finds near what it wrote in the job before; who is done with its own
 * share takes from those of others. A share is one atomic word, the job it was last taken from and
 * how many of its pieces were taken: who comes late to a job finds all taken or the job too old,
 * and touches nothing. A job is over when as many pieces are done as there are.
 *
 * Waiting spins for some microseconds, since the next job mostly follows at once, then sleeps.
 * Whoever sleeps says so before it looks a last time at what it waits for, and whoever changes that
 * looks for sleepers after it, both in sequential consistency: no wake-up is lost. */
#define _GNU_SOURCE
#include "base/base.h"
#include <truq/threads.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, N_SPINS = 2000, APART = 128 };

/* Lines of the cache that its thread writes most. */
typedef struct share {
    char apart[APART];
    _Atomic uint64_t taken;  /* low word of the job << 32 | pieces */
    _Atomic uint64_t n_done; /* pieces that this thread has run, of all jobs */
} share;

typedef struct worker {
    tq_pool *pool;
    pthread_t thread;
    int index;
} worker;

typedef struct job {
    void (*_Atomic piece)(void *context, int64_t i, int worker);
    void *_Atomic context;
    _Atomic int64_t n;
} job;

struct tq_pool {
    int n_threads, n_started;
    uint64_t n_expected;   /* pieces of all jobs so far */
    pthread_mutex_t mutex; /* for sleeping only */
    pthread_cond_t job_opened, job_over;
    worker *workers; /* n_threads - 1; the caller is worker 0 */
    char apart_0[APART];
    _Atomic uint64_t number; /* of the last job that was opened */
    job jobs[2];             /* by number, so that one stays as it is while the next is written */
    char apart_1[APART];
    atomic_int n_asleep; /* workers */
    atomic_bool caller_sleeps, is_ending;
    share shares[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* ---- pieces ------------------------------------------------------------------------------- */

/** Takes a piece from the share of thread `of`. */
static bool take(tq_pool *pool, uint64_t number, int64_t n, int of, int64_t *out_piece)
{
    int64_t begin, end;
    tq_shard_range(n, pool->n_threads, of, &begin, &end);
    _Atomic uint64_t *taken = &pool->shares[of].taken;
    uint64_t word = atomic_load(taken);
    for (;;) {
        const int32_t newer = (int32_t)((uint32_t)(word >> 32) - (uint32_t)number);
        const int64_t n_taken = newer == 0 ? (int64_t)(uint32_t)word : 0;
        if (newer > 0 || begin + n_taken >= end)
            return false;
        if (atomic_compare_exchange_weak(taken, &word, number << 32 | (uint64_t)(n_taken + 1))) {
            *out_piece = begin + n_taken;
            return true;
        }
    }
}

/** Own pieces, then those of others. */
static void run_pieces(tq_pool *pool, uint64_t number, const job *j, int index)
{
    uint64_t n_done = 0;
    for (int k = 0; k < pool->n_threads; k++) {
        const int of = (index + k) % pool->n_threads;
        for (int64_t i; take(pool, number, j->n, of, &i); n_done++)
            j->piece(j->context, i, index);
    }
    if (n_done == 0)
        return;
    atomic_fetch_add(&pool->shares[index].n_done, n_done);
    if (index == 0 || !atomic_load(&pool->caller_sleeps))
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->job_over);
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- workers ------------------------------------------------------------------------------ */

static bool is_news(tq_pool *pool, uint64_t seen)
{
    return atomic_load(&pool->number) != seen || atomic_load(&pool->is_ending);
}

/** Returns when a job was opened since `seen` or the pool ends; false for the latter. */
static bool wait_for_job(tq_pool *pool, uint64_t seen)
{
    for (int i = 0; i < N_SPINS && !is_news(pool, seen); i++)
        pause_briefly();
    if (!is_news(pool, seen)) {
        pthread_mutex_lock(&pool->mutex);
        atomic_fetch_add(&pool->n_asleep, 1);
        while (!is_news(pool, seen))
            pthread_cond_wait(&pool->job_opened, &pool->mutex);
        atomic_fetch_sub(&pool->n_asleep, 1);
        pthread_mutex_unlock(&pool->mutex);
    }
    return !atomic_load(&pool->is_ending);
}

static void *work(void *argument)
{
    const worker *self = argument;
    tq_pool *pool = self->pool;
    uint64_t seen = 0;
    while (wait_for_job(pool, seen)) {
        const uint64_t number = atomic_load(&pool->number);
        const job *from = &pool->jobs[number % 2];
        const job j = { atomic_load(&from->piece), atomic_load(&from->context),
                        atomic_load(&from->n) };
        if (atomic_load(&pool->number) != number)
            continue; /* the next but one may be written there by now */
        seen = number;
        run_pieces(pool, number, &j, self->index);
    }
    return NULL;
}

/* ---- the pool ----------------------------------------------------------------------------- */

static int count_cores(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < MOST_THREADS ? n : MOST_THREADS;
}

tq_status tq_pool_create(int n_threads, tq_pool **out_pool)
{
    if (n_threads < 0 || n_threads > MOST_THREADS)
        return tq_fail(TQ_ERR_VALUE,
                       "%d threads asked for; expected 1 to %d, or 0 for one per core", n_threads,
                       MOST_THREADS);
    const int n = n_threads ? n_threads : count_cores();
    tq_pool *pool =
        tq_allocate(sizeof *pool + (size_t)n * (sizeof(share) + sizeof(worker)) + APART);
    if (!pool)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    pool->n_threads = n;
    pool->workers = (worker *)(void *)((char *)(pool->shares + n) + APART);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->job_opened, NULL);
    pthread_cond_init(&pool->job_over, NULL);
    for (int i = 0; i < n - 1; i++, pool->n_started++) {
        pool->workers[i] = (worker){ .pool = pool, .index = i + 1 };
        const int error = pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]);
        if (error) {
            tq_pool_destroy(pool);
            return tq_fail(TQ_ERR_MEMORY, "cannot start thread %d of %d: %s", i + 2, n,
                           strerror(error));
        }
    }
    *out_pool = pool;
    return TQ_OK;
}

void tq_pool_destroy(tq_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->is_ending, true);
    pthread_cond_broadcast(&pool->job_opened);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->job_over);
    pthread_cond_destroy(&pool->job_opened);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

int tq_pool_size(const tq_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

/* ---- jobs --------------------------------------------------------------------------------- */

static uint64_t open_job(tq_pool *pool, const job *j)
{
    const uint64_t number = atomic_load_explicit(&pool->number, memory_order_relaxed) + 1;
    job *to = &pool->jobs[number % 2];
    atomic_store_explicit(&to->piece, j->piece, memory_order_relaxed);
    atomic_store_explicit(&to->context, j->context, memory_order_relaxed);
    atomic_store_explicit(&to->n, j->n, memory_order_relaxed);
    pool->n_expected += (uint64_t)j->n;
    atomic_store(&pool->number, number);
    if (atomic_load(&pool->n_asleep) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->job_opened);
        pthread_mutex_unlock(&pool->mutex);
    }
    return number;
}

static bool is_over(tq_pool *pool)
{
    uint64_t n_done = 0;
    for (int i = 0; i < pool->n_threads; i++)
        n_done += atomic_load(&pool->shares[i].n_done);
    return n_done == pool->n_expected;
}

static void wait_until_over(tq_pool *pool)
{
    for (int i = 0; i < N_SPINS && !is_over(pool); i++)
        pause_briefly();
    if (is_over(pool))
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (!is_over(pool))
        pthread_cond_wait(&pool->job_over, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

void tq_parallel_for(tq_pool *pool, int64_t n, void (*piece)(void *context, int64_t i, int worker),
                     void *context)
{
    if (!pool || pool->n_threads == 1 || n <= 1) {
        for (int64_t i = 0; i < n; i++)
            piece(context, i, 0);
        return;
    }
    TQ_ASSERT(n <= UINT32_MAX && is_over(pool));
    const job j = { piece, context, n };
    run_pieces(pool, open_job(pool, &j), &j, 0);
    wait_until_over(pool);
}

void tq_shard_range(int64_t n, int64_t n_shards, int64_t i, int64_t *out_begin, int64_t *out_end)
{
    const int64_t size = n / n_shards, n_longer = n % n_shards;
    *out_begin = size * i + (i < n_longer ? i : n_longer);
    *out_end = *out_begin + size + (i < n_longer);
}
