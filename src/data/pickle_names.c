/* Classes that training scripts and frameworks keep in checkpoints beside the weights. None is made
 * and nothing of them is called: a place holder stands for each, and is left out. */
#include "pickle_internal.h"

#include <string.h>

static const struct {
    const char *module, *name; /* name NULL: all of the module and of those below it */
} harmless[] = {
    { "collections", "Counter" },
    { "collections", "defaultdict" },
    { "collections", "deque" },
    { "builtins", "set" },
    { "builtins", "frozenset" },
    { "builtins", "slice" },
    { "builtins", "range" },
    { "builtins", "complex" },
    { "builtins", "bytearray" },
    { "builtins", "list" },
    { "builtins", "dict" },
    { "builtins", "int" },
    { "builtins", "float" },
    { "__builtin__", "set" },
    { "__builtin__", "list" },
    { "__builtin__", "dict" },
    { "_codecs", "encode" }, /* how protocol 2 spells bytes */
    { "argparse", "Namespace" },
    { "types", "SimpleNamespace" },
    { "pathlib", "Path" },
    { "pathlib", "PosixPath" },
    { "pathlib", "WindowsPath" },
    { "pathlib", "PurePosixPath" },
    { "pathlib", "PureWindowsPath" },
    { "datetime", "datetime" },
    { "datetime", "date" },
    { "datetime", "timedelta" },
    { "numpy", "dtype" },
    { "numpy", "ndarray" },
    { "numpy.core.multiarray", "scalar" },
    { "numpy.core.multiarray", "_reconstruct" },
    { "numpy._core.multiarray", "scalar" },
    { "numpy._core.multiarray", "_reconstruct" },
    { "torch", "device" },
    { "torch", "dtype" },
    { "torch", "float32" },
    { "torch", "float64" },
    { "torch", "float16" },
    { "torch", "bfloat16" },
    { "torch", "int64" },
    { "torch.optim", NULL },
    { "omegaconf", NULL },
    { "yacs.config", "CfgNode" },
    { "easydict", "EasyDict" },
    { "typing", "Any" },
    { "pytorch_lightning", NULL },
    { "lightning", NULL },
    { "lightning_fabric", NULL },
};

static bool is_below(const char *module, const char *above)
{
    const size_t n = strlen(above);
    return strncmp(module, above, n) == 0 && (!module[n] || module[n] == '.');
}

bool tq_pickle_is_harmless(const char *module, const char *name)
{
    for (int i = 0; i < TQ_COUNT(harmless); i++) {
        const bool whole = !harmless[i].name && is_below(module, harmless[i].module);
        if (whole || (harmless[i].name && strcmp(module, harmless[i].module) == 0 &&
                      strcmp(name, harmless[i].name) == 0))
            return true;
    }
    return false;
}
