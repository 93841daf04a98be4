/* Engines: plan a graph for given shapes, then run it. */
#ifndef TRUQ_ENGINE_H
#define TRUQ_ENGINE_H

#include <truq/op.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_engine tq_engine;

/** What several ranks that share a batch do for each other. Rank r runs a run of the shards (tq_tree_share) on rows of its own, and
 *  all of them run whatever is not cut into shards. Every rank makes the same calls in the same order. All of it is borrowed. */
typedef struct tq_exchange {
    void *context;
    int64_t shard_begin, shard_end;      /* of this rank, of options.n_shards */
    bool own_outputs;                    /* outputs with a row for each data point hold this rank's only, the others anything */
    /** data [n]: in, the sum over this rank's shards; out, the bits of tq_tree_sum over all of them. */
    tq_status (*sum_f64)(void *context, double *data, int64_t n);
    /** The same in the background: data is not touched until `finish`. */
    tq_status (*begin_sum_f32)(void *context, float *data, int64_t n, void **out_work);
    tq_status (*finish)(void *context, void *work);
    tq_status (*progress)(void *context); /* what is in the background moves on; cheap */
    /** rows of the batch, of row_size bytes each: this rank's are there, the others come. */
    tq_status (*gather)(void *context, void *rows, size_t row_size);
} tq_exchange;

typedef struct tq_engine_options {
    tq_pool *pool;            /* borrowed; NULL: the caller's thread only */
    int n_shards;             /* 0: min(batch, 16) */
    const tq_exchange *exchange; /* NULL: alone */
    bool keep_all;            /* every value stays readable after a run (no memory reuse) */
    bool constants_change;    /* training: initialisers are written between runs, kernels must not cache them */
    bool reference_only;      /* portable C only */
    size_t memory;            /* bytes that tq_engine_memory may become: what does not fit is computed again where it is read (the
                                 same bits); 0: no limit. TQ_ERR_MEMORY where the least is more */
    bool profile;             /* take the time of steps and stages */
    bool bf16;                /* convolutions round their operands to bf16, where the CPU has AVX512-BF16; sums stay f32 */
} tq_engine_options;

/** Plans `graph` (borrowed, unchanged while the engine lives) for the given input types, all known:
 *  infers a copy, chooses kernels, lays out memory. Fails with TQ_ERR_UNSUPPORTED naming node and operator
 *  that cannot run, TQ_ERR_SHAPE where shapes do not fit. */
TQ_API tq_status tq_engine_create(const tq_graph *graph, const tq_type *input_types, int n_inputs,
                                  const tq_engine_options *options, tq_engine **out_engine);
TQ_API void tq_engine_destroy(tq_engine *engine);

/** Runs. inputs[i].data is read (types as planned). seed feeds Dropout and stochastic rounding. */
TQ_API tq_status tq_engine_run(tq_engine *engine, const tq_tensor *inputs, int n_inputs, uint64_t seed);
/** With an exchange: must input i hold all rows of the batch, or this rank's only? */
TQ_API bool tq_engine_needs_all_rows(const tq_engine *engine, int i);
/** Graph output i of the last run, borrowed until the next one. */
TQ_API const tq_tensor *tq_engine_output(const tq_engine *engine, int i);
/** Any value by name (keep_all), or a constant or output; NULL if there is none or it was not kept. */
TQ_API const tq_tensor *tq_engine_value(const tq_engine *engine, const char *name);

/** For reports: bytes of activations planned; each step's node, kernel name and seconds spent so far (options.profile). */
TQ_API size_t tq_engine_memory(const tq_engine *engine);
TQ_API int tq_engine_n_steps(const tq_engine *engine);
/** Seconds of all runs so far that went into shards: what ranks share, while each of them does the rest. */
TQ_API double tq_engine_shard_seconds(const tq_engine *engine);
TQ_API const char *tq_engine_step(const tq_engine *engine, int i, const char **out_node, double *out_seconds);
/** What step i needs: multiply-accumulates, over the whole batch, of the nodes it stands for; bytes of the values that it reads and
 *  writes, weights inside fused layers not counted. */
TQ_API void tq_engine_step_cost(const tq_engine *engine, int i, int64_t *out_macs, int64_t *out_bytes);

/** A step that takes shards of the batch through several parts, one after the other, has stages: how many (0: it is one thing),
 *  and of stage k the operators, such as "BatchNormTrain Relu", the node of the last, the seconds so far summed over all workers
 *  (options.profile), and the multiply-accumulates over the whole batch. */
TQ_API int tq_engine_n_stages(const tq_engine *engine, int step);
TQ_API const char *tq_engine_stage(const tq_engine *engine, int step, int k, const char **out_node, double *out_seconds,
                                   int64_t *out_macs);

/** What this machine does at most with the pool's threads, measured now (some 100 ms): multiply-accumulates per second of f32 and
 *  of 8-bit codes on the present level of the CPU, bytes per second from memory. */
typedef struct tq_peak {
    double f32_macs, code_macs, memory_bytes;
    const char *f32_unit, *code_unit;   /* "avx512 fma", "avx512 vnni", "amx tiles" */
} tq_peak;
TQ_API tq_status tq_peak_measure(tq_pool *pool, tq_peak *out_peak);

#ifdef __cplusplus
}
#endif
#endif
