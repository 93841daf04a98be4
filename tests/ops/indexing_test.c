/* Reading and writing by index, and what counts and sorts. */
#include "evaluate.h"

TEST(scattered_slices_are_written_in_order)
{
#define SCATTER                                                                                    \
    "const d: f32[3,2] = {1,2,3,4,5,6} const i: i64[2,1] = {2,2} const u: f32[2,2] = "             \
    "{10,20,30,40} "
    CHECK_VALUES(SCATTER "y = ScatterND(d, i, u)", 1, 2, 3, 4, 30, 40);
    CHECK_VALUES(SCATTER "y = ScatterND(d, i, u)[reduction=\"add\"]", 1, 2, 3, 4, 45, 66);
    CHECK_VALUES("const d: i32[3] = {1,2,3} const i: i64[1,1] = {-1} const u: i32[1] = 9 "
                 "y = ScatterND(d, i, u)[reduction=\"max\"]",
                 1, 2, 9);
    CHECK_REFUSED("const d: f32[3] = 0 const i: i64[1,2] = 0 const u: f32[1] = 0 "
                  "y = ScatterND(d, i, u)",
                  "too many axes");
    CHECK_REFUSED("const d: f32[3,2] = 0 const i: i64[1,1] = 0 const u: f32[1,3] = 0 "
                  "y = ScatterND(d, i, u)",
                  "do not fit");
}

TEST(scattered_elements_keep_their_other_coordinates)
{
    CHECK_VALUES(
        "const d: f32[2,2] = {1,2,3,4} const i: i64[1,2] = {1,0} const u: f32[1,2] = {7,8} "
        "y = ScatterElements(d, i, u)[axis=0]",
        1, 8, 7, 4);
    CHECK_VALUES("const d: u8[2,2] = {1,2,3,4} const i: i64[2,1] = {1,-1} const u: u8[2,1] = {3,3} "
                 "y = ScatterElements(d, i, u)[axis=1, reduction=\"mul\"]",
                 1, 6, 3, 12);
}

TEST(lists_of_indices_gather_slices)
{
    CHECK_VALUES("const d: i8[2,2] = {1,2,3,4} const i: i64[2,2] = {0,0,1,-1} y = GatherND(d, i)",
                 1, 4);
    CHECK_VALUES("const d: i8[2,2] = {1,2,3,4} const i: i64[2,1] = {1,0} "
                 "y = GatherND(d, i)[batch_dims=1]",
                 2, 3);
    CHECK_VALUES("const d: i8[2,2] = {1,2,3,4} const i: i64[1,1] = {1} y = GatherND(d, i)", 3, 4);
}

TEST(the_largest_come_first_and_of_equals_the_lower_index)
{
#define TOP(attrs) "const x: f32[5] = {1,3,nan,3,2} const k: i64[1] = {3} v,i = TopK(x, k)" attrs
    CHECK_OUTPUT(TOP(""), 0, NAN, 3, 3);
    CHECK_OUTPUT(TOP(""), 1, 2, 1, 3);
    CHECK_OUTPUT(TOP("[largest=0]"), 0, 1, 2, 3);
    CHECK_OUTPUT(TOP("[largest=0]"), 1, 0, 4, 1);
    CHECK_OUTPUT("const x: u8[2,2] = {1,200,3,4} const k: i64[1] = {1} v,i = TopK(x, k)[axis=0]", 0,
                 3, 200);
    CHECK_REFUSED("const x: f32[2] = 0 const k: i64[1] = {3} v,i = TopK(x, k)", "k is 3");
}

TEST(a_range_ends_before_its_limit)
{
#define RANGE(type, a, b, c)                                                                       \
    "const a: " type "[] = " a " const b: " type "[] = " b " const c: " type "[] = " c             \
    " y = Range(a, b, c)"
    CHECK_VALUES(RANGE("i64", "1", "6", "2"), 1, 3, 5);
    CHECK_VALUES(RANGE("i32", "5", "1", "-2"), 5, 3);
    CHECK_VALUES(RANGE("f32", "0", "1", "0.4"), 0, 0.4, 0.8);
    CHECK_VALUES(RANGE("f16", "1", "2", "0.5"), 1, 1.5);
    CHECK_TYPE(RANGE("i64", "3", "3", "1"), "i64[0]");
    CHECK_REFUSED(RANGE("i64", "3", "4", "0"), "no end");
    CHECK_REFUSED(RANGE("i64", "0", "9223372036854775807", "1"), "no end");
}

TEST(triangles_and_running_sums)
{
    CHECK_VALUES("const x: f32[2,3] = {1,2,3,4,5,6} y = Trilu(x)", 1, 2, 3, 0, 5, 6);
    CHECK_VALUES("const x: u8[2,3] = {1,2,3,4,5,6} const k: i64[] = 1 y = Trilu(x, k)[upper=0]", 1,
                 2, 0, 4, 5, 6);
    CHECK_VALUES("const x: i32[2,2] = {1,2,3,4} const a: i64[] = 0 y = CumSum(x, a)", 1, 2, 4, 6);
    CHECK_VALUES("const x: f32[3] = {1,2,3} const a: i64[] = 0 "
                 "y = CumSum(x, a)[exclusive=1, reverse=1]",
                 5, 3, 0);
}

TEST(cubic_interpolation_passes_its_kernel)
{
    CHECK_VALUES(
        "const x: f32[4] = {1,2,3,4} const s: f32[1] = {2} y = Resize(x, , s)[mode=\"cubic\"]",
        0.89453125, 1.19140625, 1.66796875, 2.296875, 2.703125, 3.33203125, 3.80859375, 4.10546875);
    CHECK_VALUES("const x: f32[4] = {1,2,3,4} const s: f32[1] = {0.5} "
                 "y = Resize(x, , s)[mode=\"cubic\", cubic_coeff_a=-0.5, exclude_outside=1]",
                 1.41176474, 3.58823538);
}

TEST(antialiasing_widens_the_kernel)
{
    CHECK_VALUES("const x: f32[4] = {1,2,3,4} const s: f32[1] = {0.5} "
                 "y = Resize(x, , s)[mode=\"linear\", antialias=1]",
                 1.625, 3.375);
}

TEST(a_crop_beyond_the_input_is_filled)
{
    CHECK_VALUES("const x: f32[4] = {1,2,3,4} const r: f32[2] = {0.5,1.5} const z: i64[1] = {3} "
                 "y = Resize(x, r, , z)[mode=\"linear\", extrapolation_value=9.0, "
                 "coordinate_transformation_mode=\"tf_crop_and_resize\"]",
                 2.5, 4, 9);
}

TEST(one_scale_keeps_the_aspect_ratio)
{
    CHECK_TYPE("const x: f32[4,6] = 0 const z: i64[2] = {8,8} "
               "y = Resize(x, , , z)[keep_aspect_ratio_policy=\"not_larger\"]",
               "f32[5,8]");
    CHECK_TYPE("const x: f32[4,6] = 0 const z: i64[2] = {8,8} "
               "y = Resize(x, , , z)[keep_aspect_ratio_policy=\"not_smaller\"]",
               "f32[8,12]");
}

TEST(norms_of_windows)
{
    CHECK_VALUES("const x: f32[1,1,4] = {3,4,0,-5} y = LpPool(x)[kernel_shape=[2]]", 5, 4, 5);
    CHECK_VALUES("const x: f32[1,1,3] = {1,-2,3} y = GlobalLpPool(x)[p=1]", 6);
}
