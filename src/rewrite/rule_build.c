/* Nodes of a replacement. A node that reads only constants is computed at once and leaves
 * constants: this is how weights are folded, scaled, transposed. Quantisers are not: what they read
 * is trained. */
#include "rewrite/rule_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_FOLDED_BYTES = 64 << 20 };

static tq_status fail(const tq_rule_scope *scope, const tq_expr *expr, const char *what)
{
    return tq_rule_fail(TQ_ERR_VALUE, scope->found->rule->source, expr->place, "%s", what);
}

/* ---- constants ---- */

/* `wanted`: the name it is to have; NULL: it is one that the rule itself wrote. */
static void remember(tq_rule_scope *scope, tq_value *value, const char *wanted)
{
    tq_rule_heirs *heirs = scope->heirs;
    const struct tq_rule_heir heir = { value, tq_value_name(value), wanted };
    TQ_PUSH(heirs->arena, heirs->items, heirs->n, heirs->capacity, heir);
}

static tq_status add_tensor(tq_rule_scope *scope, const tq_tensor *tensor, tq_value **out)
{
    const char *name = tq_arena_printf(scope->arena, "%s/const", scope->prefix);
    TQ_TRY(tq_graph_add_constant(scope->found->graph, name, tensor, out));
    remember(scope, *out, NULL);
    return TQ_OK;
}

static tq_status add_constant(tq_rule_scope *scope, tq_dtype dtype, int rank, int64_t n,
                              const tq_rule_item *items, tq_value **out)
{
    const tq_type type = { .dtype = dtype, .rank = rank, .dims = { n } };
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < n; i++)
        if (items[i].is_float || tq_dtype_is_float(dtype))
            tq_store_f64(tensor.data, dtype, i, items[i].f);
        else
            tq_store_i64(tensor.data, dtype, i, items[i].i);
    const tq_status status = add_tensor(scope, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* A list of numbers. Without a dtype: int64 if all are whole (a shape, axes), else float. */
static tq_status list_constant(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *list,
                               tq_dtype wanted, tq_value **out)
{
    tq_dtype dtype = wanted ? wanted : TQ_I64;
    tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, list->n);
    for (int i = 0; i < list->n; i++) {
        if (list->items[i].kind == TQ_ITEM_UNKNOWN)
            return fail(scope, expr, "an element of the list is not known in this network");
        if (!tq_rule_as_number(&list->items[i], &items[i]))
            return fail(scope, expr, "an input's list holds numbers");
        if (items[i].is_float && !wanted)
            dtype = TQ_F32;
    }
    return add_constant(scope, dtype, 1, list->n, items, out);
}

/* Numbers take the dtype of the first value beside them. */
static tq_dtype dtype_beside(const tq_rule_item *args, int n_args)
{
    for (int i = 0; i < n_args; i++)
        if (args[i].kind == TQ_ITEM_VALUE)
            return tq_value_type(args[i].value)->dtype;
    for (int i = 0; i < n_args; i++)
        if (args[i].kind == TQ_ITEM_NUMBER && args[i].is_float)
            return TQ_F32;
    return TQ_I64;
}

static tq_status input_value(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *item,
                             tq_dtype dtype, tq_value **out)
{
    *out = NULL;
    switch (item->kind) {
    case TQ_ITEM_UNKNOWN:
        return TQ_OK;
    case TQ_ITEM_VALUE:
        *out = item->value;
        return TQ_OK;
    case TQ_ITEM_NUMBER:
        return add_constant(scope, dtype, 0, 1, item, out);
    case TQ_ITEM_LIST:
        return list_constant(scope, expr, item, TQ_NONE, out);
    default:
        return fail(scope, expr, "an input is a value, a number or a list of numbers");
    }
}

/* ---- folding ---- */

static bool reads_only_constants(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i) && !tq_value_is_const(tq_node_input(node, i)))
            return false;
    return tq_node_n_inputs(node) > 0;
}

