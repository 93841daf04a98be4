/* What ONNX had when: the opset that brought each operator, the dtypes its first input takes, and
 * its attributes with the values that may be left out. Taken from ONNX 1.23 (opset 28); operators
 * on sequences, strings and random numbers, control flow are left out. */
#include "onnx/onnx_internal.h"

#include <string.h>

/* ---- operators and dtypes ---- */

#define BIT(dtype) (1u << (dtype))
enum {
    F = BIT(TQ_F32) | BIT(TQ_F64) | BIT(TQ_F16),
    B = BIT(TQ_BF16),
    W = BIT(TQ_U32) | BIT(TQ_I32) | BIT(TQ_U64) | BIT(TQ_I64),
    N = BIT(TQ_U8) | BIT(TQ_I8) | BIT(TQ_U16) | BIT(TQ_I16),
    S = BIT(TQ_I8) | BIT(TQ_I16) | BIT(TQ_I32) | BIT(TQ_I64),
    C = BIT(TQ_U8) | BIT(TQ_I8),
    L = BIT(TQ_BOOL),
    Q = BIT(TQ_U4) | BIT(TQ_I4),
    ALL = F | W | N | L,
    ALLB = ALL | B,
    ALLQ = ALLB | Q,
};

/* Rows of one operator lie together, oldest first; the last that is not newer than the model's
 * opset is in force. */
