/* The definition of a tile in portable C, and the table of variants. */
#include "kernels/int/tile_internal.h"

#include <string.h>

void tq_tile_pack_portable(const uint8_t *const rows[TQ_TILE_GROUP], uint8_t *group)
{
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    for (int i = 0; i < TQ_TILE_COLUMNS; i++) {
        group[4 * i] = a[i];
        group[4 * i + 1] = b[i];
        group[4 * i + 2] = c[i];
        group[4 * i + 3] = d[i];
    }
}

static int place(int column)
{
    return column;
}

static void multiply(int64_t n_groups, int64_t n_rows, const uint8_t *panel, const int8_t *w,
                     int64_t w_stride, const int32_t *offset, int32_t *out)
{
    for (int64_t r = 0; r < n_rows; r++, w += w_stride) {
        uint32_t sums[TQ_TILE_COLUMNS];
        for (int i = 0; i < TQ_TILE_COLUMNS; i++)
            sums[i] = (uint32_t)offset[r];
        for (int64_t g = 0; g < n_groups; g++) {
            const uint8_t *x = panel + g * TQ_TILE_PANEL;
            const int8_t *v = w + g * TQ_TILE_GROUP;
            for (int i = 0; i < TQ_TILE_COLUMNS; i++)
                sums[i] += (uint32_t)(x[4 * i] * v[0] + x[4 * i + 1] * v[1] + x[4 * i + 2] * v[2] +
                                      x[4 * i + 3] * v[3]);
        }
        memcpy(out + r * TQ_TILE_COLUMNS, sums, sizeof sums);
    }
}

static int32_t dot(int64_t n, const uint8_t *a, const int8_t *w)
{
    uint32_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (uint32_t)(a[k] * w[k]);
    return (int32_t)sum;
}

const tq_tile_variant tq_tile_variants[] = {
    { "avx512vnni",
      TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX512VNNI,
      tq_tile_pack_avx512vnni, tq_tile_place_avx512vnni, tq_tile_multiply_avx512vnni,
      tq_tile_dot_avx512vnni },
    { "avx2", TQ_CPU_AVX2 | TQ_CPU_FMA, tq_tile_pack_portable, place, tq_tile_multiply_avx2,
      tq_tile_dot_avx2 },
    { "reference", 0, tq_tile_pack_portable, place, multiply, dot },
    { 0 },
};

const tq_tile_variant *tq_tile_best(void)
{
    const tq_tile_variant *v = tq_tile_variants;
    while ((v->needs & tq_cpu_flags()) != v->needs)
        v++;
    return v;
}
