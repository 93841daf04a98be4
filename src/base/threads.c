/* A pool of threads that pick the pieces of a job from one counter. One atomic word says which job
 * it is, whether workers may still join, and how many are inside; so a job is joined and left
 * without a lock, a worker that wakes late costs nothing, and none can touch a finished job.
 * Waiting spins for some microseconds, since the next job mostly follows at once, then sleeps.
 * Whoever sleeps says so before it looks at the word a last time, and whoever changes the word
 * looks for sleepers after that, both in sequential consistency: no wake-up is lost. */
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

enum { MOST_THREADS = 1024, N_SPINS = 2000, CACHE_LINE = 64 };

typedef struct worker {
    tq_pool *pool;
    pthread_t thread;
    int index;
} worker;

/* The word: number of the job, IS_OPEN, workers inside. */
enum { JOB_SHIFT = 32 };
static const uint64_t is_open = UINT64_C(1) << 31, inside_mask = (UINT64_C(1) << 31) - 1;

struct tq_pool {
    int n_threads, n_started;
    pthread_mutex_t mutex; /* for sleeping only */
    pthread_cond_t job_opened, last_left;
    void (*piece)(void *context, int64_t i, int worker); /* of the open job, as the next two */
    void *context;
    int64_t n;
    char apart_0[CACHE_LINE];
    _Atomic uint64_t word;
    char apart_1[CACHE_LINE];
    _Atomic int64_t next;
    char apart_2[CACHE_LINE];
    atomic_int n_asleep; /* workers */
    atomic_bool caller_sleeps, is_ending;
    worker workers[]; /* n_threads - 1; the caller is worker 0 */
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_pieces(tq_pool *pool, int index)
{
    for (int64_t i; (i = atomic_fetch_add(&pool->next, 1)) < pool->n;)
        pool->piece(pool->context, i, index);
}

static bool is_news(tq_pool *pool, uint64_t seen)
{
    return atomic_load(&pool->word) >> JOB_SHIFT != seen || atomic_load(&pool->is_ending);
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

/** Goes inside unless the job is closed; *out_job says which one it was. */
static bool join(tq_pool *pool, uint64_t *out_job)
{
    uint64_t word = atomic_load(&pool->word);
    do {
        *out_job = word >> JOB_SHIFT;
        if (!(word & is_open))
            return false;
    } while (!atomic_compare_exchange_weak(&pool->word, &word, word + 1));
    return true;
}

static void leave(tq_pool *pool)
{
    const uint64_t word = atomic_fetch_sub(&pool->word, 1);
    if ((word & inside_mask) != 1 || !atomic_load(&pool->caller_sleeps))
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->last_left);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument)
{
    const worker *self = argument;
    tq_pool *pool = self->pool;
    uint64_t seen = 0;
    while (wait_for_job(pool, seen))
        if (join(pool, &seen)) {
            run_pieces(pool, self->index);
            leave(pool);
        }
    return NULL;
}

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
    tq_pool *pool = tq_allocate(sizeof *pool + (size_t)n * sizeof(worker));
    if (!pool)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    pool->n_threads = n;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->job_opened, NULL);
    pthread_cond_init(&pool->last_left, NULL);
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
    pthread_cond_destroy(&pool->last_left);
    pthread_cond_destroy(&pool->job_opened);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

int tq_pool_size(const tq_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

static void open_job(tq_pool *pool, int64_t n, void (*piece)(void *, int64_t, int), void *context)
{
    const uint64_t word = atomic_load(&pool->word);
    TQ_ASSERT(!(word & (is_open | inside_mask)));
    pool->piece = piece;
    pool->context = context;
    pool->n = n;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->word, ((word >> JOB_SHIFT) + 1) << JOB_SHIFT | is_open);
    if (atomic_load(&pool->n_asleep) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->job_opened);
    pthread_mutex_unlock(&pool->mutex);
}

static bool is_somebody_inside(tq_pool *pool)
{
    return (atomic_load(&pool->word) & inside_mask) > 0;
}

static void close_job(tq_pool *pool)
{
    atomic_fetch_and(&pool->word, ~is_open);
    for (int i = 0; i < N_SPINS && is_somebody_inside(pool); i++)
        pause_briefly();
    if (!is_somebody_inside(pool))
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (is_somebody_inside(pool))
        pthread_cond_wait(&pool->last_left, &pool->mutex);
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
    open_job(pool, n, piece, context);
    run_pieces(pool, 0);
    close_job(pool);
}

void tq_shard_range(int64_t n, int64_t n_shards, int64_t i, int64_t *out_begin, int64_t *out_end)
{
    const int64_t size = n / n_shards, n_longer = n % n_shards;
    *out_begin = size * i + (i < n_longer ? i : n_longer);
    *out_end = *out_begin + size + (i < n_longer);
}
