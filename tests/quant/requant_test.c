/* Requantisation: integers that compute the rounded real result. */
#include "check.h"

typedef __int128 i128;

static const tq_requant_limits generic = {
    .mul_bits = 32, .add_bits = 64, .product_bits = 64, .shift_max = 62, .fixed_shift = -1
};

static int64_t apply(const tq_requant *r, int c, int64_t x)
{
    return (x * r->mul[c] + r->add[c]) >> r->shift;
}

/** scale * x + offset + half in units of 2^-80, without any rounding: offset is a multiple of
 * 2^-40. */
static i128 exact(double scale, double offset, int64_t x, bool half)
{
    int e;
    const i128 m = (i128)ldexp(frexp(scale, &e), 53); /* scale = m * 2^(e - 53) */
    const i128 o = (i128)ldexp(offset, 40) * ((i128)1 << 40);
    return m * ((i128)1 << (e - 53 + 80)) * x + o + (half ? (i128)1 << 79 : 0);
}

static double random_scale(tq_random *random, int k)
{
    const double scale = ldexp(0.5 + tq_random_uniform(random) / 2, -(k % 12));
    return k % 4 == 3 ? -scale : scale;
}

static double random_offset(tq_random *random)
{
    return rint(ldexp(tq_random_uniform(random) * 200 - 100, 40)) * 0x1p-40;
}

TEST(all_codes_of_random_scales_round_exactly)
{
    tq_arena *arena = tq_arena_create();
    tq_random random;
    tq_random_init(&random, 1, 0, 0);
    for (int k = 0; k < 2000; k++) {
        const double scale = random_scale(&random, k), offset = random_offset(&random);
        const tq_rounding how = k % 2 ? TQ_ROUND_FLOOR : TQ_ROUND_HALF_UP;
        tq_requant r;
        CHECK_OK(tq_requant_find(&generic, 1, &scale, &offset, -128, 255, how, arena, &r));
        for (int64_t x = -128; x <= 255; x++)
            CHECK_EQ(apply(&r, 0, x), exact(scale, offset, x, how == TQ_ROUND_HALF_UP) >> 80,
                     "x = %lld, scale %.17g", (long long)x, scale);
    }
    tq_arena_destroy(arena);
}

TEST(wide_accumulators_differ_only_next_to_a_tie)
{
    tq_arena *arena = tq_arena_create();
    tq_random random;
    tq_random_init(&random, 2, 0, 0);
    for (int k = 0; k < 40; k++) {
        const double scale = random_scale(&random, k), offset = random_offset(&random);
        tq_requant r;
        CHECK_OK(tq_requant_find(&generic, 1, &scale, &offset, -(1 << 20), 1 << 20,
                                 TQ_ROUND_HALF_UP, arena, &r));
        for (int64_t x = -(1 << 20); x <= 1 << 20; x += 31) {
            const i128 v = exact(scale, offset, x, true);
            const i128 error = (i128)(llabs(x) + 1) << (79 - r.shift);
            const int64_t q = apply(&r, 0, x);
            CHECK(q >= (v - error) >> 80 && q <= (v + error) >> 80);
        }
    }
    tq_arena_destroy(arena);
}

