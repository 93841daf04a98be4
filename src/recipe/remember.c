/* What a network keeps of the recipe that made it: its name, and how it wants to be trained. A file
 * of a recipe may be gone by then. */
#include "recipe/recipe_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void remember_list(const char *const *texts, tq_arena *arena, tq_graph *graph)
{
    const char *all = "";
    for (int i = 0; texts && texts[i]; i++)
        all = tq_arena_printf(arena, "%s%s%s", all, i ? "\n" : "", texts[i]);
    if (*all)
        tq_graph_set_meta(graph, "recipe.controllers", all);
}

void tq_recipe_remember(const tq_recipe *recipe, tq_graph *graph)
{
    tq_arena *arena = tq_arena_create();
    tq_graph_set_meta(graph, "recipe", recipe->entry.name);
    if (recipe->optimizer)
        tq_graph_set_meta(graph, "recipe.optimizer", recipe->optimizer);
    if (recipe->lr > 0.0)
        tq_graph_set_meta(graph, "recipe.lr", tq_arena_printf(arena, "%.17g", recipe->lr));
    if (recipe->epochs > 0)
        tq_graph_set_meta(graph, "recipe.epochs", tq_arena_printf(arena, "%d", recipe->epochs));
    remember_list(recipe->controllers, arena, graph);
    tq_arena_destroy(arena);
}

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

static const char *const *read_list(const tq_graph *graph, const char *key, tq_arena *arena)
{
    const char *text = tq_graph_meta(graph, key);
    if (!text)
        return NULL;
    char *copy = tq_arena_strdup(arena, text);
    const char **items = TQ_NEW_N(arena, const char *, strlen(text) + 2);
    int n = 0;
    for (char *line = copy; line; n++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        items[n] = line;
        line = next;
    }
    return items;
}

tq_status tq_recipe_training_of(const tq_graph *graph, tq_arena *arena,
                                tq_recipe_training *out_training)
{
    double epochs;
    *out_training = (tq_recipe_training){ .optimizer = tq_graph_meta(graph, "recipe.optimizer") };
    TQ_TRY(read_number(graph, "recipe.lr", INFINITY, &out_training->lr));
    TQ_TRY(read_number(graph, "recipe.epochs", 1e6, &epochs));
    out_training->epochs = (int)epochs;
    out_training->controllers = read_list(graph, "recipe.controllers", arena);
    return TQ_OK;
}
