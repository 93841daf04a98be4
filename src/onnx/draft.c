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
