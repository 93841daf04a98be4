/* Recipes from YAML (docs/recipes.md states the schema): rules in order, later ones win. */
#include "recipe/recipe_internal.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RULES = 1000, MAX_REGEX = 256, MAX_REPEATS = 1000 };

/** What reading a recipe needs at hand. */
typedef struct context {
    const tq_registry *registry;
    tq_arena *arena;
    tq_recipe_rule *rules;
    int n;
    size_t capacity;
} context;

/** The product of all upper bounds in {m,n}: nested repeats multiply what regcomp builds. */
static long count_repeats(const char *pattern)
{
    long product = 1;
    for (const char *p = pattern; *p && product <= MAX_REPEATS; p++) {
        if (*p != '{')
            continue;
        long most = 1;
        for (const char *q = p + 1; *q && *q != '}'; q++)
            if (isdigit((unsigned char)*q) && !isdigit((unsigned char)q[-1])) {
                const long bound = strtol(q, NULL, 10);
                most = bound > most ? bound : most;
            }
        product = most > MAX_REPEATS ? most : product * most;
    }
    return product;
}

tq_status tq_recipe_check_regex(const tq_yaml *scalar)
{
    const char *pattern = scalar->text;
    if (strlen(pattern) > MAX_REGEX)
        return tq_yaml_fail(scalar, "regular expression is longer than 256 characters");
    if (count_repeats(pattern) > MAX_REPEATS)
        return tq_yaml_fail(scalar, "regular expression repeats more than 1000 times");
    for (const char *p = strchr(pattern, '\\'); p && p[1]; p = strchr(p + 2, '\\'))
        if (isdigit((unsigned char)p[1]))
            return tq_yaml_fail(scalar, "regular expression has a back reference");
    regex_t regex;
    const int code = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0) {
        regfree(&regex);
        return TQ_OK;
    }
    char why[128];
    regerror(code, &regex, why, sizeof why);
    return tq_yaml_fail(scalar, "regular expression '%s': %s", tq_yaml_shown(scalar).s, why);
}

/** Every type is an operator, or one of the names tq_recipe_type_name makes. */
static tq_status check_types(const context *c, const tq_yaml *types)
{
    const bool one = types->kind == TQ_YAML_SCALAR;
    for (int i = 0; i < (one ? 1 : types->n); i++) {
        const tq_yaml *type = one ? types : types->items[i];
        const tq_entry *op;
        if (strcmp(type->text, "Relu6") != 0)
            TQ_TRY(tq_yaml_find_entry(type, c->registry, TQ_KIND_OP, &op));
    }
    return TQ_OK;
}

static tq_status read_filter(const context *c, const tq_yaml *map, tq_filter *filter)
{
    static const char *const keys[] = { "regex", "types", "exclude", "first", "last", NULL };
    TQ_TRY(tq_yaml_check_keys(map, keys));
    TQ_TRY(tq_yaml_string(map, "regex", &filter->regex));
    if (filter->regex)
        TQ_TRY(tq_recipe_check_regex(tq_yaml_get(map, "regex")));
    TQ_TRY(tq_yaml_strings(map, "types", c->arena, &filter->types));
    if (filter->types)
        TQ_TRY(check_types(c, tq_yaml_get(map, "types")));
    TQ_TRY(tq_yaml_strings(map, "exclude", c->arena, &filter->exclude));
    TQ_TRY(tq_yaml_bool(map, "first", &filter->first));
    return tq_yaml_bool(map, "last", &filter->last);
}

static tq_status read_slot(const tq_yaml *scalar, tq_slot *out_slot)
{
    for (int slot = 0; slot < TQ_N_SLOTS; slot++)
        if (scalar->kind == TQ_YAML_SCALAR && strcmp(scalar->text, tq_slot_name(slot)) == 0) {
            *out_slot = (tq_slot)slot;
            return TQ_OK;
        }
    return tq_yaml_fail(scalar,
                        "unknown slot '%s'; expected input, weight, correlation, bias, sum, "
                        "output, activation, add, concat, pool or interposed",
                        scalar->kind == TQ_YAML_SCALAR ? tq_yaml_shown(scalar).s : "");
}

