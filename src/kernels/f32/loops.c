/* The loops for any CPU, the table of all sets, and how long arrays are cut. */
#define TQ_LOOPS_SET tq_loops_portable
#define TQ_LOOPS_NAME "reference"
#define TQ_LOOPS_NEEDS 0

extern const struct tq_loops tq_loops_portable, tq_loops_avx512, tq_loops_avx2;
#include "kernels/f32/loops_body.h"

const tq_loops *const tq_loops_variants[] = { &tq_loops_avx512, &tq_loops_avx2, &tq_loops_portable,
                                              NULL };

const tq_loops *tq_loops_best(void)
{
    int i = 0;
    while ((tq_loops_variants[i]->needs & tq_cpu_flags()) != tq_loops_variants[i]->needs)
        i++;
    return tq_loops_variants[i];
}

tq_status tq_loops_prepare(const tq_op_run *shapes, void **out_state)
{
    (void)shapes;
    *out_state = (void *)(uintptr_t)tq_loops_best();
    return TQ_OK;
}

enum { PIECE = 16384 };

typedef struct range_job {
    int64_t n;
    void (*piece)(void *context, int64_t begin, int64_t end);
    void *context;
} range_job;

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const range_job *j = context;
    const int64_t begin = i * PIECE;
    j->piece(j->context, begin, j->n - begin < PIECE ? j->n : begin + PIECE);
}

void tq_for_range(tq_pool *pool, int64_t n,
                  void (*piece)(void *context, int64_t begin, int64_t end), void *context)
{
    range_job j = { n, piece, context };
    tq_parallel_for(pool, (n + PIECE - 1) / PIECE, run_piece, &j);
}
