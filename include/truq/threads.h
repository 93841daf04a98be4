/* A pool of threads. Work is cut into a fixed number of pieces, never into "as many as there are
 * threads", so that results cannot depend on their number. */
#ifndef TRUQ_THREADS_H
#define TRUQ_THREADS_H

#include <truq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_pool tq_pool;

/** A pool of n_threads (the caller is one of them); n_threads = 0: one per available core. */
TQ_API tq_status tq_pool_create(int n_threads, tq_pool **out_pool);
TQ_API void tq_pool_destroy(tq_pool *pool);
TQ_API int tq_pool_size(const tq_pool *pool);

/** Calls piece(context, i, worker) once for each i in 0 .. n-1, on any thread, in any order, and
 *  returns when all are done. worker is in 0 .. size-1 and names scratch. A NULL pool runs them in
 *  order on the caller. Not re-entrant: a piece must not call it on the same pool. */
TQ_API void tq_parallel_for(tq_pool *pool, int64_t n, void (*piece)(void *context, int64_t i, int worker),
                            void *context);

/** For a sequence of short jobs: calls run(context, p) on all threads at once, each with a pool p of its own for
 *  tq_parallel_for. All must walk through the same jobs in the same order, and between them change nothing that others
 *  see: what `run` does twice must be as good as done once. A thread may come late, or not at all, and finds jobs done. */
TQ_API void tq_pool_together(tq_pool *pool, void (*run)(void *context, tq_pool *pool), void *context);

/** Sums parts[0..n_parts-1], each of `count` floats, `stride` floats apart, into parts[0] by a fixed binary tree
 *  (i += i + step for step = 1, 2, 4, ...): the same bits for any number of threads. */
TQ_API void tq_tree_sum(float *parts, int64_t n_parts, int64_t count, int64_t stride);
TQ_API void tq_tree_sum_f64(double *parts, int64_t n_parts, int64_t count, int64_t stride);

/** The run of parts that rank `rank` of n_ranks sums, 1 <= n_ranks <= n_shards: first and one-past-last. The tree of
 *  tq_tree_sum over n_shards parts is cut into n_ranks runs, each one node of it, as equal as its nodes allow: at every
 *  node the ranks are shared out in proportion to the parts. tq_tree_sum over each run, then over the runs along the
 *  rest of the tree, gives the bits of tq_tree_sum over all parts, whatever n_ranks. */
TQ_API void tq_tree_share(int64_t n_shards, int n_ranks, int rank, int64_t *out_begin, int64_t *out_end);

/** First and one-past-last index of shard `i` when n items are cut into n_shards runs. */
TQ_API void tq_shard_range(int64_t n, int64_t n_shards, int64_t i, int64_t *out_begin, int64_t *out_end);

/** The rows of a batch of n that rank `rank` of n_ranks runs, when the batch is cut into min(n, n_shards) shards: first and
 *  one-past-last. With more ranks than shards every rank runs all of them. */
TQ_API void tq_rank_rows(int64_t n, int64_t n_shards, int n_ranks, int rank, int64_t *out_begin, int64_t *out_end);

/** Bits of tq_cpu_flags(). */
enum {
    TQ_CPU_AVX2 = 1 << 0, TQ_CPU_FMA = 1 << 1, TQ_CPU_AVX512F = 1 << 2, TQ_CPU_AVX512BW = 1 << 3,
    TQ_CPU_AVX512VNNI = 1 << 4, TQ_CPU_AVX512BF16 = 1 << 5, TQ_CPU_AVX512VL = 1 << 6, TQ_CPU_AVX512DQ = 1 << 7,
    TQ_CPU_AVX512VBMI = 1 << 8, TQ_CPU_AMX_INT8 = 1 << 9,
};

/** What this CPU can do, limited by the environment variable TRUQ_CPU=reference|avx2|avx512. */
TQ_API unsigned tq_cpu_flags(void);
/** "reference", "avx2" or "avx512": the level in force, for manifests. */
TQ_API const char *tq_cpu_level(void);

#ifdef __cplusplus
}
#endif
#endif
