/* Products of a few rows and a matrix. A row of the result does not depend on the rows beside it:
 * each element is summed in an order of its own, so ranks may share the rows. */
#ifndef TQ_KERNELS_F32_LINEAR_INTERNAL_H
#define TQ_KERNELS_F32_LINEAR_INTERNAL_H

#include "kernels/kernels.h"

/** x [n_rows, n_in], w, y [n_rows, n_out], and a piece of y: columns begin .. end - 1. */
typedef struct tq_linear {
    const float *x, *w, *bias; /* bias [n_out] or NULL */
    float *y;
    int64_t n_rows, n_in, n_out, begin, end;
} tq_linear;

/** Rows begin .. end - 1 of a [.., n_a] and b [.., n_b], and a piece of their outer products: n
 *  columns of a from `first`, n_columns of b from `column`. */
typedef struct tq_linear_outer {
    const float *a, *b;
    int64_t n_a, n_b, begin, end;
    int64_t first, column, n_columns;
    int n; /* TQ_LINEAR_COLUMNS at most */
} tq_linear_outer;

enum { TQ_LINEAR_COLUMNS = 4 };

typedef struct tq_linear_set {
    const char *name;
    unsigned needs;
    /** y = x w^T + bias, w [n_out, n_in]. */
    void (*dot)(const tq_linear *l);
    /** y = x w + bias, w [n_in, n_out]. */
    void (*combine)(const tq_linear *l);
    /** sums[i][c] = sum over rows r of a[r][first + i] b[r][column + c]; [n][n_columns]. */
    void (*outer)(const tq_linear_outer *l, float *sums);
} tq_linear_set;

/** Is this Gemm y = x w + bias with alpha = beta = 1, bias [n_out] or none? `transposed`: of x. */
bool tq_linear_is(const tq_op_run *gemm, bool transposed);
/** The product of all rows and columns; transposed: w is [n_out, n_in]. */
void tq_linear_run(const tq_linear *l, bool transposed, tq_pool *pool);

extern const tq_linear_set *const tq_linear_variants[];
/** The first that this CPU has; NULL: none. */
const tq_linear_set *tq_linear_best(void);

#endif