static bool can_fold(const tq_node *node)
{
    const tq_op *op = tq_node_op(node);
    const bool ours = op->domain && strcmp(op->domain, "truq") == 0;
    if (ours || !op->reference || (op->flags & TQ_OP_RANDOM) || !reads_only_constants(node))
        return false;
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const tq_type *type = tq_value_type(tq_node_output(node, i));
        size_t size = 0;
        const tq_status status = tq_type_is_known(type) ? tq_type_size(type, &size) : TQ_OK;
        const bool fits = tq_type_is_known(type) && !status && size <= MAX_FOLDED_BYTES;
        tq_status_drop(status);
        if (!fits)
            return false;
    }
    return true;
}

/* The name that a constant has or is to have; NULL: one that the rule itself wrote. */
static const char *wanted_name(const tq_rule_scope *scope, const tq_value *value)
{
    for (int i = scope->heirs->n - 1; i >= 0; i--)
        if (scope->heirs->items[i].value == value)
            return scope->heirs->items[i].wanted;
    return tq_value_name(value);
}

/* Of the first constant of the network that went in. */
static const char *folded_name(const tq_rule_scope *scope, const tq_node *node)
{
    const char *name = NULL;
    for (int i = 0; i < tq_node_n_inputs(node) && !name; i++)
        if (tq_node_input(node, i))
            name = wanted_name(scope, tq_node_input(node, i));
    return name ? name : tq_node_name(node);
}

static tq_status fold(tq_rule_scope *scope, tq_node *node, tq_value **values)
{
    tq_tensor outputs[TQ_OP_MAX_NAMES] = { 0 };
    const int n = tq_node_n_outputs(node);
    TQ_TRY(tq_node_evaluate(node, outputs));
    tq_status status = TQ_OK;
    const char *name = folded_name(scope, node);
    for (int i = 0; i < n; i++) {
        if (!status)
            status = tq_graph_add_constant(scope->found->graph, name, &outputs[i], &values[i]);
        tq_tensor_reset(&outputs[i]);
    }
    TQ_TRY(status);
    for (int i = 0; i < n; i++)
        remember(scope, values[i], name);
    tq_graph_remove_node(scope->found->graph, node);
    return TQ_OK;
}

/* ---- nodes ---- */

static tq_status add_node(tq_rule_scope *scope, const tq_node_spec *spec, tq_rule_item *out)
{
    tq_node *node;
    tq_value *values[TQ_OP_MAX_NAMES] = { 0 };
    TQ_TRY(tq_graph_add_node(scope->found->graph, spec, &node));
    if (can_fold(node)) {
        TQ_TRY(fold(scope, node, values));
    } else {
        TQ_PUSH(scope->arena, scope->made, scope->n_made, scope->made_capacity, node);
        for (int i = 0; i < spec->n_outputs; i++)
            values[i] = tq_node_output(node, i);
    }
    for (int i = 0; i < spec->n_outputs; i++)
        out[i] = (tq_rule_item){ .kind = TQ_ITEM_VALUE, .value = values[i] };
    return TQ_OK;
}

tq_status tq_rule_list_beside(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *value,
                              tq_rule_item *list)
{
    tq_value *constant;
    TQ_TRY(list_constant(scope, expr, list, tq_value_type(value->value)->dtype, &constant));
    *list = (tq_rule_item){ .kind = TQ_ITEM_VALUE, .value = constant };
    return TQ_OK;
}

tq_status tq_rule_build(tq_rule_scope *scope, const tq_expr *expr, const tq_op *op,
                        const tq_rule_item *args, int n_args, const tq_attr *attrs, int n_attrs,
                        int n_outputs, tq_rule_item *out)
{
    const char *source = scope->found->rule->source;
    tq_value **inputs = TQ_NEW_N(scope->arena, tq_value *, n_args);
    if (n_outputs > TQ_OP_MAX_NAMES)
        return fail(scope, expr, "too many outputs");
    for (int i = 0; i < n_args; i++)
        TQ_TRY(input_value(scope, expr, &args[i], dtype_beside(args, n_args), &inputs[i]));
    const tq_node_spec spec = { .op = op->entry.name,
                                .domain = op->domain ? op->domain : "",
                                .name = tq_arena_printf(scope->arena, "%s/%s", scope->prefix,
                                                        op->entry.name),
                                .n_inputs = n_args,
                                .inputs = inputs,
                                .n_outputs = n_outputs,
                                .n_attrs = n_attrs,
                                .attrs = attrs,
                                .before = scope->before };
    return tq_wrap(add_node(scope, &spec, out), "%s: line %d, column %d", source, expr->place.line,
                   expr->place.column);
}

