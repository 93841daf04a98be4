/* Strips in portable C, and the table of their variants. */
#include "kernels/int/strip_internal.h"

#include <string.h>

void tq_block_requantize(int n_vectors, const int32_t *sums, const tq_block_constants *constants,
                         const tq_requant_common *requant, int n_channels, uint8_t *y)
{
    for (int p = 0; p < n_vectors * TQ_VECTOR; p++) {
        const int c = tq_block_channel(n_vectors, p);
        if (c >= n_channels)
            continue;
        const int64_t v = (int64_t)sums[p] * constants->multiplier[p];
        const int64_t sum =
            (int64_t)((uint64_t)v + (uint64_t)constants->addend[tq_addend_place(p)]);
        const int64_t up = (int64_t)((uint64_t)sum << constants->up);
        const int64_t q = 128 + (up >> (32 + constants->shift));
        y[c] = (uint8_t)tq_clip_i64(q, requant->q_min, requant->q_max);
    }
}

/** Field `f` of n packed weights, in the uppermost bits. */
static void unpack(const int8_t *w, int64_t n, int bits, int64_t f, int8_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (int8_t)((unsigned)w[i] << (8 - bits * (f + 1)) & 0xffu << (8 - bits));
}

static void add_group(const uint8_t *x, const int8_t *w, int n, uint32_t *sums)
{
    for (int p = 0; p < n; p++)
        sums[p] += (uint32_t)(x[0] * w[4 * p] + x[1] * w[4 * p + 1] + x[2] * w[4 * p + 2] +
                              x[3] * w[4 * p + 3]);
}

static void run(int n_vectors, int n_pixels, const tq_strip *s)
{
    const int n = n_vectors * TQ_VECTOR, n_fields = 8 / s->bits;
    for (int pixel = 0; pixel < n_pixels; pixel++) {
        uint32_t sums[TQ_BLOCK_CHANNELS];
        for (int p = 0; p < n; p++)
            sums[p] = (uint32_t)s->from[pixel * s->from_step + p];
        const int8_t *w = s->w;
        for (int64_t r = 0; r < s->n_runs; r++) {
            const uint8_t *x = s->x + pixel * s->x_step + s->runs[r];
            for (int64_t g = 0; g < s->n_groups; g++, x += 4) {
                int8_t unpacked[4 * TQ_BLOCK_CHANNELS];
                const int64_t f = g % n_fields;
                if (s->bits < 8)
                    unpack(w, 4 * n, s->bits, f, unpacked);
                add_group(x, s->bits < 8 ? unpacked : w, n, sums);
                w += f == n_fields - 1 ? 4 * n : 0;
            }
        }
        if (s->sums)
            memcpy(s->sums + pixel * TQ_BLOCK_CHANNELS, sums, (size_t)n * sizeof *sums);
        else
            tq_block_requantize(n_vectors, (const int32_t *)sums, s->constants, s->requant,
                                s->n_channels, tq_strip_y(s, pixel));
    }
}

enum {
    AVX512 = TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ,
};

const tq_strip_variant tq_strip_variants[] = {
    { .name = "amx",
      .needs = AVX512 | TQ_CPU_AMX_INT8,
      .most_pixels = { 0, 16, 16, 16, 16 },
      .least_groups = 8,
      .least_work = 16,
      .run = tq_strip_run_amx,
      .end = tq_strip_end_amx },
    { .name = "avx512vnni",
      .needs = AVX512 | TQ_CPU_AVX512VNNI,
      .most_pixels = { 0, 12, 12, 8, 6 },
      .unpacks = true,
      .run = tq_strip_run_avx512vnni },
    { .name = "avx2",
      .needs = TQ_CPU_AVX2 | TQ_CPU_FMA,
      .most_pixels = { 0, 4, 4, 4, 4 },
      .unpacks = true,
      .run = tq_strip_run_avx2 },
    { .name = "reference", .most_pixels = { 0, 4, 4, 4, 4 }, .unpacks = true, .run = run },
    { 0 },
};

const tq_strip_variant *tq_strip_best(int64_t n_runs, int64_t n_groups)
{
    const tq_strip_variant *v = tq_strip_variants;
    while ((v->needs & tq_cpu_flags()) != v->needs || n_groups < v->least_groups ||
           n_runs * n_groups < v->least_work)
        v++;
    return v;
}
