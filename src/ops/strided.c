/* The machinery of data movement operators: they work on bytes, so every dtype goes. */
#include "ops/strided_internal.h"

#include <truq/integerise.h>

#include <string.h>

#define COPY_AS(T)                                                                                 \
    for (int64_t i = 0; i < n; i++)                                                                \
    ((T *)out)[i * out_step] = ((const T *)in)[i * in_step]

static void copy_row(int64_t n, size_t size, char *out, int64_t out_step, const char *in,
                     int64_t in_step)
{
    if (out_step == 1 && in_step == 1) {
        memcpy(out, in, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1:
        COPY_AS(uint8_t);
        break;
    case 2:
        COPY_AS(uint16_t);
        break;
    case 4:
        COPY_AS(uint32_t);
        break;
    default:
        COPY_AS(uint64_t);
    }
}

typedef struct walk {
    int rank;
    int64_t dims[TQ_MAX_RANK + 1], out[TQ_MAX_RANK + 1], in[TQ_MAX_RANK + 1];
} walk;

/** Drops axes of size 1 and merges axes that both sides walk as one. */
static walk simplify(int rank, const int64_t *dims, const int64_t *out, const int64_t *in)
{
    walk w = { 0 };
    for (int d = 0; d < rank; d++) {
        if (dims[d] == 1)
            continue;
        const int last = w.rank - 1;
        if (w.rank > 0 && w.out[last] == out[d] * dims[d] && w.in[last] == in[d] * dims[d]) {
            w.dims[last] *= dims[d];
        } else {
            w.dims[w.rank++] = dims[d];
        }
        w.out[w.rank - 1] = out[d];
        w.in[w.rank - 1] = in[d];
    }
    if (w.rank == 0) {
        w.dims[w.rank] = w.out[w.rank] = w.in[w.rank] = 1;
        w.rank++;
    }
    return w;
}

void tq_copy_strided(int rank, const int64_t *dims, size_t size, void *out,
                     const int64_t *out_strides, const void *in, const int64_t *in_strides)
{
    for (int d = 0; d < rank; d++)
        if (dims[d] == 0)
            return;
    const walk w = simplify(rank, dims, out_strides, in_strides);
    const int inner = w.rank - 1;
    int64_t index[TQ_MAX_RANK + 1] = { 0 };
    do {
        int64_t out_at = 0, in_at = 0;
        for (int d = 0; d < inner; d++) {
            out_at += index[d] * w.out[d];
            in_at += index[d] * w.in[d];
        }
        copy_row(w.dims[inner], size, (char *)out + out_at * (int64_t)size, w.out[inner],
                 (const char *)in + in_at * (int64_t)size, w.in[inner]);
    } while (tq_index_next(inner, w.dims, index));
}

void tq_copy_input(const tq_op_run *run, int i)
{
    const tq_type *type = run->out_types[0];
    const size_t size = (size_t)tq_type_count(type) * tq_dtype_size(type->dtype);
    if (size && run->out[0] != run->in[i])
        memcpy(run->out[0], run->in[i], size);
}

void tq_accumulate(void *out, const void *in, tq_dtype dtype, int64_t n)
{
    if (dtype == TQ_F64) {
        for (int64_t i = 0; i < n; i++)
            ((double *)out)[i] += ((const double *)in)[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] += ((const float *)in)[i];
    }
}

void tq_infer_rank_only(tq_op_types *t, int rank)
{
    t->out[0] = (tq_type){ .dtype = t->in[0]->dtype, .rank = rank };
    for (int d = 0; d < rank; d++)
        t->out[0].dims[d] = TQ_DIM_ANY;
}

tq_status tq_axes_bits(const int64_t *values, int n, int rank, uint32_t *out_bits)
{
    *out_bits = 0;
    for (int i = 0; i < n; i++) {
        int axis;
        TQ_TRY(tq_op_axis(values[i], rank, &axis));
        if (*out_bits >> axis & 1)
            return tq_fail(TQ_ERR_VALUE, "axis %d is named twice", axis);
        *out_bits |= 1u << axis;
    }
    return TQ_OK;
}

tq_status tq_check_forward(const tq_op_types *t, tq_status (*infer)(tq_op_types *t),
                           const int *order, int n, int dy)
{
    const tq_type *in[TQ_OP_MAX_NAMES] = { 0 };
    const tq_tensor *known[TQ_OP_MAX_NAMES] = { 0 };
    for (int i = 0; i < n; i++) {
        const bool has = order[i] >= 0 && tq_op_has(t, order[i]);
        in[i] = has ? t->in[order[i]] : NULL;
        known[i] = has && t->in_known ? t->in_known[order[i]] : NULL;
    }
    tq_type y = { .dtype = TQ_NONE, .rank = -1 };
    tq_tensor y_known = { 0 };
    tq_op_types forward = *t;
    forward.n_in = n;
    forward.n_out = 1;
    forward.in = in;
    forward.in_known = known;
    forward.out = &y;
    forward.out_known = &y_known;
    TQ_TRY(infer(&forward));
    const tq_type *type = t->in[dy];
    bool fits = type->dtype == y.dtype && (type->rank == y.rank || type->rank < 0 || y.rank < 0);
    for (int d = 0; fits && d < type->rank && d < y.rank; d++)
        fits = tq_dim_fits(type->dims[d], y.dims[d]);
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "dy is %s; expected %s", tq_type_text(type).s,
                       tq_type_text(&y).s);
    return TQ_OK;
}

tq_status tq_grad_reshape(tq_grad *g)
{
    return tq_grad_emit_n(g, 0, "ReshapeLike", false,
                          (tq_value *const[]){ tq_grad_of_output(g, 0), tq_grad_input(g, 0) }, 2);
}

tq_status tq_grad_ints(tq_grad *g, int n, const int64_t *values, tq_value **out_value)
{
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ n });
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, &type, values));
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, out_value);
    tq_tensor_reset(&tensor);
    return status;
}

tq_status tq_bounds_keep(tq_bounds *b)
{
    int64_t lo, hi;
    tq_bounds_input(b, 0, &lo, &hi);
    for (int i = 0; i < tq_bounds_types(b)->n_out; i++)
        tq_bounds_set(b, i, lo, hi);
    return TQ_OK;
}

tq_status tq_bounds_union(tq_bounds *b)
{
    int64_t lo = INT64_MAX, hi = INT64_MIN, lo_i, hi_i;
    for (int i = 0; i < tq_bounds_types(b)->n_in; i++) {
        tq_bounds_input(b, i, &lo_i, &hi_i);
        lo = lo_i < lo ? lo_i : lo;
        hi = hi_i > hi ? hi_i : hi;
    }
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}
