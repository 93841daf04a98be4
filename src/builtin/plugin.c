/* Loading plug-ins: dlopen, the version before all else, then every descriptor under its kind. What
 * fails half-way leaves the registry as it was. */
#include <truq/plugin.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where tq_plugin keeps the descriptors of each kind; all begin with a tq_entry. */
static const size_t lists[TQ_N_KINDS] = {
    [TQ_KIND_OP] = offsetof(tq_plugin, ops),
    [TQ_KIND_KERNEL] = offsetof(tq_plugin, kernels),
    [TQ_KIND_EDITOR] = offsetof(tq_plugin, editors),
    [TQ_KIND_PIPELINE] = offsetof(tq_plugin, pipelines),
    [TQ_KIND_QUANTIZER] = offsetof(tq_plugin, quantizers),
    [TQ_KIND_OBSERVER] = offsetof(tq_plugin, observers),
    [TQ_KIND_BACKEND] = offsetof(tq_plugin, backends),
    [TQ_KIND_DATASET] = offsetof(tq_plugin, datasets),
    [TQ_KIND_TRANSFORM] = offsetof(tq_plugin, transforms),
    [TQ_KIND_PRESET] = offsetof(tq_plugin, presets),
    [TQ_KIND_RECIPE] = offsetof(tq_plugin, recipes),
    [TQ_KIND_OPTIMIZER] = offsetof(tq_plugin, optimizers),
    [TQ_KIND_SCHEDULE] = offsetof(tq_plugin, schedules),
    [TQ_KIND_CONTROLLER] = offsetof(tq_plugin, controllers),
    [TQ_KIND_LOSS] = offsetof(tq_plugin, losses),
    [TQ_KIND_ZOO] = offsetof(tq_plugin, zoo),
    [TQ_KIND_COMMAND] = offsetof(tq_plugin, commands),
};

static tq_status add_kind(tq_registry *registry, const tq_plugin *plugin, tq_kind kind)
{
    const char *list = (const char *)plugin + lists[kind];
    for (int i = 0; i < TQ_PLUGIN_MAX; i++) {
        const tq_entry *entry;
        memcpy(&entry, list + (size_t)i * sizeof entry, sizeof entry);
        if (!entry)
            return TQ_OK;
        TQ_TRY(tq_registry_add(registry, kind, entry));
    }
    return tq_fail(TQ_ERR_VALUE, "its list of %s has no end; at most %d fit",
                   tq_kind_name(kind, true), TQ_PLUGIN_MAX - 1);
}

static tq_status add_all(tq_registry *registry, const tq_plugin *plugin)
{
    tq_status status = TQ_OK;
    tq_registry_set_origin(registry, plugin->name);
    for (int kind = 0; kind < TQ_N_KINDS && !status; kind++)
        status = add_kind(registry, plugin, (tq_kind)kind);
    tq_registry_set_origin(registry, NULL);
    return status;
}

static tq_status check(const tq_plugin *plugin)
{
    if (!plugin)
        return tq_fail(TQ_ERR_FORMAT, "it exports no tq_plugin_main");
    if (plugin->abi_version != TQ_ABI_VERSION)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "'%s' is built for version %lld of the plug-in interface, this truq has "
                       "version %d; build it again with these headers",
                       plugin->name ? plugin->name : "", (long long)plugin->abi_version,
                       TQ_ABI_VERSION);
    if (!plugin->name || !*plugin->name)
        return tq_fail(TQ_ERR_FORMAT, "it has no name");
    return TQ_OK;
}

static void release(void *library)
{
    dlclose(library);
}

static tq_status take(tq_registry *registry, void *library)
{
    const tq_plugin *plugin = dlsym(library, "tq_plugin_main");
    TQ_TRY(check(plugin));
    tq_status status = add_all(registry, plugin);
    if (!status)
        status = tq_registry_keep(registry, library, release);
    if (status)
        tq_registry_remove_origin(registry, plugin->name);
    return status;
}

tq_status tq_plugin_load(tq_registry *registry, const char *path)
{
    char *full = realpath(path, NULL); /* a name without a slash would be searched for */
    if (!full)
        return tq_fail(TQ_ERR_IO, "cannot load plug-in '%s': %s", path, strerror(errno));
    void *library = dlopen(full, RTLD_NOW | RTLD_LOCAL);
    free(full);
    if (!library)
        return tq_fail(TQ_ERR_FORMAT, "cannot load plug-in '%s': %s", path, dlerror());
    if (tq_registry_keeps(registry, library)) {
        dlclose(library); /* it is counted */
        return TQ_OK;
    }
    const tq_status status = take(registry, library);
    if (status)
        dlclose(library);
    return tq_wrap(status, "cannot load plug-in '%s'", path);
}
