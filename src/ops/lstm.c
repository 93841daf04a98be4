/* Long short-term memory (ONNX LSTM-22; Gers and Schmidhuber, "Recurrent nets that time and count",
 * 2000). Gates in the order i, o, f, c; peepholes P in the order i, o, f, 0 when absent:
 *
 *   i = f(Wi x + Wbi + Ri h + Rbi + Pi * c)
 *   f = f(Wf x + Wbf + Rf h + Rbf + Pf * c),    or 1 - i with input_forget
 *   c' = f * c + i * g(Wc x + Wbc + Rc h + Rbc)
 *   o = f(Wo x + Wbo + Ro h + Rbo + Po * c')
 *   h' = o * h(c')
 *
 * The attribute clip bounds what f and g read; h reads the cell as it is (so does ONNX Runtime).
 * recurrent_internal.h says what the arrays are. */
#include "ops/recurrent_internal.h"

enum { I, O, F, C, N_GATES };
enum { GATE, CELL, OUTPUT, N_FUNCTIONS };

/** A gate with its peephole on `c`. */
static double open_gate(const tq_recurrent_step *s, int gate, int64_t j, double c)
{
    const tq_op_run *run = s->run;
    double v = s->gates[gate][j];
    if (tq_run_has(run, TQ_RECURRENT_P))
        v += c * tq_load_f64(run->in[TQ_RECURRENT_P], run->in_types[TQ_RECURRENT_P]->dtype,
                             (s->direction * 3 + gate) * s->n_hidden + j);
    return tq_recurrent_clip_apply(s, GATE, v);
}

static void step(const tq_recurrent_step *s)
{
    const bool coupled = tq_attr_int(s->run->attrs, "input_forget") != 0;
    for (int gate = I; gate < N_GATES; gate++)
        tq_recurrent_add(s, gate, s->h, s->gates[gate]);
    for (int64_t j = 0; j < s->n_hidden; j++) {
        const double before = s->c[j], in = open_gate(s, I, j, before);
        const double forget = coupled ? 1.0 - in : open_gate(s, F, j, before);
        const double c = forget * before + in * tq_recurrent_clip_apply(s, CELL, s->gates[C][j]);
        s->c[j] = c;
        s->h[j] = open_gate(s, O, j, c) * tq_recurrent_apply(s, OUTPUT, c);
    }
}

static const tq_recurrent_cell cell = { .n_gates = N_GATES,
                                        .n_functions = N_FUNCTIONS,
                                        .functions = { "Sigmoid", "Tanh", "Tanh" },
                                        .step = step };

static tq_status infer(tq_op_types *t)
{
    return tq_recurrent_infer(t, &cell);
}

static void reference(const tq_op_run *run)
{
    tq_recurrent_run(run, &cell);
}

const tq_op tq_op_lstm = {
    .entry = { .name = "LSTM",
               .brief = "long short-term memory",
               .source = "Hochreiter and Schmidhuber, Neural Computation 9, 1997; ONNX LSTM-22" },
    .inputs = { "X", "W", "R", "?B", "?sequence_lens", "?initial_h", "?initial_c", "?P" },
    .outputs = { "?Y", "?Y_h", "?Y_c" },
    .attrs = { TQ_RECURRENT_ATTRS, TQ_INT("input_forget", 0) },
    .infer = infer,
    .reference = reference,
    .macs = tq_recurrent_macs,
};
