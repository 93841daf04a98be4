/* Any operator in a description: parameters are its attributes as ONNX spells them, or its constant
 * inputs by name (min and max of Clip, shape of Reshape). */
#include "describe_internal.h"

#include <math.h>
#include <string.h>

static tq_status to_attr(const tq_describer *d, const tq_attr *listed, const tq_zoo_param *p,
                         tq_attr *out)
{
    int64_t *ints = TQ_NEW_N(d->arena, int64_t, p->n + 1);
    const bool numbers = listed->kind != TQ_ATTR_STRING, one = listed->kind != TQ_ATTR_INTS;
    if (listed->kind != TQ_ATTR_INT && listed->kind != TQ_ATTR_FLOAT &&
        listed->kind != TQ_ATTR_STRING && listed->kind != TQ_ATTR_INTS)
        return TQ_DESCRIBE_FAIL(d, p, "'%s' of %s cannot be given here", p->name, d->layer->op);
    if (one && p->n != 1)
        return TQ_DESCRIBE_FAIL(d, p, "'%s' takes one value", p->name);
    for (int i = 0; i < p->n && numbers; i++) {
        if (isnan(p->numbers[i]))
            return TQ_DESCRIBE_FAIL(d, p, "'%s' is '%.40s'; expected a number", p->name,
                                    p->texts[i]);
        if (listed->kind != TQ_ATTR_FLOAT)
            TQ_TRY(tq_describe_int(d, p, i, -(INT64_C(1) << 40), INT64_C(1) << 40, &ints[i]));
    }
    *out = (tq_attr){ .name = listed->name,
                      .kind = listed->kind,
                      .i = ints[0],
                      .f = (float)p->numbers[0],
                      .s = p->texts[0],
                      .n = p->n,
                      .ints = ints };
    return TQ_OK;
}

/* A constant input: whole numbers where there is a list (shape, axes), else one f32 (min, ratio).
 */
static tq_status to_constant(const tq_describer *d, const tq_zoo_param *p, tq_value **out)
{
    const tq_type type =
        tq_type_make(p->is_list ? TQ_I64 : TQ_F32, p->is_list, (int64_t[]){ p->n });
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int i = 0; i < p->n; i++) {
        if (isnan(p->numbers[i]) || (p->is_list && p->numbers[i] != floor(p->numbers[i]))) {
            tq_tensor_reset(&tensor);
            return TQ_DESCRIBE_FAIL(d, p, "'%s' is '%.40s'; expected a %snumber", p->name,
                                    p->texts[i], p->is_list ? "whole " : "");
        }
        tq_store_f64(tensor.data, type.dtype, i, p->numbers[i]);
    }
    const tq_status status = tq_graph_add_constant(
        d->b.graph, tq_zoo_name(&d->b, "%s.%s", d->name, p->name), &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* The place of an input that the operator lists by this name, in any case; -1: there is none. */
static int input_named(const tq_op *op, const char *name)
{
    for (int i = 0; i < TQ_OP_MAX_NAMES && op->inputs[i]; i++) {
        const char *listed = op->inputs[i] + (op->inputs[i][0] == '?');
        if (strcmp(listed, name) == 0)
            return i;
    }
    return -1;
}

tq_status tq_describe_any(const tq_describer *d, tq_value *const *from, int n_from, tq_value **out)
{
    const tq_entry *entry;
    const tq_zoo_layer *layer = d->layer;
    const tq_status status =
        tq_registry_find(tq_graph_registry(d->b.graph), TQ_KIND_OP, layer->op, &entry);
    if (status)
        return tq_describe_at(d, layer->line, layer->column, status);
    const tq_op *op = (const tq_op *)(const void *)entry;
    tq_value *inputs[TQ_DESCRIBE_MAX_INPUTS + TQ_OP_MAX_NAMES] = { 0 };
    tq_attr *attrs = TQ_NEW_N(d->arena, tq_attr, layer->n_params + 1);
    int n_inputs = n_from, n_attrs = 0;
    memcpy(inputs, from, (size_t)n_from * sizeof *from);
    for (int i = 0; i < layer->n_params; i++) {
        const tq_zoo_param *p = &layer->params[i];
        if (strcmp(p->name, "name") == 0 || strcmp(p->name, "from") == 0)
            continue;
        const tq_attr *listed = NULL;
        for (int k = 0; k < TQ_OP_MAX_ATTRS && op->attrs[k].name && !listed; k++)
            listed = strcmp(op->attrs[k].name, p->name) == 0 ? &op->attrs[k] : NULL;
        const int at = listed ? -1 : input_named(op, p->name);
        if (!listed && at < n_from)
            return TQ_DESCRIBE_FAIL(d, p, "%s has no '%.40s'", layer->op, p->name);
        if (listed) {
            TQ_TRY(to_attr(d, listed, p, &attrs[n_attrs++]));
            continue;
        }
        TQ_TRY(to_constant(d, p, &inputs[at]));
        n_inputs = at + 1 > n_inputs ? at + 1 : n_inputs;
    }
    return tq_describe_emit(d, layer->op, inputs, n_inputs, attrs, n_attrs, out);
}
