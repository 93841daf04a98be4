/* Chains of independent instructions of AVX2: fused multiply-add, and what 8-bit products take when
 * bytes are widened first (vpmaddwd, vpaddd). */
#include "kernels/int/peak_internal.h"

#define FOUR(op, a, b, c, d)                                                                       \
    op " %%ymm12, %%ymm13, %%ymm" #a "\n" op " %%ymm12, %%ymm13, %%ymm" #b "\n" op                 \
       " %%ymm12, %%ymm13, %%ymm" #c "\n" op " %%ymm12, %%ymm13, %%ymm" #d "\n"
#define TWELVE(op) FOUR(op, 0, 1, 2, 3) FOUR(op, 4, 5, 6, 7) FOUR(op, 8, 9, 10, 11)
#define CLOBBERED                                                                                  \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13"

void tq_probe_fma_avx2(int64_t n)
{
    __asm__ volatile("vzeroall" ::: CLOBBERED);
    for (int64_t i = 0; i < n; i++)
        __asm__ volatile(TWELVE("vfmadd231ps")::: CLOBBERED);
}

void tq_probe_words_avx2(int64_t n)
{
    __asm__ volatile("vzeroall" ::: CLOBBERED);
    for (int64_t i = 0; i < n; i++)
        __asm__ volatile(FOUR("vpmaddwd", 4, 5, 6,
                              7) "vpaddd %%ymm4, %%ymm0, %%ymm0\nvpaddd %%ymm5, %%ymm1, %%ymm1\n"
                                 "vpaddd %%ymm6, %%ymm2, %%ymm2\nvpaddd %%ymm7, %%ymm3, %%ymm3\n" ::
                                     : CLOBBERED);
}
