/* ConvTranspose on integers: the sum of conv_transpose.c on i32 or i64, modulo 2^32 or 2^64 (the
 * proof shows that it does not wrap). Codes are widened and their zero points taken off first,
 *
 *   y = sx sw[c] * ConvTranspose(qx - zx, qw - zw) + b[c],
 *
 * scale and bias lazy. Every output reads some of the taps, so each sum lies within the bounds of
 * its parts. */
#include "ops/conv_internal.h"
#include "ops/integer_rules_internal.h"

#include <math.h>

enum { X, W, B };

/* ---- reference ------------------------------------------------------------------------------- */

typedef struct job {
    const tq_op_run *run;
    const tq_conv *conv;
    tq_dtype dtype;
} job;

/** y[i * step] += w * x[i] for one row. */
static void add_row(const job *j, int64_t x, int64_t y, int64_t n, int64_t w)
{
    const int64_t step = j->conv->window.stride[2];
    if (j->dtype == TQ_I32) {
        const uint32_t *in = (const uint32_t *)j->run->in[X] + x;
        uint32_t *out = (uint32_t *)j->run->out[0] + y;
        for (int64_t i = 0; i < n; i++)
            out[i * step] += (uint32_t)w * in[i];
        return;
    }
    const uint64_t *in = (const uint64_t *)j->run->in[X] + x;
    uint64_t *out = (uint64_t *)j->run->out[0] + y;
    for (int64_t i = 0; i < n; i++)
        out[i * step] += (uint64_t)w * in[i];
}

static void add_tap(const job *j, int64_t x_plane, int64_t y_plane,
                    const int64_t tap[TQ_WINDOW_AXES], int64_t w)
{
    const tq_window *window = &j->conv->window;
    int64_t begin[TQ_WINDOW_AXES], end[TQ_WINDOW_AXES], at[TQ_WINDOW_AXES];
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        tq_window_outs(window, d, tap[d], &begin[d], &end[d]);
        at[d] = tap[d] * window->dilation[d] - window->pad_begin[d];
    }
    for (int64_t od = begin[0]; od < end[0]; od++)
        for (int64_t oh = begin[1]; oh < end[1]; oh++) {
            const int64_t id = od * window->stride[0] + at[0], ih = oh * window->stride[1] + at[1];
            const int64_t x = (od * window->out[1] + oh) * window->out[2] + begin[2];
            const int64_t y =
                (id * window->in[1] + ih) * window->in[2] + begin[2] * window->stride[2] + at[2];
            add_row(j, x_plane + x, y_plane + y, end[2] - begin[2], w);
        }
}

/** All taps of one plane of weights, `first` its first weight. */
static void add_kernel(const job *j, int64_t x_plane, int64_t y_plane, int64_t first)
{
    const tq_window *window = &j->conv->window;
    int64_t tap[TQ_WINDOW_AXES];
    for (tap[0] = 0; tap[0] < window->kernel[0]; tap[0]++)
        for (tap[1] = 0; tap[1] < window->kernel[1]; tap[1]++)
            for (tap[2] = 0; tap[2] < window->kernel[2]; tap[2]++)
                add_tap(j, x_plane, y_plane, tap, tq_load_i64(j->run->in[W], j->dtype, first++));
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    const tq_conv *c = j->conv;
    const int64_t y_size = tq_window_volume(c->window.in), x_size = tq_window_volume(c->window.out);
    const int64_t n_taps = tq_window_volume(c->window.kernel);
    const int64_t per_group = c->in_channels / c->groups, m_per_group = c->out_channels / c->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t n = plane / c->in_channels, channel = plane % c->in_channels;
        const int64_t group = channel / per_group;
        const int64_t start =
            tq_run_has(j->run, B) ? tq_load_i64(j->run->in[B], j->dtype, channel) : 0;
        for (int64_t i = 0; i < y_size; i++)
            tq_store_i64(j->run->out[0], j->dtype, plane * y_size + i, start);
        for (int64_t m = group * m_per_group; m < (group + 1) * m_per_group; m++)
            add_kernel(j, (n * c->out_channels + m) * x_size, plane * y_size,
                       (m * per_group + channel % per_group) * n_taps);
    }
}

