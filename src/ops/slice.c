/* Slice: every step-th element of [start, end) along some axes; negative steps walk backwards. Its
 * gradient puts dy back between zeros. Source: ONNX Slice, opset 13. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, STARTS, ENDS, AXES, STEPS }; /* Slice */
enum { GRAD_X, GRAD_DY, GRAD_STARTS }; /* SliceGrad(x, dy, starts, ends, ?axes, ?steps) */

/** One cut: `n` elements from `start`, `step` apart. n is TQ_DIM_ANY while it is unknown. */
typedef struct cut {
    int64_t start, step, n;
} cut;

/** Values counted from the end made positive, then held in [lo, hi]. */
static int64_t hold(int64_t value, int64_t dim, int64_t lo, int64_t hi)
{
    if (value < 0)
        value = value < -dim ? lo : value + dim;
    return tq_clip_i64(value, lo, hi);
}

static cut make_cut(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    if (dim == TQ_DIM_ANY || start == TQ_VALUE_ANY || end == TQ_VALUE_ANY || step == TQ_VALUE_ANY)
        return (cut){ .n = TQ_DIM_ANY };
    step = tq_clip_i64(step, -(INT64_MAX / 2), INT64_MAX / 2);
    int64_t length;
    if (step > 0) {
        start = hold(start, dim, 0, dim);
        length = hold(end, dim, 0, dim) - start;
    } else {
        start = hold(start, dim, -1, dim - 1);
        length = start - hold(end, dim, -1, dim - 1);
    }
    const int64_t size = step < 0 ? -step : step;
    return (cut){ .start = start, .step = step, .n = length <= 0 ? 0 : (length - 1) / size + 1 };
}

/** The inputs of a slice as plain lists; n is the number of axes cut. */
typedef struct lists {
    int n;
    int64_t starts[TQ_MAX_RANK], ends[TQ_MAX_RANK], axes[TQ_MAX_RANK], steps[TQ_MAX_RANK];
} lists;

static tq_status make_cuts(const tq_type *x, const lists *l, cut *cuts)
{
    uint32_t bits;
    TQ_TRY(tq_axes_bits(l->axes, l->n, x->rank, &bits));
    for (int d = 0; d < x->rank; d++)
        cuts[d] = (cut){ .step = 1, .n = x->dims[d] };
    for (int i = 0; i < l->n; i++) {
        int axis;
        TQ_TRY(tq_op_axis(l->axes[i], x->rank, &axis));
        if (l->steps[i] == 0)
            return tq_fail(TQ_ERR_VALUE, "steps[%d] is 0", i);
        cuts[axis] = make_cut(x->dims[axis], l->starts[i], l->ends[i], l->steps[i]);
    }
    return TQ_OK;
}

/** *out_known says whether all lists that are there are known. `from` is the input with the starts.
 */
static tq_status known_lists(const tq_op_types *t, int from, lists *l, bool *out_known)
{
    int n_ends, n_axes, n_steps;
    TQ_TRY(tq_op_known_ints(t, from, TQ_MAX_RANK, l->starts, &l->n));
    TQ_TRY(tq_op_known_ints(t, from + 1, TQ_MAX_RANK, l->ends, &n_ends));
    TQ_TRY(tq_op_known_ints(t, from + 2, TQ_MAX_RANK, l->axes, &n_axes));
    TQ_TRY(tq_op_known_ints(t, from + 3, TQ_MAX_RANK, l->steps, &n_steps));
    *out_known = l->n >= 0 && n_ends >= 0 && (n_axes >= 0 || !tq_op_has(t, from + 2)) &&
                 (n_steps >= 0 || !tq_op_has(t, from + 3));
    if (!*out_known)
        return TQ_OK;
    if (n_ends != l->n || (n_axes >= 0 && n_axes != l->n) || (n_steps >= 0 && n_steps != l->n))
        return tq_fail(TQ_ERR_SHAPE, "starts, ends, axes and steps have %d, %d, %d and %d entries",
                       l->n, n_ends, n_axes, n_steps);
    for (int i = 0; i < l->n; i++) {
        l->axes[i] = n_axes < 0 ? i : l->axes[i];
        l->steps[i] = n_steps < 0 ? 1 : l->steps[i];
    }
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    lists l;
    bool known;
    TQ_TRY(known_lists(t, STARTS, &l, &known));
    tq_infer_rank_only(t, x->rank);
    if (x->rank < 0 || !known)
        return TQ_OK;
    cut cuts[TQ_MAX_RANK];
    TQ_TRY(make_cuts(x, &l, cuts));
    for (int d = 0; d < x->rank; d++)
        t->out[0].dims[d] = cuts[d].n;
    return TQ_OK;
}

