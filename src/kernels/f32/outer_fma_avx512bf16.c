/* Sums of outer products for AVX-512 with products of bf16 pairs; the f32 loops are those of
 * AVX-512.
 */
#define TQ_OUTER_SET tq_outer_avx512bf16
#define TQ_OUTER_NAME "avx512bf16"
#define TQ_OUTER_WIDTH 16
#define TQ_OUTER_N_X 8
#define TQ_OUTER_NEEDS                                                                             \
    (TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX2 |          \
     TQ_CPU_FMA | TQ_CPU_AVX512BF16)
#define TQ_OUTER_HALF "kernels/f32/outer_pairs.h"

extern const struct tq_outer tq_outer_avx512bf16;
#include "kernels/f32/outer_body.h"
