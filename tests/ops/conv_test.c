/* Conv, ConvTranspose, ConvInteger against their definitions. */
#include "evaluate.h"

#include "ops/conv_core_internal.h"

/* One random case of the definition, with whatever the graph's attributes say. */
static double by_hand(const tq_conv *c, const float *x, const float *w, const float *b,
                      const int64_t at[5])
{
    const tq_window *s = &c->window;
    const int64_t n = at[0], m = at[1], per_group = c->in_channels / c->groups;
    const int64_t group = m / (c->out_channels / c->groups);
    double sum = b ? (double)b[m] : 0.0;
    for (int64_t ic = 0; ic < per_group; ic++)
        for (int64_t kd = 0; kd < s->kernel[0]; kd++)
            for (int64_t kh = 0; kh < s->kernel[1]; kh++)
                for (int64_t kw = 0; kw < s->kernel[2]; kw++) {
                    const int64_t d = at[2] * s->stride[0] - s->pad_begin[0] + kd * s->dilation[0];
                    const int64_t h = at[3] * s->stride[1] - s->pad_begin[1] + kh * s->dilation[1];
                    const int64_t v = at[4] * s->stride[2] - s->pad_begin[2] + kw * s->dilation[2];
                    if (d < 0 || h < 0 || v < 0 || d >= s->in[0] || h >= s->in[1] || v >= s->in[2])
                        continue;
                    const int64_t c_in = n * c->in_channels + group * per_group + ic;
                    const int64_t k =
                        ((m * per_group + ic) * s->kernel[0] + kd) * s->kernel[1] + kh;
                    sum += (double)x[((c_in * s->in[0] + d) * s->in[1] + h) * s->in[2] + v] *
                           (double)w[k * s->kernel[2] + kw];
                }
    return sum;
}

static const float *data_of(const tq_node *node, int i)
{
    const tq_value *value = tq_node_input(node, i);
    return value ? tq_value_tensor(value)->data : NULL;
}

static void check_definition(const char *text)
{
    tq_graph *graph = check_graph(text);
    const tq_node *node = tq_graph_last(graph);
    const tq_type *x = tq_value_type(tq_node_input(node, 0));
    const tq_conv c = tq_conv_of(tq_node_attrs(node), x, tq_value_type(tq_node_input(node, 1)));
    tq_tensor y = evaluate_output(text, 0);
    int64_t i = 0;
    int64_t at[5];
    for (at[0] = 0; at[0] < c.batch; at[0]++)
        for (at[1] = 0; at[1] < c.out_channels; at[1]++)
            for (at[2] = 0; at[2] < c.window.out[0]; at[2]++)
                for (at[3] = 0; at[3] < c.window.out[1]; at[3]++)
                    for (at[4] = 0; at[4] < c.window.out[2]; at[4]++, i++)
                        CHECK_NEAR(
                            (double)((const float *)y.data)[i],
                            by_hand(&c, data_of(node, 0), data_of(node, 1), data_of(node, 2), at),
                            1e-5);
    CHECK_EQ(i, tq_tensor_count(&y));
    tq_tensor_reset(&y);
    tq_graph_destroy(graph);
}

TEST(conv_is_its_definition)
{
    check_definition("const x: f32[2,3,5,4] = random(1) const w: f32[4,3,3,2] = random(2) "
                     "const b: f32[4] = random(3) y = Conv(x,w,b)");
    check_definition("const x: f32[1,4,7,6] = random(1) const w: f32[6,2,3,3] = random(2) "
                     "y = Conv(x,w)[group=2,strides=[2,1],pads=[1,0,2,1],dilations=[1,2]]");
    check_definition("const x: f32[2,3,9] = random(1) const w: f32[3,1,4] = random(2) "
                     "y = Conv(x,w)[group=3,strides=[3],pads=[2,3]]");
    check_definition("const x: f32[1,2,4,3,5] = random(1) const w: f32[2,2,2,3,2] = random(2) "
                     "y = Conv(x,w)[pads=[1,1,0,0,1,1],strides=[1,2,2]]");
}

TEST(auto_pad_puts_the_odd_element_where_it_says)
{
    CHECK_VALUES("const x: f32[1,1,4] = {1,2,3,4} const w: f32[1,1,2] = {10,1} "
                 "y = Conv(x,w)[auto_pad=\"SAME_UPPER\"]",
                 12, 23, 34, 40);
    CHECK_VALUES("const x: f32[1,1,4] = {1,2,3,4} const w: f32[1,1,2] = {10,1} "
                 "y = Conv(x,w)[auto_pad=\"SAME_LOWER\"]",
                 1, 12, 23, 34);
    CHECK_VALUES("const x: f32[1,1,4] = {1,2,3,4} const w: f32[1,1,2] = {10,1} "
                 "y = Conv(x,w)[auto_pad=\"VALID\"]",
                 12, 23, 34);
}

TEST(same_padding_depends_on_the_stride)
{
    CHECK_TYPE("input x: f32[1,3,224,225] const w: f32[8,3,3,3] = 0.5 "
               "y = Conv(x,w)[auto_pad=\"SAME_UPPER\",strides=[2,2]]",
               "f32[1,8,112,113]");
}

TEST(unknown_dimensions_pass_through)
{
    CHECK_TYPE("input x: f32[?,3,?,9] const w: f32[8,3,3,3] = 0.5 y = Conv(x,w)[pads=[1,1,1,1]]",
               "f32[?,8,?,9]");
}

