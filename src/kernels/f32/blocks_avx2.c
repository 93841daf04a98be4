/* The loops over blocks for AVX2. */
#define TQ_BLOCKS_SET tq_blocks_avx2
#define TQ_BLOCKS_NAME "avx2"
#define TQ_BLOCKS_WIDTH 8
#define TQ_BLOCKS_NEEDS (TQ_CPU_AVX2 | TQ_CPU_FMA)

extern const struct tq_blocks tq_blocks_avx2;
#include "kernels/f32/blocks_body.h"
