/* Buffers, tensors, elements and casts. */
#include "check.h"

TEST(buffers_are_aligned_zeroed_and_counted)
{
    const size_t live = tq_buffer_live();
    tq_buffer *buffers[20];
    for (size_t i = 0; i < 20; i++) {
        CHECK_OK(tq_buffer_create(i * 13, &buffers[i]));
        CHECK_EQ((uintptr_t)tq_buffer_data(buffers[i]) % 64, 0);
        CHECK_EQ(tq_buffer_size(buffers[i]), i * 13);
        for (size_t k = 0; k < i * 13; k++)
            CHECK_EQ(((char *)tq_buffer_data(buffers[i]))[k], 0);
        memset(tq_buffer_data(buffers[i]), 1, i * 13);
    }
    CHECK_EQ(tq_buffer_live() - live, 190 * 13);
    CHECK(tq_buffer_peak() >= tq_buffer_live());
    for (size_t i = 0; i < 20; i++)
        tq_buffer_release(buffers[i]);
    tq_buffer_release(NULL);
    CHECK_EQ(tq_buffer_live(), live);
}

TEST(a_buffer_that_cannot_be_had_is_an_error)
{
    tq_buffer *buffer;
    CHECK_FAILS(tq_buffer_create(SIZE_MAX - 8, &buffer), TQ_ERR_MEMORY, "for a tensor");
}

TEST(shared_data_lives_as_long_as_its_last_owner)
{
    const size_t live = tq_buffer_live();
    const tq_type type = tq_type_make(TQ_I32, 1, (int64_t[]){ 3 });
    tq_tensor a, copy;
    CHECK_OK(tq_tensor_init_from(&a, &type, (int32_t[]){ 1, 2, 3 }));
    tq_tensor b = tq_tensor_share(&a);
    CHECK_OK(tq_tensor_copy(&a, &copy));
    CHECK(b.data == a.data && copy.data != a.data);
    tq_tensor_reset(&a);
    CHECK(!a.data);
    CHECK(tq_tensor_equal(&b, &copy));
    ((int32_t *)copy.data)[2] = 4;
    CHECK(!tq_tensor_equal(&b, &copy));
    tq_tensor_reset(&b);
    tq_tensor_reset(&copy);
    CHECK_EQ(tq_buffer_live(), live);
}

TEST(an_empty_tensor_is_a_tensor)
{
    const tq_type type = tq_type_make(TQ_F32, 2, (int64_t[]){ 0, 3 });
    tq_tensor a, b;
    CHECK_OK(tq_tensor_init(&a, &type));
    CHECK_OK(tq_tensor_copy(&a, &b));
    CHECK(a.data && tq_tensor_equal(&a, &b));
    tq_tensor_reset(&a);
    tq_tensor_reset(&b);
}

static void check_stored(tq_dtype dtype, double value, int64_t expected)
{
    uint64_t room = 0;
    tq_store_f64(&room, dtype, 0, value);
    CHECK_EQ(tq_load_i64(&room, dtype, 0), expected, "%s of %g", tq_dtype_name(dtype), value);
}

TEST(floats_become_integers_by_truncation_and_saturation)
{
    check_stored(TQ_I8, 1.9, 1);
    check_stored(TQ_I8, -1.9, -1);
    check_stored(TQ_U8, -0.9, 0);
    check_stored(TQ_I8, 200, 127);
    check_stored(TQ_I8, -200, -128);
    check_stored(TQ_U4, 99, 15);
    check_stored(TQ_I4, -99, -8);
    check_stored(TQ_I32, 3e9, INT32_MAX);
    check_stored(TQ_I64, 1e30, INT64_MAX);
    check_stored(TQ_I64, -INFINITY, INT64_MIN);
    check_stored(TQ_I32, NAN, 0);
    check_stored(TQ_U64, -1, 0);
    check_stored(TQ_BOOL, 0.25, 1);
}

TEST(u64_uses_its_upper_half)
{
    uint64_t value;
    tq_store_f64(&value, TQ_U64, 0, 0x1.8p63);
    CHECK(value == UINT64_C(3) << 62);
    CHECK_NEAR(tq_load_f64(&value, TQ_U64, 0), 0x1.8p63, 0);
    CHECK_EQ(tq_load_i64(&value, TQ_U64, 0), INT64_MAX);
    tq_store_f64(&value, TQ_U64, 0, 1e30);
    CHECK(value == UINT64_MAX);
    tq_store_i64(&value, TQ_U64, 0, -5);
    CHECK(value == 0);
}

