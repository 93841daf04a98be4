/* Metadata in a model's metadata_props. Ours:
 *
 *   truq.graph:KEY        truq.node:NAME:KEY        truq.value:NAME:KEY
 *
 * with '%', ':' and control characters of NAME written as %XX. Other keys are graph metadata
 * "onnx.KEY", so that they come out as they went in. One more kind keeps the name of a constant
 * that an older form of a node holds as an attribute: truq.constant:NODE:ATTRIBUTE = name. */
#include "onnx/onnx_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 1000, MAX_GRAPH_ENTRIES = 10000 };

/* ---- names ---- */

static bool needs_escape(unsigned char c)
{
    return c == '%' || c == ':' || c < 0x20 || c == 0x7f;
}

static const char *escape(tq_arena *arena, const char *name)
{
    char *text = tq_arena_alloc(arena, tq_size_mul(strlen(name) + 1, 3)), *out = text;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (needs_escape(*c))
            out += sprintf(out, "%%%02X", *c);
        else
            *out++ = (char)*c;
    }
    return text;
}

/** Undoes escape in place. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *c = text; *c; out++) {
        unsigned code;
        if (*c == '%' && isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2]) &&
            sscanf(c + 1, "%2x", &code) == 1 && code) {
            *out = (char)code;
            c += 3;
        } else {
            *out = *c++;
        }
    }
    *out = 0;
}

/* ---- reading ---- */

static tq_status too_many(const char *what, const char *name)
{
    return tq_fail(TQ_ERR_FORMAT, "%s '%s' has too much metadata", what, name);
}

static tq_status read_graph_meta(tq_graph *graph, const char *key, const char *text)
{
    const char *k, *t;
    if (tq_graph_meta_at(graph, MAX_GRAPH_ENTRIES, &k, &t))
        return too_many("graph", tq_graph_name(graph));
    tq_graph_set_meta(graph, key, text);
    return TQ_OK;
}

static tq_status read_node_meta(tq_node *node, const char *key, const char *text)
{
    const char *k, *t;
    if (tq_node_meta_at(node, MAX_ENTRIES, &k, &t))
        return too_many("node", tq_node_name(node));
    tq_node_set_meta(node, key, text);
    return TQ_OK;
}

static tq_status read_value_meta(tq_value *value, const char *key, const char *text)
{
    const char *k, *t;
    if (tq_value_meta_at(value, MAX_ENTRIES, &k, &t))
        return too_many("value", tq_value_name(value));
    tq_value_set_meta(value, key, text);
    return TQ_OK;
}

