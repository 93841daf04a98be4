/* "freeze-bounds:START,EVERY": from step START on, every EVERY steps the bound of one quantiser is
 * frozen for good: of those at rest, the one with the smallest gradient. Bounds near the edge of
 * two power-of-two scales jump between them at every step and make all layers behind them learn
 * for two networks in turn; one after the other they come to rest.
 *
 *   gradient    mean of |d loss / d bound| over elements and over the steps since the last choice
 *   at rest     ceil(log2(scale)) is the same for the bound and for its moving average (which
 *               starts at the bound and keeps DECAY of itself at each step; 0.9999), all channels
 *
 * Source: Jain et al., arXiv:1903.08066, appendix (Graffitist), there of the threshold itself. */
#include "train/train_internal.h"

#include <math.h>

/** START, EVERY, DECAY. */
typedef struct settings {
    double start, every, decay;
} settings;

static tq_status read_settings(const tq_control *c, settings *out)
{
    double numbers[3] = { 0.0, 0.0, 0.9999 };
    TQ_TRY(tq_control_numbers(c, 2, 3, numbers, NULL));
    *out = (settings){ numbers[0], numbers[1], numbers[2] };
    if (!(out->start >= 0.0 && out->every >= 1.0 && floor(out->every) == out->every))
        return tq_fail(TQ_ERR_VALUE, "expected START of 0 or more and a whole EVERY of 1 or more");
    if (!(out->decay >= 0.0 && out->decay < 1.0))
        return tq_fail(TQ_ERR_VALUE, "decay is %g; expected 0 to below 1", out->decay);
    return TQ_OK;
}

/* ---- state: steps in the window; of each bound the sum of its gradients, its averages -------- */

static tq_status prepare(const tq_control *c, int *out_n_state)
{
    settings s;
    int64_t n = 1;
    for (int i = 0; i < c->n_parameters; i++)
        n += c->parameters[i].role == TQ_ROLE_BOUND ? 1 + c->parameters[i].n : 0;
    if (n > INT32_MAX)
        return tq_fail(TQ_ERR_VALUE, "the bounds have %lld elements", (long long)n);
    *out_n_state = (int)n;
    return read_settings(c, &s);
}

/** The next bound from parameter *i on, with its state; NULL: no more. */
static const tq_parameter *next_bound(const tq_control *c, int *i, double **state)
{
    if (*i < 0)
        *state = c->state + 1;
    else if (c->parameters[*i].role == TQ_ROLE_BOUND)
        *state += 1 + c->parameters[*i].n;
    while (++*i < c->n_parameters)
        if (c->parameters[*i].role == TQ_ROLE_BOUND)
            return &c->parameters[*i];
    return NULL;
}

static tq_status start(tq_control *c)
{
    double *state = NULL;
    int i = -1;
    for (const tq_parameter *p; (p = next_bound(c, &i, &state));)
        for (int64_t k = 0; k < p->n; k++)
            state[1 + k] = (double)p->data[k];
    return TQ_OK;
}

/* ---- is it at rest? -------------------------------------------------------------------------- */

/** The FakeQuantize that reads a bound, and at which input. */
static const tq_node *reader_of(const tq_graph *graph, const char *name, int *out_input)
{
    const tq_value *value = tq_graph_find_value(graph, name);
    for (int k = 0; value && k < tq_value_n_consumers(value); k++) {
        const tq_node *node = tq_value_consumer(value, k);
        for (int i = 1; tq_node_is(node, "FakeQuantize") && i < tq_node_n_inputs(node); i++)
            if (tq_node_input(node, i) == value) {
                *out_input = i;
                return node;
            }
    }
    return NULL;
}

/** Exponent of the scale of a channel, were the bound at `input` worth `bound`. */
static double exponent(const tq_node *node, const tq_quantizer *quantizer, int input,
                       int64_t channel, double bound)
{
    float params[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    const tq_range range = tq_fake_range(tq_node_attrs(node));
    for (int k = 0; k < quantizer->n_params; k++) {
        const tq_tensor *tensor = tq_value_tensor(tq_node_input(node, 1 + k));
        const int64_t at = tensor && tq_tensor_count(tensor) > 1 ? channel : 0;
        if (tensor)
            params[k] = (float)tq_load_f64(tensor->data, tensor->type.dtype, at);
    }
    params[input - 1] = (float)bound;
    tq_grid grid;
    tq_quantizer_grid(quantizer, &range, TQ_ROUND_HALF_UP, params, &grid);
    return ceil(log2((double)grid.scale));
}

static tq_status is_at_rest(const tq_control *c, const tq_parameter *p, const double *averages,
                            bool *out)
{
    int input = 0;
    const tq_node *node = reader_of(c->graph, p->name, &input);
    const tq_quantizer *quantizer;
    *out = node != NULL;
    if (!node)
        return TQ_OK;
    TQ_TRY(tq_fake_quantizer(node, &quantizer));
    for (int64_t k = 0; k < p->n && *out; k++)
        *out = exponent(node, quantizer, input, k, (double)p->data[k]) ==
               exponent(node, quantizer, input, k, averages[k]);
    return TQ_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void observe(tq_control *c, double decay)
{
    double *state = NULL;
    int i = -1;
    c->state[0]++;
    for (const tq_parameter *p; (p = next_bound(c, &i, &state));) {
        double sum = 0.0;
        for (int64_t k = 0; k < p->n; k++) {
            sum += fabs((double)p->grad[k]);
            state[1 + k] = decay * state[1 + k] + (1.0 - decay) * (double)p->data[k];
        }
        state[0] += sum / (double)p->n;
    }
}

/** Freezes the bound with the smallest gradient of those at rest; a new window begins. */
static tq_status choose(tq_control *c)
{
    double *state = NULL, least = INFINITY;
    int i = -1, chosen = -1;
    for (const tq_parameter *p; (p = next_bound(c, &i, &state));) {
        bool at_rest = false;
        if (!p->frozen && state[0] / c->state[0] < least)
            TQ_TRY(is_at_rest(c, p, state + 1, &at_rest));
        if (at_rest) {
            least = state[0] / c->state[0];
            chosen = i;
        }
        state[0] = 0.0;
    }
    c->state[0] = 0.0;
    if (chosen >= 0)
        c->parameters[chosen].frozen = true;
    return TQ_OK;
}

static tq_status after_step(tq_control *c)
{
    settings s;
    TQ_TRY(read_settings(c, &s));
    observe(c, s.decay);
    const double since = (double)c->step - s.start;
    return since >= 0.0 && fmod(since, s.every) == 0.0 ? choose(c) : TQ_OK;
}

const tq_controller tq_controller_freeze_bounds = {
    .entry = { .name = "freeze-bounds",
               .brief = "'freeze-bounds:START,EVERY': one bound at rest every EVERY steps",
               .source = "arXiv:1903.08066" },
    .prepare = prepare,
    .start = start,
    .after_step = after_step,
};
