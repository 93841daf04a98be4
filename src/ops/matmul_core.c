/* The loops of matrix products. c is built row by row: for each k the row of b, times one element
 * of a, is added to the row of c; where b's columns are not adjacent the same sums are formed one
 * by one, in the same order of k, so that the result does not depend on the layout. */
#include "ops/matmul_core_internal.h"

/* ---- shapes ------------------------------------------------------------------------------- */

/** Batch axes of a and b (all but the last two), broadcast. */
static tq_status read_batches(const tq_type *a, const tq_type *b, tq_matmul *p, tq_type *batch)
{
    tq_type a_batch = *a, b_batch = *b;
    a_batch.rank = a->rank > 2 ? a->rank - 2 : 0;
    b_batch.rank = b->rank > 2 ? b->rank - 2 : 0;
    TQ_TRY(tq_type_broadcast(&a_batch, &b_batch, batch));
    p->batch_rank = batch->rank;
    int64_t a_strides[TQ_MAX_RANK], b_strides[TQ_MAX_RANK];
    tq_broadcast_strides(&a_batch, batch, a_strides);
    tq_broadcast_strides(&b_batch, batch, b_strides);
    for (int d = 0; d < batch->rank; d++) {
        p->batch[d] = batch->dims[d];
        p->a_batch[d] = a_strides[d] ? tq_dim_mul(a_strides[d], tq_dim_mul(p->m, p->k)) : 0;
        p->b_batch[d] = b_strides[d] ? tq_dim_mul(b_strides[d], tq_dim_mul(p->k, p->n)) : 0;
    }
    return TQ_OK;
}

tq_status tq_matmul_read(const tq_type *a, const tq_type *b, tq_matmul *out_product,
                         tq_type *out_type)
{
    if (a->rank < 1 || b->rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "operands are %s and %s; expected at least one axis each",
                       tq_type_text(a).s, tq_type_text(b).s);
    const int64_t a_k = a->dims[a->rank - 1], b_k = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (!tq_dim_fits(a_k, b_k))
        return tq_fail(TQ_ERR_SHAPE, "cannot multiply %s by %s: inner sizes are %lld and %lld",
                       tq_type_text(a).s, tq_type_text(b).s, (long long)a_k, (long long)b_k);
    tq_matmul p = {
        .m = a->rank > 1 ? a->dims[a->rank - 2] : 1,
        .k = tq_dim_known(a_k, b_k),
        .n = b->rank > 1 ? b->dims[b->rank - 1] : 1,
    };
    p.a_row = p.k;
    p.a_column = p.b_column = 1;
    p.b_row = p.n;
    tq_type type;
    TQ_TRY(read_batches(a, b, &p, &type));
    type.dtype = a->dtype;
    if (a->rank > 1)
        type.dims[type.rank++] = p.m;
    if (b->rank > 1)
        type.dims[type.rank++] = p.n;
    *out_product = p;
    *out_type = type;
    return TQ_OK;
}

tq_matmul tq_matmul_of(const tq_type *a, const tq_type *b)
{
    tq_matmul p;
    tq_type type;
    const tq_status status = tq_matmul_read(a, b, &p, &type);
    TQ_ASSERT(!status);
    return p;
}

int64_t tq_matmul_n_batches(const tq_matmul *p)
{
    int64_t n = 1;
    for (int d = 0; d < p->batch_rank; d++)
        n = tq_dim_mul(n, p->batch[d]);
    return n;
}

void tq_matmul_batch_at(const tq_matmul *p, int64_t i, int64_t *out_a, int64_t *out_b)
{
    *out_a = *out_b = 0;
    for (int d = p->batch_rank - 1; d >= 0; d--) {
        const int64_t index = i % p->batch[d];
        i /= p->batch[d];
        *out_a += index * p->a_batch[d];
        *out_b += index * p->b_batch[d];
    }
}

int64_t tq_matmul_macs(const tq_matmul *p)
{
    return tq_dim_mul(tq_dim_mul(p->m, p->k), tq_dim_mul(p->n, tq_matmul_n_batches(p)));
}

/* ---- real numbers ------------------------------------------------------------------------ */

typedef struct real_job {
    const tq_matmul *p;
    tq_dtype dtype;
    const void *a, *b;
    void *c;
} real_job;

static void row_f32(const tq_matmul *p, const float *a, const float *b, float *c)
{
    for (int64_t n = 0; n < p->n; n++)
        c[n] = 0.0f;
    if (p->b_column == 1) {
        for (int64_t k = 0; k < p->k; k++) {
            const float value = a[k * p->a_column], *row = b + k * p->b_row;
            for (int64_t n = 0; n < p->n; n++)
                c[n] += value * row[n];
        }
        return;
    }
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t k = 0; k < p->k; k++)
            c[n] += a[k * p->a_column] * b[k * p->b_row + n * p->b_column];
}

static void row_f64(const tq_matmul *p, const double *a, const double *b, double *c)
{
    for (int64_t n = 0; n < p->n; n++) {
        double sum = 0.0;
        for (int64_t k = 0; k < p->k; k++)
            sum += a[k * p->a_column] * b[k * p->b_row + n * p->b_column];
        c[n] = sum;
    }
}

/** f16 and bf16: summed in double and rounded once. */
static void row_half(const tq_matmul *p, tq_dtype dtype, const uint16_t *a, const uint16_t *b,
                     uint16_t *c)
{
    for (int64_t n = 0; n < p->n; n++) {
        double sum = 0.0;
        for (int64_t k = 0; k < p->k; k++)
            sum += tq_load_f64(a, dtype, k * p->a_column) *
                   tq_load_f64(b, dtype, k * p->b_row + n * p->b_column);
        tq_store_f64(c, dtype, n, sum);
    }
}

