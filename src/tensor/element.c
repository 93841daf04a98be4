/* One element of any dtype, and Cast (ONNX operator Cast, section "out of range"): float to integer
 * truncates, here saturating where ONNX leaves it open; integer to integer keeps the low bits. */
#include <truq/tensor.h>

#include <math.h>
#include <string.h>

double tq_load_f64(const void *data, tq_dtype dtype, int64_t i)
{
    switch (dtype) {
    case TQ_F32:
        return (double)((const float *)data)[i];
    case TQ_F64:
        return ((const double *)data)[i];
    case TQ_F16:
        return (double)tq_f16_to_f32(((const uint16_t *)data)[i]);
    case TQ_BF16:
        return (double)tq_bf16_to_f32(((const uint16_t *)data)[i]);
    case TQ_U64:
        return (double)((const uint64_t *)data)[i];
    default:
        return (double)tq_load_i64(data, dtype, i);
    }
}

/** Truncated and saturated; NaN is 0. */
static int64_t truncated(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

int64_t tq_load_i64(const void *data, tq_dtype dtype, int64_t i)
{
    switch (dtype) {
    case TQ_U8:
    case TQ_U4:
        return ((const uint8_t *)data)[i];
    case TQ_I8:
    case TQ_I4:
        return ((const int8_t *)data)[i];
    case TQ_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    case TQ_U16:
        return ((const uint16_t *)data)[i];
    case TQ_I16:
        return ((const int16_t *)data)[i];
    case TQ_U32:
        return ((const uint32_t *)data)[i];
    case TQ_I32:
        return ((const int32_t *)data)[i];
    case TQ_U64: {
        const uint64_t value = ((const uint64_t *)data)[i];
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
    }
    case TQ_I64:
        return ((const int64_t *)data)[i];
    default:
        return truncated(tq_load_f64(data, dtype, i));
    }
}

/** The low bits of `bits` as an element of an integer dtype or bool. */
static void store_bits(void *data, tq_dtype dtype, int64_t i, uint64_t bits)
{
    switch (dtype) {
    case TQ_U4:
        ((uint8_t *)data)[i] = bits & 15;
        break;
    case TQ_I4:
        ((int8_t *)data)[i] = (int8_t)((int)((bits & 15) ^ 8) - 8);
        break;
    case TQ_BOOL:
        ((uint8_t *)data)[i] = bits != 0;
        break;
    case TQ_U8:
    case TQ_I8:
        ((uint8_t *)data)[i] = (uint8_t)bits;
        break;
    case TQ_U16:
    case TQ_I16:
        ((uint16_t *)data)[i] = (uint16_t)bits;
        break;
    case TQ_U32:
    case TQ_I32:
        ((uint32_t *)data)[i] = (uint32_t)bits;
        break;
    default:
        ((uint64_t *)data)[i] = bits;
    }
}

/** To float, towards zero with the last bit set where that is not exact (round to odd): rounding
 * the result once more to half or bfloat16 then gives what rounding `value` at once would. The long
 *  double of this machine holds every double and 64-bit integer. */
static float round_to_odd(long double value)
{
    const float nearest = (float)value;
    if ((long double)nearest == value || isnan(nearest))
        return nearest;
    uint32_t bits;
    memcpy(&bits, &nearest, sizeof bits);
    if (fabsl((long double)nearest) > fabsl(value))
        bits--;
    bits |= 1;
    float odd;
    memcpy(&odd, &bits, sizeof odd);
    return odd;
}

static void store_narrow(void *data, tq_dtype dtype, int64_t i, long double value)
{
    const float odd = round_to_odd(value);
    ((uint16_t *)data)[i] = dtype == TQ_F16 ? tq_f32_to_f16(odd) : tq_f32_to_bf16(odd);
}

void tq_store_f64(void *data, tq_dtype dtype, int64_t i, double value)
{
    if (dtype == TQ_F32)
        ((float *)data)[i] = (float)value;
    else if (dtype == TQ_F64)
        ((double *)data)[i] = value;
    else if (dtype == TQ_F16 || dtype == TQ_BF16)
        store_narrow(data, dtype, i, value);
    else if (dtype == TQ_BOOL)
        ((uint8_t *)data)[i] = value != 0.0;
    else if (dtype == TQ_U64 && value >= 0x1p63)
        ((uint64_t *)data)[i] = value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
    else
        tq_store_i64(data, dtype, i, truncated(value));
}

void tq_store_i64(void *data, tq_dtype dtype, int64_t i, int64_t value)
{
    if (dtype == TQ_F32)
        ((float *)data)[i] = (float)value;
    else if (dtype == TQ_F64)
        ((double *)data)[i] = (double)value;
    else if (dtype == TQ_F16 || dtype == TQ_BF16)
        store_narrow(data, dtype, i, value);
    else if (dtype == TQ_BOOL)
        ((uint8_t *)data)[i] = value != 0;
    else
        store_bits(data, dtype, i,
                   (uint64_t)tq_clip_i64(value, tq_dtype_min(dtype), tq_dtype_max(dtype)));
}

/** A u64 above INT64_MAX to a float dtype. */
static void store_u64(void *data, tq_dtype dtype, int64_t i, uint64_t value)
{
    if (dtype == TQ_F32)
        ((float *)data)[i] = (float)value;
    else if (dtype == TQ_F64)
        ((double *)data)[i] = (double)value;
    else
        store_narrow(data, dtype, i, value);
}

static void cast_element(const tq_tensor *from, tq_tensor *to, int64_t i)
{
    const tq_dtype source = from->type.dtype, target = to->type.dtype;
    if (tq_dtype_is_float(source))
        tq_store_f64(to->data, target, i, tq_load_f64(from->data, source, i));
    else if (tq_dtype_is_float(target) && source == TQ_U64)
        store_u64(to->data, target, i, ((const uint64_t *)from->data)[i]);
    else if (tq_dtype_is_float(target))
        tq_store_i64(to->data, target, i, tq_load_i64(from->data, source, i));
    else if (source == TQ_U64)
        store_bits(to->data, target, i, ((const uint64_t *)from->data)[i]);
    else
        store_bits(to->data, target, i, (uint64_t)tq_load_i64(from->data, source, i));
}

tq_status tq_tensor_cast(const tq_tensor *tensor, tq_dtype dtype, tq_tensor *out)
{
    const tq_tensor from = *tensor;
    if (dtype == from.type.dtype)
        return tq_tensor_copy(&from, out);
    tq_type type = from.type;
    type.dtype = dtype;
    TQ_TRY(tq_tensor_init(out, &type));
    const int64_t count = tq_type_count(&type);
    for (int64_t i = 0; i < count; i++)
        cast_element(&from, out, i);
    return TQ_OK;
}
