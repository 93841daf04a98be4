/* Functions that exporters write out, and what they become. */
#include "edits.h"

TEST(a_product_with_its_sigmoid_is_swish)
{
    edits_check("fuse-functions", "input x: f32[2]  s = Sigmoid(x)  y = Mul(s, x)",
                "input x: f32[2]  y = Swish(x)", 1e-6);
    edits_check_none("fuse-functions",
                     "input x: f32[2]  input z: f32[2]  s = Sigmoid(x)  y = Mul(s, z)");
}

TEST(spellings_of_hard_swish)
{
    const char *fused = "input x: f32[2]  y = HardSwish(x)";
#define SHIFTED                                                                                    \
    "input x: f32[2]  const three: f32[] = 3  const six: f32[] = 6  const zero: f32[] = 0 "        \
    "const part: f32[] = 0.16666667 a = Add(x, three)  c = Clip(a, zero, six) "
    edits_check("fuse-functions", SHIFTED "m = Mul(x, c)  y = Div(m, six)", fused, 1e-6);
    edits_check("fuse-functions", SHIFTED "m = Mul(c, x)  y = Mul(m, part)", fused, 1e-6);
    edits_check("fuse-functions", SHIFTED "h = Div(c, six)  y = Mul(x, h)", fused, 1e-6);
    edits_check("fuse-functions", SHIFTED "h = Mul(c, part)  y = Mul(h, x)", fused, 1e-6);
    edits_check("fuse-functions", SHIFTED "y = Div(c, six)",
                "input x: f32[2]  y = HardSigmoid(x) [alpha=0.16666667, beta=0.5]", 1e-6);
}

TEST(a_bound_below_and_one_above_are_a_clip)
{
    edits_check("fuse-functions",
                "input x: f32[2]  const lo: f32[] = 0  const hi: f32[] = 6 "
                "a = Max(lo, x)  y = Min(a, hi)",
                "input x: f32[2]  const lo: f32[] = 0  const hi: f32[] = 6  y = Clip(x, lo, hi)",
                0);
    edits_check_none("fuse-functions", "input x: f32[2]  const lo: f32[] = 7  const hi: f32[] = 6 "
                                       "a = Max(lo, x)  y = Min(a, hi)");
}

TEST(spellings_of_gelu)
{
    const char *fused = "input x: f32[2]  y = Gelu(x)";
    edits_check("fuse-functions",
                "input x: f32[2]  const root: f32[] = 1.41421356  const one: f32[] = 1 "
                "const half: f32[] = 0.5 d = Div(x, root)  e = Erf(d)  a = Add(e, one) "
                "m = Mul(x, a)  y = Mul(m, half)",
                fused, 1e-6);
    edits_check("fuse-functions",
                "input x: f32[2]  const root: f32[] = 0.70710678  const one: f32[] = 1 "
                "const half: f32[] = 0.5 d = Mul(x, root)  e = Erf(d)  a = Add(one, e) "
                "h = Mul(half, x)  y = Mul(h, a)",
                fused, 1e-6);
}

TEST(a_normalisation_step_by_step_is_one_operator)
{
    edits_check(
        "fuse-functions",
        "input x: f32[3,4]  const a: i64[1] = {-1}  const b: i64[1] = {1} "
        "const two: f32[] = 2  const tiny: f32[] = 1e-5  const g: f32[4] = {1,2,3,4} "
        "const k: f32[4] = {0,1,0,-1}  m = ReduceMean(x, a)  c = Sub(x, m)  p = Pow(c, two) "
        "v = ReduceMean(p, b)  w = Add(v, tiny)  r = Sqrt(w)  n = Div(c, r)  s = Mul(n, g) "
        "y = Add(s, k)",
        "input x: f32[3,4]  const g: f32[4] = {1,2,3,4}  const k: f32[4] = {0,1,0,-1} "
        "y = LayerNormalization(x, g, k) [axis=-1, epsilon=1e-5]",
        1e-5);
}

TEST(a_division_by_the_norm_is_a_normalisation)
{
    const char *after = "input x: f32[3,4]  const r: f32[4] = 0.5 "
                        "y = RMSNormalization(x, r) [axis=-1, epsilon=2.5e-25]";
    tq_graph *graph =
        check_graph("input x: f32[3,4]  const a: i64[1] = {-1} "
                    "const tiny: f32[] = 1e-12  n = ReduceL2(x, a)  c = Clip(n, tiny) "
                    "s = Shape(x)  e = Expand(c, s)  y = Div(x, e)");
    tq_graph *original = tq_graph_clone(graph), *wanted = check_graph(after);
    CHECK_OK(tq_editor_run(edits_find("fuse-functions"), graph));
    CHECK_EQ(check_count(graph, "RMSNormalization"), 1);
    CHECK_EQ(tq_graph_n_nodes(graph), 1);
    CHECK_NEAR(edits_difference(original, graph), 0, 1e-6);
    CHECK_NEAR(edits_difference(wanted, graph), 0, 0);
    tq_graph_destroy(graph);
    tq_graph_destroy(original);
    tq_graph_destroy(wanted);
}

TEST(a_division_by_a_norm_over_other_axes_stays)
{
    edits_check_none("fuse-functions",
                     "input x: f32[3,4]  const a: i64[1] = {0}  const tiny: f32[] = 1e-12 "
                     "n = ReduceL2(x, a)  c = Clip(n, tiny)  y = Div(x, c)");
}
