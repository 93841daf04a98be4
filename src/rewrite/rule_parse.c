/* Reading rules (docs/rules.md has the grammar):
 *   rule NAME "brief" { stage S; after E; before E;  pattern  where ...  =>  replacement } */
#include "rewrite/rule_parse_internal.h"

#include <stdarg.h>
#include <string.h>

/* ---- the cursor ---- */

tq_status tq_rule_error(const tq_rule_parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *what = tq_arena_vprintf(p->arena, format, args);
    va_end(args);
    return tq_rule_fail(TQ_ERR_FORMAT, p->source, p->at->place, "%s", what);
}

bool tq_rule_sees(const tq_rule_parser *p, const char *token)
{
    return (p->at->kind == TQ_TOKEN_SIGN || p->at->kind == TQ_TOKEN_NAME) &&
           strcmp(p->at->text, token) == 0;
}

bool tq_rule_take(tq_rule_parser *p, const char *token)
{
    const bool sees = tq_rule_sees(p, token);
    p->at += sees;
    return sees;
}

tq_status tq_rule_expect(tq_rule_parser *p, const char *token)
{
    return tq_rule_take(p, token)
               ? TQ_OK
               : tq_rule_error(p, "expected '%s', found '%s'", token, p->at->text);
}

tq_status tq_rule_deepen(tq_rule_parser *p)
{
    if (++p->depth > TQ_RULE_MAX_DEPTH * 4)
        return tq_rule_error(p, "nested too deep");
    return TQ_OK;
}

tq_status tq_rule_name_token(tq_rule_parser *p, const char **out)
{
    if (p->at->kind != TQ_TOKEN_NAME)
        return tq_rule_error(p, "expected a name, found '%s'", p->at->text);
    *out = p->at++->text;
    return TQ_OK;
}

/* ---- names ---- */

int tq_rule_find_name(const tq_rule_parser *p, const char *text)
{
    for (int i = 0; i < p->n_names; i++)
        if (p->names[i].text && strcmp(p->names[i].text, text) == 0)
            return i;
    return -1;
}

tq_status tq_rule_node_name(tq_rule_parser *p, int *out_node)
{
    const tq_token *token = p->at;
    const char *text = NULL;
    TQ_TRY(tq_rule_name_token(p, &text));
    const int name = tq_rule_find_name(p, text);
    *out_node = name < 0 ? -1 : p->names[name].node;
    if (*out_node >= 0)
        return TQ_OK;
    return tq_rule_fail(TQ_ERR_FORMAT, p->source, token->place,
                        "'%s' names no node of the pattern (a node has the name of its output)",
                        text);
}

tq_status tq_rule_op_name(tq_rule_parser *p, const tq_op **out)
{
    const tq_token *token = p->at;
    const char *text = NULL;
    const tq_entry *entry;
    TQ_TRY(tq_rule_name_token(p, &text));
    const tq_status status = tq_registry_find(p->registry, TQ_KIND_OP, text, &entry);
    if (status)
        return tq_wrap(status, "%s: line %d, column %d", p->source, token->place.line,
                       token->place.column);
    *out = (const tq_op *)(const void *)entry;
    return TQ_OK;
}

tq_status tq_rule_check_attr(const tq_rule_parser *p, const tq_op *const *ops, int n_ops,
                             const tq_token *name)
{
    const char *known = NULL;
    for (int k = 0; k < n_ops; k++)
        for (int i = 0; i < TQ_OP_MAX_ATTRS && ops[k]->attrs[i].name; i++) {
            if (strcmp(ops[k]->attrs[i].name, name->text) == 0)
                return TQ_OK;
            known = tq_arena_printf(p->arena, "%s%s%s", known ? known : "", known ? ", " : "",
                                    ops[k]->attrs[i].name);
        }
    if (n_ops == 0)
        return TQ_OK;
    return tq_rule_fail(TQ_ERR_NOT_FOUND, p->source, name->place,
                        "%s has no attribute '%s'; it has %s", ops[0]->entry.name, name->text,
                        known ? known : "none");
}

/* ---- replacements ---- */

static tq_status read_target(tq_rule_parser *p, const tq_rule *rule, int *out)
{
    const tq_token *token = p->at;
    const char *text = NULL;
    TQ_TRY(tq_rule_name_token(p, &text));
    *out = tq_rule_find_name(p, text);
    if (*out >= 0 && *out < rule->n_captures && p->names[*out].node < 0)
        return tq_rule_fail(TQ_ERR_FORMAT, p->source, token->place,
                            "'%s' goes into the pattern; only what its nodes make can be replaced",
                            text);
    if (*out >= 0)
        return TQ_OK;
    if (p->n_names == TQ_RULE_MAX_NAMES)
        return tq_rule_error(p, "more than %d names", TQ_RULE_MAX_NAMES);
    *out = p->n_names++;
    p->names[*out] = (tq_rule_name){ .text = text, .place = token->place, .node = -1 };
    return TQ_OK;
}

