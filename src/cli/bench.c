/* truq bench: how fast a network runs here, on random data: warm-up, then rounds until the time is
 * up. The least time of a round tells of the program, the median of the machine as well. */
#include "bench.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_ROUNDS = 100000, WARM_UP = 3 };

double tq_bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tq_bench_round(tq_bench *b, double seconds)
{
    tq_rounds *r = &b->rounds;
    if (r->n < MOST_ROUNDS)
        TQ_PUSH(b->cli->arena, r->seconds, r->n, r->capacity, seconds);
}

tq_status tq_bench_type(const tq_value *value, int64_t batch, tq_type *out_type)
{
    *out_type = *tq_value_type(value);
    if (out_type->rank > 0 && out_type->dims[0] == TQ_DIM_ANY)
        out_type->dims[0] = batch;
    if (tq_type_is_known(out_type))
        return TQ_OK;
    return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s: only the batch may be open",
                   tq_value_name(value), tq_type_text(tq_value_type(value)).s);
}

void tq_bench_fill(tq_tensor *tensor, uint64_t seed)
{
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    const tq_dtype dtype = tensor->type.dtype;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++)
        if (tq_dtype_is_float(dtype))
            tq_store_f64(tensor->data, dtype, i, tq_random_normal(&random));
        else
            tq_store_i64(tensor->data, dtype, i,
                         tq_dtype_min(dtype) + tq_random_below(&random, 256));
}

/* ---- inference ----------------------------------------------------------------------------- */

typedef struct inference {
    tq_bench *bench;
    tq_pool *pool;
    tq_engine *engine;
    int n_inputs;
    tq_type *types;
    tq_tensor *inputs;
    tq_layer_times times;
} inference;

static tq_status prepare(inference *f)
{
    tq_bench *b = f->bench;
    tq_arena *arena = b->cli->arena;
    const tq_graph *graph = *b->graph;
    TQ_TRY(tq_bench_calibrate(b));
    TQ_TRY(tq_pool_create((int)b->n_threads, &f->pool));
    f->n_inputs = tq_graph_n_inputs(graph);
    f->types = TQ_NEW_N(arena, tq_type, f->n_inputs + 1);
    f->inputs = TQ_NEW_N(arena, tq_tensor, f->n_inputs + 1);
    for (int i = 0; i < f->n_inputs; i++) {
        TQ_TRY(tq_bench_type(tq_graph_input(graph, i), b->batch, &f->types[i]));
        TQ_TRY(tq_tensor_init(&f->inputs[i], &f->types[i]));
        tq_bench_fill(&f->inputs[i], (uint64_t)i);
    }
    const tq_engine_options options = { .pool = f->pool, .profile = b->layers };
    return tq_engine_create(graph, f->types, f->n_inputs, &options, &f->engine);
}

static void take(inference *f)
{
    if (f->bench->layers)
        tq_layer_times_take(&f->times, f->bench->cli->arena, f->engine, tq_pool_size(f->pool));
}

static tq_status run_rounds(inference *f)
{
    tq_bench *b = f->bench;
    for (int i = 0; i < WARM_UP; i++)
        TQ_TRY(tq_engine_run(f->engine, f->inputs, f->n_inputs, 1));
    take(f);
    const double end = tq_bench_now() + b->seconds;
    while (b->rounds.n < 3 || (tq_bench_now() < end && b->rounds.n < MOST_ROUNDS)) {
        const double start = tq_bench_now();
        TQ_TRY(tq_engine_run(f->engine, f->inputs, f->n_inputs, 1));
        tq_bench_round(b, tq_bench_now() - start);
        take(f);
    }
    return TQ_OK;
}

static tq_status run_infer(tq_bench *b)
{
    inference f = { .bench = b };
    b->images_a_round = b->batch;
    tq_status status = prepare(&f);
    if (!status)
        status = run_rounds(&f);
    if (!status && b->layers)
        status = tq_layer_times_print(&f.times, tq_graph_stage(*b->graph) == TQ_STAGE_TRUE,
                                      (int)b->n_threads);
    tq_engine_destroy(f.engine);
    tq_pool_destroy(f.pool);
    for (int i = 0; f.inputs && i < f.n_inputs; i++)
        tq_tensor_reset(&f.inputs[i]);
    return status;
}

/* ---- results ------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/** What one step sends between ranks, and how fast the link is. */
static tq_status print_exchange(const tq_bench *b, bool json)
{
    const tq_exchange_counts *x = &b->exchange;
    const double n = (double)b->n_steps;
    tq_ranks_link link;
    TQ_TRY(tq_ranks_measure(b->cli->ranks, &link));
    tq_print(json ? ", \"ranks\": %d, \"sums\": %.1f, \"sum_bytes\": %.0f, \"buckets\": %.1f, "
                    "\"bucket_bytes\": %.0f, \"gathers\": %.1f, \"gather_bytes\": %.0f, "
                    "\"wait_ms\": %.4f, \"alpha_us\": %.3f, \"beta_ns_per_byte\": %.4f"
                  : "; of %d ranks; a step: %.1f sums of %.0f bytes, %.1f buckets of %.0f bytes, "
                    "%.1f gathers of %.0f bytes in all, %.3f ms waiting; link: %.2f us + %.3f ns "
                    "a byte",
             tq_ranks_count(b->cli->ranks), (double)x->n_sums / n, (double)x->sum_bytes / n,
             (double)x->n_buckets / n, (double)x->bucket_bytes / n, (double)x->n_gathers / n,
             (double)x->gather_bytes / n, x->wait_s * 1e3 / n, link.alpha_s * 1e6,
             link.beta_s_per_byte * 1e9);
    return TQ_OK;
}

