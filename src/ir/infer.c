/* Type and shape inference, with the values of small integer arrays carried along so that the shape
 * arithmetic of exported models (Shape -> Gather -> Concat -> Reshape) is known without running. */
#include "ir/ir_internal.h"

#include <string.h>

enum { MAX_KNOWN_ELEMENTS = 256 };

static int n_declared(const char *const *names, bool *out_variadic, int *out_required)
{
    int n = 0;
    *out_variadic = false;
    *out_required = 0;
    for (; n < TQ_OP_MAX_NAMES && names[n]; n++) {
        const size_t length = strlen(names[n]);
        if (length > 3 && strcmp(names[n] + length - 3, "...") == 0)
            *out_variadic = true;
        if (names[n][0] != '?')
            *out_required = n + 1;
    }
    return n;
}

static tq_status check_attrs(const tq_op *op, const tq_attrs *attrs)
{
    for (int i = 0; i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++) {
        const char *name = op->attrs[i].name;
        if ((op->required_attrs >> i & 1) && !tq_attrs_has(attrs, name))
            return tq_fail(TQ_ERR_VALUE, "attribute '%s' is missing", name);
        const tq_attr *attr = tq_attrs_find(attrs, name);
        if (attr->kind != op->attrs[i].kind)
            return tq_fail(TQ_ERR_TYPE, "attribute '%s' has the wrong kind", name);
    }
    for (int i = 0; i < attrs->n; i++) {
        bool known = false;
        for (int k = 0; k < TQ_OP_MAX_ATTRS && op->attrs[k].name; k++)
            known = known || strcmp(op->attrs[k].name, attrs->items[i].name) == 0;
        if (!known)
            return tq_fail(TQ_ERR_UNSUPPORTED, "attribute '%s' is not implemented",
                           attrs->items[i].name);
    }
    return TQ_OK;
}

tq_status tq_schema_check(const tq_op *op, const tq_attrs *attrs, tq_value *const *inputs,
                          int n_inputs, int n_outputs)
{
    bool variadic;
    int required;
    const int n_in = n_declared(op->inputs, &variadic, &required);
    if (n_inputs > n_in && !variadic)
        return tq_fail(TQ_ERR_VALUE, "has %d inputs, takes at most %d", n_inputs, n_in);
    for (int i = 0; i < required; i++)
        if (i >= n_inputs || !inputs[i])
            return tq_fail(TQ_ERR_VALUE, "input %d ('%s') is missing", i, op->inputs[i]);
    const int n_out = n_declared(op->outputs, &variadic, &required);
    if ((n_outputs > n_out && !variadic) || n_outputs < 1)
        return tq_fail(TQ_ERR_VALUE, "has %d outputs, gives at most %d", n_outputs, n_out);
    return check_attrs(op, attrs);
}

static const tq_tensor *known_of(const tq_value *value)
{
    return value ? tq_value_known(value) : NULL;
}

/** Of what inference derived: a constant may hold the smallest number as such. */
static bool has_unknown_element(const tq_tensor *tensor)
{
    const bool derived = tensor->type.dtype == TQ_I64 && !tensor->buffer;
    for (int64_t i = 0; derived && i < tq_tensor_count(tensor); i++)
        if (((const int64_t *)tensor->data)[i] == TQ_VALUE_ANY)
            return true;
    return false;
}

/* Can the outputs be computed now, from what is known of the inputs? */
static bool can_evaluate(const tq_op *op, const tq_op_types *t)
{
    if (!op->reference || (op->flags & TQ_OP_RANDOM) || t->n_in == 0)
        return false;
    bool derived = false;
    for (int i = 0; i < t->n_in; i++) {
        if (!t->in[i])
            continue;
        const tq_tensor *known = t->in_known[i];
        if (!known || tq_tensor_count(known) > MAX_KNOWN_ELEMENTS)
            return false;
        derived = derived || !known->buffer;
        if (!(op->flags & TQ_OP_MOVES) && has_unknown_element(known))
            return false;
    }
    for (int i = 0; i < t->n_out; i++)
        if (!tq_type_is_known(&t->out[i]) || tq_type_count(&t->out[i]) > MAX_KNOWN_ELEMENTS)
            return false;
    return derived || tq_dtype_is_integer(t->out[0].dtype);
}

static tq_status evaluate(const tq_op *op, const tq_op_types *t, tq_tensor *out_known)
{
    tq_tensor *outputs = TQ_NEW_N(t->scratch, tq_tensor, t->n_out);
    TQ_TRY(tq_op_evaluate(t->registry, op, t->attrs, t->in_known, t->n_in, outputs, t->n_out));
    for (int i = 0; i < t->n_out; i++) {
        const size_t size =
            (size_t)tq_tensor_count(&outputs[i]) * tq_dtype_size(outputs[i].type.dtype);
        out_known[i] = (tq_tensor){ .type = outputs[i].type,
                                    .data = tq_arena_memdup(t->scratch, outputs[i].data, size) };
        tq_tensor_reset(&outputs[i]);
    }
    return TQ_OK;
}

