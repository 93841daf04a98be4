/* Gated recurrent units (ONNX GRU-22, arXiv:1406.1078). Gates in the order z, r, h:
 *
 *   z = f(Wz x + Wbz + Rz h + Rbz)
 *   r = f(Wr x + Wbr + Rr h + Rbr)
 *   h~ = g(Wh x + Wbh + Rh (r * h) + Rbh)       linear_before_reset 0
 *   h~ = g(Wh x + Wbh + r * (Rh h + Rbh))       linear_before_reset 1, as PyTorch and cuDNN have it
 *   h' = (1 - z) * h~ + z * h
 *
 * recurrent_internal.h says what the arrays are. */
#include "ops/recurrent_internal.h"

enum { Z, RESET, HIDDEN, N_GATES };
enum { F, G, N_FUNCTIONS };

/** What h adds to the third gate. */
static void add_hidden(const tq_recurrent_step *s)
{
    const bool linear_first = tq_attr_int(s->run->attrs, "linear_before_reset") != 0;
    const double *r = s->gates[RESET];
    for (int64_t j = 0; j < s->n_hidden; j++)
        s->work[j] = linear_first ? 0.0 : r[j] * s->h[j];
    if (!linear_first) {
        tq_recurrent_add(s, HIDDEN, s->work, s->gates[HIDDEN]);
        return;
    }
    tq_recurrent_add(s, HIDDEN, s->h, s->work);
    for (int64_t j = 0; j < s->n_hidden; j++)
        s->gates[HIDDEN][j] += r[j] * s->work[j];
}

static void step(const tq_recurrent_step *s)
{
    for (int gate = Z; gate <= RESET; gate++) {
        tq_recurrent_add(s, gate, s->h, s->gates[gate]);
        for (int64_t j = 0; j < s->n_hidden; j++)
            s->gates[gate][j] = tq_recurrent_clip_apply(s, F, s->gates[gate][j]);
    }
    add_hidden(s);
    for (int64_t j = 0; j < s->n_hidden; j++) {
        const double z = s->gates[Z][j];
        s->h[j] = (1.0 - z) * tq_recurrent_clip_apply(s, G, s->gates[HIDDEN][j]) + z * s->h[j];
    }
}

static const tq_recurrent_cell cell = {
    .n_gates = N_GATES, .n_functions = N_FUNCTIONS, .functions = { "Sigmoid", "Tanh" }, .step = step
};

static tq_status infer(tq_op_types *t)
{
    return tq_recurrent_infer(t, &cell);
}

static void reference(const tq_op_run *run)
{
    tq_recurrent_run(run, &cell);
}

const tq_op tq_op_gru = {
    .entry = { .name = "GRU",
               .brief = "gated recurrent layer",
               .source = "arXiv:1406.1078; ONNX GRU-22" },
    .inputs = { "X", "W", "R", "?B", "?sequence_lens", "?initial_h" },
    .outputs = { "?Y", "?Y_h" },
    .attrs = { TQ_RECURRENT_ATTRS, TQ_INT("linear_before_reset", 0) },
    .infer = infer,
    .reference = reference,
    .macs = tq_recurrent_macs,
};
