/* A node that reads only constants, or nothing, is computed once, now; the constant takes the name
 * of its output. Quantisers of weights are left alone: what they read is trained, and
 * pairs of QuantizeLinear and DequantizeLinear say what grid it is on. */
#include <truq/edit.h>
#include <truq/op.h>

#include <string.h>

enum { MAX_BYTES = 64 << 20 };

static bool accept_node(const tq_node *node)
{
    const tq_op *op = tq_node_op(node);
    const bool ours = op->domain && strcmp(op->domain, "truq") == 0;
    const bool pair = tq_node_is(node, "QuantizeLinear") || tq_node_is(node, "DequantizeLinear");
    if (ours || pair || !op->reference || (op->flags & TQ_OP_RANDOM))
        return false;
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i) && !tq_value_is_const(tq_node_input(node, i)))
            return false;
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const tq_type *type = tq_value_type(tq_node_output(node, i));
        size_t size;
        const tq_status status = tq_type_is_known(type) ? tq_type_size(type, &size) : TQ_OK;
        if (!tq_type_is_known(type) || status || size > MAX_BYTES) {
            tq_status_drop(status);
            return false;
        }
    }
    return true;
}

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .accept = accept_node } } };

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *node = m->nodes[0];
    tq_tensor outputs[TQ_OP_MAX_NAMES] = { 0 };
    tq_value *constants[TQ_OP_MAX_NAMES];
    const char *names[TQ_OP_MAX_NAMES];
    TQ_TRY(tq_node_evaluate(node, outputs));
    const int n = tq_node_n_outputs(node);
    tq_status status = TQ_OK;
    for (int i = 0; i < n; i++) {
        names[i] = tq_value_name(tq_node_output(node, i));
        if (!status)
            status = tq_graph_add_constant(graph, names[i], &outputs[i], &constants[i]);
        if (!status)
            tq_value_redirect_consumers(tq_node_output(node, i), constants[i]);
        tq_tensor_reset(&outputs[i]);
    }
    TQ_TRY(status);
    tq_graph_remove_node(graph, node);
    for (int i = 0; i < n; i++)
        tq_value_set_name(constants[i], names[i]);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_fold_constants = {
    .entry = { .name = "fold-constants", .brief = "computes what depends on constants only" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .apply = apply,
};
