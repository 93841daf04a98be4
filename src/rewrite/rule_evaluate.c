/* What expressions of rules are worth: numbers, texts, lists, values of the graph. What this
 * network does not tell (an unknown dimension, an absent input) is UNKNOWN: arithmetic hands it on,
 * conditions with it do not hold. In a replacement, arithmetic on values adds nodes. */
#include "rewrite/rule_internal.h"

#include <math.h>
#include <string.h>

tq_rule_item tq_rule_number(double f)
{
    return (tq_rule_item){ .kind = TQ_ITEM_NUMBER, .is_float = true, .f = f };
}

tq_rule_item tq_rule_integer(int64_t i)
{
    return (tq_rule_item){ .kind = TQ_ITEM_NUMBER, .i = i, .f = (double)i };
}

tq_rule_item tq_rule_text(const char *text)
{
    return (tq_rule_item){ .kind = TQ_ITEM_TEXT, .text = text };
}

tq_rule_item tq_rule_bool(bool truth)
{
    return (tq_rule_item){ .kind = TQ_ITEM_BOOL, .truth = truth };
}

bool tq_rule_as_number(const tq_rule_item *item, tq_rule_item *out)
{
    *out = *item;
    if (item->kind == TQ_ITEM_NUMBER)
        return true;
    const tq_tensor *tensor = item->kind == TQ_ITEM_VALUE ? tq_value_known(item->value) : NULL;
    if (!tensor || tq_tensor_count(tensor) != 1)
        return false;
    const tq_dtype dtype = tensor->type.dtype;
    *out = tq_dtype_is_float(dtype) ? tq_rule_number(tq_load_f64(tensor->data, dtype, 0))
                                    : tq_rule_integer(tq_load_i64(tensor->data, dtype, 0));
    return true;
}

static tq_status fail(const tq_rule_scope *scope, const tq_expr *expr, const char *what)
{
    return tq_rule_fail(TQ_ERR_VALUE, scope->found->rule->source, expr->place, "%s", what);
}

/* ---- arithmetic of numbers ---- */

static tq_status integer_arithmetic(const tq_rule_scope *scope, const tq_expr *expr, int64_t a,
                                    int64_t b, tq_rule_item *out)
{
    const char *sign = expr->text;
    int64_t result = 0;
    bool wraps = false;
    if (*sign == '+')
        wraps = __builtin_add_overflow(a, b, &result);
    else if (*sign == '-')
        wraps = __builtin_sub_overflow(a, b, &result);
    else if (strcmp(sign, "*") == 0)
        wraps = __builtin_mul_overflow(a, b, &result);
    else if (b == 0)
        return fail(scope, expr, "a division by 0");
    else if (a == INT64_MIN)
        wraps = true;
    else if (strcmp(sign, "//") == 0)
        result = a / b - (a % b != 0 && (a < 0) != (b < 0));
    else
        result = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
    if (wraps)
        return fail(scope, expr, "a whole number does not fit 64 bits");
    *out = tq_rule_integer(result);
    return TQ_OK;
}

static double float_arithmetic(const char *sign, double a, double b)
{
    if (strcmp(sign, "**") == 0)
        return pow(a, b);
    if (strcmp(sign, "//") == 0)
        return floor(a / b);
    switch (*sign) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    default:
        return a - b * floor(a / b);
    }
}

static tq_status number_arithmetic(const tq_rule_scope *scope, const tq_expr *expr,
                                   const tq_rule_item *a, const tq_rule_item *b, tq_rule_item *out)
{
    const bool real = strcmp(expr->text, "/") == 0 || strcmp(expr->text, "**") == 0;
    if (!a->is_float && !b->is_float && !real)
        return integer_arithmetic(scope, expr, a->i, b->i, out);
    *out = tq_rule_number(float_arithmetic(expr->text, a->f, b->f));
    return TQ_OK;
}

/* ---- arithmetic on values adds nodes ---- */

