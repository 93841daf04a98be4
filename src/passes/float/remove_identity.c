/* Identity does nothing: its consumers read what it read, of a constant a copy (see
 * separate_constants.c). Kept only where it separates a graph output from a graph input, a constant
 * or another output, which ONNX wants. */
#include "passes/float/float.h"

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Identity" } } };

static bool accept(const tq_match *m)
{
    const tq_value *x = tq_node_input(m->nodes[0], 0), *y = tq_node_output(m->nodes[0], 0);
    return !tq_value_is_output(y) || (tq_value_producer(x) && !tq_value_is_output(x));
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y = tq_node_output(m->nodes[0], 0);
    if (tq_value_is_const(x))
        return tq_separate_constant(graph, m->nodes[0]);
    const bool names_output = tq_value_is_output(y);
    const char *name = tq_value_name(y);
    tq_value_redirect_consumers(y, x);
    tq_graph_remove_node(graph, m->nodes[0]);
    if (names_output) /* outputs keep their names: they are the network's interface */
        tq_value_set_name(x, name);
    return TQ_OK;
}

const tq_editor tq_editor_remove_identity = {
    .entry = { .name = "remove-identity", .brief = "drops operators that only pass on" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