static bool skip_prefix(const char **text, const char *prefix)
{
    const size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

/** "NAME:KEY"; entries about names that are gone are dropped. */
static tq_status read_named(tq_graph *graph, bool is_node, const char *rest, const char *text)
{
    const char *colon = strchr(rest, ':');
    if (!colon || !colon[1])
        return TQ_OK;
    char *name = strndup(rest, (size_t)(colon - rest));
    if (!name)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    unescape(name);
    tq_node *node = is_node ? tq_graph_find_node(graph, name) : NULL;
    tq_value *value = is_node ? NULL : tq_graph_find_value(graph, name);
    free(name);
    if (node)
        return read_node_meta(node, colon + 1, text);
    return value ? read_value_meta(value, colon + 1, text) : TQ_OK;
}

tq_status tq_onnx_read_meta(tq_graph *graph, const char *key, const char *text)
{
    const char *rest = key;
    if (skip_prefix(&rest, "truq.graph:"))
        return *rest ? read_graph_meta(graph, rest, text) : TQ_OK;
    if (skip_prefix(&rest, "truq.node:"))
        return read_named(graph, true, rest, text);
    if (skip_prefix(&rest, "truq.value:"))
        return read_named(graph, false, rest, text);
    if (strncmp(key, "truq.constant:", 14) == 0)
        return TQ_OK; /* the upgrades have used it */
    char *foreign = malloc(strlen(key) + sizeof "onnx.");
    if (!foreign)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    sprintf(foreign, "onnx.%s", key);
    const tq_status status = read_graph_meta(graph, foreign, text);
    free(foreign);
    return status;
}

/* ---- writing ---- */

/** The symbolic names of unknown dimensions of inputs and outputs are in their types. */
static bool is_dim_of_edge(const tq_value *value, const char *key)
{
    if (strncmp(key, "dim.", 4) != 0)
        return false;
    const tq_type *type = tq_value_type(value);
    const int axis = atoi(key + 4);
    return (tq_value_is_input(value) || tq_value_is_output(value)) && axis >= 0 &&
           axis < type->rank && type->dims[axis] == TQ_DIM_ANY;
}

static void put_named(tq_onnx_writer *writer, const char *kind, const char *name, const char *key,
                      const char *text)
{
    tq_arena *arena = writer->arena;
    tq_writer_put_prop(
        writer, tq_arena_printf(arena, "truq.%s:%s:%s", kind, escape(arena, name), key), text);
}

static void put_graph_meta(tq_onnx_writer *writer)
{
    const char *key, *text;
    for (int i = 0; tq_graph_meta_at(writer->graph, i, &key, &text); i++) {
        const char *foreign = key;
        if (!skip_prefix(&foreign, "onnx."))
            foreign = tq_arena_printf(writer->arena, "truq.graph:%s", key);
        tq_writer_put_prop(writer, foreign, text);
    }
}

void tq_writer_add_metadata(tq_onnx_writer *writer)
{
    const tq_graph *graph = writer->graph;
    const char *key, *text;
    put_graph_meta(writer);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        for (int i = 0; tq_node_meta_at(node, i, &key, &text); i++)
            if (writer->opset != TQ_ONNX_DIALECT_OPSET || strncmp(key, "attr.", 5) != 0)
                put_named(writer, "node", tq_node_name(node), key, text);
    for (int v = 0; v < tq_graph_n_values(graph); v++) {
        const tq_value *value = tq_graph_value(graph, v);
        for (int i = 0; tq_value_meta_at(value, i, &key, &text); i++)
            if (!is_dim_of_edge(value, key))
                put_named(writer, "value", tq_value_name(value), key, text);
    }
}

const char *tq_onnx_constant_key(tq_arena *arena, const char *node, const char *attr)
{
    return tq_arena_printf(arena, "truq.constant:%s:%s", escape(arena, node), attr);
}

/* ---- attributes that ONNX does not know ---- */

static bool is_int_text(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && !*end && !errno && !isspace((unsigned char)*text);
}

static bool is_float_text(const char *text, float *out)
{
    char *end;
    *out = strtof(text, &end);
    return end != text && !*end && !isspace((unsigned char)*text);
}

const char *tq_attr_to_text(tq_arena *arena, const tq_attr *attr)
{
    int64_t i;
    float f;
    if (attr->kind == TQ_ATTR_INT)
        return tq_arena_printf(arena, "%" PRId64, attr->i);
    if (attr->kind == TQ_ATTR_FLOAT) {
        const char *text = tq_arena_printf(arena, "%.9g", (double)attr->f);
        return is_int_text(text, &i) ? tq_arena_printf(arena, "%s.0", text) : text;
    }
    const char *s = attr->s ? attr->s : "";
    const bool ambiguous = is_int_text(s, &i) || is_float_text(s, &f) || *s == '"';
    return ambiguous ? tq_arena_printf(arena, "\"%s\"", s) : tq_arena_strdup(arena, s);
}

tq_attr tq_attr_from_text(tq_arena *arena, const char *name, const char *text)
{
    int64_t i;
    float f;
    if (is_int_text(text, &i))
        return TQ_INT(name, i);
    if (is_float_text(text, &f))
        return TQ_FLOAT(name, f);
    const size_t n = strlen(text);
    if (n >= 2 && text[0] == '"' && text[n - 1] == '"')
        return TQ_STRING(name, tq_arena_strndup(arena, text + 1, n - 2));
    return TQ_STRING(name, text);
}
