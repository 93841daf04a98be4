/* Pipelines: editors in order, third-party ones at their anchors. Work is done on a copy, so that a
 * failure leaves the caller's graph as it was. */
#include "rewrite/rewrite.h"

#include <string.h>

typedef struct step {
    const tq_editor *editor;
    bool anchored; /* not listed by the pipeline */
} step;

typedef struct plan {
    int n;
    size_t capacity;
    step *steps;
} plan;

static int index_of(const plan *p, const char *name)
{
    for (int i = 0; name && i < p->n; i++)
        if (strcmp(p->steps[i].editor->entry.name, name) == 0)
            return i;
    return -1;
}

static void insert(plan *p, tq_arena *scratch, int at, step item)
{
    TQ_PUSH(scratch, p->steps, p->n, p->capacity, item);
    memmove(&p->steps[at + 1], &p->steps[at], (size_t)(p->n - 1 - at) * sizeof *p->steps);
    p->steps[at] = item;
}

/* Behind the anchor and all that came to stand behind it before. */
static int place_after(const plan *p, int anchor)
{
    int at = anchor + 1;
    while (at < p->n && p->steps[at].anchored && index_of(p, p->steps[at].editor->after) >= anchor)
        at++;
    return at;
}

/* One round over editors that nobody listed but that name an anchor in this pipeline. */
static tq_status add_round(plan *p, const tq_registry *registry, tq_arena *scratch)
{
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_EDITOR); i++) {
        const tq_editor *editor =
            (const tq_editor *)(const void *)tq_registry_at(registry, TQ_KIND_EDITOR, i);
        if (editor->by_name || index_of(p, editor->entry.name) >= 0)
            continue;
        const int after = index_of(p, editor->after), before = index_of(p, editor->before);
        if (after >= 0 && before >= 0 && before <= after)
            return tq_fail(TQ_ERR_VALUE,
                           "editor '%s' cannot be after '%s' and before '%s': they run the other "
                           "way round",
                           editor->entry.name, editor->after, editor->before);
        if (after >= 0)
            insert(p, scratch, place_after(p, after), (step){ editor, true });
        else if (before >= 0)
            insert(p, scratch, before, (step){ editor, true });
    }
    return TQ_OK;
}

/* An anchor may itself be anchored, whatever the order of registration. */
static tq_status add_anchored(plan *p, const tq_registry *registry, tq_arena *scratch)
{
    for (int before = -1; p->n > before;) {
        before = p->n;
        TQ_TRY(add_round(p, registry, scratch));
    }
    return TQ_OK;
}

/* Behind the last editor of that stage or an earlier one. */
static int place_by_stage(const plan *p, tq_edit_stage stage)
{
    int at = p->n;
    while (at > 0 && p->steps[at - 1].editor->stage > stage)
        at--;
    return at;
}

static bool has_stage(const plan *p, const tq_pipeline *pipeline, tq_edit_stage stage)
{
    for (int i = 0; i < p->n; i++)
        if (p->steps[i].editor->stage == stage)
            return true;
    return pipeline->stages >> stage & 1;
}

/* Editors of plug-ins that name no anchor: at the end of their stage. */
static void add_by_stage(plan *p, const tq_pipeline *pipeline, const tq_registry *registry,
                         tq_arena *scratch)
{
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_EDITOR); i++) {
        const tq_editor *editor =
            (const tq_editor *)(const void *)tq_registry_at(registry, TQ_KIND_EDITOR, i);
        if (editor->by_name || editor->after || editor->before ||
            !tq_registry_origin(registry, TQ_KIND_EDITOR, editor->entry.name) ||
            index_of(p, editor->entry.name) >= 0 || !has_stage(p, pipeline, editor->stage))
            continue;
        insert(p, scratch, place_by_stage(p, editor->stage), (step){ editor, false });
    }
}

/* Editors that the caller brings: each joins. */
static tq_status add_more(plan *p, const char *pipeline, const tq_edit *edit, tq_arena *scratch)
{
    for (int i = 0; i < edit->n_more; i++) {
        const tq_editor *editor = edit->more[i];
        const int after = index_of(p, editor->after), before = index_of(p, editor->before);
        const char *anchor = editor->after ? editor->after : editor->before;
        if (anchor && after < 0 && before < 0)
            return tq_fail(TQ_ERR_NOT_FOUND, "editor '%s': pipeline '%s' has no editor '%s'",
                           editor->entry.name, pipeline, anchor);
        const int at = after >= 0    ? place_after(p, after)
                       : before >= 0 ? before
                                     : place_by_stage(p, editor->stage);
        insert(p, scratch, at, (step){ editor, anchor != NULL });
    }
    return TQ_OK;
}

static tq_status make_plan(const tq_registry *registry, const char *name, const tq_edit *edit,
                           tq_arena *scratch, plan *p)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(registry, TQ_KIND_PIPELINE, name, &entry));
    const tq_pipeline *pipeline = (const tq_pipeline *)(const void *)entry;
    for (int i = 0; pipeline->editors[i]; i++) {
        TQ_TRY(tq_registry_find(registry, TQ_KIND_EDITOR, pipeline->editors[i], &entry));
        insert(p, scratch, p->n, (step){ (const tq_editor *)(const void *)entry, false });
    }
    TQ_TRY(add_more(p, name, edit, scratch));
    add_by_stage(p, pipeline, registry, scratch);
    return add_anchored(p, registry, scratch);
}

tq_edit_stage tq_editor_moment(const tq_registry *registry, const tq_editor *editor)
{
    const char *const names[] = { editor->after, editor->before };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const tq_entry *entry =
            names[i] ? tq_registry_get(registry, TQ_KIND_EDITOR, names[i]) : NULL;
        if (entry)
            return ((const tq_editor *)(const void *)entry)->stage;
    }
    return editor->stage;
}

const tq_editor *const *tq_editors_between(const tq_registry *registry, int n,
                                           const tq_editor *const *editors, tq_edit_stage first,
                                           tq_edit_stage last, tq_arena *arena, int *out_n)
{
    const tq_editor **found = TQ_NEW_N(arena, const tq_editor *, n + 1);
    *out_n = 0;
    for (int i = 0; i < n; i++) {
        const tq_edit_stage moment = tq_editor_moment(registry, editors[i]);
        if (moment >= first && moment <= last)
            found[(*out_n)++] = editors[i];
    }
    return found;
}

static bool names(const char *wanted, const tq_editor *editor)
{
    return wanted && (strcmp(wanted, "all") == 0 || strcmp(wanted, editor->entry.name) == 0);
}

static tq_status run_plan(const plan *p, tq_graph *graph, const tq_edit *edit)
{
    for (int i = 0; i < p->n; i++) {
        const tq_editor *editor = p->steps[i].editor;
        TQ_TRY(tq_editor_apply(editor, graph, edit, NULL));
        if (names(edit->dump_after, editor) && edit->dump)
            edit->dump(edit->context, editor->entry.name, graph);
        if (names(edit->stop_after, editor))
            break;
    }
    return TQ_OK;
}

tq_status tq_pipeline_run(const tq_registry *registry, const char *pipeline, tq_graph **graph,
                          const tq_edit *edit)
{
    const tq_edit none = { .registry = registry };
    tq_arena *scratch = tq_scratch_create();
    plan p = { 0 };
    tq_status status = make_plan(registry, pipeline, edit ? edit : &none, scratch, &p);
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
