/* What ONNX had when: the opset that brought each operator, the dtypes its first input takes, and
 * its attributes with the values that may be left out. Taken from ONNX 1.23 (opset 28); operators
 * that are not here are not ONNX's or not implemented. */
#include "onnx/onnx_internal.h"

#include <string.h>

/* ---- operators and dtypes ---- */

#define BIT(dtype) (1u << (dtype))
enum {
    F = 1 << TQ_F32 | 1 << TQ_F64 | 1 << TQ_F16,
    B = 1 << TQ_BF16,
    W = 1 << TQ_U32 | 1 << TQ_I32 | 1 << TQ_U64 | 1 << TQ_I64,
    N = 1 << TQ_U8 | 1 << TQ_I8 | 1 << TQ_U16 | 1 << TQ_I16,
    S = 1 << TQ_I8 | 1 << TQ_I16 | 1 << TQ_I32 | 1 << TQ_I64,
    C = 1 << TQ_U8 | 1 << TQ_I8,
    L = 1 << TQ_BOOL,
    Q = 1 << TQ_U4 | 1 << TQ_I4,
    FB = F | B,
    FW = F | W,
    FBW = FB | W,
    ALL = F | W | N | L,
    ALLB = ALL | B,
    ALLQ = ALLB | Q,
};

/* Rows of one operator lie together, oldest first; the last that is not newer than the model's
 * opset is in force. */
