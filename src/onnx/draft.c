/* Drafts of nodes and the tables of rules that change their form. */
#include "onnx/onnx_internal.h"

#include <string.h>

tq_attr *tq_draft_find(const tq_draft *draft, const char *name)
{
    for (int i = 0; i < draft->n_attrs; i++)
        if (strcmp(draft->attrs[i].name, name) == 0)
            return &draft->attrs[i];
    return NULL;
}

void tq_draft_remove(tq_draft *draft, const char *name)
{
    tq_attr *attr = tq_draft_find(draft, name);
    if (!attr)
        return;
    const int i = (int)(attr - draft->attrs);
    memmove(attr, attr + 1, (size_t)(draft->n_attrs - i - 1) * sizeof *attr);
    draft->n_attrs--;
}

void tq_draft_set(tq_draft *draft, tq_attr attr)
{
    tq_attr *old = tq_draft_find(draft, attr.name);
    if (old)
        *old = attr;
    else
        TQ_PUSH(draft->arena, draft->attrs, draft->n_attrs, draft->attrs_capacity, attr);
}

tq_value *tq_draft_input(const tq_draft *draft, int i)
{
    return i < draft->n_inputs ? draft->inputs[i] : NULL;
}

void tq_draft_set_input(tq_draft *draft, int i, tq_value *value)
{
    while (draft->n_inputs <= i)
        draft->inputs[draft->n_inputs++] = NULL;
    draft->inputs[i] = value;
    while (draft->n_inputs > 0 && !draft->inputs[draft->n_inputs - 1])
        draft->n_inputs--;
}

tq_status tq_draft_apply(tq_draft *draft, const tq_draft_rule *rules, int n)
{
    for (int i = 0; i < n && !draft->done; i++) {
        const tq_draft_rule *rule = &rules[i];
        if (draft->opset >= rule->first && draft->opset <= rule->last &&
            strcmp(draft->op, rule->op) == 0)
            TQ_TRY(rule->apply(draft));
    }
    return TQ_OK;
}

/* ---- falling into several nodes ---- */

tq_status tq_draft_add_part(tq_draft *draft, const tq_part *part, tq_value **out_value)
{
    const char *name = draft->name, *output = draft->outputs[0];
    if (*part->suffix) {
        const char *wanted = tq_arena_printf(draft->arena, "%s%s", draft->name, part->suffix);
        name = tq_reader_fresh_node(draft->reader, wanted);
        output = tq_reader_fresh_value(draft->reader, wanted);
    }
    tq_node *node;
    TQ_TRY(tq_graph_add_node(draft->graph,
                             &(tq_node_spec){ .op = part->op,
                                              .domain = part->domain ? part->domain : "",
                                              .name = name,
                                              .n_inputs = part->n_inputs,
                                              .inputs = part->inputs,
                                              .n_outputs = 1,
                                              .output_names = &output,
                                              .n_attrs = part->n_attrs,
                                              .attrs = part->attrs },
                             &node));
    if (out_value)
        *out_value = tq_node_output(node, 0);
    if (!*part->suffix)
        draft->done = true;
    return TQ_OK;
}

tq_status tq_draft_add_constant(tq_draft *draft, const char *suffix, const tq_tensor *tensor,
                                tq_value **out_value)
{
    const char *wanted = tq_arena_printf(draft->arena, "%s%s", draft->name, suffix);
    const char *name = tq_reader_fresh_value(draft->reader, wanted);
    tq_tensor *copy = tq_reader_hold(draft->reader);
    TQ_TRY(tq_tensor_copy(tensor, copy));
    return tq_reader_add_constant(draft->reader, name, copy, out_value);
}

tq_status tq_draft_int(const tq_draft *draft, const char *name, int64_t *inout)
{
    const tq_attr *attr = tq_draft_find(draft, name);
    if (attr && attr->kind != TQ_ATTR_INT)
        return tq_fail(TQ_ERR_FORMAT, "attribute '%s' is not an integer", name);
    if (attr)
        *inout = attr->i;
    return TQ_OK;
}

tq_status tq_draft_string(const tq_draft *draft, const char *name, const char **inout)
{
    const tq_attr *attr = tq_draft_find(draft, name);
    if (attr && attr->kind != TQ_ATTR_STRING)
        return tq_fail(TQ_ERR_FORMAT, "attribute '%s' is not a text", name);
    if (attr)
        *inout = attr->s;
    return TQ_OK;
}
