/* Shapes that exporters compute. */
#include "edits.h"

TEST(a_channel_shuffle_with_a_symbolic_batch_has_constant_shapes)
{
    edits_check(
        "canonicalise-shapes",
        "input x: f32[?,4,3,3]  s = Shape(x)  const zero: i64[1] = {0}  const one: i64[1] = {1} "
        "n = Gather(s, zero)  c = Gather(s, one)  const two: i64[1] = {2}  h = Div(c, two) "
        "const plane: i64[2] = {3,3}  t = Concat(n, two, h, plane) [axis=0] "
        "y = Reshape(x, t)",
        "input x: f32[?,4,3,3]  const t_1: i64[5] = {-1,2,2,3,3}  y = Reshape(x, t_1)", 0);
}

TEST(a_size_as_a_real_number_is_computed_from_a_constant)
{
    edits_check("canonicalise-shapes",
                "input x: f32[?,4]  s = Shape(x)  const one: i64[1] = {1}  c = Gather(s, one) "
                "f = Cast(c) [to=1]  y = Mul(x, f)",
                "input x: f32[?,4]  const c_1: i64[1] = {4}  f = Cast(c_1) [to=1]  y = Mul(x, f)",
                0);
}

TEST(a_shape_with_two_unknown_sizes_stays_computed)
{
    edits_check_none("canonicalise-shapes", "input x: f32[?,4,?]  s = Shape(x)  y = Reshape(x, s)");
}

TEST(a_shape_that_is_an_output_stays_computed)
{
    edits_check_none("canonicalise-shapes", "input x: f32[2,4]  y = Shape(x)");
}

#define OF_X "input x: f32[?,4,6]  s = Shape(x)  const zero: i64[1] = {0}  n = Gather(s, zero) "

TEST(a_target_that_depends_on_the_batch_twice_is_solved)
{
    edits_check("canonicalise-reshapes",
                OF_X "const four: i64[1] = {4}  m = Mul(n, four)  const rest: i64[2] = {2,-1} "
                     "t = Concat(m, rest) [axis=0]  y = Reshape(x, t)",
                "input x: f32[?,4,6]  const t_1: i64[3] = {-1,2,3}  y = Reshape(x, t_1)", 0);
}

TEST(a_target_with_the_batch_in_two_places_stays_computed)
{
    edits_check_none("canonicalise-reshapes",
                     OF_X "const k: i64[2] = {-1,24}  z = Reshape(x, k)  w = Transpose(z) "
                          "g = MatMul(z, w)  const one: i64[1] = {1} "
                          "t = Concat(n, n, one) [axis=0]  y = Reshape(g, t)");
}

TEST(other_open_sizes_leave_targets_computed)
{
    edits_check_none("canonicalise-reshapes",
                     "input x: f32[?,4,?]  s = Shape(x)  const zero: i64[1] = {0} "
                     "n = Gather(s, zero)  const rest: i64[2] = {2,-1} "
                     "t = Concat(n, rest) [axis=0]  y = Reshape(x, t)");
}
