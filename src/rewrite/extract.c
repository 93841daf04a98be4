/* The part of a network between two cuts. Backwards from `to` the nodes it needs, forwards from
 * `from` the nodes that depend on it: the part is what both have. What it reads from elsewhere
 * becomes its inputs, in order of first use. */
#include "rewrite/rewrite.h"

#include <string.h>

typedef struct cut {
    tq_graph *graph; /* a copy that becomes the part */
    tq_arena *arena;
    int n_from, n_to;
    const char *const *from, *const *to;
} cut;

/* Flags of nodes and values, by name; the names of both live apart. */
enum { NEEDED = 1, DEPENDS = 2 };
static const char key[] = "extract.flags";

static int flags_of(const char *text)
{
    return text ? *text - '0' : 0;
}

static int node_flags(const tq_node *node)
{
    return flags_of(tq_node_meta(node, key));
}

static int value_flags(const tq_value *value)
{
    return flags_of(tq_value_meta(value, key));
}

static void flag_node(tq_node *node, int flag)
{
    const char text[] = { (char)('0' + (node_flags(node) | flag)), 0 };
    tq_node_set_meta(node, key, text);
}

static void flag_value(tq_value *value, int flag)
{
    const char text[] = { (char)('0' + (value_flags(value) | flag)), 0 };
    tq_value_set_meta(value, key, text);
}

/* ---- marking ---- */

static tq_status find(const cut *c, const char *name, tq_node **out_node, tq_value **out_value)
{
    *out_value = tq_graph_find_value(c->graph, name);
    *out_node = *out_value ? NULL : tq_graph_find_node(c->graph, name);
    if (!*out_value && !*out_node)
        return tq_fail(TQ_ERR_NOT_FOUND, "the network has no node or value '%s'", name);
    return TQ_OK;
}

/* A value of `from` is cut here; a node of `from` belongs to the part. A node and its output often
 * share a name: then the node is meant at the start, so that it is in the part. */
static tq_status mark_start(const cut *c, const char *name)
{
    tq_node *node = tq_graph_find_node(c->graph, name);
    tq_value *value = tq_graph_find_value(c->graph, name);
    if (!node && !value)
        return tq_fail(TQ_ERR_NOT_FOUND, "the network has no node or value '%s'", name);
    if (node)
        flag_node(node, DEPENDS);
    else
        flag_value(value, DEPENDS);
    return TQ_OK;
}

static void mark_dependents(const cut *c)
{
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node)) {
        bool depends = node_flags(node) & DEPENDS;
        for (int i = 0; i < tq_node_n_inputs(node) && !depends; i++)
            depends = tq_node_input(node, i) && value_flags(tq_node_input(node, i)) & DEPENDS;
        if (!depends)
            continue;
        flag_node(node, DEPENDS);
        for (int i = 0; i < tq_node_n_outputs(node); i++)
            flag_value(tq_node_output(node, i), DEPENDS);
    }
}

static tq_status mark_end(const cut *c, const char *name)
{
    tq_node *node;
    tq_value *value;
    TQ_TRY(find(c, name, &node, &value));
    if (value) {
        flag_value(value, NEEDED);
        return TQ_OK;
    }
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        flag_value(tq_node_output(node, i), NEEDED);
    return TQ_OK;
}

static void mark_needed(const cut *c)
{
    for (tq_node *node = tq_graph_last(c->graph); node; node = tq_node_prev(node)) {
        bool needed = false;
        for (int i = 0; i < tq_node_n_outputs(node); i++)
            needed = needed || value_flags(tq_node_output(node, i)) & NEEDED;
        if (!needed)
            continue;
        flag_node(node, NEEDED);
        for (int i = 0; i < tq_node_n_inputs(node); i++)
            if (tq_node_input(node, i))
                flag_value(tq_node_input(node, i), NEEDED);
    }
}

static tq_status mark(const cut *c)
{
    for (int i = 0; i < c->n_from; i++)
        TQ_TRY(mark_start(c, c->from[i]));
    for (int i = 0; c->n_from == 0 && i < tq_graph_n_inputs(c->graph); i++)
        flag_value(tq_graph_input(c->graph, i), DEPENDS);
    mark_dependents(c);
    for (int i = 0; i < c->n_to; i++)
        TQ_TRY(mark_end(c, c->to[i]));
    for (int i = 0; c->n_to == 0 && i < tq_graph_n_outputs(c->graph); i++)
        flag_value(tq_graph_output(c->graph, i), NEEDED);
    mark_needed(c);
    return TQ_OK;
}

