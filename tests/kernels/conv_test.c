/* f32 convolutions against their references: within 1e-5 of the largest output (sums in another
 * order). */
#include "same.h"

static const double tolerance = 1e-5;

TEST(conv_of_an_odd_batch_with_padding)
{
    check_same(
        "input x: f32[19,3,9,7] const w: f32[16,3,3,3] = random(1) const b: f32[16] = random(2) "
        "y = Conv(x,w,b)[pads=[1,1,1,1]]",
        tolerance);
}

TEST(conv_strided_with_uneven_pads)
{
    check_same("input x: f32[4,5,11,8] const w: f32[7,5,3,2] = random(1) "
               "y = Conv(x,w)[pads=[0,1,2,0],strides=[2,3]]",
               tolerance);
}

TEST(conv_dilated)
{
    check_same("input x: f32[2,4,12,12] const w: f32[6,4,3,3] = random(1) "
               "y = Conv(x,w)[dilations=[2,3],pads=[2,3,2,3]]",
               tolerance);
}

TEST(conv_depthwise_and_grouped)
{
    check_same("input x: f32[3,24,8,8] const w: f32[24,1,3,3] = random(1) "
               "y = Conv(x,w)[group=24,pads=[1,1,1,1],strides=[2,2]]",
               tolerance);
    check_same(
        "input x: f32[3,8,8,8] const w: f32[12,2,3,3] = random(1) const b: f32[12] = random(3) "
        "y = Conv(x,w,b)[group=4]",
        tolerance);
}

TEST(conv_in_one_dimension)
{
    check_same("input x: f32[5,4,17] const w: f32[6,4,5] = random(1) const b: f32[6] = random(2) "
               "y = Conv(x,w,b)[auto_pad=\"SAME_UPPER\",strides=[2]]",
               tolerance);
}

TEST(conv_with_a_computed_weight)
{
    check_same("input x: f32[2,3,6,6] input w: f32[4,3,1,1] y = Conv(x,w)", tolerance);
}

TEST(conv_grad_input_and_weight)
{
    const char *const attrs[] = { "pads=[1,1,1,1]", "pads=[1,0,0,1],strides=[2,2]" };
    for (int i = 0; i < 2; i++) {
        char text[512];
        const char *out = i ? "4,4" : "9,8";
        snprintf(text, sizeof text,
                 "input dy: f32[18,8,%s] const w: f32[8,4,3,3] = random(1) input x: f32[18,4,9,8] "
                 "dx = ConvGradInput(dy,w,x)[%s]",
                 out, attrs[i]);
        check_same(text, tolerance);
        snprintf(text, sizeof text,
                 "input dy: f32[18,8,%s] input x: f32[18,4,9,8] input w: f32[8,4,3,3] "
                 "dw = ConvGradWeight(dy,x,w)[%s]",
                 out, attrs[i]);
        check_same(text, tolerance);
    }
}

TEST(conv_grads_of_depthwise)
{
    check_same("input dy: f32[5,16,4,4] const w: f32[16,1,3,3] = random(1) input x: f32[5,16,8,8] "
               "dx = ConvGradInput(dy,w,x)[group=16,pads=[1,1,1,1],strides=[2,2]]",
               tolerance);
    check_same("input dy: f32[5,16,4,4] input x: f32[5,16,8,8] input w: f32[16,1,3,3] "
               "dw = ConvGradWeight(dy,x,w)[group=16,pads=[1,1,1,1],strides=[2,2]]",
               tolerance);
}

TEST(conv_transpose_with_bias_and_output_padding)
{
    check_same(
        "input x: f32[3,6,5,4] const w: f32[6,4,3,3] = random(1) const b: f32[4] = random(2) "
        "y = ConvTranspose(x,w,b)[strides=[2,2],pads=[1,1,1,1],output_padding=[1,0]]",
        tolerance);
    check_same("input x: f32[3,6,5] const w: f32[6,2,3] = random(1) "
               "y = ConvTranspose(x,w)[strides=[2],group=2]",
               tolerance);
}

TEST(conv_transpose_grads)
{
    check_same(
        "input dy: f32[3,4,10,8] const w: f32[6,4,3,3] = random(1) input x: f32[3,6,5,4] "
        "dx = ConvTransposeGradInput(dy,w,x)[strides=[2,2],pads=[1,1,1,1],output_padding=[1,1]]",
        tolerance);
    check_same("input dy: f32[3,4,10,8] input x: f32[3,6,5,4] input w: f32[6,4,3,3] "
               "dw = ConvTransposeGradWeight(dy,x,w)[strides=[2,2],pads=[1,1,1,1],"
               "output_padding=[1,1]]",
               tolerance);
}
