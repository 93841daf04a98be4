/* Networks from descriptions; the example of docs/zoo.md is built as it stands. */
#include "check.h"

static const char *write(const char *text)
{
    static char path[1100];
    snprintf(path, sizeof path, "%s/net.yaml", check_folder());
    CHECK_OK(tq_file_write(path, text, strlen(text)));
    return path;
}

static tq_status build(const char *text, const tq_zoo_options *options, tq_graph **out)
{
    const tq_zoo_description *description;
    tq_arena *arena = tq_arena_create();
    tq_status status = tq_zoo_read_description(write(text), arena, &description);
    if (!status)
        status = tq_zoo_build_description(check_registry(), description, options, out);
    tq_arena_destroy(arena);
    return status;
}

/* The YAML block of the document. */
static char *example(void)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read("docs/zoo.md", &bytes, &size));
    char *begin = strstr(bytes, "```yaml\n") + strlen("```yaml\n");
    *strstr(begin, "```") = 0;
    char *text = strdup(begin);
    free(bytes);
    return text;
}

TEST(the_example_of_the_documentation_builds)
{
    char *text = example();
    tq_graph *graph = NULL;
    CHECK_OK(build(text, &(tq_zoo_options){ 0 }, &graph));
    CHECK_EQ(check_count(graph, "Conv"), 7);
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "logits");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_output(graph, 0))).s, "f32[?,10]");
    CHECK(tq_graph_find_value(graph, "block.1.expand.weight") != NULL);
    CHECK_OK(tq_graph_verify(graph));
    tq_graph_destroy(graph);
    free(text);
}

TEST(options_change_what_a_description_says)
{
    char *text = example();
    tq_graph *graph = NULL;
    const tq_zoo_options options = {
        .capacity = 2, .activation = "relu6", .classes = 4, .input = { 1, 16, 16 }
    };
    CHECK_OK(build(text, &options, &graph));
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_output(graph, 0))).s, "f32[?,4]");
    CHECK_STR(tq_type_text(tq_value_type(tq_graph_find_value(graph, "stem.weight"))).s,
              "f32[32,1,3,3]");
    tq_graph_destroy(graph);
    free(text);
}

TEST(the_seed_makes_the_weights)
{
    static const char text[] = "input: [4]\nlayers:\n  - Gemm: { name: y, channels: 3 }\n";
    tq_graph *a = NULL, *b = NULL, *c = NULL;
    CHECK_OK(build(text, &(tq_zoo_options){ .seed = 1 }, &a));
    CHECK_OK(build(text, &(tq_zoo_options){ .seed = 1 }, &b));
    CHECK_OK(build(text, &(tq_zoo_options){ .seed = 2 }, &c));
    const tq_tensor *w = tq_value_tensor(tq_graph_find_value(a, "y.weight"));
    CHECK(tq_tensor_equal(w, tq_value_tensor(tq_graph_find_value(b, "y.weight"))));
    CHECK(!tq_tensor_equal(w, tq_value_tensor(tq_graph_find_value(c, "y.weight"))));
    tq_graph_destroy(a);
    tq_graph_destroy(b);
    tq_graph_destroy(c);
}

TEST(mistakes_are_told_with_line_and_column)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "input: [4]\nlayers:\n  - Gemm: { chanels: 3 }\n",
          "net.yaml:3:22: Gemm has no 'chanels'" },
        { "input: [4]\nlayers:\n  - Rely\n", "did you mean 'Relu'" },
        { "input: [4]\nlayers:\n  - Relu: { from: nobody }\n", "named 'nobody'" },
        { "input: [4]\nlayers:\n  - Conv: { channels: 3 }\n", "net.yaml:3:5" },
        { "input: [4]\nlayers:\n  - repeat: 0\n    layers: [Relu]\n", "net.yaml:3:13" },
        { "input: [4]\nlayer: [Relu]\n", "did you mean 'layers'" },
        { "layers: [Relu]\n", "needs 'input'" },
        { "input: [4]\nlayers: [Relu, Relu: { name: relu }]\n", "is named 'relu'" },
        { "input: [4]\nlayers:\n  - Gemm: { channels: 3, init: best }\n", "init is 'best'" },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        tq_graph *graph = NULL;
        CHECK_FAILS(build(cases[i].text, &(tq_zoo_options){ 0 }, &graph),
                    i == 1 ? TQ_ERR_NOT_FOUND : TQ_ERR_VALUE, cases[i].says);
    }
}
