/* The verifier: what must hold of a graph at any time, checked after every editor. */
#include "ir/ir_internal.h"

#include <string.h>

static int count_uses(const tq_node *node, const tq_value *value)
{
    int n = 0;
    for (int i = 0; i < node->n_inputs; i++)
        n += node->inputs[i] == value;
    return n;
}

static int count_mentions(const tq_value *value, const tq_node *node)
{
    int n = 0;
    for (int i = 0; i < value->n_consumers; i++)
        n += value->consumers[i] == node;
    return n;
}

static tq_status check_inputs(const tq_node *node)
{
    for (int i = 0; i < node->n_inputs; i++) {
        const tq_value *value = node->inputs[i];
        if (!value)
            continue;
        if (value->graph != node->graph ||
            tq_names_find(&node->graph->value_names, value->name) != value)
            return tq_fail(TQ_ERR_CHECK, "input %d ('%s') does not belong to this graph", i,
                           value->name);
        if (count_uses(node, value) != count_mentions(value, node))
            return tq_fail(TQ_ERR_CHECK, "value '%s' does not know all its consumers", value->name);
        if (!value->producer && !value->is_input && !value->is_const)
            return tq_fail(TQ_ERR_CHECK, "input %d ('%s') is made by nothing", i, value->name);
        if (value->producer && !value->producer->mark)
            return tq_fail(TQ_ERR_CHECK, "input '%s' comes from node '%s', which runs later",
                           value->name, value->producer->name);
    }
    return TQ_OK;
}

static tq_status check_output_types(tq_node *node, tq_arena *scratch)
{
    tq_type *types = TQ_NEW_N(scratch, tq_type, node->n_outputs);
    tq_tensor *known = TQ_NEW_N(scratch, tq_tensor, node->n_outputs);
    TQ_TRY(tq_infer_outputs(node->graph, node->op, &node->attrs, node->inputs, node->n_inputs,
                            node->n_outputs, scratch, types, known));
    for (int i = 0; i < node->n_outputs; i++) {
        const tq_value *value = node->outputs[i];
        if (value->producer != node || value->output_index != i)
            return tq_fail(TQ_ERR_CHECK, "output '%s' names another producer", value->name);
        if (!tq_type_equal(&types[i], &value->type))
            return tq_fail(TQ_ERR_CHECK, "output '%s' is %s, its operator gives %s", value->name,
                           tq_type_text(&value->type).s, tq_type_text(&types[i]).s);
    }
    return TQ_OK;
}

/* In a true-quantised graph nothing computes in floating point and nothing divides. */
static tq_status check_true(const tq_node *node)
{
    if (tq_node_is(node, "Div"))
        return tq_fail(TQ_ERR_CHECK, "a true-quantised network must not divide");
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && tq_dtype_is_float(node->inputs[i]->type.dtype))
            return tq_fail(TQ_ERR_CHECK, "input '%s' is %s in a true-quantised network",
                           node->inputs[i]->name, tq_type_text(&node->inputs[i]->type).s);
    for (int i = 0; i < node->n_outputs; i++)
        if (tq_dtype_is_float(node->outputs[i]->type.dtype))
            return tq_fail(TQ_ERR_CHECK, "output '%s' is %s in a true-quantised network",
                           node->outputs[i]->name, tq_type_text(&node->outputs[i]->type).s);
    return TQ_OK;
}

static tq_status check_node(tq_node *node, bool is_true, tq_arena *scratch)
{
    TQ_TRY(tq_schema_check(node->op, &node->attrs, node->inputs, node->n_inputs, node->n_outputs));
    TQ_TRY(check_inputs(node));
    TQ_TRY(check_output_types(node, scratch));
    return is_true ? check_true(node) : TQ_OK;
}

static tq_status check_values(const tq_graph *graph)
{
    for (int i = 0; i < graph->values.n; i++) {
        const tq_value *value = graph->values.items[i];
        if (tq_names_find(&graph->value_names, value->name) != value)
            return tq_fail(TQ_ERR_CHECK, "two values are named '%s'", value->name);
        if (value->is_const && !tq_type_equal(&value->type, &value->tensor.type))
            return tq_fail(TQ_ERR_CHECK, "constant '%s' is %s, its data %s", value->name,
                           tq_type_text(&value->type).s, tq_type_text(&value->tensor.type).s);
        for (int k = 0; k < value->n_consumers; k++)
            if (!count_uses(value->consumers[k], value))
                return tq_fail(TQ_ERR_CHECK,
                               "value '%s' names node '%s' as its consumer, which "
                               "does not read it",
                               value->name, value->consumers[k]->name);
    }
    if (graph->outputs.n == 0)
        return tq_fail(TQ_ERR_CHECK, "the graph has no output");
    for (int i = 0; i < graph->outputs.n; i++) {
        const tq_value *value = graph->outputs.items[i];
        if (tq_names_find(&graph->value_names, value->name) != value)
            return tq_fail(TQ_ERR_CHECK, "output '%s' does not belong to this graph", value->name);
    }
    return TQ_OK;
}

static tq_status verify(const tq_graph *graph, tq_arena *scratch)
{
    const bool is_true = tq_graph_stage(graph) == TQ_STAGE_TRUE;
    for (tq_node *node = graph->first; node; node = node->next)
        node->mark = 0;
    for (tq_node *node = graph->first; node; node = node->next) {
        const tq_status status = check_node(node, is_true, scratch);
        if (status)
            return tq_wrap(status, "node '%s' (%s)", node->name, node->op->entry.name);
        node->mark = 1;
    }
    return check_values(graph);
}

tq_status tq_graph_verify(const tq_graph *graph)
{
    tq_arena *scratch = tq_scratch_create();
    const tq_status status = verify(graph, scratch);
    tq_arena_destroy(scratch);
    return status;
}
