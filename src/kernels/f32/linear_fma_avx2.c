/* Products of rows for AVX2. */
#define TQ_LINEAR_SET tq_linear_avx2
#define TQ_LINEAR_NAME "avx2"
#define TQ_LINEAR_WIDTH 8
#define TQ_LINEAR_ROWS 2
#define TQ_LINEAR_NEEDS (TQ_CPU_AVX2 | TQ_CPU_FMA)

extern const struct tq_linear_set tq_linear_avx2;
#include "kernels/f32/linear_body.h"
