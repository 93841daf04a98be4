/* What the loops need to know of the quantisers in a fake-quantised graph. */
#include "train/train_internal.h"

#include <math.h>

static bool has_nan(const tq_tensor *tensor)
{
    const int64_t n = tq_tensor_count(tensor);
    for (int64_t i = 0; i < n; i++)
        if (isnan(tq_load_f64(tensor->data, tensor->type.dtype, i)))
            return true;
    return false;
}

bool tq_is_placed(const tq_node *node)
{
    for (int i = 1; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        const tq_tensor *parameter = value ? tq_value_tensor(value) : NULL;
        if (parameter && has_nan(parameter))
            return false;
    }
    return true;
}

tq_status tq_check_observed(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize") && !tq_is_placed(node))
            return tq_fail(TQ_ERR_STATE,
                           "quantizer '%s' was never observed; run 'truq calibrate' first",
                           tq_node_name(node));
    return TQ_OK;
}
