/* Plug-ins: shared objects that bring operators, editors, quantisers, backends, subcommands, ... of other people. A plug-in is
 * built apart, with the headers <truq/...> alone, exports one symbol, tq_plugin_main, and is loaded only when it is named. */
#ifndef TRUQ_PLUGIN_H
#define TRUQ_PLUGIN_H

#include <truq/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TQ_PLUGIN_MAX = 64 };

/** All that a plug-in brings: lists of borrowed descriptors, each ended by NULL (so at most TQ_PLUGIN_MAX - 1 of a kind).
 *  The first two fields are where they are in every version of the interface; nothing else is read before abi_version was
 *  found to be ours. */
typedef struct tq_plugin {
    int64_t abi_version;                                    /* TQ_ABI_VERSION of the headers it was built with */
    const char *name;                                       /* "example": shown by `truq list` and in errors */
    const struct tq_op *ops[TQ_PLUGIN_MAX];                 /* <truq/op.h> */
    const struct tq_kernel *kernels[TQ_PLUGIN_MAX];
    const struct tq_editor *editors[TQ_PLUGIN_MAX];         /* <truq/edit.h> */
    const struct tq_pipeline *pipelines[TQ_PLUGIN_MAX];
    const struct tq_quantizer *quantizers[TQ_PLUGIN_MAX];   /* <truq/quant.h> */
    const struct tq_observer *observers[TQ_PLUGIN_MAX];
    const struct tq_backend *backends[TQ_PLUGIN_MAX];       /* <truq/backend.h> */
    const struct tq_dataset_driver *datasets[TQ_PLUGIN_MAX];   /* <truq/data.h> */
    const struct tq_transform *transforms[TQ_PLUGIN_MAX];
    const struct tq_preset *presets[TQ_PLUGIN_MAX];
    const struct tq_recipe *recipes[TQ_PLUGIN_MAX];         /* <truq/recipe.h> */
    const struct tq_optimizer *optimizers[TQ_PLUGIN_MAX];   /* <truq/train.h> */
    const struct tq_schedule *schedules[TQ_PLUGIN_MAX];
    const struct tq_controller *controllers[TQ_PLUGIN_MAX];
    const struct tq_loss *losses[TQ_PLUGIN_MAX];
    const struct tq_zoo *zoo[TQ_PLUGIN_MAX];                /* <truq/zoo.h> */
    const struct tq_command *commands[TQ_PLUGIN_MAX];       /* <truq/command.h> */
} tq_plugin;

/** What a plug-in defines; the host never does. */
TQ_API extern const tq_plugin tq_plugin_main;

/** Loads the shared object at `path` and registers what it brings; it stays loaded until the registry is destroyed. The same
 *  file again changes nothing. The path is taken as it is: nothing is searched for. On failure nothing was registered:
 *  TQ_ERR_IO if there is no such file, TQ_ERR_FORMAT if it is no plug-in, TQ_ERR_UNSUPPORTED if it was built for another version of
 *  the interface, TQ_ERR_VALUE if a name is taken. (Defined in builtin/.) */
TQ_API tq_status tq_plugin_load(tq_registry *registry, const char *path);

#ifdef __cplusplus
}
#endif
#endif
