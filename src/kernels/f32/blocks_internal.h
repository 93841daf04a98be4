/* Inner loops over tiles of the blocked form: `n` pixels of one block of channels, with a factor
 * for each channel where an argument is called [block]. One set for each level of the CPU; the
 * block is as wide as its registers. No loop fuses a multiplication with an addition. */
#ifndef TQ_KERNELS_F32_BLOCKS_INTERNAL_H
#define TQ_KERNELS_F32_BLOCKS_INTERNAL_H

#include <truq/op.h>

enum { TQ_MAX_BLOCK = 16 };

/** The windows of one row of outputs: n_h rows of x, h_step floats apart; of each the pixels
 * `first` and n - 1 more, w_step floats apart. */
typedef struct tq_span {
    int32_t first, n;
} tq_span;

typedef struct tq_window_row {
    int64_t n; /* windows */
    const tq_span *spans;
    int64_t n_h, h_step, w_step;
} tq_window_row;

typedef struct tq_blocks {
    const char *name;
    unsigned needs;
    int block;
    /** y = (x - mean) * k + b; mean, k, b: [block]. */
    void (*affine)(int64_t n, const float *x, const float *mean, const float *k, const float *b,
                   float *y);
    /** dx = a * dy + (b * (x - mean) + c); mean, a, b, c: [block]. */
    void (*affine_grad)(int64_t n, const float *dy, const float *x, const float *mean,
                        const float *a, const float *b, const float *c, float *dx);
    /** y = k * x; k: [block]. */
    void (*scale)(int64_t n, const float *x, const float *k, float *y);
    /** y = x + b; b: [block]. */
    void (*shift)(int64_t n, const float *x, const float *b, float *y);
    /** sums[c] += x, in double; [block]. */
    void (*sum)(int64_t n, const float *x, double *sums);
    /** sums[c] += a, sums[block + c] += a * b, in double; [2 x block]. */
    void (*sums)(int64_t n, const float *a, const float *b, double *sums);
    /** y: the largest pixel of each window of a row, NaN before numbers; -inf where it sees none.
     */
    void (*max_row)(const tq_window_row *row, const float *x, float *y);
    /** dx at the first largest element of each window (the last NaN) += dy. */
    void (*max_row_grad)(const tq_window_row *row, const float *x, const float *dy, float *dx);
    /** n elements to bf16, half to even, NaN stays one; and back. */
    void (*to_half)(int64_t n, const float *x, uint16_t *y);
    void (*from_half)(int64_t n, const uint16_t *x, float *y);
    /** block x block elements to bf16: y[i / 2][c][i % 2] = x[i][c]; rows x_stride apart. */
    void (*pair_rows)(const float *x, int64_t x_stride, uint16_t *y);
    /** y[c][i] = x[i][c] for block x block elements; rows x_stride and y_stride apart. */
    void (*transpose)(const float *x, int64_t x_stride, float *y, int64_t y_stride);
    /** Plain planes, `plane` floats apart, to n pixels of a block, and back; `n_channels` exist. */
    void (*gather)(int64_t n, int n_channels, int64_t plane, const float *x, float *y);
    void (*scatter)(int64_t n, int n_channels, int64_t plane, const float *x, float *y);
} tq_blocks;

/** Widest first; ends with NULL. */
extern const tq_blocks *const tq_blocks_variants[];
/** The first one this CPU has; NULL: none. */
const tq_blocks *tq_blocks_best(void);

#endif
