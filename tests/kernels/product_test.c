/* Gemm and MatMul against their references: within 1e-5 of the largest output. */
#include "same.h"

static const double tolerance = 1e-5;

TEST(gemm_with_every_transposition)
{
    check_same("input a: f32[33,20] const b: f32[20,17] = random(1) const c: f32[17] = random(2) "
               "y = Gemm(a,b,c)",
               tolerance);
    check_same("input a: f32[20,33] const b: f32[17,20] = random(1) "
               "y = Gemm(a,b)[transA=1,transB=1,alpha=0.5]",
               tolerance);
    check_same("input a: f32[33,20] const b: f32[17,20] = random(1) const c: f32[33,1] = random(2) "
               "y = Gemm(a,b,c)[transB=1,beta=2.0]",
               tolerance);
}

TEST(gemm_of_one_row_with_a_scalar)
{
    check_same("input a: f32[1,64] const b: f32[64,10] = random(1) const c: f32[] = random(2) "
               "y = Gemm(a,b,c)",
               tolerance);
}

TEST(matmul_broadcasts_batches)
{
    check_same("input a: f32[2,1,20,9] input b: f32[3,9,5] y = MatMul(a,b)", tolerance);
    check_same("input a: f32[70,30] input b: f32[30,11] y = MatMul(a,b)", tolerance);
}
