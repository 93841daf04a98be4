/* Which nodes are meant. A plain text is a regular expression on names; as soon as it holds a
 * condition it is an expression:
 *
 *   type:Conv and not name:^stage1          (name:a or name:b) and device:cpu
 *
 *   or     := and { "or" and }         and := unary { "and" unary }
 *   unary  := "not" unary | "(" or ")" | KEY ":" VALUE
 *   KEY    := name | type | device     VALUE runs to the next space, or is in "quotes"; a ")" that
 * it did not open ends it
 *
 * name: and device: take POSIX extended regular expressions, type: an operator, or Relu6 and the
 * like. */
#include "report/report_internal.h"

#include <truq/op.h>
#include <truq/recipe.h>

#include <regex.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

typedef enum condition_kind { MATCHES_NAME, MATCHES_DEVICE, HAS_TYPE, NOT, AND, OR } condition_kind;

typedef struct condition condition;
struct condition {
    condition_kind kind;
    const condition *left, *right;
    const char *type;
    regex_t *regex;
};

typedef struct compiled {
    struct compiled *next;
    regex_t regex;
} compiled;

struct tq_node_filter {
    const condition *root; /* NULL: all nodes */
    compiled *regexes;
};

typedef struct parser {
    const char *text, *at;
    const tq_registry *registry;
    tq_arena *arena;
    tq_node_filter *filter;
    int depth;
} parser;

/* ---- reading ---- */

static tq_status add_regex(const parser *p, const char *text, regex_t **out)
{
    compiled *item = TQ_NEW(p->arena, compiled);
    const int error = regcomp(&item->regex, text, REG_EXTENDED | REG_NOSUB);
    if (error) {
        char why[128];
        regerror(error, &item->regex, why, sizeof why);
        return tq_fail(TQ_ERR_USAGE, "'%s' is no regular expression: %s", text, why);
    }
    item->next = p->filter->regexes;
    p->filter->regexes = item;
    *out = &item->regex;
    return TQ_OK;
}

static void skip_spaces(parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')
        p->at++;
}

static bool is_end_of_word(char c)
{
    return !c || c == ' ' || c == '\t' || c == '\n' || c == '(' || c == ')';
}

static bool take_word(parser *p, const char *word)
{
    skip_spaces(p);
    const size_t n = strlen(word);
    if (strncmp(p->at, word, n) != 0 || !is_end_of_word(p->at[n]))
        return false;
    p->at += n;
    return true;
}

static tq_status wrong(const parser *p, const char *expected)
{
    return tq_fail(TQ_ERR_USAGE, "filter '%s', column %d: expected %s", p->text,
                   (int)(p->at - p->text) + 1, expected);
}

/** The rest of KEY:VALUE. */
static tq_status read_text(parser *p, const char **out)
{
    const char *begin = p->at;
    if (*begin == '"') {
        const char *end = strchr(begin + 1, '"');
        if (!end)
            return wrong(p, "a closing quote");
        *out = tq_arena_strndup(p->arena, begin + 1, (size_t)(end - begin - 1));
        p->at = end + 1;
        return TQ_OK;
    }
    int open = 0;
    for (; *p->at && *p->at != ' ' && *p->at != '\t' && *p->at != '\n'; p->at++) {
        open += (*p->at == '(') - (*p->at == ')');
        if (open < 0)
            break;
    }
    if (p->at == begin)
        return wrong(p, "a value");
    *out = tq_arena_strndup(p->arena, begin, (size_t)(p->at - begin));
    return TQ_OK;
}

/** The key that stands here with its colon; -1: none. */
static int key_at(const char *at)
{
    static const char *const keys[] = { "name:", "device:", "type:" };
    for (int i = 0; i < TQ_COUNT(keys); i++)
        if (strncmp(at, keys[i], strlen(keys[i])) == 0)
            return i;
    return -1;
}

tq_status tq_node_type_check(const tq_registry *registry, const char *type)
{
    const tq_entry *entry;
    if (strcmp(type, "Relu6") == 0)
        return TQ_OK;
    return tq_registry_find(registry, TQ_KIND_OP, type, &entry);
}

static tq_status read_or(parser *p, const condition **out);

static tq_status read_condition(parser *p, const condition **out)
{
    const int key = key_at(p->at);
    const char *text = NULL;
    if (key < 0)
        return wrong(p, "name:, type: or device:");
    p->at = strchr(p->at, ':') + 1;
    TQ_TRY(read_text(p, &text));
    condition *c = TQ_NEW(p->arena, condition);
    c->kind = (condition_kind)key;
    c->type = text;
    if (c->kind == HAS_TYPE)
        TQ_TRY(tq_node_type_check(p->registry, text));
    else
        TQ_TRY(add_regex(p, text, &c->regex));
    *out = c;
    return TQ_OK;
}

