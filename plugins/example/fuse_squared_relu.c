/* Relu -> Mul of the result with itself becomes SquaredRelu, so that one quantiser stands behind it
 * and not two. Its anchors place it between two editors of truq: after the spellings of Relu were
 * made one, before weights and activations get quantisers. */
#include "example.h"

enum { RELU, MUL };

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [RELU] = { .op = "Relu" },
        [MUL] = { .op = "Mul", .inputs = { TQ_FROM(RELU), TQ_FROM(RELU) } },
    },
};

static bool accept(const tq_match *m)
{
    const tq_value *r = tq_node_output(m->nodes[RELU], 0);
    for (int i = 0; i < tq_value_n_consumers(r); i++)
        if (tq_value_consumer(r, i) != m->nodes[MUL])
            return false;
    return !tq_value_is_output(r);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *relu = m->nodes[RELU], *mul = m->nodes[MUL];
    tq_value *x = tq_node_input(relu, 0), *y;
    const char *name = tq_value_name(tq_node_output(mul, 0));
    TQ_TRY(tq_graph_emit(graph, mul, "SquaredRelu", &x, 1, NULL, 0, &y));
    tq_value_redirect_consumers(tq_node_output(mul, 0), y);
    tq_graph_remove_node(graph, mul);
    tq_graph_remove_node(graph, relu);
    tq_value_set_name(y, name); /* free now; an output of the network must keep its name */
    return TQ_OK;
}

const tq_editor example_fuse_squared_relu = {
    .entry = { .name = "fuse-squared-relu", .brief = "Relu times itself becomes SquaredRelu" },
    .stage = TQ_EDIT_CANONICALISE,
    .after = "canonicalise-flatten",
    .before = "quantize-weights",
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
