/* Chains of independent instructions of AVX-512, twelve at a time: what the units give at most. */
#include "kernels/int/peak_internal.h"

#define FOUR(op, a, b, c, d)                                                                       \
    op " %%zmm12, %%zmm13, %%zmm" #a "\n" op " %%zmm12, %%zmm13, %%zmm" #b "\n" op                 \
       " %%zmm12, %%zmm13, %%zmm" #c "\n" op " %%zmm12, %%zmm13, %%zmm" #d "\n"
#define TWELVE(op) FOUR(op, 0, 1, 2, 3) FOUR(op, 4, 5, 6, 7) FOUR(op, 8, 9, 10, 11)
#define CLOBBERED                                                                                  \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13"

void tq_probe_fma_avx512(int64_t n)
{
    __asm__ volatile("vzeroall" ::: CLOBBERED);
    for (int64_t i = 0; i < n; i++)
        __asm__ volatile(TWELVE("vfmadd231ps")::: CLOBBERED);
}

void tq_probe_vnni_avx512(int64_t n)
{
    __asm__ volatile("vzeroall" ::: CLOBBERED);
    for (int64_t i = 0; i < n; i++)
        __asm__ volatile(TWELVE("vpdpbusd")::: CLOBBERED);
}