/* clang-format off */
static const struct {
    const char *op;
    int since;
    unsigned dtypes;
} versions[] = {
    { "Abs", 1, F | W | N }, { "Abs", 13, F | B | W | N }, { "Acos", 7, F }, { "Acos", 22, F | B },
    { "Acosh", 9, F }, { "Acosh", 22, F | B }, { "Add", 1, F | W }, { "Add", 13, F | B | W },
    { "Add", 14, F | B | W | N }, { "And", 1, L }, { "ArgMax", 1, F | W | N },
    { "ArgMax", 13, F | B | W | N }, { "ArgMin", 1, F | W | N }, { "ArgMin", 13, F | B | W | N },
    { "Asin", 7, F }, { "Asin", 22, F | B }, { "Asinh", 9, F }, { "Asinh", 22, F | B },
    { "Atan", 7, F }, { "Atan", 22, F | B }, { "Atanh", 9, F }, { "Atanh", 22, F | B },
    { "Attention", 23, F | B }, { "AveragePool", 1, F }, { "AveragePool", 22, F | B },
    { "BatchNormalization", 1, F }, { "BatchNormalization", 14, F | B }, { "BitCast", 26, ALLQ },
    { "BitShift", 11, BIT(TQ_U8) | BIT(TQ_U16) | BIT(TQ_U32) | BIT(TQ_U64) },
    { "BitShift", 28, W | N }, { "BitwiseAnd", 18, W | N }, { "BitwiseNot", 18, W | N },
    { "BitwiseOr", 18, W | N }, { "BitwiseXor", 18, W | N }, { "Cast", 1, ALL },
    { "Cast", 13, ALLB }, { "Cast", 21, ALLQ }, { "CastLike", 15, ALLB }, { "CastLike", 21, ALLQ },
    { "CausalConvWithState", 27, B | BIT(TQ_F32) | BIT(TQ_F16) }, { "Ceil", 1, F },
    { "Ceil", 13, F | B }, { "Celu", 12, BIT(TQ_F32) }, { "Celu", 28, F | B },
    { "CenterCropPad", 18, ALLB }, { "Clip", 1, F }, { "Clip", 12, F | W | N },
    { "Clip", 13, F | B | W | N }, { "Concat", 1, ALL }, { "Concat", 13, ALLB },
    { "Constant", 1, ALLQ }, { "ConstantOfShape", 9, BIT(TQ_I64) }, { "Conv", 1, F },
    { "Conv", 22, F | B }, { "ConvInteger", 10, C }, { "ConvTranspose", 1, F },
    { "ConvTranspose", 22, F | B }, { "Cos", 7, F }, { "Cos", 22, F | B }, { "Cosh", 9, F },
    { "Cosh", 22, F | B }, { "CumProd", 26, F | B | W },
    { "CumSum", 11, W | BIT(TQ_F32) | BIT(TQ_F64) }, { "CumSum", 14, F | B | W },
    { "DepthToSpace", 1, ALL }, { "DepthToSpace", 13, ALLB },
    { "DequantizeLinear", 10, C | BIT(TQ_I32) }, { "DequantizeLinear", 21, N | Q | BIT(TQ_I32) },
    { "Div", 1, F | W }, { "Div", 13, F | B | W }, { "Div", 14, F | B | W | N },
    { "Dropout", 1, F }, { "Dropout", 13, F | B }, { "DynamicQuantizeLinear", 11, BIT(TQ_F32) },
    { "Einsum", 12, F | W | N }, { "Einsum", 28, F | B | W | N }, { "Elu", 1, F },
    { "Elu", 22, F | B }, { "Equal", 1, L | BIT(TQ_I32) | BIT(TQ_I64) }, { "Equal", 11, ALL },
    { "Equal", 13, ALLB }, { "Erf", 9, F | W | N }, { "Erf", 13, F | B }, { "Exp", 1, F },
    { "Exp", 13, F | B }, { "Expand", 8, ALL }, { "Expand", 13, ALLB }, { "Flatten", 1, F },
    { "Flatten", 9, ALL }, { "Flatten", 13, ALLB }, { "Flatten", 21, ALLQ }, { "Floor", 1, F },
    { "Floor", 13, F | B }, { "GRU", 7, F }, { "GRU", 22, F | B }, { "Gather", 1, ALL },
    { "Gather", 13, ALLB }, { "GatherElements", 11, ALL }, { "GatherElements", 13, ALLB },
    { "GatherND", 11, ALL }, { "GatherND", 13, ALLB }, { "Gelu", 20, F | B }, { "Gemm", 1, F },
    { "Gemm", 9, F | W }, { "Gemm", 13, F | B | W }, { "GlobalAveragePool", 1, F },
    { "GlobalAveragePool", 22, F | B }, { "GlobalLpPool", 2, F }, { "GlobalLpPool", 22, F | B },
    { "GlobalMaxPool", 1, F }, { "GlobalMaxPool", 22, F | B }, { "Greater", 1, F },
    { "Greater", 9, F | W | N }, { "Greater", 13, F | B | W | N },
    { "GreaterOrEqual", 12, F | W | N }, { "GreaterOrEqual", 16, F | B | W | N },
    { "GroupNormalization", 18, F | B }, { "HardSigmoid", 1, F }, { "HardSigmoid", 22, F | B },
    { "HardSwish", 14, F }, { "HardSwish", 22, F | B }, { "Hardmax", 1, F },
    { "Hardmax", 13, F | B }, { "Identity", 1, ALL }, { "Identity", 13, ALLB },
    { "Identity", 21, ALLQ }, { "InstanceNormalization", 1, F },
    { "InstanceNormalization", 22, F | B }, { "IsInf", 10, BIT(TQ_F32) | BIT(TQ_F64) },
    { "IsInf", 20, F | B }, { "IsNaN", 9, F }, { "IsNaN", 13, F | B }, { "LRN", 1, F },
    { "LRN", 13, F | B }, { "LSTM", 7, F }, { "LSTM", 22, F | B },
    { "LayerNormalization", 17, F | B }, { "LeakyRelu", 1, F }, { "LeakyRelu", 16, F | B },
    { "Less", 1, F }, { "Less", 9, F | W | N }, { "Less", 13, F | B | W | N },
    { "LessOrEqual", 12, F | W | N }, { "LessOrEqual", 16, F | B | W | N },
    { "LinearAttention", 27, B | BIT(TQ_F32) | BIT(TQ_F16) }, { "Log", 1, F },
    { "Log", 13, F | B }, { "LogSoftmax", 1, F }, { "LogSoftmax", 13, F | B }, { "LpPool", 2, F },
    { "LpPool", 22, F | B }, { "MatMul", 1, F }, { "MatMul", 9, F | W },
    { "MatMul", 13, F | B | W }, { "MatMulInteger", 10, C }, { "Max", 1, F },
    { "Max", 12, F | W | N }, { "Max", 13, F | B | W | N }, { "MaxPool", 1, F },
    { "MaxPool", 12, F | C }, { "MaxPool", 22, F | B | C }, { "Mean", 1, F },
    { "Mean", 13, F | B }, { "MeanVarianceNormalization", 9, F },
    { "MeanVarianceNormalization", 13, F | B }, { "Min", 1, F }, { "Min", 12, F | W | N },
    { "Min", 13, F | B | W | N }, { "Mish", 18, F }, { "Mish", 22, F | B },
    { "Mod", 10, F | W | N }, { "Mod", 13, F | B | W | N }, { "Mul", 1, F | W },
    { "Mul", 13, F | B | W }, { "Mul", 14, F | B | W | N }, { "Neg", 1, F | S },
    { "Neg", 13, F | B | S }, { "Not", 1, L }, { "OneHot", 9, F | W | N }, { "Or", 1, L },
    { "PRelu", 1, F }, { "PRelu", 9, F | W }, { "PRelu", 16, F | B | W }, { "Pad", 1, F },
    { "Pad", 11, F | W | N }, { "Pad", 13, ALLB }, { "Pad", 21, ALLQ }, { "Pow", 1, F },
    { "Pow", 12, F | BIT(TQ_I32) | BIT(TQ_I64) }, { "Pow", 13, F | B | BIT(TQ_I32) | BIT(TQ_I64) },
    { "QLinearConv", 10, C }, { "QLinearMatMul", 10, C },
    { "QuantizeLinear", 10, BIT(TQ_F32) | BIT(TQ_I32) },
    { "QuantizeLinear", 19, B | BIT(TQ_F32) | BIT(TQ_F16) | BIT(TQ_I32) },
    { "RMSNormalization", 23, F | B }, { "RNN", 7, F }, { "RNN", 22, F | B },
    { "Range", 11, BIT(TQ_F32) | BIT(TQ_F64) | BIT(TQ_I16) | BIT(TQ_I32) | BIT(TQ_I64) },
    { "Range", 27, F | B | BIT(TQ_I16) | BIT(TQ_I32) | BIT(TQ_I64) }, { "Reciprocal", 1, F },
    { "Reciprocal", 13, F | B }, { "ReduceL1", 1, F | W }, { "ReduceL1", 13, F | B | W },
    { "ReduceL2", 1, F | W }, { "ReduceL2", 13, F | B | W }, { "ReduceLogSum", 1, F | W },
    { "ReduceLogSum", 13, F | B | W }, { "ReduceLogSum", 28, F | B },
    { "ReduceLogSumExp", 1, F | W }, { "ReduceLogSumExp", 13, F | B | W },
    { "ReduceLogSumExp", 28, F | B }, { "ReduceMax", 1, F | W }, { "ReduceMax", 12, F | W | C },
    { "ReduceMax", 13, F | B | W | C }, { "ReduceMax", 20, F | B | W | L | C },
    { "ReduceMean", 1, F | W }, { "ReduceMean", 13, F | B | W }, { "ReduceMin", 1, F | W },
    { "ReduceMin", 12, F | W | C }, { "ReduceMin", 13, F | B | W | C },
    { "ReduceMin", 20, F | B | W | L | C }, { "ReduceProd", 1, F | W },
    { "ReduceProd", 13, F | B | W }, { "ReduceSum", 1, F | W }, { "ReduceSum", 13, F | B | W },
    { "ReduceSumSquare", 1, F | W }, { "ReduceSumSquare", 13, F | B | W }, { "Relu", 1, F },
    { "Relu", 13, F | B }, { "Relu", 14, F | B | S }, { "Reshape", 1, ALL },
    { "Reshape", 13, ALLB }, { "Reshape", 21, ALLQ }, { "Resize", 10, ALL },
    { "Resize", 13, ALLB }, { "RotaryEmbedding", 23, B | BIT(TQ_F32) | BIT(TQ_F16) },
    { "Round", 11, F }, { "Round", 22, F | B }, { "ScatterElements", 11, ALL },
    { "ScatterElements", 13, ALLB }, { "ScatterND", 11, ALL }, { "ScatterND", 13, ALLB },
    { "Selu", 1, F }, { "Selu", 22, F | B }, { "Shape", 1, ALL }, { "Shape", 13, ALLB },
    { "Shape", 21, ALLQ }, { "Shrink", 9, F | W | N }, { "Sigmoid", 1, F },
    { "Sigmoid", 13, F | B }, { "Sign", 9, F | W | N }, { "Sign", 13, F | B | W | N },
    { "Sin", 7, F }, { "Sin", 22, F | B }, { "Sinh", 9, F }, { "Sinh", 22, F | B },
    { "Size", 1, ALL }, { "Size", 13, ALLB }, { "Size", 21, ALLQ }, { "Slice", 1, ALL },
    { "Slice", 13, ALLB }, { "Softmax", 1, F }, { "Softmax", 13, F | B }, { "Softplus", 1, F },
    { "Softplus", 22, F | B }, { "Softsign", 1, F }, { "Softsign", 22, F | B },
    { "SpaceToDepth", 1, ALL }, { "SpaceToDepth", 13, ALLB }, { "Split", 1, ALL },
    { "Split", 13, ALLB }, { "Sqrt", 1, F }, { "Sqrt", 13, F | B }, { "Squeeze", 1, ALL },
    { "Squeeze", 13, ALLB }, { "Squeeze", 21, ALLQ }, { "Sub", 1, F | W },
    { "Sub", 13, F | B | W }, { "Sub", 14, F | B | W | N }, { "Sum", 1, F }, { "Sum", 13, F | B },
    { "SwiGLU", 28, F | B }, { "Swish", 24, F | B }, { "Tan", 7, F }, { "Tan", 22, F | B },
    { "Tanh", 1, F }, { "Tanh", 13, F | B }, { "ThresholdedRelu", 10, F },
    { "ThresholdedRelu", 22, F | B }, { "Tile", 1, ALL }, { "Tile", 13, ALLB }, { "TopK", 1, F },
    { "TopK", 11, F | W | N }, { "TopK", 24, F | B | W | N }, { "Transpose", 1, ALL },
    { "Transpose", 13, ALLB }, { "Transpose", 21, ALLQ }, { "Trilu", 14, ALLB },
    { "Unsqueeze", 1, ALL }, { "Unsqueeze", 13, ALLB }, { "Unsqueeze", 21, ALLQ },
    { "Upsample", 1, ALL }, { "Where", 9, L }, { "Xor", 1, L },
};
/* clang-format on */

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

