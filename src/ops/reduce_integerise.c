/* Integer rules of ReduceSum and ReduceMean: sums of codes in int32,
 *
 *   sum (s q + o) = s sum q + n o,      mean (s q + o) = s / n sum q + o.
 *
 * All spatial axes of [N, C, ...] are GlobalSumPool; any others ReduceSum on codes widened to
 * int32. */
#include "ops/integer_rules_internal.h"
#include "ops/pool_internal.h"
#include "ops/reduce_internal.h"

#include <math.h>

enum { X, AXES };

typedef struct rule {
    const tq_codes *x;
    unsigned mask;
    bool keepdims;
    int rank;
    int64_t count;
} rule;

static tq_status read_axes(tq_integerise *t, rule *r)
{
    const tq_attrs *attrs = tq_node_attrs(tq_int_node(t));
    const tq_type *x = tq_value_type(r->x->codes);
    int64_t axes[TQ_MAX_RANK];
    int n = -1;
    if (tq_node_input(tq_int_node(t), AXES)) {
        const tq_tensor *given = tq_int_constant(t, AXES);
        if (!given || tq_tensor_count(given) > TQ_MAX_RANK)
            return tq_int_refuse(t, "its axes are not a constant");
        n = (int)tq_tensor_count(given);
        for (int i = 0; i < n; i++)
            axes[i] = tq_load_i64(given->data, given->type.dtype, i);
    }
    TQ_TRY(tq_reduction_mask(attrs, x->rank, axes, n, &r->mask));
    r->keepdims = tq_attr_int(attrs, "keepdims") != 0;
    r->rank = x->rank;
    r->count = 1;
    for (int d = 0; d < x->rank; d++)
        if (r->mask >> d & 1)
            r->count = tq_dim_mul(r->count, x->dims[d]);
    if (r->count < 1)
        return tq_int_refuse(t, "input is %s; the size of the reduced axes must be known",
                             tq_type_text(x).s);
    return TQ_OK;
}

/** The reduced axes as a constant. */
static tq_status axes_constant(tq_integerise *t, const rule *r, tq_value **out)
{
    int64_t axes[TQ_MAX_RANK], n = 0;
    for (int d = 0; d < r->rank; d++)
        if (r->mask >> d & 1)
            axes[n++] = d;
    return tq_int_add_constant(t, "axes", TQ_I64, 1, &n, axes, out);
}

static tq_status emit_spatial(tq_integerise *t, const rule *r, tq_value **out)
{
    const tq_codes *x;
    TQ_TRY(tq_pool_operand(t, &x, out));
    TQ_TRY(tq_int_emit(t, "GlobalSumPool", out, 1, NULL, 0, out));
    if (r->keepdims)
        return TQ_OK;
    tq_value *axes;
    TQ_TRY(axes_constant(t, r, &axes));
    return tq_int_emit(t, "Squeeze", (tq_value *[]){ *out, axes }, 2, NULL, 0, out);
}

static tq_status emit_any(tq_integerise *t, const rule *r, tq_value **out)
{
    tq_value *axes, *codes = r->x->codes;
    if (!(TQ_DTYPE_BIT(tq_value_type(codes)->dtype) & TQ_DTYPES_WIDE))
        TQ_TRY(tq_codes_widen(t, codes, &codes));
    TQ_TRY(axes_constant(t, r, &axes));
    const tq_attr keepdims = TQ_INT("keepdims", r->keepdims);
    return tq_int_emit(t, "ReduceSum", (tq_value *[]){ codes, axes }, 2, &keepdims, 1, out);
}

/** Where the channel axis of the input is in the output. */
static int axis_after(const rule *r)
{
    int axis = r->x->axis;
    for (int d = 0; d < r->x->axis && !r->keepdims; d++)
        axis -= r->mask >> d & 1;
    return axis;
}

static void state(tq_integerise *t, const rule *r, tq_value *sums, bool mean)
{
    const tq_codes *x = r->x;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, x->n);
    double *offset = TQ_NEW_N(tq_int_arena(t), double, x->n);
    for (int c = 0; c < x->n; c++) {
        scale[c] = mean ? x->scale[c] / (double)r->count : x->scale[c];
        offset[c] = mean ? x->offset[c] : x->offset[c] * (double)r->count;
    }
    tq_codes y = *x;
    y.codes = sums;
    y.axis = x->axis < 0 ? -1 : axis_after(r);
    y.scale = scale;
    y.offset = offset;
    y.clip_lo = -INFINITY;
    y.clip_hi = INFINITY;
    y.lo = tq_sat_mul(x->lo, r->count);
    y.hi = tq_sat_mul(x->hi, r->count);
    tq_int_set(t, 0, &y);
}

tq_status tq_reduce_integerise(tq_integerise *t, bool mean)
{
    rule r;
    TQ_TRY(tq_codes_affine(t, X, &r.x));
    TQ_TRY(read_axes(t, &r));
    if (r.mask == 0) {
        tq_int_set(t, 0, r.x);
        return TQ_OK;
    }
    if (r.x->n > 1 && r.mask >> r.x->axis & 1)
        return tq_int_refuse(
            t, "it sums over axis %d, which has %d scales; put a per-tensor FakeQuantize before it",
            r.x->axis, r.x->n);
    const unsigned spatial = ((1u << r.rank) - 1) & ~3u;
    const bool fits = r.x->n == 1 || r.x->axis == 1;
    tq_value *sums;
    if (r.rank >= 3 && r.mask == spatial && fits)
        TQ_TRY(emit_spatial(t, &r, &sums));
    else
        TQ_TRY(emit_any(t, &r, &sums));
    state(t, &r, sums, mean);
    return TQ_OK;
}
