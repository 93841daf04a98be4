/* Conv -> BatchNormalization becomes Conv: with k = gamma / sqrt(var + epsilon) per output channel,
 * weight' = k * weight and bias' = k * (bias - mean) + beta. Exact up to float rounding. */
#include <truq/edit.h>
#include <truq/op.h>

#include <math.h>

enum { CONV, NORM };

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [CONV] = { .op = "Conv", .sole_consumer = true },
        [NORM] = { .op = "BatchNormalization", .inputs = { TQ_FROM(CONV) } },
    },
};

static bool accept(const tq_match *m)
{
    for (int i = 1; i < 5; i++)
        if (!tq_node_is_const_from(m->nodes[NORM], i))
            return false;
    const tq_node *conv = m->nodes[CONV];
    return tq_node_is_const_from(conv, 1) &&
           (!tq_node_input(conv, 2) || tq_node_is_const_from(conv, 2));
}

static const float *floats(const tq_node *node, int i)
{
    const tq_value *value = tq_node_input(node, i);
    return value ? tq_value_tensor(value)->data : NULL;
}

/* New constants for weight and bias; the caller resets both. */
static tq_status fold(const tq_node *conv, const tq_node *norm, tq_tensor *weight, tq_tensor *bias)
{
    const float *gamma = floats(norm, 1), *beta = floats(norm, 2), *mean = floats(norm, 3);
    const float *var = floats(norm, 4), *old_bias = floats(conv, 2);
    const double epsilon = (double)tq_attr_float(tq_node_attrs(norm), "epsilon");
    TQ_TRY(tq_tensor_copy(tq_value_tensor(tq_node_input(conv, 1)), weight));
    const int64_t n_channels = weight->type.dims[0];
    const int64_t n_inner = tq_type_count_from(&weight->type, 1);
    TQ_TRY(tq_tensor_init(bias, &(tq_type){ .dtype = TQ_F32, .rank = 1, .dims = { n_channels } }));
    for (int64_t oc = 0; oc < n_channels; oc++) {
        const double k = (double)gamma[oc] / sqrt((double)var[oc] + epsilon);
        for (int64_t i = 0; i < n_inner; i++) {
            float *w = (float *)weight->data + oc * n_inner + i;
            *w = (float)(k * (double)*w);
        }
        const double b = old_bias ? (double)old_bias[oc] : 0.0;
        ((float *)bias->data)[oc] = (float)(k * (b - (double)mean[oc]) + (double)beta[oc]);
    }
    return TQ_OK;
}

static tq_status set_constant(tq_graph *graph, tq_node *node, int i, const char *name,
                              const tq_tensor *tensor)
{
    tq_value *value;
    TQ_TRY(tq_graph_add_constant(graph, name, tensor, &value));
    tq_node_set_input(node, i, value);
    return TQ_OK;
}

/* Constants that took the place of others take their names too, where nobody needs the others. */
static void take_name(tq_graph *graph, tq_value *value, const char *name)
{
    if (!tq_graph_find_value(graph, name))
        tq_value_set_name(value, name);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *conv = m->nodes[CONV], *norm = m->nodes[NORM];
    const char *weight_name = tq_value_name(tq_node_input(conv, 1));
    const char *bias_name = tq_value_name(tq_node_input(norm, 2));
    tq_tensor weight = { 0 }, bias = { 0 };
    tq_status status = fold(conv, norm, &weight, &bias);
    if (!status)
        status = set_constant(graph, conv, 1, weight_name, &weight);
    if (!status)
        status = set_constant(graph, conv, 2, bias_name, &bias);
    tq_tensor_reset(&weight);
    tq_tensor_reset(&bias);
    TQ_TRY(status);
    tq_value *folded = tq_node_output(conv, 0), *y = tq_node_output(norm, 0);
    const char *name = tq_value_name(y);
    tq_value_redirect_consumers(y, folded);
    tq_graph_remove_node(graph, norm);
    tq_value_set_name(folded, name);
    tq_graph_sweep(graph);
    take_name(graph, tq_node_input(conv, 1), weight_name);
    take_name(graph, tq_node_input(conv, 2), bias_name);
    return TQ_OK;
}

const tq_editor tq_editor_fold_batchnorm = {
    .entry = { .name = "fold-batchnorm", .brief = "batch norm into the convolution before it" },
    .stage = TQ_EDIT_FOLD,
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
