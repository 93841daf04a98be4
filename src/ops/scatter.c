/* Writing into a copy of data (ONNX ScatterND-18, ScatterElements-18), and reading the other way
 * round (GatherND-13):
 *
 *   ScatterND        y[indices[i, :]] = updates[i]           whole slices
 *   ScatterElements  y[.., indices[i], ..] = updates[i]      one element along `axis`
 *   GatherND         y[i] = data[indices[i, :]]              behind batch_dims common axes
 *
 * in order of i; reduction add, mul, max or min joins instead of writing. Negative indices count
 * from the end; one out of range takes the nearest valid one. */
#include "ops/strided_internal.h"

#include <string.h>

enum { DATA, INDICES, UPDATES };
enum { WRITE, ADD, MULTIPLY, MAXIMUM, MINIMUM };
static const char *const reductions[] = { "none", "add", "mul", "max", "min" };

static int reduction_of(const tq_attrs *attrs)
{
    const char *name = tq_attr_string(attrs, "reduction");
    for (int i = 0; i < TQ_COUNT(reductions); i++)
        if (strcmp(reductions[i], name) == 0)
            return i;
    return -1;
}

static tq_status check(const tq_op_types *t, bool updates)
{
    TQ_TRY(tq_op_need_dtype(t, INDICES, TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_rank(t, DATA, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_rank(t, INDICES, 1, TQ_MAX_RANK));
    if (!updates)
        return TQ_OK;
    const int reduction = reduction_of(t->attrs);
    if (reduction < 0)
        return tq_fail(TQ_ERR_VALUE, "reduction is '%s'; expected none, add, mul, max or min",
                       tq_attr_string(t->attrs, "reduction"));
    if (reduction != WRITE)
        TQ_TRY(tq_op_need_dtype(t, DATA, TQ_DTYPES_REAL | TQ_DTYPES_WIDE | TQ_DTYPES_CODES));
    TQ_TRY(tq_op_need_rank(t, UPDATES, 0, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_dtype(t, UPDATES, TQ_DTYPE_BIT(t->in[DATA]->dtype)));
    return tq_op_infer_same((tq_op_types *)t);
}

static int64_t wrapped(const tq_op_run *run, int64_t i, int64_t n)
{
    const int64_t index = tq_load_i64(run->in[INDICES], run->in_types[INDICES]->dtype, i);
    return tq_clip_i64(index < 0 && index >= -n ? index + n : index, 0, n - 1);
}

/** Element `from` of the updates goes to element `to` of y. */
static void join(const tq_op_run *run, int reduction, int64_t to, int64_t from)
{
    const tq_dtype dtype = run->out_types[0]->dtype;
    const size_t size = tq_dtype_size(dtype);
    const char *update = (const char *)run->in[UPDATES] + (size_t)from * size;
    char *y = (char *)run->out[0] + (size_t)to * size;
    const double a = tq_load_f64(y, dtype, 0), b = tq_load_f64(update, dtype, 0);
    if (reduction == WRITE || (reduction == MAXIMUM && b > a) || (reduction == MINIMUM && b < a)) {
        memcpy(y, update, size);
    } else if (reduction == ADD || reduction == MULTIPLY) {
        const uint64_t p = (uint64_t)tq_load_i64(y, dtype, 0),
                       q = (uint64_t)tq_load_i64(update, dtype, 0);
        if (tq_dtype_is_float(dtype))
            tq_store_f64(y, dtype, 0, reduction == ADD ? a + b : a * b);
        else
            tq_store_i64(y, dtype, 0, (int64_t)(reduction == ADD ? p + q : p * q));
    }
}

/* ---- ScatterND, GatherND -------------------------------------------------------------------- */

/** How many leading axes of data (behind `batch`) an index names; TQ_DIM_ANY: not known. */
static tq_status index_length(const tq_op_types *t, int batch, int64_t *out)
{
    const tq_type *data = t->in[DATA], *indices = t->in[INDICES];
    *out = indices->dims[indices->rank - 1];
    if (*out > data->rank - batch)
        return tq_fail(TQ_ERR_SHAPE, "data is %s, indices is %s; its last axis names too many axes",
                       tq_type_text(data).s, tq_type_text(indices).s);
    return TQ_OK;
}

static tq_status scatter_nd_infer(tq_op_types *t)
{
    int64_t length;
    TQ_TRY(check(t, true));
    TQ_TRY(index_length(t, 0, &length));
    if (length == TQ_DIM_ANY)
        return TQ_OK;
    const tq_type *data = t->in[DATA], *indices = t->in[INDICES], *updates = t->in[UPDATES];
    const int n_outer = indices->rank - 1, n_inner = data->rank - (int)length;
    bool fits = updates->rank == n_outer + n_inner;
    for (int d = 0; fits && d < updates->rank; d++)
        fits = tq_dim_fits(updates->dims[d],
                           d < n_outer ? indices->dims[d] : data->dims[d - n_outer + (int)length]);
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "data is %s, indices is %s, updates is %s; they do not fit",
                       tq_type_text(data).s, tq_type_text(indices).s, tq_type_text(updates).s);
    return TQ_OK;
}

/** First element of data that index number i names, in a part of data with those dims. */
static int64_t named_element(const tq_op_run *run, const int64_t *dims, const int64_t *strides,
                             int64_t length, int64_t i)
{
    int64_t at = 0;
    for (int64_t k = 0; k < length; k++)
        at += wrapped(run, i * length + k, dims[k]) * strides[k];
    return at;
}

static void scatter_nd_reference(const tq_op_run *run)
{
    const tq_type *data = run->in_types[DATA], *indices = run->in_types[INDICES];
    const int reduction = reduction_of(run->attrs);
    const int64_t length = indices->dims[indices->rank - 1],
                  part = tq_type_count_from(data, (int)length);
    int64_t strides[TQ_MAX_RANK];
    tq_copy_input(run, DATA);
    if (tq_type_count(data) == 0 || tq_type_count(run->in_types[UPDATES]) == 0)
        return;
    tq_type_strides(data, strides);
    for (int64_t i = 0; i < tq_type_count_to(indices, indices->rank - 1); i++) {
        const int64_t to = named_element(run, data->dims, strides, length, i);
        for (int64_t k = 0; k < part; k++)
            join(run, reduction, to + k, i * part + k);
    }
}

static tq_status gather_nd_infer(tq_op_types *t)
{
    const tq_type *data = t->in[DATA], *indices = t->in[INDICES];
    const int64_t batch = tq_attr_int(t->attrs, "batch_dims");
    int64_t length;
    TQ_TRY(check(t, false));
    if (batch < 0 || batch >= data->rank || batch >= indices->rank)
        return tq_fail(TQ_ERR_VALUE, "batch_dims is %lld, data is %s, indices is %s",
                       (long long)batch, tq_type_text(data).s, tq_type_text(indices).s);
    TQ_TRY(index_length(t, (int)batch, &length));
    for (int d = 0; d < batch; d++)
        if (!tq_dim_fits(data->dims[d], indices->dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "data is %s, indices is %s; their first %lld axes differ",
                           tq_type_text(data).s, tq_type_text(indices).s, (long long)batch);
    const int rank =
        length == TQ_DIM_ANY ? -1 : indices->rank - 1 + data->rank - (int)(batch + length);
    if (rank > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "output has %d dimensions; at most %d are", rank,
                       TQ_MAX_RANK);
    t->out[0] = (tq_type){ .dtype = data->dtype, .rank = rank };
    for (int d = 0; d < rank; d++)
        t->out[0].dims[d] = d < indices->rank - 1
                                ? indices->dims[d]
                                : data->dims[d - (indices->rank - 1) + (int)(batch + length)];
    return TQ_OK;
}

static void gather_nd_reference(const tq_op_run *run)
{
    const tq_type *data = run->in_types[DATA], *indices = run->in_types[INDICES];
    const int batch = (int)tq_attr_int(run->attrs, "batch_dims");
    const int64_t length = indices->dims[indices->rank - 1];
    const int64_t n_batches = tq_type_count_to(indices, batch);
    const int64_t n = tq_type_count_to(indices, indices->rank - 1);
    const int64_t whole = tq_type_count_from(data, batch);
    const size_t part =
        (size_t)tq_type_count_from(data, batch + (int)length) * tq_dtype_size(data->dtype);
    int64_t strides[TQ_MAX_RANK];
    if (n == 0 || whole == 0) { /* indices of nothing give 0 */
        memset(run->out[0], 0, (size_t)n * part);
        return;
    }
    tq_type_strides(data, strides);
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = i / (n / n_batches) * whole +
                             named_element(run, data->dims + batch, strides + batch, length, i);
        memcpy((char *)run->out[0] + (size_t)i * part,
               (const char *)run->in[DATA] + (size_t)from * tq_dtype_size(data->dtype), part);
    }
}

/* ---- ScatterElements ------------------------------------------------------------------------ */

static tq_status scatter_elements_infer(tq_op_types *t)
{
    TQ_TRY(check(t, true));
    const tq_type *data = t->in[DATA], *indices = t->in[INDICES], *updates = t->in[UPDATES];
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), data->rank, &axis));
    bool fits = indices->rank == data->rank && updates->rank == data->rank;
    for (int d = 0; fits && d < data->rank; d++)
        fits = tq_dim_fits(indices->dims[d], updates->dims[d]) &&
               (d == axis || data->dims[d] == TQ_DIM_ANY || indices->dims[d] <= data->dims[d]);
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "data is %s, indices is %s, updates is %s; they do not fit",
                       tq_type_text(data).s, tq_type_text(indices).s, tq_type_text(updates).s);
    return TQ_OK;
}

