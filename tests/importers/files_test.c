/* Files that others wrote (tests/data/importers/make.py), against what their own runtimes answered.
 */
#include "check.h"

#include <truq/road.h>
#include <truq/tflite.h>

#define FOLDER "tests/data/importers/"

static tq_graph *load(const char *file, const char *dialect)
{
    tq_graph *graph = NULL;
    CHECK_OK(tq_model_load(check_registry(), file, dialect, &graph));
    return graph;
}

static tq_npz arrays_of(const char *file)
{
    tq_npz npz;
    CHECK_OK(tq_npz_load(file, &npz));
    return npz;
}

static void integerise(tq_graph **graph)
{
    CHECK_OK(tq_f2t_run(graph, &(tq_f2t_options){ .shift = -1, .force_half_up = true }, NULL));
}

/* The largest difference between y / scale + zero and the codes. */
static double worst(const tq_tensor *y, double scale, double zero, const tq_tensor *codes)
{
    double most = 0;
    CHECK_EQ(tq_tensor_count(y), tq_tensor_count(codes));
    for (int64_t i = 0; i < tq_tensor_count(y); i++) {
        const double got = tq_load_f64(y->data, y->type.dtype, i) / scale + zero;
        most = fmax(most, fabs(rint(got) - tq_load_f64(codes->data, codes->type.dtype, i)));
    }
    return most;
}

/* Codes as the reals they stand for. */
static tq_tensor reals(const tq_tensor *codes, double scale, double zero)
{
    tq_tensor x;
    CHECK_OK(tq_tensor_cast(codes, TQ_F32, &x));
    for (int64_t i = 0; i < tq_tensor_count(&x); i++)
        ((float *)x.data)[i] =
            (float)(scale * (tq_load_f64(codes->data, codes->type.dtype, i) - zero));
    return x;
}

static double grid(const tq_graph *graph, const tq_value *value, const char *what)
{
    double v = 0;
    int64_t i = 0;
    if (tq_value_meta_f64(value, what, &v))
        return v;
    CHECK(graph && tq_value_meta_i64(value, what, &i));
    return (double)i;
}

TEST(qdq_equals_onnx_runtime)
{
    tq_graph *graph = load(FOLDER "qdq.onnx", NULL);
    tq_npz npz = arrays_of(FOLDER "qdq.npz");
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_FAKE);
    CHECK_EQ(check_count(graph, "QuantizeLinear") + check_count(graph, "DequantizeLinear"), 0);
    tq_tensor y = check_run(graph, tq_npz_find(&npz, "x"));
    CHECK_NEAR(worst(&y, 0.1f, 70, tq_npz_find(&npz, "codes")), 0, 0);
    tq_tensor_reset(&y);
    tq_npz_reset(&npz);
    tq_graph_destroy(graph);
}

TEST(qdq_becomes_integers_with_zero_points)
{
    tq_graph *graph = load(FOLDER "qdq.onnx", NULL);
    tq_npz npz = arrays_of(FOLDER "qdq.npz");
    integerise(&graph);
    const tq_tensor *x = tq_npz_find(&npz, "x");
    const tq_type type = tq_type_make(TQ_U8, x->type.rank, x->type.dims);
    tq_tensor codes;
    CHECK_OK(tq_tensor_init(&codes, &type));
    for (int64_t i = 0; i < tq_tensor_count(x); i++)
        tq_store_f64(codes.data, TQ_U8, i,
                     rint((double)(((const float *)x->data)[i] / 0.031f)) + 119);
    tq_tensor y = check_run(graph, &codes);
    CHECK_EQ(y.type.dtype, TQ_U8);
    CHECK(worst(&y, 1, 0, tq_npz_find(&npz, "codes")) <= 1);
    tq_tensor_reset(&codes);
    tq_tensor_reset(&y);
    tq_npz_reset(&npz);
    tq_graph_destroy(graph);
}