static tq_status value_arithmetic(tq_rule_scope *scope, const tq_expr *expr,
                                  const tq_rule_item *args, tq_rule_item *out)
{
    static const struct {
        const char *sign, *op;
    } ops[] = { { "+", "Add" }, { "-", "Sub" }, { "*", "Mul" }, { "/", "Div" }, { "**", "Pow" } };
    for (int i = 0; i < TQ_COUNT(ops); i++) {
        if (strcmp(ops[i].sign, expr->text) != 0)
            continue;
        const tq_entry *entry;
        const tq_registry *registry = scope->found->rule->registry;
        tq_rule_item operands[] = { args[0], args[1] };
        for (int k = 0; k < 2; k++)
            if (args[k].kind == TQ_ITEM_LIST)
                TQ_TRY(tq_rule_list_beside(scope, expr, &args[1 - k], &operands[k]));
        TQ_TRY(tq_registry_find(registry, TQ_KIND_OP, ops[i].op, &entry));
        return tq_rule_build(scope, expr, (const tq_op *)(const void *)entry, operands, 2, NULL, 0,
                             1, out);
    }
    return fail(scope, expr, "this is for numbers, not for values");
}

static tq_rule_item concatenate(tq_rule_scope *scope, const tq_rule_item *a, const tq_rule_item *b)
{
    tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, a->n + b->n);
    for (int i = 0; i < a->n + b->n; i++)
        items[i] = i < a->n ? a->items[i] : b->items[i - a->n];
    return (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = a->n + b->n, .items = items };
}

static tq_status arithmetic(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                            tq_rule_item *out);

/* Element by element; a number counts for all of them. */
static tq_status list_arithmetic(tq_rule_scope *scope, const tq_expr *expr,
                                 const tq_rule_item *args, tq_rule_item *out)
{
    const bool both = args[0].kind == args[1].kind;
    const int n = args[0].kind == TQ_ITEM_LIST ? args[0].n : args[1].n;
    if (both && *expr->text == '+') {
        *out = concatenate(scope, &args[0], &args[1]);
        return TQ_OK;
    }
    if (both && args[0].n != args[1].n)
        return fail(scope, expr, "the lists have different lengths");
    tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, n);
    for (int i = 0; i < n; i++) {
        const tq_rule_item pair[] = { args[0].kind == TQ_ITEM_LIST ? args[0].items[i] : args[0],
                                      args[1].kind == TQ_ITEM_LIST ? args[1].items[i] : args[1] };
        TQ_TRY(arithmetic(scope, expr, pair, &items[i]));
    }
    *out = (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = n, .items = items };
    return TQ_OK;
}

