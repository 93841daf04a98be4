/* Trilu (ONNX Trilu-14): the upper triangle of each matrix (elements with column - row >= k) or the
 * lower one (column - row <= k), zeros elsewhere; and CumSum (ONNX CumSum-14): running sums along
 * an axis, `exclusive` of the element itself, `reverse` from the end. */
#include "ops/ops.h"

#include <string.h>

enum { X, ARGUMENT };

static tq_status check_argument(const tq_op_types *t)
{
    if (!tq_op_has(t, ARGUMENT))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, ARGUMENT, TQ_DTYPES_WIDE));
    if (t->in[ARGUMENT]->rank >= 0 && tq_type_count(t->in[ARGUMENT]) != 1)
        return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected one element", ARGUMENT,
                       tq_type_text(t->in[ARGUMENT]).s);
    return TQ_OK;
}

static int64_t argument(const tq_op_run *run)
{
    return tq_run_has(run, ARGUMENT)
               ? tq_load_i64(run->in[ARGUMENT], run->in_types[ARGUMENT]->dtype, 0)
               : 0;
}

static tq_status trilu_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_rank(t, X, 2, TQ_MAX_RANK));
    TQ_TRY(check_argument(t));
    return tq_op_infer_same(t);
}

static void trilu_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const bool upper = tq_attr_int(run->attrs, "upper") != 0;
    const size_t size = tq_dtype_size(x->dtype);
    const int64_t n_rows = x->dims[x->rank - 2], n_columns = x->dims[x->rank - 1];
    const int64_t k = tq_clip_i64(argument(run), -n_rows, n_columns);
    for (int64_t i = 0; i < tq_type_count(x); i++) {
        const int64_t above = i % n_columns - i / n_columns % n_rows;
        char *y = (char *)run->out[0] + (size_t)i * size;
        if (upper ? above >= k : above <= k)
            memcpy(y, (const char *)run->in[X] + (size_t)i * size, size);
        else
            memset(y, 0, size);
    }
}

static tq_status cum_sum_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_REAL | TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    TQ_TRY(check_argument(t));
    int64_t axis[1];
    int n, known;
    TQ_TRY(tq_op_known_ints(t, ARGUMENT, 1, axis, &n));
    if (n == 1 && axis[0] != TQ_VALUE_ANY)
        TQ_TRY(tq_op_axis(axis[0], t->in[X]->rank, &known));
    return tq_op_infer_same(t);
}

/** One running sum: n elements from `first`, `step` apart. */
static void run_sum(const tq_op_run *run, int64_t first, int64_t step, int64_t n)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const bool exclusive = tq_attr_int(run->attrs, "exclusive") != 0;
    double real = 0.0;
    uint64_t integer = 0;
    for (int64_t i = 0, at = first; i < n; i++, at += step) {
        const double x = tq_load_f64(run->in[X], dtype, at);
        const uint64_t q = (uint64_t)tq_load_i64(run->in[X], dtype, at);
        if (tq_dtype_is_float(dtype))
            tq_store_f64(run->out[0], dtype, at, exclusive ? real : real + x);
        else
            tq_store_i64(run->out[0], dtype, at, (int64_t)(exclusive ? integer : integer + q));
        real += x;
        integer += q;
    }
}

static void cum_sum_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const bool reverse = tq_attr_int(run->attrs, "reverse") != 0;
    const int64_t given = argument(run);
    const int axis = (int)tq_clip_i64(given < 0 ? given + x->rank : given, 0, x->rank - 1);
    const int64_t n = x->dims[axis], step = tq_type_count_from(x, axis + 1);
    if (n == 0)
        return;
    for (int64_t row = 0; row < tq_type_count_to(x, axis) * step; row++) {
        const int64_t first = row / step * n * step + row % step;
        run_sum(run, reverse ? first + (n - 1) * step : first, reverse ? -step : step, n);
    }
}

const tq_op tq_op_trilu = {
    .entry = { .name = "Trilu",
               .brief = "upper or lower triangle of matrices",
               .source = "ONNX Trilu-14" },
    .inputs = { "x", "?k" },
    .outputs = { "y" },
    .attrs = { TQ_INT("upper", 1) },
    .infer = trilu_infer,
    .reference = trilu_reference,
};

const tq_op tq_op_cum_sum = {
    .entry = { .name = "CumSum",
               .brief = "running sums along an axis",
               .source = "ONNX CumSum-14" },
    .inputs = { "x", "axis" },
    .outputs = { "y" },
    .attrs = { TQ_INT("exclusive", 0), TQ_INT("reverse", 0) },
    .infer = cum_sum_infer,
    .reference = cum_sum_reference,
};