/* ---- attributes ---- */

static tq_attr_kind schema_kind(const tq_op *op, const char *name)
{
    for (int i = 0; i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (strcmp(op->attrs[i].name, name) == 0)
            return op->attrs[i].kind;
    return TQ_ATTR_NONE;
}

static bool whole(const tq_rule_item *item, int64_t *out)
{
    tq_rule_item number;
    if (!tq_rule_as_number(item, &number))
        return false;
    const bool fits = !number.is_float || (number.f == rint(number.f) && fabs(number.f) < 9e15);
    *out = number.is_float && fits ? (int64_t)number.f : number.i;
    return fits;
}

static tq_status list_attr(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *list,
                           tq_attr *attr)
{
    int64_t *ints = TQ_NEW_N(scope->arena, int64_t, list->n);
    float *floats = TQ_NEW_N(scope->arena, float, list->n);
    const char **strings = TQ_NEW_N(scope->arena, const char *, list->n);
    for (int i = 0; i < list->n; i++) {
        tq_rule_item number;
        bool fits = false;
        if (attr->kind == TQ_ATTR_INTS)
            fits = whole(&list->items[i], &ints[i]);
        else if (attr->kind == TQ_ATTR_FLOATS && tq_rule_as_number(&list->items[i], &number)) {
            floats[i] = (float)number.f;
            fits = true;
        } else if (attr->kind == TQ_ATTR_STRINGS && list->items[i].kind == TQ_ITEM_TEXT) {
            strings[i] = list->items[i].text;
            fits = true;
        }
        if (!fits)
            return tq_rule_fail(TQ_ERR_VALUE, scope->found->rule->source, expr->place,
                                "element %d does not fit attribute '%s'", i, attr->name);
    }
    attr->n = list->n;
    attr->ints = ints;
    attr->floats = floats;
    attr->strings = strings;
    return TQ_OK;
}

static tq_status set_attr(tq_rule_scope *scope, const tq_op *op, const tq_expr_attr *from,
                          const tq_rule_item *item, tq_attr *attr)
{
    tq_rule_item number;
    *attr = (tq_attr){ .name = from->name, .kind = schema_kind(op, from->name) };
    if (item->kind == TQ_ITEM_LIST && attr->kind >= TQ_ATTR_INTS && attr->kind <= TQ_ATTR_STRINGS)
        return list_attr(scope, from->value, item, attr);
    if (attr->kind == TQ_ATTR_INT && whole(item, &attr->i))
        return TQ_OK;
    if (attr->kind == TQ_ATTR_FLOAT && tq_rule_as_number(item, &number)) {
        attr->f = (float)number.f;
        return TQ_OK;
    }
    attr->s = item->text;
    if (attr->kind == TQ_ATTR_STRING && item->kind == TQ_ITEM_TEXT)
        return TQ_OK;
    return tq_rule_fail(TQ_ERR_VALUE, scope->found->rule->source, from->place,
                        "this does not fit attribute '%s' of %s", from->name, op->entry.name);
}

typedef struct attr_list {
    int n;
    size_t capacity;
    tq_attr *items;
} attr_list;

static void put(tq_rule_scope *scope, attr_list *list, const tq_attr *attr)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, attr->name) == 0) {
            list->items[i] = *attr;
            return;
        }
    TQ_PUSH(scope->arena, list->items, list->n, list->capacity, *attr);
}

/* What is set on a node of the match and known to the operator. */
static void copy_attrs(tq_rule_scope *scope, const tq_op *op, int node, attr_list *list)
{
    const tq_rule_found *found = scope->found;
    const tq_attrs *attrs = found->count[node] ? tq_node_attrs(found->nodes[node][0]) : NULL;
    for (int i = 0; attrs && i < tq_attrs_count(attrs); i++) {
        const tq_attr *attr = tq_attrs_at(attrs, i);
        if (schema_kind(op, attr->name) == attr->kind)
            put(scope, list, attr);
    }
}

