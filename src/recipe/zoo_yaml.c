/* Descriptions of networks from YAML (docs/zoo.md states the form). What a key of a layer means is
 * for the builder to say: it knows the operators. Here only the shape of the file is checked. */
#include "recipe/recipe_internal.h"

#include <math.h>
#include <string.h>
#include <truq/zoo.h>

enum { MAX_REPEAT = 1000, MAX_DEPTH = 6 };

static tq_status read_item(const tq_yaml *item, const char **out_text, double *out_number)
{
    if (item->kind != TQ_YAML_SCALAR)
        return tq_yaml_fail(item, "expected a number or a name");
    *out_text = item->text;
    *out_number = NAN;
    tq_status_drop(tq_yaml_to_number(item, out_number));
    return TQ_OK;
}

static tq_status read_param(const tq_yaml *key, const tq_yaml *value, tq_arena *arena,
                            tq_zoo_param *out)
{
    const bool list = value->kind == TQ_YAML_LIST;
    const int n = list ? value->n : 1;
    if (value->kind == TQ_YAML_MAP)
        return tq_yaml_fail(value, "'%s' takes a value or a list of values", tq_yaml_shown(key).s);
    const char **texts = TQ_NEW_N(arena, const char *, n + 1);
    double *numbers = TQ_NEW_N(arena, double, n + 1);
    for (int i = 0; i < n; i++)
        TQ_TRY(read_item(list ? value->items[i] : value, &texts[i], &numbers[i]));
    *out = (tq_zoo_param){ .name = key->text,
                           .n = n,
                           .texts = texts,
                           .numbers = numbers,
                           .is_list = list,
                           .line = value->line,
                           .column = value->column };
    return TQ_OK;
}

/** All pairs of a map. */
static tq_status read_params(const tq_yaml *map, tq_arena *arena, int *out_n,
                             const tq_zoo_param **out)
{
    if (map->kind == TQ_YAML_SCALAR && !*map->text)
        return TQ_OK; /* "- Relu:" says nothing more */
    if (map->kind != TQ_YAML_MAP)
        return tq_yaml_fail(map, "expected keys and values, as in '{ channels: 16 }'");
    tq_zoo_param *params = TQ_NEW_N(arena, tq_zoo_param, map->n + 1);
    for (int i = 0; i < map->n; i++)
        TQ_TRY(read_param(map->keys[i], map->items[i], arena, &params[i]));
    *out_n = map->n;
    *out = params;
    return TQ_OK;
}

static tq_status read_layers(const tq_yaml *list, tq_arena *arena, int depth, int *out_n,
                             const tq_zoo_layer **out);

/** "repeat: N, layers: [...]", with a name or without. */
static tq_status read_repeat(const tq_yaml *map, tq_arena *arena, int depth, tq_zoo_layer *out)
{
    static const char *const keys[] = { "repeat", "name", "layers", NULL };
    const tq_yaml *layers = tq_yaml_get(map, "layers");
    int repeat = 1;
    TQ_TRY(tq_yaml_check_keys(map, keys));
    TQ_TRY(tq_yaml_int(map, "repeat", 1, MAX_REPEAT, &repeat));
    TQ_TRY(tq_yaml_string(map, "name", &out->name));
    if (!layers)
        return tq_yaml_fail(map, "'repeat' needs 'layers', a list of layers");
    out->repeat = repeat;
    return read_layers(layers, arena, depth + 1, &out->n_layers, &out->layers);
}

/** "Relu", or one key with parameters "Conv: { channels: 16 }", or a repetition. */
static tq_status read_layer(const tq_yaml *item, tq_arena *arena, int depth, tq_zoo_layer *out)
{
    *out = (tq_zoo_layer){ .line = item->line, .column = item->column };
    if (item->kind == TQ_YAML_SCALAR) {
        out->op = item->text;
        return TQ_OK;
    }
    if (item->kind != TQ_YAML_MAP)
        return tq_yaml_fail(item, "expected a layer, as in '- Relu' or '- Conv: { channels: 16 }'");
    if (tq_yaml_get(item, "repeat") || tq_yaml_get(item, "layers"))
        return read_repeat(item, arena, depth, out);
    if (item->n != 1)
        return tq_yaml_fail(item, "a layer is one operator; %d keys are here", item->n);
    out->op = item->keys[0]->text;
    return read_params(item->items[0], arena, &out->n_params, &out->params);
}

