/* An editor that makes every convolution what an accelerator with a 16-bit accumulator computes,
 * with a quantiser of its own on each of weights, correlation, bias and sum:
 *
 *   sum = Q8(Q16(Conv(x, Q8(w))) + Q16(b))
 *
 * It runs at the end of fake-quantising, when weights and activations have their quantisers, on
 * what has a bias: batch norms must be folded before (`pipeline: f2f-folded`). It rewrites what is
 * differentiated: the gradient goes through all four quantisers. truq's own editor split-bias does
 * the same by a recipe; this one shows that nothing but <truq/...> is needed for it. */
#include <truq/edit.h>
#include <truq/op.h>
#include <truq/plugin.h>

#include <math.h>
#include <string.h>

enum { X, WEIGHT, BIAS };

typedef struct grid {
    const char *slot;
    int64_t q_min, n_levels;
} grid;

static const grid correlation_grid = { "correlation", -32768, 65536 };
static const grid bias_grid = { "bias", -32768, 65536 };
static const grid sum_grid = { "sum", -128, 256 };

/* Two parameters of pact that nobody has observed yet: 'truq calibrate' places them. */
static tq_status add_parameters(tq_graph *graph, const char *name, tq_value **out)
{
    static const char *const suffixes[] = { "clip_lo", "clip_hi" };
    const tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 1 });
    for (int i = 0; i < 2; i++) {
        tq_tensor unknown;
        TQ_TRY(tq_tensor_init_from(&unknown, &type, &(float){ NAN }));
        const tq_status status = tq_graph_add_constant(
            graph, tq_arena_printf(tq_graph_arena(graph), "%s.%s", name, suffixes[i]), &unknown,
            &out[i]);
        tq_tensor_reset(&unknown);
        TQ_TRY(status);
    }
    return TQ_OK;
}

static tq_status quantize(tq_graph *graph, tq_node *before, const char *name, const grid *g,
                          tq_value *x, tq_value **out)
{
    tq_value *inputs[3] = { x };
    TQ_TRY(add_parameters(graph, name, &inputs[1]));
    const tq_attr attrs[] = {
        TQ_STRING("quantizer", "pact"),
        TQ_STRING("slot", g->slot),
        TQ_INT("q_min", g->q_min),
        TQ_INT("n_levels", g->n_levels),
    };
    tq_node *node;
    TQ_TRY(tq_graph_add_node(
        graph,
        &(tq_node_spec){ .op = "FakeQuantize",
                         .name = tq_arena_printf(tq_graph_arena(graph), "%s.fq", name),
                         .inputs = inputs,
                         .n_inputs = 3,
                         .attrs = attrs,
                         .n_attrs = TQ_COUNT(attrs),
                         .before = before },
        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

/* The bias [C] as [C, 1, 1]. */
static tq_status shape_bias(tq_graph *graph, const tq_node *conv, tq_value **out)
{
    tq_tensor tensor = tq_tensor_share(tq_value_tensor(tq_node_input(conv, BIAS)));
    tensor.type.rank = tq_value_type(tq_node_output(conv, 0))->rank - 1;
    for (int d = 1; d < tensor.type.rank; d++)
        tensor.type.dims[d] = 1;
    const tq_status status = tq_graph_add_constant(
        graph, tq_arena_printf(tq_graph_arena(graph), "%s.bias", tq_node_name(conv)), &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Conv" } } };

/* The weight passes a quantiser already; a bias is there, a constant that it alone reads. */
static bool accept(const tq_match *m)
{
    const tq_node *conv = m->nodes[0], *weight = tq_value_producer(tq_node_input(conv, WEIGHT));
    return weight && tq_node_is(weight, "FakeQuantize") && tq_node_input(conv, BIAS) &&
           tq_node_is_const_from(conv, BIAS) &&
           tq_value_n_consumers(tq_node_input(conv, BIAS)) == 1;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *conv = m->nodes[0], *next = tq_node_next(conv);
    tq_value *y = tq_node_output(conv, 0), *parts[2], *sum;
    const char *name = tq_node_name(conv), *y_name = tq_value_name(y);
    tq_arena *arena = tq_graph_arena(graph);
    TQ_TRY(shape_bias(graph, conv, &parts[1]));
    tq_node_set_input(conv, BIAS, NULL);
    TQ_TRY(quantize(graph, next, tq_arena_printf(arena, "%s.correlation", name), &correlation_grid,
                    y, &parts[0]));
    TQ_TRY(quantize(graph, next, tq_arena_printf(arena, "%s.bias", name), &bias_grid, parts[1],
                    &parts[1]));
    TQ_TRY(tq_graph_emit(graph, next, "Add", parts, 2, NULL, 0, &sum));
    TQ_TRY(quantize(graph, next, tq_arena_printf(arena, "%s.sum", name), &sum_grid, sum, &sum));
    tq_value_redirect_consumers_but(y, sum, tq_value_producer(parts[0]));
    tq_value_set_name(y, tq_arena_printf(arena, "%s.correlation", name));
    tq_value_set_name(sum, y_name); /* an output of the network must keep its name */
    return TQ_OK;
}

static const tq_editor split_correlation = {
    .entry = { .name = "split-correlation",
               .brief = "Conv as Q8(Q16(correlation) + Q16(bias))",
               .source = "arXiv:1903.08066" },
    .stage = TQ_EDIT_FAKE,
    .after = "interpose-quantizers",
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};

const tq_plugin tq_plugin_main = {
    .abi_version = TQ_ABI_VERSION,
    .name = "corr_bias",
    .editors = { &split_correlation },
};