static tq_status read_statement(tq_rule_parser *p, const tq_rule *rule, tq_rule_statement *out)
{
    int targets[TQ_RULE_MAX_ARGS];
    const int n_known = p->n_names;
    *out = (tq_rule_statement){ .place = p->at->place };
    do {
        if (out->n_targets == TQ_RULE_MAX_ARGS)
            return tq_rule_error(p, "more than %d outputs", TQ_RULE_MAX_ARGS);
        TQ_TRY(read_target(p, rule, &targets[out->n_targets++]));
    } while (tq_rule_take(p, ","));
    out->targets = tq_arena_memdup(p->arena, targets, (size_t)out->n_targets * sizeof *targets);
    TQ_TRY(tq_rule_expect(p, "="));
    const int n_names = p->n_names;
    p->n_names = n_known; /* a new name is known behind its own value only */
    TQ_TRY(tq_rule_expr(p, &out->value));
    p->n_names = n_names;
    if (out->n_targets > 1 && out->value->kind != TQ_EXPR_OPERATOR)
        return tq_rule_fail(TQ_ERR_FORMAT, p->source, out->place,
                            "several outputs come from one operator");
    return TQ_OK;
}

/* Does the replacement replace anything? */
static bool replaces(const tq_rule *rule)
{
    for (int i = 0; i < rule->n_statements; i++)
        for (int k = 0; k < rule->statements[i].n_targets; k++)
            if (rule->statements[i].targets[k] < rule->n_captures)
                return true;
    return false;
}

static tq_status read_replacement(tq_rule_parser *p, tq_rule *rule)
{
    size_t capacity = 0;
    p->in_replacement = true;
    while (p->at->kind == TQ_TOKEN_NAME) {
        tq_rule_statement statement;
        TQ_TRY(read_statement(p, rule, &statement));
        if (rule->n_statements == TQ_RULE_MAX_NAMES)
            return tq_rule_error(p, "more than %d statements", TQ_RULE_MAX_NAMES);
        TQ_PUSH(p->arena, rule->statements, rule->n_statements, capacity, statement);
        tq_rule_take(p, ";");
    }
    rule->n_names = p->n_names;
    return replaces(rule)
               ? TQ_OK
               : tq_rule_error(p, "the replacement gives none of the pattern's outputs a "
                                  "new value");
}

/* ---- headers ---- */

static tq_status read_stage(tq_rule_parser *p, tq_edit_stage *out)
{
    static const char *const names[] = { [TQ_EDIT_CANONICALISE] = "canonicalise",
                                         [TQ_EDIT_FOLD] = "fold",
                                         [TQ_EDIT_FAKE] = "fake",
                                         [TQ_EDIT_PRE_GRAD] = "pre_grad",
                                         [TQ_EDIT_POST_TRAIN] = "post_train",
                                         [TQ_EDIT_TRUE] = "true",
                                         [TQ_EDIT_CUSTOM] = "custom",
                                         [TQ_EDIT_CLEAN] = "clean",
                                         [TQ_EDIT_BACKEND] = "backend" };
    for (int stage = 0; stage < TQ_COUNT(names); stage++)
        if (names[stage] && tq_rule_take(p, names[stage])) {
            *out = (tq_edit_stage)stage;
            return TQ_OK;
        }
    return tq_rule_error(p,
                         "'%s' is no stage; expected canonicalise, fold, fake, pre_grad, "
                         "post_train, true, custom, clean or backend",
                         p->at->text);
}

/* A name, or a quoted text where it has dashes. */
static tq_status read_editor_name(tq_rule_parser *p, const char **out)
{
    if (p->at->kind != TQ_TOKEN_TEXT)
        return tq_rule_name_token(p, out);
    *out = p->at++->text;
    return TQ_OK;
}

/* "stage fold;" and not a statement "stage = ...". */
static bool takes_header(tq_rule_parser *p, const char *word)
{
    const tq_token *next = p->at + 1;
    const bool value = next->kind == TQ_TOKEN_NAME || next->kind == TQ_TOKEN_TEXT;
    return p->at->kind == TQ_TOKEN_NAME && value && tq_rule_take(p, word);
}

