/* Direct convolution. Every map visits the same triples (x, w, y): for output position o and tap k,
 *
 *   x position = o * stride - pad_begin + k * dilation,
 *
 * so the loops run over taps first and then over the rows of outputs for which the tap lies inside
 * x; a row is a contiguous run of y and a strided run of x. */
#include "ops/conv_core_internal.h"

#include <string.h>

/* ---- shapes ------------------------------------------------------------------------------- */

static tq_status check_groups(const tq_conv *conv, const tq_type *x, const tq_type *w)
{
    const int64_t per_group = w->dims[1];
    if (conv->groups < 1)
        return tq_fail(TQ_ERR_VALUE, "group is %lld; expected 1 or more", (long long)conv->groups);
    if (conv->in_channels != TQ_DIM_ANY &&
        !tq_dim_fits(tq_dim_mul(per_group, conv->groups), conv->in_channels))
        return tq_fail(TQ_ERR_SHAPE,
                       "weight %s takes %lld input channels in %lld groups, input %s has %lld",
                       tq_type_text(w).s, (long long)tq_dim_mul(per_group, conv->groups),
                       (long long)conv->groups, tq_type_text(x).s, (long long)conv->in_channels);
    if (conv->out_channels != TQ_DIM_ANY && conv->out_channels % conv->groups != 0)
        return tq_fail(TQ_ERR_SHAPE,
                       "weight %s has %lld output channels, not a multiple of %lld groups",
                       tq_type_text(w).s, (long long)conv->out_channels, (long long)conv->groups);
    return TQ_OK;
}

tq_status tq_conv_read(const tq_attrs *attrs, const tq_type *x, const tq_type *w, tq_conv *out_conv)
{
    if (w->rank != x->rank || x->rank < 3)
        return tq_fail(TQ_ERR_SHAPE,
                       "input is %s, weight is %s; expected [N, C, ...] and [M, C / group, ...]",
                       tq_type_text(x).s, tq_type_text(w).s);
    tq_conv conv = {
        .batch = x->dims[0],
        .groups = tq_attr_int(attrs, "group"),
        .in_channels = x->dims[1],
        .out_channels = w->dims[0],
    };
    TQ_TRY(check_groups(&conv, x, w));
    if (conv.in_channels == TQ_DIM_ANY)
        conv.in_channels = tq_dim_mul(w->dims[1], conv.groups);
    TQ_TRY(tq_window_read(attrs, x, w->dims + 2, &conv.window));
    *out_conv = conv;
    return TQ_OK;
}

tq_conv tq_conv_of(const tq_attrs *attrs, const tq_type *x, const tq_type *w)
{
    tq_conv conv;
    const tq_status status = tq_conv_read(attrs, x, w, &conv);
    TQ_ASSERT(!status);
    return conv;
}

/** Splits the padding that makes the output `size` long. */
static void pad_for_size(tq_window *w, int d, int64_t size, int64_t natural, bool upper)
{
    const int64_t total = natural > size ? natural - size : 0;
    w->pad_begin[d] = upper ? total / 2 : total - total / 2;
    w->pad_end[d] = total - w->pad_begin[d];
    w->in[d] = size;
}

/** out = stride * (in - 1) + output_padding + extent - pads, or as output_shape or auto_pad say. */
static tq_status place_transposed(const tq_attrs *attrs, tq_auto_pad auto_pad, tq_window *w, int d)
{
    const int axis = d - (TQ_WINDOW_AXES - w->n_axes);
    const int64_t extra = axis < 0 ? 0 : tq_attr_int_at(attrs, "output_padding", axis, 0);
    if (extra < 0 || (extra >= w->stride[d] && extra >= w->dilation[d]))
        return tq_fail(TQ_ERR_VALUE, "output_padding is %lld; expected less than the stride",
                       (long long)extra);
    if (w->out[d] == TQ_DIM_ANY) {
        w->in[d] = TQ_DIM_ANY;
        return TQ_OK;
    }
    const int64_t natural =
        tq_dim_mul(w->stride[d], w->out[d] - 1) + extra + (w->kernel[d] - 1) * w->dilation[d] + 1;
    const int64_t size = axis < 0 ? 0 : tq_attr_int_at(attrs, "output_shape", axis, 0);
    const bool upper = auto_pad == TQ_AUTO_PAD_SAME_UPPER;
    if (size > 0)
        pad_for_size(w, d, size, natural, upper);
    else if (auto_pad >= TQ_AUTO_PAD_SAME_UPPER)
        pad_for_size(w, d, tq_dim_mul(w->stride[d], w->out[d]), natural, upper);
    else
        w->in[d] = natural - w->pad_begin[d] - w->pad_end[d];
    if (w->in[d] < 1)
        return tq_fail(TQ_ERR_SHAPE, "output would have size %lld along axis %d",
                       (long long)w->in[d], axis + 2);
    return TQ_OK;
}

