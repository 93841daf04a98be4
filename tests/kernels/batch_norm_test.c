/* Batch norms against their references. Sums in double in another order: 1e-6 of the largest
 * output. */
#include "same.h"

#define CHANNELS                                                                                   \
    "const s: f32[5] = random(3) const b: f32[5] = random(4) const m: f32[5] = random(5) "
#define VAR "const v: f32[5] = {0.5,1.0,2.0,0.1,3.0} "

static const double tolerance = 1e-6;

TEST(batch_norm_with_running_statistics)
{
    check_same("input x: f32[7,5,6,3] " CHANNELS VAR "y = BatchNormalization(x,s,b,m,v)",
               tolerance);
}

TEST(batch_norm_train_of_a_batch_that_no_shard_divides)
{
    check_same("input x: f32[21,5,6,7] " CHANNELS VAR
               "y, nm, nv, sm, si = BatchNormTrain(x,s,b,m,v)[momentum=0.8]",
               tolerance);
}

TEST(batch_norm_train_of_rows)
{
    check_same("input x: f32[33,5] " CHANNELS VAR "y, nm, nv, sm, si = BatchNormTrain(x,s,b,m,v)",
               tolerance);
}

TEST(batch_norm_gradients)
{
    check_same("input dy: f32[9,5,4,5] input x: f32[9,5,4,5] " CHANNELS VAR
               "dx, ds, db = BatchNormTrainGrad(dy,x,s,m,v)",
               tolerance);
    check_same("input dy: f32[9,5,4,5] input x: f32[9,5,4,5] " CHANNELS VAR
               "dx, ds, db = BatchNormGrad(dy,x,s,m,v)",
               tolerance);
}

TEST(channel_sum)
{
    check_same("input x: f32[18,5,3,11] y = ChannelSum(x)", tolerance);
}
