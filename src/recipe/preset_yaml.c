/* Presets of preprocessing from YAML (docs/recipes.md states the schema): lists of transforms with
 * their arguments. */
#include "recipe/recipe_internal.h"

#include <string.h>

/** "ToTensor", or one key with a number or a list of numbers: "Resize: 256". */
static tq_status read_transform(const tq_registry *registry, const tq_yaml *item,
                                tq_transform_spec *out)
{
    const bool bare = item->kind == TQ_YAML_SCALAR;
    if (!bare && (item->kind != TQ_YAML_MAP || item->n != 1))
        return tq_yaml_fail(item, "expected a transform, as in '- ToTensor' or '- Resize: 256'");
    const tq_entry *entry;
    TQ_TRY(tq_yaml_find_entry(bare ? item : item->keys[0], registry, TQ_KIND_TRANSFORM, &entry));
    *out = (tq_transform_spec){ .name = entry->name };
    if (bare)
        return TQ_OK;
    const tq_yaml *args = item->items[0];
    if (args->kind == TQ_YAML_MAP)
        return tq_yaml_fail(args, "'%s' takes numbers", entry->name);
    out->n_args = args->kind == TQ_YAML_SCALAR ? 1 : args->n;
    if (out->n_args > TQ_COUNT(out->args))
        return tq_yaml_fail(args, "'%s' has %d arguments; at most %d fit", entry->name, out->n_args,
                            TQ_COUNT(out->args));
    for (int i = 0; i < out->n_args; i++)
        TQ_TRY(
            tq_yaml_to_number(args->kind == TQ_YAML_SCALAR ? args : args->items[i], &out->args[i]));
    return TQ_OK;
}

static tq_status read_list(const tq_registry *registry, const tq_yaml *list, tq_transform_spec *out,
                           int *out_n)
{
    if (list->kind != TQ_YAML_LIST)
        return tq_yaml_fail(list, "expected a list of transforms, as in '- ToTensor'");
    if (list->n > TQ_PREPROCESS_MAX)
        return tq_yaml_fail(list, "%d transforms; at most %d fit", list->n, TQ_PREPROCESS_MAX);
    for (int i = 0; i < list->n; i++)
        TQ_TRY(read_transform(registry, list->items[i], &out[i]));
    *out_n = list->n;
    return TQ_OK;
}

/** The grid at the end: of the key `scale`, or of a last Integerise, whose first argument it is. */
static tq_status read_scale(const tq_yaml *root, tq_preset *out)
{
    const tq_yaml *at = tq_yaml_get(root, "scale");
    TQ_TRY(tq_yaml_number(root, "scale", &out->scale));
    if (at && !(out->scale > 0.0))
        return tq_yaml_fail(at, "'scale' must be above 0");
    const tq_transform_spec *last = out->n_eval > 0 ? &out->eval[out->n_eval - 1] : NULL;
    if (!last || strcmp(last->name, "Integerise") != 0 || last->n_args < 1)
        return TQ_OK;
    if (at && out->scale != last->args[0])
        return tq_yaml_fail(at, "'scale' is %.17g, but Integerise has %.17g", out->scale,
                            last->args[0]);
    out->scale = last->args[0];
    return TQ_OK;
}

static tq_status read_preset(const tq_registry *registry, const tq_yaml *root, tq_preset *out)
{
    static const char *const keys[] = { "name",  "brief", "sized_by_model", "scale", "eval",
                                        "train", NULL };
    TQ_TRY(tq_yaml_check_keys(root, keys));
    /* A model remembers its preset by this name: the file unless it says otherwise. */
    out->entry = (tq_entry){ .name = root->file, .brief = "preset file" };
    TQ_TRY(tq_yaml_string(root, "name", &out->entry.name));
    TQ_TRY(tq_yaml_string(root, "brief", &out->entry.brief));
    TQ_TRY(tq_yaml_bool(root, "sized_by_model", &out->sized_by_model));
    const tq_yaml *eval = tq_yaml_get(root, "eval"), *train = tq_yaml_get(root, "train");
    if (!eval)
        return tq_yaml_fail(root, "a preset needs 'eval', a list of transforms");
    TQ_TRY(read_list(registry, eval, out->eval, &out->n_eval));
    TQ_TRY(read_list(registry, train ? train : eval, out->train, &out->n_train));
    return read_scale(root, out);
}

/** What tq_preset_load was asked. */
typedef struct request {
    const tq_registry *registry;
    const char *name_or_file;
    tq_arena *arena;
    const tq_preset **out_preset;
} request;

static tq_status load(void *context)
{
    const request *r = context;
    if (!tq_yaml_is_file(r->name_or_file)) {
        const tq_entry *entry;
        TQ_TRY(tq_registry_find(r->registry, TQ_KIND_PRESET, r->name_or_file, &entry));
        *r->out_preset = (const tq_preset *)entry;
        return TQ_OK;
    }
    const tq_yaml *root;
    TQ_TRY(tq_yaml_load(r->name_or_file, r->arena, &root));
    tq_preset *preset = TQ_NEW(r->arena, tq_preset);
    TQ_TRY(read_preset(r->registry, root, preset));
    *r->out_preset = preset;
    return TQ_OK;
}

tq_status tq_preset_load(const tq_registry *registry, const char *name_or_file, tq_arena *arena,
                         const tq_preset **out_preset)
{
    return tq_guard(load, &(request){ registry, name_or_file, arena, out_preset });
}
