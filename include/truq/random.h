/* Random numbers that are the same everywhere: counter based, keyed by what they are for. */
#ifndef TRUQ_RANDOM_H
#define TRUQ_RANDOM_H

#include <truq/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A stream of random numbers; plain data, so it can be saved and restored. */
typedef struct tq_random {
    uint64_t state[4];
} tq_random;

/** Starts the stream (seed, a, b): streams with different keys are independent.
 *  xoshiro256**, seeded by SplitMix64 (Blackman and Vigna, 2018). */
TQ_API void tq_random_init(tq_random *random, uint64_t seed, uint64_t a, uint64_t b);

TQ_API uint64_t tq_random_u64(tq_random *random);
/** Uniform in [0, 1), 53 bits. */
TQ_API double tq_random_uniform(tq_random *random);
/** Standard normal (Box and Muller). */
TQ_API double tq_random_normal(tq_random *random);
/** Uniform in 0 .. n-1 without bias; n > 0. */
TQ_API int64_t tq_random_below(tq_random *random, int64_t n);
/** Fisher-Yates shuffle of items[0..n-1]. */
TQ_API void tq_random_shuffle(tq_random *random, int64_t *items, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
