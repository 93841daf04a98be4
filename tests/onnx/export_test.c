/* Graphs become ONNX files and come back the same. */
#include "check.h"
#include "onnx/onnx.h"

#include <dirent.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", check_folder(), name);
    return path;
}

static tq_graph *reread(const tq_graph *graph, int opset)
{
    tq_graph *back = NULL;
    CHECK_OK(tq_onnx_export(graph, path_of("m.onnx"), opset));
    CHECK_OK(tq_onnx_import(check_registry(), path_of("m.onnx"), &back));
    return back;
}

/** Written and read again, the graph prints the same; destroys it. */
static void check_round_trip(tq_graph *graph, int opset)
{
    tq_graph *back = reread(graph, opset);
    char *before = tq_graph_print(graph, -1), *after = tq_graph_print(back, -1);
    CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(graph);
    tq_graph_destroy(back);
}

static const char float_network[] = "graph \"net\" {\n"
                                    "  meta \"preset\" = \"raw\";\n"
                                    "  meta \"onnx.author\" = \"me: 100%\";\n"
                                    "  input x: f32[?,2,4,4];\n"
                                    "  const w: f32[2,2,1,1] = {1, 2, 3, 4};\n"
                                    "  const b: f32[2] = {0.5, -0.5};\n"
                                    "  const lo: f32[] = {0};\n"
                                    "  h = Conv(x, w, b) [strides=[2,2]] \"a:b\";\n"
                                    "  c = Clip(h, lo);\n"
                                    "  y = GlobalAveragePool(c) \"pool\";\n"
                                    "  output y;\n"
                                    "  meta node \"a:b\" \"note\" = \"line\\x0aline\";\n"
                                    "  meta value h \"quant.scale\" = \"0.5\";\n"
                                    "  meta value x \"dim.0\" = \"N\";\n"
                                    "}\n";

TEST(a_float_network_comes_back_the_same)
{
    for (int opset = 13; opset <= 24; opset++)
        check_round_trip(check_graph(float_network), opset);
}

TEST(a_fake_quantised_network_comes_back_the_same)
{
    check_round_trip(check_graph("graph \"q\" {\n"
                                 "  input x: f32[1,2];\n"
                                 "  const lo: f32[1] = {0};\n  const hi: f32[1] = {6};\n"
                                 "  y = FakeQuantize(x, lo, hi) [quantizer=\"pact\", q_min=0, "
                                 "n_levels=256, slot=\"output\"];\n"
                                 "  output y;\n"
                                 "}\n"),
                     0);
}

TEST(a_true_quantised_network_comes_back_the_same)
{
    check_round_trip(check_graph("graph \"t\" {\n"
                                 "  meta \"stage\" = \"true\";\n"
                                 "  input x: i32[1,2];\n"
                                 "  const m: i32[1] = {3};\n"
                                 "  const a: i64[1] = {8};\n"
                                 "  y = Requant(x, m, a) [shift=4, q_min=0, q_max=255, "
                                 "dtype=\"u8\"];\n"
                                 "  output y;\n"
                                 "}\n"),
                     17);
}

TEST(four_bit_constants_come_back_the_same)
{
    static const char text[] = "graph \"four\" {\n"
                               "  const c: i4[3] = {-8, 7, -1};\n"
                               "  y = Identity(c);\n"
                               "  output y;\n"
                               "}\n";
    check_round_trip(check_graph(text), 21);
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_onnx_export(graph, path_of("four.onnx"), 17), TQ_ERR_UNSUPPORTED, "opset");
    CHECK(access(path_of("four.onnx"), F_OK) != 0);
    tq_graph_destroy(graph);
}

TEST(the_same_graph_gives_the_same_bytes)
{
    tq_graph *graph = check_graph(float_network);
    void *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(tq_onnx_export(graph, path_of(i ? "one.onnx" : "two.onnx"), 0));
        CHECK_OK(tq_file_read(path_of(i ? "one.onnx" : "two.onnx"), &bytes[i], &sizes[i]));
    }
    CHECK(sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
    tq_graph_destroy(graph);
}

/* ---- older forms ---- */

/** The graph, written for `opset` and read again, still prints its node as `line`. */
static void check_node(const char *text, int opset, const char *line)
{
    tq_graph *graph = check_graph(text), *back = reread(graph, opset);
    char *printed = tq_graph_print(back, -1);
    if (!strstr(printed, line))
        check_fail(__FILE__, __LINE__, "'%s' is not in\n%s", line, printed);
    free(printed);
    tq_graph_destroy(graph);
    tq_graph_destroy(back);
}

TEST(inputs_that_were_attributes_become_attributes_and_inputs_again)
{
    check_node("input x: f32[1,4] const lo: f32[] = {0} const hi: f32[] = {6} y = Clip(x, lo, hi)",
               10, "y = Clip(x, lo, hi)");
    check_node("input x: f32[1,4] const a: i64[1] = {-1} y = ReduceMean(x, a)", 17,
               "const a: i64[1] = {-1}");
    check_node("input x: f32[1,4] const a: i64[1] = {-2} y = Squeeze(x, a)", 10,
               "const a: i64[1] = {0}");
    check_node("input x: f32[4,4] const p: i64[4] = {0,1,0,1} y = Pad(x, p)", 10, "y = Pad(x, p)");
    check_node("input x: f32[4,4] y = Softmax(x)", 10, "y = Softmax(x) [axis=1]");
}

