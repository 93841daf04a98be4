/* Cast between dtypes, constants, quantisation to codes and back. */
#include "evaluate.h"

TEST(floats_truncate_and_saturate)
{
    CHECK_VALUES("const x: f32[6] = {2.7,-2.7,300,-5,nan,inf} y = Cast(x)[to=2]", 2, 0, 255, 0, 0,
                 255);
    CHECK_VALUES("const x: f32[3] = {2.7,-2.7,-300} y = Cast(x)[to=3]", 2, -2, -128);
    CHECK_VALUES("const x: f32[2] = {1e30,-1e30} y = Cast(x)[to=6]", 2147483647, -2147483648.0);
}

TEST(integers_keep_their_low_bits)
{
    CHECK_VALUES("const x: i32[3] = {200,-1,256} y = Cast(x)[to=3]", -56, -1, 0);
    CHECK_VALUES("const x: i16[2] = {9,-9} y = Cast(x)[to=22]", -7, 7);
    CHECK_VALUES("const x: i16[2] = {17,-1} y = Cast(x)[to=21]", 1, 15);
}

TEST(anything_but_zero_is_true)
{
    CHECK_VALUES("const x: f32[4] = {0,-0.0,0.5,nan} y = Cast(x)[to=9]", 0, 0, 1, 1);
    CHECK_VALUES("const x: bool[2] = {0,1} y = Cast(x)[to=1]", 0, 1);
}

TEST(an_unknown_dtype_is_unsupported)
{
    CHECK_REFUSED("const x: f32[1] = 0.0 y = Cast(x)[to=8]", "dtype 8");
}

TEST(constants_come_from_attributes)
{
    CHECK_TYPE("y = Constant()[value_ints=[1,2,3]]", "i64[3]");
    CHECK_TYPE("y = Constant()[value_float=0.5]", "f32[]");
    CHECK_REFUSED("y = Constant()", "no value");
}

TEST(quantize_linear_rounds_half_to_even_and_saturates)
{
    CHECK_VALUES("const x: f32[5] = {0.5,1.5,2.5,-400,400} const s: f32[] = 1.0 const z: i8[] = 0 "
                 "y = QuantizeLinear(x, s, z)",
                 0, 2, 2, -128, 127);
    CHECK_VALUES(
        "const x: f32[2,2] = {1,1,1,1} const s: f32[2] = {0.5,0.25} const z: u8[2] = {1,2} "
        "y = QuantizeLinear(x, s, z)[axis=0]",
        3, 3, 6, 6);
    CHECK_VALUES("const x: f32[4] = {1,2,3,4} const s: f32[2] = {1,2} y = QuantizeLinear(x, "
                 "s)[axis=0,block_size=2]",
                 1, 2, 2, 2);
    CHECK_VALUES(
        "const x: f32[2] = {-9,9} const s: f32[] = 1.0 y = QuantizeLinear(x, s)[output_dtype=22]",
        -8, 7);
}

TEST(dequantize_linear_takes_wide_and_narrow_codes)
{
    CHECK_VALUES("const x: i32[2] = {1000,-1000} const s: f32[] = 0.5 y = DequantizeLinear(x, s)",
                 500, -500);
    CHECK_VALUES("const x: u4[2] = {0,15} const s: f32[] = 2.0 const z: u4[] = 8 y = "
                 "DequantizeLinear(x, s, z)",
                 -16, 14);
    CHECK_REFUSED("const x: i8[2,3] = 1 const s: f32[4] = 1.0 y = DequantizeLinear(x, s)",
                  "axis 1");
}

TEST(dynamic_quantisation_covers_the_data_and_zero)
{
    CHECK_OUTPUT("const x: f32[3] = {1,2,5.1} y,s,z = DynamicQuantizeLinear(x)", 1,
                 (double)(5.1f / 255.0f));
    CHECK_OUTPUT("const x: f32[3] = {-1,0,1.55} y,s,z = DynamicQuantizeLinear(x)", 2, 100);
    CHECK_VALUES("const x: f32[3] = 0.0 y,s,z = DynamicQuantizeLinear(x)", 0, 0, 0);
}

TEST(resize_by_nearest_and_linear)
{
    CHECK_VALUES("const x: u8[1,1,1,2] = {1,2} const s: f32[4] = {1,1,1,2} y = Resize(x,,s)", 1, 1,
                 2, 2);
    CHECK_VALUES("const x: f32[1,1,1,2] = {1,2} const s: i64[4] = {1,1,1,4} y = "
                 "Resize(x,,,s)[mode=\"linear\"]",
                 1, 1.25, 1.75, 2);
    CHECK_VALUES(
        "const x: f32[1,1,1,2] = {1,4} const s: i64[4] = {1,1,1,4} "
        "y = Resize(x,,,s)[mode=\"linear\",coordinate_transformation_mode=\"align_corners\"]",
        1, 2, 3, 4);
    CHECK_REFUSED(
        "const x: f32[1,1,1,2] = 1.0 const s: f32[4] = 1.0 y = Resize(x,,s)[mode=\"spline\"]",
        "spline");
}

TEST(dropout_is_the_identity_until_it_trains)
{
    CHECK_VALUES("const x: f32[3] = {1,2,3} const r: f32[] = 0.5 y = Dropout(x, r)", 1, 2, 3);
    tq_tensor y = evaluate_output(
        "const x: f32[1000] = 1.0 const r: f32[] = 0.25 const t: bool[] = 1 y,m = Dropout(x, r, t)",
        0);
    int n_dropped = 0;
    for (int i = 0; i < 1000; i++) {
        const float v = ((const float *)y.data)[i];
        n_dropped += v == 0.0f;
        CHECK(v == 0.0f || fabsf(v - 4.0f / 3.0f) < 1e-6f);
    }
    CHECK(n_dropped > 200 && n_dropped < 300);
    tq_tensor_reset(&y);
}
