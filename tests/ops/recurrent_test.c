/* RNN, GRU and LSTM on one or two cells that can be followed by hand: Relu and Affine as
 * activations keep the numbers small. */
#include "evaluate.h"

/* Sequence 1, 2, 3 of one sample; h' = Relu(x + 2 h). */
#define X3 "const x: f32[3,1,1] = {1,2,3} const w: f32[1,1,1] = 1 const r: f32[1,1,1] = 2 "
#define RNN_RELU "RNN(x, w, r)[activations=[\"Relu\"]] "

TEST(each_step_reads_the_state_of_the_one_before)
{
    CHECK_OUTPUT(X3 "y,h = " RNN_RELU, 0, 1, 4, 11);
    CHECK_OUTPUT(X3 "y,h = " RNN_RELU, 1, 11);
    CHECK_VALUES("const x: f32[1,1,1] = 0.5 const w: f32[1,1,1] = 2 const r: f32[1,1,1] = 0 "
                 "y = RNN(x, w, r)",
                 0.76159416);
}

TEST(both_biases_and_the_first_state_are_added)
{
    CHECK_VALUES(X3 "const b: f32[1,2] = {10,100} const h: f32[1,1,1] = 5 "
                    "y = RNN(x, w, r, b, , h)[activations=[\"Relu\"]]",
                 121, 354, 821);
}

TEST(in_reverse_the_last_step_comes_first)
{
    const char *text = X3 "y,h = RNN(x, w, r)[activations=[\"Relu\"], direction=\"reverse\"]";
    CHECK_OUTPUT(text, 0, 17, 8, 3);
    CHECK_OUTPUT(text, 1, 17);
}

TEST(both_directions_have_weights_and_activations_of_their_own)
{
    const char *text = "const x: f32[3,1,1] = {1,2,3} const w: f32[2,1,1] = {1,-1} "
                       "const r: f32[2,1,1] = {2,1} "
                       "y,h = RNN(x, w, r)[activations=[\"Relu\",\"Affine\"], "
                       "activation_alpha=[1.0], activation_beta=[0.0], "
                       "direction=\"bidirectional\"]";
    CHECK_OUTPUT(text, 0, 1, -6, 4, -5, 11, -3);
    CHECK_OUTPUT(text, 1, 11, -6);
}

TEST(a_short_sequence_ends_in_zeros_and_keeps_its_last_state)
{
    const char *forward = "const x: f32[3,2,1] = {1,1,2,2,3,3} const w: f32[1,1,1] = 1 "
                          "const r: f32[1,1,1] = 2 const n: i32[2] = {3,1} "
                          "y,h = RNN(x, w, r, , n)[activations=[\"Relu\"]]";
    CHECK_OUTPUT(forward, 0, 1, 1, 4, 0, 11, 0);
    CHECK_OUTPUT(forward, 1, 11, 1);
    const char *reverse = "const x: f32[3,2,1] = {1,1,2,2,3,3} const w: f32[1,1,1] = 1 "
                          "const r: f32[1,1,1] = 2 const n: i32[2] = {2,0} "
                          "const h0: f32[1,2,1] = {0,7} y,h = RNN(x, w, r, , n, h0)"
                          "[activations=[\"Relu\"], direction=\"reverse\"]";
    CHECK_OUTPUT(reverse, 0, 5, 0, 2, 0, 0, 0);
    CHECK_OUTPUT(reverse, 1, 5, 7);
}

TEST(with_layout_1_samples_come_first)
{
    const char *text = "const x: f32[2,2,1] = {1,2,10,20} const w: f32[1,1,1] = 1 "
                       "const r: f32[1,1,1] = 2 const h0: f32[2,1,1] = {1,0} "
                       "y,h = RNN(x, w, r, , , h0)[activations=[\"Relu\"], layout=1]";
    CHECK_OUTPUT(text, 0, 3, 8, 10, 40);
    CHECK_OUTPUT(text, 1, 8, 40);
}

