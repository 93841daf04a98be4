/* Rules cut into tokens: names, numbers, quoted texts and signs; "#" starts a comment. */
#include "rewrite/rule_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct lexer {
    const char *at, *name;
    tq_place place;
    tq_arena *arena;
} lexer;

tq_status tq_rule_fail(tq_code code, const char *name, tq_place at, const char *format, ...)
{
    tq_arena *scratch = tq_scratch_create();
    va_list args;
    va_start(args, format);
    const char *what = tq_arena_vprintf(scratch, format, args);
    va_end(args);
    const tq_status status =
        tq_fail(code, "%s: line %d, column %d: %s", name, at.line, at.column, what);
    tq_arena_destroy(scratch);
    return status;
}

static void advance(lexer *l, size_t n)
{
    for (; n; n--, l->at++) {
        l->place.column = *l->at == '\n' ? 1 : l->place.column + 1;
        l->place.line += *l->at == '\n';
    }
}

static void skip_space(lexer *l)
{
    for (;;) {
        advance(l, strspn(l->at, " \t\r\n"));
        if (*l->at != '#')
            return;
        advance(l, strcspn(l->at, "\n"));
    }
}

static tq_status read_text(lexer *l, tq_token *token)
{
    const size_t n = strcspn(l->at + 1, "\"\n");
    if (l->at[n + 1] != '"')
        return tq_rule_fail(TQ_ERR_FORMAT, l->name, l->place, "a quoted text does not end");
    token->kind = TQ_TOKEN_TEXT;
    token->text = tq_arena_strndup(l->arena, l->at + 1, n);
    advance(l, n + 2);
    return TQ_OK;
}

static tq_status read_number(lexer *l, tq_token *token)
{
    char *end_f, *end_i;
    errno = 0;
    token->i = strtoll(l->at, &end_i, 10);
    const bool overflow = errno == ERANGE;
    token->f = strtod(l->at, &end_f);
    if (end_f < l->at + 1 || isalpha((unsigned char)*end_f) || *end_f == '_')
        return tq_rule_fail(TQ_ERR_FORMAT, l->name, l->place, "a number was expected here");
    token->kind = TQ_TOKEN_NUMBER;
    token->is_float = end_f > end_i || overflow;
    token->text = tq_arena_strndup(l->arena, l->at, (size_t)(end_f - l->at));
    advance(l, (size_t)(end_f - l->at));
    return TQ_OK;
}

static tq_status read_sign(lexer *l, tq_token *token)
{
    static const char *const signs[] = {
        "...", "=>", "==", "!=", "<=", ">=", "//", "**", "??", "(", ")", "[", "]", "{", "}",
        ",",   ";",  ":",  "=",  "<",  ">",  "+",  "-",  "*",  "/", "%", "?", "|", "@", "."
    };
    for (int i = 0; i < TQ_COUNT(signs); i++) {
        const size_t n = strlen(signs[i]);
        if (strncmp(l->at, signs[i], n) != 0)
            continue;
        token->kind = TQ_TOKEN_SIGN;
        token->text = signs[i];
        advance(l, n);
        return TQ_OK;
    }
    const unsigned char c = (unsigned char)*l->at;
    if (isprint(c))
        return tq_rule_fail(TQ_ERR_FORMAT, l->name, l->place, "unexpected '%c'", c);
    return tq_rule_fail(TQ_ERR_FORMAT, l->name, l->place, "unexpected byte 0x%02x", c);
}

static size_t name_length(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static tq_status read_token(lexer *l, tq_token *token)
{
    *token = (tq_token){ .place = l->place, .text = "the end", .from = l->at };
    const unsigned char c = (unsigned char)*l->at;
    if (!c)
        return TQ_OK;
    if (c == '"')
        return read_text(l, token);
    if (isdigit(c) || (c == '.' && isdigit((unsigned char)l->at[1])))
        return read_number(l, token);
    const size_t n = name_length(l->at);
    if (n == 0)
        return read_sign(l, token);
    if (n > 256)
        return tq_rule_fail(TQ_ERR_FORMAT, l->name, l->place,
                            "a name is longer than 256 characters");
    token->kind = TQ_TOKEN_NAME;
    token->text = tq_arena_strndup(l->arena, l->at, n);
    if (strcmp(token->text, "inf") == 0) {
        token->kind = TQ_TOKEN_NUMBER;
        token->f = (double)INFINITY;
        token->is_float = true;
    }
    advance(l, n);
    return TQ_OK;
}

tq_status tq_rule_tokens(const char *text, const char *name, tq_arena *arena, tq_token **out)
{
    lexer l = { .at = text, .name = name, .place = { 1, 1 }, .arena = arena };
    int n = 0;
    size_t capacity = 0;
    if (strlen(text) > TQ_RULE_MAX_TEXT)
        return tq_fail(TQ_ERR_FORMAT, "%s: rules of more than 64 KiB", name);
    *out = NULL;
    do {
        tq_token token;
        skip_space(&l);
        TQ_TRY(read_token(&l, &token));
        TQ_PUSH(arena, *out, n, capacity, token);
    } while ((*out)[n - 1].kind != TQ_TOKEN_END);
    return TQ_OK;
}
