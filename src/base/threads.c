/* A pool of threads. The pieces of a job are cut into one share for each thread, the same from job
 * to job, so that a thread finds near what it wrote in the job before; who is done with its own
 * share waits a moment, then takes from those of others. A share is one atomic word, the job it was
 * last taken from and how many of its pieces were taken: who comes late to a job finds all taken or
 * the job too old, and touches nothing. A job is over when as many pieces are done as there are.
 *
 * Opening a job means that others read what the caller wrote, line of the cache by line. A sequence
 * of jobs can do without: in tq_pool_together each thread walks through the same sequence and so
 * knows each job by itself. These jobs have shares of their own, and numbers that go on from
 * sequence to sequence.
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

enum { MOST_THREADS = 1024, N_SPINS = 2000, PATIENCE = 32, APART = 128 };

/* What its thread writes most, each in lines of the cache of its own, since others look at n_done
 * while pieces are taken. */
typedef struct share {
    char apart[APART];
    _Atomic uint64_t taken; /* low word of the job << 32 | pieces */
    char apart_too[APART];
    _Atomic uint64_t n_done; /* pieces that this thread has run, of all jobs */
} share;

/* Jobs one after the other, by number. */
typedef struct series {
    share *shares;
    atomic_int n_asleep; /* who wait for the end of a job */
    pthread_cond_t job_over;
} series;

typedef struct worker {
    struct team *team;
    pthread_t thread;
    int index;
} worker;

typedef struct job {
    void (*_Atomic piece)(void *context, int64_t i, int worker);
    void *_Atomic context;
    _Atomic int64_t n;
    _Atomic uint64_t n_expected; /* as in tq_pool, with its own */
} job;

/* A thread's view of a series. */
struct tq_pool {
    struct team *team;
    series *series;
    int index;           /* of the thread */
    bool is_together;    /* all threads walk through the series */
    uint64_t number;     /* of the last job */
    uint64_t n_expected; /* pieces of all jobs so far */
};

typedef struct team {
    int n_threads, n_started;
    tq_pool caller, together; /* the latter as it is between sequences */
    series opened, walked;
    pthread_mutex_t mutex; /* for sleeping only */
    pthread_cond_t job_opened;
    worker *workers; /* n_threads - 1; the caller is worker 0 */
    char apart_0[APART];
    _Atomic uint64_t number; /* of the last job that was opened */
    job jobs[2];             /* by number, so that one stays as it is while the next is written */
    char apart_1[APART];
    atomic_int n_asleep; /* workers without a job */
    atomic_bool is_ending;
    share shares[];
} team;

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* ---- pieces ------------------------------------------------------------------------------- */

/** Takes a piece from the share of thread `of`. */
static bool take(const tq_pool *pool, int64_t n, int of, int64_t *out_piece)
{
    int64_t begin, end;
    tq_shard_range(n, pool->team->n_threads, of, &begin, &end);
    _Atomic uint64_t *taken = &pool->series->shares[of].taken;
    uint64_t word = atomic_load(taken);
    for (;;) {
        const int32_t newer = (int32_t)((uint32_t)(word >> 32) - (uint32_t)pool->number);
        const int64_t n_taken = newer == 0 ? (int64_t)(uint32_t)word : 0;
        if (newer > 0 || begin + n_taken >= end)
            return false;
        if (atomic_compare_exchange_weak(taken, &word,
                                         pool->number << 32 | (uint64_t)(n_taken + 1))) {
            *out_piece = begin + n_taken;
            return true;
        }
    }
}

static bool is_over(const tq_pool *pool)
{
    uint64_t n_done = 0;
    for (int i = 0; i < pool->team->n_threads; i++)
        n_done += atomic_load(&pool->series->shares[i].n_done);
    return n_done >= pool->n_expected;
}

