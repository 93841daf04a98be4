/* Undo and redo: states of a network, each a copy that shares the data of constants with the
 * others. Editors work on a copy of the present state, so that a failure leaves no trace. */
#include "rewrite/rewrite.h"

#include <stdlib.h>
#include <string.h>

typedef struct state {
    tq_graph *graph;
    tq_arena *arena; /* label and lines */
    const char *label;
    int n_lines;
    size_t capacity;
    const char **lines;
} state;

struct tq_history {
    tq_arena *arena;
    int n, at;
    size_t capacity;
    state *states;
    tq_graph *present; /* a copy of states[at], perhaps edited by hand */
};

static state make_state(tq_graph *graph, const char *label)
{
    state s = { .graph = graph, .arena = tq_arena_create() };
    s.label = tq_arena_strdup(s.arena, label);
    return s;
}

static void drop_state(state *s)
{
    tq_graph_destroy(s->graph);
    tq_arena_destroy(s->arena);
}

/* States that were undone go when another one is made. */
static void push(tq_history *h, const state *s)
{
    while (h->n > h->at + 1)
        drop_state(&h->states[--h->n]);
    TQ_PUSH(h->arena, h->states, h->n, h->capacity, *s);
    h->at = h->n - 1;
}

static void show(tq_history *h)
{
    tq_graph_destroy(h->present);
    h->present = tq_graph_clone(h->states[h->at].graph);
}

tq_history *tq_history_create(const tq_graph *graph)
{
    tq_arena *arena = tq_arena_create();
    tq_history *h = TQ_NEW(arena, tq_history);
    h->arena = arena;
    h->at = -1;
    const state first = make_state(tq_graph_clone(graph), "start");
    push(h, &first);
    show(h);
    return h;
}

void tq_history_destroy(tq_history *history)
{
    if (!history)
        return;
    tq_graph_destroy(history->present);
    while (history->n > 0)
        drop_state(&history->states[--history->n]);
    tq_arena_destroy(history->arena);
}

tq_graph *tq_history_graph(tq_history *history)
{
    return history->present;
}

tq_status tq_history_commit(tq_history *history, const char *label)
{
    tq_status status = tq_graph_sort(history->present);
    if (!status)
        status = tq_graph_verify(history->present);
    if (!status) {
        const state s = make_state(tq_graph_clone(history->present), label);
        push(history, &s);
    }
    show(history);
    return tq_wrap(status, "edit '%s'", label);
}

/* ---- editors ---- */

/* Keeps the lines, and hands them on. */
typedef struct listener {
    state *state;
    const tq_edit *edit;
} listener;

static void keep_line(void *context, const char *line)
{
    const listener *l = context;
    state *s = l->state;
    TQ_PUSH(s->arena, s->lines, s->n_lines, s->capacity, tq_arena_strdup(s->arena, line));
    if (l->edit && l->edit->log)
        l->edit->log(l->edit->context, line);
}

static void hand_on_failure(void *context, const char *editor, const tq_graph *before)
{
    const listener *l = context;
    if (l->edit && l->edit->failed)
        l->edit->failed(l->edit->context, editor, before);
}

/* Equal in structure and in all constants. */
static bool same(const tq_graph *a, const tq_graph *b)
{
    char *text_a = tq_graph_print(a, 0), *text_b = tq_graph_print(b, 0);
    const bool equal = text_a && text_b && strcmp(text_a, text_b) == 0;
    free(text_a);
    free(text_b);
    return equal;
}

tq_status tq_history_apply(tq_history *history, const tq_editor *editor, const tq_edit *edit,
                           int *out_n_edits)
{
    if (!same(history->present, history->states[history->at].graph))
        TQ_TRY(tq_history_commit(history, "edit"));
    state next = make_state(tq_graph_clone(history->present), editor->entry.name);
    listener l = { &next, edit };
    tq_edit own = edit ? *edit : (tq_edit){ 0 };
    own.registry = tq_graph_registry(history->present);
    own.log = keep_line;
    own.failed = hand_on_failure;
    own.context = &l;
    const tq_status status = tq_editor_apply(editor, next.graph, &own, out_n_edits);
    if (status || same(next.graph, history->present)) {
        drop_state(&next);
        return status;
    }
    push(history, &next);
    show(history);
    return TQ_OK;
}

/* ---- moving ---- */

static bool move(tq_history *h, int by)
{
    if (h->at + by < 0 || h->at + by >= h->n)
        return false;
    h->at += by;
    show(h);
    return true;
}

bool tq_history_undo(tq_history *history)
{
    return move(history, -1);
}

bool tq_history_redo(tq_history *history)
{
    return move(history, 1);
}

int tq_history_count(const tq_history *history)
{
    return history->n;
}

int tq_history_at(const tq_history *history)
{
    return history->at;
}

const char *tq_history_label(const tq_history *history, int i)
{
    return i >= 0 && i < history->n ? history->states[i].label : NULL;
}

const char *tq_history_log(const tq_history *history, int i, int line)
{
    const state *s = i >= 0 && i < history->n ? &history->states[i] : NULL;
    return s && line >= 0 && line < s->n_lines ? s->lines[line] : NULL;
}