static tq_status read_attrs(tq_rule_scope *scope, const tq_expr *expr, const tq_op *op,
                            attr_list *list)
{
    if (!expr->op)
        copy_attrs(scope, op, expr->node, list);
    for (int i = 0; i < expr->n_attrs; i++) {
        const tq_expr_attr *from = &expr->attrs[i];
        tq_rule_item item;
        tq_attr attr;
        if (!from->name) {
            copy_attrs(scope, op, from->node, list);
            continue;
        }
        TQ_TRY(tq_rule_evaluate(scope, from->value, &item));
        if (item.kind == TQ_ITEM_UNKNOWN)
            continue;
        TQ_TRY(set_attr(scope, op, from, &item, &attr));
        put(scope, list, &attr);
    }
    return TQ_OK;
}

/* ---- calls ---- */

tq_status tq_rule_call(tq_rule_scope *scope, const tq_expr *expr, int n_outputs, tq_rule_item *out)
{
    const tq_rule_found *found = scope->found;
    const tq_node *like =
        expr->op || !found->count[expr->node] ? NULL : found->nodes[expr->node][0];
    if (!expr->op && !like)
        return fail(scope, expr, "this node is absent here");
    const tq_op *op = like ? tq_node_op(like) : expr->op;
    const int n_rest = expr->rest ? tq_node_n_inputs(like) - expr->n_args : 0;
    const int n = expr->n_args + (n_rest > 0 ? n_rest : 0);
    tq_rule_item *args = TQ_NEW_N(scope->arena, tq_rule_item, n);
    for (int i = 0; i < expr->n_args; i++)
        if (expr->args[i])
            TQ_TRY(tq_rule_evaluate(scope, expr->args[i], &args[i]));
    for (int i = expr->n_args; i < n; i++)
        if (tq_node_input(like, i))
            args[i] = (tq_rule_item){ .kind = TQ_ITEM_VALUE, .value = tq_node_input(like, i) };
    attr_list attrs = { 0 };
    TQ_TRY(read_attrs(scope, expr, op, &attrs));
    return tq_rule_build(scope, expr, op, args, n, attrs.items, attrs.n, n_outputs, out);
}

static tq_status build_named(tq_rule_scope *scope, const tq_expr *expr, const char *op,
                             const tq_rule_item *args, int n_args, const tq_attr *attrs,
                             int n_attrs, tq_rule_item *out)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(scope->found->rule->registry, TQ_KIND_OP, op, &entry));
    return tq_rule_build(scope, expr, (const tq_op *)(const void *)entry, args, n_args, attrs,
                         n_attrs, 1, out);
}

/* ---- functions that build ---- */

static double number_of(const char *function, double v)
{
    switch (*function) {
    case '-':
        return -v;
    case 's':
        return sqrt(v);
    case 'e':
        return exp(v);
    case 'l':
        return log(v);
    case 'a':
        return fabs(v);
    case 'f':
        return floor(v);
    case 'c':
        return ceil(v);
    default:
        return rint(v);
    }
}

tq_status tq_rule_unary(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                        tq_rule_item *out)
{
    static const char *const ops[][2] = { { "-", "Neg" },     { "sqrt", "Sqrt" },
                                          { "exp", "Exp" },   { "log", "Log" },
                                          { "abs", "Abs" },   { "floor", "Floor" },
                                          { "ceil", "Ceil" }, { "round", "Round" } };
    tq_rule_item number;
    if (args[0].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    if (args[0].kind == TQ_ITEM_LIST) {
        tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, args[0].n);
        for (int i = 0; i < args[0].n; i++)
            TQ_TRY(tq_rule_unary(scope, expr, &args[0].items[i], 1, &items[i]));
        *out = (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = args[0].n, .items = items };
        return TQ_OK;
    }
    if (args[0].kind == TQ_ITEM_VALUE && scope->replaces) {
        int i = 0;
        while (strcmp(ops[i][0], expr->text) != 0)
            i++;
        return build_named(scope, expr, ops[i][1], args, n, NULL, 0, out);
    }
    if (!tq_rule_as_number(&args[0], &number))
        return fail(scope, expr, "takes a number or a constant of one element");
    if (*expr->text == '-' && !number.is_float && number.i != INT64_MIN)
        *out = tq_rule_integer(-number.i);
    else
        *out = tq_rule_number(number_of(expr->text, number.f));
    return TQ_OK;
}