TEST(activations_take_their_parameters_in_turn)
{
#define APPLY(name, ...)                                                                           \
    "const x: f32[4,1,1] = {-2,-0.5,0.5,2} const w: f32[1,1,1] = 1 const r: f32[1,1,1] = 0 "       \
    "y = RNN(x, w, r)[activations=[\"" name "\"]" __VA_ARGS__ "]"
    CHECK_VALUES(APPLY("Affine", ", activation_alpha=[3.0], activation_beta=[1.0]"), -5, -0.5, 2.5,
                 7);
    CHECK_VALUES(APPLY("LeakyRelu"), -0.02, -0.005, 0.5, 2);
    CHECK_VALUES(APPLY("ThresholdedRelu"), 0, 0, 0, 2);
    CHECK_VALUES(APPLY("ThresholdedRelu", ", activation_alpha=[0.25]"), 0, 0, 0.5, 2);
    CHECK_VALUES(APPLY("ScaledTanh", ", activation_alpha=[2.0], activation_beta=[0.5]"), -1.5231883,
                 -0.48983733, 0.48983733, 1.5231883);
    CHECK_VALUES(APPLY("HardSigmoid"), 0.1, 0.4, 0.6, 0.9);
    CHECK_VALUES(APPLY("Elu"), -0.86466472, -0.39346934, 0.5, 2);
    CHECK_VALUES(APPLY("Softsign"), -2.0 / 3, -1.0 / 3, 1.0 / 3, 2.0 / 3);
    CHECK_VALUES(APPLY("Softplus"), 0.12692801, 0.47407698, 0.97407698, 2.126928);
    CHECK_VALUES(APPLY("Sigmoid", ", clip=1.0"), 0.26894142, 0.37754067, 0.62245933, 0.73105858);
}

/* One cell; W = {z, r, h} = 1 and R as given. Sigmoid(0) = 1/2. */
TEST(a_gru_mixes_the_state_with_a_new_one)
{
    CHECK_VALUES("const x: f32[1,1,1] = 3 const w: f32[1,3,1] = {0,0,1} const r: f32[1,3,1] = 0 "
                 "const h: f32[1,1,1] = 8 y = GRU(x, w, r, , , h)[activations=[\"Sigmoid\","
                 "\"Relu\"]]",
                 5.5);
}

TEST(a_gru_resets_before_or_behind_the_linear_part)
{
    /* r = 1/2, h = 8: 2 * (8 / 2) + 5 or (2 * 8 + 5) / 2; z = 1/2 */
#define GRU_RESET                                                                                  \
    "const x: f32[1,1,1] = 0 const w: f32[1,3,1] = 0 const r: f32[1,3,1] = {0,0,2} "               \
    "const b: f32[1,6] = {0,0,0,0,0,5} const h: f32[1,1,1] = 8 "                                   \
    "y = GRU(x, w, r, b, , h)[activations=[\"Sigmoid\",\"Relu\"]"
    CHECK_VALUES(GRU_RESET "]", 10.5);
    CHECK_VALUES(GRU_RESET ", linear_before_reset=1]", 9.25);
}

/* i, o, f = 1/2 for zero weights; the new cell is x. */
#define LSTM_TEXT                                                                                  \
    "const x: f32[1,1,1] = 3 const w: f32[1,4,1] = {0,0,0,1} const r: f32[1,4,1] = 0 "             \
    "const h: f32[1,1,1] = 0 const c: f32[1,1,1] = 8 "
#define LSTM_RELU "activations=[\"Sigmoid\",\"Relu\",\"Relu\"]"

TEST(an_lstm_forgets_half_and_takes_half)
{
    const char *text = LSTM_TEXT "y,hn,cn = LSTM(x, w, r, , , h, c)[" LSTM_RELU "]";
    CHECK_OUTPUT(text, 0, 2.75);
    CHECK_OUTPUT(text, 1, 2.75);
    CHECK_OUTPUT(text, 2, 5.5);
}

