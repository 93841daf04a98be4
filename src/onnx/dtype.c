/* ONNX's numbers for element types. Those newer than the onnx.proto at hand are plain integers in
 * its fields, so 4-bit types (opset 21) need nothing from it. */
#include "onnx/onnx_internal.h"

static const struct {
    const char *name;
    tq_dtype dtype;
} data_types[] = {
    [1] = { "FLOAT", TQ_F32 },
    [2] = { "UINT8", TQ_U8 },
    [3] = { "INT8", TQ_I8 },
    [4] = { "UINT16", TQ_U16 },
    [5] = { "INT16", TQ_I16 },
    [6] = { "INT32", TQ_I32 },
    [7] = { "INT64", TQ_I64 },
    [8] = { "STRING", TQ_NONE },
    [9] = { "BOOL", TQ_BOOL },
    [10] = { "FLOAT16", TQ_F16 },
    [11] = { "DOUBLE", TQ_F64 },
    [12] = { "UINT32", TQ_U32 },
    [13] = { "UINT64", TQ_U64 },
    [14] = { "COMPLEX64", TQ_NONE },
    [15] = { "COMPLEX128", TQ_NONE },
    [16] = { "BFLOAT16", TQ_BF16 },
    [17] = { "FLOAT8E4M3FN", TQ_NONE },
    [18] = { "FLOAT8E4M3FNUZ", TQ_NONE },
    [19] = { "FLOAT8E5M2", TQ_NONE },
    [20] = { "FLOAT8E5M2FNUZ", TQ_NONE },
    [21] = { "UINT4", TQ_U4 },
    [22] = { "INT4", TQ_I4 },
    [23] = { "FLOAT4E2M1", TQ_NONE },
    [24] = { "FLOAT8E8M0", TQ_NONE },
    [25] = { "UINT2", TQ_NONE },
    [26] = { "INT2", TQ_NONE },
};

tq_dtype tq_dtype_from_onnx(int32_t data_type)
{
    return data_type > 0 && data_type < TQ_COUNT(data_types) ? data_types[data_type].dtype
                                                             : TQ_NONE;
}

int32_t tq_dtype_to_onnx(tq_dtype dtype)
{
    for (int i = 1; i < TQ_COUNT(data_types); i++)
        if (data_types[i].dtype == dtype)
            return i;
    return 0;
}

tq_text tq_onnx_dtype_text(int32_t data_type)
{
    tq_text text;
    if (data_type > 0 && data_type < TQ_COUNT(data_types))
        snprintf(text.s, sizeof text.s, "%s", data_types[data_type].name);
    else
        snprintf(text.s, sizeof text.s, "number %d", (int)data_type);
    return text;
}
