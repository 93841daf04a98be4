/* PyTorch's exporter keeps one of several equal parameters and makes the others from it by
 * Identity: the scale and the running variance of an untrained batch norm are both 1. They are
 * equal by chance: each becomes a constant of its own name again, so that weights find it and
 * training changes it alone. */
#include "passes/float/float.h"

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Identity" } } };

static bool accept(const tq_match *m)
{
    return tq_value_is_const(tq_node_input(m->nodes[0], 0)) &&
           !tq_value_is_output(tq_node_output(m->nodes[0], 0));
}

tq_status tq_separate_constant(tq_graph *graph, tq_node *identity)
{
    tq_value *x = tq_node_input(identity, 0), *y = tq_node_output(identity, 0), *own;
    const char *name = tq_arena_strdup(tq_graph_arena(graph), tq_value_name(y));
    TQ_TRY(tq_graph_add_constant(graph, NULL, tq_value_tensor(x), &own));
    tq_value_redirect_consumers(y, own);
    tq_graph_remove_node(graph, identity);
    tq_value_set_name(own, name);
    return TQ_OK;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    return tq_separate_constant(graph, m->nodes[0]);
}

const tq_editor tq_editor_separate_constants = {
    .entry = { .name = "separate-constants",
               .brief = "an Identity of a constant becomes a constant of its own" },
    .stage = TQ_EDIT_CANONICALISE,
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