static tq_status read_layers(const tq_yaml *list, tq_arena *arena, int depth, int *out_n,
                             const tq_zoo_layer **out)
{
    if (list->kind != TQ_YAML_LIST || list->n == 0)
        return tq_yaml_fail(list, "expected a list of layers, as in '- Relu'");
    if (depth > MAX_DEPTH)
        return tq_yaml_fail(list, "repetitions are nested more than %d deep", MAX_DEPTH);
    tq_zoo_layer *layers = TQ_NEW_N(arena, tq_zoo_layer, list->n);
    for (int i = 0; i < list->n; i++)
        TQ_TRY(read_layer(list->items[i], arena, depth, &layers[i]));
    *out_n = list->n;
    *out = layers;
    return TQ_OK;
}

/** "input: [3, 32, 32]" is one input of the name "input"; "inputs: { a: [..], b: [..] }" are
 * several.
 */
static tq_status read_inputs(const tq_yaml *root, tq_arena *arena, tq_zoo_description *out)
{
    const tq_yaml *one = tq_yaml_get(root, "input"), *all = tq_yaml_get(root, "inputs");
    if (!one == !all)
        return tq_yaml_fail(root, "a network needs 'input' (its sizes) or 'inputs' (name: sizes)");
    if (all)
        return read_params(all, arena, &out->n_inputs, &out->inputs);
    tq_zoo_param *input = TQ_NEW(arena, tq_zoo_param);
    const tq_yaml key = { .kind = TQ_YAML_SCALAR, .text = "input", .file = root->file };
    out->n_inputs = 1;
    out->inputs = input;
    return read_param(&key, one, arena, input);
}

static tq_status read_description(const tq_yaml *root, tq_arena *arena, tq_zoo_description *out)
{
    static const char *const keys[] = { "name",    "input",   "inputs", "init",
                                        "classes", "outputs", "layers", NULL };
    static const char *const of_all[] = { "init", "classes", "outputs" };
    TQ_TRY(tq_yaml_check_keys(root, keys));
    out->file = root->file;
    out->name = "network";
    TQ_TRY(tq_yaml_string(root, "name", &out->name));
    TQ_TRY(read_inputs(root, arena, out));
    tq_zoo_param *params = TQ_NEW_N(arena, tq_zoo_param, TQ_COUNT(of_all));
    for (int i = 0; i < root->n; i++)
        for (int k = 0; k < TQ_COUNT(of_all); k++)
            if (strcmp(root->keys[i]->text, of_all[k]) == 0)
                TQ_TRY(read_param(root->keys[i], root->items[i], arena, &params[out->n_params++]));
    out->params = params;
    const tq_yaml *layers = tq_yaml_get(root, "layers");
    if (!layers)
        return tq_yaml_fail(root, "a network needs 'layers', a list of layers");
    return read_layers(layers, arena, 0, &out->n_layers, &out->layers);
}

typedef struct request {
    const char *path;
    tq_arena *arena;
    const tq_zoo_description **out;
} request;

static tq_status load(void *context)
{
    const request *r = context;
    const tq_yaml *root;
    TQ_TRY(tq_yaml_load(r->path, r->arena, &root));
    tq_zoo_description *description = TQ_NEW(r->arena, tq_zoo_description);
    TQ_TRY(read_description(root, r->arena, description));
    *r->out = description;
    return TQ_OK;
}

tq_status tq_zoo_read_description(const char *path, tq_arena *arena, const tq_zoo_description **out)
{
    return tq_guard(load, &(request){ path, arena, out });
}
