/* A Softmax or LogSoftmax that only makes a graph output, itself or behind a quantiser, does not
 * change which class is largest: the integer network ends with the logits. Said in the log. */
#include <truq/edit.h>

static bool only_output(const tq_value *y)
{
    return tq_value_is_output(y) && tq_value_n_consumers(y) == 0;
}

/* The quantiser of the probabilities, if they have one. */
static tq_node *quantizer_of(const tq_node *softmax)
{
    const tq_value *y = tq_node_output(softmax, 0);
    if (tq_value_is_output(y) || tq_value_n_consumers(y) != 1)
        return NULL;
    tq_node *fake = tq_value_consumer(y, 0);
    return tq_node_is(fake, "FakeQuantize") && tq_node_input(fake, 0) == y ? fake : NULL;
}

static bool accept_node(const tq_node *node)
{
    const tq_node *fake = quantizer_of(node);
    return only_output(tq_node_output(fake ? fake : node, 0)) &&
           tq_value_producer(tq_node_input(node, 0));
}

static const tq_pattern pattern = {
    .n_nodes = 1, .nodes = { { .op = "Softmax|LogSoftmax", .accept = accept_node } }
};

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *fake = quantizer_of(m->nodes[0]);
    tq_value *x = tq_node_input(m->nodes[0], 0);
    tq_value_redirect_consumers(tq_node_output(fake ? fake : m->nodes[0], 0), x);
    if (fake)
        tq_graph_remove_node(graph, fake);
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