/** "per-tensor" or "per-channel", in QuantLib's words too; channels only on weights. */
static tq_status read_granularity(const tq_yaml *rule, tq_slot slot, bool *out_per_channel)
{
    const char *text = NULL;
    TQ_TRY(tq_yaml_string(rule, "granularity", &text));
    *out_per_channel = slot == TQ_SLOT_WEIGHT;
    if (!text)
        return TQ_OK;
    const tq_yaml *at = tq_yaml_get(rule, "granularity");
    *out_per_channel =
        strcmp(text, "per-channel") == 0 || strcmp(text, "per-outchannel_weights") == 0;
    if (!*out_per_channel && strcmp(text, "per-tensor") != 0 && strcmp(text, "per-array") != 0)
        return tq_yaml_fail(at, "granularity '%s'; expected per-tensor or per-channel",
                            tq_yaml_shown(at).s);
    if (*out_per_channel && slot != TQ_SLOT_WEIGHT)
        return tq_yaml_fail(at, "slot '%s' can only be per-tensor: per-channel is for weights",
                            tq_slot_name(slot));
    return TQ_OK;
}

/** range, init and rounding: words that the quant room parses. */
static tq_status read_grid(const context *c, const tq_yaml *rule, tq_slot_spec *spec)
{
    const char *range = "i8", *init = "minmax", *rounding = "half-up";
    TQ_TRY(tq_yaml_string(rule, "range", &range));
    TQ_TRY(tq_yaml_string(rule, "init", &init));
    TQ_TRY(tq_yaml_string(rule, "rounding", &rounding));
    tq_status status = tq_range_parse(range, &spec->range);
    if (status)
        return tq_yaml_wrap(tq_yaml_get(rule, "range"), status);
    status = tq_init_find(c->registry, init, &spec->init);
    if (status)
        return tq_yaml_wrap(tq_yaml_get(rule, "init"), status);
    status = tq_rounding_parse(rounding, &spec->rounding);
    return status ? tq_yaml_wrap(tq_yaml_get(rule, "rounding"), status) : TQ_OK;
}

/** `scale`: free or power-of-two; `share`: with whom. */
static tq_status read_scale(const tq_yaml *rule, tq_slot slot, tq_slot_spec *spec)
{
    const char *scale = "free";
    TQ_TRY(tq_yaml_string(rule, "scale", &scale));
    spec->range.power_of_two = strcmp(scale, "power-of-two") == 0;
    if (!spec->range.power_of_two && strcmp(scale, "free") != 0)
        return tq_yaml_fail(tq_yaml_get(rule, "scale"), "scale '%s'; expected free or power-of-two",
                            tq_yaml_shown(tq_yaml_get(rule, "scale")).s);
    TQ_TRY(tq_yaml_string(rule, "share", &spec->share));
    if (spec->share && (slot == TQ_SLOT_WEIGHT || slot == TQ_SLOT_BIAS))
        return tq_yaml_fail(tq_yaml_get(rule, "share"),
                            "slot '%s' cannot share a grid: its constants place it themselves",
                            tq_slot_name(slot));
    return TQ_OK;
}

/** The quantiser, and that it can take the range. */
static tq_status read_quantizer(const context *c, const tq_yaml *rule, tq_slot_spec *spec)
{
    const char *name = "pact";
    TQ_TRY(tq_yaml_string(rule, "quantizer", &name));
    if (strcmp(name, "none") == 0)
        return TQ_OK;
    const tq_yaml *at = tq_yaml_get(rule, "quantizer");
    const tq_entry *entry;
    if (at)
        TQ_TRY(tq_yaml_find_entry(at, c->registry, TQ_KIND_QUANTIZER, &entry));
    else
        TQ_TRY(tq_registry_find(c->registry, TQ_KIND_QUANTIZER, name, &entry));
    const tq_quantizer *quantizer = (const tq_quantizer *)entry;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    const tq_status status = quantizer->init(&spec->range, -1.0, 1.0, params);
    if (status)
        return tq_yaml_wrap(at ? at : rule, status);
    spec->quantizer = entry->name;
    return TQ_OK;
}

static tq_status check_unsigned_if_positive(const tq_yaml *rule, const tq_slot_spec *spec)
{
    if (spec->unsigned_if_positive && (spec->range.free_offset || spec->range.q_min >= 0))
        return tq_yaml_fail(tq_yaml_get(rule, "unsigned_if_positive"),
                            "unsigned_if_positive needs a signed range, found '%s'",
                            tq_range_text(&spec->range).s);
    return TQ_OK;
}

static tq_status read_rule(context *c, const tq_yaml *rule, const tq_yaml *slot)
{
    tq_recipe_rule r = { 0 };
    TQ_TRY(read_slot(slot, &r.slot));
    const tq_yaml *filter = tq_yaml_get(rule, "filter");
    if (filter)
        TQ_TRY(read_filter(c, filter, &r.filter));
    TQ_TRY(read_granularity(rule, r.slot, &r.spec.per_channel));
    TQ_TRY(read_grid(c, rule, &r.spec));
    TQ_TRY(read_scale(rule, r.slot, &r.spec));
    TQ_TRY(read_quantizer(c, rule, &r.spec));
    TQ_TRY(tq_yaml_bool(rule, "unsigned_if_positive", &r.spec.unsigned_if_positive));
    TQ_TRY(check_unsigned_if_positive(rule, &r.spec));
    if (c->n == MAX_RULES)
        return tq_yaml_fail(rule, "more than 1000 rules");
    TQ_PUSH(c->arena, c->rules, c->n, c->capacity, r);
    return TQ_OK;
}

