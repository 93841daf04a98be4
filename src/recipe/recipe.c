/* Recipes: which rule serves a node's slot. */
#include "recipe/recipe_internal.h"

#include <truq/op.h>
#include <truq/plugin.h>

#include <regex.h>
#include <string.h>

static const char *const slot_names[] = {
    [TQ_SLOT_INPUT] = "input",
    [TQ_SLOT_WEIGHT] = "weight",
    [TQ_SLOT_ACTIVATION] = "activation",
    [TQ_SLOT_ADD] = "add",
    [TQ_SLOT_CONCAT] = "concat",
    [TQ_SLOT_POOL] = "pool",
    [TQ_SLOT_INTERPOSED] = "interposed",
    [TQ_SLOT_CORRELATION] = "correlation",
    [TQ_SLOT_BIAS] = "bias",
    [TQ_SLOT_SUM] = "sum",
    [TQ_SLOT_OUTPUT] = "output",
};

const char *tq_slot_name(tq_slot slot)
{
    return slot_names[slot];
}

/** Is input i a constant scalar float? */
static bool const_scalar(const tq_node *node, int i, double *out)
{
    const tq_value *value = tq_node_input(node, i);
    const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
    if (!tensor || tq_tensor_count(tensor) != 1 || !tq_dtype_is_float(tensor->type.dtype))
        return false;
    *out = tq_load_f64(tensor->data, tensor->type.dtype, 0);
    return true;
}

const char *tq_recipe_type_name(const tq_node *node)
{
    double lo, hi;
    if (!tq_node_is(node, "Clip") || !const_scalar(node, 1, &lo) || lo != 0.0)
        return tq_node_op_name(node);
    if (!tq_node_input(node, 2))
        return "Relu";
    if (!const_scalar(node, 2, &hi) || !(hi > 0.0))
        return tq_node_op_name(node);
    return hi == 6.0 ? "Relu6" : "Relu";
}

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static bool regex_accepts(const char *pattern, const char *name)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    const bool found = regexec(&regex, name, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static bool filter_accepts(const tq_filter *filter, const tq_node *node, bool is_first,
                           bool is_last)
{
    if ((filter->first && !is_first) || (filter->last && !is_last))
        return false;
    if (!node)
        return !filter->regex && !filter->types;
    if (filter->types && !is_listed(filter->types, tq_node_op_name(node)) &&
        !is_listed(filter->types, tq_recipe_type_name(node)))
        return false;
    if (filter->exclude && is_listed(filter->exclude, tq_node_name(node)))
        return false;
    return !filter->regex || regex_accepts(filter->regex, tq_node_name(node));
}

/** The slots of the whole network's ends are also those of single nodes, which must be asked for.
 */
static bool reaches(const tq_recipe_rule *rule, const tq_node *node)
{
    const tq_filter *f = &rule->filter;
    const bool is_end = rule->slot == TQ_SLOT_INPUT || rule->slot == TQ_SLOT_OUTPUT;
    return !is_end || !node || f->regex || f->types || f->first || f->last;
}

const tq_slot_spec *tq_recipe_spec(const tq_recipe *recipe, const tq_node *node, tq_slot slot,
                                   bool is_first, bool is_last)
{
    for (int i = recipe->n_rules - 1; i >= 0; i--) {
        const tq_recipe_rule *rule = &recipe->rules[i];
        if (rule->slot == slot && reaches(rule, node) &&
            filter_accepts(&rule->filter, node, is_first, is_last))
            return &rule->spec;
    }
    return NULL;
}

/** What tq_recipe_load or tq_recipe_open was asked. */
typedef struct request {
    const tq_registry *registry;
    tq_registry *plugins; /* the same, where plug-ins may be loaded into it */
    const char *name_or_file;
    tq_arena *arena;
    const tq_recipe **out_recipe;
} request;

/** A path of a recipe file, from the folder where the file is. */
static const char *path_beside(tq_arena *arena, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || !slash)
        return path;
    return tq_arena_printf(arena, "%.*s/%s", (int)(slash - file), file, path);
}

static tq_status load_plugins(const request *r, const tq_yaml *root)
{
    const tq_yaml *at = root->kind == TQ_YAML_MAP ? tq_yaml_get(root, "plugins") : NULL;
    if (!at)
        return TQ_OK;
    if (!r->plugins)
        return tq_yaml_fail(at, "the recipe lists plug-ins, and none may be loaded here");
    const char *const *paths;
    TQ_TRY(tq_yaml_strings(root, "plugins", r->arena, &paths));
    for (int i = 0; paths[i]; i++) {
        const tq_status status =
            tq_plugin_load(r->plugins, path_beside(r->arena, root->file, paths[i]));
        if (status)
            return tq_yaml_wrap(at->kind == TQ_YAML_LIST ? at->items[i] : at, status);
    }
    return TQ_OK;
}

static tq_status load(void *context)
{
    const request *r = context;
    if (!tq_yaml_is_file(r->name_or_file)) {
        const tq_entry *entry;
        TQ_TRY(tq_registry_find(r->registry, TQ_KIND_RECIPE, r->name_or_file, &entry));
        *r->out_recipe = (const tq_recipe *)entry;
        return TQ_OK;
    }
    const tq_yaml *root;
    TQ_TRY(tq_yaml_load(r->name_or_file, r->arena, &root));
    TQ_TRY(load_plugins(r, root));
    tq_recipe *recipe = TQ_NEW(r->arena, tq_recipe);
    TQ_TRY(tq_recipe_read(r->registry, root, r->arena, recipe));
    *r->out_recipe = recipe;
    return TQ_OK;
}

tq_status tq_recipe_load(const tq_registry *registry, const char *name_or_file, tq_arena *arena,
                         const tq_recipe **out_recipe)
{
    return tq_guard(load, &(request){ registry, NULL, name_or_file, arena, out_recipe });
}

tq_status tq_recipe_open(tq_registry *registry, const char *name_or_file, tq_arena *arena,
                         const tq_recipe **out_recipe)
{
    return tq_guard(load, &(request){ registry, registry, name_or_file, arena, out_recipe });
}
