/* Activations and unary functions: NaN, borders, values. */
#include "evaluate.h"

TEST(nan_passes_through_activations)
{
    const char *const calls[] = { "Relu(x)",        "Clip(x,lo,hi)", "LeakyRelu(x)", "Sigmoid(x)",
                                  "HardSigmoid(x)", "HardSwish(x)",  "Tanh(x)",      "Elu(x)",
                                  "Selu(x)",        "Softplus(x)",   "Gelu(x)",      "Abs(x)",
                                  "Neg(x)",         "Floor(x)",      "Sign(x)" };
    for (int i = 0; i < TQ_COUNT(calls); i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "const x: f32[1] = {nan} const lo: f32[] = 0.0 const hi: f32[] = 6.0 y = %s",
                 calls[i]);
        CHECK_VALUES(text, NAN);
    }
}

TEST(clip_takes_either_bound)
{
    CHECK_VALUES("const x: f32[3] = {-1,3,9} const hi: f32[] = 6.0 y = Clip(x,,hi)", -1, 3, 6);
    CHECK_VALUES("const x: f32[3] = {-1,3,9} const lo: f32[] = 0.0 y = Clip(x,lo)", 0, 3, 9);
    CHECK_VALUES(
        "const x: i8[3] = {-100,3,100} const lo: i8[] = -5 const hi: i8[] = 6 y = Clip(x,lo,hi)",
        -5, 3, 6);
    CHECK_VALUES(
        "const x: f32[2] = {-1,9} const lo: f32[] = 4.0 const hi: f32[] = 2.0 y = Clip(x,lo,hi)", 2,
        2);
}

TEST(gradients_stop_at_the_bounds)
{
    CHECK_VALUES("const x: f32[3] = {-1,0,2} const d: f32[3] = 5.0 y = ReluGrad(x,d)", 0, 0, 5);
    CHECK_VALUES("const x: f32[5] = {-1,0,2,6,7} const lo: f32[] = 0.0 const hi: f32[] = 6.0 "
                 "const d: f32[5] = 5.0 y = ClipGrad(x,lo,hi,d)",
                 0, 0, 5, 0, 0);
}

TEST(a_gradient_of_clip_without_a_bound_has_one_that_bounds_nothing)
{
    tq_graph *graph = check_graph("input x: f32[2] const hi: f32[] = 6.0 input t: f32[2] "
                                  "y = Clip(x,,hi) l = MeanSquaredError(y,t)");
    tq_value *x = tq_graph_find_value(graph, "x"), *dx = NULL;
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "l"), &x, 1, &dx));
    CHECK_EQ(check_count(graph, "ClipGrad"), 1);
    tq_graph_destroy(graph);
}

TEST(round_ties_to_even)
{
    CHECK_VALUES("const x: f32[5] = {0.5,1.5,2.5,-0.5,-1.5} y = Round(x)", 0, 2, 2, 0, -2);
}

TEST(slopes_broadcast)
{
    CHECK_VALUES("const x: f32[1,2,2] = {-1,2,-3,4} const s: f32[2,1] = {0.5,2} y = PRelu(x,s)",
                 -0.5, 2, -6, 4);
    CHECK_VALUES("const x: f32[2] = {-1,2} const s: f32[1,1,1] = {0.5} y = PRelu(x,s)", -0.5, 2);
    CHECK_REFUSED("input x: f32[2] const s: f32[3,1] = 0.5 y = PRelu(x,s)", "slope");
}

TEST(functions_have_their_values)
{
    CHECK_VALUES("const x: f32[3] = {-4,0,1.5} y = HardSwish(x)", 0, 0, 1.125);
    CHECK_VALUES("const x: f32[3] = {-4,0,1} y = HardSigmoid(x)", 0, 0.5, 0.7);
    CHECK_VALUES("const x: f32[2] = {-1000,1000} y = Sigmoid(x)", 0, 1);
    CHECK_VALUES("const x: f32[2] = {-1,1} y = Elu(x)[alpha=2.0]", -1.26424112, 1);
    CHECK_VALUES("const x: f32[2] = {-1,1} y = Gelu(x)", -0.158655254, 0.841344746);
    CHECK_VALUES("const x: f32[2] = {-1,1} y = Gelu(x)[approximate=\"tanh\"]", -0.158808009,
                 0.841191991);
    CHECK_VALUES("const x: f32[2] = {1,1000} y = Softplus(x)", 1.31326169, 1000);
    CHECK_VALUES("const x: f32[2] = {1,-3} y = Softsign(x)", 0.5, -0.75);
    CHECK_VALUES("const x: f32[2] = {-2,1} y = Celu(x)[alpha=2.0]", -1.26424112, 1);
    CHECK_VALUES("const x: f32[3] = {-1,1,2} y = ThresholdedRelu(x)", 0, 0, 2);
    CHECK_VALUES("const x: f32[2] = {1,-1} y = Swish(x)", 0.731058579, -0.268941421);
    CHECK_VALUES("const x: bool[4] = {0,0,1,1} const z: bool[4] = {0,1,0,1} y = Xor(x,z)", 0, 1, 1,
                 0);
    CHECK_VALUES("const x: i32[3] = {-7,0,5} y = Abs(x)", 7, 0, 5);
    CHECK_VALUES("const x: i8[2] = {-128,5} y = Neg(x)", 127, -5);
    CHECK_VALUES("const x: i32[3] = {-7,0,5} y = Sign(x)", -1, 0, 1);
}
