/* Reductions and softmax. */
#include "evaluate.h"

#define X "const x: f32[2,3] = {1,2,3,4,5,9} "

TEST(means_over_given_axes)
{
    CHECK_VALUES(X "const a: i64[1] = {1} y = ReduceMean(x,a)", 2, 6);
    CHECK_VALUES(X "const a: i64[1] = {-2} y = ReduceMean(x,a)", 2.5, 3.5, 6);
    CHECK_VALUES(X "y = ReduceMean(x)", 4);
    CHECK_VALUES(
        "const x: f32[2,2,2] = {1,2,3,4,5,6,7,8} const a: i64[2] = {2,0} y = ReduceSum(x,a)", 14,
        22);
}

TEST(kept_and_dropped_axes)
{
    CHECK_TYPE("input x: f32[?,3,4] const a: i64[2] = {1,2} y = ReduceSum(x,a)", "f32[?,1,1]");
    CHECK_TYPE("input x: f32[?,3,4] const a: i64[2] = {1,2} y = ReduceSum(x,a)[keepdims=0]",
               "f32[?]");
    CHECK_TYPE("input x: f32[?,3,4] y = ReduceSum(x)[keepdims=0]", "f32[]");
}

TEST(no_axes_mean_all_or_none)
{
    CHECK_VALUES(X "const a: i64[0] = {} y = ReduceSum(x,a)", 24);
    CHECK_VALUES(X "const a: i64[0] = {} y = ReduceSum(x,a)[noop_with_empty_axes=1]", 1, 2, 3, 4, 5,
                 9);
}

TEST(every_reduction_has_its_formula)
{
    const char *x = "const x: f32[3] = {-1,2,4} y = ";
    const struct {
        const char *op;
        double value;
    } cases[] = {
        { "ReduceMax", 4 },
        { "ReduceMin", -1 },
        { "ReduceProd", -8 },
        { "ReduceL1", 7 },
        { "ReduceL2", 4.58257569 },
        { "ReduceSumSquare", 21 },
        { "ReduceLogSum", 1.60943791 },
        { "ReduceLogSumExp", 4.13284523 },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "%s%s(x)", x, cases[i].op);
        CHECK_VALUES(text, cases[i].value);
    }
}

TEST(log_sum_exp_does_not_overflow)
{
    CHECK_VALUES("const x: f64[2] = {1000,1000} y = ReduceLogSumExp(x)", 1000.6931471805599);
}

TEST(nan_wins_a_maximum)
{
    CHECK_VALUES("const x: f32[3] = {1,nan,2} y = ReduceMax(x)", NAN);
}

TEST(integers_reduce_exactly)
{
    CHECK_VALUES("const x: i64[2] = {9007199254740993,1} y = ReduceSum(x)", 9007199254740994);
    CHECK_VALUES("const x: i32[2] = {-7,4} y = ReduceMean(x)", -1);
    CHECK_VALUES("const x: i8[2] = {-7,4} y = ReduceMin(x)", -7);
}

TEST(wrong_axes_are_refused)
{
    CHECK_REFUSED("input x: f32[2,3] const a: i64[1] = {2} y = ReduceMean(x,a)",
                  "axis is 2; expected -2 to 1");
    CHECK_REFUSED("input x: f32[2,3] const a: i64[2] = {1,-1} y = ReduceMean(x,a)", "given twice");
}

TEST(softmax_sums_to_one_along_its_axis)
{
    CHECK_VALUES("const x: f32[2,2] = {0,1000,0,0} y = Softmax(x)", 0, 1, 0.5, 0.5);
    CHECK_VALUES("const x: f32[2,2] = {0,1000,0,1000} y = Softmax(x)[axis=0]", 0.5, 0.5, 0.5, 0.5);
    CHECK_VALUES("const x: f32[2] = {0,0} y = LogSoftmax(x)", -0.693147181, -0.693147181);
}

TEST(the_largest_of_bools_is_any_and_the_smallest_all)
{
    CHECK_VALUES("const x: bool[2,2] = {0,1,1,1} const a: i64[1] = {1} y = ReduceMin(x, a)", 0, 1);
    CHECK_VALUES("const x: bool[2,2] = {0,1,0,0} const a: i64[1] = {1} y = ReduceMax(x, a)", 1, 0);
    CHECK_VALUES("const x: bool[0] = {} y = ReduceMax(x)", 0);
    CHECK_VALUES("const x: bool[0] = {} y = ReduceMin(x)", 1);
}
