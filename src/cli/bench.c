/* truq bench: how fast a network runs here, on random data: warm-up, then rounds until the time is
 * up. The least time of a round tells of the program, the median of the machine as well. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_ROUNDS = 100000, WARM_UP = 3 };

typedef struct bench {
    tq_cli *cli;
    tq_graph *graph;
    int64_t batch, n_threads;
    double seconds; /* to spend */
    tq_pool *pool;
    tq_engine *engine;
    int n_inputs;
    tq_type *types;
    tq_tensor *inputs;
    int n_rounds;
    double *rounds; /* seconds each */
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- random data ------------------------------------------------------------------------- */

/** Unknown dimensions: the first is the batch, others are refused. */
static tq_status fix_type(const bench *b, const tq_value *value, tq_type *out)
{
    *out = *tq_value_type(value);
    for (int d = 0; d < out->rank; d++)
        if (out->dims[d] == TQ_DIM_ANY && d > 0)
            return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s: only the batch may be open",
                           tq_value_name(value), tq_type_text(out).s);
    if (out->rank > 0 && out->dims[0] == TQ_DIM_ANY)
        out->dims[0] = b->batch;
    if (!tq_type_is_known(out))
        return tq_fail(TQ_ERR_SHAPE, "the type of input '%s' is not known", tq_value_name(value));
    return TQ_OK;
}

static void fill(tq_tensor *tensor, uint64_t seed)
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

static tq_status make_inputs(bench *b)
{
    b->n_inputs = tq_graph_n_inputs(b->graph);
    b->types = TQ_NEW_N(b->cli->arena, tq_type, b->n_inputs + 1);
    b->inputs = TQ_NEW_N(b->cli->arena, tq_tensor, b->n_inputs + 1);
    for (int i = 0; i < b->n_inputs; i++) {
        TQ_TRY(fix_type(b, tq_graph_input(b->graph, i), &b->types[i]));
        TQ_TRY(tq_tensor_init(&b->inputs[i], &b->types[i]));
        fill(&b->inputs[i], (uint64_t)i);
    }
    return TQ_OK;
}

/* ---- inference ----------------------------------------------------------------------------- */

static tq_status time_rounds(bench *b)
{
    b->rounds = TQ_NEW_N(b->cli->arena, double, MOST_ROUNDS);
    for (int i = 0; i < WARM_UP; i++)
        TQ_TRY(tq_engine_run(b->engine, b->inputs, b->n_inputs, 1));
    const double end = now() + b->seconds;
    while (b->n_rounds < MOST_ROUNDS && (b->n_rounds < 3 || now() < end)) {
        const double start = now();
        TQ_TRY(tq_engine_run(b->engine, b->inputs, b->n_inputs, 1));
        b->rounds[b->n_rounds++] = now() - start;
    }
    return TQ_OK;
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static tq_status run_infer(bench *b)
{
    TQ_TRY(make_inputs(b));
    TQ_TRY(tq_engine_create(b->graph, b->types, b->n_inputs,
                            &(tq_engine_options){ .pool = b->pool }, &b->engine));
    return time_rounds(b);
}

static void print_result(bench *b, bool json)
{
    qsort(b->rounds, (size_t)b->n_rounds, sizeof *b->rounds, by_time);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const double least = b->rounds[0], median = b->rounds[b->n_rounds / 2];
    const double images = (double)b->batch / least, rss = (double)usage.ru_maxrss / 1024.0;
    if (json)
        tq_print("{\"min_ms\": %.4f, \"med_ms\": %.4f, \"images_per_s\": %.1f, "
                 "\"peak_rss_mb\": %.1f}\n",
                 least * 1e3, median * 1e3, images, rss);
    else
        tq_print("least %.3f ms, median %.3f ms, %.1f images/s, peak %.1f MB\n", least * 1e3,
                 median * 1e3, images, rss);
}

static void print_layers(const bench *b)
{
    const double n = b->n_rounds + WARM_UP;
    for (int i = 0; i < tq_engine_n_steps(b->engine); i++) {
        const char *node;
        double seconds;
        const char *kernel = tq_engine_step(b->engine, i, &node, &seconds);
        tq_print("%-40s %-28s %9.4f ms\n", node, kernel, seconds / n * 1e3);
    }
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *dialect = NULL;
    bench b = { .cli = cli, .batch = 1, .n_threads = 0, .seconds = 2.0 };
    bool infer = false, layers = false, json = false;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "an ONNX file of any stage"),
        TQ_OPT_FLAG(0, "infer", &infer, "run the network forward (default)"),
        TQ_OPT_INT('b', "batch", "N", &b.batch, 1, 65536, "data points at once; default: 1"),
        TQ_OPT_NUMBER(0, "seconds", "S", &b.seconds, "how long to measure; default: 2"),
        TQ_OPT_FLAG('l', "layers", &layers, "what each step takes"),
        TQ_OPT_THREADS(&b.n_threads),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    b.graph = *graph;
    tq_status status = tq_pool_create((int)b.n_threads, &b.pool);
    if (!status)
        status = run_infer(&b);
    if (!status && layers && !json)
        print_layers(&b);
    if (!status)
        print_result(&b, json);
    tq_engine_destroy(b.engine);
    tq_pool_destroy(b.pool);
    for (int i = 0; b.inputs && i < b.n_inputs; i++)
        tq_tensor_reset(&b.inputs[i]);
    return status;
}

const tq_command tq_command_bench = {
    .entry = { .name = "bench", .brief = "how fast a network runs, layer by layer" },
    .examples = { "bench net.onnx --infer --threads 2", "bench true.onnx --infer --layers" },
    .run = run,
};
