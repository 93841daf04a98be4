/* truq infer: how arrays meet the inputs of a network. */
#include "check.h"

#include <sys/wait.h>

static const char *path_of(const char *name)
{
    static char paths[8][300];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", check_folder(), name);
    return path;
}

static void save_model(const char *text)
{
    tq_graph *graph = check_graph(text);
    CHECK_OK(tq_onnx_export(graph, path_of("m.onnx"), 0));
    tq_graph_destroy(graph);
}

static tq_tensor doubles(tq_dtype dtype, int rank, const int64_t *dims, const double *values)
{
    tq_tensor tensor;
    const tq_type type = tq_type_make(dtype, rank, dims);
    CHECK_OK(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_tensor_count(&tensor); i++)
        tq_store_f64(tensor.data, dtype, i, values[i]);
    return tensor;
}

/** Exit status of truq infer on these arrays, with more options. */
static int infer(int n, const char *const *names, tq_tensor *arrays, const char *more)
{
    const char *truq = getenv("TRUQ");
    char command[2000];
    if (!truq)
        check_skip("no command: ctest says where it is in $TRUQ");
    CHECK_OK(tq_npz_save(path_of("in.npz"), n, names, arrays));
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&arrays[i]);
    remove(path_of("out.npz"));
    snprintf(command, sizeof command, "'%s' infer '%s' --in '%s' --out '%s' %s > '%s' 2>&1", truq,
             path_of("m.onnx"), path_of("in.npz"), path_of("out.npz"), more, path_of("log"));
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool logged(const char *text)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read(path_of("log"), &bytes, &size));
    const bool found = strstr(bytes, text) != NULL;
    free(bytes);
    return found;
}

static double result(const char *name, int64_t i)
{
    tq_npz npz;
    CHECK_OK(tq_npz_load(path_of("out.npz"), &npz));
    const tq_tensor *tensor = tq_npz_find(&npz, name);
    CHECK(tensor != NULL && i < tq_tensor_count(tensor));
    const double value = tq_load_f64(tensor->data, tensor->type.dtype, i);
    tq_npz_reset(&npz);
    return value;
}

#define MINUS "input a: f32[?,2] input b: f32[?,2] d = Sub(a,b) y = Neg(d)"
static const int64_t one_by_two[] = { 1, 2 };

TEST(arrays_are_found_by_name_in_any_order)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                           doubles(TQ_F32, 2, one_by_two, (double[]){ 10, 20 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "b", "a" }, arrays, ""), 0);
    CHECK_NEAR(result("y", 1), -18.0, 0.0);
}

TEST(other_names_mean_the_kth_input)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                           doubles(TQ_F32, 2, one_by_two, (double[]){ 10, 20 }),
                           doubles(TQ_F32, 2, one_by_two, (double[]){ 0, 0 }) };
    CHECK_EQ(infer(3, (const char *const[]){ "p", "q", "r" }, arrays, ""), 0);
    CHECK_NEAR(result("y", 1), 18.0, 0.0);
}

TEST(another_dtype_is_taken_where_no_value_changes)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_I64, 2, one_by_two, (double[]){ 1, 2 }),
                           doubles(TQ_F64, 2, one_by_two, (double[]){ 10, 20 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "a", "b" }, arrays, ""), 0);
    CHECK_NEAR(result("y", 0), 9.0, 0.0);
}

TEST(a_value_that_would_change_is_refused_by_name)
{
    save_model("input a: u8[?,2] y = Identity(a)");
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2.5 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "a" }, arrays, ""), 1);
    CHECK(logged("element 1 is 2.5"));
    tq_tensor large[] = { doubles(TQ_I64, 2, one_by_two, (double[]){ 1, 256 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "a" }, large, ""), 1);
}

TEST(a_wrong_shape_says_found_and_expected)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_F32, 1, (int64_t[]){ 2 }, (double[]){ 1, 2 }),
                           doubles(TQ_F32, 2, one_by_two, (double[]){ 10, 20 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "a", "b" }, arrays, ""), 1);
    CHECK(logged("array 'a' is f32[2], input 'a' is f32[?,2]"));
}