/** One rule of the file: one or several slots with the same spec. */
static tq_status read_rules(context *c, const tq_yaml *rule)
{
    static const char *const keys[] = {
        "slot",        "filter", "quantizer", "range",
        "granularity", "init",   "rounding",  "unsigned_if_positive",
        "scale",       "share",  NULL
    };
    TQ_TRY(tq_yaml_check_keys(rule, keys));
    const tq_yaml *slot = tq_yaml_get(rule, "slot");
    if (!slot)
        return tq_yaml_fail(rule, "a rule needs a 'slot'");
    if (slot->kind != TQ_YAML_LIST)
        return read_rule(c, rule, slot);
    for (int i = 0; i < slot->n; i++)
        TQ_TRY(read_rule(c, rule, slot->items[i]));
    return TQ_OK;
}

/** A name at `key` that must be registered; *out stays where the key is absent. */
static tq_status read_name(const context *c, const tq_yaml *root, const char *key, tq_kind kind,
                           const char **out)
{
    const tq_yaml *at = tq_yaml_get(root, key);
    if (!at)
        return TQ_OK;
    const tq_entry *entry;
    TQ_TRY(tq_yaml_find_entry(at, c->registry, kind, &entry));
    *out = entry->name;
    return TQ_OK;
}

/** Starts from another recipe: its settings, and its rules before ours. */
static tq_status read_base(context *c, const tq_yaml *root, tq_recipe *out)
{
    const tq_yaml *at = tq_yaml_get(root, "base");
    if (!at)
        return TQ_OK;
    const tq_entry *entry;
    TQ_TRY(tq_yaml_find_entry(at, c->registry, TQ_KIND_RECIPE, &entry));
    *out = *(const tq_recipe *)entry;
    for (int i = 0; i < out->n_rules; i++)
        TQ_PUSH(c->arena, c->rules, c->n, c->capacity, out->rules[i]);
    return TQ_OK;
}

static tq_status read_settings(const context *c, const tq_yaml *root, tq_recipe *out)
{
    TQ_TRY(tq_yaml_string(root, "name", &out->entry.name));
    TQ_TRY(tq_yaml_string(root, "brief", &out->entry.brief));
    TQ_TRY(read_name(c, root, "pipeline", TQ_KIND_PIPELINE, &out->pipeline));
    TQ_TRY(read_name(c, root, "optimizer", TQ_KIND_OPTIMIZER, &out->optimizer));
    TQ_TRY(tq_yaml_bool(root, "head_per_tensor", &out->head_per_tensor));
    TQ_TRY(tq_yaml_bool(root, "fuse_activations", &out->fuse_activations));
    TQ_TRY(tq_yaml_int(root, "epochs", 0, 1000000, &out->epochs));
    TQ_TRY(tq_yaml_number(root, "lr", &out->lr));
    if (!(out->lr > 0.0))
        return tq_yaml_fail(tq_yaml_get(root, "lr"), "'lr' must be above 0");
    return TQ_OK;
}

/** One of `editors`: a name, or {run: a name, after: or before: another}. */
static tq_status read_editor(const context *c, const tq_yaml *item, const tq_editor **out)
{
    static const char *const keys[] = { "run", "after", "before", NULL };
    const bool alone = item->kind == TQ_YAML_SCALAR;
    if (!alone)
        TQ_TRY(tq_yaml_check_keys(item, keys));
    const tq_yaml *name = alone ? item : tq_yaml_get(item, "run");
    if (!name)
        return tq_yaml_fail(item, "an editor needs a name: 'run: ...'");
    const tq_entry *entry;
    TQ_TRY(tq_yaml_find_entry(name, c->registry, TQ_KIND_EDITOR, &entry));
    tq_editor *editor = TQ_NEW(c->arena, tq_editor);
    *editor = *(const tq_editor *)entry;
    *out = editor;
    if (alone || item->n == 1)
        return TQ_OK;
    if (item->n > 2)
        return tq_yaml_fail(item, "an editor runs after another or before another, not both");
    editor->after = editor->before = NULL;
    TQ_TRY(tq_yaml_string(item, "after", &editor->after));
    return tq_yaml_string(item, "before", &editor->before);
}

