/* A network as C: the file beside this one is what codegen writes for `network`, it is compiled
 * into this test, and what it builds prints as the network does. After a change of the generator:
 * run this test with TRUQ_WRITE_GENERATED=1. */
#include "check.h"

#include "generated_net.c"

/* All kinds of attributes, names that C must escape, absent inputs, several outputs, all metadata.
 */
static const char *const network =
    "graph \"odd \\\"name\\\" ?\?/ */\" {"
    " meta \"stage note\" = \"back\\\\slash \\x01 end\";"
    " input \"in put\": f32[?,2,4,4];"
    " const w: f32[2,2,1,1] = {1, -2, 0.1, 1e-30};"
    " const hi: f32[] = inf;"
    " const split: i64[2] = {1, 1};"
    " const big: i64[2] = {-9223372036854775808, 9223372036854775807};"
    " c = Conv(\"in put\", w) [kernel_shape=[1,1], auto_pad=\"NOTSET\"] \"conv \\\"1\\\"\";"
    " k = Clip(c, , hi);"
    " l = LeakyRelu(k) [alpha=0.1];"
    " a, b = Split(l, split) [axis=1];"
    " t = Constant() [value=f32[2] {0.5, -3}];"
    " s = Mul(a, b);"
    " g = Cast(big) [to=1];"
    " u = Add(t, g);"
    " output s; output u;"
    " meta node l \"scope\" = \"block.0\";"
    " meta value s \"quant.scale\" = \"0.5\";"
    "}";

static const char *const source = "tests/report/generated_net.c";

TEST(the_compiled_function_builds_the_network)
{
    tq_graph *graph = check_graph(network), *built = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/net.safetensors", check_folder());
    CHECK_OK(tq_safetensors_save(graph, path));
    CHECK_OK(build_net(check_registry(), path, &built));
    CHECK_OK(tq_graph_verify(built));
    char *a = tq_graph_print(graph, -1), *b = tq_graph_print(built, -1);
    CHECK_STR(b, a);
    free(a);
    free(b);
    tq_graph_destroy(built);
    tq_graph_destroy(graph);
}

TEST(the_file_is_what_codegen_writes)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(network);
    const char *text;
    void *bytes;
    size_t size;
    CHECK_OK(tq_report_c(graph, "build_net", arena, &text));
    if (getenv("TRUQ_WRITE_GENERATED"))
        CHECK_OK(tq_file_write(source, text, strlen(text)));
    CHECK_OK(tq_file_read(source, &bytes, &size));
    CHECK_STR((const char *)bytes, text);
    free(bytes);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(a_missing_array_is_named)
{
    tq_graph *graph = check_graph("input x: f32[2]  const other: f32[2] = 1  y = Mul(x, other)"),
             *built = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/other.safetensors", check_folder());
    CHECK_OK(tq_safetensors_save(graph, path));
    CHECK_FAILS(build_net(check_registry(), path, &built), TQ_ERR_NOT_FOUND,
                "the weights have no array 'w'");
    tq_graph_destroy(graph);
}

TEST(a_function_needs_a_name_of_c)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[2]  y = Relu(x)");
    const char *text;
    CHECK_FAILS(tq_report_c(graph, "a b", arena, &text), TQ_ERR_VALUE, "'a b' is no name");
    CHECK_FAILS(tq_report_c(graph, "9a", arena, &text), TQ_ERR_VALUE, "'9a' is no name");
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}
