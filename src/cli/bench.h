/* What the files of truq bench share. */
#ifndef TQ_CLI_BENCH_H
#define TQ_CLI_BENCH_H

#include "cli.h"

/** Times of rounds, in seconds. */
typedef struct tq_rounds {
    double *seconds;
    int n;
    size_t capacity;
} tq_rounds;

/** Times of an engine's rows, by number. */
typedef struct tq_layer_times {
    const tq_engine *engine;
    int n_rounds;
    double *before, *least, most;
} tq_layer_times;

/** After each round: what every row took. */
void tq_layer_times_take(tq_layer_times *times, tq_arena *arena, const tq_engine *engine,
                         int n_threads);
/** The table; the engine still lives. */
tq_status tq_layer_times_print(tq_layer_times *times, bool is_true, int n_threads);

typedef struct tq_bench {
    tq_cli *cli;
    tq_graph **graph;
    int64_t batch, n_images, n_threads;
    int64_t memory;      /* megabytes; 0: no limit */
    double seconds;      /* to spend */
    const char *compute; /* NULL: f32 */
    tq_rounds rounds;
    int64_t images_a_round;
    double forward; /* of --ptq: the float network over the same images; else 0 */
    bool layers;
    double shard_seconds; /* of the fastest step of --train: what ranks share of it */
    int64_t n_steps;      /* of --train, with what they exchanged between ranks */
    tq_exchange_counts exchange;
} tq_bench;

double tq_bench_now(void);
void tq_bench_round(tq_bench *b, double seconds);

/** `value`'s type with the batch filled in; TQ_ERR_SHAPE where anything else is open. */
tq_status tq_bench_type(const tq_value *value, int64_t batch, tq_type *out_type);
/** Random numbers for a tensor: normal ones, or any code. */
void tq_bench_fill(tq_tensor *tensor, uint64_t seed);

/** A fake-quantised network that was never calibrated is, on one random batch. */
tq_status tq_bench_calibrate(tq_bench *b);
/** One round a training step. */
tq_status tq_bench_train(tq_bench *b);
/** One round a calibration pass over n_images. */
tq_status tq_bench_ptq(tq_bench *b);

#endif
