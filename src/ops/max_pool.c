/* Largest element of each window (ONNX MaxPool-22), and its gradient.
 *
 *   y[n, c, o] = max over taps inside x;      dx gets dy at the first largest element
 *
 *   x  [N, C, ...] f32, f64, u8, i8, i32, i64.  Second output, optional: flat index in x of each
 * maximum, i64 (storage_order 1: with the first axis of a plane fastest).
 *
 * NaN wins over numbers. Padding never wins; a window that sees only padding gives the smallest
 * number. */
#include "ops/pool_internal.h"

#include <math.h>
#include <string.h>

enum { X, Y, DY }; /* Y and DY: of MaxPoolGrad */

static const uint32_t dtypes = TQ_DTYPES_REAL | TQ_DTYPES_CODES | TQ_DTYPES_WIDE;

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, dtypes));
    TQ_TRY(tq_op_need_rank(t, X, 3, 5));
    const int64_t order = tq_attr_int(t->attrs, "storage_order");
    if (order != 0 && order != 1)
        return tq_fail(TQ_ERR_VALUE, "storage_order is %lld; expected 0 or 1", (long long)order);
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &window));
    t->out[0] = tq_window_type(&window, t->in[X], t->in[X]->dims[1]);
    if (t->n_out > 1) {
        t->out[1] = t->out[0];
        t->out[1].dtype = TQ_I64;
    }
    return TQ_OK;
}

static void store_smallest(void *data, tq_dtype dtype, int64_t i)
{
    if (tq_dtype_is_float(dtype))
        tq_store_f64(data, dtype, i, -INFINITY);
    else
        tq_store_i64(data, dtype, i, tq_dtype_min(dtype));
}

/** Offset `at` inside a plane, counted with the first axis fastest. */
static int64_t column_major(const tq_window *w, int64_t at)
{
    const int64_t k0 = at / w->in[2] / w->in[1], k1 = at / w->in[2] % w->in[1], k2 = at % w->in[2];
    return (k2 * w->in[1] + k1) * w->in[0] + k0;
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const bool columns = tq_attr_int(run->attrs, "storage_order") != 0;
    const tq_dtype dtype = run->in_types[X]->dtype;
    const size_t element = tq_dtype_size(dtype);
    const tq_window window = tq_pool_of(run->attrs, run->in_types[X]);
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    int64_t *indices = run->n_out > 1 ? run->out[1] : NULL;
    for (int64_t plane = begin; plane < end; plane++)
        for (int64_t o = 0; o < out_size; o++) {
            const tq_taps taps = tq_taps_at(&window, o);
            const int64_t best = tq_taps_argmax(&taps, run->in[X], dtype, plane * in_size);
            const int64_t to = plane * out_size + o, from = plane * in_size + best;
            if (best < 0)
                store_smallest(run->out[0], dtype, to);
            else
                memcpy((char *)run->out[0] + (size_t)to * element,
                       (const char *)run->in[X] + (size_t)from * element, element);
            if (indices)
                indices[to] =
                    columns && best >= 0 ? plane * in_size + column_major(&window, best) : from;
        }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 1, planes, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "MaxPoolGrad", tq_grad_input(g, X), tq_grad_output(g, 0),
                        tq_grad_of_output(g, 0));
}

static tq_status integerise(tq_integerise *t)
{
    if (tq_node_n_outputs(tq_int_node(t)) > 1)
        return tq_int_refuse(t, "its indices are an output; only the maxima are implemented");
    return tq_int_keep(t);
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    tq_interval x = tq_bounds_of(b, X);
    tq_window w;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &w));
    for (int d = 0; d < TQ_WINDOW_AXES; d++) /* taps may all miss x only if they are spread */
        if (w.dilation[d] > 1 && w.pad_begin[d] + w.pad_end[d] > 0)
            x.lo = tq_dtype_min(t->in[X]->dtype);
    tq_bounds_set(b, 0, x.lo, x.hi);
    return TQ_OK;
}

const tq_op tq_op_max_pool = {
    .entry = { .name = "MaxPool",
               .brief = "largest element of each window",
               .source = "ONNX MaxPool-22" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y", "?indices" },
    .attrs = { TQ_POOL_ATTRS, TQ_INT("storage_order", 0) },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
    .bounds = bounds,
};

/* ---- gradient ---------------------------------------------------------------------------- */

static tq_status infer_grad(tq_op_types *t)
{
    for (int i = X; i <= DY; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    }
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &window));
    t->out[0] = *t->in[X];
    return TQ_OK;
}

static void grad_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_window window = tq_pool_of(run->attrs, run->in_types[X]);
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    for (int64_t plane = begin; plane < end; plane++) {
        const float *dy = (const float *)run->in[DY] + plane * out_size;
        float *dx = (float *)run->out[0] + plane * in_size;
        for (int64_t i = 0; i < in_size; i++)
            dx[i] = 0.0f;
        for (int64_t o = 0; o < out_size; o++) {
            const tq_taps taps = tq_taps_at(&window, o);
            const int64_t best = tq_taps_argmax(&taps, run->in[X], TQ_F32, plane * in_size);
            if (best >= 0)
                dx[best] += dy[o];
        }
    }
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 1, grad_planes, (void *)run);
}

const tq_op tq_op_max_pool_grad = {
    .entry = { .name = "MaxPoolGrad", .brief = "gradient of MaxPool" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "y", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_POOL_ATTRS, TQ_INT("storage_order", 0) },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer_grad,
    .reference = reference_grad,
};