TEST(qoperator_equals_onnx_runtime_as_it_stands_and_as_reals)
{
    tq_graph *as_is = load(FOLDER "qoperator.onnx", "onnx");
    tq_graph *graph = load(FOLDER "qoperator.onnx", NULL);
    tq_npz npz = arrays_of(FOLDER "qoperator.npz");
    const tq_tensor *want = tq_npz_find(&npz, "yq");
    CHECK_STR(tq_graph_meta(graph, "dialect"), "qoperator");
    tq_tensor x = reals(tq_npz_find(&npz, "xq"), 0.031f, 119);
    tq_tensor codes = check_run(as_is, tq_npz_find(&npz, "xq")), y = check_run(graph, &x);
    CHECK_EQ(codes.type.dtype, TQ_U8);
    CHECK(worst(&codes, 1, 0, want) <= 1);
    CHECK(worst(&y, 0.1f, 70, want) <= 1);
    tq_tensor_reset(&codes);
    tq_tensor_reset(&y);
    tq_tensor_reset(&x);
    tq_npz_reset(&npz);
    tq_graph_destroy(as_is);
    tq_graph_destroy(graph);
}

TEST(tflite_is_within_two_steps_of_its_own_runtime)
{
    tq_graph *graph = load(FOLDER "int8.tflite", NULL);
    tq_npz npz = arrays_of(FOLDER "int8.npz");
    CHECK_STR(tq_graph_meta(graph, "dialect"), "tflite");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_input(graph, 0))).s, "f32[?,3,8,8]");
    integerise(&graph);
    tq_tensor y = check_run(graph, tq_npz_find(&npz, "x"));
    CHECK_EQ(y.type.dtype, TQ_I8);
    CHECK(worst(&y, 1, 0, tq_npz_find(&npz, "y")) <= 2);
    CHECK(grid(graph, tq_graph_output(graph, 0), "quant.scale") > 0);
    tq_tensor_reset(&y);
    tq_npz_reset(&npz);
    tq_graph_destroy(graph);
}

/* How TensorFlow writes a dilated convolution, a repetition of pixels, and attention; inputs and
 * outputs are u8 around an i8 network. */
TEST(what_converters_spell_out_is_read)
{
    static const struct {
        const char *name, *once; /* an operator that is there once in the end */
        double most;             /* steps: one step before a softmax is several behind it */
    } forms[] = { { "dilated", "Conv", 1 },
                  { "repeated", "Conv", 1 },
                  { "attention", "Softmax", 4 } };
    tq_npz npz = arrays_of(FOLDER "forms.npz");
    for (int i = 0; i < TQ_COUNT(forms); i++) {
        char file[100], x[40], y[40];
        snprintf(file, sizeof file, FOLDER "%s.tflite", forms[i].name);
        snprintf(x, sizeof x, "%s_x", forms[i].name);
        snprintf(y, sizeof y, "%s_y", forms[i].name);
        tq_graph *graph = load(file, NULL);
        CHECK_EQ(check_count(graph, forms[i].once), 1, "(%s)", forms[i].name);
        integerise(&graph);
        tq_tensor got = check_run(graph, tq_npz_find(&npz, x));
        CHECK_EQ(got.type.dtype, TQ_U8);
        CHECK_EQ(worst(&got, 1, 0, tq_npz_find(&npz, y)) <= forms[i].most, true, "(%s: %g)",
                 forms[i].name, worst(&got, 1, 0, tq_npz_find(&npz, y)));
        tq_tensor_reset(&got);
        tq_graph_destroy(graph);
    }
    tq_npz_reset(&npz);
}

/* ---- damage ---- */

static void try_tflite(const uint8_t *bytes, size_t n)
{
    tq_graph *graph = NULL;
    const tq_status status = tq_tflite_import_bytes(check_registry(), bytes, n, "x", &graph);
    CHECK(!status == !!graph);
    tq_status_drop(status);
    tq_graph_destroy(graph);
}

TEST(a_truncated_tflite_is_an_error)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read(FOLDER "int8.tflite", &bytes, &size));
    for (size_t n = 0; n < size; n += n < 64 ? 1 : 37) {
        uint8_t *copy = check_random_bytes((int64_t)n); /* ends at a guard page */
        memcpy(copy, bytes, n);
        try_tflite(copy, n);
    }
    free(bytes);
}

TEST(changed_bytes_of_a_tflite_never_crash)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read(FOLDER "int8.tflite", &bytes, &size));
    uint8_t *at = bytes;
    for (size_t i = 0; i < size; i += 5) {
        const uint8_t before = at[i];
        at[i] = (uint8_t)(before ^ (1u << (i % 8)));
        try_tflite(at, size);
        at[i] = 0xff;
        try_tflite(at, size);
        at[i] = before;
    }
    free(bytes);
}