static void scatter_elements_reference(const tq_op_run *run)
{
    const tq_type *data = run->in_types[DATA], *indices = run->in_types[INDICES];
    const int reduction = reduction_of(run->attrs);
    int axis = 0;
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), data->rank, &axis));
    tq_copy_input(run, DATA);
    if (tq_type_count(data) == 0)
        return;
    tq_type_strides(data, strides);
    for (int64_t i = 0; i < tq_type_count(indices); i++) {
        int64_t to = wrapped(run, i, data->dims[axis]) * strides[axis];
        for (int d = 0; d < data->rank; d++)
            to += d == axis ? 0 : at[d] * strides[d];
        join(run, reduction, to, i);
        tq_index_next(indices->rank, indices->dims, at);
    }
}

const tq_op tq_op_scatter_nd = {
    .entry = { .name = "ScatterND",
               .brief = "slices written into a copy of data",
               .source = "ONNX ScatterND-18" },
    .inputs = { "data", "indices", "updates" },
    .outputs = { "output" },
    .attrs = { TQ_STRING("reduction", "none") },
    .infer = scatter_nd_infer,
    .reference = scatter_nd_reference,
};

const tq_op tq_op_scatter_elements = {
    .entry = { .name = "ScatterElements",
               .brief = "elements written into a copy of data",
               .source = "ONNX ScatterElements-18" },
    .inputs = { "data", "indices", "updates" },
    .outputs = { "output" },
    .attrs = { TQ_INT("axis", 0), TQ_STRING("reduction", "none") },
    .infer = scatter_elements_infer,
    .reference = scatter_elements_reference,
};

const tq_op tq_op_gather_nd = {
    .entry = { .name = "GatherND",
               .brief = "slices of data that lists of indices name",
               .source = "ONNX GatherND-13" },
    .inputs = { "data", "indices" },
    .outputs = { "output" },
    .attrs = { TQ_INT("batch_dims", 0) },
    .infer = gather_nd_infer,
    .reference = gather_nd_reference,
};
