/* Elementwise operators: broadcasting, integer arithmetic at its edges, NaN. */
#include "evaluate.h"

TEST(operands_broadcast_both_ways)
{
    CHECK_VALUES("const a: f32[2,1] = {1,2} const b: f32[3] = {10,20,30} y = Add(a, b)", 11, 21, 31,
                 12, 22, 32);
    CHECK_VALUES("const a: f32[] = 5.0 const b: f32[2] = {1,2} y = Sub(a, b)", 4, 3);
    CHECK_VALUES("const a: i32[2,2,1] = {1,2,3,4} const b: i32[1,1,2] = {1,10} y = Mul(a, b)", 1,
                 10, 2, 20, 3, 30, 4, 40);
}

TEST(shapes_that_do_not_broadcast_are_refused)
{
    CHECK_REFUSED("const a: f32[2] = 1.0 const b: f32[3] = 1.0 y = Add(a, b)", "f32[3]");
    CHECK_REFUSED("const a: f32[2] = 1.0 const b: i32[2] = 1 y = Add(a, b)", "expected one dtype");
}

TEST(integer_division_truncates_and_never_traps)
{
    CHECK_VALUES(
        "const a: i32[5] = {7,-7,7,-2147483648,3} const b: i32[5] = {2,2,-2,-1,0} y = Div(a, b)", 3,
        -3, -3, -2147483648.0, 0);
    CHECK_VALUES("const a: u8[2] = {200,9} const b: u8[2] = {7,0} y = Div(a, b)", 28, 0);
}

TEST(narrow_integers_wrap_as_onnx_says)
{
    CHECK_VALUES("const a: u8[2] = {200,3} const b: u8[2] = {100,5} y = Add(a, b)", 44, 8);
    CHECK_VALUES("const a: u8[2] = {200,3} const b: u8[2] = {100,5} y = Sub(a, b)", 100, 254);
    CHECK_VALUES("const a: i8[1] = {100} const b: i8[1] = {2} y = Mul(a, b)", -56);
}

TEST(mod_follows_the_divisor_or_the_dividend)
{
    CHECK_VALUES("const a: i32[4] = {-4,7,5,-4} const b: i32[4] = {2,-3,8,3} y = Mod(a, b)", 0, -2,
                 5, 2);
    CHECK_VALUES("const a: i32[3] = {7,-4,5} const b: i32[3] = {-3,3,0} y = Mod(a, b)[fmod=1]", 1,
                 -1, 0);
    CHECK_VALUES("const a: f32[2] = {-4.5,4.5} const b: f32[2] = {2,-2} y = Mod(a, b)", 1.5, -1.5);
    CHECK_VALUES("const a: f32[2] = {-4.5,4.5} const b: f32[2] = {2,-2} y = Mod(a, b)[fmod=1]",
                 -0.5, 0.5);
}

TEST(powers_mix_types_and_keep_the_type_of_the_base)
{
    CHECK_VALUES("const a: f32[3] = {1,2,3} const b: i64[3] = {4,5,6} y = Pow(a, b)", 1, 32, 729);
    CHECK_VALUES("const a: i64[4] = {2,-1,5,3} const b: i64[4] = {10,3,-1,0} y = Pow(a, b)", 1024,
                 -1, 0, 1);
    CHECK_TYPE("const a: i32[2] = {2,3} const b: f32[] = 0.5 y = Pow(a, b)", "i32[2]");
}

TEST(nan_wins_in_max_and_min_and_loses_every_comparison)
{
    CHECK_VALUES("const a: f32[2] = {nan,1} const b: f32[2] = {1,nan} y = Max(a, b)", NAN, NAN);
    CHECK_VALUES("const a: f32[2] = {nan,1} const b: f32[2] = {1,nan} y = Min(a, b)", NAN, NAN);
    CHECK_VALUES("const a: f32[2] = {nan,1} const b: f32[2] = {1,nan} y = GreaterOrEqual(a, b)", 0,
                 0);
    CHECK_VALUES("const a: f32[2] = {nan,1} const b: f32[2] = {nan,1} y = Equal(a, b)", 0, 1);
}

TEST(variadic_operators_take_any_number_of_operands)
{
    CHECK_VALUES(
        "const a: f32[2] = {1,5} const b: f32[] = 3.0 const c: f32[2] = {4,4} y = Max(a, b, c)", 4,
        5);
    CHECK_VALUES(
        "const a: f32[2] = {1,5} const b: f32[] = 3.0 const c: f32[2] = {5,4} y = Mean(a, b, c)", 3,
        4);
    CHECK_VALUES("const a: i8[2] = {1,5} y = Sum(a)", 1, 5);
}

TEST(where_and_logic_select_elements)
{
    CHECK_VALUES(
        "const c: bool[2,1] = {1,0} const a: u16[2] = {1,2} const b: u16[] = 9 y = Where(c, a, b)",
        1, 2, 9, 9);
    CHECK_VALUES("const a: bool[4] = {0,0,1,1} const b: bool[4] = {0,1,0,1} y = And(a, b)", 0, 0, 0,
                 1);
    CHECK_VALUES("const a: bool[4] = {0,0,1,1} const b: bool[4] = {0,1,0,1} y = Or(a, b)", 0, 1, 1,
                 1);
    CHECK_VALUES("const a: bool[2] = {0,1} y = Not(a)", 1, 0);
}

TEST(shifts_beyond_the_width_are_defined)
{
    CHECK_VALUES("const a: u8[3] = {1,255,255} const b: u8[3] = {7,1,8} y = BitShift(a, "
                 "b)[direction=\"LEFT\"]",
                 128, 254, 0);
    CHECK_VALUES("const a: i32[3] = {-8,-1,8} const b: i32[3] = {1,100,2} y = BitShift(a, "
                 "b)[direction=\"RIGHT\"]",
                 -4, -1, 2);
    CHECK_REFUSED("const a: u8[1] = 1 const b: u8[1] = 1 y = BitShift(a, b)[direction=\"UP\"]",
                  "UP");
}

TEST(an_empty_tensor_gives_an_empty_result)
{
    CHECK_TYPE("const a: f32[0,3] = {} const b: f32[3] = 1.0 y = Add(a, b)", "f32[0,3]");
}
