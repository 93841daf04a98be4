/* Softmax and normalisation of codes, against the float operators. */
#include "evaluate.h"

/* table[d] = round(2^22 e^-d) for scale 1; beyond the eighth the test does not look */
#define TABLE "const t: i32[256] = {4194304,1542998,567637,208822,76821,28261,10397,3825" ZEROS "} "
#define Z8 ",0,0,0,0,0,0,0,0"
#define Z62 Z8 Z8 Z8 Z8 Z8 Z8 Z8 ",0,0,0,0,0,0"
#define ZEROS Z62 Z62 Z62 Z62

TEST(softmax_of_codes_is_softmax_in_steps)
{
    /* scale 1/256: 256 softmax(0, 1, 3) = 10.79, 29.33, 215.88 */
    CHECK_VALUES(TABLE "const x: i8[3] = {-3,-2,0} "
                       "y = SoftmaxInteger(x, t)[multiplier=268435456, shift=20]",
                 11, 29, 216);
    CHECK_VALUES(TABLE "const x: u8[2,2] = {5,200,6,200} "
                       "y = SoftmaxInteger(x, t)[multiplier=268435456, shift=20, axis=0]",
                 69, 128, 187, 128);
}

TEST(softmax_of_codes_stays_on_its_grid)
{
    CHECK_VALUES(TABLE "const x: i8[2] = {-128,-121} "
                       "y = SoftmaxInteger(x, t)[multiplier=268435456, shift=20, zero_point=-128, "
                       "q_min=-128, q_max=127, dtype=\"i8\"]",
                 -128, 127);
    CHECK_REFUSED(TABLE "const x: i8[2] = 0 "
                        "y = SoftmaxInteger(x, t)[multiplier=1, shift=0, q_max=256]",
                  "q_max 256");
    CHECK_REFUSED(TABLE "const x: i8[2] = 0 y = SoftmaxInteger(x, t)[multiplier=0, shift=0]",
                  "multiplier 0");
}

TEST(normalised_codes_have_mean_0_and_variance_1)
{
    /* (1, 2, 3, 6): mean 3, variance 3.5; 2^10 (-2, -1, 0, 3) / sqrt(3.5) */
    CHECK_VALUES("const x: u8[4] = {1,2,3,6} "
                 "y = NormalizeInteger(x)[epsilon=0, root_shift=16, fraction=10]",
                 -1095, -547, 0, 1642);
    CHECK_VALUES("const x: u8[2,2] = {7,7,0,255} "
                 "y = NormalizeInteger(x)[epsilon=1, root_shift=16, fraction=10]",
                 0, 0, -1024, 1024);
}

TEST(normalisation_without_a_mean_starts_at_the_zero_point)
{
    /* (3, 4) behind zero point 1: 2^10 (3, 4) / sqrt(12.5) */
    CHECK_VALUES("const x: i8[2] = {4,5} y = NormalizeInteger(x)[epsilon=0, root_shift=16, "
                 "fraction=10, centred=0, zero_point=1]",
                 869, 1159);
    CHECK_REFUSED("const x: i8[2] = 0 y = NormalizeInteger(x)[epsilon=-1, root_shift=0]",
                  "epsilon -1");
}
