/* FakeQuantize(weight) -> Transpose: the constant is transposed and the axis of its scales moved,
 * so that the linear operator behind finds them where it looks for them. Exact. */
#include "passes/lift/lift.h"

enum { FAKE, TRANSPOSE };

static bool is_weight(const tq_node *node)
{
    if (!tq_lift_wanted(tq_node_graph(node)))
        return false;
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i) && !tq_node_is_const_from(node, i))
            return false;
    return tq_value_n_consumers(tq_node_input(node, 0)) == 1;
}

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = { [FAKE] = { .op = "FakeQuantize", .sole_consumer = true, .accept = is_weight },
               [TRANSPOSE] = { .op = "Transpose", .inputs = { TQ_FROM(FAKE) } } },
};

/* Where axis `axis` of x is after the transposition; without `perm` the order is reversed. */
static int moved_axis(const tq_node *transpose, int axis)
{
    int n;
    const int64_t *perm = tq_attr_ints(tq_node_attrs(transpose), "perm", &n);
    const int rank = tq_value_type(tq_node_input(transpose, 0))->rank;
    for (int d = 0; d < n && axis >= 0; d++)
        if (perm[d] == axis)
            return d;
    return axis < 0 ? -1 : rank - 1 - axis;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *fake = m->nodes[FAKE], *transpose = m->nodes[TRANSPOSE];
    tq_value *weight = tq_node_input(fake, 0), *y = tq_node_output(transpose, 0);
    const tq_tensor *x = tq_value_tensor(weight);
    tq_tensor turned = { 0 };
    TQ_TRY(tq_op_evaluate(tq_graph_registry(graph), tq_node_op(transpose), tq_node_attrs(transpose),
                          &x, 1, &turned, 1));
    tq_value_set_tensor(weight, &turned);
    tq_tensor_reset(&turned);
    const int axis = moved_axis(transpose, (int)tq_attr_int(tq_node_attrs(fake), "axis"));
    tq_node_set_attr(fake, &TQ_INT("axis", axis));
    tq_value_redirect_consumers(y, tq_node_output(fake, 0));
    tq_graph_remove_node(graph, transpose);
    return tq_node_infer(fake);
}

const tq_editor tq_editor_lift_transposed_weights = {
    .entry = { .name = "lift-transposed-weights",
               .brief = "a transposition of a quantised weight goes into the weight" },
    .stage = TQ_EDIT_CANONICALISE,
    .after = "lift-qdq",
    .by_name = true,
    .pattern = &pattern,
    .apply = apply,
};