static int read_list(const tq_op_run *run, int i, int64_t *values)
{
    if (!tq_run_has(run, i))
        return -1;
    const int n = (int)tq_type_count(run->in_types[i]);
    for (int k = 0; k < n; k++) /* the smallest number is one here, not "unknown" */
        values[k] = tq_clip_i64(tq_load_i64(run->in[i], run->in_types[i]->dtype, k),
                                TQ_VALUE_ANY + 1, INT64_MAX);
    return n;
}

/** Strides and first element of the cut part of x. */
static int64_t cut_strides(const tq_op_run *run, int from, const tq_type *x, int64_t *strides)
{
    lists l;
    l.n = read_list(run, from, l.starts);
    read_list(run, from + 1, l.ends);
    const bool has_axes = read_list(run, from + 2, l.axes) >= 0,
               has_steps = read_list(run, from + 3, l.steps) >= 0;
    for (int i = 0; i < l.n; i++) {
        l.axes[i] = has_axes ? l.axes[i] : i;
        l.steps[i] = has_steps ? l.steps[i] : 1;
    }
    cut cuts[TQ_MAX_RANK] = { 0 };
    tq_status_drop(make_cuts(x, &l, cuts));
    int64_t own[TQ_MAX_RANK], first = 0;
    tq_type_strides(x, own);
    for (int d = 0; d < x->rank; d++) {
        first += cuts[d].n > 0 ? cuts[d].start * own[d] : 0;
        strides[d] = cuts[d].n > 1 ? cuts[d].step * own[d] : 0;
    }
    return first;
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    const size_t size = tq_dtype_size(x->dtype);
    int64_t in[TQ_MAX_RANK], out[TQ_MAX_RANK];
    const int64_t first = cut_strides(run, STARTS, x, in);
    tq_type_strides(y, out);
    tq_copy_strided(y->rank, y->dims, size, run->out[0], out,
                    (const char *)run->in[X] + first * (int64_t)size, in);
}

static tq_status gradient(tq_grad *g)
{
    tq_value *inputs[6] = { tq_grad_input(g, X), tq_grad_of_output(g, 0) };
    const int n = tq_node_n_inputs(tq_grad_of(g));
    for (int i = STARTS; i < n; i++)
        inputs[i + 1] = tq_grad_input(g, i);
    return tq_grad_emit_n(g, X, "SliceGrad", false, inputs, n + 1);
}

static tq_status grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, GRAD_X, TQ_DTYPES_FLOAT));
    TQ_TRY(tq_check_forward(
        t, infer,
        (const int[]){ GRAD_X, GRAD_STARTS, GRAD_STARTS + 1, GRAD_STARTS + 2, GRAD_STARTS + 3 }, 5,
        GRAD_DY));
    return tq_op_infer_same(t);
}

static void grad_reference(const tq_op_run *run)
{
    const tq_type *x = run->out_types[0], *dy = run->in_types[GRAD_DY];
    const size_t size = tq_dtype_size(x->dtype);
    int64_t in[TQ_MAX_RANK], out[TQ_MAX_RANK];
    memset(run->out[0], 0, (size_t)tq_type_count(x) * size);
    const int64_t first = cut_strides(run, GRAD_STARTS, x, out);
    tq_type_strides(dy, in);
    tq_copy_strided(dy->rank, dy->dims, size, (char *)run->out[0] + first * (int64_t)size, out,
                    run->in[GRAD_DY], in);
}

const tq_op tq_op_slice = {
    .entry = { .name = "Slice", .brief = "a part along some axes, also backwards" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "data", "starts", "ends", "?axes", "?steps" },
    .outputs = { "output" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_slice_grad = {
    .entry = { .name = "SliceGrad", .brief = "dy back in its place, zeros elsewhere" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy", "starts", "ends", "?axes", "?steps" },
    .outputs = { "dx" },
    .infer = grad_infer,
    .reference = grad_reference,
};
