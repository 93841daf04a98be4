/* Finding a pattern in a graph: from its last node backwards along inputs, with backtracking where
 * inputs commute. Matches come in the order of their last node and never share a node. */
#include "rewrite/rewrite.h"

#include <string.h>

/* Is `name` one of the alternatives in "Relu|Clip"? */
static bool is_one_of(const char *alternatives, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = alternatives; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, name, n) == 0 && (at[n] == '|' || at[n] == '\0'))
            return true;
    }
    return false;
}

static bool node_fits(const tq_pattern_node *wanted, const tq_node *node)
{
    if (wanted->op && !is_one_of(wanted->op, tq_node_op_name(node)))
        return false;
    const tq_value *output = tq_node_output(node, 0);
    if (wanted->sole_consumer && (tq_value_n_consumers(output) != 1 || tq_value_is_output(output)))
        return false;
    return !wanted->accept || wanted->accept(node);
}

static bool match_node(const tq_pattern *pattern, int k, tq_node *node, tq_match *match);

/* Input slot i of pattern node k, read at the node's input `from`. */
static bool match_input(const tq_pattern *pattern, int k, int i, const tq_node *node, int from,
                        tq_match *match)
{
    const int wanted = pattern->nodes[k].inputs[i];
    if (!wanted)
        return true;
    tq_value *value = tq_node_input(node, from);
    tq_node *producer = value ? tq_value_producer(value) : NULL;
    if (!producer || tq_value_output_index(value) != 0)
        return false;
    return match_node(pattern, wanted - 1, producer, match);
}

static bool match_inputs(const tq_pattern *pattern, int k, const tq_node *node, bool swapped,
                         tq_match *match)
{
    for (int i = 0; i < TQ_PATTERN_MAX_INPUTS; i++) {
        const int from = swapped && i < 2 ? 1 - i : i;
        if (!match_input(pattern, k, i, node, from, match))
            return false;
    }
    return true;
}

static bool match_node(const tq_pattern *pattern, int k, tq_node *node, tq_match *match)
{
    if (match->nodes[k])
        return match->nodes[k] == node;
    if (!node_fits(&pattern->nodes[k], node))
        return false;
    const tq_match before = *match;
    match->nodes[k] = node;
    if (match_inputs(pattern, k, node, false, match))
        return true;
    *match = before;
    match->nodes[k] = node;
    if (pattern->nodes[k].commutative && match_inputs(pattern, k, node, true, match))
        return true;
    *match = before;
    return false;
}

bool tq_pattern_match_at(const tq_pattern *pattern, tq_graph *graph, tq_node *last, tq_match *match)
{
    *match = (tq_match){ .graph = graph, .n_nodes = pattern->n_nodes };
    if (!match_node(pattern, pattern->n_nodes - 1, last, match))
        return false;
    for (int i = 0; i < pattern->n_nodes; i++)
        if (!match->nodes[i])
            return false;
    return true;
}

static bool overlaps(const tq_node_set *taken, const tq_match *match)
{
    for (int i = 0; i < match->n_nodes; i++)
        if (tq_node_set_has(taken, match->nodes[i]))
            return true;
    return false;
}

int tq_pattern_find(const tq_pattern *pattern, tq_graph *graph,
                    bool (*accept)(const tq_match *match), tq_arena *scratch,
                    tq_match **out_matches)
{
    int n = 0;
    size_t capacity = 0;
    tq_match *matches = NULL;
    tq_node_set taken = { .arena = scratch };
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        tq_match match;
        if (!tq_pattern_match_at(pattern, graph, node, &match) || (accept && !accept(&match)) ||
            overlaps(&taken, &match))
            continue;
        TQ_PUSH(scratch, matches, n, capacity, match);
        for (int i = 0; i < match.n_nodes; i++)
            tq_node_set_add(&taken, match.nodes[i]);
    }
    *out_matches = matches;
    return n;
}
