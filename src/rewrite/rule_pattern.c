/* Reading the pattern of a rule: statements "y = Op(args) [conditions] sole", nested calls, and
 * "where" conditions. */
#include "rewrite/rule_parse_internal.h"

#include <limits.h>
#include <string.h>

static tq_status read_call(tq_rule_parser *p, int n_targets, const int *targets);

/* The index of a name, made if it is new. */
static tq_status declare(tq_rule_parser *p, const char *text, int *out)
{
    *out = text ? tq_rule_find_name(p, text) : -1;
    if (*out >= 0)
        return TQ_OK;
    if (p->n_names == TQ_RULE_MAX_NAMES)
        return tq_rule_error(p, "more than %d names", TQ_RULE_MAX_NAMES);
    *out = p->n_names++;
    p->names[*out] = (tq_rule_name){ .text = text, .place = p->at->place, .node = -1 };
    return TQ_OK;
}

/* ---- inputs ---- */

static tq_status read_kind(tq_rule_parser *p, unsigned *needs)
{
    static const struct {
        const char *word;
        unsigned needs;
    } kinds[] = { { "const", TQ_NEEDS_CONST },
                  { "scalar", TQ_NEEDS_CONST | TQ_NEEDS_SCALAR },
                  { "input", TQ_NEEDS_INPUT },
                  { "dynamic", TQ_NEEDS_DYNAMIC } };
    for (int i = 0; i < TQ_COUNT(kinds); i++)
        if (tq_rule_take(p, kinds[i].word)) {
            *needs |= kinds[i].needs;
            return TQ_OK;
        }
    return tq_rule_error(p, "expected const, scalar, input or dynamic, found '%s'", p->at->text);
}

static tq_status read_named_input(tq_rule_parser *p, tq_rule_input *input)
{
    const char *text;
    input->kind = TQ_INPUT_NAME;
    TQ_TRY(tq_rule_name_token(p, &text));
    if (strcmp(text, "_") == 0) {
        input->kind = TQ_INPUT_ANY;
    } else {
        TQ_TRY(declare(p, text, &input->name));
        if (tq_rule_take(p, ":"))
            TQ_TRY(read_kind(p, &p->names[input->name].needs));
    }
    input->optional = tq_rule_take(p, "?");
    return TQ_OK;
}

static tq_status read_number_input(tq_rule_parser *p, tq_rule_input *input)
{
    const double sign = tq_rule_take(p, "-") ? -1.0 : 1.0;
    input->kind = TQ_INPUT_NUMBER;
    if (p->at->kind != TQ_TOKEN_NUMBER)
        return tq_rule_error(p, "expected a number, found '%s'", p->at->text);
    input->number = sign * p->at->f;
    p->at++;
    return TQ_OK;
}

static bool starts_call(const tq_rule_parser *p)
{
    const tq_token *next = p->at + 1;
    return p->at->kind == TQ_TOKEN_NAME && next->kind == TQ_TOKEN_SIGN &&
           (strcmp(next->text, "(") == 0 || strcmp(next->text, "|") == 0);
}

static tq_status read_input(tq_rule_parser *p, tq_rule_input *input)
{
    *input = (tq_rule_input){ .kind = TQ_INPUT_ABSENT };
    if (tq_rule_sees(p, ",") || tq_rule_sees(p, ")"))
        return TQ_OK;
    if (starts_call(p)) {
        input->kind = TQ_INPUT_NAME;
        TQ_TRY(declare(p, NULL, &input->name));
        return read_call(p, 1, &input->name);
    }
    if (p->at->kind == TQ_TOKEN_NAME)
        return read_named_input(p, input);
    return read_number_input(p, input);
}

static tq_status read_inputs(tq_rule_parser *p, tq_rule_node *node)
{
    size_t capacity = 0;
    TQ_TRY(tq_rule_expect(p, "("));
    if (tq_rule_take(p, ")"))
        return TQ_OK;
    do {
        tq_rule_input input;
        if (tq_rule_take(p, "...")) {
            node->rest = true;
            break;
        }
        TQ_TRY(read_input(p, &input));
        if (node->n_inputs == TQ_RULE_MAX_ARGS)
            return tq_rule_error(p, "more than %d inputs", TQ_RULE_MAX_ARGS);
        TQ_PUSH(p->arena, node->inputs, node->n_inputs, capacity, input);
    } while (tq_rule_take(p, ","));
    return tq_rule_expect(p, ")");
}

/* ---- nodes ---- */

static tq_status read_ops(tq_rule_parser *p, tq_rule_node *node)
{
    size_t capacity = 0;
    if (tq_rule_take(p, "_"))
        return TQ_OK;
    do {
        const tq_op *op;
        TQ_TRY(tq_rule_op_name(p, &op));
        TQ_PUSH(p->arena, node->ops, node->n_ops, capacity, op);
    } while (tq_rule_take(p, "|"));
    return TQ_OK;
}

static tq_status read_quantifier(tq_rule_parser *p, tq_rule_node *node)
{
    const tq_token *sign = p->at;
    node->min = tq_rule_sees(p, "?") || tq_rule_sees(p, "*") ? 0 : 1;
    node->max = tq_rule_sees(p, "+") || tq_rule_sees(p, "*") ? INT_MAX : 1;
    if (node->min == 1 && node->max == 1)
        return TQ_OK;
    p->at++;
    if (node->n_outputs != 1 || node->n_inputs < 1 || node->inputs[0].kind != TQ_INPUT_NAME)
        return tq_rule_fail(TQ_ERR_FORMAT, p->source, sign->place,
                            "a part with '%s' needs one output and a named input 0", sign->text);
    return TQ_OK;
}