tq_status tq_conv_transpose_read(const tq_attrs *attrs, const tq_type *y, const tq_type *w,
                                 tq_conv *out_conv)
{
    if (w->rank != y->rank || y->rank < 3)
        return tq_fail(TQ_ERR_SHAPE,
                       "input is %s, weight is %s; expected [N, C, ...] and [C, M / group, ...]",
                       tq_type_text(y).s, tq_type_text(w).s);
    tq_conv conv = {
        .batch = y->dims[0],
        .groups = tq_attr_int(attrs, "group"),
        .out_channels = y->dims[1],
    };
    if (!tq_dim_fits(conv.out_channels, w->dims[0]))
        return tq_fail(TQ_ERR_SHAPE, "weight %s takes %lld input channels, input %s has %lld",
                       tq_type_text(w).s, (long long)w->dims[0], tq_type_text(y).s,
                       (long long)conv.out_channels);
    conv.out_channels = tq_dim_known(conv.out_channels, w->dims[0]);
    conv.in_channels = tq_dim_mul(w->dims[1], conv.groups);
    TQ_TRY(check_groups(&conv, y, w));
    tq_auto_pad auto_pad;
    TQ_TRY(tq_auto_pad_read(attrs, &auto_pad));
    TQ_TRY(tq_window_read_attributes(attrs, y, w->dims + 2, &conv.window));
    memcpy(conv.window.out, conv.window.in, sizeof conv.window.in);
    for (int d = 0; d < TQ_WINDOW_AXES; d++)
        TQ_TRY(place_transposed(attrs, auto_pad, &conv.window, d));
    *out_conv = conv;
    return TQ_OK;
}

int64_t tq_conv_macs(const tq_conv *conv)
{
    const int64_t taps =
        tq_dim_mul(tq_window_volume(conv->window.kernel), conv->in_channels / conv->groups);
    return tq_dim_mul(tq_dim_mul(taps, conv->out_channels), tq_window_volume(conv->window.out));
}

/* ---- rows ----------------------------------------------------------------------------------- */

/** One run of triples: x[i * x_step], y[i] for i < n share one weight. */
typedef struct row {
    int64_t x, y, n; /* element offsets inside the planes */
} row;

typedef void row_visitor(void *context, const row *r);

/** Calls `visit` for each row of outputs whose tap (kd, kh, kw) lies inside x. */
static inline void each_row(const tq_window *w, const int64_t tap[TQ_WINDOW_AXES],
                            row_visitor *visit, void *context)
{
    int64_t begin[TQ_WINDOW_AXES], end[TQ_WINDOW_AXES], at[TQ_WINDOW_AXES];
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        tq_window_outs(w, d, tap[d], &begin[d], &end[d]);
        at[d] = tap[d] * w->dilation[d] - w->pad_begin[d];
    }
    if (begin[2] == end[2])
        return;
    for (int64_t od = begin[0]; od < end[0]; od++)
        for (int64_t oh = begin[1]; oh < end[1]; oh++) {
            const int64_t xd = od * w->stride[0] + at[0], xh = oh * w->stride[1] + at[1];
            visit(context,
                  &(row){
                      .x = (xd * w->in[1] + xh) * w->in[2] + begin[2] * w->stride[2] + at[2],
                      .y = (od * w->out[1] + oh) * w->out[2] + begin[2],
                      .n = end[2] - begin[2],
                  });
        }
}

/** Tap number t as (kd, kh, kw). */
static void tap_at(const tq_window *w, int64_t t, int64_t tap[TQ_WINDOW_AXES])
{
    tap[2] = t % w->kernel[2];
    tap[1] = t / w->kernel[2] % w->kernel[1];
    tap[0] = t / w->kernel[2] / w->kernel[1];
}

/* ---- f32 ------------------------------------------------------------------------------------ */

typedef struct f32_pair {
    const float *in;
    float *out;
    int64_t x_step;
    float w;
    double sum;
} f32_pair;

static void row_forward(void *context, const row *r)
{
    const f32_pair *p = context;
    const float *x = p->in + r->x;
    float *y = p->out + r->y;
    const float w = p->w;
    if (p->x_step == 1) {
        for (int64_t i = 0; i < r->n; i++)
            y[i] += w * x[i];
        return;
    }
    for (int64_t i = 0; i < r->n; i++)
        y[i] += w * x[i * p->x_step];
}

static void row_grad_input(void *context, const row *r)
{
    const f32_pair *p = context;
    const float *y = p->in + r->y;
    float *x = p->out + r->x;
    for (int64_t i = 0; i < r->n; i++)
        x[i * p->x_step] += p->w * y[i];
}

