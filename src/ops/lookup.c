/* ShiftRight: x >> shift, arithmetic, so it divides by 2^shift and rounds down. Lookup: a table of
 * 256 entries indexed by code - (smallest code of the dtype): any unary function of 8-bit codes. A
 * table [C, 256] has a row for each index along `axis`. */
#include "ops/ops.h"

#include <truq/integerise.h>

enum { X, TABLE };

static tq_status shift_infer(tq_op_types *t)
{
    const int64_t shift = tq_attr_int(t->attrs, "shift");
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_INTEGER));
    if (shift < 0 || shift > 63)
        return tq_fail(TQ_ERR_VALUE, "shift is %lld; expected 0 to 63", (long long)shift);
    return tq_op_infer_same(t);
}

static void shift_reference(const tq_op_run *run)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int64_t shift = tq_attr_int(run->attrs, "shift");
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        tq_store_i64(run->out[0], dtype, i, tq_load_i64(run->in[X], dtype, i) >> shift);
}

static tq_status shift_bounds(tq_bounds *b)
{
    const int64_t shift = tq_attr_int(tq_bounds_types(b)->attrs, "shift");
    int64_t lo, hi;
    tq_bounds_input(b, X, &lo, &hi);
    tq_bounds_set(b, 0, lo >> shift, hi >> shift);
    return TQ_OK;
}

static tq_status check_rows(const tq_op_types *t)
{
    int axis;
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    if (!tq_dim_fits(t->in[TABLE]->dims[0], t->in[X]->dims[axis]))
        return tq_fail(TQ_ERR_SHAPE, "the table is %s, x is %s; expected a row for each channel",
                       tq_type_text(t->in[TABLE]).s, tq_type_text(t->in[X]).s);
    return TQ_OK;
}

static tq_status lookup_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_CODES));
    TQ_TRY(tq_op_need_dtype(t, TABLE, TQ_DTYPES_INTEGER));
    TQ_TRY(tq_op_need_rank(t, TABLE, 1, 2));
    const tq_type *table = t->in[TABLE];
    if (table->dims[table->rank - 1] != 256)
        return tq_fail(TQ_ERR_SHAPE, "the table is %s; expected 256 entries",
                       tq_type_text(table).s);
    if (table->rank == 2)
        TQ_TRY(check_rows(t));
    t->out[0] = *t->in[X];
    t->out[0].dtype = t->in[TABLE]->dtype;
    return TQ_OK;
}

static void lookup_reference(const tq_op_run *run)
{
    const tq_dtype x = run->in_types[X]->dtype, y = run->out_types[0]->dtype;
    const tq_type *type = run->in_types[X];
    const bool rows = run->in_types[TABLE]->rank == 2;
    const int64_t axis = tq_attr_int(run->attrs, "axis"), lowest = tq_dtype_min(x);
    const int d = rows ? (int)(axis < 0 ? axis + type->rank : axis) : -1;
    const int64_t n_inner = rows ? tq_type_count_from(type, d + 1) : 1;
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        const int64_t row = rows ? i / n_inner % type->dims[d] : 0;
        const int64_t entry = tq_load_i64(run->in[X], x, i) - lowest;
        tq_store_i64(run->out[0], y, i, tq_load_i64(run->in[TABLE], y, row * 256 + entry));
    }
}

/** The entries that the codes of x can reach. */
static tq_status lookup_bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_tensor *table = t->in_known[TABLE];
    if (!table)
        return TQ_OK;
    const int64_t lowest = tq_dtype_min(t->in[X]->dtype);
    int64_t first, last, lo = INT64_MAX, hi = INT64_MIN;
    tq_bounds_input(b, X, &first, &last);
    for (int64_t i = 0; i < tq_tensor_count(table); i++) {
        const int64_t entry = tq_load_i64(table->data, table->type.dtype, i);
        if (i % 256 < first - lowest || i % 256 > last - lowest)
            continue;
        lo = entry < lo ? entry : lo;
        hi = entry > hi ? entry : hi;
    }
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}

const tq_op tq_op_shift_right = {
    .entry = { .name = "ShiftRight", .brief = "x >> shift, rounding down" },
    .domain = "truq",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "shift", .kind = TQ_ATTR_INT } },
    .required_attrs = 1,
    .infer = shift_infer,
    .reference = shift_reference,
    .bounds = shift_bounds,
};

const tq_op tq_op_lookup = {
    .entry = { .name = "Lookup", .brief = "a table over 8-bit codes" },
    .domain = "truq",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x", "table" },
    .outputs = { "y" },
    .attrs = { TQ_INT("axis", 1) },
    .infer = lookup_infer,
    .reference = lookup_reference,
    .bounds = lookup_bounds,
};
