/* What the CPU can do. TRUQ_CPU=reference|avx2|avx512 takes abilities away (avx512: only tiles,
 * which the level does not have), never adds any; another value, or none, leaves all. */
#define _GNU_SOURCE
#include <truq/threads.h>

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    AVX2_LEVEL = TQ_CPU_AVX2 | TQ_CPU_FMA,
    AVX512_LEVEL =
        AVX2_LEVEL | TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ,
};

/** Tiles of 8-bit integers: the CPU has them and the system grants their state to this process. */
static bool has_tiles(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { TILE = 1 << 24, INT8 = 1 << 25, ASK = 0x1023, TILE_DATA = 18 };
    unsigned a = 7, b, c = 0, d; /* leaf 7, which CPUs with AVX-512 have */
    if (!__builtin_cpu_supports("avx512f"))
        return false;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (d & (TILE | INT8)) == (TILE | INT8) && syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
#else
    return false;
#endif
}

static unsigned detect(void)
{
    unsigned flags = 0;
#if defined(__x86_64__) || defined(__i386__)
    flags |= __builtin_cpu_supports("avx2") ? TQ_CPU_AVX2 : 0;
    flags |= __builtin_cpu_supports("fma") ? TQ_CPU_FMA : 0;
    flags |= __builtin_cpu_supports("avx512f") ? TQ_CPU_AVX512F : 0;
    flags |= __builtin_cpu_supports("avx512bw") ? TQ_CPU_AVX512BW : 0;
    flags |= __builtin_cpu_supports("avx512vl") ? TQ_CPU_AVX512VL : 0;
    flags |= __builtin_cpu_supports("avx512dq") ? TQ_CPU_AVX512DQ : 0;
    flags |= __builtin_cpu_supports("avx512vnni") ? TQ_CPU_AVX512VNNI : 0;
    flags |= __builtin_cpu_supports("avx512bf16") ? TQ_CPU_AVX512BF16 : 0;
    flags |= __builtin_cpu_supports("avx512vbmi") ? TQ_CPU_AVX512VBMI : 0;
    flags |= has_tiles() ? TQ_CPU_AMX_INT8 : 0;
#endif
    return flags;
}

static unsigned allowed(void)
{
    const char *level = getenv("TRUQ_CPU");
    if (level && strcmp(level, "reference") == 0)
        return 0;
    if (level && strcmp(level, "avx2") == 0)
        return AVX2_LEVEL;
    if (level && strcmp(level, "avx512") == 0)
        return ~(unsigned)TQ_CPU_AMX_INT8;
    return ~0u;
}

unsigned tq_cpu_flags(void)
{
    return detect() & allowed();
}

const char *tq_cpu_level(void)
{
    const unsigned flags = tq_cpu_flags();
    if ((flags & AVX512_LEVEL) == AVX512_LEVEL)
        return "avx512";
    return (flags & AVX2_LEVEL) == AVX2_LEVEL ? "avx2" : "reference";
}
