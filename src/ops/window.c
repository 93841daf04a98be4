/* Geometry of sliding windows (ONNX Conv, MaxPool, AveragePool; operator schemas of opset 22):
 *
 *   out = floor((in + pad_begin + pad_end - ((kernel - 1) * dilation + 1)) / stride) + 1
 *
 * with ceil instead of floor in ceil_mode, where a window that would start in the end padding is
 * dropped. SAME_UPPER and SAME_LOWER make out = ceil(in / stride) and put the odd element of
 * padding at the end or at the beginning. */
#include "ops/ops.h"

#include <string.h>

/** Sizes beyond this are nonsense; products of two of them still fit 64 bits. */
static const int64_t size_max = INT32_MAX;

/** n_axes values of attribute `name`, each in [min, 2^31), or `otherwise` when it is absent. */
static tq_status read_sizes(const tq_attrs *attrs, const char *name, int n_axes, int64_t min,
                            int64_t otherwise, int64_t *out_sizes)
{
    int n;
    const int64_t *values = tq_attr_ints(attrs, name, &n);
    if (n != 0 && n != n_axes)
        return tq_fail(TQ_ERR_VALUE, "%s has %d values; expected %d", name, n, n_axes);
    for (int d = 0; d < n_axes; d++) {
        out_sizes[d] = n ? values[d] : otherwise;
        if (out_sizes[d] < min || out_sizes[d] > size_max)
            return tq_fail(TQ_ERR_VALUE, "%s has value %lld; expected %lld or more", name,
                           (long long)out_sizes[d], (long long)min);
    }
    return TQ_OK;
}

static tq_status read_kernel(const tq_attrs *attrs, const int64_t *kernel, int n_axes,
                             int64_t *out_kernel)
{
    int n;
    tq_attr_ints(attrs, "kernel_shape", &n);
    if (n == 0 && !kernel)
        return tq_fail(TQ_ERR_VALUE, "attribute kernel_shape is missing");
    TQ_TRY(read_sizes(attrs, "kernel_shape", n_axes, 1, 1, out_kernel));
    for (int d = 0; d < n_axes && kernel; d++) {
        if (n && kernel[d] != TQ_DIM_ANY && kernel[d] != out_kernel[d])
            return tq_fail(TQ_ERR_SHAPE, "kernel_shape[%d] is %lld, weight has %lld", d,
                           (long long)out_kernel[d], (long long)kernel[d]);
        if (!n)
            out_kernel[d] = kernel[d];
        if (out_kernel[d] < 1 || out_kernel[d] > size_max)
            return tq_fail(TQ_ERR_SHAPE, "weight has kernel size %lld; expected 1 or more",
                           (long long)out_kernel[d]);
    }
    return TQ_OK;
}

static int64_t extent(const tq_window *w, int axis)
{
    return (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/** out and padding of SAME_UPPER and SAME_LOWER. */
static void place_same(tq_window *w, int axis, bool upper)
{
    w->out[axis] = (w->in[axis] + w->stride[axis] - 1) / w->stride[axis];
    int64_t pad = (w->out[axis] - 1) * w->stride[axis] + extent(w, axis) - w->in[axis];
    pad = pad < 0 ? 0 : pad;
    w->pad_begin[axis] = upper ? pad / 2 : pad - pad / 2;
    w->pad_end[axis] = pad - w->pad_begin[axis];
}

static tq_status place(tq_window *w, int axis, bool ceil_mode)
{
    const int64_t room = w->in[axis] + w->pad_begin[axis] + w->pad_end[axis] - extent(w, axis);
    if (room < 0)
        return tq_fail(TQ_ERR_SHAPE, "window of %lld is wider than the padded input of %lld",
                       (long long)extent(w, axis), (long long)(room + extent(w, axis)));
    const int64_t stride = w->stride[axis];
    w->out[axis] = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if ((w->out[axis] - 1) * stride >= w->in[axis] + w->pad_begin[axis] && w->out[axis] > 1)
        w->out[axis]--;
    return TQ_OK;
}

/** Moves what was read for n_axes to the end of the three axes; those in front have size 1. */
static void align(int64_t *sizes, int n_axes, int64_t fill)
{
    const int shift = TQ_WINDOW_AXES - n_axes;
    memmove(sizes + shift, sizes, (size_t)n_axes * sizeof *sizes);
    for (int d = 0; d < shift; d++)
        sizes[d] = fill;
}

static tq_status read_attributes(const tq_attrs *attrs, const int64_t *kernel, tq_window *w)
{
    int64_t pads[2 * TQ_WINDOW_AXES];
    const int n = w->n_axes;
    TQ_TRY(read_kernel(attrs, kernel, n, w->kernel));
    TQ_TRY(read_sizes(attrs, "strides", n, 1, 1, w->stride));
    TQ_TRY(read_sizes(attrs, "dilations", n, 1, 1, w->dilation));
    TQ_TRY(read_sizes(attrs, "pads", 2 * n, 0, 0, pads));
    memcpy(w->pad_begin, pads, (size_t)n * sizeof *pads);
    memcpy(w->pad_end, pads + n, (size_t)n * sizeof *pads);
    align(w->kernel, n, 1);
    align(w->stride, n, 1);
    align(w->dilation, n, 1);
    align(w->pad_begin, n, 0);
    align(w->pad_end, n, 0);
    return TQ_OK;
}

tq_status tq_auto_pad_read(const tq_attrs *attrs, tq_auto_pad *out_auto_pad)
{
    static const char *const names[] = { "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER" };
    const char *name = tq_attr_string(attrs, "auto_pad");
    *out_auto_pad = TQ_AUTO_PAD_NOTSET;
    if (!name || !*name)
        return TQ_OK;
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out_auto_pad = (tq_auto_pad)i;
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_VALUE,
                   "auto_pad is '%s'; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", name);
}

tq_status tq_window_read_attributes(const tq_attrs *attrs, const tq_type *x, const int64_t *kernel,
                                    tq_window *out_window)
{
    tq_window w = { .n_axes = x->rank - 2 };
    if (w.n_axes < 1 || w.n_axes > TQ_WINDOW_AXES)
        return tq_fail(TQ_ERR_UNSUPPORTED, "x is %s; windows over 1 to 3 axes are implemented",
                       tq_type_text(x).s);
    tq_auto_pad auto_pad;
    TQ_TRY(tq_auto_pad_read(attrs, &auto_pad));
    TQ_TRY(read_attributes(attrs, kernel, &w));
    const int first = TQ_WINDOW_AXES - w.n_axes;
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        w.in[d] = d < first ? 1 : x->dims[2 + d - first];
        if (w.in[d] > size_max)
            return tq_fail(TQ_ERR_SHAPE, "x is %s; expected fewer than 2^31 along an axis",
                           tq_type_text(x).s);
        if (auto_pad != TQ_AUTO_PAD_NOTSET)
            w.pad_begin[d] = w.pad_end[d] = 0;
    }
    *out_window = w;
    return TQ_OK;
}

