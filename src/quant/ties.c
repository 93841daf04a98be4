/* How many codes a requantisation takes to another code than a rounding that was asked for. It
 * rounds half up; roundings to nearest differ from that, by one, at ties alone:
 *
 *   x mul + add = q 2^shift,  half being in add:  q - 1/2 became q
 *
 *   half-even   to q - 1 where the level q - zero_point is odd:    x mul = (zero_point + 1) 2^shift
 *               - add modulo 2^(shift + 1)
 *   half-away   to q - 1 where q - zero_point <= 0:                x mul = -add modulo 2^shift
 *
 * That is one arithmetic progression of x a channel, of which those count that lie in [lo, hi] and
 * between the ends of the grid. Counted, not walked. */
#include <truq/quant.h>

#include <math.h>

typedef __int128 i128;
typedef unsigned __int128 u128;

/** x with x mul = target modulo 2^bits (bits <= 63): x0 modulo the period. False: there are none.
 */
static bool solve(int64_t mul, i128 target, int bits, uint64_t *x0, uint64_t *period)
{
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t m = (uint64_t)mul & mask, t = (uint64_t)target & mask;
    *x0 = 0;
    *period = 1;
    if (m == 0)
        return t == 0;
    const int zeros = __builtin_ctzll(m);
    if (t & ((UINT64_C(1) << zeros) - 1))
        return false;
    m >>= zeros;
    uint64_t inverse = m; /* Newton: each step doubles the bits that are right, from 3 on */
    for (int i = 0; i < 5; i++)
        inverse *= 2 - m * inverse;
    *period = UINT64_C(1) << (bits - zeros);
    *x0 = ((t >> zeros) * inverse) & (*period - 1);
    return true;
}

static i128 divide_down(i128 a, i128 b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/** x in [lo, hi] that are x0 modulo the period. */
static int64_t count(i128 lo, i128 hi, uint64_t x0, uint64_t period)
{
    const i128 ahead = ((i128)x0 - lo) % (i128)period;
    const i128 first = lo + (ahead < 0 ? ahead + period : ahead);
    if (first > hi)
        return 0;
    const i128 n = (hi - first) / period + 1;
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static int64_t channel_ties(int64_t mul, int64_t add, int shift, int64_t x_lo, int64_t x_hi,
                            int64_t q_lo, int64_t q_hi, const i128 target, int bits)
{
    uint64_t x0, period;
    if (q_lo > q_hi || !solve(mul, target, bits, &x0, &period))
        return 0;
    i128 lo = x_lo, hi = x_hi;
    const i128 unit = (i128)1 << shift, a = q_lo * unit - add, b = q_hi * unit - add;
    if (mul == 0)
        return a <= 0 && b >= 0 ? count(lo, hi, x0, period) : 0;
    const i128 from = mul > 0 ? -divide_down(-a, mul) : -divide_down(-b, mul);
    const i128 to = mul > 0 ? divide_down(b, mul) : divide_down(a, mul);
    return count(from > lo ? from : lo, to < hi ? to : hi, x0, period);
}

int64_t tq_requant_ties(const tq_requant *r, int64_t lo, int64_t hi, int64_t q_min, int64_t q_max,
                        int64_t zero_point, tq_rounding rounding)
{
    const bool even = rounding == TQ_ROUND_HALF_EVEN;
    int64_t n = 0;
    if (r->shift == 0 || lo > hi || (!even && rounding != TQ_ROUND_HALF_AWAY))
        return 0;
    const int64_t last = even || q_max < zero_point ? q_max : zero_point;
    const i128 odd = even ? (i128)((zero_point + 1) & 1) << r->shift : 0;
    for (int c = 0; c < r->n; c++) {
        const int64_t ties = channel_ties(r->mul[c], r->add[c], r->shift, lo, hi, q_min + 1, last,
                                          odd - r->add[c], even ? r->shift + 1 : r->shift);
        n = ties > INT64_MAX - n ? INT64_MAX : n + ties;
    }
    return n;
}