/* ---- checkpoints ---- */

TEST(a_checkpoint_gives_its_tensors_by_name)
{
    tq_npz npz;
    CHECK_OK(tq_torch_load(FOLDER "torch.ckpt", &npz));
    CHECK_EQ(npz.n, 7, "the optimiser's are not of the network");
    const tq_tensor *turned = tq_npz_find(&npz, "module.turned");
    CHECK_STR(tq_type_text(&turned->type).s, "f32[6,4]");
    CHECK_NEAR(((const float *)turned->data)[1], 6, 0);
    CHECK_NEAR(((const float *)tq_npz_find(&npz, "module.fc.bias")->data)[2], 14, 0);
    CHECK_EQ(tq_npz_find(&npz, "module.half")->type.dtype, TQ_F16);
    CHECK_EQ(tq_npz_find(&npz, "module.brain")->type.dtype, TQ_BF16);
    CHECK_EQ(*(const int64_t *)tq_npz_find(&npz, "module.count")->data, 7);
    tq_npz_reset(&npz);
}

TEST(nothing_in_a_checkpoint_is_run)
{
    tq_npz npz;
    CHECK_FAILS(tq_torch_load(FOLDER "command.ckpt", &npz), TQ_ERR_UNSUPPORTED, "'posix.system'");
}

TEST(checkpoints_of_before_1_6_are_read)
{
    tq_npz npz;
    CHECK_OK(tq_torch_load(FOLDER "old.pth", &npz));
    CHECK_EQ(npz.n, 3);
    CHECK_STR(tq_type_text(&tq_npz_find(&npz, "turned")->type).s, "f32[6,4]");
    CHECK_NEAR(((const float *)tq_npz_find(&npz, "turned")->data)[1], 6, 0);
    CHECK_NEAR(((const float *)tq_npz_find(&npz, "w")->data)[23], 23, 0);
    CHECK_EQ(tq_npz_find(&npz, "half")->type.dtype, TQ_F16);
    tq_npz_reset(&npz);
}

/* What frameworks keep beside the weights does not stand in the way of them. */
TEST(what_is_no_tensor_is_left_out)
{
    tq_npz npz;
    CHECK_OK(tq_torch_load(FOLDER "beside.ckpt", &npz));
    CHECK_EQ(npz.n, 1);
    CHECK_NEAR(((const float *)tq_npz_find(&npz, "model.w")->data)[2], 2, 0);
    tq_npz_reset(&npz);
}

static void damage(const char *file)
{
    void *bytes;
    size_t size;
    char path[1100];
    snprintf(path, sizeof path, "%s/damaged.ckpt", check_folder());
    CHECK_OK(tq_file_read(file, &bytes, &size));
    uint8_t *at = bytes;
    for (size_t i = 0; i < size; i += 11) {
        const uint8_t before = at[i];
        tq_npz npz;
        at[i] = (uint8_t)(before + 1);
        CHECK_OK(tq_file_write(path, bytes, i % 2 ? size : i));
        tq_status_drop(tq_torch_load(path, &npz));
        tq_npz_reset(&npz);
        at[i] = before;
    }
    free(bytes);
}

TEST(a_damaged_checkpoint_is_an_error)
{
    damage(FOLDER "torch.ckpt");
    damage(FOLDER "old.pth");
    damage(FOLDER "beside.ckpt");
}

TEST(what_fits_is_loaded_and_the_rest_listed)
{
    tq_graph *graph = check_graph("input x: f32[1,4] const module.fc.weight: f32[3,4] = "
                                  "{0,0,0,0,0,0,0,0,0,0,0,0} const other: f32[3] = {1, 2, 3} "
                                  "y = Gemm(x, module.fc.weight, other) [transB=1]");
    tq_arena *arena = tq_arena_create();
    tq_npz npz;
    int n;
    const char *rest;
    CHECK_OK(tq_torch_load(FOLDER "torch.ckpt", &npz));
    CHECK_OK(tq_weights_apply_some(graph, npz.n, npz.names, npz.tensors, arena, &n, &rest));
    CHECK_EQ(n, 1);
    CHECK(strstr(rest, "missing: 'other'") && strstr(rest, "extra: 'module.fc.bias'"));
    tq_npz_reset(&npz);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}
