/* Sums of outer products of bf16 for outer_body.h, two pixels at once by AVX512-BF16. */
#include <string.h>

typedef int16_t pairs __attribute__((vector_size(64)));
typedef int16_t pairs_u __attribute__((vector_size(64), aligned(2), may_alias));
typedef float lanes_of_pairs __attribute__((vector_size(64)));

/** Channels of two pixels, one after the other, to pairs of one channel. */
static const pairs interleave = { 0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                  8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 };

/** Pixels p and p + 1, `step` elements apart; the second is 0 where there is none. */
static inline void load_pairs(const uint16_t *p, int64_t step, bool has_second, pairs *out)
{
    pairs v = { 0 };
    if (has_second && step == B) {
        v = *(const pairs_u *)p;
    } else {
        memcpy(&v, p, B * sizeof *p);
        if (has_second)
            memcpy((uint16_t *)&v + B, p + step, B * sizeof *p);
    }
    *out = __builtin_shuffle(v, interleave);
}

#define PAIRS(n_blocks)                                                                            \
    static void pairs_##n_blocks(const tq_outer_job *j, int first, float *sums)                    \
    {                                                                                              \
        lanes_of_pairs acc[N_X][n_blocks];                                                         \
        pairs v[n_blocks];                                                                         \
        EACH_X                                                                                     \
        EACH_BLOCK(n_blocks)                                                                       \
        acc[i][b] = (lanes_of_pairs){ 0 };                                                         \
        for (int64_t s = 0; s < j->n_samples; s++)                                                 \
            for (int64_t r = 0; r < j->n_rows; r++) {                                              \
                const uint16_t *x = (const uint16_t *)j->x + s * j->x_sample + j->rows[r].x;       \
                const uint16_t *y = (const uint16_t *)j->y + s * j->y_sample + j->rows[r].y;       \
                const int64_t n = j->rows[r].n;                                                    \
                for (int64_t p = 0; p < n; p += 2, x += 2 * j->x_step, y += 2 * B) {               \
                    int32_t of_x[B];                                                               \
                    pairs packed;                                                                  \
                    load_pairs(x, j->x_step, p + 1 < n, &packed);                                  \
                    memcpy(of_x, &packed, sizeof of_x);                                            \
                    EACH_BLOCK(n_blocks)                                                           \
                    load_pairs(y + b * j->y_block, B, p + 1 < n, &v[b]);                           \
                    EACH_X                                                                         \
                    {                                                                              \
                        const int32_t both = of_x[first + i];                                      \
                        const words spread = (words){ 0 } + (uint32_t)both;                        \
                        EACH_BLOCK(n_blocks)                                                       \
                        acc[i][b] = __builtin_ia32_dpbf16ps_v16sf(acc[i][b], (pairs)spread, v[b]); \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        MEET_AND_STORE(n_blocks)                                                                   \
    }
PAIRS(1)
PAIRS(2)
PAIRS(3)

static void run_half(const tq_outer_job *job, int first, int n_blocks, float *sums)
{
    if (n_blocks == 3)
        pairs_3(job, first, sums);
    else if (n_blocks == 2)
        pairs_2(job, first, sums);
    else
        pairs_1(job, first, sums);
}
