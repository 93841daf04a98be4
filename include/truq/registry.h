/* The registry: everything that has a name and can be listed, built in or from a plug-in. */
#ifndef TRUQ_REGISTRY_H
#define TRUQ_REGISTRY_H

#include <truq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every descriptor begins with one. `source`: paper or specification, may be NULL. */
typedef struct tq_entry {
    const char *name;
    const char *brief;
    const char *source;
} tq_entry;

typedef enum tq_kind {
    TQ_KIND_OP, TQ_KIND_KERNEL, TQ_KIND_EDITOR, TQ_KIND_PIPELINE, TQ_KIND_QUANTIZER, TQ_KIND_OBSERVER,
    TQ_KIND_BACKEND, TQ_KIND_DATASET, TQ_KIND_TRANSFORM, TQ_KIND_PRESET, TQ_KIND_RECIPE, TQ_KIND_OPTIMIZER,
    TQ_KIND_SCHEDULE, TQ_KIND_CONTROLLER, TQ_KIND_LOSS, TQ_KIND_ZOO, TQ_KIND_COMMAND, TQ_N_KINDS
} tq_kind;

typedef struct tq_registry tq_registry;

/** An empty registry (tq_builtin_register fills it); the caller destroys it. */
TQ_API tq_registry *tq_registry_create(void);
TQ_API void tq_registry_destroy(tq_registry *registry);

/** Lists `entry` (borrowed, must outlive the registry). Fails if the kind has that name already;
 *  kernels may share the name of their operator. */
TQ_API tq_status tq_registry_add(tq_registry *registry, tq_kind kind, const tq_entry *entry);

/** Entries added from now on come from `origin`: a plug-in's name (borrowed); NULL, as at first: they are built in. */
TQ_API void tq_registry_set_origin(tq_registry *registry, const char *origin);
/** The plug-in that an entry came from; NULL if it is built in or not there. */
TQ_API const char *tq_registry_origin(const tq_registry *registry, tq_kind kind, const char *name);
/** Takes out all that came from `origin` (compared as a pointer). */
TQ_API void tq_registry_remove_origin(tq_registry *registry, const char *origin);

/** Keeps `object` until the registry is destroyed, then calls release(object), the last kept first. */
TQ_API tq_status tq_registry_keep(tq_registry *registry, void *object, void (*release)(void *object));
TQ_API bool tq_registry_keeps(const tq_registry *registry, const void *object);

/** The entry of that name, or NULL. */
TQ_API const tq_entry *tq_registry_get(const tq_registry *registry, tq_kind kind, const char *name);

/** As tq_registry_get, but fails with TQ_ERR_NOT_FOUND "unknown quantizer 'lqs'; did you mean ...". */
TQ_API tq_status tq_registry_find(const tq_registry *registry, tq_kind kind, const char *name,
                                  const tq_entry **out_entry);

/** Entries of a kind in order of registration. */
TQ_API int tq_registry_count(const tq_registry *registry, tq_kind kind);
TQ_API const tq_entry *tq_registry_at(const tq_registry *registry, tq_kind kind, int i);

/** "quantizer", "quantizers". */
TQ_API const char *tq_kind_name(tq_kind kind, bool plural);

/** Registers all that is built in (defined in builtin/). */
TQ_API tq_status tq_builtin_register(tq_registry *registry);

#ifdef __cplusplus
}
#endif
#endif