TEST(a_missing_array_is_named)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "b" }, arrays, ""), 1);
    CHECK(logged("no array for input 'a'"));
}

/* What others' runtimes take as codes is imported on reals: neither may pass for the other. */
TEST(codes_are_no_reals)
{
    save_model("input x: u8[?,2] const s: f32[] = 0.5 const z: u8[] = 3 "
               "d = DequantizeLinear(x,s,z) r = Relu(d) y = QuantizeLinear(r,s,z)");
    tq_tensor codes[] = { doubles(TQ_U8, 2, one_by_two, (double[]){ 4, 5 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "x" }, codes, ""), 1);
    CHECK(logged("array 'x' is u8: codes; imported, input 'x' takes the reals they stand for"));
    tq_tensor reals[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 0.5, 1 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "x" }, reals, ""), 0);
    CHECK_NEAR(result("y", 1), 1.0, 0.0);
    save_model("input x: u8[?,2] y = Identity(x) meta value x \"import.codes\" = \"u8\"");
    tq_tensor again[] = { doubles(TQ_U8, 2, one_by_two, (double[]){ 4, 5 }) }; /* integerised */
    CHECK_EQ(infer(1, (const char *const[]){ "x" }, again, ""), 0);
}

TEST(inner_values_come_on_request)
{
    save_model(MINUS);
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                           doubles(TQ_F32, 2, one_by_two, (double[]){ 10, 20 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "a", "b" }, arrays, "--tensors d,a"), 0);
    CHECK_NEAR(result("d", 0), -9.0, 0.0);
    CHECK_NEAR(result("a", 1), 2.0, 0.0);
    tq_tensor again[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                          doubles(TQ_F32, 2, one_by_two, (double[]){ 10, 20 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "a", "b" }, again, "--tensors all"), 0);
    CHECK_NEAR(result("d", 1), -18.0, 0.0);
}

TEST(scalars_and_empty_batches_run)
{
    save_model("input a: f32[] y = Neg(a)");
    tq_tensor scalar[] = { doubles(TQ_F32, 0, NULL, (double[]){ 3 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "a" }, scalar, ""), 0);
    CHECK_NEAR(result("y", 0), -3.0, 0.0);
    save_model("input a: f32[?,2] y = Neg(a)");
    tq_tensor empty[] = { doubles(TQ_F32, 2, (int64_t[]){ 0, 2 }, NULL) };
    CHECK_EQ(infer(1, (const char *const[]){ "a" }, empty, ""), 0);
}

TEST(shapes_may_come_as_arrays)
{
    save_model("input x: f32[?,?] input s: i64[?] y = Reshape(x, s)");
    tq_tensor arrays[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                           doubles(TQ_I64, 1, (int64_t[]){ 2 }, (double[]){ 2, -1 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "x", "s" }, arrays, "--tensors s"), 0);
    CHECK_NEAR(result("y", 1), 2.0, 0.0);
    CHECK_NEAR(result("s", 1), -1.0, 0.0);
    tq_tensor wrong[] = { doubles(TQ_F32, 2, one_by_two, (double[]){ 1, 2 }),
                          doubles(TQ_I64, 1, (int64_t[]){ 1 }, (double[]){ 3 }) };
    CHECK_EQ(infer(2, (const char *const[]){ "x", "s" }, wrong, ""), 1);
    CHECK(logged("cannot become"));
}

TEST(outputs_of_four_bits_are_widened_on_request_only)
{
    save_model("input x: i8[2] y = Cast(x)[to=22]");
    tq_tensor arrays[] = { doubles(TQ_I8, 1, (int64_t[]){ 2 }, (double[]){ 1, -2 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "x" }, arrays, ""), 3);
    CHECK(logged("output 'y' is i4"));
    tq_tensor again[] = { doubles(TQ_I8, 1, (int64_t[]){ 2 }, (double[]){ 1, -2 }) };
    CHECK_EQ(infer(1, (const char *const[]){ "x" }, again, "--tensors y"), 0);
    CHECK_NEAR(result("y", 1), -2.0, 0.0);
}
