/* The text of every set: a file names its set and width, and includes this once. Multiplications
 * and additions are fused (the suffix of the file selects the flag). */
#include "kernels/f32/outer_internal.h"

enum { B = TQ_OUTER_WIDTH, N_X = TQ_OUTER_N_X };

typedef float lanes __attribute__((vector_size(4 * TQ_OUTER_WIDTH)));
typedef float lanes_u __attribute__((vector_size(4 * TQ_OUTER_WIDTH), aligned(4), may_alias));

/* Loops of constant length are unrolled, so that the accumulators are registers. */
#define EACH_X _Pragma("GCC unroll 8") for (int i = 0; i < N_X; i++)
#define EACH_BLOCK(n_blocks) _Pragma("GCC unroll 3") for (int b = 0; b < n_blocks; b++)

typedef uint16_t halves_u __attribute__((vector_size(2 * TQ_OUTER_WIDTH), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(4 * TQ_OUTER_WIDTH)));

#define LOAD_f32(p) (*(const lanes_u *)(p))
#define LOAD_half(p) ((lanes)(__builtin_convertvector(*(const halves_u *)(p), words) << 16))
#define SCALAR_f32(v) (v)
#define SCALAR_half(v) scalar_of_half(v)

/* Adds the sums of other shards and stores them all. */
#define MEET_AND_STORE(n_blocks)                                                                   \
    for (int m = 0; m < j->n_more; m++)                                                            \
        EACH_X                                                                                     \
    EACH_BLOCK(n_blocks)                                                                           \
    acc[i][b] += *(const lanes_u *)(j->more[m] + (i * n_blocks + b) * B);                          \
    EACH_X                                                                                         \
    EACH_BLOCK(n_blocks)                                                                           \
    *(lanes_u *)(sums + (i * n_blocks + b) * B) = acc[i][b];

#define OUTER(n_blocks, kind, element)                                                             \
    static void outer_##kind##_##n_blocks(const tq_outer_job *j, int first, float *sums)           \
    {                                                                                              \
        lanes acc[N_X][n_blocks], v[n_blocks];                                                     \
        EACH_X                                                                                     \
        EACH_BLOCK(n_blocks)                                                                       \
        acc[i][b] = (lanes){ 0 };                                                                  \
        for (int64_t s = 0; s < j->n_samples; s++)                                                 \
            for (int64_t r = 0; r < j->n_rows; r++) {                                              \
                const element *x = (const element *)j->x + s * j->x_sample + j->rows[r].x + first; \
                const element *y = (const element *)j->y + s * j->y_sample + j->rows[r].y;         \
                for (int64_t p = 0; p < j->rows[r].n; p++, x += j->x_step, y += B) {               \
                    EACH_BLOCK(n_blocks)                                                           \
                    v[b] = LOAD_##kind(y + b * j->y_block);                                        \
                    EACH_X                                                                         \
                    EACH_BLOCK(n_blocks)                                                           \
                    acc[i][b] += SCALAR_##kind(x[i]) * v[b];                                       \
                }                                                                                  \
            }                                                                                      \
        MEET_AND_STORE(n_blocks)                                                                   \
    }

#define RUN(kind, element)                                                                         \
    OUTER(1, kind, element)                                                                        \
    OUTER(2, kind, element)                                                                        \
    OUTER(3, kind, element)                                                                        \
    static void run_##kind(const tq_outer_job *job, int first, int n_blocks, float *sums)          \
    {                                                                                              \
        if (n_blocks == 3)                                                                         \
            outer_##kind##_3(job, first, sums);                                                    \
        else if (n_blocks == 2)                                                                    \
            outer_##kind##_2(job, first, sums);                                                    \
        else                                                                                       \
            outer_##kind##_1(job, first, sums);                                                    \
    }
RUN(f32, float)
#ifdef TQ_OUTER_HALF
#include TQ_OUTER_HALF
#else
static inline float scalar_of_half(uint16_t half)
{
    const union {
        uint32_t bits;
        float value;
    } word = { (uint32_t)half << 16 };
    return word.value;
}

RUN(half, uint16_t)
#endif

const tq_outer TQ_OUTER_SET = { .name = TQ_OUTER_NAME,
                                .needs = TQ_OUTER_NEEDS,
                                .block = B,
                                .n_x = N_X,
                                .run = run_f32,
                                .run_half = run_half };
