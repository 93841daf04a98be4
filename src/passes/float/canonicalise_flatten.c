/* x.view(x.size(0), -1) and its relatives become Flatten(axis=1): a Reshape to [batch, rest],
 * whatever arithmetic computed the shape. */
#include <truq/edit.h>
#include <truq/op.h>

static int64_t element(const tq_tensor *tensor, int64_t i)
{
    return tq_load_i64(tensor->data, tensor->type.dtype, i);
}

static bool accept_node(const tq_node *node)
{
    const tq_type *x = tq_value_type(tq_node_input(node, 0));
    const tq_tensor *shape = tq_value_known(tq_node_input(node, 1));
    if (x->rank < 2 || !shape || tq_tensor_count(shape) != 2)
        return false;
    const int64_t rows = element(shape, 0), columns = element(shape, 1);
    const int64_t inner = tq_type_count_from(x, 1);
    /* A size that is not known is the batch's only if no other axis has one. */
    const bool is_batch = rows == TQ_VALUE_ANY && x->dims[0] == TQ_DIM_ANY && inner > 0;
    const bool keeps_batch = (rows == 0 && !tq_attr_int(tq_node_attrs(node), "allowzero")) ||
                             is_batch || (rows > 0 && rows == x->dims[0]);
    if (keeps_batch)
        return columns == -1 || (inner > 0 && columns == inner);
    return rows == -1 && inner > 0 && columns == inner;
}

static const tq_pattern pattern = { .n_nodes = 1,
                                    .nodes = { { .op = "Reshape", .accept = accept_node } } };

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *node = m->nodes[0];
    tq_value *x = tq_node_input(node, 0), *y = tq_node_output(node, 0), *flat;
    TQ_TRY(
        tq_graph_emit(graph, node, "Flatten", &x, 1, (tq_attr[]){ TQ_INT("axis", 1) }, 1, &flat));
    const char *node_name = tq_node_name(node), *name = tq_value_name(y);
    tq_value_redirect_consumers(y, flat);
    tq_graph_remove_node(graph, node);
    tq_graph_sweep(graph);
    tq_node_set_name(tq_value_producer(flat), node_name);
    tq_value_set_name(flat, name);
    return TQ_OK;
}

const tq_editor tq_editor_canonicalise_flatten = {
    .entry = { .name = "canonicalise-flatten",
               .brief = "a Reshape to [batch, rest] becomes Flatten" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .apply = apply,
};
