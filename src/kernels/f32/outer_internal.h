/* Sums of outer products of pixels: the weight gradient of a convolution on blocked arrays. One set
 * for each level of the CPU. */
#ifndef TQ_KERNELS_F32_OUTER_INTERNAL_H
#define TQ_KERNELS_F32_OUTER_INTERNAL_H

#include <truq/op.h>

/** A row of pixel pairs: x pixels `x_step` floats apart, y pixels next to each other. Offsets are
 *  from the first pixel of a plane of one block. */
typedef struct tq_outer_row {
    int64_t x, y, n;
} tq_outer_row;

enum { TQ_OUTER_MORE = 24 };

/** Planes of several data points. */
typedef struct tq_outer_job {
    const void *x,
        *y; /* f32 or bf16, of the first data point: of a block, of the first of several */
    int64_t x_sample, y_sample; /* elements between data points */
    int64_t y_block;            /* elements between blocks of y */
    int64_t x_step;
    const tq_outer_row *rows;
    int64_t n_rows, n_samples;
    int n_more; /* earlier sums to add, one after the other */
    const float *more[TQ_OUTER_MORE];
} tq_outer_job;

enum { TQ_OUTER_BLOCKS = 3 }; /* of y at most, at once */

typedef struct tq_outer {
    const char *name;
    unsigned needs;
    int block, n_x; /* channels of a block; of them x channels at once */
    /** sums[i][b][c] = sum over all pixels of x channel first + i times y channel c of block b, for
     *  n_x x channels and n_blocks (1 .. 3) blocks, [n_x][n_blocks][block]; then more[0] is added,
     *  and so on. */
    void (*run)(const tq_outer_job *job, int first, int n_blocks, float *sums);
    /** The same of bf16 pixels: exact products, sums in f32. */
    void (*run_half)(const tq_outer_job *job, int first, int n_blocks, float *sums);
} tq_outer;

/** Widest first; ends with NULL. */
extern const tq_outer *const tq_outer_variants[];
const tq_outer *tq_outer_best(void);

#endif
