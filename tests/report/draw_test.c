/* Pictures: names that try to break out, bits on edges, blocks, shared constants, several inputs
 * and outputs. */
#include "check.h"

static const char *draw(const tq_graph *graph, bool svg, tq_arena *arena)
{
    const char *text;
    size_t size;
    CHECK_OK(tq_report_draw(graph, svg, arena, &text, &size));
    CHECK_EQ(strlen(text), size);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

/* Every tag that opens closes, attributes are quoted, no bare & or <: enough of XML for what is
 * written. */
static void check_well_formed(const char *svg)
{
    const char *stack[64];
    int depth = 0;
    for (const char *c = strstr(svg, "<svg"); *c; c++) {
        if (*c == '&')
            CHECK_EQ(strspn(c + 1, "abcdefghijklmnopqrstuvwxyz#0123456789") > 0 &&
                         c[1 + strspn(c + 1, "abcdefghijklmnopqrstuvwxyz#0123456789")] == ';',
                     true, "(%.20s)", c);
        if (*c != '<')
            continue;
        if (strncmp(c, "<!--", 4) == 0) {
            const char *end = strstr(c + 4, "--");
            CHECK(end && end[2] == '>');
            c = end + 2;
            continue;
        }
        const char *name = c + 1 + (c[1] == '/');
        const size_t n = strcspn(name, " />\n");
        const char *end = name;
        for (bool quoted = false; *end && (quoted || *end != '>'); end++) {
            quoted ^= *end == '"';
            CHECK(*end != '<');
        }
        CHECK(*end == '>');
        if (c[1] == '/') {
            CHECK(depth > 0);
            CHECK(strncmp(stack[--depth], name, n) == 0);
        } else if (end[-1] != '/') {
            CHECK(depth < 64);
            stack[depth++] = name;
        }
        c = end;
    }
    CHECK_EQ(depth, 0);
}

TEST(a_picture_is_complete_and_needs_nothing_else)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph;
    CHECK_OK(tq_zoo_build(check_registry(), "resnet8", &(tq_zoo_options){ .seed = 1 }, &graph));
    const char *svg = draw(graph, true, arena);
    check_well_formed(svg);
    CHECK_EQ(count(svg, "class=\"node\""), tq_graph_n_nodes(graph) + 2);
    CHECK_EQ(count(svg, "class=\"cluster\""), 4); /* three stages; avgpool with avgpool.flatten */
    CHECK(strstr(svg, "DOCTYPE") == NULL && strstr(svg, "href") == NULL &&
          strstr(svg, "url(") == NULL);
    CHECK_STR(svg, draw(graph, true, arena));
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(hostile_names_stay_text)
{
    static const char *const names[] = {
        "a\"b",
        "</text><script>alert(1)</script>",
        "&lt;&amp;&#65;",
        "line\nbreak",
        "back\\slash\\n\\N",
        "<b>bold</b>",
        "--><svg>",
        "bad\xff\xfe",
        "caf\xc3\xa9",
        "x]; evil [label=1",
    };
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(
        "input x: f32[2]\n a = Relu(x)\n b = Relu(a)\n c = Relu(b)\n d = Relu(c)\n e = Relu(d)\n "
        "f = Relu(e)\n g = Relu(f)\n h = Relu(g)\n i = Relu(h)\n j = Relu(i)");
    int k = 0;
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        tq_node_set_name(node, names[k++]);
    tq_value_set_name(tq_graph_input(graph, 0), "\"><image href=\"http://x\"/>");
    tq_graph_set_name(graph, "<!DOCTYPE \"'&");
    const char *svg = draw(graph, true, arena);
    check_well_formed(svg);
    CHECK(strstr(svg, "<script") == NULL && strstr(svg, "<b>") == NULL &&
          strstr(svg, "<image") == NULL);
    CHECK_EQ(count(svg, "<svg"), 1);
    CHECK(strstr(svg, "&amp;lt;&amp;amp;&amp;#65;") != NULL);
    CHECK(strstr(svg, "back\\slash\\n\\N") != NULL);
    CHECK(strstr(svg, "line?break") != NULL && strstr(svg, "bad??") != NULL);
    CHECK(strstr(svg, "caf\xc3\xa9") != NULL);
    const char *dot = draw(graph, false, arena);
    CHECK(strstr(dot, "a\\\"b") != NULL);
    CHECK_EQ(count(dot, "shape=box"), 10);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

/* A name that is longer than any label. */
TEST(long_names_are_cut)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[2]\n a = Relu(x)");
    char name[5001];
    memset(name, 'n', 5000);
    name[5000] = 0;
    tq_node_set_name(tq_graph_first(graph), name);
    CHECK(strlen(draw(graph, true, arena)) < 5000);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(edges_carry_bits_and_codes_have_colours)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(
        "input x: f32[1,2,4,4]\n const lo: f32[1] = -1\n const hi: f32[1] = 1\n"
        "a = FakeQuantize(x, lo, hi) [q_min=-8, n_levels=16]\n b = Relu(a)\n c = Tanh(b)");
    const char *dot = draw(graph, false, arena);
    CHECK_EQ(count(dot, "\\n4 bit"), 2);  /* into and out of the quantiser */
    CHECK_EQ(count(dot, "\\n32 bit"), 0); /* the type says so */
    CHECK_EQ(count(dot, "color=\"#1a7f37\""), 4);
    CHECK(strstr(dot, "edges: green to 4 bit, grey reals and sums") != NULL);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(shared_constants_and_repeated_readers_are_drawn)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(
        "input x: f32[3,3]\n input y: f32[3,3]\n const w: f32[3,3] = random(1)\n a = MatMul(x, w)\n"
        "b = MatMul(y, w)\n c = Mul(a, a)\n output c\n output b");
    const char *dot = draw(graph, false, arena);
    CHECK_EQ(count(dot, "shared constant"), 1);
    CHECK_EQ(count(dot, "shape=ellipse"), 4);
    CHECK_EQ(count(dot, " -> "), 2 + 2 + 2 + 2);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

/* The weight, its range and its quantiser are one thing to who looks at layers. */
TEST(a_quantised_weight_is_its_quantiser)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[2,3]\n const w: f32[3,3] = random(1)\n"
                                  "a, b = WeightRange(w) [quantizer=\"pact\", q_min=-128]\n"
                                  "v = FakeQuantize(w, a, b) [q_min=-128]\n y = MatMul(x, v)");
    const char *dot = draw(graph, false, arena);
    CHECK(strstr(dot, "WeightRange") == NULL && strstr(dot, "shared constant") == NULL);
    CHECK_EQ(count(dot, "shape=box"), 2);
    CHECK_EQ(count(dot, " -> "), 3); /* x and v into y, y out */
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

/* Boxes are wide enough for fonts that are wider than what Graphviz measures with. */
TEST(boxes_hold_their_text_in_wide_fonts)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[2]\n y = Relu(x) \"a.rather.long.name.of.a.node\"");
    double most = 0, width;
    for (const char *at = draw(graph, false, arena); (at = strstr(at, "width=")); at++)
        most = sscanf(at, "width=%lf", &width) == 1 && width > most ? width : most;
    CHECK(most >= 27 * 6.2 / 72); /* inches, at 6.2 points a letter */
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

/* A scope with one node is no block. */
TEST(blocks_are_scopes_with_several_nodes)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph(
        "input x: f32[3]\n a = Relu(x) \"/net/block/one\"\n b = Relu(a) \"/net/block/two\"\n"
        "c = Relu(b) \"/net/other/three\"\n d = Relu(c) \"four\"");
    const char *dot = draw(graph, false, arena);
    CHECK_EQ(count(dot, "subgraph cluster"), 2);
    CHECK(strstr(dot, "label=\"/net/block\"") != NULL);
    CHECK(strstr(dot, "label=\"/net\"") != NULL);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}
