/* f32 pools: the values of the reference. */
#include "same.h"

TEST(max_pool)
{
    check_same(
        "input x: f32[2,3,9,8] y = MaxPool(x)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]]",
        0.0);
    check_same("input x: f32[2,3,11] y = MaxPool(x)[kernel_shape=[3],dilations=[2]]", 0.0);
}

TEST(max_pool_grad)
{
    check_same("input x: f32[2,3,8,8] input y: f32[2,3,4,4] input dy: f32[2,3,4,4] "
               "dx = MaxPoolGrad(x,y,dy)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]]",
               0.0);
    check_same("input x: f32[2,3,8,8] const y: f32[2,3,5,4] = 0.0 input dy: f32[2,3,5,4] "
               "dx = MaxPoolGrad(x,y,dy)[kernel_shape=[2,3],strides=[2,2],pads=[1,1,1,1]]",
               0.0);
}
