/* Gemm and MatMul by oneDNN's sgemm: rows of the result are cut into fixed pieces, each computed by
 * one thread over the whole inner dimension, so the number of threads cannot change a bit. */
#include "kernels/f32/dnnl_internal.h"

#include <string.h>

enum { MAX_PIECES = 16, MIN_ROWS = 8 };

/* One product y[m,n] (+)= alpha * op(a) * op(b), and how its rows are cut. */
typedef struct product {
    int64_t m, n, k, lda, ldb, n_pieces;
    bool transpose_a, transpose_b;
    float alpha, beta;
} product;

typedef struct job {
    product p;
    const float *a, *b;
    float *y;
    int64_t rank, out_dims[TQ_MAX_RANK], stride_a[TQ_MAX_RANK],
        stride_b[TQ_MAX_RANK]; /* batch axes */
} job;

static int64_t count_pieces(int64_t m)
{
    return tq_clip_i64(m / MIN_ROWS, 1, MAX_PIECES);
}

/** Offsets of the batch-th matrices of a and b. */
static void find_matrices(const job *j, int64_t batch, int64_t *out_a, int64_t *out_b)
{
    *out_a = *out_b = 0;
    for (int64_t d = j->rank; d-- > 0; batch /= j->out_dims[d]) {
        *out_a += batch % j->out_dims[d] * j->stride_a[d];
        *out_b += batch % j->out_dims[d] * j->stride_b[d];
    }
}

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const product *p = &j->p;
    int64_t begin, end, a, b;
    tq_shard_range(p->m, p->n_pieces, i % p->n_pieces, &begin, &end);
    const int64_t batch = i / p->n_pieces;
    find_matrices(j, batch, &a, &b);
    const int threads = tq_dnnl_single_thread();
    const dnnl_status_t status =
        dnnl_sgemm(p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', end - begin, p->n, p->k,
                   p->alpha, j->a + a + (p->transpose_a ? begin : begin * p->lda), p->lda, j->b + b,
                   p->ldb, p->beta, j->y + (batch * p->m + begin) * p->n, p->n);
    tq_dnnl_restore_threads(threads);
    TQ_ASSERT(status == dnnl_success);
}

/* ---- Gemm: y = alpha op(a) op(b) + beta c ------------------------------------------------- */

static bool are_f32(const tq_op_run *run)
{
    for (int i = 0; i < run->n_in; i++)
        if (run->in_types[i] &&
            (run->in_types[i]->dtype != TQ_F32 || tq_type_count(run->in_types[i]) == 0))
            return false;
    return tq_type_count(run->out_types[0]) > 0;
}

static tq_status prepare(const tq_op_run *run, void **out_state)
{
    (void)run;
    *out_state = NULL;
    tq_dnnl_limit_level();
    return TQ_OK;
}

static bool accepts_gemm(const tq_op_run *run)
{
    return are_f32(run);
}

/** y = c, broadcast to [m, n]. */
static void spread(const float *c, const tq_type *type, float *y, int64_t m, int64_t n)
{
    const int64_t columns = type->rank > 0 ? type->dims[type->rank - 1] : 1;
    const int64_t rows = type->rank > 1 ? type->dims[0] : 1;
    for (int64_t i = 0; i < m; i++) {
        const float *row = c + (rows > 1 ? i * columns : 0);
        if (columns == n)
            memcpy(y + i * n, row, (size_t)n * sizeof *y);
        else
            for (int64_t k = 0; k < n; k++)
                y[i * n + k] = row[0];
    }
}

static void run_gemm(const tq_op_run *run, void *state)
{
    (void)state;
    const tq_type *a = run->in_types[0], *b = run->in_types[1], *y = run->out_types[0];
    const bool ta = tq_attr_int(run->attrs, "transA"), tb = tq_attr_int(run->attrs, "transB");
    job j = { .a = run->in[0], .b = run->in[1], .y = run->out[0] };
    j.p = (product){ .m = y->dims[0],
                     .n = y->dims[1],
                     .k = a->dims[ta ? 0 : 1],
                     .lda = a->dims[1],
                     .ldb = b->dims[1],
                     .n_pieces = count_pieces(y->dims[0]),
                     .transpose_a = ta,
                     .transpose_b = tb,
                     .alpha = tq_attr_float(run->attrs, "alpha") };
    if (run->n_in > 2 && run->in[2]) {
        spread(run->in[2], run->in_types[2], run->out[0], j.p.m, j.p.n);
        j.p.beta = tq_attr_float(run->attrs, "beta");
    }
    tq_parallel_for(run->pool, j.p.n_pieces, run_piece, &j);
}

/* ---- MatMul ----------------------------------------------------------------------------- */

static bool accepts_matmul(const tq_op_run *run)
{
    return are_f32(run) && run->in_types[0]->rank >= 2 && run->in_types[1]->rank >= 2;
}

/** Strides over the batch axes of the output; 0 where `type` is broadcast. */
static void batch_strides(const tq_type *type, int rank, const int64_t *out_dims,
                          int64_t *out_strides)
{
    int64_t stride = type->dims[type->rank - 1] * type->dims[type->rank - 2];
    for (int d = rank - 1, k = type->rank - 3; d >= 0; d--, k--) {
        const int64_t size = k >= 0 ? type->dims[k] : 1;
        out_strides[d] = size == out_dims[d] && size > 1 ? stride : 0;
        stride *= size;
    }
}

static void run_matmul(const tq_op_run *run, void *state)
{
    (void)state;
    const tq_type *a = run->in_types[0], *b = run->in_types[1], *y = run->out_types[0];
    job j = { .a = run->in[0], .b = run->in[1], .y = run->out[0], .rank = y->rank - 2 };
    j.p = (product){ .m = y->dims[y->rank - 2],
                     .n = y->dims[y->rank - 1],
                     .k = a->dims[a->rank - 1],
                     .lda = a->dims[a->rank - 1],
                     .ldb = b->dims[b->rank - 1],
                     .alpha = 1.0f };
    j.p.n_pieces = count_pieces(j.p.m);
    memcpy(j.out_dims, y->dims, sizeof j.out_dims);
    batch_strides(a, y->rank - 2, y->dims, j.stride_a);
    batch_strides(b, y->rank - 2, y->dims, j.stride_b);
    tq_parallel_for(run->pool, j.p.n_pieces * tq_type_count_to(y, y->rank - 2), run_piece, &j);
}

const tq_kernel tq_kernel_f32_gemm = {
    .entry = { .name = "Gemm", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_gemm,
    .prepare = prepare,
    .run = run_gemm,
};

const tq_kernel tq_kernel_f32_matmul = {
    .entry = { .name = "MatMul", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_matmul,
    .prepare = prepare,
    .run = run_matmul,
};
