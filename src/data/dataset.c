/* Datasets: from "kind:argument" to an open driver. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>

/** The kind that a bare path must be, or NULL. */
static const char *guess_kind(const char *path)
{
    if (tq_path_is_folder(path))
        return "imagefolder";
    if (tq_path_has_suffix(path, ".tar"))
        return "tar";
    return tq_path_has_suffix(path, ".npz") || tq_path_has_suffix(path, ".npy") ? "npz" : NULL;
}

/** Is what stands before the colon a kind, not a part of a path? */
static bool is_kind(const char *text, size_t n)
{
    return n && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static tq_status find_driver(const tq_registry *registry, const char *spec,
                             const tq_dataset_driver **out_driver, const char **out_argument)
{
    const char *colon = strchr(spec, ':');
    char kind[64] = "";
    const size_t n = colon ? (size_t)(colon - spec) : 0;
    const tq_entry *entry = tq_registry_get(registry, TQ_KIND_DATASET, spec); /* "digits" */
    *out_argument = "";
    if (!entry && n < sizeof kind && is_kind(spec, n)) {
        memcpy(kind, spec, n);
        *out_argument = colon + 1;
        TQ_TRY(tq_registry_find(registry, TQ_KIND_DATASET, kind, &entry));
    }
    if (!entry && guess_kind(spec)) {
        *out_argument = spec;
        TQ_TRY(tq_registry_find(registry, TQ_KIND_DATASET, guess_kind(spec), &entry));
    }
    if (!entry)
        return tq_fail(TQ_ERR_VALUE,
                       "cannot tell what dataset '%s' is; write KIND:PATH, such as tar:train.tar",
                       spec);
    *out_driver = (const tq_dataset_driver *)entry;
    return TQ_OK;
}

typedef struct open_call {
    const tq_registry *registry;
    const char *spec;
    tq_partition partition;
    tq_arena *arena;
    tq_dataset *dataset;
} open_call;

static tq_status open_guarded(void *context)
{
    open_call *call = context;
    const tq_dataset_driver *driver = NULL;
    const char *argument = NULL;
    TQ_TRY(find_driver(call->registry, call->spec, &driver, &argument));
    call->arena = tq_arena_create();
    tq_dataset *dataset = TQ_NEW(call->arena, tq_dataset);
    dataset->driver = driver;
    dataset->arena = call->arena;
    dataset->spec = tq_arena_strdup(call->arena, call->spec);
    call->dataset = dataset;
    TQ_TRY(driver->open(tq_arena_strdup(call->arena, argument), call->partition, dataset));
    if (dataset->n <= 0)
        return tq_fail(TQ_ERR_FORMAT, "it is empty");
    return TQ_OK;
}

static tq_status open_dataset(const tq_registry *registry, const char *spec, tq_partition partition,
                              tq_dataset **out_dataset)
{
    open_call call = { .registry = registry, .spec = spec, .partition = partition };
    const tq_status status = tq_guard(open_guarded, &call);
    if (!status) {
        *out_dataset = call.dataset;
        return TQ_OK;
    }
    if (call.dataset)
        tq_dataset_close(call.dataset);
    else
        tq_arena_destroy(call.arena);
    return status;
}

tq_status tq_dataset_open(const tq_registry *registry, const char *spec, tq_partition partition,
                          tq_dataset **out_dataset)
{
    return tq_wrap(open_dataset(registry, spec, partition, out_dataset), "cannot open dataset '%s'",
                   spec);
}

tq_status tq_dataset_open_preferred(const tq_registry *registry, const char *spec,
                                    tq_partition partition, tq_dataset **out_dataset)
{
    tq_status status = open_dataset(registry, spec, partition, out_dataset);
    if (status && tq_status_code(status) == TQ_ERR_NOT_FOUND && partition != TQ_PARTITION_ALL) {
        tq_status_drop(status);
        status = open_dataset(registry, spec, TQ_PARTITION_ALL, out_dataset);
    }
    return tq_wrap(status, "cannot open dataset '%s'", spec);
}

void tq_dataset_close(tq_dataset *dataset)
{
    if (!dataset)
        return;
    if (dataset->driver->close)
        dataset->driver->close(dataset);
    tq_arena_destroy(dataset->arena);
}

tq_status tq_dataset_read(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    if (i < 0 || i >= dataset->n)
        return tq_fail(TQ_ERR_VALUE, "'%s' has no data point %lld, it has %lld", dataset->spec,
                       (long long)i, (long long)dataset->n);
    *out_sample = (tq_sample){ .label = -1 };
    return dataset->driver->read(dataset, i, out_sample);
}

tq_status tq_dataset_array(const tq_dataset *dataset, const char *name, const tq_tensor **out_array)
{
    if (!dataset->driver->array)
        return tq_fail(TQ_ERR_NOT_FOUND,
                       "'%s' has no array '%s': only npz datasets have named arrays", dataset->spec,
                       name);
    return dataset->driver->array(dataset, name, out_array);
}
