/* The probes of this CPU's arithmetic, best first for each kind of operand. */
#include "kernels/int/peak_internal.h"

/** Plain C: four chains that a compiler may turn into vectors of any CPU. */
static void portable(int64_t n)
{
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        a = a * 0.5f + 1.0f;
        b = b * 0.5f + 1.0f;
        c = c * 0.5f + 1.0f;
        d = d * 0.5f + 1.0f;
    }
    volatile float sum = a + b + c + d; /* or all would be left out */
    (void)sum;
}

enum { AVX512 = TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ };

const tq_probe tq_probes[] = {
    { "amx tiles", AVX512 | TQ_CPU_AMX_INT8, true, 4 * 16 * 16 * 64, tq_probe_tiles_amx },
    { "avx512 vnni", AVX512 | TQ_CPU_AVX512VNNI, true, 12 * 64, tq_probe_vnni_avx512 },
    { "avx2 words", TQ_CPU_AVX2 | TQ_CPU_FMA, true, 4 * 16, tq_probe_words_avx2 },
    { "plain C", 0, true, 4, portable },
    { "avx512 fma", AVX512, false, 12 * 16, tq_probe_fma_avx512 },
    { "avx2 fma", TQ_CPU_AVX2 | TQ_CPU_FMA, false, 12 * 8, tq_probe_fma_avx2 },
    { "plain C", 0, false, 4, portable },
    { 0 },
};
