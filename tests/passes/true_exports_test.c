/* Integer forms of what exporters of transformers and detectors write. */
#include "integers.h"

TEST(a_constant_part_is_rounded_to_the_grid_behind)
{
    integers_check_equal("input x: f32[2,3,4]\n" FQ(
        "q", "x", "0.02", "4",
        "-128") "const token: f32[2,1,4] = random(3)\n c = Concat(token, q) [axis=1]\n" FQ("y", "c",
                                                                                           "0.02",
                                                                                           "4",
                                                                                           "-128"));
    integers_check_agrees("input x: f32[2,3,4]\n" FQ(
        "q", "x", "0.02", "4", "-128") "const token: f32[2,1,4] = random(3)\n"
                                       "c = Concat(q, token) [axis=1]\n" FQ("y", "c", "0.013", "0",
                                                                            "-128"));
    integers_check_refused(
        "input x: f32[2,3,4]\n" FQ("q", "x", "0.02", "4",
                                   "-128") "const token: f32[2,1,4] = random(3)\n"
                                           "y = Concat(token, q) [axis=1]",
        "put a FakeQuantize behind it");
}

/* A convolution with one scale a channel, and what moves its channels. */
#define CHANNELS(moved)                                                                            \
    "input x: f32[?,3,2,2]\n" FQ(                                                                  \
        "q", "x", "0.02", "0",                                                                     \
        "-128") "const w: f32[4,3,2,2] = random(2)\n const wl: f32[4] = {-1,-0.5,-0.7,-1}\n"       \
                "const wh: f32[4] = {1,0.5,0.7,1}\n"                                               \
                "v = FakeQuantize(w, wl, wh) [quantizer=\"pact\", q_min=-127, n_levels=255, "      \
                "axis=0]\n"                                                                        \
                "c = Conv(q, v)\n" moved FQ("y", "m", "0.03", "0", "-128")

TEST(scales_follow_the_channels_that_are_moved)
{
    integers_check_agrees(CHANNELS("m = Flatten(c)\n"));
    integers_check_agrees(CHANNELS("const a: i64[2] = {2,3}\n m = Squeeze(c, a)\n"));
    integers_check_agrees(CHANNELS("const t: i64[3] = {0,4,-1}\n m = Reshape(c, t)\n"));
    integers_check_agrees(CHANNELS("m = Transpose(c) [perm=[0,2,3,1]]\n"));
    integers_check_agrees(CHANNELS("m = Transpose(c)\n"));
    integers_check_refused(CHANNELS("const t: i64[2] = {-1,2}\n m = Reshape(c, t)\n"),
                           "has a scale per channel");
}

TEST(logits_of_a_convolution_are_flattened_as_codes)
{
    const char *text = CHANNELS("m = Flatten(c)\n") "\n output m";
    integers_pair p = integers_convert(text);
    CHECK_EQ(check_count(p.integer, "Flatten"), 1);
    integers_release(&p);
}

TEST(groups_of_channels_are_normalised_on_codes)
{
#define NORMALISED(dims, norm)                                                                     \
    "input x: f32" dims "\n" FQ(                                                                   \
        "q", "x", "0.02", "5",                                                                     \
        "-128") "const g: f32[4] = {1,0.5,-2,1.5}\n const b: f32[4] = {0.25,0,-1,0}\n n = " norm   \
                "\n" FQ("y", "n", "0.03", "0", "-128")
    integers_check_agrees(NORMALISED("[?,4,5,6]", "InstanceNormalization(q, g, b)"));
    integers_check_agrees(NORMALISED("[?,4,30]", "InstanceNormalization(q, g, b)"));
    integers_check_agrees(NORMALISED("[?,4,5,6]", "GroupNormalization(q, g, b) [num_groups=2]"));
    integers_check_agrees(NORMALISED("[?,4,30]", "GroupNormalization(q, g, b) [num_groups=1]"));
    integers_check_refused(NORMALISED("[?,4,5,?]", "InstanceNormalization(q, g, b)"),
                           "groups of known size");
}

TEST(a_group_norm_as_pytorch_writes_it_keeps_one_scale)
{
    const char *text = "input x: f32[?,4,30]\n" FQ(
        "q", "x", "0.02", "5",
        "-128") "const t: i64[3] = {0,2,-1}\n const u: i64[3] = {0,4,30}\n"
                "const one: f32[2] = 1\n const zero: f32[2] = 0\n const g: f32[4,1] = "
                "{1,0.5,-2,1.5}\n"
                "r = Reshape(q, t)\n n = InstanceNormalization(r, one, zero)\n s = Reshape(n, u)\n"
                "k = Mul(s, g)\n" FQ("y", "k", "0.03", "0", "-128");
    integers_check_agrees(text);
}

TEST(one_value_in_a_computed_shape_is_one_code)
{
    integers_check_agrees("input x: f32[?,3]\n" FQ(
        "q", "x", "0.02", "0",
        "-128") "s = Shape(x)\n k = ConstantOfShape(s) "
                "[value=f32[1]{-0.5}]\n" FQ("p", "k", "0.02", "0",
                                            "-128") "c = Concat(q, p) "
                                                    "[axis=1]\n" FQ("y", "c", "0.02", "0", "-128"));
    integers_check_agrees("input x: f32[?,3]\n" FQ(
        "q", "x", "0.02", "0",
        "-128") "s = Shape(x)\n k = ConstantOfShape(s)\n" FQ("p", "k", "0.02", "9",
                                                             "-128") "c = Concat(q, p) "
                                                                     "[axis=1]\n" FQ("y", "c",
                                                                                     "0.02", "9",
                                                                                     "-128"));
}
