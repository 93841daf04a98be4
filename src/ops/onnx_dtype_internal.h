/* Dtypes as ONNX numbers them in attributes (TensorProto.DataType). */
#ifndef TQ_OPS_ONNX_DTYPE_INTERNAL_H
#define TQ_OPS_ONNX_DTYPE_INTERNAL_H

#include <truq/tensor.h>

/** TQ_NONE for a number that is no dtype of ours. */
static inline tq_dtype tq_dtype_from_onnx(int64_t number)
{
    static const tq_dtype table[] = {
        [1] = TQ_F32,  [2] = TQ_U8,   [3] = TQ_I8,    [4] = TQ_U16,  [5] = TQ_I16,
        [6] = TQ_I32,  [7] = TQ_I64,  [9] = TQ_BOOL,  [10] = TQ_F16, [11] = TQ_F64,
        [12] = TQ_U32, [13] = TQ_U64, [16] = TQ_BF16, [21] = TQ_U4,  [22] = TQ_I4,
    };
    return number < 0 || number >= TQ_COUNT(table) ? TQ_NONE : table[number];
}

/** The attribute `to` of a Cast to `dtype`. */
static inline int64_t tq_dtype_to_onnx(tq_dtype dtype)
{
    for (int64_t number = 1; number <= 22; number++)
        if (tq_dtype_from_onnx(number) == dtype)
            return number;
    return 0;
}

#endif
