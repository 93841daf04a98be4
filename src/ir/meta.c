/* Metadata: what annotators leave on graphs, nodes and values. */
#include "ir/ir_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tq_metas_set(tq_metas *metas, tq_arena *arena, const char *key, const char *text)
{
    int i = 0;
    while (i < metas->n && strcmp(metas->items[i].key, key) != 0)
        i++;
    if (!text) {
        if (i < metas->n) {
            memmove(&metas->items[i], &metas->items[i + 1],
                    (size_t)(metas->n - i - 1) * sizeof *metas->items);
            metas->n--;
        }
        return;
    }
    if (i < metas->n) {
        metas->items[i].text = tq_arena_strdup(arena, text);
        return;
    }
    const tq_meta item = { tq_arena_strdup(arena, key), tq_arena_strdup(arena, text) };
    TQ_PUSH(arena, metas->items, metas->n, metas->capacity, item);
}

const char *tq_metas_get(const tq_metas *metas, const char *key)
{
    for (int i = 0; i < metas->n; i++)
        if (strcmp(metas->items[i].key, key) == 0)
            return metas->items[i].text;
    return NULL;
}

bool tq_metas_at(const tq_metas *metas, int i, const char **out_key, const char **out_text)
{
    if (i < 0 || i >= metas->n)
        return false;
    *out_key = metas->items[i].key;
    *out_text = metas->items[i].text;
    return true;
}

void tq_metas_copy(tq_metas *to, tq_arena *arena, const tq_metas *from)
{
    for (int i = 0; i < from->n; i++)
        tq_metas_set(to, arena, from->items[i].key, from->items[i].text);
}

void tq_graph_set_meta(tq_graph *graph, const char *key, const char *text)
{
    tq_metas_set(&graph->metas, graph->arena, key, text);
}

const char *tq_graph_meta(const tq_graph *graph, const char *key)
{
    return tq_metas_get(&graph->metas, key);
}

bool tq_graph_meta_at(const tq_graph *graph, int i, const char **out_key, const char **out_text)
{
    return tq_metas_at(&graph->metas, i, out_key, out_text);
}

void tq_node_set_meta(tq_node *node, const char *key, const char *text)
{
    tq_metas_set(&node->metas, node->graph->arena, key, text);
}

const char *tq_node_meta(const tq_node *node, const char *key)
{
    return tq_metas_get(&node->metas, key);
}

bool tq_node_meta_at(const tq_node *node, int i, const char **out_key, const char **out_text)
{
    return tq_metas_at(&node->metas, i, out_key, out_text);
}

void tq_value_set_meta(tq_value *value, const char *key, const char *text)
{
    tq_metas_set(&value->metas, value->graph->arena, key, text);
}

const char *tq_value_meta(const tq_value *value, const char *key)
{
    return tq_metas_get(&value->metas, key);
}

bool tq_value_meta_at(const tq_value *value, int i, const char **out_key, const char **out_text)
{
    return tq_metas_at(&value->metas, i, out_key, out_text);
}

void tq_value_set_meta_f64(tq_value *value, const char *key, double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.17g", number);
    tq_value_set_meta(value, key, text);
}

bool tq_value_meta_f64(const tq_value *value, const char *key, double *out_number)
{
    const char *text = tq_value_meta(value, key);
    char *end = NULL;
    const double number = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end)
        return false;
    *out_number = number;
    return true;
}

void tq_value_set_meta_i64(tq_value *value, const char *key, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    tq_value_set_meta(value, key, text);
}

bool tq_value_meta_i64(const tq_value *value, const char *key, int64_t *out_number)
{
    const char *text = tq_value_meta(value, key);
    char *end = NULL;
    errno = 0;
    const long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno == ERANGE)
        return false;
    *out_number = number;
    return true;
}