/** Pieces from the shares first .. first + n_shares - 1, counted round from one's own. */
static void run_shares(const tq_pool *pool, const job *j, int first, int n_shares)
{
    series *s = pool->series;
    uint64_t n_done = 0;
    for (int k = first; k < first + n_shares; k++) {
        const int of = (pool->index + k) % pool->team->n_threads;
        for (int64_t i; take(pool, j->n, of, &i); n_done++)
            j->piece(j->context, i, pool->index);
    }
    if (n_done == 0)
        return;
    atomic_fetch_add(&s->shares[pool->index].n_done, n_done);
    if (atomic_load(&s->n_asleep) == 0)
        return;
    pthread_mutex_lock(&pool->team->mutex);
    pthread_cond_broadcast(&s->job_over);
    pthread_mutex_unlock(&pool->team->mutex);
}

/** Own pieces, then those of others, if these are not about to be done. One alone is the first
 * thread's. */
static void run_pieces(const tq_pool *pool, const job *j)
{
    run_shares(pool, j, 0, 1);
    for (int i = 0; i < PATIENCE && !is_over(pool); i++)
        pause_briefly();
    if (j->n > 1 && !is_over(pool))
        run_shares(pool, j, 1, pool->team->n_threads - 1);
}

static void wait_until_over(const tq_pool *pool)
{
    series *s = pool->series;
    for (int i = 0; i < N_SPINS && !is_over(pool); i++)
        pause_briefly();
    if (is_over(pool))
        return;
    pthread_mutex_lock(&pool->team->mutex);
    atomic_fetch_add(&s->n_asleep, 1);
    while (!is_over(pool))
        pthread_cond_wait(&s->job_over, &pool->team->mutex);
    atomic_fetch_sub(&s->n_asleep, 1);
    pthread_mutex_unlock(&pool->team->mutex);
}

/* ---- workers ------------------------------------------------------------------------------ */

static bool is_news(team *t, uint64_t seen)
{
    return atomic_load(&t->number) != seen || atomic_load(&t->is_ending);
}

/** Returns when a job was opened since `seen` or the pool ends; false for the latter. */
static bool wait_for_job(team *t, uint64_t seen)
{
    for (int i = 0; i < N_SPINS && !is_news(t, seen); i++)
        pause_briefly();
    if (!is_news(t, seen)) {
        pthread_mutex_lock(&t->mutex);
        atomic_fetch_add(&t->n_asleep, 1);
        while (!is_news(t, seen))
            pthread_cond_wait(&t->job_opened, &t->mutex);
        atomic_fetch_sub(&t->n_asleep, 1);
        pthread_mutex_unlock(&t->mutex);
    }
    return !atomic_load(&t->is_ending);
}

