/* Elementwise sums of one or two operands by tables of bytes. */
#ifndef TQ_KERNELS_INT_SUM_INTERNAL_H
#define TQ_KERNELS_INT_SUM_INTERNAL_H

#include "kernels/kernels.h"

/** y = y[a[x0] + b[x1]]: a and b give 0 .. 255, their sum indexes 512 entries. */
typedef struct tq_sum_tables {
    uint8_t operands[TQ_LAYER_MAX_INPUTS][256];
    uint8_t y[512];
    bool is_identity[TQ_LAYER_MAX_INPUTS];
} tq_sum_tables;

typedef struct tq_sum_variant {
    const char *name;
    unsigned needs;
    void (*two)(const tq_sum_tables *t, int64_t n, const uint8_t *a, const uint8_t *b, uint8_t *y);
    void (*one)(const tq_sum_tables *t, int64_t n, const uint8_t *a, uint8_t *y); /* operands[0] */
} tq_sum_variant;

extern const tq_sum_variant tq_sum_variants[];

void tq_sum_two_avx512vbmi(const tq_sum_tables *t, int64_t n, const uint8_t *a, const uint8_t *b,
                           uint8_t *y);
void tq_sum_one_avx512vbmi(const tq_sum_tables *t, int64_t n, const uint8_t *a, uint8_t *y);

#endif
