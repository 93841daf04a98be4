/* The registry: one array of borrowed descriptors a kind, in order of registration. A name that is
 * not there is answered with the nearest one by edit distance, where two swapped letters count once
 * (optimal string alignment, Damerau 1964). */
#include "base/base.h"
#include <truq/registry.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    const tq_entry *entry;
    const char *origin; /* a plug-in's name; NULL: built in */
} item;

typedef struct entries {
    item *items;
    size_t n, capacity;
} entries;

typedef struct kept {
    void *object;
    void (*release)(void *object);
    struct kept *before;
} kept;

struct tq_registry {
    entries kinds[TQ_N_KINDS];
    const char *origin; /* of what is added now */
    kept *last_kept;
};

static const char *const kind_names[TQ_N_KINDS][2] = {
    [TQ_KIND_OP] = { "operator", "ops" },
    [TQ_KIND_KERNEL] = { "kernel", "kernels" },
    [TQ_KIND_EDITOR] = { "editor", "editors" },
    [TQ_KIND_PIPELINE] = { "pipeline", "pipelines" },
    [TQ_KIND_QUANTIZER] = { "quantizer", "quantizers" },
    [TQ_KIND_OBSERVER] = { "observer", "observers" },
    [TQ_KIND_BACKEND] = { "backend", "backends" },
    [TQ_KIND_DATASET] = { "dataset", "datasets" },
    [TQ_KIND_TRANSFORM] = { "transform", "transforms" },
    [TQ_KIND_PRESET] = { "preset", "presets" },
    [TQ_KIND_RECIPE] = { "recipe", "recipes" },
    [TQ_KIND_OPTIMIZER] = { "optimizer", "optimizers" },
    [TQ_KIND_SCHEDULE] = { "schedule", "schedules" },
    [TQ_KIND_CONTROLLER] = { "controller", "controllers" },
    [TQ_KIND_LOSS] = { "loss", "losses" },
    [TQ_KIND_ZOO] = { "zoo network", "zoo" },
    [TQ_KIND_COMMAND] = { "command", "commands" },
};

const char *tq_kind_name(tq_kind kind, bool plural)
{
    TQ_ASSERT(kind < TQ_N_KINDS);
    return kind_names[kind][plural];
}

tq_registry *tq_registry_create(void)
{
    tq_registry *registry = tq_allocate(sizeof *registry);
    if (!registry)
        tq_memory_exhausted();
    return registry;
}

void tq_registry_destroy(tq_registry *registry)
{
    if (!registry)
        return;
    for (int kind = 0; kind < TQ_N_KINDS; kind++)
        free(registry->kinds[kind].items);
    while (registry->last_kept) {
        kept *k = registry->last_kept;
        registry->last_kept = k->before;
        k->release(k->object);
        free(k);
    }
    free(registry);
}

tq_status tq_registry_keep(tq_registry *registry, void *object, void (*release)(void *object))
{
    kept *k = tq_allocate(sizeof *k);
    if (!k)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    *k = (kept){ object, release, registry->last_kept };
    registry->last_kept = k;
    return TQ_OK;
}

bool tq_registry_keeps(const tq_registry *registry, const void *object)
{
    for (const kept *k = registry->last_kept; k; k = k->before)
        if (k->object == object)
            return true;
    return false;
}

static tq_status make_room(entries *list)
{
    if (list->n < list->capacity)
        return TQ_OK;
    const size_t capacity = list->capacity ? 2 * list->capacity : 32;
    item *items = tq_allocate(capacity * sizeof *items);
    if (!items)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    if (list->n)
        memcpy(items, list->items, list->n * sizeof *items);
    free(list->items);
    list->items = items;
    list->capacity = capacity;
    return TQ_OK;
}

void tq_registry_set_origin(tq_registry *registry, const char *origin)
{
    registry->origin = origin;
}

void tq_registry_remove_origin(tq_registry *registry, const char *origin)
{
    for (int kind = 0; kind < TQ_N_KINDS; kind++) {
        entries *list = &registry->kinds[kind];
        size_t n = 0;
        for (size_t i = 0; i < list->n; i++)
            if (list->items[i].origin != origin)
                list->items[n++] = list->items[i];
        list->n = n;
    }
}

static const item *find(const tq_registry *registry, tq_kind kind, const char *name)
{
    const entries *list = &registry->kinds[kind];
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].entry->name, name) == 0)
            return &list->items[i];
    return NULL;
}

