/* MatMul, Gemm, MatMulInteger. */
#include "evaluate.h"

TEST(matrices_multiply)
{
    CHECK_VALUES(
        "const a: f32[2,3] = {1,2,3,4,5,6} const b: f32[3,2] = {1,0,0,1,2,2} y = MatMul(a,b)", 7, 8,
        16, 17);
}

TEST(operands_of_one_axis_are_rows_and_columns)
{
    CHECK_VALUES("const a: f32[3] = {1,2,3} const b: f32[3] = {4,5,6} y = MatMul(a,b)", 32);
    CHECK_VALUES("const a: f32[2] = {1,2} const b: f32[2,2] = {4,5,6,7} y = MatMul(a,b)", 16, 19);
    CHECK_VALUES("const a: f32[2,2] = {4,5,6,7} const b: f32[2] = {1,2} y = MatMul(a,b)", 14, 20);
    CHECK_TYPE("input a: f32[?,5,3] const b: f32[3] = 0.5 y = MatMul(a,b)", "f32[?,5]");
}

TEST(batches_broadcast)
{
    CHECK_VALUES(
        "const a: f32[2,1,1,2] = {1,2,3,4} const b: f32[2,2,1] = {1,1,10,1} y = MatMul(a,b)", 3, 12,
        7, 34);
    CHECK_TYPE("input a: f32[7,1,2,3] input b: f32[5,3,4] y = MatMul(a,b)", "f32[7,5,2,4]");
}

TEST(inner_sizes_must_agree)
{
    CHECK_REFUSED("input a: f32[2,3] input b: f32[4,2] y = MatMul(a,b)", "inner sizes are 3 and 4");
    CHECK_REFUSED("input a: f32[2,3] input b: f32[4,2] y = Gemm(a,b)", "inner sizes are 3 and 4");
}

TEST(doubles_and_integers_multiply_too)
{
    CHECK_VALUES("const a: f64[1,2] = {1.5,-2} const b: f64[2,1] = {4,0.25} y = MatMul(a,b)", 5.5);
    CHECK_VALUES("const a: i64[1,2] = {3000000000,1} const b: i64[2,1] = {3,-5} y = MatMul(a,b)",
                 8999999995);
    CHECK_VALUES("const a: i32[1,2] = {70000,-1} const b: i32[2,2] = {3,4,5,6} y = MatMul(a,b)",
                 209995, 279994);
}

TEST(gemm_transposes_and_scales)
{
    CHECK_VALUES("const a: f32[2,1] = {1,2} const b: f32[1,2] = {3,4} const c: f32[1] = {10} "
                 "y = Gemm(a,b,c)[transA=1,transB=1,alpha=2.0,beta=0.5]",
                 27);
    CHECK_VALUES("const a: f32[1,2] = {1,2} const b: f32[3,2] = {1,0,0,1,1,1} "
                 "const c: f32[3] = {10,20,30} y = Gemm(a,b,c)[transB=1]",
                 11, 22, 33);
}

TEST(bias_of_gemm_broadcasts_along_either_axis)
{
    const char *ab = "const a: f32[2,1] = {1,2} const b: f32[1,2] = {1,10} ";
    char text[256];
    snprintf(text, sizeof text, "%sconst c: f32[2,1] = {100,200} y = Gemm(a,b,c)", ab);
    CHECK_VALUES(text, 101, 110, 202, 220);
    snprintf(text, sizeof text, "%sconst c: f32[] = 5.0 y = Gemm(a,b,c)", ab);
    CHECK_VALUES(text, 6, 15, 7, 25);
    snprintf(text, sizeof text, "%sconst c: f32[3] = 5.0 y = Gemm(a,b,c)", ab);
    CHECK_REFUSED(text, "c is");
}

TEST(integer_gemm_wants_integer_factors)
{
    CHECK_VALUES("const a: i32[1,2] = {1,2} const b: i32[2,1] = {3,4} const c: i32[1] = {5} "
                 "y = Gemm(a,b,c)[alpha=-2.0,beta=3.0]",
                 -7);
    CHECK_REFUSED("input a: i32[1,2] input b: i32[2,1] y = Gemm(a,b)[alpha=0.5]", "alpha");
}

TEST(zero_points_come_off_rows_and_columns)
{
    CHECK_VALUES("const a: u8[2,2] = {11,12,13,14} const b: i8[2,2] = {1,2,3,4} "
                 "const za: u8[2] = {10,13} const zb: i8[2] = {1,2} y = MatMulInteger(a,b,za,zb)",
                 0 + 4, 0 + 4, 0 + 2, 0 + 2);
    CHECK_VALUES("const a: u8[1,2] = {255,255} const b: u8[2,1] = {255,255} y = MatMulInteger(a,b)",
                 130050);
}
