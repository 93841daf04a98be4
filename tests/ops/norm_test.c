/* Batch, instance and layer norms, and ChannelSum. */
#include "evaluate.h"

TEST(batch_norm_takes_given_statistics)
{
    CHECK_VALUES(
        "const x: f32[1,2,2] = {1,3,10,20} const s: f32[2] = {2,-1} const b: f32[2] = {0.5,1} "
        "const m: f32[2] = {1,10} const v: f32[2] = {4,25} "
        "y = BatchNormalization(x,s,b,m,v)[epsilon=0.0]",
        0.5, 2.5, 1, -1);
    CHECK_TYPE("input x: f32[?,2] const s: f32[2] = 1.0 y = BatchNormalization(x,s,s,s,s)",
               "f32[?,2]");
}

TEST(batch_norm_in_training_mode_is_refused)
{
    CHECK_REFUSED("input x: f32[1,2] const s: f32[2] = 1.0 "
                  "y = BatchNormalization(x,s,s,s,s)[training_mode=1]",
                  "training_mode");
}

/* x = 1 3 | 5 7: mean 4, biased variance 5, unbiased 20/3 */
#define TRAIN                                                                                      \
    "const x: f32[2,1,2] = {1,3,5,7} const s: f32[1] = {1} const b: f32[1] = {0} "                 \
    "const m: f32[1] = {10} const v: f32[1] = {2} "                                                \
    "y,nm,nv,sm,si = BatchNormTrain(x,s,b,m,v)[epsilon=0.0,momentum=0.9] output y"

TEST(training_normalises_by_the_biased_variance)
{
    CHECK_VALUES(TRAIN, -1.34164079, -0.447213595, 0.447213595, 1.34164079);
    CHECK_OUTPUT(TRAIN, 3, 4);
    CHECK_OUTPUT(TRAIN, 4, 0.447213595);
}

TEST(running_statistics_take_the_unbiased_variance)
{
    CHECK_OUTPUT(TRAIN, 1, 9.4);
    CHECK_OUTPUT(TRAIN, 2, 2.46666667);
}

TEST(one_element_has_no_unbiased_variance)
{
    CHECK_OUTPUT("const x: f32[1,1] = {3} const s: f32[1] = {1} "
                 "y,nm,nv,sm,si = BatchNormTrain(x,s,s,s,s) output y",
                 2, 0.9);
}

TEST(layer_norm_takes_the_last_axes)
{
    CHECK_VALUES("const x: f32[2,2] = {1,3,5,5} const s: f32[2] = {1,2} const b: f32[2] = {0,1} "
                 "y = LayerNormalization(x,s,b)[epsilon=0.0001]",
                 -0.99995, 1 + 2 * 0.99995, 0, 1);
    CHECK_OUTPUT("const x: f32[2,2] = {1,3,5,9} const s: f32[1] = {1} "
                 "y,m,i = LayerNormalization(x,s)[axis=0,epsilon=0.25] output y",
                 1, 4.5);
}

TEST(scale_says_how_long_an_unknown_axis_is)
{
    CHECK_TYPE("input x: f32[?,?,?] const s: f32[4] = 1 y = LayerNormalization(x,s)", "f32[?,?,4]");
    CHECK_TYPE("input x: f32[?,?] const s: f32[1] = 1 const b: f32[3] = 0 "
               "y = LayerNormalization(x,s,b)",
               "f32[?,3]");
    CHECK_REFUSED("input x: f32[?,?] const s: f32[4] = 1 const b: f32[3] = 0 "
                  "y = LayerNormalization(x,s,b)",
                  "f32[3] and f32[4] do not broadcast");
}

TEST(parameters_of_layer_norm_tell_sizes_that_nobody_knows)
{
    CHECK_TYPE("input x: f32[2,?] const s: f32[64] = 1.0 y = LayerNormalization(x,s,s)",
               "f32[2,64]");
    CHECK_TYPE("input x: f32[2,?] const s: f32[1] = 1.0 y = LayerNormalization(x,s)", "f32[2,?]");
    CHECK_TYPE("input x: f32[2,?] const s: f32[64] = 1.0 y,m = LayerNormalization(x,s,s) "
               "z = Identity(m)",
               "f32[2,1]");
}

TEST(instance_norm_takes_each_plane)
{
    CHECK_VALUES(
        "const x: f32[1,2,2] = {1,3,50,50} const s: f32[2] = {2,2} const b: f32[2] = {0,1} "
        "y = InstanceNormalization(x,s,b)[epsilon=0.0001]",
        -1.9999, 1.9999, 1, 1);
}

TEST(channel_sum_leaves_the_channels)
{
    CHECK_VALUES("const x: f32[2,2,2] = {1,2,10,20,3,4,30,40} y = ChannelSum(x)", 10, 100);
}
