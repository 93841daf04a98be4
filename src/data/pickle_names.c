/* What a pickle may name: what makes tensors, and classes that training scripts and frameworks keep
 * in checkpoints beside the weights. Nothing of it is called, none of the latter is made: a place
 * holder stands for each, and is left out. */
#include "pickle_internal.h"

#include <string.h>

static const struct {
    const char *module, *name;
    tq_pickle_name id;
    tq_dtype dtype;
} known[] = {
    { "collections", "OrderedDict", TQ_PICKLE_ORDERED_DICT, TQ_NONE },
    { "torch._utils", "_rebuild_tensor_v2", TQ_PICKLE_REBUILD_TENSOR, TQ_NONE },
    { "torch._utils", "_rebuild_tensor", TQ_PICKLE_REBUILD_TENSOR, TQ_NONE },
    { "torch._utils", "_rebuild_parameter", TQ_PICKLE_REBUILD_PARAMETER, TQ_NONE },
    { "torch._utils", "_rebuild_parameter_with_state", TQ_PICKLE_REBUILD_PARAMETER, TQ_NONE },
    { "torch", "Size", TQ_PICKLE_SIZE, TQ_NONE },
    { "torch", "FloatStorage", TQ_PICKLE_STORAGE_CLASS, TQ_F32 },
    { "torch", "DoubleStorage", TQ_PICKLE_STORAGE_CLASS, TQ_F64 },
    { "torch", "HalfStorage", TQ_PICKLE_STORAGE_CLASS, TQ_F16 },
    { "torch", "BFloat16Storage", TQ_PICKLE_STORAGE_CLASS, TQ_BF16 },
    { "torch", "LongStorage", TQ_PICKLE_STORAGE_CLASS, TQ_I64 },
    { "torch", "IntStorage", TQ_PICKLE_STORAGE_CLASS, TQ_I32 },
    { "torch", "ShortStorage", TQ_PICKLE_STORAGE_CLASS, TQ_I16 },
    { "torch", "CharStorage", TQ_PICKLE_STORAGE_CLASS, TQ_I8 },
    { "torch", "ByteStorage", TQ_PICKLE_STORAGE_CLASS, TQ_U8 },
    { "torch", "BoolStorage", TQ_PICKLE_STORAGE_CLASS, TQ_BOOL },
};

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

static bool is_harmless(const char *module, const char *name)
{
    for (int i = 0; i < TQ_COUNT(harmless); i++) {
        const bool whole = !harmless[i].name && is_below(module, harmless[i].module);
        if (whole || (harmless[i].name && strcmp(module, harmless[i].module) == 0 &&
                      strcmp(name, harmless[i].name) == 0))
            return true;
    }
    return false;
}

bool tq_pickle_find_name(const char *module, const char *name, int64_t *out_id, tq_dtype *out_dtype)
{
    for (int i = 0; i < TQ_COUNT(known); i++)
        if (strcmp(module, known[i].module) == 0 && strcmp(name, known[i].name) == 0) {
            *out_id = known[i].id;
            *out_dtype = known[i].dtype;
            return true;
        }
    *out_id = TQ_PICKLE_HARMLESS;
    *out_dtype = TQ_NONE;
    return is_harmless(module, name);
}
