/* Requantisation of a run of accumulators that share multiplier and addend. */
#ifndef TQ_KERNELS_INT_REQUANT_INTERNAL_H
#define TQ_KERNELS_INT_REQUANT_INTERNAL_H

#include <truq/op.h>

typedef struct tq_requant_row {
    int64_t multiplier, addend, q_min, q_max;
    int shift;
} tq_requant_row;

/** y[i] = low byte of clip((x[i] * multiplier + addend) >> shift, q_min, q_max); the product and
 * the sum are modulo 2^64. */
typedef struct tq_requant_variant {
    const char *name;
    unsigned needs;
    void (*run)(const tq_requant_row *row, int64_t n, const int32_t *x, uint8_t *y);
} tq_requant_variant;

extern const tq_requant_variant tq_requant_variants[];

void tq_requant_avx512(const tq_requant_row *row, int64_t n, const int32_t *x, uint8_t *y);

#endif
