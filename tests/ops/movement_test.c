/* Data movement: indices, borders, and every dtype. */
#include "evaluate.h"

TEST(movement_takes_every_dtype)
{
    static const char *const dtypes[] = { "f32", "f64", "f16", "bf16", "u8",   "i8", "u16", "i16",
                                          "u32", "i32", "u64", "i64",  "bool", "u4", "i4" };
    for (int i = 0; i < TQ_COUNT(dtypes); i++) {
        char text[200];
        snprintf(text, sizeof text, "const x: %s[2,3] = {0,1,0,1,1,0} y = Transpose(x)", dtypes[i]);
        CHECK_VALUES(text, 0, 1, 1, 1, 0, 0);
        snprintf(text, sizeof text,
                 "const x: %s[3] = {0,1,1} const p: i64[2] = {1,0} y = Pad(x, p)", dtypes[i]);
        CHECK_VALUES(text, 0, 0, 1, 1);
    }
}

TEST(reshape_copies_zeros_and_fills_minus_one)
{
    CHECK_TYPE("const x: f32[2,3,4] = 0.0 const s: i64[3] = {0,-1,2} y = Reshape(x, s)",
               "f32[2,6,2]");
    CHECK_TYPE("const x: f32[0,3] = {} const s: i64[2] = {3,0} y = Reshape(x, s)[allowzero=1]",
               "f32[3,0]");
    CHECK_REFUSED("const x: f32[2,3] = 0.0 const s: i64[2] = {4,-1} y = Reshape(x, s)", "divide");
    CHECK_REFUSED("const x: f32[2,3] = 0.0 const s: i64[1] = {7} y = Reshape(x, s)", "f32[2,3]");
    CHECK_REFUSED("const x: f32[2,3] = 0.0 const s: i64[2] = {-1,-1} y = Reshape(x, s)", "two");
    CHECK_REFUSED("const x: f32[2,3] = 0.0 const s: i64[3] = {2,3,0} y = Reshape(x, s)",
                  "shape[2]");
}

TEST(squeeze_and_unsqueeze_take_negative_axes)
{
    CHECK_TYPE("const x: f32[1,3,1] = 0.0 const a: i64[1] = {-1} y = Squeeze(x, a)", "f32[1,3]");
    CHECK_TYPE("const x: f32[1,3,1] = 0.0 y = Squeeze(x)", "f32[3]");
    CHECK_TYPE("const x: f32[3] = 0.0 const a: i64[2] = {-1,0} y = Unsqueeze(x, a)", "f32[1,3,1]");
    CHECK_REFUSED("const x: f32[2,3] = 0.0 const a: i64[1] = {0} y = Squeeze(x, a)", "axis 0");
    CHECK_REFUSED("const x: f32[3] = 0.0 const a: i64[2] = {0,-3} y = Unsqueeze(x, a)", "twice");
}

TEST(slices_walk_backwards_and_hold_their_ends)
{
#define SLICE(s, e, st)                                                                            \
    "const x: i32[5] = {0,1,2,3,4} const s: i64[1] = {" s "} const e: i64[1] = {" e "} "           \
    "const a: i64[1] = {0} const t: i64[1] = {" st "} y = Slice(x, s, e, a, t)"
    CHECK_VALUES(SLICE("-1", "-9223372036854775807", "-2"), 4, 2, 0);
    CHECK_VALUES(SLICE("1", "1000", "2"), 1, 3);
    CHECK_VALUES(SLICE("-3", "-1", "1"), 2, 3);
    CHECK_VALUES(SLICE("100", "0", "-1"), 4, 3, 2, 1);
    CHECK_VALUES(SLICE("-9223372036854775808", "-2", "1"), 0, 1, 2);
    CHECK_VALUES(SLICE("-2", "-9223372036854775808", "-1"), 3, 2, 1, 0);
    CHECK_TYPE(SLICE("3", "2", "1"), "i32[0]");
    CHECK_REFUSED(SLICE("0", "2", "0"), "steps[0] is 0");
}

TEST(concat_joins_and_split_cuts)
{
    CHECK_VALUES("const a: u8[2,1] = {1,2} const b: u8[2,2] = {3,4,5,6} y = Concat(a, b)[axis=-1]",
                 1, 3, 4, 2, 5, 6);
    CHECK_REFUSED("const a: u8[2,1] = 1 const b: u8[3,2] = 1 y = Concat(a, b)[axis=1]", "axis 0");
    CHECK_OUTPUT(
        "const x: i8[2,3] = {1,2,3,4,5,6} const s: i64[2] = {1,2} a,b = Split(x, s)[axis=1]", 1, 2,
        3, 5, 6);
    CHECK_OUTPUT("const x: i8[7] = {1,2,3,4,5,6,7} a,b,c = Split(x)[num_outputs=3]", 2, 7);
    CHECK_REFUSED("const x: i8[3] = 1 const s: i64[2] = {1,1} a,b = Split(x, s)", "adds up to 2");
}

