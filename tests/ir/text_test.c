/* The text form: what is printed parses back to the same text, whatever the names; what cannot be
 * read is refused with line and column. */
#include "road.h"

/* The text with every checksum zeroed: elided constants come back as zeros. */
static void blank_checksums(char *text)
{
    for (char *at = text; (at = strstr(at, "crc32:")) != NULL; at += 6)
        memset(at + 6, '0', 8);
}

/* print(parse(print(g))) = print(g). */
static void check_round_trip(const tq_graph *graph, int64_t max_elements)
{
    char *text = tq_graph_print(graph, max_elements);
    CHECK(text);
    tq_graph *back = NULL;
    CHECK_OK(tq_graph_parse(check_registry(), text, &back));
    CHECK_OK(tq_graph_verify(back));
    char *again = tq_graph_print(back, max_elements);
    blank_checksums(text);
    blank_checksums(again);
    CHECK_STR(again, text);
    free(again);
    free(text);
    tq_graph_destroy(back);
}

static void check_text_round_trip(const char *text)
{
    tq_graph *graph = check_graph(text);
    check_round_trip(graph, -1);
    tq_graph_destroy(graph);
}

static void check_refused(const char *text, const char *message)
{
    tq_graph *graph = NULL;
    CHECK_FAILS(tq_graph_parse(check_registry(), text, &graph), TQ_ERR_FORMAT, message);
}

TEST(every_network_of_the_zoo_comes_back_elided_and_full)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_ZOO); i++) {
        const char *name = tq_registry_at(check_registry(), TQ_KIND_ZOO, i)->name;
        const bool flat = strcmp(name, "autoencoder") == 0,
                   large = strncmp(name, "resnet1", 7) == 0 || strncmp(name, "resnet5", 7) == 0;
        tq_graph *graph = road_build(name, 0.25, 0, flat || !strcmp(name, "ds_cnn") ? 0 : 32,
                                     flat || !strcmp(name, "ds_cnn") ? 0 : 32);
        check_round_trip(graph, 8);
        if (!large && strcmp(name, "vgg") != 0)
            check_round_trip(graph, -1);
        tq_graph_destroy(graph);
    }
}

TEST(fake_and_true_networks_come_back_with_their_metadata)
{
    tq_graph *graph = road_build("resnet8", 0.25, 3, 8, 8);
    road_fake(&graph, "pact8");
    check_round_trip(graph, -1);
    road_true(&graph, "generic");
    check_round_trip(graph, -1);
    tq_graph_destroy(graph);
}

/* Names are user data: keywords, spaces, quotes, controls, UTF-8, separators. */
TEST(hostile_names_are_quoted)
{
    static const char *const names[] = {
        "input",    "output", "const", "meta",      "graph",   "value",      "node",
        "a b",      "\"",     "\\",    "new\nline", "tab\t",   "semi;colon", "#hash",
        "comma,",   "=",      "(x)",   "[0]",       "{",       "}",          "na\xc3\xafve",
        "\x01\x7f", "-1",     "1.5",   "random",    "crc32:0", "nan",        "..."
    };
    tq_graph *graph = check_graph("input x: f32[2,3]");
    tq_value *value = tq_graph_input(graph, 0);
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const char *outputs[] = { names[i] };
        tq_node *node;
        CHECK_OK(tq_graph_add_node(graph,
                                   &(tq_node_spec){ .op = "Relu",
                                                    .inputs = &value,
                                                    .n_inputs = 1,
                                                    .output_names = outputs,
                                                    .name = names[i] },
                                   &node));
        value = tq_node_output(node, 0);
        tq_value_set_meta(value, names[i], names[i]);
        tq_node_set_meta(node, names[i], "");
        tq_graph_set_meta(graph, names[i], names[TQ_COUNT(names) - 1 - i]);
    }
    tq_graph_add_output(graph, value);
    tq_graph_set_name(graph, "\"};\n");
    check_round_trip(graph, -1);
    tq_graph_destroy(graph);
}

TEST(a_node_keeps_a_name_of_its_own)
{
    tq_graph *graph = check_graph("input x: f32[1]\n a = Relu(x) \"b\"\n b = Relu(a) \"a\"");
    CHECK_STR(tq_node_name(tq_graph_first(graph)), "b");
    CHECK_STR(tq_node_name(tq_graph_last(graph)), "a");
    check_round_trip(graph, -1);
    tq_graph_destroy(graph);
}

