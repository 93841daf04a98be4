/* Pools: windows at the border, divisors, NaN, integers. */
#include "evaluate.h"

TEST(padding_never_wins)
{
    CHECK_VALUES("const x: f32[1,1,2] = {-5,-7} y = MaxPool(x)[kernel_shape=[2],pads=[1,1]]", -5,
                 -5, -7);
    CHECK_VALUES("const x: i8[1,1,2] = {-128,-128} y = MaxPool(x)[kernel_shape=[2],pads=[1,0]]",
                 -128, -128);
}

TEST(nan_passes_through_pools)
{
    CHECK_VALUES("const x: f32[1,1,4] = {1,nan,2,3} y = MaxPool(x)[kernel_shape=[2]]", NAN, NAN, 3);
    CHECK_VALUES("const x: f32[1,1,2] = {nan,2} y = GlobalMaxPool(x)", NAN);
}

TEST(indices_count_over_the_whole_tensor)
{
    CHECK_OUTPUT("const x: f32[1,2,2,2] = {1,4,3,2, 9,9,0,1} "
                 "y,i = MaxPool(x)[kernel_shape=[2,2]]",
                 1, 1, 4);
}

TEST(a_window_that_starts_in_the_padding_is_dropped)
{
    /* 4 + 1 + 1 - 2 = 4 = 1.33 strides: ceil gives 3 windows, the third would start at 5 = in + pad
     */
    CHECK_TYPE(
        "input x: f32[1,1,4] y = MaxPool(x)[kernel_shape=[2],strides=[3],pads=[1,1],ceil_mode=1]",
        "f32[1,1,2]");
    CHECK_TYPE("input x: f32[1,1,5] y = MaxPool(x)[kernel_shape=[2],strides=[2],ceil_mode=1]",
               "f32[1,1,3]");
    CHECK_TYPE("input x: f32[1,1,5] y = MaxPool(x)[kernel_shape=[2],strides=[2]]", "f32[1,1,2]");
}

TEST(averages_divide_by_what_they_see)
{
    const char *x = "const x: f32[1,1,3] = {3,6,9} ";
    char text[256];
    snprintf(text, sizeof text, "%sy = AveragePool(x)[kernel_shape=[3],pads=[1,1]]", x);
    CHECK_VALUES(text, 4.5, 6, 7.5);
    snprintf(text, sizeof text,
             "%sy = AveragePool(x)[kernel_shape=[3],pads=[1,1],count_include_pad=1]", x);
    CHECK_VALUES(text, 3, 6, 5);
}

TEST(the_end_of_a_ceil_window_is_no_padding)
{
    /* the last window covers positions 2..4 of an input of 3 with 1 element of padding: divisor 2
     */
    CHECK_VALUES("const x: f32[1,1,3] = {3,6,9} y = AveragePool(x)[kernel_shape=[3],strides=[3],"
                 "pads=[1,1],ceil_mode=1,count_include_pad=1]",
                 3, 4.5);
}

TEST(pools_dilate)
{
    CHECK_VALUES("const x: f32[1,1,5] = {1,2,3,4,5} y = MaxPool(x)[kernel_shape=[2],dilations=[3]]",
                 4, 5);
    CHECK_VALUES(
        "const x: f32[1,1,5] = {1,2,3,4,5} y = AveragePool(x)[kernel_shape=[2],dilations=[3]]", 2.5,
        3.5);
}

TEST(global_pools_reduce_every_plane)
{
    CHECK_VALUES("const x: f32[1,2,1,2] = {1,2,30,10} y = GlobalAveragePool(x)", 1.5, 20);
    CHECK_VALUES("const x: i8[1,2,1,2] = {1,2,-30,-10} y = GlobalMaxPool(x)", 2, -10);
    CHECK_VALUES("const x: u8[1,2,1,2] = {1,2,255,255} y = GlobalSumPool(x)", 3, 510);
}

TEST(sum_pool_sums_codes)
{
    CHECK_VALUES("const x: u8[1,1,3] = {250,251,252} y = SumPool(x)[kernel_shape=[2],pads=[1,0]]",
                 250, 501, 503);
    CHECK_TYPE("input x: i8[?,4,8,8] y = SumPool(x)[kernel_shape=[2,2],strides=[2,2]]",
               "i32[?,4,4,4]");
}

TEST(overlapping_windows_add_up_in_the_gradient)
{
    CHECK_VALUES(
        "const x: f32[1,1,3] = {1,5,2} const y: f32[1,1,2] = {5,5} const d: f32[1,1,2] = {10,1} "
        "g = MaxPoolGrad(x,y,d)[kernel_shape=[2]]",
        0, 11, 0);
    CHECK_VALUES("const x: f32[1,1,3] = 0.0 const d: f32[1,1,2] = {10,2} "
                 "g = AveragePoolGrad(x,d)[kernel_shape=[2]]",
                 5, 6, 1);
}

TEST(pools_refuse_what_they_cannot_do)
{
    CHECK_REFUSED("input x: f32[1,1,4,4] y = MaxPool(x)", "kernel_shape");
    CHECK_REFUSED("input x: f32[1,1,4] y = MaxPool(x)[kernel_shape=[2],storage_order=2]",
                  "storage_order");
    CHECK_REFUSED("input x: f32[1,1,4] y = AveragePool(x)[kernel_shape=[2],pads=[2,0]]",
                  "padding of 2");
    CHECK_REFUSED("input x: f32[1,1,4] y = AveragePool(x)[kernel_shape=[2],auto_pad=\"SAME\"]",
                  "auto_pad is 'SAME'");
    CHECK_REFUSED("input x: f32[4,4] y = MaxPool(x)[kernel_shape=[2]]", "rank 3");
}