static const struct {
    const char *op;
    int since;
    unsigned dtypes;
} versions[] = {
    { "Abs", 6, FW | N },
    { "Abs", 13, FBW | N },
    { "Add", 6, FW },
    { "Add", 13, FBW },
    { "Add", 14, FBW | N },
    { "AveragePool", 1, F },
    { "AveragePool", 22, FB },
    { "BatchNormalization", 1, F },
    { "BatchNormalization", 14, FB },
    { "Cast", 6, ALL },
    { "Cast", 13, ALLB },
    { "Cast", 21, ALLQ },
    { "Ceil", 6, F },
    { "Ceil", 13, FB },
    { "Clip", 6, F },
    { "Clip", 12, FW | N },
    { "Clip", 13, FBW | N },
    { "Concat", 4, ALL },
    { "Concat", 13, ALLB },
    { "Constant", 1, ALLQ },
    { "ConstantOfShape", 9, BIT(TQ_I64) },
    { "Conv", 1, F },
    { "Conv", 22, FB },
    { "ConvInteger", 10, C },
    { "ConvTranspose", 1, F },
    { "ConvTranspose", 22, FB },
    { "DequantizeLinear", 10, C | BIT(TQ_I32) },
    { "DequantizeLinear", 21, N | BIT(TQ_I32) | Q },
    { "Div", 6, FW },
    { "Div", 13, FBW },
    { "Div", 14, FBW | N },
    { "Dropout", 7, F },
    { "Dropout", 13, FB },
    { "Elu", 6, F },
    { "Elu", 22, FB },
    { "Equal", 7, BIT(TQ_I32) | BIT(TQ_I64) | L },
    { "Equal", 11, FW | N | L },
    { "Equal", 13, FBW | N | L },
    { "Erf", 9, FW | N },
    { "Erf", 13, FBW | N },
    { "Exp", 6, F },
    { "Exp", 13, FB },
    { "Expand", 8, ALL },
    { "Expand", 13, ALLB },
    { "Flatten", 1, F },
    { "Flatten", 9, ALL },
    { "Flatten", 13, ALLB },
    { "Flatten", 21, ALLQ },
    { "Floor", 6, F },
    { "Floor", 13, FB },
    { "Gather", 1, ALL },
    { "Gather", 13, ALLB },
    { "Gelu", 20, FB },
    { "Gemm", 7, F },
    { "Gemm", 9, FW },
    { "Gemm", 13, FBW },
    { "GlobalAveragePool", 1, F },
    { "GlobalAveragePool", 22, FB },
    { "GlobalMaxPool", 1, F },
    { "GlobalMaxPool", 22, FB },
    { "Greater", 7, F },
    { "Greater", 9, FW | N },
    { "Greater", 13, FBW | N },
    { "HardSigmoid", 6, F },
    { "HardSigmoid", 22, FB },
    { "HardSwish", 14, F },
    { "HardSwish", 22, FB },
    { "Identity", 1, ALL },
    { "Identity", 13, ALLB },
    { "Identity", 21, ALLQ },
    { "InstanceNormalization", 6, F },
    { "InstanceNormalization", 22, FB },
    { "LayerNormalization", 17, FB },
    { "LeakyRelu", 6, F },
    { "LeakyRelu", 16, FB },
    { "Less", 7, F },
    { "Less", 9, FW | N },
    { "Less", 13, FBW | N },
    { "Log", 6, F },
    { "Log", 13, FB },
    { "LogSoftmax", 1, F },
    { "LogSoftmax", 13, FB },
    { "MatMul", 1, F },
    { "MatMul", 9, FW },
    { "MatMul", 13, FBW },
    { "MatMulInteger", 10, C },
    { "Max", 6, F },
    { "Max", 12, FW | N },
    { "Max", 13, FBW | N },
    { "MaxPool", 1, F },
    { "MaxPool", 12, F | C },
    { "MaxPool", 22, FB | C },
    { "Min", 6, F },
    { "Min", 12, FW | N },
    { "Min", 13, FBW | N },
    { "Mish", 18, F },
    { "Mish", 22, FB },
    { "Mul", 6, FW },
    { "Mul", 13, FBW },
    { "Mul", 14, FBW | N },
    { "Neg", 6, F | S },
    { "Neg", 13, FB | S },
    { "PRelu", 7, F },
    { "PRelu", 9, FW },
    { "PRelu", 16, FBW },
    { "Pad", 2, F },
    { "Pad", 11, FW | N },
    { "Pad", 13, ALLB },
    { "Pad", 21, ALLQ },
    { "Pow", 7, F },
    { "Pow", 12, F | BIT(TQ_I32) | BIT(TQ_I64) },
    { "Pow", 13, FB | BIT(TQ_I32) | BIT(TQ_I64) },
    { "QuantizeLinear", 10, BIT(TQ_F32) | BIT(TQ_I32) },
    { "QuantizeLinear", 19, BIT(TQ_F32) | BIT(TQ_F16) | B | BIT(TQ_I32) },
    { "RMSNormalization", 23, FB },
    { "Reciprocal", 6, F },
    { "Reciprocal", 13, FB },
    { "ReduceMax", 1, FW },
    { "ReduceMax", 12, FW | C },
    { "ReduceMax", 13, FBW | C },
    { "ReduceMax", 20, FBW | C | L },
    { "ReduceMean", 1, FW },
    { "ReduceMean", 13, FBW },
    { "ReduceMin", 1, FW },
    { "ReduceMin", 12, FW | C },
    { "ReduceMin", 13, FBW | C },
    { "ReduceMin", 20, FBW | C | L },
    { "ReduceSum", 1, FW },
    { "ReduceSum", 13, FBW },
    { "Relu", 6, F },
    { "Relu", 13, FB },
    { "Relu", 14, FB | S },
    { "Reshape", 5, ALL },
    { "Reshape", 13, ALLB },
    { "Reshape", 21, ALLQ },
    { "Round", 11, F },
    { "Round", 22, FB },
    { "Shape", 1, ALL },
    { "Shape", 13, ALLB },
    { "Shape", 21, ALLQ },
    { "Sigmoid", 6, F },
    { "Sigmoid", 13, FB },
    { "Sign", 9, FW | N },
    { "Sign", 13, FBW | N },
    { "Slice", 1, ALL },
    { "Slice", 13, ALLB },
    { "Softmax", 1, F },
    { "Softmax", 13, FB },
    { "Softplus", 1, F },
    { "Softplus", 22, FB },
    { "Split", 2, ALL },
    { "Split", 13, ALLB },
    { "Sqrt", 6, F },
    { "Sqrt", 13, FB },
    { "Squeeze", 1, ALL },
    { "Squeeze", 13, ALLB },
    { "Squeeze", 21, ALLQ },
    { "Sub", 6, FW },
    { "Sub", 13, FBW },
    { "Sub", 14, FBW | N },
    { "Sum", 6, F },
    { "Sum", 13, FB },
    { "Tanh", 6, F },
    { "Tanh", 13, FB },
    { "Transpose", 1, ALL },
    { "Transpose", 13, ALLB },
    { "Transpose", 21, ALLQ },
    { "Unsqueeze", 1, ALL },
    { "Unsqueeze", 13, ALLB },
    { "Unsqueeze", 21, ALLQ },
    { "Where", 9, L },
};