static tq_status read_editors(const context *c, const tq_yaml *root, tq_recipe *out)
{
    const tq_yaml *list = tq_yaml_get(root, "editors");
    if (!list)
        return TQ_OK;
    if (list->kind != TQ_YAML_LIST)
        return tq_yaml_fail(list, "'editors' takes a list: '- {run: ..., after: ...}'");
    const tq_editor **editors = TQ_NEW_N(c->arena, const tq_editor *, list->n + 1);
    for (int i = 0; i < list->n; i++)
        TQ_TRY(read_editor(c, list->items[i], &editors[i]));
    out->editors = editors;
    out->n_editors = list->n;
    return TQ_OK;
}

/** `merge`: a list of lists of names. */
static tq_status read_merges(const context *c, const tq_yaml *root, tq_recipe *out)
{
    const tq_yaml *lists = tq_yaml_get(root, "merge");
    if (!lists)
        return TQ_OK;
    if (lists->kind != TQ_YAML_LIST)
        return tq_yaml_fail(lists, "'merge' takes a list of lists of names: '- [a, b]'");
    const char *const **merges = TQ_NEW_N(c->arena, const char *const *, lists->n + 1);
    for (int i = 0; i < lists->n; i++) {
        const tq_yaml *list = lists->items[i];
        if (list->kind != TQ_YAML_LIST || list->n < 2)
            return tq_yaml_fail(list, "expected a list of two or more names of nodes or values");
        const char **names = TQ_NEW_N(c->arena, const char *, list->n + 1);
        for (int k = 0; k < list->n; k++) {
            if (list->items[k]->kind != TQ_YAML_SCALAR || !*list->items[k]->text)
                return tq_yaml_fail(list->items[k], "expected the name of a node or a value");
            names[k] = list->items[k]->text;
        }
        merges[i] = names;
    }
    out->merges = merges;
    return TQ_OK;
}

/** `controllers`: NAME or NAME:ARGS, which the controller reads when a training starts. */
static tq_status read_controllers(const context *c, const tq_yaml *root, tq_recipe *out)
{
    const tq_yaml *list = tq_yaml_get(root, "controllers");
    if (!list)
        return TQ_OK;
    TQ_TRY(tq_yaml_strings(root, "controllers", c->arena, &out->controllers));
    for (int i = 0; out->controllers[i]; i++) {
        const char *text = out->controllers[i];
        tq_yaml name = list->kind == TQ_YAML_LIST ? *list->items[i] : *list;
        const tq_entry *entry;
        name.text = tq_arena_strndup(c->arena, text, strcspn(text, ":"));
        if (strchr(text, '\n'))
            return tq_yaml_fail(&name, "a controller is one line");
        TQ_TRY(tq_yaml_find_entry(&name, c->registry, TQ_KIND_CONTROLLER, &entry));
    }
    return TQ_OK;
}

tq_status tq_recipe_read(const tq_registry *registry, const tq_yaml *root, tq_arena *arena,
                         tq_recipe *out)
{
    static const char *const keys[] = { "name",
                                        "brief",
                                        "plugins",
                                        "base",
                                        "pipeline",
                                        "head_per_tensor",
                                        "fuse_activations",
                                        "optimizer",
                                        "lr",
                                        "epochs",
                                        "rules",
                                        "merge",
                                        "editors",
                                        "rewrites",
                                        "controllers",
                                        NULL };
    TQ_TRY(tq_yaml_check_keys(root, keys));
    context c = { .registry = registry, .arena = arena };
    *out = (tq_recipe){ .pipeline = "f2f", .optimizer = "pactsgd", .lr = 0.001, .epochs = 1 };
    TQ_TRY(read_base(&c, root, out));
    const char *slash = strrchr(root->file, '/');
    out->entry = (tq_entry){ .name = slash ? slash + 1 : root->file, .brief = "recipe file" };
    TQ_TRY(read_settings(&c, root, out));
    TQ_TRY(read_merges(&c, root, out));
    TQ_TRY(read_editors(&c, root, out));
    TQ_TRY(read_controllers(&c, root, out));
    TQ_TRY(tq_recipe_read_rewrites(registry, root, arena, out));
    const tq_yaml *rules = tq_yaml_get(root, "rules");
    if (rules && rules->kind != TQ_YAML_LIST)
        return tq_yaml_fail(rules, "'rules' takes a list: '- slot: ...'");
    for (int i = 0; rules && i < rules->n; i++)
        TQ_TRY(read_rules(&c, rules->items[i]));
    if (c.n == 0)
        return tq_yaml_fail(root, "the recipe has no rules");
    out->rules = c.rules;
    out->n_rules = c.n;
    return TQ_OK;
}