/** When the attribute may be left out: when it is its default, or always, because it concerns only
 *  what is not here (8-bit floats, training, the indices of MaxPool). */
typedef enum harmless { NEVER, ALWAYS, IF_INT, IF_TEXT, IF_ONES, IF_ZEROS } harmless;

/* clang-format off */
static const struct {
    const char *op, *name;
    int since;
    harmless when;
    int64_t i;
    const char *s;
} attributes[] = {
    { "ArgMax", "axis", 1, IF_INT, 0, NULL }, { "ArgMax", "keepdims", 1, IF_INT, 1, NULL },
    { "ArgMax", "select_last_index", 12, IF_INT, 0, NULL },
    { "ArgMin", "axis", 1, IF_INT, 0, NULL }, { "ArgMin", "keepdims", 1, IF_INT, 1, NULL },
    { "ArgMin", "select_last_index", 12, IF_INT, 0, NULL },
    { "Attention", "is_causal", 23, IF_INT, 0, NULL },
    { "Attention", "kv_num_heads", 23, NEVER, 0, NULL },
    { "Attention", "left_window_size", 25, IF_INT, -1, NULL },
    { "Attention", "q_num_heads", 23, NEVER, 0, NULL },
    { "Attention", "qk_matmul_output_mode", 23, IF_INT, 0, NULL },
    { "Attention", "right_window_size", 25, IF_INT, -1, NULL },
    { "Attention", "scale", 23, NEVER, 0, NULL }, { "Attention", "softcap", 23, NEVER, 0, NULL },
    { "Attention", "softmax_precision", 23, NEVER, 0, NULL },
    { "AveragePool", "auto_pad", 1, IF_TEXT, 0, "NOTSET" },
    { "AveragePool", "ceil_mode", 10, IF_INT, 0, NULL },
    { "AveragePool", "count_include_pad", 7, IF_INT, 0, NULL },
    { "AveragePool", "dilations", 19, IF_ONES, 0, NULL },
    { "AveragePool", "kernel_shape", 1, NEVER, 0, NULL },
    { "AveragePool", "pads", 1, IF_ZEROS, 0, NULL },
    { "AveragePool", "strides", 1, IF_ONES, 0, NULL },
    { "BatchNormalization", "epsilon", 1, NEVER, 0, NULL },
    { "BatchNormalization", "momentum", 1, ALWAYS, 0, NULL },
    { "BatchNormalization", "training_mode", 14, IF_INT, 0, NULL },
    { "BitCast", "to", 26, NEVER, 0, NULL }, { "BitShift", "direction", 11, NEVER, 0, NULL },
    { "Cast", "round_mode", 24, ALWAYS, 0, NULL }, { "Cast", "saturate", 19, ALWAYS, 0, NULL },
    { "Cast", "to", 1, NEVER, 0, NULL }, { "CastLike", "round_mode", 24, ALWAYS, 0, NULL },
    { "CastLike", "saturate", 19, ALWAYS, 0, NULL },
    { "CausalConvWithState", "activation", 27, IF_TEXT, 0, "none" },
    { "Celu", "alpha", 12, NEVER, 0, NULL }, { "CenterCropPad", "axes", 18, NEVER, 0, NULL },
    { "Concat", "axis", 1, NEVER, 0, NULL }, { "Constant", "sparse_value", 11, NEVER, 0, NULL },
    { "Constant", "value", 1, NEVER, 0, NULL }, { "Constant", "value_float", 12, NEVER, 0, NULL },
    { "Constant", "value_floats", 12, NEVER, 0, NULL },
    { "Constant", "value_int", 12, NEVER, 0, NULL },
    { "Constant", "value_ints", 12, NEVER, 0, NULL },
    { "Constant", "value_string", 12, NEVER, 0, NULL },
    { "Constant", "value_strings", 12, NEVER, 0, NULL },
    { "ConstantOfShape", "value", 9, NEVER, 0, NULL },
    { "Conv", "auto_pad", 1, IF_TEXT, 0, "NOTSET" }, { "Conv", "dilations", 1, IF_ONES, 0, NULL },
    { "Conv", "group", 1, IF_INT, 1, NULL }, { "Conv", "kernel_shape", 1, NEVER, 0, NULL },
    { "Conv", "pads", 1, IF_ZEROS, 0, NULL }, { "Conv", "strides", 1, IF_ONES, 0, NULL },
    { "ConvInteger", "auto_pad", 10, IF_TEXT, 0, "NOTSET" },
    { "ConvInteger", "dilations", 10, IF_ONES, 0, NULL },
    { "ConvInteger", "group", 10, IF_INT, 1, NULL },
    { "ConvInteger", "kernel_shape", 10, NEVER, 0, NULL },
    { "ConvInteger", "pads", 10, IF_ZEROS, 0, NULL },
    { "ConvInteger", "strides", 10, IF_ONES, 0, NULL },
    { "ConvTranspose", "auto_pad", 1, IF_TEXT, 0, "NOTSET" },
    { "ConvTranspose", "dilations", 1, IF_ONES, 0, NULL },
    { "ConvTranspose", "group", 1, IF_INT, 1, NULL },
    { "ConvTranspose", "kernel_shape", 1, NEVER, 0, NULL },
    { "ConvTranspose", "output_padding", 1, IF_ZEROS, 0, NULL },
    { "ConvTranspose", "output_shape", 1, NEVER, 0, NULL },
    { "ConvTranspose", "pads", 1, IF_ZEROS, 0, NULL },
    { "ConvTranspose", "strides", 1, IF_ONES, 0, NULL },
    { "CumProd", "exclusive", 26, IF_INT, 0, NULL }, { "CumProd", "reverse", 26, IF_INT, 0, NULL },
    { "CumSum", "exclusive", 11, IF_INT, 0, NULL }, { "CumSum", "reverse", 11, IF_INT, 0, NULL },
    { "DepthToSpace", "blocksize", 1, NEVER, 0, NULL },
    { "DepthToSpace", "mode", 11, IF_TEXT, 0, "DCR" },
    { "DequantizeLinear", "axis", 13, IF_INT, 1, NULL },
    { "DequantizeLinear", "block_size", 21, IF_INT, 0, NULL },
    { "DequantizeLinear", "output_dtype", 23, IF_INT, 0, NULL },
    { "Dropout", "seed", 12, ALWAYS, 0, NULL }, { "Einsum", "equation", 12, NEVER, 0, NULL },
    { "Elu", "alpha", 1, NEVER, 0, NULL }, { "Flatten", "axis", 1, IF_INT, 1, NULL },
    { "GRU", "activation_alpha", 1, NEVER, 0, NULL },
    { "GRU", "activation_beta", 1, NEVER, 0, NULL }, { "GRU", "activations", 1, NEVER, 0, NULL },
    { "GRU", "clip", 1, NEVER, 0, NULL }, { "GRU", "direction", 1, IF_TEXT, 0, "forward" },
    { "GRU", "hidden_size", 1, ALWAYS, 0, NULL }, { "GRU", "layout", 14, IF_INT, 0, NULL },
    { "GRU", "linear_before_reset", 3, IF_INT, 0, NULL }, { "Gather", "axis", 1, IF_INT, 0, NULL },
    { "GatherElements", "axis", 11, IF_INT, 0, NULL },
    { "GatherND", "batch_dims", 12, IF_INT, 0, NULL },
    { "Gelu", "approximate", 20, IF_TEXT, 0, "none" }, { "Gemm", "alpha", 1, NEVER, 0, NULL },
    { "Gemm", "beta", 1, NEVER, 0, NULL }, { "Gemm", "transA", 1, IF_INT, 0, NULL },
    { "Gemm", "transB", 1, IF_INT, 0, NULL }, { "GlobalLpPool", "p", 2, IF_INT, 2, NULL },
    { "GroupNormalization", "epsilon", 18, NEVER, 0, NULL },
    { "GroupNormalization", "num_groups", 18, NEVER, 0, NULL },
    { "GroupNormalization", "stash_type", 21, IF_INT, 1, NULL },
    { "HardSigmoid", "alpha", 1, NEVER, 0, NULL }, { "HardSigmoid", "beta", 1, NEVER, 0, NULL },
    { "Hardmax", "axis", 1, NEVER, 0, NULL },
    { "InstanceNormalization", "epsilon", 1, NEVER, 0, NULL },
    { "IsInf", "detect_negative", 10, IF_INT, 1, NULL },
    { "IsInf", "detect_positive", 10, IF_INT, 1, NULL }, { "LRN", "alpha", 1, NEVER, 0, NULL },
    { "LRN", "beta", 1, NEVER, 0, NULL }, { "LRN", "bias", 1, NEVER, 0, NULL },
    { "LRN", "size", 1, NEVER, 0, NULL }, { "LSTM", "activation_alpha", 1, NEVER, 0, NULL },
    { "LSTM", "activation_beta", 1, NEVER, 0, NULL }, { "LSTM", "activations", 1, NEVER, 0, NULL },
    { "LSTM", "clip", 1, NEVER, 0, NULL }, { "LSTM", "direction", 1, IF_TEXT, 0, "forward" },
    { "LSTM", "hidden_size", 1, ALWAYS, 0, NULL }, { "LSTM", "input_forget", 1, IF_INT, 0, NULL },
    { "LSTM", "layout", 14, IF_INT, 0, NULL },
    { "LayerNormalization", "axis", 17, IF_INT, -1, NULL },
    { "LayerNormalization", "epsilon", 17, NEVER, 0, NULL },
    { "LayerNormalization", "stash_type", 17, IF_INT, 1, NULL },
    { "LeakyRelu", "alpha", 1, NEVER, 0, NULL },
    { "LinearAttention", "chunk_size", 27, IF_INT, 64, NULL },
    { "LinearAttention", "kv_num_heads", 27, NEVER, 0, NULL },
    { "LinearAttention", "q_num_heads", 27, NEVER, 0, NULL },
    { "LinearAttention", "scale", 27, NEVER, 0, NULL },
    { "LinearAttention", "update_rule", 27, IF_TEXT, 0, "gated_delta" },
    { "LogSoftmax", "axis", 1, NEVER, 0, NULL }, { "LpPool", "auto_pad", 2, IF_TEXT, 0, "NOTSET" },
    { "LpPool", "ceil_mode", 18, IF_INT, 0, NULL },
    { "LpPool", "dilations", 18, IF_ONES, 0, NULL },
    { "LpPool", "kernel_shape", 2, NEVER, 0, NULL }, { "LpPool", "p", 2, IF_INT, 2, NULL },
    { "LpPool", "pads", 2, IF_ZEROS, 0, NULL }, { "LpPool", "strides", 2, IF_ONES, 0, NULL },
    { "MaxPool", "auto_pad", 1, IF_TEXT, 0, "NOTSET" },
    { "MaxPool", "ceil_mode", 10, IF_INT, 0, NULL },
    { "MaxPool", "dilations", 10, IF_ONES, 0, NULL },
    { "MaxPool", "kernel_shape", 1, NEVER, 0, NULL }, { "MaxPool", "pads", 1, IF_ZEROS, 0, NULL },
    { "MaxPool", "storage_order", 8, ALWAYS, 0, NULL },
    { "MaxPool", "strides", 1, IF_ONES, 0, NULL },
    { "MeanVarianceNormalization", "axes", 9, NEVER, 0, NULL },
    { "Mod", "fmod", 10, IF_INT, 0, NULL }, { "OneHot", "axis", 9, IF_INT, -1, NULL },
    { "Pad", "mode", 1, IF_TEXT, 0, "constant" },
    { "QLinearConv", "auto_pad", 10, IF_TEXT, 0, "NOTSET" },
    { "QLinearConv", "dilations", 10, IF_ONES, 0, NULL },
    { "QLinearConv", "group", 10, IF_INT, 1, NULL },
    { "QLinearConv", "kernel_shape", 10, NEVER, 0, NULL },
    { "QLinearConv", "pads", 10, IF_ZEROS, 0, NULL },
    { "QLinearConv", "strides", 10, IF_ONES, 0, NULL },
    { "QuantizeLinear", "axis", 13, IF_INT, 1, NULL },
    { "QuantizeLinear", "block_size", 21, IF_INT, 0, NULL },
    { "QuantizeLinear", "output_dtype", 21, IF_INT, 0, NULL },
    { "QuantizeLinear", "precision", 23, IF_INT, 0, NULL },
    { "QuantizeLinear", "saturate", 19, ALWAYS, 0, NULL },
    { "RMSNormalization", "axis", 23, IF_INT, -1, NULL },
    { "RMSNormalization", "epsilon", 23, NEVER, 0, NULL },
    { "RMSNormalization", "stash_type", 23, IF_INT, 1, NULL },
    { "RNN", "activation_alpha", 1, NEVER, 0, NULL },
    { "RNN", "activation_beta", 1, NEVER, 0, NULL }, { "RNN", "activations", 1, NEVER, 0, NULL },
    { "RNN", "clip", 1, NEVER, 0, NULL }, { "RNN", "direction", 1, IF_TEXT, 0, "forward" },
    { "RNN", "hidden_size", 1, ALWAYS, 0, NULL }, { "RNN", "layout", 14, IF_INT, 0, NULL },
    { "Range", "stash_type", 27, IF_INT, 1, NULL }, { "ReduceL1", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceL1", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceL2", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceL2", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceLogSum", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceLogSum", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceLogSumExp", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceLogSumExp", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceMax", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceMax", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceMean", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceMean", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceMin", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceMin", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceProd", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceProd", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "ReduceSum", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceSum", "noop_with_empty_axes", 13, IF_INT, 0, NULL },
    { "ReduceSumSquare", "keepdims", 1, IF_INT, 1, NULL },
    { "ReduceSumSquare", "noop_with_empty_axes", 18, IF_INT, 0, NULL },
    { "Reshape", "allowzero", 14, IF_INT, 0, NULL },
    { "Resize", "antialias", 18, IF_INT, 0, NULL }, { "Resize", "axes", 18, NEVER, 0, NULL },
    { "Resize", "coordinate_transformation_mode", 11, IF_TEXT, 0, "half_pixel" },
    { "Resize", "cubic_coeff_a", 11, NEVER, 0, NULL },
    { "Resize", "exclude_outside", 11, IF_INT, 0, NULL },
    { "Resize", "extrapolation_value", 11, NEVER, 0, NULL },
    { "Resize", "keep_aspect_ratio_policy", 18, IF_TEXT, 0, "stretch" },
    { "Resize", "mode", 10, IF_TEXT, 0, "nearest" },
    { "Resize", "nearest_mode", 11, IF_TEXT, 0, "round_prefer_floor" },
    { "RotaryEmbedding", "interleaved", 23, IF_INT, 0, NULL },
    { "RotaryEmbedding", "num_heads", 23, NEVER, 0, NULL },
    { "RotaryEmbedding", "rotary_embedding_dim", 23, IF_INT, 0, NULL },
    { "ScatterElements", "axis", 11, IF_INT, 0, NULL },
    { "ScatterElements", "reduction", 16, IF_TEXT, 0, "none" },
    { "ScatterND", "reduction", 16, IF_TEXT, 0, "none" }, { "Selu", "alpha", 1, NEVER, 0, NULL },
    { "Selu", "gamma", 1, NEVER, 0, NULL }, { "Shape", "end", 15, NEVER, 0, NULL },
    { "Shape", "start", 15, IF_INT, 0, NULL }, { "Shrink", "bias", 9, NEVER, 0, NULL },
    { "Shrink", "lambd", 9, NEVER, 0, NULL }, { "Softmax", "axis", 1, NEVER, 0, NULL },
    { "SpaceToDepth", "blocksize", 1, NEVER, 0, NULL },
    { "SpaceToDepth", "mode", 28, IF_TEXT, 0, "DCR" }, { "Split", "axis", 1, IF_INT, 0, NULL },
    { "Split", "num_outputs", 18, NEVER, 0, NULL }, { "SwiGLU", "alpha", 28, NEVER, 0, NULL },
    { "Swish", "alpha", 24, NEVER, 0, NULL }, { "ThresholdedRelu", "alpha", 10, NEVER, 0, NULL },
    { "TopK", "axis", 1, IF_INT, -1, NULL }, { "TopK", "largest", 11, IF_INT, 1, NULL },
    { "TopK", "sorted", 11, IF_INT, 1, NULL }, { "Transpose", "perm", 1, NEVER, 0, NULL },
    { "Trilu", "upper", 14, IF_INT, 1, NULL }, { "Upsample", "mode", 1, IF_TEXT, 0, "nearest" },
};
/* clang-format on */

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