tq_status tq_window_read(const tq_attrs *attrs, const tq_type *x, const int64_t *kernel,
                         tq_window *out_window)
{
    tq_window w;
    TQ_TRY(tq_window_read_attributes(attrs, x, kernel, &w));
    tq_auto_pad auto_pad;
    TQ_TRY(tq_auto_pad_read(attrs, &auto_pad));
    const bool ceil_mode = auto_pad == TQ_AUTO_PAD_NOTSET && tq_attr_int(attrs, "ceil_mode") != 0;
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        if (w.in[d] == TQ_DIM_ANY)
            w.out[d] = TQ_DIM_ANY;
        else if (auto_pad >= TQ_AUTO_PAD_SAME_UPPER)
            place_same(&w, d, auto_pad == TQ_AUTO_PAD_SAME_UPPER);
        else
            TQ_TRY(place(&w, d, ceil_mode));
    }
    *out_window = w;
    return TQ_OK;
}

tq_type tq_window_type(const tq_window *window, const tq_type *x, int64_t channels)
{
    tq_type type = *x;
    type.dims[1] = channels;
    for (int d = 0; d < window->n_axes; d++)
        type.dims[2 + d] = window->out[TQ_WINDOW_AXES - window->n_axes + d];
    return type;
}

int64_t tq_window_volume(const int64_t *sizes)
{
    int64_t volume = 1;
    for (int d = 0; d < TQ_WINDOW_AXES; d++)
        volume = tq_dim_mul(volume, sizes[d]);
    return volume;
}

/** ceil(a / b) for b > 0. */
static int64_t ceil_div(int64_t a, int64_t b)
{
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

void tq_window_taps(const tq_window *window, int axis, int64_t out, int64_t *out_begin,
                    int64_t *out_end)
{
    const int64_t start = out * window->stride[axis] - window->pad_begin[axis];
    const int64_t dilation = window->dilation[axis], kernel = window->kernel[axis];
    *out_begin = tq_clip_i64(ceil_div(-start, dilation), 0, kernel);
    *out_end = tq_clip_i64(ceil_div(window->in[axis] - start, dilation), *out_begin, kernel);
}

void tq_window_outs(const tq_window *window, int axis, int64_t k, int64_t *out_begin,
                    int64_t *out_end)
{
    const int64_t shift = window->pad_begin[axis] - k * window->dilation[axis];
    const int64_t stride = window->stride[axis], out = window->out[axis];
    *out_begin = tq_clip_i64(ceil_div(shift, stride), 0, out);
    *out_end = tq_clip_i64(ceil_div(window->in[axis] + shift, stride), *out_begin, out);
}

tq_status tq_window_need_pads_inside(const tq_window *window)
{
    for (int d = 0; d < TQ_WINDOW_AXES; d++)
        if (window->pad_begin[d] >= extent(window, d) || window->pad_end[d] >= extent(window, d))
            return tq_fail(TQ_ERR_VALUE,
                           "padding of %lld and %lld; expected less than the window of %lld",
                           (long long)window->pad_begin[d], (long long)window->pad_end[d],
                           (long long)extent(window, d));
    return TQ_OK;
}