static tq_status read_unary(parser *p, const condition **out)
{
    if (++p->depth > MAX_DEPTH)
        return wrong(p, "fewer parts inside each other");
    tq_status status;
    if (take_word(p, "not")) {
        condition *c = TQ_NEW(p->arena, condition);
        c->kind = NOT;
        status = read_unary(p, &c->left);
        *out = c;
    } else if (skip_spaces(p), *p->at == '(') {
        p->at++;
        status = read_or(p, out);
        skip_spaces(p);
        if (!status && *p->at != ')')
            return wrong(p, "')'");
        p->at += !status;
    } else {
        status = read_condition(p, out);
    }
    p->depth--;
    return status;
}

static const condition *join(const parser *p, condition_kind kind, const condition *left,
                             const condition *right)
{
    condition *c = TQ_NEW(p->arena, condition);
    *c = (condition){ .kind = kind, .left = left, .right = right };
    return c;
}

static tq_status read_and(parser *p, const condition **out)
{
    const condition *right;
    TQ_TRY(read_unary(p, out));
    while (take_word(p, "and")) {
        TQ_TRY(read_unary(p, &right));
        *out = join(p, AND, *out, right);
    }
    return TQ_OK;
}

static tq_status read_or(parser *p, const condition **out)
{
    const condition *right;
    TQ_TRY(read_and(p, out));
    while (take_word(p, "or")) {
        TQ_TRY(read_and(p, &right));
        *out = join(p, OR, *out, right);
    }
    return TQ_OK;
}

/** Does a key begin a word somewhere? Names have no colon behind one of these words. */
static bool is_expression(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((at == text || at[-1] == ' ' || at[-1] == '(') && key_at(at) >= 0)
            return true;
    return false;
}

/** "op:Conv": a key that there is not, rather than a name with a colon ("conv:0"). */
static bool has_unknown_key(const char *text)
{
    const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    return n > 0 && text[n] == ':' && text[n + 1] && !strchr("0123456789:", text[n + 1]);
}

static tq_status parse(parser *p)
{
    if (!is_expression(p->text) && has_unknown_key(p->text))
        return wrong(p, "name:, type: or device: (a name with a colon is name:RE)");
    if (!is_expression(p->text)) {
        condition *c = TQ_NEW(p->arena, condition);
        c->kind = MATCHES_NAME;
        p->filter->root = c;
        return add_regex(p, p->text, &c->regex);
    }
    TQ_TRY(read_or(p, &p->filter->root));
    skip_spaces(p);
    return *p->at ? wrong(p, "'and', 'or' or the end") : TQ_OK;
}

tq_status tq_node_filter_parse(const tq_registry *registry, const char *text, tq_arena *arena,
                               tq_node_filter **out)
{
    parser p = { .text = text, .at = text, .registry = registry, .arena = arena };
    p.filter = TQ_NEW(arena, tq_node_filter);
    const tq_status status = text ? parse(&p) : TQ_OK;
    if (status) {
        tq_node_filter_reset(p.filter);
        return status;
    }
    *out = p.filter;
    return TQ_OK;
}

void tq_node_filter_reset(tq_node_filter *filter)
{
    for (compiled *item = filter ? filter->regexes : NULL; item; item = item->next)
        regfree(&item->regex);
    if (filter)
        filter->regexes = NULL;
}

/* ---- asking ---- */

static bool matches(const regex_t *regex, const char *text)
{
    return text && regexec(regex, text, 0, NULL, 0) == 0;
}

static bool holds(const condition *c, const tq_node *node)
{
    switch (c->kind) {
    case MATCHES_NAME:
        return matches(c->regex, tq_node_name(node));
    case MATCHES_DEVICE:
        return matches(c->regex, tq_node_meta(node, "device"));
    case HAS_TYPE:
        return tq_node_is(node, c->type) || strcmp(tq_recipe_type_name(node), c->type) == 0;
    case NOT:
        return !holds(c->left, node);
    case AND:
        return holds(c->left, node) && holds(c->right, node);
    case OR:
        return holds(c->left, node) || holds(c->right, node);
    }
    return false;
}

bool tq_node_filter_accepts(const tq_node_filter *filter, const tq_node *node)
{
    return !filter->root || holds(filter->root, node);
}
