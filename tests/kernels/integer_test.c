/* Integer kernels give exactly what the references define. */
#include "same.h"

TEST(conv_of_u8_with_zero_points)
{
    check_same("input x: u8[3,5,9,7] const w: i8[50,5,3,3] = random(1) const z: u8[] = 7 "
               "y = ConvInteger(x,w,z)[pads=[1,1,1,1]]",
               0.0);
}

TEST(conv_of_i8_with_weight_zero_points)
{
    check_same(
        "input x: i8[2,4,8,8] const w: i8[6,4,3,3] = random(1) const z: i8[] = -100 "
        "const v: i8[6] = {1,-2,3,0,5,127} y = ConvInteger(x,w,z,v)[strides=[2,2],pads=[0,1,2,1]]",
        0.0);
    check_same("input x: i8[1,4,5,5] const w: u8[6,4,3,3] = random(1) y = ConvInteger(x,w)", 0.0);
}

TEST(conv_depthwise_grouped_strided_dilated)
{
    check_same("input x: u8[2,33,13,11] const w: i8[33,1,3,3] = random(1) "
               "y = ConvInteger(x,w)[group=33,strides=[2,2],pads=[1,1,1,1]]",
               0.0);
    check_same("input x: u8[2,8,15,14] const w: i8[12,2,3,2] = random(1) const z: u8[] = 255 "
               "y = ConvInteger(x,w,z)[group=4,dilations=[2,3],pads=[2,3,2,3],strides=[3,1]]",
               0.0);
}

TEST(conv_pointwise_and_one_dimensional)
{
    check_same("input x: u8[1,70,4,4] const w: i8[100,70,1,1] = random(1) y = ConvInteger(x,w)",
               0.0);
    check_same(
        "input x: i8[2,3,41] const w: i8[4,3,5] = random(1) y = ConvInteger(x,w)[strides=[2]]",
        0.0);
    check_same("input x: u8[2,6,7,7] const w: i8[4,6,1,1] = random(1) "
               "y = ConvInteger(x,w)[strides=[2,2]]",
               0.0);
}

TEST(conv_where_the_whole_window_is_padding)
{
    check_same("input x: u8[1,2,3,3] const w: i8[2,2,3,3] = random(1) const z: u8[] = 9 "
               "y = ConvInteger(x,w,z)[pads=[4,4,4,4],strides=[4,4]]",
               0.0);
}

TEST(matmul_of_few_and_many_rows)
{
    check_same("input a: u8[1,67] const b: i8[67,43] = random(1) y = MatMulInteger(a,b)", 0.0);
    check_same("input a: i8[3,30,65] const b: i8[65,50] = random(1) const z: i8[] = -3 "
               "const v: i8[50] = random(2) y = MatMulInteger(a,b,z,v)",
               0.0);
    check_same("input a: u8[70,6] const b: u8[6,9] = random(1) const z: u8[70] = random(2) "
               "const v: u8[] = 3 y = MatMulInteger(a,b,z,v)",
               0.0);
}

TEST(requant_per_channel_and_per_tensor)
{
    check_same("input x: i32[3,4,5,7] const m: i32[4] = {123456,-98765,1,2147483647} "
               "const a: i64[4] = {5,-70000000000,0,1099511627776} "
               "y = Requant(x,m,a)[shift=31,q_min=0,q_max=255,dtype=\"u8\"]",
               0.0);
    check_same("input x: i32[2,3,33] const m: i64[1] = {9007199254740993} const a: i64[1] = {-77} "
               "y = Requant(x,m,a)[shift=40,q_min=-128,q_max=127,dtype=\"i8\"]",
               0.0);
    check_same("input x: i32[5,4] const m: i32[4] = {3,5,7,9} const a: i64[1] = {8} "
               "y = Requant(x,m,a)[shift=0,q_min=-3,q_max=99,dtype=\"i8\"]",
               0.0);
}

TEST(pools_of_codes)
{
    check_same(
        "input x: u8[2,3,9,8] y = MaxPool(x)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]]",
        0.0);
    check_same("input x: i8[2,3,9,8] y = MaxPool(x)[kernel_shape=[2,3],ceil_mode=1,strides=[2,2]]",
               0.0);
    check_same(
        "input x: i8[2,3,9,8] y = SumPool(x)[kernel_shape=[3,3],strides=[2,1],pads=[1,1,1,1]]",
        0.0);
    check_same("input x: u8[2,3,9] y = SumPool(x)[kernel_shape=[4]]", 0.0);
    check_same("input x: u8[2,3,9,8] y = GlobalSumPool(x)", 0.0);
    check_same("input x: i8[2,3,9,8] y = GlobalSumPool(x)", 0.0);
}

TEST(add_of_accumulators)
{
    check_same("input a: i32[2,5,7] input b: i32[2,5,7] y = Add(a,b)", 0.0);
    check_same("input a: i32[2,5,7,3] const b: i32[1,5,1,1] = random(1) y = Add(a,b)", 0.0);
    check_same("input a: i32[2,5] const b: i32[5] = random(1) y = Add(a,b)", 0.0);
}
