/* Ties that a requantisation takes elsewhere: the count equals what walking over all codes finds.
 */
#include "check.h"

/* Level of x by the rounding, and by the requantisation: they are compared as codes of the grid. */
static int64_t by_hand(const tq_requant *r, int64_t lo, int64_t hi, int64_t q_min, int64_t q_max,
                       int64_t zero_point, tq_rounding rounding)
{
    int64_t n = 0;
    const double unit = (double)(INT64_C(1) << r->shift);
    for (int c = 0; c < r->n; c++)
        for (int64_t x = lo; x <= hi; x++) {
            const double exact = (double)(x * r->mul[c] + r->add[c]) / unit - 0.5;
            const double level = tq_round(exact - (double)zero_point, rounding, 0.0);
            const int64_t asked = tq_clip_i64((int64_t)level + zero_point, q_min, q_max);
            const int64_t got = tq_clip_i64((x * r->mul[c] + r->add[c]) >> r->shift, q_min, q_max);
            n += asked != got;
        }
    return n;
}

TEST(the_count_is_what_walking_over_all_codes_finds)
{
    static const tq_rounding roundings[] = { TQ_ROUND_HALF_EVEN, TQ_ROUND_HALF_AWAY };
    tq_random random;
    tq_random_init(&random, 5, 6, 7);
    int64_t n_all = 0;
    for (int k = 0; k < 4000; k++) {
        const int shift = 1 + (int)(tq_random_u64(&random) % 9);
        int64_t mul[2], add[2];
        for (int c = 0; c < 2; c++) {
            mul[c] = (int64_t)(tq_random_u64(&random) % 65) - 32;
            add[c] = (int64_t)(tq_random_u64(&random) % 4096) - 2048;
            if (k % 2)
                add[c] &= -(INT64_C(1) << (shift - 1)); /* offsets on half a code: more ties */
        }
        const tq_requant r = { .shift = shift, .n = 2, .mul = mul, .add = add };
        const int64_t lo = (int64_t)(tq_random_u64(&random) % 200) - 150;
        const int64_t hi = lo + (int64_t)(tq_random_u64(&random) % 300);
        const int64_t zero_point = (int64_t)(tq_random_u64(&random) % 9) - 4;
        const int64_t q_min = k % 3 ? -128 : -3, q_max = k % 3 ? 127 : 5;
        for (int i = 0; i < TQ_COUNT(roundings); i++) {
            const int64_t n = tq_requant_ties(&r, lo, hi, q_min, q_max, zero_point, roundings[i]);
            CHECK_EQ(n, by_hand(&r, lo, hi, q_min, q_max, zero_point, roundings[i]),
                     "case %d, %s: (x * {%lld, %lld} + {%lld, %lld}) >> %d for x in [%lld, %lld]",
                     k, tq_rounding_name(roundings[i]), (long long)mul[0], (long long)mul[1],
                     (long long)add[0], (long long)add[1], shift, (long long)lo, (long long)hi);
            n_all += n;
        }
    }
    CHECK(n_all > 10000);
}

TEST(what_rounds_half_up_or_down_or_not_at_all_has_none)
{
    const tq_requant r = { .shift = 1, .n = 1, .mul = (int64_t[]){ 1 }, .add = (int64_t[]){ 1 } };
    const tq_requant none = { .n = 1, .mul = (int64_t[]){ 1 }, .add = (int64_t[]){ 0 } };
    CHECK_EQ(tq_requant_ties(&r, -10, 10, -99, 99, 0, TQ_ROUND_HALF_EVEN), 5);
    CHECK_EQ(tq_requant_ties(&r, -10, 10, -99, 99, 0, TQ_ROUND_HALF_UP), 0);
    CHECK_EQ(tq_requant_ties(&r, -10, 10, -99, 99, 0, TQ_ROUND_FLOOR), 0);
    CHECK_EQ(tq_requant_ties(&none, -10, 10, -99, 99, 0, TQ_ROUND_HALF_EVEN), 0);
}

/* Wide codes with a large shift and a 31-bit multiplier: no walk would end. */
TEST(wide_codes_are_counted_in_closed_form)
{
    const int64_t mul = 0x40000000, add = INT64_C(1) << 39; /* x / 2^10 */
    const tq_requant r = {
        .shift = 40, .n = 1, .mul = (int64_t[]){ mul }, .add = (int64_t[]){ add }
    };
    CHECK_EQ(tq_requant_ties(&r, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX, 0, TQ_ROUND_HALF_EVEN),
             INT64_C(1) << 21);
    CHECK_EQ(tq_requant_ties(&r, INT32_MIN, INT32_MAX, -128, 127, 0, TQ_ROUND_HALF_EVEN), 128);
    const tq_requant odd = {
        .shift = 40, .n = 1, .mul = (int64_t[]){ mul + 1 }, .add = (int64_t[]){ add }
    };
    CHECK_EQ(tq_requant_ties(&odd, -1000000, 1000000, -128, 127, 0, TQ_ROUND_HALF_EVEN), 0);
}
