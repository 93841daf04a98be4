/* The text of every set: a file names its set and width, and includes this once. Multiplications
 * and additions are fused (the suffix of the file selects the flag). */
#include "kernels/f32/outer_internal.h"

enum { B = TQ_OUTER_WIDTH, N_X = TQ_OUTER_N_X };

typedef float lanes __attribute__((vector_size(4 * TQ_OUTER_WIDTH)));
typedef float lanes_u __attribute__((vector_size(4 * TQ_OUTER_WIDTH), aligned(4), may_alias));

/* Loops of constant length are unrolled, so that the accumulators are registers. */
#define EACH_X _Pragma("GCC unroll 8") for (int i = 0; i < N_X; i++)
#define EACH_BLOCK(n_blocks) _Pragma("GCC unroll 3") for (int b = 0; b < n_blocks; b++)

#define OUTER(n_blocks)                                                                            \
    static void outer_##n_blocks(const tq_outer_job *j, int first, float *sums)                    \
    {                                                                                              \
        lanes acc[N_X][n_blocks], v[n_blocks];                                                     \
        EACH_X                                                                                     \
        EACH_BLOCK(n_blocks)                                                                       \
        acc[i][b] = (lanes){ 0 };                                                                  \
        for (int64_t s = 0; s < j->n_samples; s++)                                                 \
            for (int64_t r = 0; r < j->n_rows; r++) {                                              \
                const float *x = j->x + s * j->x_sample + j->rows[r].x + first;                    \
                const float *y = j->y + s * j->y_sample + j->rows[r].y;                            \
                for (int64_t p = 0; p < j->rows[r].n; p++, x += j->x_step, y += B) {               \
                    EACH_BLOCK(n_blocks)                                                           \
                    v[b] = *(const lanes_u *)(y + b * j->y_block);                                 \
                    EACH_X                                                                         \
                    EACH_BLOCK(n_blocks)                                                           \
                    acc[i][b] += x[i] * v[b];                                                      \
                }                                                                                  \
            }                                                                                      \
        EACH_X                                                                                     \
        EACH_BLOCK(n_blocks)                                                                       \
        *(lanes_u *)(sums + (i * n_blocks + b) * B) = acc[i][b];                                   \
    }
OUTER(1)
OUTER(2)
OUTER(3)

static void run(const tq_outer_job *job, int first, int n_blocks, float *sums)
{
    if (n_blocks == 3)
        outer_3(job, first, sums);
    else if (n_blocks == 2)
        outer_2(job, first, sums);
    else
        outer_1(job, first, sums);
}

const tq_outer TQ_OUTER_SET = {
    .name = TQ_OUTER_NAME, .needs = TQ_OUTER_NEEDS, .block = B, .n_x = N_X, .run = run
};