tq_status tq_rule_cast(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                       tq_rule_item *out)
{
    static const struct {
        tq_dtype dtype;
        int onnx; /* TensorProto.DataType */
    } numbers[] = { { TQ_F32, 1 },  { TQ_U8, 2 },   { TQ_I8, 3 },   { TQ_U16, 4 },  { TQ_I16, 5 },
                    { TQ_I32, 6 },  { TQ_I64, 7 },  { TQ_BOOL, 9 }, { TQ_F16, 10 }, { TQ_F64, 11 },
                    { TQ_U32, 12 }, { TQ_U64, 13 }, { TQ_BF16, 16 } };
    (void)n;
    if (args[0].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    const tq_dtype dtype = args[1].kind == TQ_ITEM_TEXT ? tq_dtype_parse(args[1].text) : TQ_NONE;
    for (int i = 0; i < TQ_COUNT(numbers); i++)
        if (numbers[i].dtype == dtype)
            return build_named(scope, expr, "Cast", args, 1,
                               (tq_attr[]){ TQ_INT("to", numbers[i].onnx) }, 1, out);
    return fail(scope, expr, "cast takes a value and a dtype such as \"f32\"");
}

/* [C] as [1, C, 1, ...]: what multiplies or adds along one axis of a tensor of that rank. */
tq_status tq_rule_along(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                        tq_rule_item *out)
{
    tq_rule_item axis, rank, dims[TQ_MAX_RANK];
    (void)n;
    if (args[0].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    const bool is_vector = args[0].kind == TQ_ITEM_VALUE || args[0].kind == TQ_ITEM_LIST;
    if (!is_vector || !tq_rule_as_number(&args[1], &axis) || !tq_rule_as_number(&args[2], &rank) ||
        axis.is_float || rank.is_float || rank.i < 1 || rank.i > TQ_MAX_RANK || axis.i < -rank.i ||
        axis.i >= rank.i)
        return fail(scope, expr, "along takes a value or a list, an axis and a rank");
    for (int i = 0; i < rank.i; i++)
        dims[i] = tq_rule_integer(i == (axis.i < 0 ? axis.i + rank.i : axis.i) ? -1 : 1);
    const tq_rule_item reshaped[] = { args[0],
                                      { .kind = TQ_ITEM_LIST, .n = (int)rank.i, .items = dims } };
    return build_named(scope, expr, "Reshape", reshaped, 2, NULL, 0, out);
}

/* full([C, 1, 2, 2], 0.25): a constant, f32 unless a third argument says otherwise. */
tq_status tq_rule_full(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                       tq_rule_item *out)
{
    tq_rule_item number;
    tq_type type = { .dtype = n == 3 && args[2].kind == TQ_ITEM_TEXT ? tq_dtype_parse(args[2].text)
                                                                     : TQ_F32 };
    if (args[0].kind != TQ_ITEM_LIST || args[0].n > TQ_MAX_RANK ||
        !tq_rule_as_number(&args[1], &number) || type.dtype == TQ_NONE)
        return fail(scope, expr, "full takes a list of sizes, a number and perhaps a dtype");
    type.rank = args[0].n;
    for (int i = 0; i < type.rank; i++) {
        if (!whole(&args[0].items[i], &type.dims[i]) || type.dims[i] < 0)
            return fail(scope, expr, "a size is not known, or no whole number");
    }
    size_t size;
    tq_tensor tensor;
    TQ_TRY(tq_type_size(&type, &size));
    if (size > MAX_FOLDED_BYTES)
        return fail(scope, expr, "the constant is larger than 64 MiB");
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_tensor_count(&tensor); i++)
        tq_store_f64(tensor.data, type.dtype, i, number.f);
    *out = (tq_rule_item){ .kind = TQ_ITEM_VALUE };
    const tq_status status = add_tensor(scope, &tensor, &out->value);
    tq_tensor_reset(&tensor);
    return status;
}
