/* What differs between two networks is named. */
#include "check.h"

static const char *const network =
    "input x: f32[2]  const s: f32[2] = {1, 2}  a = Mul(x, s)  y = LeakyRelu(a) [alpha=0.5]";

typedef struct rows {
    tq_arena *arena;
    tq_graph *a, *b;
    int n;
    tq_difference *items;
} rows;

static rows compare(const char *a, const char *b)
{
    rows r = { .arena = tq_arena_create(), .a = check_graph(a), .b = check_graph(b) };
    tq_report_diff(r.a, r.b, r.arena, &r.items, &r.n);
    return r;
}

static void drop(rows *r)
{
    tq_graph_destroy(r->a);
    tq_graph_destroy(r->b);
    tq_arena_destroy(r->arena);
}

/* One difference, like this. */
static void check_one(const char *b, char sign, const char *what, const char *name,
                      const char *detail)
{
    rows r = compare(network, b);
    CHECK_EQ(r.n, 1);
    CHECK_EQ(r.items[0].sign, sign);
    CHECK_STR(r.items[0].what, what);
    CHECK_STR(r.items[0].name, name);
    CHECK_STR(r.items[0].detail, detail);
    drop(&r);
}

TEST(equal_networks_have_no_difference)
{
    rows r = compare(network, network);
    CHECK_EQ(r.n, 0);
    drop(&r);
}

TEST(a_changed_attribute_is_told)
{
    check_one(
        "input x: f32[2]  const s: f32[2] = {1, 2}  a = Mul(x, s)  y = LeakyRelu(a) [alpha=0.25]",
        '~', "node", "y", "alpha 0.5 -> 0.25");
}

TEST(a_default_said_aloud_is_no_difference)
{
    rows r = compare("input x: f32[2]  y = LeakyRelu(x)",
                     "input x: f32[2]  y = LeakyRelu(x) [alpha=0.01]");
    CHECK_EQ(r.n, 0);
    drop(&r);
}

TEST(a_changed_constant_has_its_largest_difference)
{
    rows r = compare(network, "input x: f32[2]  const s: f32[2] = {1.25, 1}  a = Mul(x, s)  y = "
                              "LeakyRelu(a) [alpha=0.5]");
    CHECK_EQ(r.n, 1);
    CHECK_STR(r.items[0].detail, "max |difference| 1 of f32[2]");
    CHECK_NEAR(r.items[0].max_difference, 1.0, 0);
    drop(&r);
}

TEST(another_operator_is_told)
{
    check_one("input x: f32[2]  const s: f32[2] = {1, 2}  a = Mul(x, s)  y = Relu(a)", '~', "node",
              "y", "LeakyRelu -> Relu");
}

TEST(another_wire_is_told)
{
    rows r = compare("input x: f32[2]  a = Neg(x)  b = Abs(x)  y = Relu(a)  output y  output b",
                     "input x: f32[2]  a = Neg(x)  b = Abs(x)  y = Relu(b)  output y  output b");
    CHECK_EQ(r.n, 1);
    CHECK_STR(r.items[0].detail, "input 0 'a' -> 'b'");
    drop(&r);
}

TEST(nodes_come_and_go)
{
    rows r = compare("input x: f32[2]  a = Neg(x)  y = Relu(x)  output y",
                     "input x: f32[2]  b = Abs(x)  y = Relu(x)  output y");
    CHECK_EQ(r.n, 2);
    CHECK_EQ(r.items[0].sign, '-');
    CHECK_STR(r.items[0].name, "a");
    CHECK_EQ(r.items[1].sign, '+');
    CHECK_STR(r.items[1].name, "b");
    drop(&r);
}

TEST(types_inputs_and_metadata_are_told)
{
    rows r = compare("input x: f32[2]  y = Relu(x)",
                     "meta \"preset\" = \"raw\"  input x: f32[3]  y = Relu(x)");
    CHECK_EQ(r.n, 5); /* metadata, input, output, and both values */
    CHECK_EQ(r.items[0].sign, '+');
    CHECK_STR(r.items[0].what, "metadata");
    CHECK_STR(r.items[1].what, "input");
    CHECK_STR(r.items[1].detail, "f32[2] -> f32[3]");
    CHECK_STR(r.items[2].what, "output");
    drop(&r);
}

TEST(equal_infinities_and_nans_do_not_differ)
{
    const char *text = "input x: f32[3]  const s: f32[3] = {nan, inf, -inf}  y = Mul(x, s)";
    rows r = compare(text, text);
    CHECK_EQ(r.n, 0);
    drop(&r);
}