TEST(conv_refuses_what_does_not_fit)
{
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,4,3,3] = 0.5 y = Conv(x,w)",
                  "4 input channels in 1 groups");
    CHECK_REFUSED("input x: f32[1,3,2,2] const w: f32[8,3,3,3] = 0.5 y = Conv(x,w)",
                  "wider than the padded input");
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,3,3,3] = 0.5 y = Conv(x,w)[strides=[0,1]]",
                  "strides");
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,3,3,3] = 0.5 y = Conv(x,w)[pads=[1,1]]",
                  "pads has 2 values; expected 4");
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,3,3,3] = 0.5 y = Conv(x,w)[group=0]",
                  "group");
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,3,3,3] = 0.5 const b: f32[7] = 0.0 "
                  "y = Conv(x,w,b)",
                  "bias");
    CHECK_REFUSED("input x: f32[1,3,8,8] const w: f32[8,3,3,3] = 0.5 "
                  "y = Conv(x,w)[kernel_shape=[3,5]]",
                  "kernel_shape");
}

TEST(absurd_sizes_are_refused)
{
    CHECK_REFUSED("input x: f32[1,1,4611686018427387904] const w: f32[1,1,3] = 0.5 y = Conv(x,w)",
                  "fewer than 2^31");
    CHECK_REFUSED("input x: f32[1,1,9] const w: f32[1,1,3] = 0.5 "
                  "y = Conv(x,w)[dilations=[9223372036854775807]]",
                  "dilations has value");
    CHECK_REFUSED(
        "input x: f32[1,1,9] const w: f32[1,1,3] = 0.5 "
        "y = ConvTranspose(x,w)[strides=[2147483647],dilations=[2147483647],pads=[2147483647,"
        "2147483647],output_padding=[2147483648]]",
        "output_padding");
    CHECK_REFUSED("input x: f32[1,9223372036854775807,9] const w: f32[1,3,3] = 0.5 "
                  "y = Conv(x,w)[group=9223372036854775807]",
                  "groups");
    CHECK_TYPE("input a: f32[9223372036854775807,2,4611686018427387904] "
               "input b: f32[1,4611686018427387904,4] y = MatMul(a,b)",
               "f32[9223372036854775807,2,4]");
}

TEST(conv_of_int32_adds_its_bias)
{
    CHECK_VALUES("const x: i32[1,2,1,2] = {100000,-3,7,5} const w: i32[1,2,1,1] = {3,-2} "
                 "const b: i32[1] = {11} y = Conv(x,w,b)",
                 299997, -8);
}

TEST(conv_transpose_spreads_its_input)
{
    CHECK_VALUES("const x: f32[1,1,3] = {1,2,3} const w: f32[1,1,2] = {10,1} "
                 "y = ConvTranspose(x,w)[strides=[2]]",
                 10, 1, 20, 2, 30, 3);
    CHECK_VALUES("const x: f32[1,1,3] = {1,2,3} const w: f32[1,1,3] = {100,10,1} const b: f32[1] = "
                 "{0.5} y = ConvTranspose(x,w,b)[pads=[1,1]]",
                 210.5, 321.5, 32.5);
}

TEST(conv_transpose_knows_its_output_size)
{
    const char *x = "input x: f32[1,4,5,5] const w: f32[4,2,3,3] = 0.5 ";
    char text[256];
    const char *const cases[][2] = {
        { "strides=[2,2]", "f32[1,2,11,11]" },
        { "strides=[2,2],output_padding=[1,1],pads=[1,1,1,1]", "f32[1,2,10,10]" },
        { "strides=[2,2],auto_pad=\"SAME_UPPER\"", "f32[1,2,10,10]" },
        { "strides=[2,2],output_shape=[9,10]", "f32[1,2,9,10]" },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        snprintf(text, sizeof text, "%sy = ConvTranspose(x,w)[%s]", x, cases[i][0]);
        CHECK_TYPE(text, cases[i][1]);
    }
}

TEST(padding_counts_as_the_zero_point)
{
    CHECK_VALUES("const x: u8[1,1,3] = {5,6,9} const w: i8[1,1,3] = {1,2,-1} const z: u8[] = 5 "
                 "y = ConvInteger(x,w,z)[pads=[1,1]]",
                 -1, -2, 9);
}

TEST(weights_may_have_a_zero_point_per_channel)
{
    CHECK_VALUES("const x: u8[1,1,2] = {1,255} const w: u8[2,1,1] = {130,7} const zx: u8[] = 0 "
                 "const zw: u8[2] = {128,8} y = ConvInteger(x,w,zx,zw)",
                 2, 510, -1, -255);
}

TEST(depthwise_codes_stay_in_their_group)
{
    CHECK_VALUES("const x: i8[1,2,1,2] = {1,2,3,4} const w: i8[2,1,1,2] = {1,1,-1,10} "
                 "y = ConvInteger(x,w)[group=2]",
                 3, 37);
}

TEST(macs_count_one_sample)
{
    tq_graph *graph = check_graph("input x: f32[?,16,8,8] const w: f32[32,4,3,3] = 0.5 "
                                  "y = Conv(x,w)[group=4,pads=[1,1,1,1]]");
    CHECK_EQ(tq_node_macs(tq_graph_last(graph)), 32 * 4 * 9 * 64);
    tq_graph_destroy(graph);
}
