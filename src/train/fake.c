/* What the loops need to know of the quantisers in a fake-quantised graph. */
#include "train/train_internal.h"

#include <math.h>

tq_range tq_fake_range(const tq_node *node)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    return (tq_range){ .q_min = tq_attr_int(attrs, "q_min"),
                       .n_levels = tq_attr_int(attrs, "n_levels"),
                       .step = (int)tq_attr_int(attrs, "step"),
                       .free_offset = tq_attr_int(attrs, "free_offset") != 0,
                       .power_of_two = tq_attr_int(attrs, "power_of_two") != 0 };
}

tq_status tq_fake_quantizer(const tq_node *node, const tq_quantizer **out_quantizer)
{
    const tq_entry *entry;
    TQ_TRY(tq_wrap(tq_registry_find(tq_graph_registry(tq_node_graph(node)), TQ_KIND_QUANTIZER,
                                    tq_attr_string(tq_node_attrs(node), "quantizer"), &entry),
                   "node '%s'", tq_node_name(node)));
    *out_quantizer = (const tq_quantizer *)entry;
    return TQ_OK;
}

static bool has_nan(const tq_tensor *tensor)
{
    const int64_t n = tq_tensor_count(tensor);
    for (int64_t i = 0; i < n; i++)
        if (isnan(tq_load_f64(tensor->data, tensor->type.dtype, i)))
            return true;
    return false;
}

tq_status tq_check_observed(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        if (!tq_node_is(node, "FakeQuantize"))
            continue;
        for (int i = 1; i < tq_node_n_inputs(node); i++) {
            const tq_value *value = tq_node_input(node, i);
            const tq_tensor *parameter = value ? tq_value_tensor(value) : NULL;
            if (parameter && has_nan(parameter))
                return tq_fail(TQ_ERR_STATE,
                               "quantizer '%s' was never observed; run 'truq calibrate' first",
                               tq_node_name(node));
        }
    }
    return TQ_OK;
}
