/* A network of 16-bit floats becomes one of f32, inputs and outputs too: quantisers and training
 * work on f32, and nothing is lost by it. Casts that then change nothing go. */
#include "rewrite/rewrite.h"

#include <truq/op.h>

#include <string.h>

enum { ONNX_FLOAT = 1, ONNX_FLOAT16 = 10, ONNX_BFLOAT16 = 16 };

static bool is_half(tq_dtype dtype)
{
    return dtype == TQ_F16 || dtype == TQ_BF16;
}

static bool has_halves(const tq_graph *graph)
{
    for (int i = 0; i < tq_graph_n_values(graph); i++)
        if (is_half(tq_value_type(tq_graph_value(graph, i))->dtype))
            return true;
    return false;
}

static tq_status convert_value(tq_value *value)
{
    tq_type type = *tq_value_type(value);
    if (!is_half(type.dtype))
        return TQ_OK;
    type.dtype = TQ_F32;
    if (tq_value_is_input(value))
        tq_value_set_type(value, &type);
    if (!tq_value_is_const(value))
        return TQ_OK;
    tq_tensor wide;
    TQ_TRY(tq_tensor_cast(tq_value_tensor(value), TQ_F32, &wide));
    tq_value_set_tensor(value, &wide);
    tq_tensor_reset(&wide);
    return TQ_OK;
}

/** The dtypes that a node names: the target of a Cast, the value of a ConstantOfShape. */
static tq_status convert_attrs(tq_node *node)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const int64_t to = tq_attr_int(attrs, "to");
    if (tq_node_is(node, "Cast") && (to == ONNX_FLOAT16 || to == ONNX_BFLOAT16))
        tq_node_set_attr(node, &TQ_INT("to", ONNX_FLOAT));
    const tq_tensor *value = tq_attr_tensor(attrs, "value");
    if (!value || !is_half(value->type.dtype))
        return TQ_OK;
    tq_attr attr = { .name = "value", .kind = TQ_ATTR_TENSOR };
    TQ_TRY(tq_tensor_cast(value, TQ_F32, &attr.tensor));
    tq_node_set_attr(node, &attr);
    tq_tensor_reset(&attr.tensor);
    return TQ_OK;
}

static bool changes_nothing(const tq_node *node)
{
    const tq_value *x = tq_node_input(node, 0), *y = tq_node_output(node, 0);
    return tq_node_is(node, "Cast") && tq_value_type(x)->dtype == tq_value_type(y)->dtype &&
           (!tq_value_is_output(y) || (tq_value_producer(x) && !tq_value_is_output(x)));
}

static void drop_casts(tq_graph *graph)
{
    for (tq_node *node = tq_graph_first(graph), *next; node; node = next) {
        next = tq_node_next(node);
        if (!changes_nothing(node))
            continue;
        tq_value *x = tq_node_input(node, 0), *y = tq_node_output(node, 0);
        const char *name = tq_value_is_output(y) ? tq_value_name(y) : NULL;
        tq_value_redirect_consumers(y, x);
        tq_graph_remove_node(graph, node);
        if (name)
            tq_value_set_name(x, name);
    }
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    if (!has_halves(graph))
        return TQ_OK;
    for (int i = 0; i < tq_graph_n_values(graph); i++)
        TQ_TRY(convert_value(tq_graph_value(graph, i)));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        TQ_TRY(convert_attrs(node));
    TQ_TRY(tq_graph_infer(graph));
    drop_casts(graph);
    tq_edit_log(edit, "16-bit floats became f32");
    return TQ_OK;
}

const tq_editor tq_editor_halves_to_floats = {
    .entry = { .name = "halves-to-floats",
               .brief = "networks of 16-bit floats become ones of f32" },
    .stage = TQ_EDIT_CANONICALISE,
    .changes_interface = true,
    .run = run,
};