TEST(ties_of_exact_scales_go_up)
{
    tq_arena *arena = tq_arena_create();
    const double scale = 0.25, offset = 0.25;
    tq_requant r;
    CHECK_OK(
        tq_requant_find(&generic, 1, &scale, &offset, -1000, 1000, TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(apply(&r, 0, 1), 1);
    CHECK_EQ(apply(&r, 0, -3), 0);
    CHECK_EQ(apply(&r, 0, -4), -1);
    tq_arena_destroy(arena);
}

TEST(the_shift_is_the_largest_that_fits_every_channel)
{
    tq_arena *arena = tq_arena_create();
    const double scale[] = { 0.001, 0.75 }, offset[] = { 0.0, 3.0 };
    tq_requant r;
    CHECK_OK(
        tq_requant_find(&generic, 2, scale, offset, -100000, 100000, TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(r.shift, 31); /* 0.75 * 2^32 would need 33 bits */
    CHECK_EQ(r.mul[1], 0x60000000);
    CHECK_EQ(r.n, 2);
    tq_arena_destroy(arena);
}

static void check_fits(const tq_requant_limits *limits, const tq_requant *r, int64_t lo, int64_t hi)
{
    for (int c = 0; c < r->n; c++)
        for (int k = 0; k < 2; k++) {
            const i128 v = (i128)(k ? hi : lo) * r->mul[c] + r->add[c];
            const i128 most = (i128)1 << (limits->product_bits - 1);
            CHECK(v < most && v >= -most);
            CHECK(llabs(r->mul[c]) <= INT64_C(1) << (limits->mul_bits - 1));
        }
}

TEST(products_stay_within_their_bits)
{
    tq_arena *arena = tq_arena_create();
    tq_random random;
    tq_random_init(&random, 9, 0, 0);
    for (int k = 0; k < 200; k++) {
        const tq_requant_limits limits = { .mul_bits = 8 + k % 25,
                                           .add_bits = 32,
                                           .product_bits = 32 + k % 33,
                                           .shift_max = 40,
                                           .fixed_shift = -1 };
        const double scale = ldexp(tq_random_uniform(&random) - 0.5, -10);
        const double offset = tq_random_uniform(&random) * 10;
        tq_requant r;
        CHECK_OK(tq_requant_find(&limits, 1, &scale, &offset, -300000, 400000, TQ_ROUND_HALF_UP,
                                 arena, &r));
        check_fits(&limits, &r, -300000, 400000);
    }
    tq_arena_destroy(arena);
}

/* QuantLib: mul = floor(D gamma eps_in / (sigma eps_out)), add = floor(D beta' / eps_out), D =
 * 2^24. */
TEST(a_24_bit_shift_is_quantlibs_arithmetic)
{
    tq_arena *arena = tq_arena_create();
    const tq_requant_limits quantlib = { .mul_bits = 32,
                                         .add_bits = 64,
                                         .product_bits = 64,
                                         .shift_max = 62,
                                         .fixed_shift = 24,
                                         .floor_mul_add = true };
    tq_random random;
    tq_random_init(&random, 4, 0, 0);
    for (int k = 0; k < 50; k++) {
        const double scale = (tq_random_uniform(&random) - 0.5) * 0.02;
        const double offset = (tq_random_uniform(&random) - 0.5) * 40;
        const double D = 16777216.0, mul = floor(D * scale), add = floor(D * offset);
        tq_requant r;
        CHECK_OK(tq_requant_find(&quantlib, 1, &scale, &offset, -70000, 70000, TQ_ROUND_FLOOR,
                                 arena, &r));
        CHECK_EQ(r.shift, 24);
        for (int64_t x = -70000; x <= 70000; x += 7)
            CHECK_EQ(apply(&r, 0, x), (int64_t)floor(((double)x * mul + add) / D));
    }
    tq_arena_destroy(arena);
}

TEST(quantlibs_rounder_is_a_floored_addend_with_a_half)
{
    tq_arena *arena = tq_arena_create();
    const tq_requant_limits quantlib = { .mul_bits = 32,
                                         .add_bits = 64,
                                         .product_bits = 64,
                                         .shift_max = 62,
                                         .fixed_shift = 24,
                                         .floor_mul_add = true };
    const double scale = 0.0123, offset = 1.2345678;
    tq_requant r;
    CHECK_OK(tq_requant_find(&quantlib, 1, &scale, &offset, -99, 99, TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(r.add[0], (int64_t)floor(16777216.0 * (offset + 0.5)));
    tq_arena_destroy(arena);
}

TEST(a_target_without_multiplier_takes_powers_of_two_only)
{
    tq_arena *arena = tq_arena_create();
    tq_requant_limits shift_only = generic;
    shift_only.power_of_two = true;
    shift_only.shift_max = 31;
    const double good[] = { 0x1p-7, 0x1p-7 }, bad[] = { 0x1p-7, 0.0079 }, mixed[] = { 0.5, 0.25 };
    const double up[] = { 4.0, 4.0 }, offset[] = { 0.5, -1.0 };
    tq_requant r;
    CHECK_OK(
        tq_requant_find(&shift_only, 2, good, offset, -9999, 9999, TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(r.shift, 7);
    CHECK_EQ(r.mul[0], 1);
    CHECK_EQ(r.add[0], 64 + 64);
    CHECK_FAILS(tq_requant_find(&shift_only, 2, bad, offset, 0, 9, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "channel 1 needs 0.0079");
    CHECK_FAILS(tq_requant_find(&shift_only, 2, mixed, offset, 0, 9, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "one multiplier");
    CHECK_FAILS(tq_requant_find(&shift_only, 2, up, offset, 0, 9, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "power-of-two");
    tq_arena_destroy(arena);
}

TEST(a_target_with_one_multiplier_refuses_channels)
{
    tq_arena *arena = tq_arena_create();
    tq_requant_limits one = generic;
    one.per_tensor = true;
    const double same[] = { 0.01, 0.01 }, two[] = { 0.01, 0.02 }, offset[] = { 1.0, 2.0 };
    tq_requant r;
    CHECK_OK(tq_requant_find(&one, 2, same, offset, 0, 255, TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(r.mul[0], r.mul[1]);
    CHECK_FAILS(tq_requant_find(&one, 2, two, offset, 0, 255, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "channel 1 needs 0.02");
    tq_arena_destroy(arena);
}

TEST(codes_that_are_always_0_fit_any_scale)
{
    tq_arena *arena = tq_arena_create();
    const tq_requant_limits limits = {
        .mul_bits = 32, .add_bits = 64, .product_bits = 64, .shift_max = 62, .fixed_shift = -1
    };
    tq_requant r;
    CHECK_OK(tq_requant_find(&limits, 1, (const double[]){ 3e9 }, (const double[]){ -7 }, 0, 0,
                             TQ_ROUND_HALF_UP, arena, &r));
    CHECK_EQ(r.mul[0], 0);
    CHECK_EQ(r.add[0] >> r.shift, -7);
    tq_arena_destroy(arena);
}

TEST(what_does_not_fit_is_refused_with_its_numbers)
{
    tq_arena *arena = tq_arena_create();
    const double big = 1e12, nan = NAN, zero = 0.0, one = 1.0;
    tq_requant_limits narrow = generic;
    narrow.product_bits = 16;
    tq_requant r;
    CHECK_FAILS(tq_requant_find(&generic, 1, &big, &zero, 0, 255, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "channel 0: y = 1e+12 x");
    CHECK_FAILS(tq_requant_find(&narrow, 1, &one, &zero, 0, 70000, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_CHECK, "16-bit product");
    CHECK_FAILS(tq_requant_find(&generic, 1, &nan, &zero, 0, 255, TQ_ROUND_HALF_UP, arena, &r),
                TQ_ERR_VALUE, "channel 0 has scale nan");
    CHECK_FAILS(tq_requant_find(&generic, 1, &one, &zero, 0, 255, TQ_ROUND_HALF_EVEN, arena, &r),
                TQ_ERR_CHECK, "--rounding half-up");
    CHECK_OK(tq_requant_find(&generic, 1, &zero, &zero, INT64_MIN, INT64_MAX, TQ_ROUND_HALF_UP,
                             arena, &r));
    tq_arena_destroy(arena);
}
