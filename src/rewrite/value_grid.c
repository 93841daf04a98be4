/* The grid on which a value lies, read from the network: metadata of values, or the FakeQuantize
 * before it, beyond operators that only move elements. */
#include "rewrite/rule_internal.h"

#include <truq/quant.h>

#include <math.h>

enum { MAX_MOVES = 64 };

static bool from_metadata(const tq_value *value, tq_value_grid *out)
{
    return tq_value_meta_f64(value, "quant.scale", &out->scale) &&
           tq_value_meta_i64(value, "quant.zero_point", &out->zero_point) &&
           tq_value_meta_i64(value, "quant.q_min", &out->q_min) &&
           tq_value_meta_i64(value, "quant.q_max", &out->q_max);
}

/* One scale for the whole tensor, from parameters that were placed already. */
static bool from_quantizer(const tq_node *node, tq_value_grid *out)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)tq_registry_get(
        tq_graph_registry(tq_node_graph(node)), TQ_KIND_QUANTIZER,
        tq_attr_string(attrs, "quantizer"));
    tq_rounding rounding = TQ_ROUND_HALF_UP;
    float params[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    tq_grid grid;
    for (int i = 0; quantizer && i < quantizer->n_params; i++) {
        const tq_value *value = tq_node_input(node, i + 1);
        const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
        if (!tensor || tq_tensor_count(tensor) != 1)
            return false;
        params[i] = (float)tq_load_f64(tensor->data, tensor->type.dtype, 0);
        if (isnan(params[i]))
            return false;
    }
    tq_status_drop(tq_rounding_parse(tq_attr_string(attrs, "rounding"), &rounding));
    const tq_range range = { .q_min = tq_attr_int(attrs, "q_min"),
                             .n_levels = tq_attr_int(attrs, "n_levels"),
                             .step = (int)tq_attr_int(attrs, "step"),
                             .free_offset = tq_attr_int(attrs, "free_offset") != 0 };
    if (!quantizer)
        return false;
    quantizer->grid(&range, rounding, params, &grid);
    *out = (tq_value_grid){ (double)grid.scale, grid.zero_point, grid.q_min, grid.q_max };
    return true;
}

bool tq_value_grid_find(const tq_value *value, tq_value_grid *out)
{
    for (int i = 0; value && i < MAX_MOVES; i++) {
        if (from_metadata(value, out))
            return true;
        const tq_node *node = tq_value_producer(value);
        if (!node)
            return false;
        if (tq_node_is(node, "FakeQuantize"))
            return from_quantizer(node, out);
        /* A join moves elements of several values. */
        const bool moves = (tq_node_op(node)->flags & TQ_OP_MOVES) && !tq_node_is(node, "Concat");
        if (!moves && !tq_node_is(node, "MaxPool"))
            return false;
        value = tq_node_input(node, 0);
    }
    return false;
}
