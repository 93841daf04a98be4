/* Batch normalisation that learns its statistics: BatchNormalization(x, scale, bias, mean, var)
 * becomes BatchNormTrain, which normalises by the statistics of the batch and also gives the new
 * running ones,
 *
 *   new_mean = momentum * mean + (1 - momentum) * batch mean
 *   new_var  = momentum * var  + (1 - momentum) * unbiased batch variance
 *
 * Whoever runs the graph writes these back: metadata "train.updates" of each names its constant. A
 * graph with metadata "train.bn" = "freeze" keeps its batch norms. */
#include <truq/edit.h>

#include <string.h>

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "BatchNormalization" } } };

enum { MEAN = 3, VAR = 4, N_INPUTS = 5, N_OUTPUTS = 5 };

static bool accept(const tq_match *m)
{
    const char *bn = tq_graph_meta(m->graph, "train.bn");
    return !(bn && strcmp(bn, "freeze") == 0) && tq_node_is_const_from(m->nodes[0], MEAN) &&
           tq_node_is_const_from(m->nodes[0], VAR);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *old = m->nodes[0], *node;
    tq_value *inputs[N_INPUTS];
    for (int i = 0; i < N_INPUTS; i++)
        inputs[i] = tq_node_input(old, i);
    const tq_attr attrs[] = {
        TQ_FLOAT("epsilon", tq_attr_float(tq_node_attrs(old), "epsilon")),
        TQ_FLOAT("momentum", tq_attr_float(tq_node_attrs(old), "momentum")),
    };
    TQ_TRY(tq_graph_add_node(graph,
                             &(tq_node_spec){ .op = "BatchNormTrain",
                                              .inputs = inputs,
                                              .n_inputs = N_INPUTS,
                                              .n_outputs = N_OUTPUTS,
                                              .attrs = attrs,
                                              .n_attrs = TQ_COUNT(attrs),
                                              .before = old },
                             &node));
    tq_value_set_meta(tq_node_output(node, 1), "train.updates", tq_value_name(inputs[MEAN]));
    tq_value_set_meta(tq_node_output(node, 2), "train.updates", tq_value_name(inputs[VAR]));
    tq_value_redirect_consumers(tq_node_output(old, 0), tq_node_output(node, 0));
    const char *name = tq_node_name(old);
    tq_graph_remove_node(graph, old);
    tq_node_set_name(node, name);
    return TQ_OK;
}

const tq_editor tq_editor_train_batchnorm = {
    .entry = { .name = "train-batchnorm",
               .brief = "batch norm by the statistics of the batch, running ones learned" },
    .stage = TQ_EDIT_GRAD,
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