static tq_status print_result(tq_bench *b, bool json)
{
    const tq_rounds *r = &b->rounds;
    qsort(r->seconds, (size_t)r->n, sizeof *r->seconds, by_time);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    /* only the first rank, which alone prints, has heard of rounds */
    const double least = r->n ? r->seconds[0] : 0.0, median = r->n ? r->seconds[r->n / 2] : 0.0;
    const double images = (double)b->images_a_round / least, rss = (double)usage.ru_maxrss / 1024.0;
    if (json)
        tq_print("{\"min_ms\": %.4f, \"med_ms\": %.4f, \"images_per_s\": %.1f, "
                 "\"peak_rss_mb\": %.1f",
                 least * 1e3, median * 1e3, images, rss);
    else
        tq_print("least %.3f ms, median %.3f ms, %.1f images/s, peak memory %.1f MB", least * 1e3,
                 median * 1e3, images, rss);
    if (b->forward > 0.0)
        tq_print(json ? ", \"forward_ms\": %.4f, \"ratio\": %.3f"
                      : "; float forward %.3f ms: %.3f times that",
                 b->forward * 1e3, least / b->forward);
    if (json && b->shard_seconds > 0.0)
        tq_print(", \"shards_ms\": %.4f", b->shard_seconds * 1e3);
    if (tq_ranks_count(b->cli->ranks) > 1)
        TQ_TRY(print_exchange(b, json));
    tq_print(json ? "}\n" : "\n");
    return TQ_OK;
}

/** A network for one batch takes others if it can; else it says what it takes. */
static tq_status open_batch(const tq_bench *b)
{
    if (tq_graph_n_inputs(*b->graph) == 0)
        return TQ_OK;
    TQ_TRY(tq_graph_open_batch(*b->graph, b->batch));
    const tq_value *input = tq_graph_input(*b->graph, 0);
    const tq_type *type = tq_value_type(input);
    if (type->rank < 1 || type->dims[0] == TQ_DIM_ANY || type->dims[0] == b->batch)
        return TQ_OK;
    return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s: --batch %lld is not possible",
                   tq_value_name(input), tq_type_text(type).s, (long long)b->batch);
}

/** 0 stands for one thread a core. */
static tq_status count_threads(tq_bench *b)
{
    tq_pool *pool;
    TQ_TRY(tq_pool_create((int)b->n_threads, &pool));
    b->n_threads = tq_pool_size(pool);
    tq_pool_destroy(pool);
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *dialect = NULL;
    tq_bench b = { .cli = cli, .batch = 1, .n_images = 128, .seconds = 2.0 };
    bool infer = false, train = false, ptq = false, json = false;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_FLAG(0, "infer", &infer, "run the network forward (default)"),
        TQ_OPT_FLAG(0, "train", &train, "run training steps: forward, backward, update"),
        TQ_OPT_FLAG(0, "ptq", &ptq, "calibrate, beside a forward pass of the float network"),
        TQ_OPT_INT('b', "batch", "N", &b.batch, 1, 65536, "data points at once; default: 1"),
        TQ_OPT_INT('n', "images", "N", &b.n_images, 1, 1 << 24, "of --ptq; default: 128"),
        TQ_OPT_NUMBER(0, "seconds", "S", &b.seconds, "how long to measure; default: 2"),
        TQ_OPT_FLAG('l', "layers", &b.layers, "what each step takes, beside the peak"),
        TQ_OPT_COMPUTE(&b.compute),
        TQ_OPT_MEMORY(&b.memory),
        TQ_OPT_THREADS(&b.n_threads),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (infer + train + ptq > 1)
        return tq_fail(TQ_ERR_USAGE, "--infer, --train and --ptq exclude each other");
    if ((b.compute || b.memory > 0) && !train)
        return tq_fail(TQ_ERR_USAGE, "--compute and --memory go with --train");
    if (tq_ranks_count(cli->ranks) > 1 && !train)
        return tq_fail(TQ_ERR_USAGE, "several processes share --train only");
    if (b.layers && (ptq || json))
        return tq_fail(TQ_ERR_USAGE, "--layers goes with --infer and --train, without --json");
    TQ_TRY(tq_cli_load(cli, model, dialect, &b.graph));
    TQ_TRY(open_batch(&b));
    TQ_TRY(count_threads(&b));
    TQ_TRY(train ? tq_bench_train(&b) : ptq ? tq_bench_ptq(&b) : run_infer(&b));
    return print_result(&b, json);
}

const tq_command tq_command_bench = {
    .entry = { .name = "bench", .brief = "how fast a network runs, on random data" },
    .details =
        "A fake-quantised network that was never calibrated is calibrated on a random batch.",
    .examples = { "bench true.onnx --infer --threads 2 --layers", "bench fake.onnx --train -b 16",
                  "bench fake.onnx --ptq -b 32 --images 128 --json" },
    .run = run,
    .shares_work = true,
};