tq_status tq_infer_outputs(const tq_graph *graph, const tq_op *op, const tq_attrs *attrs,
                           tq_value *const *inputs, int n_inputs, int n_outputs, tq_arena *scratch,
                           tq_type *out_types, tq_tensor *out_known)
{
    const tq_type **in = TQ_NEW_N(scratch, const tq_type *, n_inputs + TQ_OP_MAX_NAMES);
    const tq_tensor **known = TQ_NEW_N(scratch, const tq_tensor *, n_inputs + TQ_OP_MAX_NAMES);
    for (int i = 0; i < n_inputs; i++) {
        in[i] = inputs[i] ? &inputs[i]->type : NULL;
        known[i] = known_of(inputs[i]);
    }
    for (int i = 0; i < n_outputs; i++)
        out_types[i] = (tq_type){ .dtype = TQ_NONE, .rank = -1 };
    memset(out_known, 0, (size_t)n_outputs * sizeof *out_known);
    tq_op_types t = { .n_in = n_inputs,
                      .n_out = n_outputs,
                      .in = in,
                      .in_known = known,
                      .attrs = attrs,
                      .registry = graph->registry,
                      .out = out_types,
                      .scratch = scratch,
                      .out_known = out_known };
    TQ_TRY(op->infer(&t));
    for (int i = 0; i < n_outputs; i++)
        if (out_types[i].dtype == TQ_NONE)
            return tq_fail(TQ_ERR_TYPE, "output %d has no type", i);
    if (!out_known[0].data && can_evaluate(op, &t))
        return evaluate(op, &t, out_known);
    return TQ_OK;
}

static tq_status infer_node(tq_node *node, tq_arena *scratch)
{
    tq_type *types = TQ_NEW_N(scratch, tq_type, node->n_outputs);
    tq_tensor *known = TQ_NEW_N(scratch, tq_tensor, node->n_outputs);
    TQ_TRY(tq_infer_outputs(node->graph, node->op, &node->attrs, node->inputs, node->n_inputs,
                            node->n_outputs, scratch, types, known));
    for (int i = 0; i < node->n_outputs; i++) {
        node->outputs[i]->type = types[i];
        tq_value_set_known(node->outputs[i], &known[i]);
    }
    return TQ_OK;
}

tq_status tq_node_infer(tq_node *node)
{
    tq_arena *scratch = tq_scratch_create();
    const tq_status status = infer_node(node, scratch);
    tq_arena_destroy(scratch);
    return tq_wrap(status, "node '%s' (%s)", node->name, node->op->entry.name);
}

tq_status tq_graph_infer(tq_graph *graph)
{
    TQ_TRY(tq_graph_sort(graph));
    for (tq_node *node = graph->first; node; node = node->next)
        TQ_TRY(tq_node_infer(node));
    return TQ_OK;
}

tq_status tq_graph_infer_for(tq_graph *graph, const tq_type *input_types, int n)
{
    if (n != graph->inputs.n)
        return tq_fail(TQ_ERR_VALUE, "the network has %d inputs, %d given", graph->inputs.n, n);
    for (int i = 0; i < n; i++) {
        tq_value *input = graph->inputs.items[i];
        bool fits = input->type.dtype == input_types[i].dtype &&
                    (input->type.rank < 0 || input->type.rank == input_types[i].rank);
        for (int k = 0; fits && k < input->type.rank; k++)
            fits =
                input->type.dims[k] == TQ_DIM_ANY || input->type.dims[k] == input_types[i].dims[k];
        if (!fits)
            return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s, given %s", input->name,
                           tq_type_text(&input->type).s, tq_type_text(&input_types[i]).s);
        input->type = input_types[i];
    }
    return tq_graph_infer(graph);
}

/* Types with unknown dimensions counted as 1: the cost of one sample. */
static void fill_types(const tq_node *node, tq_type *types, const tq_type **pointers,
                       const tq_tensor **known)
{
    for (int i = 0; i < node->n_inputs; i++) {
        known[i] = known_of(node->inputs[i]);
        if (!node->inputs[i])
            continue;
        types[i] = node->inputs[i]->type;
        for (int k = 0; k < types[i].rank; k++)
            if (types[i].dims[k] == TQ_DIM_ANY)
                types[i].dims[k] = 1;
        pointers[i] = &types[i];
    }
}

int64_t tq_node_macs(const tq_node *node)
{
    if (!node->op->macs)
        return 0;
    tq_arena *scratch = tq_scratch_create();
    const int n = node->n_inputs + TQ_OP_MAX_NAMES;
    tq_type *types = TQ_NEW_N(scratch, tq_type, n);
    const tq_type **pointers = TQ_NEW_N(scratch, const tq_type *, n);
    const tq_tensor **known = TQ_NEW_N(scratch, const tq_tensor *, n);
    fill_types(node, types, pointers, known);
    tq_type *out = TQ_NEW_N(scratch, tq_type, node->n_outputs);
    for (int i = 0; i < node->n_outputs; i++)
        out[i] = (tq_type){ .dtype = TQ_NONE, .rank = -1 };
    tq_op_types t = { .n_in = node->n_inputs,
                      .n_out = node->n_outputs,
                      .in = pointers,
                      .in_known = known,
                      .attrs = &node->attrs,
                      .registry = node->graph->registry,
                      .out = out,
                      .scratch = scratch,
                      .out_known = TQ_NEW_N(scratch, tq_tensor, node->n_outputs) };
    const tq_status status = node->op->infer(&t);
    const int64_t macs = status ? 0 : node->op->macs(&t);
    tq_status_drop(status);
    tq_arena_destroy(scratch);
    return macs;
}

bool tq_node_input_is_parameter(const tq_node *node, int i)
{
    const tq_value *value = i < node->n_inputs ? node->inputs[i] : NULL;
    if (!value || !value->is_const)
        return false;
    const tq_type *type = &value->type;
    const bool codes = i == 1 && type->rank >= 2 && type->dtype != TQ_I64; /* of a weight */
    return tq_dtype_is_float(type->dtype) || codes;
}

int64_t tq_node_n_parameters(const tq_node *node)
{
    int64_t n = 0;
    for (int i = 0; i < node->n_inputs; i++)
        if (tq_node_input_is_parameter(node, i))
            n += tq_type_count(&node->inputs[i]->type);
    return n;
}
