/* Pad: axes made longer (or shorter, for negative pads) at both ends. Outside elements are a
 * constant, the nearest edge, the mirror image without the edge, or the opposite side (wrap). Every
 * axis maps an output index to an input index or to "outside"; the gradient adds dy along the same
 * map. Source: ONNX Pad, opset 19. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, PADS, VALUE, AXES }; /* Pad */
enum { GRAD_X, GRAD_DY, GRAD_PADS, GRAD_AXES };

typedef enum mode { CONSTANT, EDGE, REFLECT, WRAP, UNKNOWN } mode;

static mode read_mode(const tq_attrs *attrs)
{
    static const char *const names[] = { "constant", "edge", "reflect", "wrap" };
    const char *name = tq_attr_string(attrs, "mode");
    for (int i = CONSTANT; i < UNKNOWN; i++)
        if (strcmp(name, names[i]) == 0)
            return (mode)i;
    return UNKNOWN;
}

/** Input index for output index `at` of an axis of `n`, or -1 for outside. */
static int64_t source(mode m, int64_t at, int64_t begin, int64_t n)
{
    const int64_t i = at - begin;
    if (i >= 0 && i < n)
        return i;
    if (m == CONSTANT || n == 0)
        return -1;
    if (m == EDGE)
        return i < 0 ? 0 : n - 1;
    if (m == WRAP)
        return (i % n + n) % n;
    const int64_t period = n == 1 ? 1 : 2 * (n - 1), k = (i % period + period) % period;
    return k < n ? k : period - k;
}

/** Pads of all axes from the two lists; n_axes < 0: all axes. */
static tq_status spread(int rank, const int64_t *pads, int n, const int64_t *axes, int n_axes,
                        int64_t *begin, int64_t *end)
{
    const int count = n_axes < 0 ? rank : n_axes;
    if (n != 2 * count)
        return tq_fail(TQ_ERR_SHAPE, "pads has %d entries; expected %d", n, 2 * count);
    uint32_t bits;
    TQ_TRY(tq_axes_bits(axes, n_axes < 0 ? 0 : n_axes, rank, &bits));
    for (int d = 0; d < rank; d++)
        begin[d] = end[d] = 0;
    for (int i = 0; i < count; i++) {
        int axis = i;
        if (n_axes >= 0)
            TQ_TRY(tq_op_axis(axes[i], rank, &axis));
        begin[axis] = pads[i];
        end[axis] = pads[i + count];
    }
    return TQ_OK;
}

static tq_status padded_dim(const tq_type *x, int d, mode m, int64_t begin, int64_t end,
                            int64_t *out_dim)
{
    *out_dim = TQ_DIM_ANY;
    if (x->dims[d] == TQ_DIM_ANY || begin == TQ_VALUE_ANY || end == TQ_VALUE_ANY)
        return TQ_OK;
    const int64_t limit = INT64_C(1) << 46;
    if (begin > limit || end > limit || begin < -limit || end < -limit ||
        x->dims[d] + begin + end < 0)
        return tq_fail(TQ_ERR_VALUE, "pads %lld and %lld of axis %d do not fit x, which is %s",
                       (long long)begin, (long long)end, d, tq_type_text(x).s);
    if (x->dims[d] == 0 && m != CONSTANT && (begin > 0 || end > 0))
        return tq_fail(TQ_ERR_SHAPE, "axis %d of x, which is %s, has nothing to repeat", d,
                       tq_type_text(x).s);
    *out_dim = x->dims[d] + begin + end;
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    const mode m = read_mode(t->attrs);
    if (m == UNKNOWN)
        return tq_fail(TQ_ERR_UNSUPPORTED, "mode '%s' is not implemented",
                       tq_attr_string(t->attrs, "mode"));
    if (tq_op_has(t, VALUE) && (t->in[VALUE]->dtype != x->dtype || tq_type_count(t->in[VALUE]) > 1))
        return tq_fail(TQ_ERR_TYPE, "the constant value is %s and x %s",
                       tq_type_text(t->in[VALUE]).s, tq_type_text(x).s);
    int64_t pads[2 * TQ_MAX_RANK], axes[TQ_MAX_RANK], begin[TQ_MAX_RANK], end[TQ_MAX_RANK];
    int n, n_axes;
    TQ_TRY(tq_op_known_ints(t, PADS, 2 * TQ_MAX_RANK, pads, &n));
    TQ_TRY(tq_op_known_ints(t, AXES, TQ_MAX_RANK, axes, &n_axes));
    tq_infer_rank_only(t, x->rank);
    if (x->rank < 0 || n < 0 || (tq_op_has(t, AXES) && n_axes < 0))
        return TQ_OK;
    TQ_TRY(spread(x->rank, pads, n, axes, n_axes, begin, end));
    for (int d = 0; d < x->rank; d++)
        TQ_TRY(padded_dim(x, d, m, begin[d], end[d], &t->out[0].dims[d]));
    return TQ_OK;
}

