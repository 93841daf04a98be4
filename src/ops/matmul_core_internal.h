/* Matrix products: batches of c [m, n] = a [m, k] b [k, n], any strides. */
#ifndef TQ_OPS_MATMUL_CORE_INTERNAL_H
#define TQ_OPS_MATMUL_CORE_INTERNAL_H

#include "ops/codes_internal.h"

typedef struct tq_matmul {
    int64_t m, k, n;
    int64_t a_row, a_column, b_row, b_column; /* strides in elements; c is dense */
    int batch_rank;
    int64_t batch[TQ_MAX_RANK];
    int64_t a_batch[TQ_MAX_RANK], b_batch[TQ_MAX_RANK]; /* strides, 0 where broadcast */
} tq_matmul;

/** numpy.matmul: batches broadcast, a one-axis operand is a row (a) or a column (b) whose axis is
 *  dropped from the result. Unknown dims give a type with unknown dims (and a product that cannot
 * run). `out_type` gets the shape; its dtype is that of a. */
tq_status tq_matmul_read(const tq_type *a, const tq_type *b, tq_matmul *out_product,
                         tq_type *out_type);
/** As above when the types were checked before. */
tq_matmul tq_matmul_of(const tq_type *a, const tq_type *b);

int64_t tq_matmul_n_batches(const tq_matmul *p);
/** First element of a and of b in batch number `i`. */
void tq_matmul_batch_at(const tq_matmul *p, int64_t i, int64_t *out_a, int64_t *out_b);
int64_t tq_matmul_macs(const tq_matmul *p);

/** Sums in the dtype itself (f32 or f64; f16 and bf16 in double), in order of k. */
void tq_matmul_real(const tq_op_run *run, const tq_matmul *p, tq_dtype dtype, const void *a,
                    const void *b, void *c);

/** c = (a - a_zero[m]) (b - b_zero[n]) modulo 2^32 (c i32) or 2^64 (c i64). Zero points: n_* is 0
 * (none), 1, or one per row of a and column of b; they have their operand's dtype. */
typedef struct tq_matmul_integer {
    const tq_matmul *product;
    const void *a, *b, *a_zero, *b_zero;
    tq_dtype a_dtype, b_dtype, c_dtype;
    int64_t n_a_zero, n_b_zero;
    void *c;
} tq_matmul_integer;
void tq_matmul_integer_run(const tq_op_run *run, const tq_matmul_integer *arrays);

/** Bounds of a product; b known and two-dimensional ([k, n] with the strides of `p`) gives the
 * exact column sums. zero points as in tq_weight_rows; the ranges have theirs taken off already. */
tq_sum_bounds tq_matmul_bounds(const tq_matmul *p, tq_interval a, const tq_tensor *b,
                               const int64_t *b_zero_points, int64_t n_b_zero_points,
                               tq_interval b_range);

/** The integer rule of MatMul and Gemm. Attributes of Gemm; those of MatMul are neutral. */
typedef struct tq_linear_rule {
    bool a_transposed;  /* a is [k, m] */
    bool transposed;    /* b is [n, k] */
    double alpha, beta; /* of the product and of the bias */
    int bias;           /* input with the bias; -1: none */
} tq_linear_rule;
tq_status tq_linear_integerise(tq_integerise *t, const tq_linear_rule *rule);

#endif
