/* Pipelines: editors in order, third-party ones at their anchors. Work is done on a copy, so that a
 * failure leaves the caller's graph as it was. */
#include "rewrite/rewrite.h"

#include <string.h>

typedef struct plan {
    int n;
    size_t capacity;
    const tq_editor **editors;
} plan;

static int index_of(const plan *p, const char *name)
{
    for (int i = 0; name && i < p->n; i++)
        if (strcmp(p->editors[i]->entry.name, name) == 0)
            return i;
    return -1;
}

static void insert(plan *p, tq_arena *scratch, int at, const tq_editor *editor)
{
    TQ_PUSH(scratch, p->editors, p->n, p->capacity, editor);
    memmove(&p->editors[at + 1], &p->editors[at], (size_t)(p->n - 1 - at) * sizeof *p->editors);
    p->editors[at] = editor;
}

/* Editors that nobody listed but that name an anchor in this pipeline. */
static void add_anchored(plan *p, const tq_registry *registry, tq_arena *scratch)
{
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_EDITOR); i++) {
        const tq_editor *editor =
            (const tq_editor *)(const void *)tq_registry_at(registry, TQ_KIND_EDITOR, i);
        if (editor->by_name || index_of(p, editor->entry.name) >= 0)
            continue;
        const int after = index_of(p, editor->after), before = index_of(p, editor->before);
        if (after >= 0)
            insert(p, scratch, after + 1, editor);
        else if (before >= 0)
            insert(p, scratch, before, editor);
    }
}

static tq_status make_plan(const tq_registry *registry, const char *name, tq_arena *scratch,
                           plan *p)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(registry, TQ_KIND_PIPELINE, name, &entry));
    const tq_pipeline *pipeline = (const tq_pipeline *)(const void *)entry;
    for (int i = 0; pipeline->editors[i]; i++) {
        TQ_TRY(tq_registry_find(registry, TQ_KIND_EDITOR, pipeline->editors[i], &entry));
        insert(p, scratch, p->n, (const tq_editor *)(const void *)entry);
    }
    add_anchored(p, registry, scratch);
    return TQ_OK;
}

static bool names(const char *wanted, const tq_editor *editor)
{
    return wanted && (strcmp(wanted, "all") == 0 || strcmp(wanted, editor->entry.name) == 0);
}

static tq_status run_plan(const plan *p, tq_graph *graph, const tq_edit *edit)
{
    for (int i = 0; i < p->n; i++) {
        int n_edits;
        TQ_TRY(tq_editor_apply(p->editors[i], graph, edit, &n_edits));
        if (names(edit->dump_after, p->editors[i]) && edit->dump)
            edit->dump(edit->context, p->editors[i]->entry.name, graph);
        if (edit->stop_after && names(edit->stop_after, p->editors[i]))
            break;
    }
    return TQ_OK;
}

tq_status tq_pipeline_run(const tq_registry *registry, const char *pipeline, tq_graph **graph,
                          const tq_edit *edit)
{
    const tq_edit none = { .registry = registry };
    tq_arena *scratch = tq_arena_create();
    plan p = { 0 };
    tq_status status = make_plan(registry, pipeline, scratch, &p);
    if (!status) {
        tq_graph *copy = tq_graph_clone(*graph);
        status = run_plan(&p, copy, edit ? edit : &none);
        tq_graph_destroy(status ? copy : *graph);
        if (!status)
            *graph = copy;
    }
    tq_arena_destroy(scratch);
    return status;
}
