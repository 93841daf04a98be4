/* Depthwise runs in portable C, and the table of variants. */
#include "kernels/int/depthwise_internal.h"

static void sum_vector(const tq_depthwise_run *r, int64_t k, int32_t *sums)
{
    const int64_t n_groups = (r->kernel_h + 3) / 4;
    uint32_t total[TQ_BLOCK_CHANNELS];
    for (int p = 0; p < TQ_BLOCK_CHANNELS; p++)
        total[p] = (uint32_t)r->constants->bias[p];
    for (int64_t kw = 0; kw < r->kernel_w; kw++)
        for (int64_t kh = 0; kh < r->kernel_h; kh++) {
            const uint8_t *x = r->x + k * r->x_step + kh * r->x_row + kw * r->x_column;
            const int8_t *w = r->w + (kw * n_groups + kh / 4) * TQ_BLOCK_CHANNELS * 4 + kh % 4;
            for (int p = 0; p < TQ_BLOCK_CHANNELS; p++)
                total[p] += (uint32_t)(x[tq_block_channel(TQ_BLOCK_VECTORS, p)] * w[4 * p]);
        }
    for (int p = 0; p < TQ_BLOCK_CHANNELS; p++)
        sums[p] = (int32_t)total[p];
}

static void run(const tq_depthwise_run *r)
{
    for (int64_t k = 0; k < r->n; k++) {
        int32_t sums[TQ_BLOCK_CHANNELS];
        sum_vector(r, k, sums);
        tq_block_requantize(TQ_BLOCK_VECTORS, sums, r->constants, r->requant,
                            k == r->n - 1 ? r->n_last : r->n_live, r->y + k * r->y_step);
    }
}

const tq_depthwise_variant tq_depthwise_variants[] = {
    { "avx512vnni",
      TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ | TQ_CPU_AVX512VNNI,
      tq_depthwise_run_avx512vnni },
    { "avx2", TQ_CPU_AVX2 | TQ_CPU_FMA, tq_depthwise_run_avx2 },
    { "reference", 0, run },
    { 0 },
};
