/* All matches of a rule that share no node, and what is told of them. */
#include "rewrite/rewrite.h"
#include "rewrite/rule_internal.h"

static bool overlaps(const tq_node_set *taken, const tq_rule_found *found)
{
    for (int k = 0; k < found->rule->n_nodes; k++)
        for (int i = 0; i < found->count[k]; i++)
            if (tq_node_set_has(taken, found->nodes[k][i]))
                return true;
    return false;
}

tq_status tq_rule_find_all(const tq_rule *rule, tq_graph *graph, tq_arena *arena, int *out_n,
                           tq_rule_found ***out)
{
    tq_node_set taken = { .arena = arena };
    size_t capacity = 0;
    *out_n = 0;
    *out = NULL;
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        tq_rule_found *found;
        TQ_TRY(tq_rule_match_at(rule, graph, node, arena, &found));
        if (!found || overlaps(&taken, found))
            continue;
        TQ_PUSH(arena, *out, *out_n, capacity, found);
        for (int k = 0; k < rule->n_nodes; k++)
            for (int i = 0; i < found->count[k]; i++)
                tq_node_set_add(&taken, found->nodes[k][i]);
    }
    return TQ_OK;
}

tq_rule_match tq_rule_report(const tq_rule_found *found, tq_arena *arena)
{
    const tq_rule *rule = found->rule;
    tq_rule_match match = { .values = TQ_NEW_N(arena, tq_value *, rule->n_captures) };
    const char **names = TQ_NEW_N(arena, const char *, rule->n_captures);
    size_t capacity = 0;
    for (int k = 0; k < rule->n_nodes; k++)
        for (int i = 0; i < found->count[k]; i++)
            TQ_PUSH(arena, match.nodes, match.n_nodes, capacity, found->nodes[k][i]);
    for (int i = 0; i < rule->n_captures; i++) {
        if (!rule->names[i].text)
            continue;
        names[match.n_captures] = rule->names[i].text;
        match.values[match.n_captures++] = found->values[i];
    }
    match.names = names;
    return match;
}

tq_status tq_rule_find(const tq_rule *rule, tq_graph *graph, tq_arena *scratch, int *out_n,
                       tq_rule_match **out_matches)
{
    tq_rule_found **found;
    TQ_TRY(tq_rule_find_all(rule, graph, scratch, out_n, &found));
    *out_matches = TQ_NEW_N(scratch, tq_rule_match, *out_n);
    for (int i = 0; i < *out_n; i++)
        (*out_matches)[i] = tq_rule_report(found[i], scratch);
    return TQ_OK;
}
