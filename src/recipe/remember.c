/* What a network keeps of the recipe that made it: its name, how it wants to be trained, and the
 * editors whose stage is still to come. A file of a recipe may be gone by then.
 *
 *   recipe, recipe.optimizer, recipe.lr, recipe.epochs
 *   recipe.controllers   one a line
 *   recipe.editors       one a line: NAME, "NAME after ANCHOR" or "NAME before ANCHOR"
 *   recipe.rules         rules as text */
#include "recipe/recipe_internal.h"

#include <truq/rule.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing --------------------------------------------------------------------------------- */

static void add_line(tq_arena *arena, const char **text, const char *line)
{
    *text = **text ? tq_arena_printf(arena, "%s\n%s", *text, line) : line;
}

static void set(tq_graph *graph, const char *key, const char *text)
{
    if (*text)
        tq_graph_set_meta(graph, key, text);
}

static const char *line_of(const tq_editor *editor, tq_arena *arena)
{
    const char *anchor = editor->after ? editor->after : editor->before;
    return anchor ? tq_arena_printf(arena, "%s %s %s", editor->entry.name,
                                    editor->after ? "after" : "before", anchor)
                  : editor->entry.name;
}

static void remember_editors(int n, const tq_editor *const *editors, tq_arena *arena,
                             tq_graph *graph)
{
    const char *names = "", *rules = "";
    for (int i = 0; i < n; i++)
        if (editors[i]->rule)
            add_line(arena, &rules, tq_rule_source(editors[i]->rule));
        else
            add_line(arena, &names, line_of(editors[i], arena));
    set(graph, "recipe.editors", names);
    set(graph, "recipe.rules", rules);
}

void tq_recipe_remember(const tq_recipe *recipe, int n_editors, const tq_editor *const *editors,
                        tq_graph *graph)
{
    tq_arena *arena = tq_scratch_create();
    const char *controllers = "";
    for (int i = 0; recipe->controllers && recipe->controllers[i]; i++)
        add_line(arena, &controllers, recipe->controllers[i]);
    set(graph, "recipe", recipe->entry.name);
    set(graph, "recipe.optimizer", recipe->optimizer ? recipe->optimizer : "");
    if (recipe->lr > 0.0)
        set(graph, "recipe.lr", tq_arena_printf(arena, "%.17g", recipe->lr));
    if (recipe->epochs > 0)
        set(graph, "recipe.epochs", tq_arena_printf(arena, "%d", recipe->epochs));
    set(graph, "recipe.controllers", controllers);
    remember_editors(n_editors, editors, arena, graph);
    tq_arena_destroy(arena);
}

/* ---- reading --------------------------------------------------------------------------------- */

/** A number above 0 in the metadata; 0 where there is none. */
static tq_status read_number(const tq_graph *graph, const char *key, double max, double *out)
{
    const char *text = tq_graph_meta(graph, key);
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0.0;
    if (text && (end == text || *end || !(*out > 0.0 && *out <= max)))
        return tq_fail(TQ_ERR_VALUE, "metadata '%s' is '%.40s'; expected a number above 0", key,
                       text);
    return TQ_OK;
}

/** The lines of a metadata, NULL-terminated; NULL where there is none. */
static const char **read_lines(const tq_graph *graph, const char *key, tq_arena *arena)
{
    const char *text = tq_graph_meta(graph, key);
    if (!text)
        return NULL;
    const char **lines = TQ_NEW_N(arena, const char *, strlen(text) + 2);
    int n = 0;
    for (char *line = tq_arena_strdup(arena, text); line; n++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        lines[n] = line;
        line = next;
    }
    return lines;
}

/** The next word of a line, "" at its end. */
static const char *next_word(const char **line, tq_arena *arena)
{
    *line += strspn(*line, " ");
    const size_t n = strcspn(*line, " ");
    const char *word = tq_arena_strndup(arena, *line, n);
    *line += n;
    return word;
}

static tq_status read_editor(const tq_registry *registry, const char *line, tq_arena *arena,
                             const tq_editor **out)
{
    const tq_entry *entry;
    tq_editor *editor = TQ_NEW(arena, tq_editor);
    TQ_TRY(tq_registry_find(registry, TQ_KIND_EDITOR, next_word(&line, arena), &entry));
    *editor = *(const tq_editor *)entry;
    const char *where = next_word(&line, arena), *anchor = next_word(&line, arena);
    if (*anchor) {
        editor->after = strcmp(where, "after") == 0 ? anchor : NULL;
        editor->before = strcmp(where, "before") == 0 ? anchor : NULL;
    }
    *out = editor;
    return TQ_OK;
}

static tq_status read_editors(const tq_graph *graph, tq_arena *arena, tq_recipe_memory *out)
{
    const tq_registry *registry = tq_graph_registry(graph);
    const char **lines = read_lines(graph, "recipe.editors", arena);
    const char *text = tq_graph_meta(graph, "recipe.rules");
    const tq_editor *const *rules = NULL, **all = NULL;
    int n_rules = 0;
    size_t capacity = 0;
    for (int i = 0; lines && lines[i]; i++) {
        const tq_editor *editor = NULL;
        const tq_status status = read_editor(registry, lines[i], arena, &editor);
        TQ_TRY(tq_wrap(status, "metadata 'recipe.editors'"));
        TQ_PUSH(arena, all, out->n_editors, capacity, editor);
    }
    if (text)
        TQ_TRY(tq_rules_parse(registry, text, "metadata 'recipe.rules'", arena, &n_rules, &rules));
    for (int i = 0; i < n_rules; i++)
        TQ_PUSH(arena, all, out->n_editors, capacity, rules[i]);
    out->editors = all;
    return TQ_OK;
}

tq_status tq_recipe_recall(const tq_graph *graph, tq_arena *arena, tq_recipe_memory *out_memory)
{
    double epochs;
    *out_memory = (tq_recipe_memory){ .optimizer = tq_graph_meta(graph, "recipe.optimizer") };
    TQ_TRY(read_number(graph, "recipe.lr", INFINITY, &out_memory->lr));
    TQ_TRY(read_number(graph, "recipe.epochs", 1e6, &epochs));
    out_memory->epochs = (int)epochs;
    out_memory->controllers = read_lines(graph, "recipe.controllers", arena);
    return read_editors(graph, arena, out_memory);
}