TEST(stored_integers_saturate)
{
    int8_t bytes[3] = { 0 };
    tq_store_i64(bytes, TQ_I8, 1, 300);
    tq_store_i64(bytes, TQ_I4, 2, -9);
    CHECK_EQ(bytes[0], 0);
    CHECK_EQ(bytes[1], 127);
    CHECK_EQ(bytes[2], -8);
}

TEST(a_double_is_rounded_to_half_once)
{
    uint16_t half;
    const double above_tie = 1 + 0x1p-11 + 0x1p-40; /* float would round it to the tie, then down */
    tq_store_f64(&half, TQ_F16, 0, above_tie);
    CHECK_EQ(half, 0x3c01);
    tq_store_f64(&half, TQ_F16, 0, 1 + 0x1p-11);
    CHECK_EQ(half, 0x3c00);
    tq_store_f64(&half, TQ_F16, 0, 1e300);
    CHECK_EQ(half, 0x7c00);
    tq_store_f64(&half, TQ_F16, 0, 1e-300);
    CHECK_EQ(half, 0);
    tq_store_f64(&half, TQ_F16, 0, -INFINITY);
    CHECK_EQ(half, 0xfc00);
}

TEST(an_integer_is_rounded_to_bfloat16_once)
{
    uint16_t bits;
    tq_store_i64(&bits, TQ_BF16, 0, ((int64_t)1 << 40) + ((int64_t)1 << 32) + 1);
    CHECK_NEAR(tq_bf16_to_f32(bits), 0x1p40 + 0x1p33, 0);
}

/* Casts one element, given and read back as int64. */
static int64_t cast_int(tq_dtype from, tq_dtype to, int64_t value)
{
    const tq_type type = tq_type_make(from, 0, NULL);
    tq_tensor x, y;
    CHECK_OK(tq_tensor_init(&x, &type));
    tq_store_i64(x.data, from, 0, value);
    CHECK_OK(tq_tensor_cast(&x, to, &y));
    CHECK_EQ(y.type.dtype, to);
    const int64_t result = tq_load_i64(y.data, to, 0);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    return result;
}

TEST(a_cast_between_integers_keeps_the_low_bits)
{
    CHECK_EQ(cast_int(TQ_I16, TQ_I8, 200), -56);
    CHECK_EQ(cast_int(TQ_I32, TQ_U8, -1), 255);
    CHECK_EQ(cast_int(TQ_I8, TQ_I4, 9), -7);
    CHECK_EQ(cast_int(TQ_I32, TQ_BOOL, 256), 1);
    CHECK_EQ(cast_int(TQ_BOOL, TQ_I32, 7), 1);
}

TEST(a_cast_between_float_and_integer_keeps_the_value)
{
    CHECK_EQ(cast_int(TQ_I32, TQ_F32, -77), -77);
    CHECK_EQ(cast_int(TQ_F32, TQ_I8, 300), 127);
    CHECK_EQ(cast_int(TQ_F16, TQ_BF16, 3), 3);
    CHECK_EQ(cast_int(TQ_F32, TQ_BOOL, -2), 1);
}

TEST(an_i64_reaches_float_with_one_rounding)
{
    const tq_type type = tq_type_make(TQ_I64, 0, NULL);
    const int64_t value = ((int64_t)1 << 60) + ((int64_t)1 << 36) + 1; /* just above a tie */
    tq_tensor x, y;
    CHECK_OK(tq_tensor_init_from(&x, &type, &value));
    CHECK_OK(tq_tensor_cast(&x, TQ_F32, &y));
    CHECK_NEAR(*(float *)y.data, 0x1p60 + 0x1p37, 0);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
}

TEST(a_large_u64_reaches_float)
{
    const tq_type type = tq_type_make(TQ_U64, 0, NULL);
    const uint64_t value = UINT64_C(1) << 63;
    for (tq_dtype dtype = TQ_F32; dtype <= TQ_BF16; dtype++) {
        tq_tensor x, y;
        CHECK_OK(tq_tensor_init_from(&x, &type, &value));
        CHECK_OK(tq_tensor_cast(&x, dtype, &y));
        CHECK(tq_load_f64(y.data, dtype, 0) == (dtype == TQ_F16 ? INFINITY : 0x1p63));
        tq_tensor_reset(&x);
        tq_tensor_reset(&y);
    }
}

TEST(checksums_are_those_of_zlib)
{
    CHECK_EQ(tq_crc32(0, "123456789", 9), 0xcbf43926);
    CHECK_EQ(tq_crc32(tq_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    CHECK_EQ(tq_crc32(7, NULL, 0), 7);
}
