/* Typed values out of YAML trees; every error says where. */
#include "recipe/recipe_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tq_status tq_yaml_wrap(const tq_yaml *at, tq_status status)
{
    return tq_wrap(status, "%s:%zu:%zu", at->file, at->line, at->column);
}

tq_status tq_yaml_fail(const tq_yaml *at, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tq_yaml_wrap(at, tq_fail(TQ_ERR_VALUE, "%s", text));
}

tq_text tq_yaml_shown(const tq_yaml *scalar)
{
    tq_text shown;
    snprintf(shown.s, 64, "%s", scalar->text);
    for (char *p = shown.s; *p; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
    return shown;
}

/** Insertions, deletions and replacements from a to b (Levenshtein); large for long words. */
static int edit_distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    const int n_a = (int)strlen(a), n_b = (int)strlen(b);
    if (n_a > MAX || n_b > MAX)
        return 2 * MAX;
    int row[MAX + 1];
    for (int j = 0; j <= n_b; j++)
        row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            const int replaced = diagonal + (a[i - 1] != b[j - 1]);
            const int moved = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = replaced < moved ? replaced : moved;
        }
    }
    return row[n_b];
}

static tq_status unknown_key(const tq_yaml *key, const char *const *known)
{
    const char *nearest = known[0];
    for (const char *const *k = known; *k; k++)
        if (edit_distance(key->text, *k) < edit_distance(key->text, nearest))
            nearest = *k;
    if (edit_distance(key->text, nearest) <= 3)
        return tq_yaml_fail(key, "unknown key '%s'; did you mean '%s'?", tq_yaml_shown(key).s,
                            nearest);
    char all[256] = "";
    for (const char *const *k = known; *k; k++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", k == known ? "" : ", ", *k);
    return tq_yaml_fail(key, "unknown key '%s'; expected one of %s", tq_yaml_shown(key).s, all);
}

tq_status tq_yaml_check_keys(const tq_yaml *map, const char *const *known)
{
    if (map->kind != TQ_YAML_MAP)
        return tq_yaml_fail(map, "expected keys and values, as in '%s: ...'", known[0]);
    for (int i = 0; i < map->n; i++) {
        const char *const *k = known;
        while (*k && strcmp(*k, map->keys[i]->text) != 0)
            k++;
        if (!*k)
            return unknown_key(map->keys[i], known);
    }
    return TQ_OK;
}

const tq_yaml *tq_yaml_get(const tq_yaml *map, const char *key)
{
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

/** The scalar at a key, NULL where there is none. */
static tq_status get_scalar(const tq_yaml *map, const char *key, const tq_yaml **out)
{
    *out = tq_yaml_get(map, key);
    if (*out && (*out)->kind != TQ_YAML_SCALAR)
        return tq_yaml_fail(*out, "'%s' takes one value, not a list or a map", key);
    return TQ_OK;
}

tq_status tq_yaml_string(const tq_yaml *map, const char *key, const char **out)
{
    const tq_yaml *value;
    TQ_TRY(get_scalar(map, key, &value));
    if (value && !*value->text)
        return tq_yaml_fail(value, "'%s' has no value", key);
    if (value)
        *out = value->text;
    return TQ_OK;
}

tq_status tq_yaml_bool(const tq_yaml *map, const char *key, bool *out)
{
    const tq_yaml *value;
    TQ_TRY(get_scalar(map, key, &value));
    if (!value)
        return TQ_OK;
    const bool yes = strcmp(value->text, "true") == 0;
    if (value->quoted || (!yes && strcmp(value->text, "false") != 0))
        return tq_yaml_fail(value, "'%s' is '%s'; expected true or false", key,
                            tq_yaml_shown(value).s);
    *out = yes;
    return TQ_OK;
}

tq_status tq_yaml_to_number(const tq_yaml *scalar, double *out)
{
    if (scalar->kind == TQ_YAML_SCALAR && !scalar->quoted) {
        char *end;
        const double v = strtod(scalar->text, &end);
        if (end != scalar->text && !*end && isfinite(v)) {
            *out = v;
            return TQ_OK;
        }
    }
    return tq_yaml_fail(scalar, "expected a number, found '%s'",
                        scalar->kind == TQ_YAML_SCALAR ? tq_yaml_shown(scalar).s : "a list or map");
}

tq_status tq_yaml_number(const tq_yaml *map, const char *key, double *out)
{
    const tq_yaml *value = tq_yaml_get(map, key);
    return value ? tq_yaml_to_number(value, out) : TQ_OK;
}

tq_status tq_yaml_int(const tq_yaml *map, const char *key, int min, int max, int *out)
{
    const tq_yaml *value = tq_yaml_get(map, key);
    if (!value)
        return TQ_OK;
    double v = 0.0;
    TQ_TRY(tq_yaml_to_number(value, &v));
    if (v != floor(v) || v < min || v > max)
        return tq_yaml_fail(value, "'%s' is %g; expected a whole number from %d to %d", key, v, min,
                            max);
    *out = (int)v;
    return TQ_OK;
}

tq_status tq_yaml_strings(const tq_yaml *map, const char *key, tq_arena *arena,
                          const char *const **out)
{
    const tq_yaml *value = tq_yaml_get(map, key);
    if (!value)
        return TQ_OK;
    const bool one = value->kind == TQ_YAML_SCALAR;
    const int n = one ? 1 : value->n;
    const char **strings = TQ_NEW_N(arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        const tq_yaml *item = one ? value : value->items[i];
        if (value->kind == TQ_YAML_MAP || item->kind != TQ_YAML_SCALAR || !*item->text)
            return tq_yaml_fail(item, "'%s' takes a name or a list of names", key);
        strings[i] = item->text;
    }
    *out = strings;
    return TQ_OK;
}

tq_status tq_yaml_find_entry(const tq_yaml *scalar, const tq_registry *registry, tq_kind kind,
                             const tq_entry **out)
{
    if (scalar->kind != TQ_YAML_SCALAR)
        return tq_yaml_fail(scalar, "expected the name of one %s", tq_kind_name(kind, false));
    *out = tq_registry_get(registry, kind, scalar->text);
    if (*out)
        return TQ_OK;
    return tq_yaml_wrap(scalar, tq_registry_find(registry, kind, tq_yaml_shown(scalar).s, out));
}