TEST(peepholes_look_at_the_cell_in_the_order_i_o_f)
{
    /* f = Affine(v) = v: i = 2 * 8, f = 3 * 8, c' = 24 * 8 + 16 * 3 = 240, o = 1 * 240 */
    CHECK_OUTPUT(LSTM_TEXT "const p: f32[1,3] = {2,1,3} y,hn,cn = LSTM(x, w, r, , , h, c, p)"
                           "[activations=[\"Affine\",\"Relu\",\"Relu\"], activation_alpha=[1.0], "
                           "activation_beta=[0.0]]",
                 2, 240);
    CHECK_OUTPUT(LSTM_TEXT "const p: f32[1,3] = {2,1,3} y,hn,cn = LSTM(x, w, r, , , h, c, p)"
                           "[activations=[\"Affine\",\"Relu\",\"Relu\"], activation_alpha=[1.0], "
                           "activation_beta=[0.0]]",
                 0, 57600);
}

TEST(coupled_gates_forget_what_they_do_not_take)
{
    /* i = Relu(2 * 8 / 64) = 1/4: c' = 3/4 * 8 + 1/4 * 3 */
    CHECK_OUTPUT(LSTM_TEXT "const p: f32[1,3] = {0.03125,0,9} y,hn,cn = LSTM(x, w, r, , , h, c, p)"
                           "[activations=[\"Relu\",\"Relu\",\"Relu\"], input_forget=1]",
                 2, 6.75);
}

TEST(clip_bounds_what_gates_read_and_not_the_cell)
{
    CHECK_OUTPUT(LSTM_TEXT "y,hn,cn = LSTM(x, w, r, , , h, c)[clip=2.0, " LSTM_RELU "]", 2, 5);
    CHECK_OUTPUT(LSTM_TEXT "y,hn,cn = LSTM(x, w, r, , , h, c)[clip=2.0, " LSTM_RELU "]", 0, 2.5);
}

TEST(doubles_and_halves_run_too)
{
    CHECK_VALUES("const x: f64[2,1,1] = {1,2} const w: f64[1,1,1] = 1 const r: f64[1,1,1] = 2 "
                 "y = RNN(x, w, r)[activations=[\"Relu\"]]",
                 1, 4);
    CHECK_VALUES("const x: f16[2,1,1] = {1,2} const w: f16[1,1,1] = 1 const r: f16[1,1,1] = 2 "
                 "y = RNN(x, w, r)[activations=[\"Relu\"]]",
                 1, 4);
}

TEST(long_rows_are_summed_whole)
{
    /* 1 + 2 + ... + 19 from the input, the state of nineteen ones */
    CHECK_VALUES("const x: f32[1,1,19] = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19} "
                 "const w: f32[1,2,19] = 1 const r: f32[1,2,2] = {0,1,1,0} "
                 "const h: f32[1,1,2] = {7,5} "
                 "y = RNN(x, w, r, , , h)[activations=[\"Relu\"]]",
                 195, 197);
}

TEST(shapes_follow_the_layout)
{
    CHECK_TYPE("input x: f32[?,2,3] const w: f32[2,16,3] = 0 const r: f32[2,16,4] = 0 "
               "y = LSTM(x, w, r)[direction=\"bidirectional\"]",
               "f32[?,2,2,4]");
    CHECK_TYPE("input x: f32[?,5,3] const w: f32[1,12,3] = 0 const r: f32[1,12,4] = 0 "
               "y = GRU(x, w, r)[layout=1]",
               "f32[?,5,1,4]");
}

TEST(what_does_not_fit_is_refused)
{
    CHECK_REFUSED(X3 "const b: f32[1,3] = 0 y = RNN(x, w, r, b)", "expected f32[1,2]");
    CHECK_REFUSED(X3 "y = GRU(x, w, r)", "expected f32[1,3,1]");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[direction=\"bidirectional\"]", "first axis must be 2");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[direction=\"sideways\"]", "expected forward, reverse");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[hidden_size=2]", "hidden_size is 2");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[activations=[\"Gelu\"]]", "'Gelu' is not known");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[activations=[\"ScaledTanh\"]]", "needs an activation_alpha");
    CHECK_REFUSED(X3 "y = RNN(x, w, r)[activations=[\"Relu\",\"Relu\"]]", "expected 1");
    CHECK_REFUSED("const x: f32[1,1,1] = 0 const w: f32[1,5000,1] = 0 "
                  "const r: f32[1,5000,5000] = 0 y = RNN(x, w, r)",
                  "up to 4096");
}
