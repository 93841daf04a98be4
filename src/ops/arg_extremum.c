/* ArgMax and ArgMin: index (i64) of the largest or smallest element along an axis, the first one of
 * equals unless select_last_index; NaN counts as the extreme. Source: ONNX, opset 13. */
#include "ops/integer_rules_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { X };

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    t->out[0] = (tq_type){ .dtype = TQ_I64, .rank = -1 };
    if (x->rank < 0)
        return TQ_OK;
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    if (x->dims[axis] == 0)
        return tq_fail(TQ_ERR_SHAPE, "x is %s: axis %d is empty", tq_type_text(x).s, axis);
    const bool keep = tq_attr_int(t->attrs, "keepdims");
    t->out[0].rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != axis || keep)
            t->out[0].dims[t->out[0].rank++] = d == axis ? 1 : x->dims[d];
    return TQ_OK;
}

/** Does element i beat element best? */
static bool beats(const tq_op_run *run, int64_t i, int64_t best, int sign, bool last)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    if (!tq_dtype_is_float(dtype)) {
        const int64_t a = tq_load_i64(run->in[X], dtype, i),
                      b = tq_load_i64(run->in[X], dtype, best);
        return (sign > 0 ? a > b : a < b) || (last && a == b);
    }
    const double a = sign * tq_load_f64(run->in[X], dtype, i),
                 b = sign * tq_load_f64(run->in[X], dtype, best);
    return a > b || (isnan(a) && !isnan(b)) || (last && (a == b || (isnan(a) && isnan(b))));
}

static void find(const tq_op_run *run, int sign)
{
    const tq_type *x = run->in_types[X];
    const bool last = tq_attr_int(run->attrs, "select_last_index");
    int axis;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    const int64_t n_outer = tq_type_count_to(x, axis), n = x->dims[axis],
                  n_inner = tq_type_count_from(x, axis + 1);
    int64_t *y = run->out[0];
    for (int64_t o = 0; o < n_outer; o++)
        for (int64_t i = 0; i < n_inner; i++) {
            const int64_t first = o * n * n_inner + i;
            int64_t best = 0;
            for (int64_t k = 1; k < n; k++)
                if (beats(run, first + k * n_inner, first + best * n_inner, sign, last))
                    best = k;
            y[o * n_inner + i] = best;
        }
}

static void max_reference(const tq_op_run *run)
{
    find(run, 1);
}

static void min_reference(const tq_op_run *run)
{
    find(run, -1);
}

/** Codes of one positive scale are ordered as the real values are. */
static tq_status integerise(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, X);
    if (!x || !tq_codes_plain(x) || !(x->scale[0] > 0))
        return tq_int_refuse(
            t, "its input needs codes of one positive scale; put a FakeQuantize before it");
    const tq_node *node = tq_int_node(t);
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_attr copies[] = { TQ_INT("axis", tq_attr_int(attrs, "axis")),
                               TQ_INT("keepdims", tq_attr_int(attrs, "keepdims")),
                               TQ_INT("select_last_index",
                                      tq_attr_int(attrs, "select_last_index")) };
    tq_value *y;
    TQ_TRY(tq_int_emit(t, tq_node_op_name(node), &x->codes, 1, copies, TQ_COUNT(copies), &y));
    double *one = TQ_NEW(tq_int_arena(t), double), *zero = TQ_NEW(tq_int_arena(t), double);
    *one = 1.0;
    tq_int_set(t, 0,
               &(tq_codes){ .codes = y,
                            .axis = -1,
                            .n = 1,
                            .scale = one,
                            .offset = zero,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = 0,
                            .hi = INT32_MAX });
    return TQ_OK;
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    int axis = 0;
    const tq_type *x = t->in[X];
    tq_status_drop(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank < 0 ? 0 : x->rank, &axis));
    tq_bounds_set(b, 0, 0, x->rank > 0 && x->dims[axis] > 0 ? x->dims[axis] - 1 : INT64_MAX);
    return TQ_OK;
}

const tq_op tq_op_arg_max = {
    .entry = { .name = "ArgMax", .brief = "index of the largest element" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "data" },
    .outputs = { "reduced" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT },
               { .name = "keepdims", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "select_last_index", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = max_reference,
    .integerise = integerise,
    .bounds = bounds,
};

const tq_op tq_op_arg_min = {
    .entry = { .name = "ArgMin", .brief = "index of the smallest element" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "data" },
    .outputs = { "reduced" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT },
               { .name = "keepdims", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "select_last_index", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = min_reference,
    .integerise = integerise,
    .bounds = bounds,
};
