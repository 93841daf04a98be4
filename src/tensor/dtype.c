/* Element types and their conversions. Half and bfloat16 (IEEE 754-2019, 3.6; the upper half of a
 * binary32) round half to even, by integer arithmetic on the bits. */
#include <truq/tensor.h>

#include <float.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    int64_t min, max; /* of integers */
} dtypes[TQ_N_DTYPES] = {
    [TQ_NONE] = { "none", 0, 0, 0 },
    [TQ_F32] = { "f32", 4, 0, 0 },
    [TQ_F64] = { "f64", 8, 0, 0 },
    [TQ_F16] = { "f16", 2, 0, 0 },
    [TQ_BF16] = { "bf16", 2, 0, 0 },
    [TQ_U8] = { "u8", 1, 0, UINT8_MAX },
    [TQ_I8] = { "i8", 1, INT8_MIN, INT8_MAX },
    [TQ_U16] = { "u16", 2, 0, UINT16_MAX },
    [TQ_I16] = { "i16", 2, INT16_MIN, INT16_MAX },
    [TQ_U32] = { "u32", 4, 0, UINT32_MAX },
    [TQ_I32] = { "i32", 4, INT32_MIN, INT32_MAX },
    [TQ_U64] = { "u64", 8, 0, INT64_MAX },
    [TQ_I64] = { "i64", 8, INT64_MIN, INT64_MAX },
    [TQ_BOOL] = { "bool", 1, 0, 1 },
    [TQ_U4] = { "u4", 1, 0, 15 },
    [TQ_I4] = { "i4", 1, -8, 7 },
};

size_t tq_dtype_size(tq_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *tq_dtype_name(tq_dtype dtype)
{
    return dtypes[dtype].name;
}

tq_dtype tq_dtype_parse(const char *name)
{
    for (int i = TQ_NONE + 1; i < TQ_N_DTYPES; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return (tq_dtype)i;
    return TQ_NONE;
}

bool tq_dtype_is_float(tq_dtype dtype)
{
    return dtype == TQ_F32 || dtype == TQ_F64 || dtype == TQ_F16 || dtype == TQ_BF16;
}

bool tq_dtype_is_integer(tq_dtype dtype)
{
    return dtypes[dtype].max > 1; /* bool ends at 1, floats have no entry */
}

int64_t tq_dtype_min(tq_dtype dtype)
{
    return dtypes[dtype].min;
}

int64_t tq_dtype_max(tq_dtype dtype)
{
    return dtypes[dtype].max;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float tq_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31;
    const uint32_t mantissa = bits & 0x3ff;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/** bits >> shift, half to even; 0 < shift < 32. */
static uint32_t shift_half_even(uint32_t bits, int shift)
{
    const uint32_t half = 1u << (shift - 1), rest = bits & ((half << 1) - 1);
    const uint32_t q = bits >> shift;
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t tq_f32_to_f16(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    const int exponent = (int)(magnitude >> 23);
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff)); /* a quiet NaN */
    if (exponent >= 143)                                              /* 2^16 and more */
        return (uint16_t)(sign | 0x7c00);
    if (exponent >= 113) /* normal: a carry may run into the exponent, up to infinity */
        return (uint16_t)(sign | shift_half_even(magnitude - (112u << 23), 13));
    if (exponent < 102) /* below half of the smallest subnormal */
        return (uint16_t)sign;
    const uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | shift_half_even(mantissa, 126 - exponent));
}

float tq_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t tq_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_half_even(bits, 16);
}