static tq_status arithmetic(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                            tq_rule_item *out)
{
    tq_rule_item a, b;
    if (args[0].kind == TQ_ITEM_UNKNOWN || args[1].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    const bool values = args[0].kind == TQ_ITEM_VALUE || args[1].kind == TQ_ITEM_VALUE;
    if (values && scope->replaces)
        return value_arithmetic(scope, expr, args, out);
    if (args[0].kind == TQ_ITEM_LIST || args[1].kind == TQ_ITEM_LIST)
        return list_arithmetic(scope, expr, args, out);
    if (tq_rule_as_number(&args[0], &a) && tq_rule_as_number(&args[1], &b))
        return number_arithmetic(scope, expr, &a, &b, out);
    return fail(scope, expr,
                values ? "a condition computes with numbers and constants of one "
                         "element only"
                       : "texts have no arithmetic");
}

/* ---- comparison ---- */

/* -1, 0, 1; 2: not equal, without an order. */
static int compare_items(const tq_rule_item *a, const tq_rule_item *b)
{
    tq_rule_item x, y;
    if (tq_rule_as_number(a, &x) && tq_rule_as_number(b, &y)) {
        if (!x.is_float && !y.is_float)
            return (x.i > y.i) - (x.i < y.i);
        return isnan(x.f) || isnan(y.f) ? 2 : (x.f > y.f) - (x.f < y.f);
    }
    if (a->kind == TQ_ITEM_TEXT && b->kind == TQ_ITEM_TEXT)
        return strcmp(a->text, b->text) ? 2 : 0;
    if (a->kind == TQ_ITEM_BOOL && b->kind == TQ_ITEM_BOOL)
        return a->truth == b->truth ? 0 : 2;
    if (a->kind == TQ_ITEM_VALUE && b->kind == TQ_ITEM_VALUE)
        return a->value == b->value ? 0 : 2;
    if (a->kind != TQ_ITEM_LIST || b->kind != TQ_ITEM_LIST || a->n != b->n)
        return 2;
    for (int i = 0; i < a->n; i++)
        if (compare_items(&a->items[i], &b->items[i]) != 0)
            return 2;
    return 0;
}

/* Something in it is not known: it is then equal to nothing and different from nothing. */
static bool has_unknown(const tq_rule_item *item)
{
    for (int i = 0; item->kind == TQ_ITEM_LIST && i < item->n; i++)
        if (has_unknown(&item->items[i]))
            return true;
    return item->kind == TQ_ITEM_UNKNOWN;
}

/* Lists (shapes, scales of channels) have no order: whether one is larger is not known. */
static bool lacks_order(const tq_rule_item *args)
{
    return args[0].kind == TQ_ITEM_LIST || args[1].kind == TQ_ITEM_LIST;
}

static tq_status compare(const tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                         tq_rule_item *out)
{
    if (has_unknown(&args[0]) || has_unknown(&args[1]))
        return TQ_OK;
    if (strcmp(expr->text, "in") == 0) {
        if (args[1].kind != TQ_ITEM_LIST)
            return fail(scope, expr, "'in' takes a list");
        *out = tq_rule_bool(false);
        for (int i = 0; i < args[1].n; i++)
            out->truth = out->truth || compare_items(&args[0], &args[1].items[i]) == 0;
        return TQ_OK;
    }
    const int order = compare_items(&args[0], &args[1]);
    const char *sign = expr->text;
    if ((*sign == '<' || *sign == '>') && lacks_order(args))
        return TQ_OK;
    if (strcmp(sign, "==") == 0 || strcmp(sign, "!=") == 0)
        *out = tq_rule_bool((order == 0) == (*sign == '='));
    else if (strcmp(sign, "<") == 0)
        *out = tq_rule_bool(order == -1);
    else if (strcmp(sign, "<=") == 0)
        *out = tq_rule_bool(order == -1 || order == 0);
    else if (strcmp(sign, ">") == 0)
        *out = tq_rule_bool(order == 1);
    else
        *out = tq_rule_bool(order == 1 || order == 0);
    return TQ_OK;
}

/* ---- signs ---- */

/* "and", "or": what decides alone is worth it, whatever the other is. */
static tq_status logic(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    const bool decisive = strcmp(expr->text, "or") == 0;
    bool unknown = false;
    for (int i = 0; i < 2; i++) {
        tq_rule_item item;
        TQ_TRY(tq_rule_evaluate(scope, expr->args[i], &item));
        if (item.kind == TQ_ITEM_UNKNOWN)
            unknown = true;
        else if (item.kind != TQ_ITEM_BOOL)
            return fail(scope, expr->args[i], "a condition was expected here");
        else if (item.truth == decisive) {
            *out = item;
            return TQ_OK;
        }
    }
    if (!unknown)
        *out = tq_rule_bool(!decisive);
    return TQ_OK;
}

static tq_status binary(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    tq_rule_item args[2];
    if (strcmp(expr->text, "and") == 0 || strcmp(expr->text, "or") == 0)
        return logic(scope, expr, out);
    TQ_TRY(tq_rule_evaluate(scope, expr->args[0], &args[0]));
    if (strcmp(expr->text, "??") == 0 && args[0].kind != TQ_ITEM_UNKNOWN) {
        *out = args[0];
        return TQ_OK;
    }
    TQ_TRY(tq_rule_evaluate(scope, expr->args[1], &args[1]));
    if (strcmp(expr->text, "??") == 0) {
        *out = args[1];
        return TQ_OK;
    }
    return strchr("=!<>i", *expr->text) ? compare(scope, expr, args, out)
                                        : arithmetic(scope, expr, args, out);
}

static tq_status unary(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    tq_rule_item item;
    TQ_TRY(tq_rule_evaluate(scope, expr->args[0], &item));
    if (item.kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    if (strcmp(expr->text, "not") == 0) {
        if (item.kind != TQ_ITEM_BOOL)
            return fail(scope, expr->args[0], "a condition was expected here");
        *out = tq_rule_bool(!item.truth);
        return TQ_OK;
    }
    return tq_rule_unary(scope, expr, &item, 1, out);
}

/* ---- names, attributes, lists, calls ---- */

static tq_rule_item attribute_item(const tq_attr *attr, tq_arena *arena)
{
    tq_rule_item item = { .kind = TQ_ITEM_LIST };
    switch (attr->kind) {
    case TQ_ATTR_INT:
        return tq_rule_integer(attr->i);
    case TQ_ATTR_FLOAT:
        return tq_rule_number((double)attr->f);
    case TQ_ATTR_STRING:
        return tq_rule_text(attr->s ? attr->s : "");
    case TQ_ATTR_INTS:
    case TQ_ATTR_FLOATS:
    case TQ_ATTR_STRINGS:
        break;
    default:
        return (tq_rule_item){ .kind = TQ_ITEM_UNKNOWN };
    }
    tq_rule_item *items = TQ_NEW_N(arena, tq_rule_item, attr->n);
    for (int i = 0; i < attr->n; i++)
        items[i] = attr->kind == TQ_ATTR_INTS     ? tq_rule_integer(attr->ints[i])
                   : attr->kind == TQ_ATTR_FLOATS ? tq_rule_number((double)attr->floats[i])
                                                  : tq_rule_text(attr->strings[i]);
    item.n = attr->n;
    item.items = items;
    return item;
}

static tq_rule_item attribute(tq_rule_scope *scope, const tq_expr *expr)
{
    const tq_rule_found *found = scope->found;
    const tq_node *node = found->count[expr->node] ? found->nodes[expr->node][0] : NULL;
    const tq_attr *attr = node ? tq_attrs_find(tq_node_attrs(node), expr->text) : NULL;
    return attr ? attribute_item(attr, scope->arena) : (tq_rule_item){ .kind = TQ_ITEM_UNKNOWN };
}

static tq_rule_item named(const tq_rule_scope *scope, const tq_expr *expr)
{
    if (scope->items)
        return scope->items[expr->name];
    tq_value *value = scope->found->values[expr->name];
    return (tq_rule_item){ .kind = value ? TQ_ITEM_VALUE : TQ_ITEM_UNKNOWN, .value = value };
}

static tq_status evaluate_args(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item **out)
{
    *out = TQ_NEW_N(scope->arena, tq_rule_item, expr->n_args);
    for (int i = 0; i < expr->n_args; i++)
        if (expr->args[i])
            TQ_TRY(tq_rule_evaluate(scope, expr->args[i], &(*out)[i]));
    return TQ_OK;
}

static tq_status list(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    tq_rule_item *items;
    TQ_TRY(evaluate_args(scope, expr, &items));
    *out = (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = expr->n_args, .items = items };
    return TQ_OK;
}

static tq_status function(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    tq_rule_item *args;
    TQ_TRY(evaluate_args(scope, expr, &args));
    return expr->function->run(scope, expr, args, expr->n_args, out);
}

tq_status tq_rule_evaluate(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out)
{
    *out = (tq_rule_item){ .kind = TQ_ITEM_UNKNOWN };
    switch (expr->kind) {
    case TQ_EXPR_NUMBER:
        *out = expr->token->is_float ? tq_rule_number(expr->token->f)
                                     : tq_rule_integer(expr->token->i);
        return TQ_OK;
    case TQ_EXPR_TEXT:
        *out = tq_rule_text(expr->text);
        return TQ_OK;
    case TQ_EXPR_LIST:
        return list(scope, expr, out);
    case TQ_EXPR_NAME:
        *out = named(scope, expr);
        return TQ_OK;
    case TQ_EXPR_ATTR:
        *out = attribute(scope, expr);
        return TQ_OK;
    case TQ_EXPR_UNARY:
        return unary(scope, expr, out);
    case TQ_EXPR_BINARY:
        return binary(scope, expr, out);
    case TQ_EXPR_FUNCTION:
        return function(scope, expr, out);
    case TQ_EXPR_OPERATOR:
        break;
    }
    return tq_rule_call(scope, expr, 1, out);
}

tq_status tq_rule_holds(tq_rule_scope *scope, const tq_expr *expr, bool *out)
{
    tq_rule_item item;
    *out = false;
    TQ_TRY(tq_rule_evaluate(scope, expr, &item));
    if (item.kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    if (item.kind != TQ_ITEM_BOOL)
        return fail(scope, expr, "a condition was expected here");
    *out = item.truth;
    return TQ_OK;
}
