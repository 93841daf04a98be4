/* Expand (broadcast to a shape) and Tile (repeat along each axis). Source: ONNX, opset 13. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, SHAPE, REPEATS = 1, DY = 1 };

/* ---- Expand ---------------------------------------------------------------------------------- */

static tq_status expand_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int64_t shape[TQ_MAX_RANK];
    int n;
    TQ_TRY(tq_op_known_ints(t, SHAPE, TQ_MAX_RANK, shape, &n));
    if (x->rank < 0 || n < 0) {
        const int64_t length = t->in[SHAPE]->rank == 1 ? t->in[SHAPE]->dims[0] : TQ_DIM_ANY;
        const bool open = x->rank < 0 || length < 0 || length > TQ_MAX_RANK;
        tq_infer_rank_only(t, open ? -1 : x->rank > (int)length ? x->rank : (int)length);
        return TQ_OK;
    }
    for (int d = 0; d < n; d++) {
        if (shape[d] < 0 && shape[d] != TQ_VALUE_ANY)
            return tq_fail(TQ_ERR_VALUE, "shape[%d] is %lld", d, (long long)shape[d]);
        shape[d] = shape[d] == TQ_VALUE_ANY ? TQ_DIM_ANY : shape[d];
    }
    const tq_type target = tq_type_make(x->dtype, n, shape);
    TQ_TRY(tq_type_broadcast(x, &target, &t->out[0]));
    t->out[0].dtype = x->dtype;
    return TQ_OK;
}

static void expand_reference(const tq_op_run *run)
{
    const tq_type *y = run->out_types[0];
    int64_t in[TQ_MAX_RANK], out[TQ_MAX_RANK];
    tq_broadcast_strides(run->in_types[X], y, in);
    tq_type_strides(y, out);
    tq_copy_strided(y->rank, y->dims, tq_dtype_size(y->dtype), run->out[0], out, run->in[X], in);
}

static tq_status expand_gradient(tq_grad *g)
{
    return tq_grad_wants(g, X) ? tq_grad_set_unbroadcast(g, X, tq_grad_of_output(g, 0)) : TQ_OK;
}

/* ---- Tile ------------------------------------------------------------------------------------ */

static tq_status tile_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int64_t repeats[TQ_MAX_RANK];
    int n;
    TQ_TRY(tq_op_known_ints(t, REPEATS, TQ_MAX_RANK, repeats, &n));
    tq_infer_rank_only(t, x->rank);
    if (x->rank < 0 || n < 0)
        return TQ_OK;
    if (n != x->rank)
        return tq_fail(TQ_ERR_SHAPE, "repeats has %d entries, x is %s", n, tq_type_text(x).s);
    for (int d = 0; d < n; d++) {
        if (repeats[d] < 0 && repeats[d] != TQ_VALUE_ANY)
            return tq_fail(TQ_ERR_VALUE, "repeats[%d] is %lld", d, (long long)repeats[d]);
        t->out[0].dims[d] =
            repeats[d] == TQ_VALUE_ANY ? TQ_DIM_ANY : tq_dim_mul(x->dims[d], repeats[d]);
    }
    return TQ_OK;
}

static void tile_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    const size_t size = tq_dtype_size(x->dtype);
    int64_t in[TQ_MAX_RANK], out[TQ_MAX_RANK], repeats[TQ_MAX_RANK], tile[TQ_MAX_RANK] = { 0 };
    if (tq_type_count(y) == 0)
        return;
    tq_type_strides(x, in);
    tq_type_strides(y, out);
    for (int d = 0; d < x->rank; d++)
        repeats[d] = y->dims[d] / x->dims[d];
    do {
        int64_t first = 0;
        for (int d = 0; d < x->rank; d++)
            first += tile[d] * x->dims[d] * out[d];
        tq_copy_strided(x->rank, x->dims, size, (char *)run->out[0] + (size_t)first * size, out,
                        run->in[X], in);
    } while (tq_index_next(x->rank, repeats, tile));
}

static tq_status tile_gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "TileGrad", tq_grad_input(g, X), tq_grad_of_output(g, 0));
}

static tq_status tile_grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_REAL));
    const tq_type *x = t->in[X], *dy = t->in[DY];
    bool fits = x->dtype == dy->dtype && (x->rank == dy->rank || x->rank < 0 || dy->rank < 0);
    for (int d = 0; fits && d < x->rank && d < dy->rank; d++)
        fits = x->dims[d] == TQ_DIM_ANY || dy->dims[d] == TQ_DIM_ANY || dy->dims[d] == 0 ||
               (x->dims[d] > 0 && dy->dims[d] % x->dims[d] == 0);
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "x is %s, dy is %s; expected repetitions of it",
                       tq_type_text(x).s, tq_type_text(dy).s);
    return tq_op_infer_same(t);
}

/** dx = sum of dy over the repetitions, in order. */
static void tile_grad_reference(const tq_op_run *run)
{
    const tq_type *x = run->out_types[0], *dy = run->in_types[DY];
    const size_t size = tq_dtype_size(x->dtype);
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    memset(run->out[0], 0, (size_t)tq_type_count(x) * size);
    tq_type_strides(x, strides);
    for (int64_t i = 0; i < tq_type_count(dy); i++) {
        int64_t to = 0;
        for (int d = 0; d < x->rank; d++)
            to += at[d] % x->dims[d] * strides[d];
        tq_accumulate((char *)run->out[0] + (size_t)to * size,
                      (const char *)run->in[DY] + (size_t)i * size, x->dtype, 1);
        tq_index_next(dy->rank, dy->dims, at);
    }
}

const tq_op tq_op_expand = {
    .entry = { .name = "Expand", .brief = "broadcast to a shape" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "input", "shape" },
    .outputs = { "output" },
    .infer = expand_infer,
    .reference = expand_reference,
    .gradient = expand_gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_tile = {
    .entry = { .name = "Tile", .brief = "repeated along each axis" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "input", "repeats" },
    .outputs = { "output" },
    .infer = tile_infer,
    .reference = tile_reference,
    .gradient = tile_gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_tile_grad = {
    .entry = { .name = "TileGrad", .brief = "dy summed over the repetitions" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .infer = tile_grad_infer,
    .reference = tile_grad_reference,
};
