/* A Softmax or LogSoftmax that only makes a graph output does not change which class is largest:
 * the integer network ends with the logits. Said in the log. */
#include <truq/edit.h>

static bool accept_node(const tq_node *node)
{
    const tq_value *y = tq_node_output(node, 0);
    return tq_value_is_output(y) && tq_value_n_consumers(y) == 0 &&
           tq_value_producer(tq_node_input(node, 0));
}

static const tq_pattern pattern = {
    .n_nodes = 1, .nodes = { { .op = "Softmax|LogSoftmax", .accept = accept_node } }
};

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y = tq_node_output(m->nodes[0], 0);
    tq_value_redirect_consumers(y, x);
    tq_graph_remove_node(graph, m->nodes[0]);
    return TQ_OK;
}

const tq_editor tq_editor_drop_last_softmax = {
    .entry = { .name = "drop-last-softmax", .brief = "the integer network ends with the logits" },
    .stage = TQ_EDIT_TRUE,
    .changes_interface = true,
    .before = "integerise",
    .pattern = &pattern,
    .apply = apply,
};
