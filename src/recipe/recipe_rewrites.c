/* `rewrites`: rules as text inside a recipe, one block or a list of them. They become editors that
 * join the recipe's pipeline at their anchors or by their stage. */
#include "recipe/recipe_internal.h"

#include <truq/rule.h>

/** Line and column of an error are the file's for a block '|', else they count from where the text
 *  begins. */
static tq_status read_block(const tq_registry *registry, const tq_yaml *block, tq_arena *arena,
                            int *out_n, const tq_editor *const **out_editors)
{
    if (block->kind != TQ_YAML_SCALAR)
        return tq_yaml_fail(block, "'rewrites' takes text: 'rewrites: |' and rules below it");
    if (block->placed)
        return tq_rules_parse(registry, block->placed, block->file, arena, out_n, out_editors);
    const char *name =
        tq_arena_printf(arena, "%s:%zu:%zu: rewrites", block->file, block->line, block->column);
    return tq_rules_parse(registry, block->text, name, arena, out_n, out_editors);
}

tq_status tq_recipe_read_rewrites(const tq_registry *registry, const tq_yaml *root, tq_arena *arena,
                                  tq_recipe *out)
{
    const tq_yaml *rewrites = tq_yaml_get(root, "rewrites");
    if (!rewrites)
        return TQ_OK;
    const tq_editor **all = NULL;
    int n_all = 0;
    size_t capacity = 0;
    for (int i = 0; i < out->n_editors; i++)
        TQ_PUSH(arena, all, n_all, capacity, out->editors[i]);
    const bool list = rewrites->kind == TQ_YAML_LIST;
    for (int i = 0; i < (list ? rewrites->n : 1); i++) {
        int n = 0;
        const tq_editor *const *editors = NULL;
        TQ_TRY(read_block(registry, list ? rewrites->items[i] : rewrites, arena, &n, &editors));
        for (int k = 0; k < n; k++)
            TQ_PUSH(arena, all, n_all, capacity, editors[k]);
    }
    out->editors = all;
    out->n_editors = n_all;
    return TQ_OK;
}