TEST(padding_mirrors_repeats_wraps_and_crops)
{
#define PAD(pads, rest) "const x: f32[4] = {1,2,3,4} const p: i64[2] = {" pads "} y = Pad(x, p" rest
    CHECK_VALUES(PAD("2,1", ")[mode=\"reflect\"]"), 3, 2, 1, 2, 3, 4, 3);
    CHECK_VALUES(PAD("2,1", ")[mode=\"edge\"]"), 1, 1, 1, 2, 3, 4, 4);
    CHECK_VALUES(PAD("2,1", ")[mode=\"wrap\"]"), 3, 4, 1, 2, 3, 4, 1);
    CHECK_VALUES(PAD("-1,1", ")"), 2, 3, 4, 0);
    CHECK_VALUES("const x: f32[1] = {7} const p: i64[2] = {2,2} y = Pad(x, p)[mode=\"reflect\"]", 7,
                 7, 7, 7, 7);
    CHECK_VALUES("const x: f32[1,2] = {1,2} const p: i64[2] = {1,0} const v: f32[] = 9.0 const a: "
                 "i64[1] = {-1} "
                 "y = Pad(x, p, v, a)",
                 9, 1, 2);
    CHECK_REFUSED(PAD("-3,-2", ")"), "axis 0");
    CHECK_REFUSED(PAD("1,1", ")[mode=\"mirror\"]"), "mirror");
}

TEST(gather_counts_from_the_end_and_checks_what_it_knows)
{
    CHECK_VALUES("const x: u8[3,2] = {1,2,3,4,5,6} const i: i64[2] = {-1,0} y = Gather(x, i)", 5, 6,
                 1, 2);
    CHECK_VALUES("const x: u8[2,3] = {1,2,3,4,5,6} const i: i64[] = 1 y = Gather(x, i)[axis=1]", 2,
                 5);
    CHECK_VALUES("const x: u8[2,2] = {1,2,3,4} const i: i32[2,2] = {0,0,1,-2} y = "
                 "GatherElements(x, i)[axis=1]",
                 1, 1, 4, 3);
    CHECK_REFUSED("const x: u8[3,2] = 1 const i: i64[1] = {3} y = Gather(x, i)", "index 3");
}

TEST(expand_tile_and_blocks)
{
    CHECK_VALUES("const x: i8[2,1] = {1,2} const s: i64[2] = {1,3} y = Expand(x, s)", 1, 1, 1, 2, 2,
                 2);
    CHECK_VALUES("const x: i8[1,2] = {1,2} const r: i64[2] = {2,2} y = Tile(x, r)", 1, 2, 1, 2, 1,
                 2, 1, 2);
    CHECK_VALUES("const x: i8[1,4,1,1] = {1,2,3,4} y = DepthToSpace(x)[blocksize=2]", 1, 2, 3, 4);
    CHECK_VALUES("const x: i8[1,8,1,1] = {1,2,3,4,5,6,7,8} y = DepthToSpace(x)[blocksize=2]", 1, 3,
                 5, 7, 2, 4, 6, 8);
    CHECK_VALUES(
        "const x: i8[1,8,1,1] = {1,2,3,4,5,6,7,8} y = DepthToSpace(x)[blocksize=2,mode=\"CRD\"]", 1,
        2, 3, 4, 5, 6, 7, 8);
    CHECK_VALUES("const x: i8[1,1,2,2] = {1,2,3,4} y = SpaceToDepth(x)[blocksize=2]", 1, 2, 3, 4);
    CHECK_REFUSED("const x: i8[1,3,1,1] = 1 y = DepthToSpace(x)[blocksize=2]", "axis 1");
}

TEST(arg_extremes_choose_the_first_or_the_last)
{
    CHECK_VALUES("const x: f32[1,4] = {1,3,3,2} y = ArgMax(x)[axis=1]", 1);
    CHECK_VALUES("const x: f32[1,4] = {1,3,3,2} y = ArgMax(x)[axis=-1,select_last_index=1]", 2);
    CHECK_VALUES("const x: i8[2,2] = {-128,3,-128,2} y = ArgMin(x)[axis=0,keepdims=0]", 0, 1);
    CHECK_VALUES("const x: f32[3] = {1,nan,3} y = ArgMax(x)", 1);
}