TEST(a_quoted_statement_is_no_name_of_the_node_before)
{
    tq_graph *graph = check_graph(
        "input x: f32[1];\n a = Relu(x);\n \"b c\" = Relu(a)\n \"d e\" = Relu(\"b c\")");
    CHECK_EQ(tq_graph_n_nodes(graph), 3);
    CHECK_STR(tq_node_name(tq_graph_first(graph)), "a");
    tq_graph_destroy(graph);
}

TEST(numbers_keep_all_their_bits)
{
    check_text_round_trip("input x: f32[3]\n"
                          "const a: f32[3] = {nan, -inf, 1.17549435e-38}\n"
                          "const b: f64[2] = {0.10000000000000001, -1e300}\n"
                          "const c: i64[2] = {-9223372036854775808, 9223372036854775807}\n"
                          "const d: u64[2] = {18446744073709551613, 9007199254740993}\n"
                          "const e: i8[3] = {-128, 0, 127}\n"
                          "const f: bool[2] = {1, 0}\n"
                          "const g: f16[1] = {0.333251953}\n"
                          "const h: i4[2] = {-8, 7}\n"
                          "y = Add(x, a)\n z = Identity(b)\n u = Identity(c)\n v = Identity(d)\n");
    tq_graph *graph =
        check_graph("input x: f32[1]\n const d: u64[1] = {18446744073709551615}\n y = Identity(d)");
    CHECK_EQ(*(uint64_t *)tq_value_tensor(tq_graph_find_value(graph, "d"))->data == UINT64_MAX,
             true);
    tq_graph_destroy(graph);
}

TEST(attributes_keep_their_kinds)
{
    check_text_round_trip(
        "input x: f32[1,4,8,8]\n const w: f32[4,1,3,3] = random(1)\n"
        "y = Conv(x, w) [group=4, strides=[2,2], pads=[1,1,1,1], auto_pad=\"NOTSET\"]\n"
        "z = LeakyRelu(y) [alpha=1.0]\n"
        "c = Constant() [value=f32[2] {1.0, 2.0}]\n");
}

TEST(optional_inputs_may_be_absent)
{
    tq_graph *graph = check_graph("input x: f32[4]\n const hi: f32[] = 6\n y = Clip(x, , hi)");
    CHECK_EQ(tq_node_input(tq_graph_first(graph), 1) == NULL, true);
    CHECK_STR(tq_value_name(tq_node_input(tq_graph_first(graph), 2)), "hi");
    check_round_trip(graph, -1);
    tq_graph_destroy(graph);
}

TEST(unknown_dimensions_and_ranks_are_written)
{
    check_text_round_trip("input x: f32[?,3,?]\n input y: f32[...]\n input s: i64[]\n a = "
                          "Relu(x)\n b = Relu(y)\n c = Identity(s)");
}

TEST(short_forms_are_for_tests_and_rules)
{
    tq_graph *graph = check_graph(
        "input x: f32[2]  const k: f32[2] = 0.5  # a remark\n  y = Mul(x, k)  z = Relu(y)");
    CHECK_EQ(tq_graph_n_outputs(graph), 1);
    CHECK_STR(tq_value_name(tq_graph_output(graph, 0)), "z");
    CHECK_NEAR(((float *)tq_value_tensor(tq_graph_find_value(graph, "k"))->data)[1], 0.5, 0);
    tq_graph_destroy(graph);
}

TEST(a_random_constant_is_the_same_each_time)
{
    tq_graph *a = check_graph("input x: f32[8]\n const k: f32[8] = random(7)\n y = Mul(x, k)");
    tq_graph *b = check_graph("input x: f32[8]\n const k: f32[8] = random(7)\n y = Mul(x, k)");
    CHECK(tq_tensor_equal(tq_value_tensor(tq_graph_find_value(a, "k")),
                          tq_value_tensor(tq_graph_find_value(b, "k"))));
    tq_graph_destroy(a);
    tq_graph_destroy(b);
}

