/* Applying one editor: find, check, apply, verify; until nothing is left to do. */
#include "rewrite/rewrite.h"
#include "rewrite/rule_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int64_t tq_edit_limit(const tq_graph *graph)
{
    return 4 * ((int64_t)tq_graph_n_nodes(graph) + TQ_EDIT_MAX_ROUNDS);
}

void tq_edit_log(const tq_edit *edit, const char *format, ...)
{
    if (!edit || !edit->log)
        return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    edit->log(edit->context, line);
}

static void log_match(const tq_editor *editor, const tq_match *match, const tq_edit *edit)
{
    if (!edit || !edit->log)
        return;
    char line[512];
    size_t n = (size_t)snprintf(line, sizeof line, "%s:", editor->entry.name);
    for (int i = 0; i < match->n_nodes && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s %s", i ? "," : "",
                              tq_node_name(match->nodes[i]));
    edit->log(edit->context, line);
}

/* Matches of a round share no node: what is gone was removed by the application of another one. */
static tq_status check_nodes(tq_graph *graph, const tq_match *found)
{
    for (int i = 0; i < found->n_nodes; i++) {
        const char *name = tq_node_name(found->nodes[i]);
        if (tq_graph_find_node(graph, name) != found->nodes[i])
            return tq_fail(TQ_ERR_CHECK,
                           "node '%s' belongs to a match, but another application removed it: "
                           "matches do not commute",
                           name);
    }
    return TQ_OK;
}

/* A match found before others were applied may no longer be one. */
static bool still_matches(const tq_editor *editor, tq_graph *graph, const tq_match *found,
                          tq_match *out)
{
    tq_node *last = found->nodes[found->n_nodes - 1];
    return tq_pattern_match_at(editor->pattern, graph, last, out) &&
           (!editor->accept || editor->accept(out));
}

static tq_status apply_round(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                             tq_arena *scratch, int *n_edits)
{
    tq_match *matches;
    const int n = tq_pattern_find(editor->pattern, graph, editor->accept, scratch, &matches);
    for (int i = 0; i < n; i++) {
        tq_match match;
        TQ_TRY(check_nodes(graph, &matches[i]));
        if (!still_matches(editor, graph, &matches[i], &match))
            continue;
        log_match(editor, &match, edit);
        const char *at = tq_node_name(match.nodes[match.n_nodes - 1]);
        TQ_TRY(tq_wrap(editor->apply(graph, &match), "at node '%s'", at));
        ++*n_edits;
    }
    return TQ_OK;
}

/* An editor that never ends may have broken the graph long ago: that is the better message. */
static tq_status fail_endless(const tq_editor *editor, tq_graph *graph, int n_edits)
{
    tq_match *matches;
    TQ_TRY(tq_graph_sort(graph));
    TQ_TRY(tq_wrap(tq_graph_verify(graph), "broke the graph"));
    tq_arena *scratch = tq_scratch_create();
    const int n = tq_pattern_find(editor->pattern, graph, editor->accept, scratch, &matches);
    const tq_status status =
        tq_fail(TQ_ERR_CHECK, "does not come to an end: after %d edits it still finds node '%s'",
                n_edits, n ? tq_node_name(matches[0].nodes[matches[0].n_nodes - 1]) : "");
    tq_arena_destroy(scratch);
    return status;
}

static tq_status apply_pattern(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                               int *n_edits)
{
    const int64_t most = tq_edit_limit(graph);
    for (int round = 0; round < TQ_EDIT_MAX_ROUNDS && *n_edits <= most; round++) {
        const int before = *n_edits;
        tq_arena *scratch = tq_scratch_create();
        const tq_status status = apply_round(editor, graph, edit, scratch, n_edits);
        tq_arena_destroy(scratch);
        TQ_TRY(status);
        if (*n_edits == before)
            return TQ_OK;
    }
    return fail_endless(editor, graph, *n_edits);
}

static tq_status run(const tq_editor *editor, tq_graph *graph, const tq_edit *edit, int *n_edits)
{
    if (editor->rules)
        return tq_rule_run_text(editor, graph, edit, n_edits);
    if (editor->rule)
        return tq_rule_run(editor, editor->rule, graph, edit, n_edits);
    return editor->pattern ? apply_pattern(editor, graph, edit, n_edits) : editor->run(graph, edit);
}

static tq_status apply(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                       tq_arena *arena, int *n_edits)
{
    const tq_interface interface = tq_interface_of(graph, arena);
    const tq_topology topology =
        editor->annotates ? tq_topology_of(graph, arena) : (tq_topology){ 0 };
    TQ_TRY(run(editor, graph, edit, n_edits));
    if (editor->annotates)
        TQ_TRY(tq_topology_check(&topology, graph, arena));
    TQ_TRY(tq_graph_sort(graph));
    TQ_TRY(tq_wrap(tq_graph_verify(graph), "broke the graph"));
    return editor->changes_interface
               ? TQ_OK
               : tq_wrap(tq_interface_check(&interface, graph), "changed the interface");
}

tq_status tq_editor_apply(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                          int *out_n_edits)
{
    int n_edits = 0;
    const tq_edit none = { .registry = tq_graph_registry(graph) };
    tq_arena *arena = tq_scratch_create();
    tq_graph *before = edit && edit->failed ? tq_graph_clone(graph) : NULL;
    const tq_status status = apply(editor, graph, edit ? edit : &none, arena, &n_edits);
    if (status && before)
        edit->failed(edit->context, editor->entry.name, before);
    tq_graph_destroy(before);
    tq_arena_destroy(arena);
    if (out_n_edits)
        *out_n_edits = n_edits;
    return tq_wrap(status, "editor '%s'", editor->entry.name);
}

tq_status tq_editor_run(const tq_editor *editor, tq_graph *graph)
{
    return tq_editor_apply(editor, graph, NULL, NULL);
}

tq_status tq_graph_open_batch(tq_graph *graph, int64_t batch)
{
    const tq_registry *registry = tq_graph_registry(graph);
    const tq_type *type = tq_graph_n_inputs(graph) ? tq_value_type(tq_graph_input(graph, 0)) : NULL;
    if (!type || type->rank < 1 || type->dims[0] == TQ_DIM_ANY || type->dims[0] == batch)
        return TQ_OK;
    const tq_entry *editor;
    TQ_TRY(tq_registry_find(registry, TQ_KIND_EDITOR, "free-batch", &editor));
    return tq_editor_run((const tq_editor *)(const void *)editor, graph);
}