static tq_status read_header(tq_rule_parser *p, tq_editor *editor)
{
    for (bool more = true; more;) {
        more = true;
        if (takes_header(p, "stage"))
            TQ_TRY(read_stage(p, &editor->stage));
        else if (takes_header(p, "after"))
            TQ_TRY(read_editor_name(p, &editor->after));
        else if (takes_header(p, "before"))
            TQ_TRY(read_editor_name(p, &editor->before));
        else
            more = false;
        if (more)
            tq_rule_take(p, ";");
    }
    return TQ_OK;
}

/* ---- rules ---- */

static tq_status read_rule(tq_rule_parser *p, const tq_editor **out)
{
    tq_editor *editor = TQ_NEW(p->arena, tq_editor);
    tq_rule *rule = TQ_NEW(p->arena, tq_rule);
    *editor = (tq_editor){ .stage = TQ_EDIT_FAKE, .by_name = true, .rule = rule };
    editor->entry.brief = "a rule";
    const char *begin = p->at->from;
    TQ_TRY(tq_rule_expect(p, "rule"));
    TQ_TRY(read_editor_name(p, &editor->entry.name));
    rule->name = editor->entry.name;
    if (p->at->kind == TQ_TOKEN_TEXT)
        editor->entry.brief = p->at++->text;
    editor->entry.source = p->source;
    TQ_TRY(tq_rule_expect(p, "{"));
    TQ_TRY(read_header(p, editor));
    TQ_TRY(tq_rule_read_pattern(p, rule));
    TQ_TRY(tq_rule_expect(p, "=>"));
    TQ_TRY(read_replacement(p, rule));
    const char *last = p->at->from;
    TQ_TRY(tq_rule_expect(p, "}"));
    rule->text = tq_arena_strndup(p->arena, begin, (size_t)(last - begin) + 1);
    *out = editor;
    return TQ_OK;
}

typedef struct request {
    tq_rule_parser parser;
    const char *text;
    int *out_n;
    const tq_editor *const **out_editors;
    const tq_rule **out_rule;
} request;

static tq_status read_tokens(request *r, const tq_token **out)
{
    tq_token *tokens;
    TQ_TRY(tq_rule_tokens(r->text, r->parser.source, r->parser.arena, &tokens));
    *out = tokens;
    return TQ_OK;
}

static tq_status read_rules(void *context)
{
    request *r = context;
    tq_rule_parser *p = &r->parser;
    const tq_editor **editors = NULL;
    size_t capacity = 0;
    int n = 0;
    TQ_TRY(read_tokens(r, &p->at));
    do {
        const tq_editor *editor;
        if (n == TQ_RULE_MAX_RULES)
            return tq_rule_error(p, "more than %d rules", TQ_RULE_MAX_RULES);
        TQ_TRY(read_rule(p, &editor));
        for (int i = 0; i < n; i++)
            if (strcmp(editors[i]->entry.name, editor->entry.name) == 0)
                return tq_rule_error(p, "two rules are named '%s'", editor->entry.name);
        TQ_PUSH(p->arena, editors, n, capacity, editor);
    } while (p->at->kind != TQ_TOKEN_END);
    *r->out_n = n;
    *r->out_editors = editors;
    return TQ_OK;
}

static tq_status read_pattern(void *context)
{
    request *r = context;
    tq_rule_parser *p = &r->parser;
    tq_rule *rule = TQ_NEW(p->arena, tq_rule);
    rule->name = "pattern";
    TQ_TRY(read_tokens(r, &p->at));
    TQ_TRY(tq_rule_read_pattern(p, rule));
    if (p->at->kind != TQ_TOKEN_END)
        return tq_rule_error(p, "expected the end of the pattern, found '%s'", p->at->text);
    *r->out_rule = rule;
    return TQ_OK;
}

static tq_rule_parser make_parser(const tq_registry *registry, const char *name, tq_arena *arena)
{
    return (tq_rule_parser){ .source = tq_arena_strdup(arena, name),
                             .registry = registry,
                             .arena = arena };
}

tq_status tq_rules_parse(const tq_registry *registry, const char *text, const char *name,
                         tq_arena *arena, int *out_n, const tq_editor *const **out_editors)
{
    return tq_guard(read_rules, &(request){ .parser = make_parser(registry, name, arena),
                                            .text = text,
                                            .out_n = out_n,
                                            .out_editors = out_editors });
}

tq_status tq_rule_pattern_parse(const tq_registry *registry, const char *text, const char *name,
                                tq_arena *arena, const tq_rule **out_rule)
{
    return tq_guard(read_pattern, &(request){ .parser = make_parser(registry, name, arena),
                                              .text = text,
                                              .out_rule = out_rule });
}

const char *tq_rule_source(const tq_rule *rule)
{
    return rule->text;
}
