/* A gradient of one's own. Before differentiation every Relu of the training graph becomes
 * OpenRelu, which computes the same and lets a tenth of the gradient through where it was 0:
 *
 *   y = max(x, 0),      dx = dy where x > 0, else dy / 10
 *
 * so that a channel that died can come back. The network itself keeps its Relus: pre-grad editors
 * see the training graph alone, and what is trained, saved and integerised knows nothing of them.
 * The gradient is made of two operators that truq has, so that nothing new has to run backwards. */
#include <truq/edit.h>
#include <truq/op.h>
#include <truq/plugin.h>

enum { X };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, 1u << TQ_F32));
    return tq_op_infer_same(t);
}

static void reference(const tq_op_run *run)
{
    const float *x = run->in[X];
    float *y = run->out[0];
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

/** LeakyRelu's gradient at the slope 1/10. */
static tq_status gradient(tq_grad *g)
{
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){ .op = "LeakyReluGrad",
                         .inputs = (tq_value *[]){ tq_grad_input(g, X), tq_grad_of_output(g, 0) },
                         .n_inputs = 2,
                         .attrs = &TQ_FLOAT("alpha", 0.1f),
                         .n_attrs = 1 },
        &node));
    tq_grad_set(g, X, tq_node_output(node, 0));
    return TQ_OK;
}

static const tq_op open_relu = {
    .entry = { .name = "OpenRelu", .brief = "max(x, 0) with a gradient everywhere" },
    .domain = "example",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Relu" } } };

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *relu = m->nodes[0];
    tq_value *x = tq_node_input(relu, 0), *old = tq_node_output(relu, 0), *y;
    const char *name = tq_value_name(old);
    TQ_TRY(tq_graph_emit(graph, relu, "OpenRelu", &x, 1, NULL, 0, &y));
    tq_value_redirect_consumers(old, y);
    tq_graph_remove_node(graph, relu);
    tq_value_set_name(y, name);
    return TQ_OK;
}

static const tq_editor open_relus = {
    .entry = { .name = "open-relus", .brief = "Relus let a tenth of the gradient through" },
    .stage = TQ_EDIT_PRE_GRAD,
    .pattern = &pattern,
    .apply = apply,
};

const tq_plugin tq_plugin_main = {
    .abi_version = TQ_ABI_VERSION,
    .name = "gradient",
    .ops = { &open_relu },
    .editors = { &open_relus },
};