static void row_grad_weight(void *context, const row *r)
{
    f32_pair *p = context;
    const float *x = p->in + r->x, *y = p->out + r->y;
    double sum = 0;
    for (int64_t i = 0; i < r->n; i++)
        sum += (double)x[i * p->x_step] * (double)y[i];
    p->sum += sum;
}

static void fill(float *plane, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i++)
        plane[i] = value;
}

/** Planes begin .. end-1 of y, numbered n * M + m. */
static void forward_planes(void *context, int64_t begin, int64_t end)
{
    const tq_conv_f32 *a = context;
    const tq_conv *c = a->conv;
    const tq_window *w = &c->window;
    const int64_t in_size = tq_window_volume(w->in), out_size = tq_window_volume(w->out);
    const int64_t n_taps = tq_window_volume(w->kernel), per_group = c->in_channels / c->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t n = plane / c->out_channels, m = plane % c->out_channels;
        const int64_t group = m / (c->out_channels / c->groups);
        f32_pair pair = { .out = a->out + plane * out_size, .x_step = w->stride[2] };
        fill(pair.out, out_size, a->bias ? a->bias[m] : 0.0f);
        for (int64_t ic = 0; ic < per_group; ic++) {
            pair.in = a->x + (n * c->in_channels + group * per_group + ic) * in_size;
            for (int64_t t = 0; t < n_taps; t++) {
                int64_t tap[TQ_WINDOW_AXES];
                tap_at(w, t, tap);
                pair.w = a->w[(m * per_group + ic) * n_taps + t];
                each_row(w, tap, row_forward, &pair);
            }
        }
    }
}

/** Planes begin .. end-1 of x, numbered n * C + c. */
static void grad_input_planes(void *context, int64_t begin, int64_t end)
{
    const tq_conv_f32 *a = context;
    const tq_conv *c = a->conv;
    const tq_window *w = &c->window;
    const int64_t in_size = tq_window_volume(w->in), out_size = tq_window_volume(w->out);
    const int64_t n_taps = tq_window_volume(w->kernel), per_group = c->in_channels / c->groups;
    const int64_t out_per_group = c->out_channels / c->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t n = plane / c->in_channels, ic = plane % c->in_channels;
        const int64_t group = ic / per_group;
        f32_pair pair = { .out = a->out + plane * in_size, .x_step = w->stride[2] };
        fill(pair.out, in_size, a->bias ? a->bias[ic] : 0.0f);
        for (int64_t m = group * out_per_group; m < (group + 1) * out_per_group; m++) {
            pair.in = a->y + (n * c->out_channels + m) * out_size;
            for (int64_t t = 0; t < n_taps; t++) {
                int64_t tap[TQ_WINDOW_AXES];
                tap_at(w, t, tap);
                pair.w = a->w[(m * per_group + ic % per_group) * n_taps + t];
                each_row(w, tap, row_grad_input, &pair);
            }
        }
    }
}

/** Kernels begin .. end-1 of w, numbered m * (C / groups) + c. */
static void grad_weight_planes(void *context, int64_t begin, int64_t end)
{
    const tq_conv_f32 *a = context;
    const tq_conv *c = a->conv;
    const tq_window *w = &c->window;
    const int64_t in_size = tq_window_volume(w->in), out_size = tq_window_volume(w->out);
    const int64_t n_taps = tq_window_volume(w->kernel), per_group = c->in_channels / c->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t m = plane / per_group;
        const int64_t ic = m / (c->out_channels / c->groups) * per_group + plane % per_group;
        for (int64_t t = 0; t < n_taps; t++) {
            int64_t tap[TQ_WINDOW_AXES];
            tap_at(w, t, tap);
            f32_pair pair = { .x_step = w->stride[2] };
            for (int64_t n = 0; n < c->batch; n++) {
                pair.in = a->x + (n * c->in_channels + ic) * in_size;
                pair.out = (float *)a->y + (n * c->out_channels + m) * out_size;
                each_row(w, tap, row_grad_weight, &pair);
            }
            a->out[plane * n_taps + t] = (float)pair.sum;
        }
    }
}

void tq_conv_forward(const tq_op_run *run, const tq_conv_f32 *arrays)
{
    const tq_conv *c = arrays->conv;
    tq_run_for(run, c->batch * c->out_channels, 1, forward_planes, (void *)arrays);
}

void tq_conv_grad_input(const tq_op_run *run, const tq_conv_f32 *arrays)
{
    const tq_conv *c = arrays->conv;
    tq_run_for(run, c->batch * c->in_channels, 1, grad_input_planes, (void *)arrays);
}

void tq_conv_grad_weight(const tq_op_run *run, const tq_conv_f32 *arrays)
{
    const tq_conv *c = arrays->conv;
    tq_run_for(run, c->out_channels * (c->in_channels / c->groups), 1, grad_weight_planes,
               (void *)arrays);
}
