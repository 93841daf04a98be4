/* Rules at work: rounds of find and apply until nothing matches. A round's matches share no node;
 * one that no longer matches after others were applied waits for the next round. Edits are counted
 * against the size of the network, so that a rule which makes its own matches stops. */
#include "rewrite/rewrite.h"
#include "rewrite/rule_internal.h"

#include <stdio.h>
#include <string.h>

static void log_match(const char *name, const tq_rule_found *found, tq_arena *arena,
                      const tq_edit *edit)
{
    if (!edit->log)
        return;
    const tq_rule_match match = tq_rule_report(found, arena);
    char line[512];
    size_t n = (size_t)snprintf(line, sizeof line, "%s:", name);
    for (int i = 0; i < match.n_nodes && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s %s", i ? "," : "",
                              tq_node_name(match.nodes[i]));
    edit->log(edit->context, line);
}

/* Folded constants go by the names of those they replaced, where nobody reads these any more. */
static void inherit_names(tq_graph *graph, const tq_rule_heirs *heirs)
{
    for (int i = 0; i < heirs->n; i++) {
        const struct tq_rule_heir *heir = &heirs->items[i];
        if (heir->wanted && tq_graph_find_value(graph, heir->name) == heir->value &&
            !tq_graph_find_value(graph, heir->wanted))
            tq_value_set_name(heir->value, heir->wanted);
    }
}

static tq_status run_round(const char *name, const tq_rule *rule, tq_graph *graph,
                           const tq_edit *edit, tq_arena *arena, int *n_edits)
{
    int n;
    tq_rule_found **all;
    TQ_TRY(tq_rule_find_all(rule, graph, arena, &n, &all));
    tq_rule_heirs heirs = { .arena = arena };
    const char **last = TQ_NEW_N(arena, const char *, n);
    tq_node **nodes = TQ_NEW_N(arena, tq_node *, n);
    for (int i = 0; i < n; i++) {
        nodes[i] = all[i]->nodes[rule->n_nodes - 1][0];
        last[i] = tq_node_name(nodes[i]);
    }
    for (int i = 0; i < n; i++) {
        tq_rule_found *found;
        if (tq_graph_find_node(graph, last[i]) != nodes[i])
            continue;
        TQ_TRY(tq_rule_match_at(rule, graph, nodes[i], arena, &found));
        if (!found)
            continue;
        log_match(name, found, arena, edit);
        TQ_TRY(tq_wrap(tq_rule_apply(found, arena, &heirs), "at node '%s'", last[i]));
        ++*n_edits;
    }
    tq_graph_sweep(graph);
    inherit_names(graph, &heirs);
    return n ? tq_graph_infer(graph) : TQ_OK;
}

/* The last node of the first match. */
static const char *still_found(const tq_rule *rule, tq_graph *graph, tq_arena *arena)
{
    int n = 0;
    tq_rule_found **all;
    tq_status_drop(tq_rule_find_all(rule, graph, arena, &n, &all));
    return n ? tq_node_name(all[0]->nodes[rule->n_nodes - 1][0]) : "";
}

static tq_status run_rule(const char *name, const tq_rule *rule, tq_graph *graph,
                          const tq_edit *edit, int *n_edits)
{
    const int64_t most = tq_edit_limit(graph);
    for (int round = 0; round < TQ_EDIT_MAX_ROUNDS && *n_edits <= most; round++) {
        const int before = *n_edits;
        tq_arena *arena = tq_scratch_create();
        const tq_status status = run_round(name, rule, graph, edit, arena, n_edits);
        tq_arena_destroy(arena);
        TQ_TRY(status);
        if (*n_edits == before)
            return TQ_OK;
    }
    tq_arena *arena = tq_scratch_create();
    const tq_status status =
        tq_fail(TQ_ERR_CHECK, "does not come to an end: after %d edits it finds node '%s'",
                *n_edits, still_found(rule, graph, arena));
    tq_arena_destroy(arena);
    return status;
}

tq_status tq_rule_run(const tq_editor *editor, const tq_rule *rule, tq_graph *graph,
                      const tq_edit *edit, int *n_edits)
{
    return run_rule(editor->entry.name, rule, graph, edit, n_edits);
}

static tq_status run_rules(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                           tq_arena *arena, int *n_edits)
{
    int n;
    const tq_editor *const *rules;
    TQ_TRY(tq_rules_parse(tq_graph_registry(graph), editor->rules, editor->entry.name, arena, &n,
                          &rules));
    for (int i = 0; i < n; i++) {
        int n_own = 0;
        TQ_TRY(run_rule(editor->entry.name, rules[i]->rule, graph, edit, &n_own));
        *n_edits += n_own;
    }
    return TQ_OK;
}

tq_status tq_rule_run_text(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                           int *n_edits)
{
    tq_arena *arena = tq_scratch_create();
    const tq_status status = run_rules(editor, graph, edit, arena, n_edits);
    tq_arena_destroy(arena);
    return status;
}
