/* Gemm of rows and a weight by loops whose rows do not depend on each other: a part of a network,
 * or of a batch, gives what the whole gives. Many rows are left to oneDNN. */
#include "kernels/f32/linear_internal.h"

extern const struct tq_linear_set tq_linear_avx512, tq_linear_avx2;

const tq_linear_set *const tq_linear_variants[] = { &tq_linear_avx512, &tq_linear_avx2, NULL };

const tq_linear_set *tq_linear_best(void)
{
    for (int i = 0; tq_linear_variants[i]; i++)
        if ((tq_linear_variants[i]->needs & tq_cpu_flags()) == tq_linear_variants[i]->needs)
            return tq_linear_variants[i];
    return NULL;
}

enum { X, W, BIAS };
enum { PIECE = 64 /* columns */, MOST_ROWS = 4096 };

bool tq_linear_is(const tq_op_run *gemm, bool transposed)
{
    const tq_type *x = gemm->in_types[X], *y = gemm->out_types[0];
    const tq_type *c = gemm->n_in > BIAS ? gemm->in_types[BIAS] : NULL;
    return tq_linear_best() && x->dtype == TQ_F32 && tq_type_count(x) > 0 && tq_type_count(y) > 0 &&
           (tq_attr_int(gemm->attrs, "transA") != 0) == transposed &&
           tq_attr_float(gemm->attrs, "alpha") == 1.0f &&
           tq_attr_float(gemm->attrs, "beta") == 1.0f &&
           (!c || (c->rank == 1 && c->dims[0] == y->dims[1]));
}

typedef struct job {
    const tq_linear *all;
    void (*run)(const tq_linear *l);
} job;

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    tq_linear piece = *j->all;
    piece.begin = i * PIECE;
    piece.end = piece.begin + PIECE < piece.n_out ? piece.begin + PIECE : piece.n_out;
    j->run(&piece);
}

void tq_linear_run(const tq_linear *l, bool transposed, tq_pool *pool)
{
    const tq_linear_set *set = tq_linear_best();
    job j = { l, transposed ? set->dot : set->combine };
    tq_parallel_for(pool, (l->n_out + PIECE - 1) / PIECE, run_piece, &j);
}

static bool accepts(const tq_op_run *run)
{
    return tq_linear_is(run, false) && run->in_types[X]->dims[0] <= MOST_ROWS;
}

static void run_gemm(const tq_op_run *run, void *state)
{
    (void)state;
    const tq_linear l = { .x = run->in[X],
                          .w = run->in[W],
                          .bias = run->n_in > BIAS ? run->in[BIAS] : NULL,
                          .y = run->out[0],
                          .n_rows = run->in_types[X]->dims[0],
                          .n_in = run->in_types[X]->dims[1],
                          .n_out = run->out_types[0]->dims[1] };
    tq_linear_run(&l, tq_attr_int(run->attrs, "transB") != 0, run->pool);
}

const tq_kernel tq_kernel_f32_linear = {
    .entry = { .name = "Gemm", .brief = "f32 rows" },
    .accepts = accepts,
    .run = run_gemm,
};