/** Two of one name: which two. */
static tq_status fail_twice(tq_kind kind, const char *name, const char *first, const char *second)
{
    return tq_fail(TQ_ERR_VALUE,
                   "%s '%s' is registered twice, by %s%s%s and by %s%s%s; give one another name",
                   tq_kind_name(kind, false), name, first ? "plug-in '" : "truq itself",
                   first ? first : "", first ? "'" : "", second ? "plug-in '" : "truq itself",
                   second ? second : "", second ? "'" : "");
}

tq_status tq_registry_add(tq_registry *registry, tq_kind kind, const tq_entry *entry)
{
    if (!entry->name || !entry->name[0])
        return tq_fail(TQ_ERR_VALUE, "a %s without a name cannot be registered",
                       tq_kind_name(kind, false));
    const item *other = kind != TQ_KIND_KERNEL ? find(registry, kind, entry->name) : NULL;
    if (other)
        return fail_twice(kind, entry->name, other->origin, registry->origin);
    entries *list = &registry->kinds[kind];
    TQ_TRY(make_room(list));
    list->items[list->n++] = (item){ entry, registry->origin };
    return TQ_OK;
}

const tq_entry *tq_registry_get(const tq_registry *registry, tq_kind kind, const char *name)
{
    const item *found = find(registry, kind, name);
    return found ? found->entry : NULL;
}

const char *tq_registry_origin(const tq_registry *registry, tq_kind kind, const char *name)
{
    const item *found = find(registry, kind, name);
    return found ? found->origin : NULL;
}

enum { LONGEST = 63, FAR = 3 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/** Insertions, deletions, replacements and swaps of neighbours from a to b, ignoring case. */
static int edit_distance(const char *a, const char *b)
{
    const int n_a = (int)strnlen(a, LONGEST + 1), n_b = (int)strnlen(b, LONGEST + 1);
    if (n_a > LONGEST || n_b > LONGEST || abs(n_a - n_b) >= FAR)
        return FAR;
    int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n_a; i++)
        for (int j = 0; j <= n_b; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            d[i][j] = least(d[i - 1][j - 1] + (x != y), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n_a][n_b];
}

static bool is_prefix(const char *start, const char *text)
{
    const size_t n = strlen(start);
    return n >= 2 && strncmp(start, text, n) == 0;
}

/** The nearest name, or NULL: at most two edits (fewer than it has letters), or one the start of
 *  the other. */
static const char *suggest(const entries *list, const char *name)
{
    const char *nearest = NULL;
    int distance = FAR;
    for (size_t i = 0; i < list->n; i++) {
        const char *other = list->items[i].entry->name;
        const int d = edit_distance(name, other);
        if (d < distance && (size_t)d < strlen(name)) {
            nearest = other;
            distance = d;
        }
    }
    for (size_t i = 0; i < list->n && !nearest; i++)
        if (is_prefix(name, list->items[i].entry->name) ||
            is_prefix(list->items[i].entry->name, name))
            nearest = list->items[i].entry->name;
    return nearest;
}

tq_status tq_registry_find(const tq_registry *registry, tq_kind kind, const char *name,
                           const tq_entry **out_entry)
{
    *out_entry = tq_registry_get(registry, kind, name);
    if (*out_entry)
        return TQ_OK;
    const char *what = tq_kind_name(kind, false), *all = tq_kind_name(kind, true);
    const char *how = kind == TQ_KIND_COMMAND ? "--help" : "list ";
    if (kind == TQ_KIND_COMMAND)
        all = "";
    const char *nearest = suggest(&registry->kinds[kind], name);
    if (nearest)
        return tq_fail(TQ_ERR_NOT_FOUND,
                       "unknown %s '%s'; did you mean '%s'? ('truq %s%s' shows all)", what, name,
                       nearest, how, all);
    return tq_fail(TQ_ERR_NOT_FOUND, "unknown %s '%s' ('truq %s%s' shows all)", what, name, how,
                   all);
}

int tq_registry_count(const tq_registry *registry, tq_kind kind)
{
    return (int)registry->kinds[kind].n;
}

const tq_entry *tq_registry_at(const tq_registry *registry, tq_kind kind, int i)
{
    TQ_ASSERT(i >= 0 && i < tq_registry_count(registry, kind));
    return registry->kinds[kind].items[i].entry;
}