/** Rows begin .. end-1 of all batches. */
static void real_rows(void *context, int64_t begin, int64_t end)
{
    const real_job *j = context;
    const tq_matmul *p = j->p;
    for (int64_t row = begin; row < end; row++) {
        int64_t a, b;
        tq_matmul_batch_at(p, row / p->m, &a, &b);
        a += row % p->m * p->a_row;
        if (j->dtype == TQ_F32)
            row_f32(p, (const float *)j->a + a, (const float *)j->b + b,
                    (float *)j->c + row * p->n);
        else if (j->dtype == TQ_F64)
            row_f64(p, (const double *)j->a + a, (const double *)j->b + b,
                    (double *)j->c + row * p->n);
        else
            row_half(p, j->dtype, (const uint16_t *)j->a + a, (const uint16_t *)j->b + b,
                     (uint16_t *)j->c + row * p->n);
    }
}

void tq_matmul_real(const tq_op_run *run, const tq_matmul *p, tq_dtype dtype, const void *a,
                    const void *b, void *c)
{
    real_job job = { p, dtype, a, b, c };
    tq_run_for(run, tq_matmul_n_batches(p) * p->m, 1, real_rows, &job);
}

/* ---- integers ------------------------------------------------------------------------------ */

/** c[n] += a * b[n], b a row of adjacent elements from `b_at`. */
static void add_row32(const tq_matmul_integer *j, uint32_t a, int64_t b_at, uint32_t *c)
{
    const int64_t n = j->product->n;
    const uint8_t *u8 = (const uint8_t *)j->b + b_at;
    const int8_t *i8 = (const int8_t *)j->b + b_at;
    const uint32_t *i32 = (const uint32_t *)j->b + b_at;
    if (j->b_dtype == TQ_U8)
        for (int64_t i = 0; i < n; i++)
            c[i] += a * u8[i];
    else if (j->b_dtype == TQ_I8)
        for (int64_t i = 0; i < n; i++)
            c[i] += a * (uint32_t)i8[i];
    else
        for (int64_t i = 0; i < n; i++)
            c[i] += a * i32[i];
}

static void subtract_zero_points(const tq_matmul_integer *j, uint64_t a, void *c)
{
    for (int64_t i = 0; i < j->product->n; i++) {
        const uint64_t zero = (uint64_t)tq_load_i64(j->b_zero, j->b_dtype, j->n_b_zero > 1 ? i : 0);
        if (j->c_dtype == TQ_I32)
            ((uint32_t *)c)[i] -= (uint32_t)a * (uint32_t)zero;
        else
            ((uint64_t *)c)[i] -= a * zero;
    }
}

static void add_row64(const tq_matmul_integer *j, uint64_t a, int64_t b_at, uint64_t *c)
{
    const tq_matmul *p = j->product;
    for (int64_t i = 0; i < p->n; i++)
        c[i] += a * (uint64_t)tq_load_i64(j->b, j->b_dtype, b_at + i * p->b_column);
}

static void integer_row(const tq_matmul_integer *j, int64_t row)
{
    const tq_matmul *p = j->product;
    int64_t a_at, b_at;
    tq_matmul_batch_at(p, row / p->m, &a_at, &b_at);
    a_at += row % p->m * p->a_row;
    const bool narrow = j->c_dtype == TQ_I32;
    uint32_t *c32 = (uint32_t *)j->c + row * p->n;
    uint64_t *c64 = (uint64_t *)j->c + row * p->n;
    const int64_t a_zero =
        j->n_a_zero ? tq_load_i64(j->a_zero, j->a_dtype, j->n_a_zero > 1 ? row % p->m : 0) : 0;
    for (int64_t i = 0; i < p->n; i++)
        tq_store_i64(j->c, j->c_dtype, row * p->n + i, 0);
    for (int64_t k = 0; k < p->k; k++) {
        const int64_t a = tq_load_i64(j->a, j->a_dtype, a_at + k * p->a_column) - a_zero;
        if (narrow && p->b_column == 1)
            add_row32(j, (uint32_t)a, b_at + k * p->b_row, c32);
        else if (narrow)
            for (int64_t i = 0; i < p->n; i++)
                c32[i] +=
                    (uint32_t)a *
                    (uint32_t)tq_load_i64(j->b, j->b_dtype, b_at + k * p->b_row + i * p->b_column);
        else
            add_row64(j, (uint64_t)a, b_at + k * p->b_row, c64);
        if (j->n_b_zero)
            subtract_zero_points(j, (uint64_t)a, narrow ? (void *)c32 : (void *)c64);
    }
}

static void integer_rows(void *context, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++)
        integer_row(context, row);
}

void tq_matmul_integer_run(const tq_op_run *run, const tq_matmul_integer *arrays)
{
    const tq_matmul *p = arrays->product;
    tq_run_for(run, tq_matmul_n_batches(p) * p->m, 1, integer_rows, (void *)arrays);
}

tq_sum_bounds tq_matmul_bounds(const tq_matmul *p, tq_interval a, const tq_tensor *b,
                               const int64_t *b_zero_points, int64_t n_b_zero_points,
                               tq_interval b_range)
{
    if (b && b->type.rank <= 2)
        return tq_weight_rows_bounds(&(tq_weight_rows){ .w = b,
                                                        .n_rows = p->n,
                                                        .n_columns = p->k,
                                                        .row_stride = p->b_column,
                                                        .column_stride = p->b_row,
                                                        .zero_points = b_zero_points,
                                                        .n_zero_points = n_b_zero_points },
                                     a);
    tq_sum_bounds sum = { 0 };
    tq_sum_bounds_add_n(&sum, a, b_range, p->k == TQ_DIM_ANY ? INT32_MAX : p->k);
    return sum;
}
