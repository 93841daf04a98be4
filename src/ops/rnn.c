/* The plain recurrent layer (ONNX RNN-22; Elman, "Finding structure in time", 1990):
 *
 *   h_t = f(W x_t + Wb + R h_(t-1) + Rb)
 *
 * recurrent_internal.h says what the arrays are. */
#include "ops/recurrent_internal.h"

static void step(const tq_recurrent_step *s)
{
    tq_recurrent_add(s, 0, s->h, s->gates[0]);
    for (int64_t j = 0; j < s->n_hidden; j++)
        s->h[j] = tq_recurrent_clip_apply(s, 0, s->gates[0][j]);
}

static const tq_recurrent_cell cell = {
    .n_gates = 1, .n_functions = 1, .functions = { "Tanh" }, .step = step
};

static tq_status infer(tq_op_types *t)
{
    return tq_recurrent_infer(t, &cell);
}

static void reference(const tq_op_run *run)
{
    tq_recurrent_run(run, &cell);
}

const tq_op tq_op_rnn = {
    .entry = { .name = "RNN",
               .brief = "recurrent layer",
               .source = "Elman, Cognitive Science 14, 1990; ONNX RNN-22" },
    .inputs = { "X", "W", "R", "?B", "?sequence_lens", "?initial_h" },
    .outputs = { "?Y", "?Y_h" },
    .attrs = { TQ_RECURRENT_ATTRS },
    .infer = infer,
    .reference = reference,
    .macs = tq_recurrent_macs,
};
