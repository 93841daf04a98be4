/* Holds a kernel to its operator's reference: a one-node graph runs on both, with pools of 1, 2 and
 * 3 threads, with constants packed once and with constants that may change, twice each. */
#ifndef TRUQ_TESTS_KERNELS_SAME_H
#define TRUQ_TESTS_KERNELS_SAME_H

#include "check.h"

static inline tq_tensor same_input(const tq_type *type, uint64_t seed)
{
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init(&tensor, type));
    tq_random random;
    tq_random_init(&random, seed, 7, 0);
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        const double u = tq_random_uniform(&random);
        if (tq_dtype_is_float(type->dtype))
            tq_store_f64(tensor.data, type->dtype, i, 2.0 * u - 1.0);
        else
            tq_store_i64(tensor.data, type->dtype, i,
                         type->dtype == TQ_I32 ? (int64_t)((u - 0.5) * 2e6)
                                               : (int64_t)(u * 256.0) + tq_dtype_min(type->dtype));
    }
    return tensor;
}

static inline tq_engine *same_engine(const tq_graph *graph, const tq_tensor *inputs, int n,
                                     const tq_engine_options *options)
{
    tq_type types[8];
    for (int i = 0; i < n; i++)
        types[i] = inputs[i].type;
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(graph, types, n, options, &engine));
    CHECK_OK(tq_engine_run(engine, inputs, n, 5));
    CHECK_OK(tq_engine_run(engine, inputs, n, 5)); /* the second run uses what the first packed */
    return engine;
}

/** Largest distance, relative to the largest magnitude of the reference. */
static inline double same_distance(const tq_tensor *a, const tq_tensor *reference)
{
    double most = 0.0, scale = 0.0;
    for (int64_t i = 0; i < tq_tensor_count(a); i++) {
        const double x = tq_load_f64(a->data, a->type.dtype, i);
        const double y = tq_load_f64(reference->data, a->type.dtype, i);
        most = fmax(most, fabs(x - y));
        scale = fmax(scale, fabs(y));
        if (isnan(x) != isnan(y))
            return INFINITY;
    }
    return most / (scale > 0.0 ? scale : 1.0);
}

/** The last node of the graph has a kernel; its outputs are within `tolerance` (0: the same bits)
 * of the reference, and the same bits for any number of threads. */
static inline void check_same(const char *text, double tolerance)
{
    tq_graph *graph = check_graph(text);
    tq_tensor inputs[8];
    const int n = tq_graph_n_inputs(graph);
    for (int i = 0; i < n; i++)
        inputs[i] = same_input(tq_value_type(tq_graph_input(graph, i)), 100 + (uint64_t)i);
    tq_engine *reference =
        same_engine(graph, inputs, n, &(tq_engine_options){ .reference_only = true });
    for (int change = 0; change < 2; change++) {
        tq_engine *first = NULL;
        tq_pool *first_pool = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            tq_pool *pool;
            CHECK_OK(tq_pool_create(threads, &pool));
            tq_engine *engine = same_engine(
                graph, inputs, n, &(tq_engine_options){ .pool = pool, .constants_change = change });
            const char *kernel = tq_engine_step(engine, tq_engine_n_steps(engine) - 1, NULL, NULL);
            if (!strcmp(kernel, "reference") && tq_cpu_flags())
                check_fail(__FILE__, __LINE__, "no kernel takes %s", text);
            for (int i = 0; i < tq_graph_n_outputs(graph); i++) {
                const tq_tensor *out = tq_engine_output(engine, i);
                const double d = same_distance(out, tq_engine_output(reference, i));
                if (!(d <= tolerance))
                    check_fail(__FILE__, __LINE__, "%s: output %d is %g from the reference", text,
                               i, d);
                if (first && !tq_tensor_equal(out, tq_engine_output(first, i)))
                    check_fail(__FILE__, __LINE__, "%s: output %d differs with %d threads", text, i,
                               threads);
            }
            if (first) {
                tq_engine_destroy(engine);
                tq_pool_destroy(pool);
            } else {
                first = engine;
                first_pool = pool;
            }
        }
        tq_engine_destroy(first);
        tq_pool_destroy(first_pool);
    }
    tq_engine_destroy(reference);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&inputs[i]);
    tq_graph_destroy(graph);
}

#endif
