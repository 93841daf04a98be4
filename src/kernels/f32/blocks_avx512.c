/* The loops over blocks for AVX-512. */
#define TQ_BLOCKS_SET tq_blocks_avx512
#define TQ_BLOCKS_NAME "avx512"
#define TQ_BLOCKS_WIDTH 16
#define TQ_BLOCKS_NEEDS                                                                            \
    (TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX2 |          \
     TQ_CPU_FMA)

extern const struct tq_blocks tq_blocks_avx512;
#include "kernels/f32/blocks_body.h"
