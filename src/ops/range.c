/* Range: start, start + delta, ... as long as limit is not reached (ONNX Range-27). Its length is
 * max(0, ceil((limit - start) / delta)). Floats, i16, i32, i64; floats are start + i * delta in
 * double. */
#include "ops/ops.h"

#include <truq/integerise.h>

#include <math.h>

enum { START, LIMIT, DELTA };

static const int64_t most = INT64_C(1) << 40;

static tq_status too_long(void)
{
    return tq_fail(TQ_ERR_VALUE, "has no end: delta is 0, or there are too many steps");
}

static tq_status float_length(const double *v, int64_t *out)
{
    const double n = ceil((v[LIMIT] - v[START]) / v[DELTA]);
    if (v[DELTA] == 0 || !(n < (double)most))
        return too_long();
    *out = n > 0 ? (int64_t)n : 0;
    return TQ_OK;
}

static tq_status integer_length(const int64_t *v, int64_t *out)
{
    const __int128 way = (__int128)v[LIMIT] - v[START], delta = v[DELTA];
    if (delta == 0)
        return too_long();
    const __int128 n = way / delta + (way % delta != 0 && (way > 0) == (delta > 0));
    if (n > most)
        return too_long();
    *out = n > 0 ? (int64_t)n : 0;
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    int64_t integers[3];
    double reals[3];
    bool known = true;
    for (int i = START; i <= DELTA; i++) {
        TQ_TRY(tq_op_need_dtype(t, i,
                                i ? TQ_DTYPE_BIT(t->in[START]->dtype)
                                  : TQ_DTYPES_FLOAT | TQ_DTYPES_WIDE | TQ_DTYPE_BIT(TQ_I16)));
        if (t->in[i]->rank >= 0 && tq_type_count(t->in[i]) != 1)
            return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected one element", i,
                           tq_type_text(t->in[i]).s);
        const tq_tensor *value = t->in_known ? t->in_known[i] : NULL;
        known = known && value && value->data;
        if (!known)
            continue;
        integers[i] = tq_load_i64(value->data, value->type.dtype, 0);
        reals[i] = tq_load_f64(value->data, value->type.dtype, 0);
        known =
            integers[i] != TQ_VALUE_ANY || value->buffer || tq_dtype_is_float(value->type.dtype);
    }
    int64_t n = TQ_DIM_ANY;
    const tq_dtype dtype = t->in[START]->dtype;
    if (known)
        TQ_TRY(tq_dtype_is_float(dtype) ? float_length(reals, &n) : integer_length(integers, &n));
    t->out[0] = tq_type_make(dtype, 1, &n);
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_dtype dtype = run->out_types[0]->dtype;
    const bool real = tq_dtype_is_float(dtype);
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++) {
        if (real)
            tq_store_f64(run->out[0], dtype, i,
                         tq_load_f64(run->in[START], dtype, 0) +
                             (double)i * tq_load_f64(run->in[DELTA], dtype, 0));
        else
            tq_store_i64(run->out[0], dtype, i,
                         (int64_t)((uint64_t)tq_load_i64(run->in[START], dtype, 0) +
                                   (uint64_t)i * (uint64_t)tq_load_i64(run->in[DELTA], dtype, 0)));
    }
}

/** Between start and limit. */
static tq_status bounds(tq_bounds *b)
{
    int64_t start_lo, start_hi, limit_lo, limit_hi;
    tq_bounds_input(b, START, &start_lo, &start_hi);
    tq_bounds_input(b, LIMIT, &limit_lo, &limit_hi);
    tq_bounds_set(b, 0, start_lo < limit_lo ? start_lo : limit_lo,
                  start_hi > limit_hi ? start_hi : limit_hi);
    return TQ_OK;
}

const tq_op tq_op_range = {
    .entry = { .name = "Range", .brief = "numbers in equal steps", .source = "ONNX Range-27" },
    .flags = TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "start", "limit", "delta" },
    .outputs = { "output" },
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};
