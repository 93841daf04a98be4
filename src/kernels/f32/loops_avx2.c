/* The loops for AVX2. */
#define TQ_LOOPS_SET tq_loops_avx2
#define TQ_LOOPS_NAME "avx2"
#define TQ_LOOPS_NEEDS (TQ_CPU_AVX2 | TQ_CPU_FMA)

extern const struct tq_loops tq_loops_avx2;
#include "kernels/f32/loops_body.h"