int tq_onnx_op_since(const char *op)
{
    for (int i = 0; i < TQ_COUNT(versions); i++)
        if (strcmp(versions[i].op, op) == 0)
            return versions[i].since;
    return 0;
}

tq_status tq_onnx_check_dtype(const char *op, int opset, tq_dtype dtype)
{
    int found = -1;
    for (int i = 0; i < TQ_COUNT(versions); i++)
        if (strcmp(versions[i].op, op) == 0 && versions[i].since <= opset)
            found = i;
    if (found >= 0 && !(versions[found].dtypes & BIT(dtype)))
        return tq_fail(TQ_ERR_UNSUPPORTED, "%s does not take %s in opset %d", op,
                       tq_dtype_name(dtype), opset);
    return TQ_OK;
}

/* ---- attributes ---- */

typedef enum harmless { NEVER, ALWAYS, IF_INT, IF_TEXT, IF_ONES, IF_ZEROS } harmless;

static const struct {
    const char *op, *name;
    int since;
    harmless when;
    int64_t i;
    const char *s;
} attributes[] = {
#define WINDOW(op)                                                                                 \
    { op, "auto_pad", 1, IF_TEXT, 0, "NOTSET" }, { op, "kernel_shape", 1, NEVER, 0, NULL },        \
        { op, "pads", 1, IF_ZEROS, 0, NULL },                                                      \
    {                                                                                              \
        op, "strides", 1, IF_ONES, 0, NULL                                                         \
    }
#define CONVOLUTION(op)                                                                            \
    WINDOW(op), { op, "dilations", 1, IF_ONES, 0, NULL },                                          \
    {                                                                                              \
        op, "group", 1, IF_INT, 1, NULL                                                            \
    }
#define REDUCTION(op, since)                                                                       \
    { op, "keepdims", 1, IF_INT, 1, NULL },                                                        \
    {                                                                                              \
        op, "noop_with_empty_axes", since, IF_INT, 0, NULL                                         \
    }
    WINDOW("AveragePool"),
    { "AveragePool", "ceil_mode", 10, IF_INT, 0, NULL },
    { "AveragePool", "count_include_pad", 7, IF_INT, 0, NULL },
    { "AveragePool", "dilations", 19, IF_ONES, 0, NULL },
    { "BatchNormalization", "epsilon", 1, NEVER, 0, NULL },
    { "BatchNormalization", "momentum", 1, ALWAYS, 0, NULL }, /* inference does not use it */
    { "BatchNormalization", "training_mode", 14, IF_INT, 0, NULL },
    { "Cast", "round_mode", 24, ALWAYS, 0, NULL }, /* 8-bit floats only */
    { "Cast", "saturate", 19, ALWAYS, 0, NULL },   /* 8-bit floats only */
    { "Cast", "to", 6, NEVER, 0, NULL },
    { "Concat", "axis", 4, NEVER, 0, NULL },
    CONVOLUTION("Conv"),
    CONVOLUTION("ConvInteger"),
    CONVOLUTION("ConvTranspose"),
    { "ConvTranspose", "output_padding", 1, IF_ZEROS, 0, NULL },
    { "ConvTranspose", "output_shape", 1, NEVER, 0, NULL },
    { "DequantizeLinear", "axis", 13, IF_INT, 1, NULL },
    { "DequantizeLinear", "block_size", 21, IF_INT, 0, NULL },
    { "DequantizeLinear", "output_dtype", 23, IF_INT, 0, NULL },
    { "Dropout", "seed", 12, ALWAYS, 0, NULL },
    { "Elu", "alpha", 6, NEVER, 0, NULL },
    { "Flatten", "axis", 1, IF_INT, 1, NULL },
    { "Gather", "axis", 1, IF_INT, 0, NULL },
    { "Gelu", "approximate", 20, IF_TEXT, 0, "none" },
    { "Gemm", "alpha", 7, NEVER, 0, NULL },
    { "Gemm", "beta", 7, NEVER, 0, NULL },
    { "Gemm", "transA", 7, IF_INT, 0, NULL },
    { "Gemm", "transB", 7, IF_INT, 0, NULL },
    { "HardSigmoid", "alpha", 6, NEVER, 0, NULL },
    { "HardSigmoid", "beta", 6, NEVER, 0, NULL },
    { "InstanceNormalization", "epsilon", 6, NEVER, 0, NULL },
    { "LayerNormalization", "axis", 17, IF_INT, -1, NULL },
    { "LayerNormalization", "epsilon", 17, NEVER, 0, NULL },
    { "LayerNormalization", "stash_type", 17, IF_INT, 1, NULL },
    { "LeakyRelu", "alpha", 6, NEVER, 0, NULL },
    { "LogSoftmax", "axis", 1, NEVER, 0, NULL },
    WINDOW("MaxPool"),
    { "MaxPool", "ceil_mode", 10, IF_INT, 0, NULL },
    { "MaxPool", "dilations", 10, IF_ONES, 0, NULL },
    { "MaxPool", "storage_order", 8, ALWAYS, 0, NULL }, /* concerns the indices output only */
    { "Pad", "mode", 2, IF_TEXT, 0, "constant" },
    { "QuantizeLinear", "axis", 13, IF_INT, 1, NULL },
    { "QuantizeLinear", "block_size", 21, IF_INT, 0, NULL },
    { "QuantizeLinear", "output_dtype", 21, IF_INT, 0, NULL },
    { "QuantizeLinear", "precision", 23, IF_INT, 0, NULL },
    { "QuantizeLinear", "saturate", 19, ALWAYS, 0, NULL }, /* 8-bit floats only */
    { "RMSNormalization", "axis", 23, IF_INT, -1, NULL },
    { "RMSNormalization", "epsilon", 23, NEVER, 0, NULL },
    { "RMSNormalization", "stash_type", 23, IF_INT, 1, NULL },
    REDUCTION("ReduceMax", 18),
    REDUCTION("ReduceMean", 18),
    REDUCTION("ReduceMin", 18),
    REDUCTION("ReduceSum", 13),
    { "Reshape", "allowzero", 14, IF_INT, 0, NULL },
    { "Shape", "end", 15, NEVER, 0, NULL },
    { "Shape", "start", 15, IF_INT, 0, NULL },
    { "Softmax", "axis", 1, NEVER, 0, NULL },
    { "Split", "axis", 2, IF_INT, 0, NULL },
    { "Split", "num_outputs", 18, NEVER, 0, NULL },
    { "Transpose", "perm", 1, NEVER, 0, NULL },
};

