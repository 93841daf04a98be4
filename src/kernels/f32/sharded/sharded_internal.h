/* What the operators that run shard by shard share. */
#ifndef TQ_KERNELS_F32_SHARDED_INTERNAL_H
#define TQ_KERNELS_F32_SHARDED_INTERNAL_H

#include "kernels/f32/blocks_internal.h"
#include "kernels/f32/loops_internal.h"
#include "kernels/kernels.h"

/** Factors for each channel, by block: entry c of row k at factors[k * n_padded + c], zeros past
 * the last channel. */
typedef struct tq_factors {
    int64_t n_channels, n_padded;
    float *rows;
} tq_factors;

/** Room for n_rows x channels, all zero; TQ_ERR_MEMORY. */
tq_status tq_factors_init(tq_factors *factors, int64_t n_channels, int n_rows);
static inline float *tq_factors_row(const tq_factors *factors, int row)
{
    return factors->rows + row * factors->n_padded;
}
/** Of a tile's block. */
static inline const float *tq_factors_of(const tq_factors *factors, int row, const tq_tile *tile)
{
    return factors->rows + row * factors->n_padded + tile->block * tile->width;
}

/** Input i is f32 [n, c, ...] with elements. */
bool tq_is_batch(const tq_op_run *run, int i);
/** Bytes of `n` doubles for each channel, padded. */
size_t tq_sums_size(int64_t n_channels, int n);
/** Of sums [blocks][n][width]: number k of channel c. */
static inline double tq_sums_at(const void *total, int width, int n, int k, int64_t c)
{
    return ((const double *)total)[(c / width * n + k) * width + c % width];
}
/** The sums of a tile's block. */
static inline double *tq_sums_of(const tq_tile *tile, int n)
{
    return (double *)tile->partial + tile->block * n * tile->width;
}

/** Stores an output of one number for each channel; outputs may be absent. */
static inline void tq_put(const tq_op_run *run, int output, int64_t c, double value)
{
    if (output < run->n_out && run->out[output])
        ((float *)run->out[output])[c] = (float)value;
}

#endif
