/* A JSON object, written in one pass (RFC 8259). Integers keep all their digits, numbers have the
 * fewest that read back the same; bytes that are no UTF-8 become U+FFFD. */
#include "report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

struct tq_json {
    tq_string text;
    int depth;
    char close[MAX_DEPTH];
    bool has_items[MAX_DEPTH];
};

static void open(tq_json *json, char open_with, char close_with)
{
    TQ_ASSERT(json->depth < MAX_DEPTH);
    tq_string_add(&json->text, &open_with, 1);
    json->close[json->depth] = close_with;
    json->has_items[json->depth++] = false;
}

tq_json *tq_json_create(tq_arena *arena)
{
    tq_json *json = TQ_NEW(arena, tq_json);
    json->text.arena = arena;
    open(json, '{', '}');
    return json;
}

static void new_line(tq_json *json)
{
    tq_string_printf(&json->text, "\n%*s", 2 * json->depth, "");
}

/** Length of the UTF-8 character at s (RFC 3629), 0 if it is none. */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    const int n = s[0] >= 0xC2 && s[0] < 0xE0   ? 2
                  : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                  : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                                : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    const bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    const bool beyond = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return overlong || beyond ? 0 : n;
}

static void add_quoted(tq_json *json, const char *text)
{
    tq_string *out = &json->text;
    tq_string_add(out, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const int n = utf8_length(s);
        if (n == 0)
            tq_string_add(out, "\\ufffd", 6);
        else if (*s == '"' || *s == '\\')
            tq_string_printf(out, "\\%c", *s);
        else if (*s < 32 || *s == 127)
            tq_string_printf(out, "\\u%04x", *s);
        else
            tq_string_add(out, (const char *)s, (size_t)n);
        s += n ? n : 1;
    }
    tq_string_add(out, "\"", 1);
}

/** Comma, line and key of the next item. */
static void begin(tq_json *json, const char *key)
{
    bool *has_items = &json->has_items[json->depth - 1];
    if (*has_items)
        tq_string_add(&json->text, ",", 1);
    *has_items = true;
    new_line(json);
    if (key) {
        add_quoted(json, key);
        tq_string_add(&json->text, ": ", 2);
    }
}

void tq_json_open_object(tq_json *json, const char *key)
{
    begin(json, key);
    open(json, '{', '}');
}

void tq_json_open_array(tq_json *json, const char *key)
{
    begin(json, key);
    open(json, '[', ']');
}

void tq_json_close(tq_json *json)
{
    TQ_ASSERT(json->depth > 0);
    const int top = --json->depth;
    if (json->has_items[top])
        new_line(json);
    tq_string_add(&json->text, &json->close[top], 1);
}

void tq_json_add_text(tq_json *json, const char *key, const char *text)
{
    begin(json, key);
    if (text)
        add_quoted(json, text);
    else
        tq_string_add(&json->text, "null", 4);
}

void tq_json_add_number(tq_json *json, const char *key, double number)
{
    begin(json, key);
    if (!isfinite(number)) {
        tq_string_add(&json->text, "null", 4);
        return;
    }
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    tq_string_add(&json->text, text, strlen(text));
}

void tq_json_add_integer(tq_json *json, const char *key, int64_t number)
{
    begin(json, key);
    tq_string_printf(&json->text, "%" PRId64, number);
}

void tq_json_add_bool(tq_json *json, const char *key, bool truth)
{
    begin(json, key);
    tq_string_printf(&json->text, "%s", truth ? "true" : "false");
}

const char *tq_json_print(tq_json *json)
{
    while (json->depth > 0)
        tq_json_close(json);
    tq_string_add(&json->text, "\n", 1);
    return json->text.s;
}
