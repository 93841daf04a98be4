/* A bias before a batch norm only moves its mean: mean' = mean - bias, and the linear operator has
 * none. Exact up to float rounding. QuantLib's LinearOpBNBiasFolder. */
#include <truq/edit.h>
#include <truq/op.h>

enum { LINEAR, NORM };

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [LINEAR] = { .op = "Conv|Gemm|ConvTranspose", .sole_consumer = true },
        [NORM] = { .op = "BatchNormalization", .inputs = { TQ_FROM(LINEAR) } },
    },
};

static bool accept(const tq_match *m)
{
    const tq_node *linear = m->nodes[LINEAR], *norm = m->nodes[NORM];
    if (!tq_node_is_const_from(linear, 2) || !tq_node_is_const_from(norm, 3))
        return false;
    if (tq_node_is(linear, "Gemm") && tq_attr_float(tq_node_attrs(linear), "beta") != 1.0f)
        return false;
    const tq_tensor *bias = tq_value_tensor(tq_node_input(linear, 2));
    const tq_tensor *mean = tq_value_tensor(tq_node_input(norm, 3));
    return bias->type.dtype == TQ_F32 && tq_tensor_count(bias) == tq_tensor_count(mean) &&
           bias->type.rank == 1;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *linear = m->nodes[LINEAR], *norm = m->nodes[NORM];
    const tq_tensor *bias = tq_value_tensor(tq_node_input(linear, 2));
    tq_value *mean = tq_node_input(norm, 3), *moved;
    tq_tensor tensor;
    TQ_TRY(tq_tensor_copy(tq_value_tensor(mean), &tensor));
    for (int64_t c = 0; c < tq_tensor_count(&tensor); c++)
        ((float *)tensor.data)[c] -= ((const float *)bias->data)[c];
    const tq_status status = tq_graph_add_constant(graph, tq_value_name(mean), &tensor, &moved);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_node_set_input(norm, 3, moved);
    tq_node_set_input(linear, 2, NULL);
    const char *name = tq_value_name(mean);
    tq_graph_sweep(graph);
    if (!tq_graph_find_value(graph, name))
        tq_value_set_name(moved, name);
    return TQ_OK;
}

const tq_editor tq_editor_linear_bias_into_batchnorm = {
    .entry = { .name = "linear-bias-into-bn",
               .brief = "a bias before a batch norm moves into its mean" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
