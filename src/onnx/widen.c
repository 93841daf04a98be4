/* Operators that have no kernel for 16-bit floats run in f32: their operands are widened before
 * them, their results rounded back behind them, as ONNX Runtime does on CPUs. */
#include "onnx/onnx_internal.h"

static bool is_half(tq_dtype dtype)
{
    return dtype == TQ_F16 || dtype == TQ_BF16;
}

tq_dtype tq_onnx_half_of(const tq_draft *draft, tq_status refusal)
{
    if (!refusal || tq_status_code(refusal) != TQ_ERR_TYPE || *draft->domain)
        return TQ_NONE;
    for (int i = 0; i < draft->n_inputs; i++) {
        const tq_dtype dtype = draft->inputs[i] ? tq_value_type(draft->inputs[i])->dtype : TQ_NONE;
        const tq_status not_onnx =
            is_half(dtype) ? tq_onnx_check_dtype(draft->op, draft->opset, dtype) : NULL;
        tq_status_drop(not_onnx);
        if (is_half(dtype))
            return not_onnx ? TQ_NONE : dtype;
    }
    return TQ_NONE;
}

static tq_status add_cast(tq_draft *draft, tq_value *x, tq_dtype dtype, const char *output)
{
    const tq_attr to = TQ_INT("to", tq_dtype_to_onnx(dtype));
    const char *wanted = tq_arena_printf(draft->arena, "%s.cast", draft->name);
    tq_node *node;
    return tq_graph_add_node(draft->graph,
                             &(tq_node_spec){ .op = "Cast",
                                              .domain = "",
                                              .name = tq_reader_fresh_node(draft->reader, wanted),
                                              .inputs = &x,
                                              .n_inputs = 1,
                                              .output_names = &output,
                                              .n_outputs = 1,
                                              .attrs = &to,
                                              .n_attrs = 1 },
                             &node);
}

static tq_status widen(tq_draft *draft, int i)
{
    tq_value *x = draft->inputs[i];
    if (tq_value_tensor(x)) {
        tq_tensor *wide = tq_reader_hold(draft->reader);
        TQ_TRY(tq_tensor_cast(tq_value_tensor(x), TQ_F32, wide));
        return tq_draft_add_constant(draft, tq_arena_printf(draft->arena, ".in%d", i), wide,
                                     &draft->inputs[i]);
    }
    const char *name = tq_reader_fresh_value(
        draft->reader, tq_arena_printf(draft->arena, "%s.wide", tq_value_name(x)));
    TQ_TRY(add_cast(draft, x, TQ_F32, name));
    draft->inputs[i] = tq_graph_find_value(draft->graph, name);
    return TQ_OK;
}

tq_status tq_onnx_widen(tq_draft *draft, const char *const **out_names)
{
    *out_names = draft->outputs;
    draft->outputs = TQ_NEW_N(draft->arena, const char *, draft->n_outputs);
    for (int i = 0; i < draft->n_outputs; i++)
        draft->outputs[i] = tq_reader_fresh_value(
            draft->reader, tq_arena_printf(draft->arena, "%s.wide", (*out_names)[i]));
    for (int i = 0; i < draft->n_inputs; i++)
        if (draft->inputs[i] && is_half(tq_value_type(draft->inputs[i])->dtype))
            TQ_TRY(widen(draft, i));
    return TQ_OK;
}

tq_status tq_onnx_narrow(tq_draft *draft, tq_dtype dtype, const char *const *names)
{
    for (int i = 0; i < draft->n_outputs; i++) {
        tq_value *y = tq_graph_find_value(draft->graph, draft->outputs[i]);
        if (tq_value_type(y)->dtype == TQ_F32)
            TQ_TRY(add_cast(draft, y, dtype, names[i]));
        else
            tq_value_set_name(y, names[i]);
    }
    return TQ_OK;
}