TEST(errors_carry_line_and_column)
{
    check_refused("input x: f32[1]\ny = Relu(z)", "line 2, column 11: no value is named 'z'");
    check_refused("input x: f32[1]\n  y = Rely(x)", "line 2, column 14: ");
    check_refused("input x: f33[1]", "line 1, column 10: unknown dtype 'f33'");
    check_refused("input x: f32[1]\ninput x: f32[1]", "line 2");
    check_refused("const k: f32[2] = {1}", "line 1, column 21: expected ','");
    check_refused("const k: f32[2] = {1,2,3}", "expected '}' after 2 elements");
    check_refused("const k: f32[?] = 1", "a constant's shape must be known");
    check_refused("const k: f32[1] = x", "expected a number");
    check_refused("input x: f32[1,2,3,4,5,6,7,8,9]", "more than 8 dimensions");
    check_refused("input x: f32[-1]", "a dimension is negative");
    check_refused("graph \"g", "a quoted text does not end");
    check_refused("graph \"g\\q\" {}", "unknown escape");
    check_refused("graph \"g\" {", "expected '}'");
    check_refused("graph \"g\" {} more", "text after the graph");
    check_refused("input x: f32[1]\ny = Relu(x)\nx = Relu(y)",
                  "line 3, column 2: a value is named 'x' already");
    check_refused("meta node n \"k\" = \"v\"", "no node is named 'n'");
    check_refused("output y", "no value is named 'y'");
    check_refused("input x: f32[1]\ny = Relu(x) [k=[1,\"a\"]]",
                  "a list holds texts or numbers, not both");
    check_refused("input x: f32[1]\ny = Relu(x) [=1]", "line 2, column 14: expected a name");
    check_refused("input x: f32[1]\ny = Relu(x) [k=strings[1]]", "not both");
    check_refused("input x: f32[1]\ny = Relu(x) [k=floats[\"a\"]]", "not both");
}

TEST(what_an_operator_refuses_is_told_with_its_line)
{
    check_refused("input x: f32[1,3,4,4]\nconst w: f32[2,4,1,1] = 1\ny = Conv(x, w)", "line 3");
    check_refused("input x: f32[1]\ny = Relu(x) [alpha=1]", "attribute 'alpha'");
    check_refused("input x: f32[1]\ny = Relu(x, x)", "takes at most 1");
    check_refused("input x: f32[1]\ny = Add(x)", "is missing");
}

TEST(taken_names_are_refused_not_changed)
{
    check_refused("const k: f32[1] = 1\nconst k: f32[1] = 2", "line 2");
    check_refused("input x: f32[4]\na, a = Split(x) [num_outputs=2]", "line 2");
    check_refused("input x: f32[4]\na = Relu(x) \"n\"\nb = Relu(a) \"n\"", "line 3");
}

/* No text, however broken, may crash: every prefix of a text and every text with one byte changed.
 */
TEST(broken_texts_are_errors_not_crashes)
{
    const char *text =
        "graph \"g\" {\n meta \"k\" = \"v\";\n input x: f32[?,3,8,8];\n const w: f32[2,3,1,1] = "
        "{1,2,3,4,5,6};\n"
        " y, z = Conv(x, w) [strides=[1,1], auto_pad=\"VALID\", k=f32[1] {1}] \"n\";\n output y;\n"
        " meta node \"n\" \"a\" = \"b\";\n meta value y \"c\" = \"d\";\n}\n";
    const char bytes[] = { 0,   '"', '[',  ']', '{', '}', '(',  ')',       ',',
                           '=', ';', '\\', '-', '9', 'x', '\n', (char)0xff };
    const size_t n = strlen(text);
    char copy[600];
    int n_refused = 0;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < TQ_COUNT(bytes); k++) {
            memcpy(copy, text, n + 1);
            copy[i] = bytes[k];
            tq_graph *graph = NULL;
            const tq_status status = tq_graph_parse(check_registry(), copy, &graph);
            n_refused += status != TQ_OK;
            tq_status_drop(status);
            if (!status)
                tq_graph_destroy(graph);
        }
    CHECK(n_refused > 1000);
}

/* The example of the documentation, between its ```text fences. */
TEST(the_example_of_the_documentation_parses)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read("docs/text-form.md", &bytes, &size));
    int n = 0;
    for (char *at = bytes; (at = strstr(at, "```text\n")) != NULL; n++) {
        char *start = at + 8, *end = strstr(start, "```");
        CHECK(end);
        *end = '\0';
        tq_graph *graph = check_graph(start);
        CHECK_OK(tq_graph_verify(graph));
        check_round_trip(graph, -1);
        tq_graph_destroy(graph);
        at = end + 1;
    }
    CHECK(n >= 2);
    free(bytes);
}
