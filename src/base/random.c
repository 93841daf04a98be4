/* xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018) seeded
 * by SplitMix64 (Steele, Lea and Flood, 2014). Logarithm and cosine are summed here from their
 * series: those of the C library differ in the last bit from one machine to the next. */
#include <truq/random.h>

#include <math.h>

static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void tq_random_init(tq_random *random, uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t state = seed;
    state = split_mix(&state) ^ a;
    state = split_mix(&state) ^ b;
    for (int i = 0; i < 4; i++)
        random->state[i] = split_mix(&state);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t tq_random_u64(tq_random *random)
{
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double tq_random_uniform(tq_random *random)
{
    return (double)(tq_random_u64(random) >> 11) * 0x1p-53;
}

/** ln x for x > 0: x = m * 2^e, ln m = 2 artanh((m - 1) / (m + 1)). */
static double natural_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
    double sum = 0.0;
    for (int k = 23; k >= 1; k -= 2)
        sum = sum * s2 + 1.0 / k;
    return 2.0 * s * sum + e * 0.69314718055994531;
}

/** cos(2 pi v) for 0 <= v < 1: the nearest quarter turn, then a Taylor series in |t| <= pi / 4. */
static double cosine_of_turns(double v)
{
    const int quarter = (int)(4.0 * v + 0.5);
    const double t = 6.2831853071795865 * (v - 0.25 * quarter), t2 = t * t;
    double even = 1.0, odd = 1.0; /* cos t and sin t / t */
    for (int k = 16; k >= 2; k -= 2) {
        even = 1.0 - even * t2 / (k * (k - 1));
        odd = 1.0 - odd * t2 / (k * (k + 1));
    }
    switch (quarter % 4) {
    case 0:
        return even;
    case 1:
        return -t * odd;
    case 2:
        return -even;
    default:
        return t * odd;
    }
}

double tq_random_normal(tq_random *random)
{
    const double u = 1.0 - tq_random_uniform(random); /* in (0, 1] */
    return sqrt(-2.0 * natural_log(u)) * cosine_of_turns(tq_random_uniform(random));
}

int64_t tq_random_below(tq_random *random, int64_t n)
{
    const uint64_t bound = (uint64_t)n, uneven = (0 - bound) % bound; /* 2^64 mod n */
    uint64_t r;
    do
        r = tq_random_u64(random);
    while (r < uneven);
    return (int64_t)(r % bound);
}

void tq_random_shuffle(tq_random *random, int64_t *items, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = tq_random_below(random, i + 1), item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
