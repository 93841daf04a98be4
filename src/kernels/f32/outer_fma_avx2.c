/* Sums of outer products for AVX2: 12 accumulators of 8 lanes. */
#define TQ_OUTER_SET tq_outer_avx2
#define TQ_OUTER_NAME "avx2"
#define TQ_OUTER_WIDTH 8
#define TQ_OUTER_N_X 4
#define TQ_OUTER_NEEDS (TQ_CPU_AVX2 | TQ_CPU_FMA)

extern const struct tq_outer tq_outer_avx2;
#include "kernels/f32/outer_body.h"
