/* A pool of threads that pick the pieces of a job from one counter. A worker joins a job and leaves
 * it under the mutex; the caller closes the job when the counter has run out and waits for those
 * inside, so that a worker that wakes late costs nothing and can never touch a finished job.
 * Waiting spins for some microseconds, since the next job mostly follows at once, then sleeps. */
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

enum { MOST_THREADS = 1024, N_SPINS = 1000 };

typedef struct worker {
    tq_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct tq_pool {
    int n_threads, n_started;
    pthread_mutex_t mutex;
    pthread_cond_t job_opened, last_left;
    atomic_uint n_jobs;  /* how many were opened so far: what the workers watch */
    atomic_int n_inside; /* workers that joined the open job and have not left it */
    bool is_open, is_ending;
    void (*piece)(void *context, int64_t i, int worker);
    void *context;
    int64_t n;
    _Atomic int64_t next;
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

/** Returns when a job was opened since `seen` or the pool ends; false for the latter. Holds the
 *  mutex then. */
static bool wait_for_job(tq_pool *pool, unsigned seen)
{
    for (int i = 0; i < N_SPINS && atomic_load(&pool->n_jobs) == seen; i++)
        pause_briefly();
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->n_jobs) == seen && !pool->is_ending)
        pthread_cond_wait(&pool->job_opened, &pool->mutex);
    return !pool->is_ending;
}

static void *work(void *argument)
{
    const worker *self = argument;
    tq_pool *pool = self->pool;
    unsigned seen = 0;
    while (wait_for_job(pool, seen)) {
        seen = atomic_load(&pool->n_jobs);
        if (pool->is_open) {
            atomic_fetch_add(&pool->n_inside, 1);
            pthread_mutex_unlock(&pool->mutex);
            run_pieces(pool, self->index);
            pthread_mutex_lock(&pool->mutex);
            if (atomic_fetch_sub(&pool->n_inside, 1) == 1)
                pthread_cond_signal(&pool->last_left);
        }
        pthread_mutex_unlock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
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
    pool->is_ending = true;
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
    pthread_mutex_lock(&pool->mutex);
    TQ_ASSERT(!pool->is_open);
    pool->is_open = true;
    pool->piece = piece;
    pool->context = context;
    pool->n = n;
    atomic_store(&pool->next, 0);
    atomic_fetch_add(&pool->n_jobs, 1);
    pthread_cond_broadcast(&pool->job_opened);
    pthread_mutex_unlock(&pool->mutex);
}

static void close_job(tq_pool *pool)
{
    for (int i = 0; i < N_SPINS && atomic_load(&pool->n_inside) > 0; i++)
        pause_briefly();
    pthread_mutex_lock(&pool->mutex);
    pool->is_open = false;
    while (atomic_load(&pool->n_inside) > 0)
        pthread_cond_wait(&pool->last_left, &pool->mutex);
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
