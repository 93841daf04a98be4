/* Requantisation by the book: multipliers and addends for the channels of a block, and what codes
 * they give. */
#ifndef TQ_TESTS_KERNELS_BOOK_H
#define TQ_TESTS_KERNELS_BOOK_H

#include "check.h"
#include "kernels/int/strip_internal.h"

enum { SHIFT = 38, MOST = TQ_BLOCK_CHANNELS };

static tq_random stream;

static inline int64_t draw(int64_t lo, int64_t hi)
{
    return lo + tq_random_below(&stream, hi - lo + 1);
}

/* For sums of magnitude `reach`: multipliers of either sign, 0, and such that few sums make one
 * code, or that all make the same. */
typedef struct book {
    tq_tensor multiplier, addend;
    tq_requant_spec spec;
} book;

static inline void open_book(book *b, double reach, bool y_signed, int64_t q_min, int64_t q_max)
{
    const tq_type m = tq_type_make(TQ_I32, 1, (int64_t[]){ MOST });
    const tq_type a = tq_type_make(TQ_I64, 1, (int64_t[]){ MOST });
    CHECK_OK(tq_tensor_init(&b->multiplier, &m));
    CHECK_OK(tq_tensor_init(&b->addend, &a));
    b->spec = (tq_requant_spec){ &b->multiplier, &b->addend, SHIFT, q_min, q_max, y_signed };
    for (int c = 0; c < MOST; c++) {
        const double unit = ldexp(100.0 / reach, SHIFT) * exp2((double)draw(-3, 3));
        const double m_c = c % 16 == 5 ? 0.0 : c % 16 == 9 ? -unit : unit;
        ((int32_t *)b->multiplier.data)[c] =
            (int32_t)fmax(fmin(m_c * (0.5 + (double)draw(0, 1000) * 1e-3), 2e9), -2e9);
        ((int64_t *)b->addend.data)[c] = draw(-(INT64_C(20) << SHIFT), INT64_C(150) << SHIFT);
    }
}

static inline void close_book(book *b)
{
    tq_tensor_reset(&b->multiplier);
    tq_tensor_reset(&b->addend);
}

/** As it is held. */
static inline int64_t code_of(const book *b, int64_t sum, int64_t c)
{
    return tq_requant_spec_apply(&b->spec, sum, c) + (b->spec.y_signed ? 128 : 0);
}

/** The constants of a block whose channels have these sums; freed by the caller. */
static inline tq_block_constants *constants_of(const book *b, int n_vectors, int n_channels,
                                               int bits, const tq_sum_range *ranges,
                                               tq_requant_exact *out_exact)
{
    tq_block_constants *constants = aligned_alloc(64, sizeof *constants);
    memset(constants, 0, sizeof *constants);
    CHECK(tq_requant_exact_find(&b->spec, n_channels, ranges, 8 - bits, out_exact));
    for (int p = 0; p < 16 * n_vectors; p++) {
        const int c = tq_block_channel(n_vectors, p);
        if (c < n_channels)
            tq_block_constants_set(constants, p, &b->spec, out_exact, c, &ranges[c]);
    }
    return constants;
}

#endif