void tq_conv_transpose_integer(const tq_op_run *run, const tq_conv *conv)
{
    job j = { .run = run, .conv = conv, .dtype = run->in_types[X]->dtype };
    tq_run_for(run, conv->batch * conv->in_channels, 1, planes, &j);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/** Sums over all taps of output channel c, weights w [M, C / groups, taps...] less zero points. */
static tq_sum_bounds channel_bounds(const tq_conv *conv, tq_interval x, const tq_tensor *w,
                                    int64_t c, int64_t zero_point)
{
    const int64_t n_taps = tq_window_volume(conv->window.kernel);
    const int64_t per_group = conv->in_channels / conv->groups;
    const int64_t m_per_group = conv->out_channels / conv->groups, group = c / per_group;
    tq_sum_bounds sum = { 0 };
    for (int64_t m = group * m_per_group; m < (group + 1) * m_per_group; m++)
        for (int64_t k = 0; k < n_taps; k++) {
            const int64_t at = (m * per_group + c % per_group) * n_taps + k;
            tq_sum_bounds_add(&sum, x, tq_load_i64(w->data, w->type.dtype, at) - zero_point);
        }
    sum.sum = sum.part;
    return sum;
}

static tq_sum_bounds all_bounds(const tq_conv *conv, tq_interval x, const tq_tensor *w,
                                const int64_t *zero_points, int n_zero_points)
{
    tq_sum_bounds all = { 0 };
    for (int64_t c = 0; c < conv->in_channels; c++) {
        const int64_t zero_point = zero_points ? zero_points[n_zero_points > 1 ? c : 0] : 0;
        const tq_sum_bounds one = channel_bounds(conv, x, w, c, zero_point);
        tq_sum_bounds_join(&all, &one, c == 0);
    }
    return all;
}

tq_status tq_conv_transpose_bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_tensor *w = t->in_known[W];
    tq_conv conv;
    TQ_TRY(tq_conv_transpose_read(t->attrs, t->in[X], t->in[W], &conv));
    if (!w)
        return TQ_OK; /* anything its dtype holds */
    tq_sum_bounds sum = all_bounds(&conv, tq_bounds_of(b, X), w, NULL, 0);
    if (tq_op_has(t, B))
        tq_sum_bounds_add_n(&sum, tq_bounds_of(b, B), (tq_interval){ 1, 1 }, 1);
    tq_bounds_set_sum(b, &sum, tq_accumulator_bits(t->in[X]->dtype));
    return TQ_OK;
}

/* ---- integer rule ---------------------------------------------------------------------------- */

typedef struct operands {
    const tq_codes *x;
    int64_t x_zero_point;
    tq_weight_codes w;
    const double *bias;
    tq_conv conv;
} operands;

static tq_status read_operands(tq_integerise *t, operands *o)
{
    TQ_TRY(tq_codes_grid(t, X, &o->x, &o->x_zero_point));
    TQ_TRY(tq_codes_weight(t, W, 1, &o->w));
    TQ_TRY(tq_conv_transpose_read(tq_node_attrs(tq_int_node(t)), tq_value_type(o->x->codes),
                                  &o->w.data->type, &o->conv));
    if (o->w.codes->n > 1 && o->conv.groups > 1)
        return tq_int_refuse(t,
                             "weight has a scale per channel and %lld groups; expected one scale",
                             (long long)o->conv.groups);
    return tq_codes_reals(t, B, "bias", o->conv.in_channels, &o->bias);
}

static tq_status emit(tq_integerise *t, const operands *o, tq_value **out)
{
    const tq_tensor *w = o->w.data;
    const int64_t n = tq_tensor_count(w), n_taps = tq_type_count_from(&w->type, 2);
    int64_t *values = TQ_NEW_N(tq_int_arena(t), int64_t, n + 1);
    for (int64_t i = 0; i < n; i++) {
        const int64_t c = o->w.codes->n > 1 ? i / n_taps % w->type.dims[1] : 0;
        values[i] = tq_load_i64(w->data, w->type.dtype, i) - o->w.zero_points[c];
    }
    tq_value *inputs[2];
    TQ_TRY(tq_codes_widen(t, o->x->codes, &inputs[0]));
    if (o->x_zero_point) {
        tq_value *zero;
        TQ_TRY(tq_codes_scalar(t, "x_zero_point", TQ_I32, o->x_zero_point, &zero));
        TQ_TRY(tq_int_emit(t, "Sub", (tq_value *[]){ inputs[0], zero }, 2, NULL, 0, &inputs[0]));
    }
    TQ_TRY(tq_int_add_constant(t, "w", TQ_I32, w->type.rank, w->type.dims, values, &inputs[1]));
    int n_attrs;
    const tq_attr *attrs = tq_codes_attrs(t, &n_attrs);
    return tq_int_emit(t, "ConvTranspose", inputs, 2, attrs, n_attrs, out);
}

tq_status tq_conv_transpose_integerise(tq_integerise *t)
{
    operands o;
    tq_value *sum;
    TQ_TRY(read_operands(t, &o));
    TQ_TRY(emit(t, &o, &sum));
    const int n = o.w.codes->n > 1 || o.bias ? (int)o.conv.in_channels : 1;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n);
    double *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int c = 0; c < n; c++) {
        scale[c] = o.x->scale[0] * o.w.codes->scale[o.w.codes->n > 1 ? c : 0];
        offset[c] = o.bias ? o.bias[c] : 0.0;
    }
    const tq_interval x = tq_interval_shift((tq_interval){ o.x->lo, o.x->hi }, -o.x_zero_point);
    const tq_sum_bounds bounds = all_bounds(&o.conv, x, o.w.data, o.w.zero_points, o.w.codes->n);
    tq_int_set(t, 0,
               &(tq_codes){ .codes = sum,
                            .axis = n > 1 ? 1 : -1,
                            .n = n,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = bounds.sum.lo,
                            .hi = bounds.sum.hi });
    return TQ_OK;
}