static tq_status read_conditions(tq_rule_parser *p, int k)
{
    size_t capacity = 0;
    tq_rule_node *node = &p->nodes[k];
    if (!tq_rule_take(p, "["))
        return TQ_OK;
    while (!tq_rule_take(p, "]")) {
        tq_rule_attr attr = { 0 };
        const tq_place place = p->at->place;
        TQ_TRY(tq_rule_attr_condition(p, k, &attr));
        if (node->max > 1 && !attr.at_once)
            return tq_rule_fail(TQ_ERR_FORMAT, p->source, place,
                                "a condition on a repeated part takes only literals");
        TQ_PUSH(p->arena, node->attrs, node->n_attrs, capacity, attr);
        if (!tq_rule_take(p, ",") && !tq_rule_sees(p, "]"))
            return tq_rule_error(p, "expected ',' or ']', found '%s'", p->at->text);
    }
    return TQ_OK;
}

static void read_flags(tq_rule_parser *p, tq_rule_node *node)
{
    for (bool more = true; more;) {
        more = false;
        if (tq_rule_take(p, "sole"))
            more = node->sole = true;
        if (tq_rule_take(p, "commutative"))
            more = node->commutative = true;
    }
}

static tq_status add_node(tq_rule_parser *p, const tq_rule_node *node)
{
    if (p->n_nodes == TQ_RULE_MAX_NODES)
        return tq_rule_error(p, "more than %d nodes in a pattern", TQ_RULE_MAX_NODES);
    for (int i = 0; i < node->n_outputs; i++) {
        tq_rule_name *output = &p->names[node->outputs[i]];
        if (output->node >= 0)
            return tq_rule_fail(TQ_ERR_FORMAT, p->source, node->place, "'%s' has two makers",
                                output->text);
        output->node = p->n_nodes;
    }
    p->nodes[p->n_nodes++] = *node;
    return TQ_OK;
}

static tq_status read_call(tq_rule_parser *p, int n_targets, const int *targets)
{
    tq_rule_node node = { .place = p->at->place, .n_outputs = n_targets, .min = 1, .max = 1 };
    node.outputs = tq_arena_memdup(p->arena, targets, (size_t)n_targets * sizeof *targets);
    TQ_TRY(tq_rule_deepen(p));
    TQ_TRY(read_ops(p, &node));
    TQ_TRY(read_inputs(p, &node));
    TQ_TRY(read_quantifier(p, &node));
    TQ_TRY(add_node(p, &node));
    const int k = p->n_nodes - 1;
    TQ_TRY(read_conditions(p, k));
    read_flags(p, &p->nodes[k]);
    if (p->nodes[k].commutative && (node.n_inputs < 2 || node.n_inputs > 5))
        return tq_rule_fail(TQ_ERR_FORMAT, p->source, node.place,
                            "'commutative' takes 2 to 5 inputs, not %d", node.n_inputs);
    p->depth--;
    return TQ_OK;
}

static tq_status read_statement(tq_rule_parser *p)
{
    int n = 0, targets[TQ_RULE_MAX_ARGS];
    do {
        const char *text;
        if (n == TQ_RULE_MAX_ARGS)
            return tq_rule_error(p, "more than %d outputs", TQ_RULE_MAX_ARGS);
        TQ_TRY(tq_rule_name_token(p, &text));
        TQ_TRY(declare(p, text, &targets[n++]));
    } while (tq_rule_take(p, ","));
    TQ_TRY(tq_rule_expect(p, "="));
    return read_call(p, n, targets);
}

/* ---- the whole pattern ---- */

static tq_status read_where(tq_rule_parser *p, tq_rule *rule)
{
    size_t capacity = 0;
    if (!tq_rule_take(p, "where"))
        return TQ_OK;
    do {
        const tq_expr *condition;
        TQ_TRY(tq_rule_expr(p, &condition));
        if (rule->n_conditions == TQ_RULE_MAX_NAMES)
            return tq_rule_error(p, "more than %d conditions", TQ_RULE_MAX_NAMES);
        TQ_PUSH(p->arena, rule->conditions, rule->n_conditions, capacity, condition);
    } while (tq_rule_take(p, ","));
    tq_rule_take(p, ";");
    return TQ_OK;
}

tq_status tq_rule_read_pattern(tq_rule_parser *p, tq_rule *rule)
{
    p->in_replacement = false;
    p->n_nodes = p->n_names = 0;
    p->nodes = TQ_NEW_N(p->arena, tq_rule_node, TQ_RULE_MAX_NODES);
    p->names = TQ_NEW_N(p->arena, tq_rule_name, TQ_RULE_MAX_NAMES);
    while (p->at->kind == TQ_TOKEN_NAME && !tq_rule_sees(p, "where")) {
        TQ_TRY(read_statement(p));
        tq_rule_take(p, ";");
    }
    if (p->n_nodes == 0)
        return tq_rule_error(p, "expected a pattern such as 'y = Relu(x)', found '%s'",
                             p->at->text);
    TQ_TRY(read_where(p, rule));
    rule->source = p->source;
    rule->registry = p->registry;
    rule->n_nodes = p->n_nodes;
    rule->nodes = p->nodes;
    rule->n_captures = rule->n_names = p->n_names;
    rule->names = p->names;
    return tq_rule_plan(rule, p->arena);
}
