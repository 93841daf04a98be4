/* Shapes that exporters compute (Shape -> Gather -> Div -> Concat -> Reshape) become constants
 * where inference knows them: any integer operand that is known entirely, and the target of a
 * Reshape of which one element is not known (the batch), which becomes -1. */
#include <truq/edit.h>
#include <truq/op.h>

enum { MAX_ELEMENTS = 64 };

static int64_t element(const tq_tensor *tensor, int64_t i)
{
    return tq_load_i64(tensor->data, tensor->type.dtype, i);
}

/** How many elements are not known, and how many are 0 or -1 (which Reshape reads otherwise). */
static int count_unknown(const tq_tensor *known, int *out_special)
{
    int n_unknown = 0;
    *out_special = 0;
    for (int64_t i = 0; i < tq_tensor_count(known); i++) {
        const int64_t v = element(known, i);
        n_unknown += v == TQ_VALUE_ANY;
        *out_special += v == 0 || v == -1;
    }
    return n_unknown;
}

/** What input i of the node is known to hold, where it can be a constant; else NULL. */
static const tq_tensor *known_input(const tq_node *node, int i)
{
    const tq_value *value = tq_node_input(node, i);
    const tq_tensor *known = value ? tq_value_known(value) : NULL;
    if (!known || tq_value_is_const(value) || tq_value_is_input(value) ||
        tq_tensor_count(known) > MAX_ELEMENTS || !tq_dtype_is_integer(known->type.dtype))
        return NULL;
    int n_special;
    const int n_unknown = count_unknown(known, &n_special);
    const bool target = i == 1 && tq_node_is(node, "Reshape");
    return n_unknown == 0 || (target && n_unknown == 1 && n_special == 0) ? known : NULL;
}

/** A node that computes more than what is known anyway. */
static bool accept_node(const tq_node *node)
{
    const tq_value *y = tq_node_output(node, 0);
    const tq_tensor *known = tq_value_known(y);
    int n_special;
    if (known && tq_dtype_is_integer(known->type.dtype) && !tq_value_is_output(y) &&
        count_unknown(known, &n_special) == 0)
        return false; /* its readers will not need it */
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (known_input(node, i))
            return true;
    return false;
}

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .accept = accept_node } } };

static tq_status replace(tq_graph *graph, tq_node *node, int i, const tq_tensor *known)
{
    tq_tensor tensor;
    tq_value *constant;
    TQ_TRY(tq_tensor_copy(known, &tensor));
    for (int64_t k = 0; k < tq_tensor_count(&tensor); k++)
        if (element(&tensor, k) == TQ_VALUE_ANY)
            tq_store_i64(tensor.data, tensor.type.dtype, k, -1);
    const tq_status status =
        tq_graph_add_constant(graph, tq_value_name(tq_node_input(node, i)), &tensor, &constant);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_node_set_input(node, i, constant);
    return TQ_OK;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    for (int i = 0; i < tq_node_n_inputs(m->nodes[0]); i++) {
        const tq_tensor *known = known_input(m->nodes[0], i);
        if (known)
            TQ_TRY(replace(graph, m->nodes[0], i, known));
    }
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_canonicalise_shapes = {
    .entry = { .name = "canonicalise-shapes",
               .brief = "computed shapes that are known are constants" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .apply = apply,
};
