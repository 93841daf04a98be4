/* Reading expressions of rules. Weakest first:
 *   or | and | not | == != < <= > >= in | + - | * / // % | - | ** | ??
 * then numbers, "texts", [lists], names, node.attribute, functions and operators. */
#include "rewrite/rule_parse_internal.h"

#include <ctype.h>
#include <string.h>

typedef tq_status (*level)(tq_rule_parser *p, const tq_expr **out);

static tq_expr *new_expr(tq_rule_parser *p, tq_expr_kind kind)
{
    tq_expr *expr = TQ_NEW(p->arena, tq_expr);
    expr->kind = kind;
    expr->place = p->at->place;
    return expr;
}

static const tq_expr *pair(tq_rule_parser *p, const tq_token *sign, const tq_expr *a,
                           const tq_expr *b)
{
    tq_expr *expr = new_expr(p, TQ_EXPR_BINARY);
    expr->place = sign->place;
    expr->text = sign->text;
    expr->n_args = 2;
    expr->args = TQ_NEW_N(p->arena, const tq_expr *, 2);
    expr->args[0] = a;
    expr->args[1] = b;
    return expr;
}

/* A level of left-associative signs over the next stronger one. */
static tq_status chain(tq_rule_parser *p, const char *const *signs, level next, const tq_expr **out)
{
    TQ_TRY(next(p, out));
    for (int n = 0;; n++) {
        const tq_token *sign = p->at;
        bool found = false;
        for (int i = 0; signs[i] && !found; i++)
            found = tq_rule_take(p, signs[i]);
        if (!found)
            return TQ_OK;
        if (n == TQ_RULE_MAX_DEPTH)
            return tq_rule_error(p, "more than %d operations in a row", TQ_RULE_MAX_DEPTH);
        const tq_expr *right;
        TQ_TRY(next(p, &right));
        *out = pair(p, sign, *out, right);
    }
}

static tq_status read_unary(tq_rule_parser *p, level operand, const tq_expr **out)
{
    tq_expr *expr = new_expr(p, TQ_EXPR_UNARY);
    expr->text = p->at->text;
    p->at++;
    expr->n_args = 1;
    expr->args = TQ_NEW_N(p->arena, const tq_expr *, 1);
    TQ_TRY(tq_rule_deepen(p));
    TQ_TRY(operand(p, &expr->args[0]));
    p->depth--;
    *out = expr;
    return TQ_OK;
}

/* ---- calls ---- */

static tq_status push_arg(tq_rule_parser *p, tq_expr *call, size_t *capacity, const tq_expr *arg)
{
    if (call->n_args == TQ_RULE_MAX_ARGS)
        return tq_rule_error(p, "more than %d arguments", TQ_RULE_MAX_ARGS);
    TQ_PUSH(p->arena, call->args, call->n_args, *capacity, arg);
    return TQ_OK;
}

/* "(a, , b, ...)": nothing between commas is an absent input. */
static tq_status read_args(tq_rule_parser *p, tq_expr *call)
{
    size_t capacity = 0;
    TQ_TRY(tq_rule_expect(p, "("));
    if (tq_rule_take(p, ")"))
        return TQ_OK;
    do {
        const tq_expr *arg = NULL;
        if (tq_rule_take(p, "...")) {
            if (call->kind != TQ_EXPR_OPERATOR || call->op)
                return tq_rule_error(p, "'...' stands only in '@node(...)'");
            call->rest = true;
            return tq_rule_expect(p, ")");
        }
        if (!tq_rule_sees(p, ",") && !tq_rule_sees(p, ")"))
            TQ_TRY(tq_rule_expr(p, &arg));
        TQ_TRY(push_arg(p, call, &capacity, arg));
    } while (tq_rule_take(p, ","));
    return tq_rule_expect(p, ")");
}

static tq_status read_attr(tq_rule_parser *p, const tq_expr *call, tq_expr_attr *attr)
{
    *attr = (tq_expr_attr){ .place = p->at->place };
    if (tq_rule_take(p, "..."))
        return tq_rule_node_name(p, &attr->node);
    const tq_token *name = p->at;
    TQ_TRY(tq_rule_name_token(p, &attr->name));
    if (call->op)
        TQ_TRY(tq_rule_check_attr(p, &call->op, 1, name));
    TQ_TRY(tq_rule_expect(p, "="));
    return tq_rule_expr(p, &attr->value);
}

static tq_status read_attrs(tq_rule_parser *p, tq_expr *call)
{
    size_t capacity = 0;
    tq_expr_attr *attrs = NULL;
    if (!tq_rule_take(p, "["))
        return TQ_OK;
    while (!tq_rule_take(p, "]")) {
        tq_expr_attr attr;
        TQ_TRY(read_attr(p, call, &attr));
        if (call->n_attrs == TQ_RULE_MAX_ARGS)
            return tq_rule_error(p, "more than %d attributes", TQ_RULE_MAX_ARGS);
        TQ_PUSH(p->arena, attrs, call->n_attrs, capacity, attr);
        if (!tq_rule_take(p, ",") && !tq_rule_sees(p, "]"))
            return tq_rule_error(p, "expected ',' or ']', found '%s'", p->at->text);
    }
    call->attrs = attrs;
    return TQ_OK;
}

