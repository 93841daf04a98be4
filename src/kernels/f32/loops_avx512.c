/* The loops for AVX-512. */
#define TQ_LOOPS_SET tq_loops_avx512
#define TQ_LOOPS_NAME "avx512"
#define TQ_LOOPS_NEEDS (TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ)

extern const struct tq_loops tq_loops_avx512;
#include "kernels/f32/loops_body.h"