static int find_attribute(const char *op, const char *name)
{
    for (int i = 0; i < TQ_COUNT(attributes); i++)
        if (strcmp(attributes[i].op, op) == 0 && strcmp(attributes[i].name, name) == 0)
            return i;
    return -1;
}

int tq_onnx_attr_since(const char *op, const char *attr)
{
    const int i = find_attribute(op, attr);
    return i < 0 ? 0 : attributes[i].since;
}

static bool all_are(const tq_attr *attr, int64_t value)
{
    if (attr->kind != TQ_ATTR_INTS)
        return false;
    for (int i = 0; i < attr->n; i++)
        if (attr->ints[i] != value)
            return false;
    return true;
}

bool tq_onnx_attr_is_harmless(const char *op, const tq_attr *attr)
{
    const int i = find_attribute(op, attr->name);
    if (i < 0)
        return false;
    switch (attributes[i].when) {
    case ALWAYS:
        return true;
    case IF_INT:
        return attr->kind == TQ_ATTR_INT && attr->i == attributes[i].i;
    case IF_TEXT:
        return attr->kind == TQ_ATTR_STRING && strcmp(attr->s, attributes[i].s) == 0;
    case IF_ONES:
        return all_are(attr, 1);
    case IF_ZEROS:
        return all_are(attr, 0);
    default:
        return false;
    }
}
