/* Attributes of nodes, with the defaults of the operator behind them. */
#include "ir/ir_internal.h"

#include <string.h>

tq_attr tq_attr_copy(tq_arena *arena, const tq_attr *attr)
{
    tq_attr copy = *attr;
    const size_t n = attr->n > 0 ? (size_t)attr->n : 0;
    copy.name = tq_arena_strdup(arena, attr->name);
    copy.s = tq_arena_strdup(arena, attr->s);
    if (attr->kind == TQ_ATTR_INTS)
        copy.ints = tq_arena_memdup(arena, attr->ints, n * sizeof *attr->ints);
    if (attr->kind == TQ_ATTR_FLOATS)
        copy.floats = tq_arena_memdup(arena, attr->floats, n * sizeof *attr->floats);
    if (attr->kind == TQ_ATTR_STRINGS) {
        const char **strings = TQ_NEW_N(arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++)
            strings[i] = tq_arena_strdup(arena, attr->strings[i]);
        copy.strings = strings;
    }
    if (attr->kind == TQ_ATTR_TENSOR)
        copy.tensor = tq_tensor_share(&attr->tensor);
    return copy;
}

static int index_of(const tq_attrs *attrs, const char *name)
{
    for (int i = 0; i < attrs->n; i++)
        if (strcmp(attrs->items[i].name, name) == 0)
            return i;
    return -1;
}

void tq_attrs_set(tq_attrs *attrs, const tq_attr *attr)
{
    const tq_attr copy = tq_attr_copy(attrs->arena, attr);
    const int i = index_of(attrs, attr->name);
    if (i < 0) {
        TQ_PUSH(attrs->arena, attrs->items, attrs->n, attrs->capacity, copy);
        return;
    }
    tq_tensor_reset(&attrs->items[i].tensor);
    attrs->items[i] = copy;
}

void tq_attrs_remove(tq_attrs *attrs, const char *name)
{
    const int i = index_of(attrs, name);
    if (i < 0)
        return;
    tq_tensor_reset(&attrs->items[i].tensor);
    memmove(&attrs->items[i], &attrs->items[i + 1],
            (size_t)(attrs->n - i - 1) * sizeof *attrs->items);
    attrs->n--;
}

void tq_attrs_reset(tq_attrs *attrs)
{
    for (int i = 0; i < attrs->n; i++)
        tq_tensor_reset(&attrs->items[i].tensor);
    attrs->n = 0;
}

static const tq_attr *default_of(const tq_op *op, const char *name)
{
    for (int i = 0; op && i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (strcmp(op->attrs[i].name, name) == 0)
            return &op->attrs[i];
    return NULL;
}

const tq_attr *tq_attrs_find(const tq_attrs *attrs, const char *name)
{
    if (!attrs)
        return NULL;
    const int i = index_of(attrs, name);
    return i >= 0 ? &attrs->items[i] : default_of(attrs->op, name);
}

bool tq_attrs_has(const tq_attrs *attrs, const char *name)
{
    return attrs && index_of(attrs, name) >= 0;
}

int tq_attrs_count(const tq_attrs *attrs)
{
    return attrs->n;
}

const tq_attr *tq_attrs_at(const tq_attrs *attrs, int i)
{
    return &attrs->items[i];
}

static const tq_attr *find_kind(const tq_attrs *attrs, const char *name, tq_attr_kind kind)
{
    const tq_attr *attr = tq_attrs_find(attrs, name);
    return attr && attr->kind == kind ? attr : NULL;
}

int64_t tq_attr_int(const tq_attrs *attrs, const char *name)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_INT);
    return attr ? attr->i : 0;
}

float tq_attr_float(const tq_attrs *attrs, const char *name)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_FLOAT);
    return attr ? attr->f : 0.0f;
}

const char *tq_attr_string(const tq_attrs *attrs, const char *name)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_STRING);
    return attr && attr->s ? attr->s : "";
}

const int64_t *tq_attr_ints(const tq_attrs *attrs, const char *name, int *out_n)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_INTS);
    *out_n = attr ? attr->n : 0;
    return attr && attr->n ? attr->ints : NULL;
}

const float *tq_attr_floats(const tq_attrs *attrs, const char *name, int *out_n)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_FLOATS);
    *out_n = attr ? attr->n : 0;
    return attr && attr->n ? attr->floats : NULL;
}

int64_t tq_attr_int_at(const tq_attrs *attrs, const char *name, int i, int64_t otherwise)
{
    int n;
    const int64_t *ints = tq_attr_ints(attrs, name, &n);
    return i < n ? ints[i] : otherwise;
}

const tq_tensor *tq_attr_tensor(const tq_attrs *attrs, const char *name)
{
    const tq_attr *attr = find_kind(attrs, name, TQ_ATTR_TENSOR);
    return attr ? &attr->tensor : NULL;
}
