/* Half and bfloat16, names and limits. */
#include "check.h"

TEST(names_parse_back)
{
    for (int i = TQ_NONE + 1; i < TQ_N_DTYPES; i++)
        CHECK_EQ(tq_dtype_parse(tq_dtype_name((tq_dtype)i)), i);
    CHECK_EQ(tq_dtype_parse("f31"), TQ_NONE);
    CHECK_EQ(tq_dtype_parse("none"), TQ_NONE);
}

TEST(integers_know_their_ends)
{
    CHECK_EQ(tq_dtype_min(TQ_I4), -8);
    CHECK_EQ(tq_dtype_max(TQ_U4), 15);
    CHECK_EQ(tq_dtype_max(TQ_U64), INT64_MAX);
    CHECK_EQ(tq_dtype_min(TQ_I64), INT64_MIN);
    CHECK(tq_dtype_is_integer(TQ_U4) && !tq_dtype_is_integer(TQ_BOOL) &&
          !tq_dtype_is_integer(TQ_F16));
    CHECK(tq_dtype_is_float(TQ_BF16) && !tq_dtype_is_float(TQ_I8));
}

static bool is_nan16(unsigned bits)
{
    return (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff);
}

TEST(every_half_survives_the_way_through_float)
{
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const unsigned back = tq_f32_to_f16(tq_f16_to_f32((uint16_t)bits));
        CHECK(is_nan16(bits) ? is_nan16(back) : back == bits);
    }
}

TEST(every_bfloat16_survives_the_way_through_float)
{
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const unsigned back = tq_f32_to_bf16(tq_bf16_to_f32((uint16_t)bits));
        CHECK((bits & 0x7fff) > 0x7f80 ? (back & 0x7fff) > 0x7f80 : back == bits);
    }
}

TEST(halves_have_their_values)
{
    CHECK_NEAR(tq_f16_to_f32(0x3c00), 1.0, 0);
    CHECK_NEAR(tq_f16_to_f32(0xc500), -5.0, 0);
    CHECK_NEAR(tq_f16_to_f32(0x0001), 0x1p-24, 0);
    CHECK_NEAR(tq_f16_to_f32(0x03ff), 1023 * 0x1p-24, 0);
    CHECK_NEAR(tq_f16_to_f32(0x7bff), 65504, 0);
    CHECK(isinf(tq_f16_to_f32(0x7c00)) && signbit(tq_f16_to_f32(0x8000)));
}

TEST(halves_round_to_even_at_every_midpoint)
{
    for (unsigned bits = 0; bits < 0x7bff; bits++) {
        const float low = tq_f16_to_f32((uint16_t)bits), high = tq_f16_to_f32((uint16_t)(bits + 1));
        const float middle = (low + high) / 2; /* exact in float */
        CHECK_EQ(tq_f32_to_f16(middle), bits + (bits & 1), "above %04x", bits);
        CHECK_EQ(tq_f32_to_f16(nextafterf(middle, 0)), bits);
        CHECK_EQ(tq_f32_to_f16(-nextafterf(middle, high)), (bits + 1) | 0x8000);
    }
}

TEST(halves_overflow_to_infinity_from_65520_on)
{
    CHECK_EQ(tq_f32_to_f16(65519.996f), 0x7bff);
    CHECK_EQ(tq_f32_to_f16(65520.0f), 0x7c00);
    CHECK_EQ(tq_f32_to_f16(-3e38f), 0xfc00);
    CHECK_EQ(tq_f32_to_f16(INFINITY), 0x7c00);
    CHECK(is_nan16(tq_f32_to_f16(NAN)));
}

TEST(bfloat16_rounds_to_even)
{
    CHECK_EQ(tq_f32_to_bf16(1.0f), 0x3f80);
    CHECK_EQ(tq_f32_to_bf16(1.00390625f), 0x3f80); /* 1 + 2^-8: a tie, down to even */
    CHECK_EQ(tq_f32_to_bf16(1.01171875f), 0x3f82); /* 1 + 3 * 2^-8: a tie, up to even */
    CHECK_EQ(tq_f32_to_bf16(1.0039064f), 0x3f81);
    CHECK_EQ(tq_f32_to_bf16(3.4028235e38f), 0x7f80);
    CHECK(isnan(tq_bf16_to_f32(tq_f32_to_bf16(NAN))));
}
