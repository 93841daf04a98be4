/* Gather (whole slices) and GatherElements (one element each) by index along an axis. Negative
 * indices count from the end; an index out of range is an error where it is known and takes the
 * nearest valid one where it is not. Source: ONNX Gather and GatherElements, opset 13. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, INDICES, DY };

static int64_t wrapped(int64_t index, int64_t n)
{
    return tq_clip_i64(index < 0 && index >= -n ? index + n : index, 0, n - 1);
}

/** Known indices lie in -n .. n-1. */
static tq_status check_indices(const tq_op_types *t, int64_t n)
{
    TQ_TRY(tq_op_need_dtype(t, INDICES, TQ_DTYPES_WIDE));
    const tq_tensor *known = t->in_known ? t->in_known[INDICES] : NULL;
    if (n == 0 && tq_type_count(t->in[INDICES]) != 0)
        return tq_fail(TQ_ERR_SHAPE, "data is %s: nothing to gather", tq_type_text(t->in[X]).s);
    if (!known || !known->data || n == TQ_DIM_ANY)
        return TQ_OK;
    for (int64_t i = 0; i < tq_tensor_count(known); i++) {
        const int64_t index = tq_load_i64(known->data, known->type.dtype, i);
        if (index != TQ_VALUE_ANY && (index < -n || index >= n))
            return tq_fail(TQ_ERR_VALUE, "index %lld is outside of an axis of %lld",
                           (long long)index, (long long)n);
    }
    return TQ_OK;
}

static tq_status gather_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X], *indices = t->in[INDICES];
    TQ_TRY(tq_op_need_dtype(t, INDICES, TQ_DTYPES_WIDE));
    if (x->rank < 0 || indices->rank < 0) {
        tq_infer_rank_only(t, -1);
        return TQ_OK;
    }
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    TQ_TRY(check_indices(t, x->dims[axis]));
    const int rank = x->rank - 1 + indices->rank;
    if (rank > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "output has %d dimensions; at most %d are", rank,
                       TQ_MAX_RANK);
    tq_type *out = &t->out[0];
    *out = (tq_type){ .dtype = x->dtype };
    for (int d = 0; d < axis; d++)
        out->dims[out->rank++] = x->dims[d];
    for (int d = 0; d < indices->rank; d++)
        out->dims[out->rank++] = indices->dims[d];
    for (int d = axis + 1; d < x->rank; d++)
        out->dims[out->rank++] = x->dims[d];
    return TQ_OK;
}

/** Calls for each gathered slice with its offsets in x and y (elements). */
typedef struct slices {
    int64_t n_outer, n_axis, n_inner, n_indices;
} slices;

static slices find_slices(const tq_op_run *run, const tq_type *x)
{
    int axis;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    return (slices){ tq_type_count_to(x, axis), x->dims[axis], tq_type_count_from(x, axis + 1),
                     tq_type_count(run->in_types[INDICES]) };
}

static int64_t index_at(const tq_op_run *run, int64_t i, int64_t n)
{
    return wrapped(tq_load_i64(run->in[INDICES], run->in_types[INDICES]->dtype, i), n);
}

static void gather_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const slices s = find_slices(run, x);
    const size_t part = (size_t)s.n_inner * tq_dtype_size(x->dtype);
    char *out = run->out[0];
    if (part == 0)
        return;
    for (int64_t o = 0; o < s.n_outer; o++)
        for (int64_t i = 0; i < s.n_indices; i++, out += part)
            memcpy(out,
                   (const char *)run->in[X] +
                       (size_t)(o * s.n_axis + index_at(run, i, s.n_axis)) * part,
                   part);
}

/** GatherGrad(x, indices, dy): dy added up at the indices, in order. */
static tq_status gather_gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "GatherGrad", tq_grad_input(g, X), tq_grad_input(g, INDICES),
                        tq_grad_of_output(g, 0));
}

static tq_status gather_grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_REAL));
    TQ_TRY(tq_check_forward(t, gather_infer, (const int[]){ X, INDICES }, 2, DY));
    return tq_op_infer_same(t);
}

static void gather_grad_reference(const tq_op_run *run)
{
    const tq_type *x = run->out_types[0];
    const slices s = find_slices(run, x);
    const size_t part = (size_t)s.n_inner * tq_dtype_size(x->dtype);
    memset(run->out[0], 0, (size_t)tq_type_count(x) * tq_dtype_size(x->dtype));
    const char *dy = run->in[DY];
    for (int64_t o = 0; o < s.n_outer; o++)
        for (int64_t i = 0; i < s.n_indices; i++, dy += part)
            tq_accumulate((char *)run->out[0] +
                              (size_t)(o * s.n_axis + index_at(run, i, s.n_axis)) * part,
                          dy, x->dtype, s.n_inner);
}

/* ---- GatherElements -------------------------------------------------------------------------- */

static tq_status elements_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X], *indices = t->in[INDICES];
    TQ_TRY(tq_op_need_dtype(t, INDICES, TQ_DTYPES_WIDE));
    t->out[0] = *indices;
    t->out[0].dtype = x->dtype;
    if (x->rank < 0 || indices->rank < 0)
        return TQ_OK;
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    bool fits = x->rank == indices->rank;
    for (int d = 0; fits && d < x->rank; d++)
        fits = d == axis || x->dims[d] == TQ_DIM_ANY || indices->dims[d] <= x->dims[d];
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "data is %s, indices %s; expected no axis longer but %d",
                       tq_type_text(x).s, tq_type_text(indices).s, axis);
    return check_indices(t, x->dims[axis]);
}

static void elements_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    const size_t size = tq_dtype_size(x->dtype);
    int axis;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    tq_type_strides(x, strides);
    for (int64_t i = 0; i < tq_type_count(y); i++) {
        int64_t from = index_at(run, i, x->dims[axis]) * strides[axis];
        for (int d = 0; d < y->rank; d++)
            from += d == axis ? 0 : at[d] * strides[d];
        memcpy((char *)run->out[0] + (size_t)i * size,
               (const char *)run->in[X] + (size_t)from * size, size);
        tq_index_next(y->rank, y->dims, at);
    }
}

const tq_op tq_op_gather = {
    .entry = { .name = "Gather", .brief = "slices by index along an axis" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "data", "indices" },
    .outputs = { "output" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT } },
    .infer = gather_infer,
    .reference = gather_reference,
    .gradient = gather_gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_gather_grad = {
    .entry = { .name = "GatherGrad", .brief = "dy added up at the gathered indices" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "indices", "dy" },
    .outputs = { "dx" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT } },
    .infer = gather_grad_infer,
    .reference = gather_grad_reference,
};

const tq_op tq_op_gather_elements = {
    .entry = { .name = "GatherElements", .brief = "elements by index along an axis" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "data", "indices" },
    .outputs = { "output" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT } },
    .infer = elements_infer,
    .reference = elements_reference,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};