static void read_begin(const tq_op_run *run, int rank, int pads_input, int axes_input,
                       int64_t *begin)
{
    int64_t pads[2 * TQ_MAX_RANK], axes[TQ_MAX_RANK], end[TQ_MAX_RANK];
    const int n = (int)tq_type_count(run->in_types[pads_input]);
    const int n_axes =
        tq_run_has(run, axes_input) ? (int)tq_type_count(run->in_types[axes_input]) : -1;
    for (int i = 0; i < n; i++)
        pads[i] = tq_load_i64(run->in[pads_input], run->in_types[pads_input]->dtype, i);
    for (int i = 0; i < n_axes; i++)
        axes[i] = tq_load_i64(run->in[axes_input], run->in_types[axes_input]->dtype, i);
    tq_status_drop(spread(rank, pads, n, axes, n_axes, begin, end));
}

/** First element of the input row that an output row (index[0 .. rank-2]) shows, -1 if it is
 * outside. */
static int64_t source_row(mode m, const tq_type *x, const int64_t *strides, const int64_t *begin,
                          const int64_t *index)
{
    int64_t row = 0;
    for (int d = 0; d + 1 < x->rank; d++) {
        const int64_t from = source(m, index[d], begin[d], x->dims[d]);
        if (from < 0)
            return -1;
        row += from * strides[d];
    }
    return row;
}

static void reference(const tq_op_run *run)
{
    static const char zeros[8];
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    const mode m = read_mode(run->attrs);
    const size_t size = tq_dtype_size(x->dtype);
    const char *in = run->in[X], *value = tq_run_has(run, VALUE) ? run->in[VALUE] : zeros;
    char *out = run->out[0];
    if (x->rank == 0) {
        memcpy(out, in, size);
        return;
    }
    int64_t begin[TQ_MAX_RANK], strides[TQ_MAX_RANK], index[TQ_MAX_RANK] = { 0 };
    read_begin(run, x->rank, PADS, AXES, begin);
    tq_type_strides(x, strides);
    const int last = x->rank - 1;
    const int64_t n = y->dims[last], n_rows = n ? tq_type_count(y) / n : 0;
    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t row = source_row(m, x, strides, begin, index);
        for (int64_t i = 0; i < n; i++, out += size) {
            const int64_t from = row < 0 ? -1 : source(m, i, begin[last], x->dims[last]);
            memcpy(out, from < 0 ? value : in + (size_t)(row + from) * size, size);
        }
        tq_index_next(last, y->dims, index);
    }
}

/** PadGrad(x, dy, pads, ?axes; mode). */
static tq_status gradient(tq_grad *g)
{
    const tq_node *node = tq_grad_of(g);
    tq_value *inputs[4] = { tq_grad_input(g, X), tq_grad_of_output(g, 0), tq_grad_input(g, PADS),
                            tq_node_input(node, AXES) };
    return tq_grad_emit_n(g, X, "PadGrad", true, inputs, inputs[3] ? 4 : 3);
}

static tq_status grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, GRAD_X, TQ_DTYPES_REAL));
    TQ_TRY(
        tq_check_forward(t, infer, (const int[]){ GRAD_X, GRAD_PADS, -1, GRAD_AXES }, 4, GRAD_DY));
    return tq_op_infer_same(t);
}

static void grad_reference(const tq_op_run *run)
{
    const tq_type *x = run->out_types[0], *dy = run->in_types[GRAD_DY];
    const mode m = read_mode(run->attrs);
    const size_t size = tq_dtype_size(x->dtype);
    int64_t begin[TQ_MAX_RANK], strides[TQ_MAX_RANK], index[TQ_MAX_RANK] = { 0 };
    memset(run->out[0], 0, (size_t)tq_type_count(x) * size);
    read_begin(run, x->rank, GRAD_PADS, GRAD_AXES, begin);
    tq_type_strides(x, strides);
    const char *in = run->in[GRAD_DY];
    for (int64_t i = 0; i < tq_type_count(dy); i++, in += size) {
        const int64_t row = source_row(m, x, strides, begin, index);
        const int last = x->rank - 1;
        const int64_t from =
            row < 0 || last < 0 ? row : source(m, index[last], begin[last], x->dims[last]);
        if (from >= 0)
            tq_accumulate((char *)run->out[0] + (size_t)(last < 0 ? row : row + from) * size, in,
                          x->dtype, 1);
        tq_index_next(dy->rank, dy->dims, index);
    }
}

static tq_status bounds(tq_bounds *b)
{
    int64_t lo, hi, lo_value = 0, hi_value = 0;
    tq_bounds_input(b, X, &lo, &hi);
    if (tq_op_has(tq_bounds_types(b), VALUE))
        tq_bounds_input(b, VALUE, &lo_value, &hi_value);
    tq_bounds_set(b, 0, lo < lo_value ? lo : lo_value, hi > hi_value ? hi : hi_value);
    return TQ_OK;
}

const tq_op tq_op_pad = {
    .entry = { .name = "Pad",
               .brief = "axes made longer at both ends: constant, edge, reflect, wrap" },
    .flags = TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "data", "pads", "?constant_value", "?axes" },
    .outputs = { "output" },
    .attrs = { { .name = "mode", .kind = TQ_ATTR_STRING, .s = "constant" } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_pad,
    .bounds = bounds,
};

const tq_op tq_op_pad_grad = {
    .entry = { .name = "PadGrad", .brief = "dy summed over what Pad repeated" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy", "pads", "?axes" },
    .outputs = { "dx" },
    .attrs = { { .name = "mode", .kind = TQ_ATTR_STRING, .s = "constant" } },
    .infer = grad_infer,
    .reference = grad_reference,
};
