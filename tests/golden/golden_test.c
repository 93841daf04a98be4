/* Integer networks that others made, with exact answers: every stored value is reproduced, integers exactly and floats
 * within 1e-5. Values of layers and activations that carry no tensor name must equal some tensor of the graph. */
#include "check.h"

typedef struct golden {
    const char *name;
    tq_graph *graph;
    tq_npz inputs;
    tq_engine *engine;
    tq_tensor fed[8]; /* values of inputs are borrowed from these */
} golden;

static const char *path_of(const char *name, const char *file)
{
    static char path[256];
    snprintf(path, sizeof path, "golden/%s/%s", name, file);
    return check_shared(path);
}

static bool exists(const char *name, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "../shared/data/golden/%s/%s", name, file);
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    return f != NULL;
}

/* The k-th array of the file as the k-th input of the graph, in the input's dtype. */
static tq_tensor input_of(const golden *g, int k)
{
    const tq_tensor *given = tq_npz_find(&g->inputs, tq_value_name(tq_graph_input(g->graph, k)));
    tq_tensor x;
    CHECK_OK(tq_tensor_cast(given ? given : &g->inputs.tensors[k],
                            tq_value_type(tq_graph_input(g->graph, k))->dtype, &x));
    return x;
}

static void open_golden(golden *g, const char *name)
{
    *g = (golden){ .name = name };
    CHECK_OK(tq_model_load(check_registry(), path_of(name, "model.onnx"), NULL, &g->graph));
    CHECK_OK(tq_npz_load(path_of(name, "inputs.npz"), &g->inputs));
    const int n = tq_graph_n_inputs(g->graph);
    tq_type types[8];
    CHECK(n <= 8 && n <= g->inputs.n);
    for (int k = 0; k < n; k++) {
        g->fed[k] = input_of(g, k);
        types[k] = g->fed[k].type;
    }
    CHECK_OK(tq_engine_create(g->graph, types, n, &(tq_engine_options){ .keep_all = true }, &g->engine));
    CHECK_OK(tq_engine_run(g->engine, g->fed, n, 0));
}

static void close_golden(golden *g)
{
    tq_engine_destroy(g->engine);
    for (int k = 0; k < TQ_COUNT(g->fed); k++)
        tq_tensor_reset(&g->fed[k]);
    tq_npz_reset(&g->inputs);
    tq_graph_destroy(g->graph);
}

/* Elements that differ; -1 if the sizes do. */
static int64_t count_differences(const tq_tensor *got, const tq_tensor *expected)
{
    if (tq_tensor_count(got) != tq_tensor_count(expected))
        return -1;
    const bool exact = tq_dtype_is_integer(got->type.dtype);
    int64_t n = 0;
    for (int64_t i = 0; i < tq_tensor_count(got); i++) {
        const double a = tq_load_f64(got->data, got->type.dtype, i);
        const double b = tq_load_f64(expected->data, expected->type.dtype, i);
        n += exact ? a != b : !(fabs(a - b) <= 1e-5 * fmax(1.0, fabs(b)));
    }
    return n;
}

static void check_outputs(const golden *g)
{
    tq_npz outputs;
    CHECK_OK(tq_npz_load(path_of(g->name, "outputs.npz"), &outputs));
    for (int k = 0; k < tq_graph_n_outputs(g->graph); k++) {
        const tq_tensor *expected = tq_npz_find(&outputs, tq_value_name(tq_graph_output(g->graph, k)));
        if (!expected)
            expected = &outputs.tensors[k];
        CHECK_EQ(count_differences(tq_engine_output(g->engine, k), expected), 0, "(%s, output %d)", g->name, k);
    }
    tq_npz_reset(&outputs);
}

static void check_layers(const golden *g)
{
    tq_npz layers;
    CHECK_OK(tq_npz_load(path_of(g->name, "layers.npz"), &layers));
    for (int i = 0; i < layers.n; i++) {
        const tq_tensor *got = tq_engine_value(g->engine, layers.names[i]);
        CHECK_EQ(got != NULL, true, "(%s has no value '%s')", g->name, layers.names[i]);
        CHECK_EQ(count_differences(got, &layers.tensors[i]), 0, "(%s, value '%s')", g->name, layers.names[i]);
    }
    tq_npz_reset(&layers);
}

static bool equals_some_value(const golden *g, const tq_tensor *expected)
{
    for (int k = 0; k < tq_graph_n_values(g->graph); k++) {
        const tq_tensor *got = tq_engine_value(g->engine, tq_value_name(tq_graph_value(g->graph, k)));
        if (got && count_differences(got, expected) == 0)
            return true;
    }
    return false;
}

static void check_activations(const golden *g)
{
    tq_npz activations;
    CHECK_OK(tq_npz_load(path_of(g->name, "activations.npz"), &activations));
    for (int i = 0; i < activations.n; i++)
        CHECK_EQ(equals_some_value(g, &activations.tensors[i]), true, "(%s, activation '%s')", g->name,
                 activations.names[i]);
    tq_npz_reset(&activations);
}

static void check_golden(const char *name)
{
    if (!path_of(name, "model.onnx"))
        check_skip("golden network '%s' is not there", name);
    golden g;
    open_golden(&g, name);
    if (exists(name, "outputs.npz"))
        check_outputs(&g);
    if (exists(name, "layers.npz"))
        check_layers(&g);
    if (exists(name, "activations.npz"))
        check_activations(&g);
    close_golden(&g);
}

#define GOLDEN(name)                                                                              \
    TEST(name##_is_reproduced)                                                                    \
    {                                                                                             \
        check_golden(#name);                                                                      \
    }

GOLDEN(cnn_linear1)
GOLDEN(dronet_quantlib)
GOLDEN(eegformer)
GOLDEN(kernel_add_regular_rq)
GOLDEN(kernel_concat)
GOLDEN(kernel_conv_dw_2d_rq)
GOLDEN(kernel_conv_pw_2d_rq_regular_rq)
GOLDEN(kernel_conv_regular_1d_rq)
GOLDEN(kernel_conv_regular_2d_rq)
GOLDEN(kernel_conv_regular_3x3)
GOLDEN(kernel_gemm_regular)
GOLDEN(kernel_gemm_regular_rqperrow)
GOLDEN(kernel_hardswish_regular_rq)
GOLDEN(kernel_matmul_regular)
GOLDEN(kernel_matmul_regular_rq)
GOLDEN(kernel_maxpool_regular_2d)
GOLDEN(kernel_mixed_quant)
GOLDEN(kernel_pad_regular_2d)
GOLDEN(kernel_reducesum)
GOLDEN(kernel_slice)
GOLDEN(kernel_softmax_regular)
GOLDEN(mini_mobilenet)
GOLDEN(mlperf_ic)
GOLDEN(mlperf_kws)
GOLDEN(nemo_eegnet)
GOLDEN(nemo_frontnet)
GOLDEN(nemo_residual_1)
GOLDEN(nemo_tcn)