static tq_status need_replacement(tq_rule_parser *p, const tq_expr *call, const char *what)
{
    return p->in_replacement ? TQ_OK
                             : tq_rule_fail(TQ_ERR_FORMAT, p->source, call->place,
                                            "%s makes a node: that belongs behind '=>'", what);
}

static tq_status check_n_args(tq_rule_parser *p, const tq_expr *call)
{
    const tq_rule_function *f = call->function;
    if (call->n_args >= f->min_args && call->n_args <= f->max_args)
        return TQ_OK;
    return tq_rule_fail(TQ_ERR_FORMAT, p->source, call->place,
                        "%s takes %d to %d arguments, not %d", f->name, f->min_args, f->max_args,
                        call->n_args);
}

static tq_status read_function(tq_rule_parser *p, const tq_rule_function *function,
                               const tq_expr **out)
{
    tq_expr *call = new_expr(p, TQ_EXPR_FUNCTION);
    call->function = function;
    call->text = function->name;
    p->at++;
    TQ_TRY(read_args(p, call));
    TQ_TRY(check_n_args(p, call));
    *out = call;
    return function->makes ? need_replacement(p, call, function->name) : TQ_OK;
}

static tq_status read_operator(tq_rule_parser *p, const tq_expr **out)
{
    tq_expr *call = new_expr(p, TQ_EXPR_OPERATOR);
    if (tq_rule_take(p, "@"))
        TQ_TRY(tq_rule_node_name(p, &call->node));
    else
        TQ_TRY(tq_rule_op_name(p, &call->op));
    TQ_TRY(need_replacement(p, call, call->op ? call->op->entry.name : "'@'"));
    TQ_TRY(read_args(p, call));
    *out = call;
    return read_attrs(p, call);
}

/* ---- what everything is made of ---- */

static tq_status read_list(tq_rule_parser *p, const tq_expr **out)
{
    tq_expr *list = new_expr(p, TQ_EXPR_LIST);
    size_t capacity = 0;
    TQ_TRY(tq_rule_expect(p, "["));
    while (!tq_rule_take(p, "]")) {
        const tq_expr *item;
        TQ_TRY(tq_rule_expr(p, &item));
        TQ_TRY(push_arg(p, list, &capacity, item));
        if (!tq_rule_take(p, ",") && !tq_rule_sees(p, "]"))
            return tq_rule_error(p, "expected ',' or ']', found '%s'", p->at->text);
    }
    *out = list;
    return TQ_OK;
}

/* "node.attribute". */
static tq_status read_attribute(tq_rule_parser *p, const tq_expr **out)
{
    tq_expr *expr = new_expr(p, TQ_EXPR_ATTR);
    TQ_TRY(tq_rule_node_name(p, &expr->node));
    TQ_TRY(tq_rule_expect(p, "."));
    const tq_token *name = p->at;
    TQ_TRY(tq_rule_name_token(p, &expr->text));
    const tq_rule_node *node = &p->nodes[expr->node];
    TQ_TRY(tq_rule_check_attr(p, node->ops, node->n_ops, name));
    *out = expr;
    return TQ_OK;
}

static tq_status read_word(tq_rule_parser *p, const tq_expr **out)
{
    const tq_token *after = p->at + 1;
    const bool dotted = after->kind == TQ_TOKEN_SIGN && strcmp(after->text, ".") == 0;
    const bool called = after->kind == TQ_TOKEN_SIGN && strcmp(after->text, "(") == 0;
    if (dotted)
        return read_attribute(p, out);
    const tq_rule_function *function = called ? tq_rule_function_find(p->at->text) : NULL;
    if (function)
        return read_function(p, function, out);
    if (called && islower((unsigned char)*p->at->text) &&
        !tq_registry_get(p->registry, TQ_KIND_OP, p->at->text))
        return tq_rule_fail(TQ_ERR_NOT_FOUND, p->source, p->at->place, "there is no function '%s'",
                            p->at->text);
    if (called)
        return read_operator(p, out);
    tq_expr *expr = new_expr(p, TQ_EXPR_NAME);
    expr->name = tq_rule_find_name(p, p->at->text);
    if (expr->name < 0)
        return tq_rule_error(p, "nothing is named '%s' here", p->at->text);
    p->at++;
    *out = expr;
    return TQ_OK;
}

static tq_status read_literal(tq_rule_parser *p, tq_expr_kind kind, const tq_expr **out)
{
    tq_expr *expr = new_expr(p, kind);
    expr->token = p->at;
    expr->text = p->at->text;
    p->at++;
    *out = expr;
    return TQ_OK;
}

