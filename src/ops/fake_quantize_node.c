/* FakeQuantize nodes read from outside: range, quantiser, grids. */
#include "ops/fake_quantize_internal.h"

tq_range tq_fake_range(const tq_attrs *attrs)
{
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

static const tq_tensor *constant_param(const tq_node *node, int k)
{
    const tq_value *value = tq_node_input(node, TQ_FAKE_PARAMS + k);
    return value ? tq_value_tensor(value) : NULL;
}

tq_status tq_fake_grids(const tq_node *node, tq_arena *arena, tq_grid **out_grids, int *out_n)
{
    tq_fake fake;
    TQ_TRY(tq_fake_read(tq_node_attrs(node), tq_graph_registry(tq_node_graph(node)), &fake));
    const void *data[TQ_QUANTIZER_MAX_PARAMS];
    const tq_type *types[TQ_QUANTIZER_MAX_PARAMS];
    int64_t n = 1;
    for (int k = 0; k < fake.quantizer->n_params; k++) {
        const tq_tensor *tensor = constant_param(node, k);
        if (!tensor)
            return tq_fail(TQ_ERR_STATE, "parameter '%s' of '%s' is not a constant",
                           fake.quantizer->params[k], tq_node_name(node));
        data[k] = tensor->data;
        types[k] = &tensor->type;
        n = tq_tensor_count(tensor) > n ? tq_tensor_count(tensor) : n;
    }
    *out_grids = TQ_NEW_N(arena, tq_grid, n);
    *out_n = (int)n;
    for (int64_t c = 0; c < n; c++) {
        float params[TQ_QUANTIZER_MAX_PARAMS];
        if (!tq_fake_params(data, types, fake.quantizer->n_params, c, params))
            return tq_fail(TQ_ERR_STATE,
                           "quantizer '%s' was never observed; run 'truq calibrate' first",
                           tq_node_name(node));
        tq_quantizer_grid(fake.quantizer, &fake.range, fake.rounding, params, &(*out_grids)[c]);
    }
    return TQ_OK;
}
