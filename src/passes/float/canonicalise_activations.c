/* The spellings of ReLU that exporters use become Relu:
 *   Max(x, 0) -> Relu(x);  Clip(x, 0, none or inf) -> Relu(x). */
#include <truq/edit.h>
#include <truq/op.h>

#include <math.h>

/* The value of a constant scalar, `otherwise` where it is absent; false if it is not one number. */
static bool scalar_of(const tq_node *node, int i, double otherwise, double *out)
{
    const tq_value *value = tq_node_input(node, i);
    *out = otherwise;
    if (!value)
        return true;
    const tq_tensor *tensor = tq_value_tensor(value);
    if (!tensor || tq_tensor_count(tensor) != 1)
        return false;
    *out = tq_load_f64(tensor->data, tensor->type.dtype, 0);
    return true;
}

static bool is_zero(const tq_node *node, int i)
{
    double v;
    return tq_node_input(node, i) && scalar_of(node, i, 1, &v) && v == 0;
}

static bool is_relu(const tq_node *node)
{
    if (tq_node_is(node, "Max"))
        return tq_node_n_inputs(node) == 2 && (is_zero(node, 0) || is_zero(node, 1));
    double lo, hi;
    return scalar_of(node, 1, -INFINITY, &lo) && scalar_of(node, 2, INFINITY, &hi) && lo == 0 &&
           (hi == INFINITY || hi >= 3.4e38);
}

static tq_value *operand(const tq_node *node)
{
    return tq_node_input(node, is_zero(node, 0) ? 1 : 0);
}

/* A zero with more axes would give the result more axes than Relu does. */
static bool is_float(const tq_node *node)
{
    const tq_type *y = tq_value_type(tq_node_output(node, 0));
    return y->dtype == TQ_F32 && is_relu(node) && tq_type_equal(y, tq_value_type(operand(node)));
}

static const tq_pattern pattern = { .n_nodes = 1,
                                    .nodes = { { .op = "Max|Clip", .accept = is_float } } };

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *node = m->nodes[0];
    tq_value *x = operand(node), *y = tq_node_output(node, 0), *relu;
    TQ_TRY(tq_graph_emit(graph, node, "Relu", &x, 1, NULL, 0, &relu));
    const char *node_name = tq_node_name(node), *name = tq_value_name(y);
    tq_value_redirect_consumers(y, relu);
    tq_graph_remove_node(graph, node);
    tq_node_set_name(tq_value_producer(relu), node_name);
    tq_value_set_name(relu, name);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_canonicalise_activations = {
    .entry = { .name = "canonicalise-activations",
               .brief = "Max(x, 0) and Clip(x, 0, inf) become Relu" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .apply = apply,
};