static tq_status read_primary(tq_rule_parser *p, const tq_expr **out)
{
    if (p->at->kind == TQ_TOKEN_NUMBER)
        return read_literal(p, TQ_EXPR_NUMBER, out);
    if (p->at->kind == TQ_TOKEN_TEXT)
        return read_literal(p, TQ_EXPR_TEXT, out);
    TQ_TRY(tq_rule_deepen(p));
    tq_status status;
    if (p->at->kind == TQ_TOKEN_NAME)
        status = read_word(p, out);
    else if (tq_rule_sees(p, "["))
        status = read_list(p, out);
    else if (tq_rule_sees(p, "@"))
        status = read_operator(p, out);
    else if (tq_rule_take(p, "(")) {
        status = tq_rule_expr(p, out);
        if (!status)
            status = tq_rule_expect(p, ")");
    } else
        status = tq_rule_error(p, "expected an expression, found '%s'", p->at->text);
    p->depth--;
    return status;
}

/* ---- levels ---- */

static tq_status read_otherwise(tq_rule_parser *p, const tq_expr **out)
{
    return chain(p, (const char *const[]){ "??", NULL }, read_primary, out);
}

static tq_status read_signed(tq_rule_parser *p, const tq_expr **out);

static tq_status read_power(tq_rule_parser *p, const tq_expr **out)
{
    TQ_TRY(read_otherwise(p, out));
    const tq_token *sign = p->at;
    if (!tq_rule_take(p, "**"))
        return TQ_OK;
    const tq_expr *exponent;
    TQ_TRY(tq_rule_deepen(p));
    TQ_TRY(read_signed(p, &exponent));
    p->depth--;
    *out = pair(p, sign, *out, exponent);
    return TQ_OK;
}

static tq_status read_signed(tq_rule_parser *p, const tq_expr **out)
{
    return tq_rule_sees(p, "-") ? read_unary(p, read_signed, out) : read_power(p, out);
}

static tq_status read_product(tq_rule_parser *p, const tq_expr **out)
{
    return chain(p, (const char *const[]){ "*", "/", "//", "%", NULL }, read_signed, out);
}

static tq_status read_sum(tq_rule_parser *p, const tq_expr **out)
{
    return chain(p, (const char *const[]){ "+", "-", NULL }, read_product, out);
}

static tq_status read_comparison(tq_rule_parser *p, const tq_expr **out)
{
    static const char *const signs[] = { "==", "!=", "<=", ">=", "<", ">", "in" };
    TQ_TRY(read_sum(p, out));
    const tq_token *sign = p->at;
    bool found = false;
    for (int i = 0; i < TQ_COUNT(signs) && !found; i++)
        found = tq_rule_take(p, signs[i]);
    if (!found)
        return TQ_OK;
    const tq_expr *right;
    TQ_TRY(read_sum(p, &right));
    *out = pair(p, sign, *out, right);
    return TQ_OK;
}

static tq_status read_not(tq_rule_parser *p, const tq_expr **out)
{
    return tq_rule_sees(p, "not") ? read_unary(p, read_not, out) : read_comparison(p, out);
}

static tq_status read_and(tq_rule_parser *p, const tq_expr **out)
{
    return chain(p, (const char *const[]){ "and", NULL }, read_not, out);
}

tq_status tq_rule_expr(tq_rule_parser *p, const tq_expr **out)
{
    TQ_TRY(tq_rule_deepen(p));
    TQ_TRY(chain(p, (const char *const[]){ "or", NULL }, read_and, out));
    p->depth--;
    return TQ_OK;
}

/* ---- attribute conditions of a pattern ---- */

tq_status tq_rule_attr_condition(tq_rule_parser *p, int node, tq_rule_attr *out)
{
    static const char *const signs[] = { "=", "==", "!=", "<=", ">=", "<", ">", "in" };
    tq_expr *attr = new_expr(p, TQ_EXPR_ATTR);
    const tq_token *name = p->at, *sign = NULL;
    attr->node = node;
    TQ_TRY(tq_rule_name_token(p, &attr->text));
    TQ_TRY(tq_rule_check_attr(p, p->nodes[node].ops, p->nodes[node].n_ops, name));
    for (int i = 0; i < TQ_COUNT(signs) && !sign; i++)
        if (tq_rule_sees(p, signs[i]))
            sign = p->at++;
    if (!sign)
        return tq_rule_error(p, "expected '=', '!=', '<', '<=', '>', '>=' or 'in', found '%s'",
                             p->at->text);
    const tq_expr *right;
    const tq_token *first = p->at;
    TQ_TRY(tq_rule_expr(p, &right));
    tq_token equal = *sign;
    if (strcmp(sign->text, "=") == 0)
        equal.text = "==";
    out->condition = pair(p, &equal, attr, right);
    out->at_once = true; /* nothing but literals */
    for (const tq_token *t = first; t < p->at; t++)
        out->at_once = out->at_once && t->kind != TQ_TOKEN_NAME;
    return TQ_OK;
}