static void *work(void *argument)
{
    const worker *self = argument;
    team *t = self->team;
    tq_pool mine = { .team = t, .series = &t->opened, .index = self->index };
    while (wait_for_job(t, mine.number)) {
        const uint64_t number = atomic_load(&t->number);
        const job *from = &t->jobs[number % 2];
        const job j = { atomic_load(&from->piece), atomic_load(&from->context),
                        atomic_load(&from->n), atomic_load(&from->n_expected) };
        if (atomic_load(&t->number) != number)
            continue; /* the next but one may be written there by now */
        mine.number = number;
        mine.n_expected = j.n_expected;
        run_pieces(&mine, &j);
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

static void init(team *t, int n)
{
    t->n_threads = n;
    t->opened.shares = t->shares;
    t->walked.shares = t->shares + n;
    t->workers = (worker *)(void *)((char *)(t->shares + 2 * n) + APART);
    t->caller = (tq_pool){ .team = t, .series = &t->opened };
    t->together = (tq_pool){ .team = t, .series = &t->walked, .is_together = true };
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->job_opened, NULL);
    pthread_cond_init(&t->opened.job_over, NULL);
    pthread_cond_init(&t->walked.job_over, NULL);
}

tq_status tq_pool_create(int n_threads, tq_pool **out_pool)
{
    if (n_threads < 0 || n_threads > MOST_THREADS)
        return tq_fail(TQ_ERR_VALUE,
                       "%d threads asked for; expected 1 to %d, or 0 for one per core", n_threads,
                       MOST_THREADS);
    const int n = n_threads ? n_threads : count_cores();
    team *t = tq_allocate(sizeof *t + (size_t)n * (2 * sizeof(share) + sizeof(worker)) + APART);
    if (!t)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    init(t, n);
    for (int i = 0; i < n - 1; i++, t->n_started++) {
        t->workers[i] = (worker){ .team = t, .index = i + 1 };
        const int error = pthread_create(&t->workers[i].thread, NULL, work, &t->workers[i]);
        if (error) {
            tq_pool_destroy(&t->caller);
            return tq_fail(TQ_ERR_MEMORY, "cannot start thread %d of %d: %s", i + 2, n,
                           strerror(error));
        }
    }
    *out_pool = &t->caller;
    return TQ_OK;
}

void tq_pool_destroy(tq_pool *pool)
{
    if (!pool)
        return;
    team *t = pool->team;
    pthread_mutex_lock(&t->mutex);
    atomic_store(&t->is_ending, true);
    pthread_cond_broadcast(&t->job_opened);
    pthread_mutex_unlock(&t->mutex);
    for (int i = 0; i < t->n_started; i++)
        pthread_join(t->workers[i].thread, NULL);
    pthread_cond_destroy(&t->job_opened);
    pthread_cond_destroy(&t->opened.job_over);
    pthread_cond_destroy(&t->walked.job_over);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

int tq_pool_size(const tq_pool *pool)
{
    return pool ? pool->team->n_threads : 1;
}

/* ---- jobs --------------------------------------------------------------------------------- */

/** The others are to see it. */
static void open_job(team *t, uint64_t number, const job *j)
{
    job *to = &t->jobs[number % 2];
    atomic_store_explicit(&to->piece, j->piece, memory_order_relaxed);
    atomic_store_explicit(&to->context, j->context, memory_order_relaxed);
    atomic_store_explicit(&to->n, j->n, memory_order_relaxed);
    atomic_store_explicit(&to->n_expected, j->n_expected, memory_order_relaxed);
    atomic_store(&t->number, number);
    if (atomic_load(&t->n_asleep) > 0) {
        pthread_mutex_lock(&t->mutex);
        pthread_cond_broadcast(&t->job_opened);
        pthread_mutex_unlock(&t->mutex);
    }
}

static job begin(tq_pool *pool, int64_t n, void (*piece)(void *context, int64_t i, int worker),
                 void *context)
{
    TQ_ASSERT(n <= UINT32_MAX && (pool->is_together || is_over(pool)));
    pool->number++;
    pool->n_expected += (uint64_t)n;
    const job j = { piece, context, n, pool->n_expected };
    if (!pool->is_together)
        open_job(pool->team, pool->number, &j);
    return j;
}

void tq_parallel_for(tq_pool *pool, int64_t n, void (*piece)(void *context, int64_t i, int worker),
                     void *context)
{
    const bool is_alone = !pool || pool->team->n_threads == 1 || (n <= 1 && !pool->is_together);
    for (int64_t i = 0; is_alone && i < n; i++)
        piece(context, i, 0);
    if (is_alone || n == 0)
        return;
    const job j = begin(pool, n, piece, context);
    run_pieces(pool, &j);
    wait_until_over(pool);
}

typedef struct walk {
    void (*run)(void *context, tq_pool *pool);
    void *context;
    tq_pool begin;
} walk;

/** The part of a worker in a walk. Whoever else takes it says no more than that the worker is not
 * needed; the caller walks in any case. */
static void join_walk(void *context, int64_t i, int index)
{
    const walk *w = context;
    tq_pool mine = w->begin;
    mine.index = index;
    if (i == index && index > 0)
        w->run(w->context, &mine);
}

void tq_pool_together(tq_pool *pool, void (*run)(void *context, tq_pool *pool), void *context)
{
    if (!pool || pool->team->n_threads == 1 || pool->is_together) {
        run(context, pool);
        return;
    }
    walk w = { run, context, pool->team->together };
    const job j = begin(pool, pool->team->n_threads, join_walk, &w);
    run(context, &pool->team->together);
    run_pieces(pool, &j);
    wait_until_over(pool);
}

void tq_shard_range(int64_t n, int64_t n_shards, int64_t i, int64_t *out_begin, int64_t *out_end)
{
    const int64_t size = n / n_shards, n_longer = n % n_shards;
    *out_begin = size * i + (i < n_longer ? i : n_longer);
    *out_end = *out_begin + size + (i < n_longer);
}
