/* Growing text. */
#include "report/report_internal.h"

#include <stdio.h>
#include <string.h>

void tq_string_add(tq_string *string, const char *text, size_t n)
{
    if (string->n + n + 1 > string->capacity) {
        const size_t capacity = 2 * (string->n + n) + 64;
        char *grown = tq_arena_alloc(string->arena, capacity);
        if (string->n)
            memcpy(grown, string->s, string->n);
        string->s = grown;
        string->capacity = capacity;
    }
    memcpy(string->s + string->n, text, n);
    string->n += n;
    string->s[string->n] = 0;
}

void tq_string_printf(tq_string *string, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = tq_arena_vprintf(string->arena, format, args);
    va_end(args);
    tq_string_add(string, text, strlen(text));
}

const char *tq_text_clean(tq_arena *arena, const char *text)
{
    char *copy = tq_arena_strdup(arena, text);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    return copy;
}
