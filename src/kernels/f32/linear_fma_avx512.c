/* Products of rows for AVX-512. */
#define TQ_LINEAR_SET tq_linear_avx512
#define TQ_LINEAR_NAME "avx512"
#define TQ_LINEAR_WIDTH 16
#define TQ_LINEAR_ROWS 4
#define TQ_LINEAR_NEEDS                                                                            \
    (TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX2 |          \
     TQ_CPU_FMA)

extern const struct tq_linear_set tq_linear_avx512;
#include "kernels/f32/linear_body.h"