TEST(the_default_opset_has_all_operators)
{
    check_node("input x: f32[4] y = Gelu(x)", 0, "y = Gelu(x)");
    check_node("input x: f32[4] y = Swish(x)", 0, "y = Swish(x)");
}

TEST(the_default_opset_has_what_attributes_say)
{
    check_round_trip(check_graph("input x: f32[1,2,4,4] const s: i64[2] = {8,8} "
                                 "y = Resize(x, , , s) [axes=[2,3]]"),
                     0);
}

/* ONNX has no Conv of integers: the file says truq's, with the attributes of ONNX. */
TEST(integer_forms_that_onnx_lacks_come_back_the_same)
{
    check_round_trip(check_graph("input x: i64[1,2,4,4] const w: i64[3,2,3,3] = 5 "
                                 "c = Conv(x, w) [pads=[1,1,1,1]] "
                                 "y = MaxPool(c) [kernel_shape=[2,2]]"),
                     0);
    check_round_trip(check_graph("input x: i32[1,2] const w: i32[2,3] = 7 y = Gemm(x, w)"), 13);
}

static void check_refused(const char *text, int opset, const char *why)
{
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_onnx_export(graph, path_of("refused.onnx"), opset), TQ_ERR_UNSUPPORTED, why);
    CHECK(access(path_of("refused.onnx"), F_OK) != 0);
    tq_graph_destroy(graph);
}

TEST(what_has_no_form_in_an_opset_is_refused)
{
    check_refused("input x: f32[4] y = HardSwish(x)", 13,
                  "node 'y' (HardSwish): came with opset 14");
    check_refused("input x: i32[4] y = Relu(x)", 13, "Relu does not take i32 in opset 13");
    check_refused("input x: f32[1,4,2] y = Softmax(x) [axis=1]", 10, "axis must be the last");
    check_refused("input x: f32[4] input lo: f32[] y = Clip(x, lo)", 10, "must be a constant");
    check_refused("input x: f32[4] y = Relu(x)", 12, "opset 12 cannot be written");
    check_refused("input x: f32[4] y = Relu(x)", 25, "opset 25 cannot be written");
}

static bool contains(const char *bytes, size_t size, const char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp(bytes + i, text, n) == 0)
            return true;
    return false;
}

TEST(notes_of_exporters_are_attributes_in_opset_10_and_metadata_later)
{
    for (int opset = 10; opset <= 17; opset += 7) {
        tq_graph *graph = check_graph("input x: f32[4] y = Relu(x)");
        tq_node_set_meta(tq_graph_first(graph), "attr.out_bits", "8");
        check_round_trip(graph, opset);
        void *bytes;
        size_t size;
        CHECK_OK(tq_file_read(path_of("m.onnx"), &bytes, &size));
        CHECK_EQ(contains(bytes, size, "truq.node"), opset != 10);
        free(bytes);
    }
}

/* ---- external data ---- */

TEST(large_constants_go_to_a_file_beside_the_model)
{
    tq_graph *graph = check_graph("input x: f32[1,400] const w: f32[400,2] = random(1) "
                                  "const b: f32[2] = {1, 2} h = MatMul(x, w) y = Add(h, b)");
    CHECK_OK(tq_onnx_write(graph, path_of("big.onnx"), 17, 1000));
    CHECK(access(path_of("big.onnx.data"), R_OK) == 0);
    tq_graph *back = NULL;
    CHECK_OK(tq_onnx_import(check_registry(), path_of("big.onnx"), &back));
    char *before = tq_graph_print(graph, -1), *after = tq_graph_print(back, -1);
    CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(graph);
    tq_graph_destroy(back);
}

/* ---- places that cannot be written ---- */

TEST(places_that_cannot_be_written_are_named)
{
    tq_graph *graph = check_graph("input x: f32[4] y = Relu(x)");
    CHECK_FAILS(tq_onnx_export(graph, "/nowhere/m.onnx", 0), TQ_ERR_IO,
                "cannot write '/nowhere/m.onnx': No such file");
    CHECK_FAILS(tq_onnx_export(graph, "/dev/full", 0), TQ_ERR_IO,
                "cannot write '/dev/full': No space");
    CHECK_FAILS(tq_onnx_export(graph, check_folder(), 0), TQ_ERR_IO, "it is a folder");
    tq_graph_destroy(graph);
}

TEST(an_export_leaves_no_temporary_files)
{
    tq_graph *graph = check_graph("input x: f32[4] y = Relu(x)");
    for (int i = 0; i < 2; i++)
        CHECK_OK(tq_onnx_export(graph, path_of("clean.onnx"), 0));
    tq_graph_destroy(graph);
    DIR *folder = opendir(check_folder());
    for (const struct dirent *entry; (entry = readdir(folder));)
        CHECK(!strstr(entry->d_name, ".tmp"));
    closedir(folder);
}

TEST(a_file_is_replaced_through_a_link)
{
    char link[1024];
    snprintf(link, sizeof link, "%s", path_of("link"));
    CHECK_OK(tq_file_write(path_of("target"), "old", 3));
    CHECK_EQ(symlink("target", link), 0);
    CHECK_OK(tq_file_write(link, "new!", 4));
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read(path_of("target"), &bytes, &size));
    CHECK_STR((const char *)bytes, "new!");
    free(bytes);
}
