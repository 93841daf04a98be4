/* Sums of outer products for AVX-512: 24 accumulators of 16 lanes. */
#define TQ_OUTER_SET tq_outer_avx512
#define TQ_OUTER_NAME "avx512"
#define TQ_OUTER_WIDTH 16
#define TQ_OUTER_N_X 8
#define TQ_OUTER_NEEDS                                                                             \
    (TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX2 |          \
     TQ_CPU_FMA)

extern const struct tq_outer tq_outer_avx512;
#include "kernels/f32/outer_body.h"
