/* Shape arithmetic of exported models with a symbolic batch. */
#include "evaluate.h"

TEST(a_view_by_the_batch_infers_with_a_symbolic_batch)
{
    CHECK_TYPE("input x: f32[?,64,1,1] const zero: i64[] = 0 const axis: i64[1] = {0} const rest: "
               "i64[1] = {64} "
               "s = Shape(x) n = Gather(s, zero) u = Unsqueeze(n, axis) c = Concat(u, "
               "rest)[axis=0] y = Reshape(x, c)",
               "f32[?,64]");
}

TEST(arithmetic_with_the_batch_stays_known_elsewhere)
{
    CHECK_TYPE(
        "input x: f32[?,6,5] const zero: i64[] = 0 const two: i64[] = 2 const axis: i64[1] = {0} "
        "const rest: i64[2] = {3,5} s = Shape(x) n = Gather(s, zero) m = Mul(n, two) u = "
        "Unsqueeze(m, axis) "
        "c = Concat(u, rest)[axis=0] y = Reshape(x, c)",
        "f32[?,3,5]");
    CHECK_TYPE(
        "input x: f32[?,6,8] const one: i64[] = 1 const two: i64[] = 2 const axis: i64[1] = {0} "
        "const lead: i64[1] = {-1} s = Shape(x) n = Gather(s, one) m = Div(n, two) u = "
        "Unsqueeze(m, axis) "
        "c = Concat(lead, u)[axis=0] y = Reshape(x, c)",
        "f32[?,3]");
}

TEST(zero_in_a_reshape_cancels_an_unknown_batch)
{
    CHECK_TYPE("input x: f32[?,64,2,2] const s: i64[2] = {0,-1} y = Reshape(x, s)", "f32[?,256]");
    CHECK_TYPE("input x: f32[?,64,2,2] const s: i64[2] = {-1,256} y = Reshape(x, s)", "f32[?,256]");
    CHECK_TYPE("input x: f32[?,64,2,2] y = Flatten(x)", "f32[?,256]");
}

TEST(slices_of_shapes_and_sizes)
{
    CHECK_TYPE("input x: f32[?,3,4,5] s = Shape(x)[start=2] y = ConstantOfShape(s)", "f32[4,5]");
    CHECK_TYPE("input x: f32[?,3,4,5] s = Shape(x)[start=-2,end=-1] y = ConstantOfShape(s)",
               "f32[4]");
    CHECK_VALUES("const x: f32[2,3] = 0.0 y = Size(x)", 6);
    CHECK_VALUES("const x: f32[2,3,4] = 0.0 y = Shape(x)[start=1]", 3, 4);
}

TEST(unknown_shapes_keep_their_rank)
{
    CHECK_TYPE("input x: f32[?,4] input s: i64[3] y = Reshape(x, s)", "f32[?,?,?]");
    CHECK_TYPE("input x: f32[?,4] input s: i64[2] y = Expand(x, s)", "f32[?,?]");
    CHECK_TYPE("input x: f32[?,4] y = Transpose(x)", "f32[4,?]");
    CHECK_TYPE("input a: f32[?,4] input b: f32[?,4] y = Concat(a, b)[axis=0]", "f32[?,4]");
    CHECK_TYPE("input a: f32[?,4] input b: f32[2,4] y = Concat(a, b)[axis=1]", "f32[2,8]");
}

TEST(huge_sizes_are_refused_not_allocated)
{
    CHECK_REFUSED("const x: f32[1] = 0.0 const p: i64[2] = {0,9000000000000000000} y = Pad(x, p)",
                  "axis 0");
    CHECK_REFUSED("const x: f32[1] = 0.0 const s: i64[9] = 1 y = Reshape(x, s)", "9");
}