/* ---- cutting out ---- */

static bool is_inside(const tq_node *node)
{
    return node && node_flags(node) == (NEEDED | DEPENDS);
}

/* What comes from outside comes in through an input of its name. */
static tq_status open_input(const cut *c, tq_value *value)
{
    const char *name = tq_arena_strdup(c->arena, tq_value_name(value));
    tq_value *input;
    tq_value_set_name(value, tq_arena_printf(c->arena, "%s/outside", name));
    TQ_TRY(tq_graph_add_input(c->graph, name, tq_value_type(value), &input));
    const char *item, *text;
    for (int i = 0; tq_value_meta_at(value, i, &item, &text); i++)
        tq_value_set_meta(input, item, text);
    for (int i = 0; i < tq_value_n_consumers(value);) {
        tq_node *node = tq_value_consumer(value, i);
        if (!is_inside(node)) {
            i++;
            continue;
        }
        for (int k = 0; k < tq_node_n_inputs(node); k++)
            if (tq_node_input(node, k) == value)
                tq_node_set_input(node, k, input);
    }
    return TQ_OK;
}

static tq_status open_inputs(const cut *c)
{
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node))
        for (int i = 0; is_inside(node) && i < tq_node_n_inputs(node); i++) {
            tq_value *value = tq_node_input(node, i);
            if (value && tq_value_producer(value) && !is_inside(tq_value_producer(value)))
                TQ_TRY(open_input(c, value));
        }
    return TQ_OK;
}

static tq_status set_outputs(const cut *c)
{
    int n = tq_graph_n_outputs(c->graph);
    tq_value **old = TQ_NEW_N(c->arena, tq_value *, n);
    for (int i = 0; i < n; i++)
        old[i] = tq_graph_output(c->graph, i);
    while (tq_graph_n_outputs(c->graph))
        tq_graph_remove_output(c->graph, 0);
    for (int i = 0; c->n_to == 0 && i < n; i++)
        if (is_inside(tq_value_producer(old[i])))
            tq_graph_add_output(c->graph, old[i]);
    for (int i = 0; i < c->n_to; i++) {
        tq_node *node;
        tq_value *value;
        TQ_TRY(find(c, c->to[i], &node, &value));
        if (!is_inside(node ? node : tq_value_producer(value)))
            return tq_fail(TQ_ERR_VALUE, "'%s' does not depend on what the part starts from",
                           c->to[i]);
        for (int k = 0; node && k < tq_node_n_outputs(node); k++)
            tq_graph_add_output(c->graph, tq_node_output(node, k));
        if (value)
            tq_graph_add_output(c->graph, value);
    }
    return tq_graph_n_outputs(c->graph) ? TQ_OK
                                        : tq_fail(TQ_ERR_VALUE, "no output depends on the start");
}

static void forget_marks(const cut *c)
{
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node))
        tq_node_set_meta(node, key, NULL);
    for (int i = 0; i < tq_graph_n_values(c->graph); i++)
        tq_value_set_meta(tq_graph_value(c->graph, i), key, NULL);
}

static tq_status extract(const cut *c)
{
    TQ_TRY(mark(c));
    TQ_TRY(set_outputs(c));
    TQ_TRY(open_inputs(c));
    tq_graph_sweep(c->graph);
    for (int i = tq_graph_n_inputs(c->graph) - 1; i >= 0; i--) {
        const tq_value *input = tq_graph_input(c->graph, i);
        if (tq_value_n_consumers(input) == 0 && !tq_value_is_output(input))
            tq_graph_remove_input(c->graph, i);
    }
    forget_marks(c);
    return tq_graph_verify(c->graph);
}

tq_status tq_graph_extract(const tq_graph *graph, int n_from, const char *const *from, int n_to,
                           const char *const *to, tq_graph **out_graph)
{
    const cut c = { .graph = tq_graph_clone(graph),
                    .arena = tq_scratch_create(),
                    .n_from = n_from,
                    .from = from,
                    .n_to = n_to,
                    .to = to };
    const tq_status status = extract(&c);
    tq_arena_destroy(c.arena);
    if (status)
        tq_graph_destroy(c.graph);
    else
        *out_graph = c.graph;
    return status;
}
