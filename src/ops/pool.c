/* Windows of pools, one output at a time. Taps in the padding are left out: padding never wins a
 * maximum and adds nothing to a sum. */
#include "ops/pool_internal.h"

#include "ops/integer_rules_internal.h"

#include <math.h>

tq_status tq_pool_read(const tq_attrs *attrs, const tq_type *x, tq_window *out_window)
{
    TQ_TRY(tq_window_read(attrs, x, NULL, out_window));
    tq_auto_pad auto_pad;
    TQ_TRY(tq_auto_pad_read(attrs, &auto_pad));
    return auto_pad == TQ_AUTO_PAD_NOTSET ? tq_window_need_pads_inside(out_window) : TQ_OK;
}

tq_window tq_pool_of(const tq_attrs *attrs, const tq_type *x)
{
    tq_window window;
    const tq_status status = tq_pool_read(attrs, x, &window);
    TQ_ASSERT(!status);
    return window;
}

/** Output number as a position. */
static void position(const tq_window *w, int64_t out, int64_t at[TQ_WINDOW_AXES])
{
    at[2] = out % w->out[2];
    at[1] = out / w->out[2] % w->out[1];
    at[0] = out / w->out[2] / w->out[1];
}

tq_taps tq_taps_at(const tq_window *window, int64_t out)
{
    tq_taps taps;
    int64_t at[TQ_WINDOW_AXES];
    position(window, out, at);
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        int64_t begin, end;
        tq_window_taps(window, d, at[d], &begin, &end);
        taps.step[d] = window->dilation[d];
        taps.first[d] =
            at[d] * window->stride[d] - window->pad_begin[d] + begin * window->dilation[d];
        taps.n[d] = end - begin;
        taps.size[d] = window->in[d];
    }
    return taps;
}

tq_taps tq_taps_all(const tq_type *x)
{
    const int64_t n = tq_type_count_from(x, 2);
    return (tq_taps){ .step = { 1, 1, 1 }, .n = { 1, 1, n }, .size = { 1, 1, n } };
}

int64_t tq_pool_divisor(const tq_window *window, int64_t out, bool count_padding)
{
    if (!count_padding) {
        const tq_taps taps = tq_taps_at(window, out);
        return tq_taps_count(&taps);
    }
    int64_t at[TQ_WINDOW_AXES], divisor = 1;
    position(window, out, at);
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        const int64_t start = at[d] * window->stride[d] - window->pad_begin[d];
        const int64_t room = window->in[d] + window->pad_end[d] - start;
        const int64_t inside = (room + window->dilation[d] - 1) / window->dilation[d];
        divisor *= inside < window->kernel[d] ? inside : window->kernel[d];
    }
    return divisor;
}

double tq_taps_sum_f32(const tq_taps *t, const float *plane)
{
    double sum = 0.0;
    for (int64_t kd = 0; kd < t->n[0]; kd++)
        for (int64_t kh = 0; kh < t->n[1]; kh++) {
            const float *row = plane + tq_taps_row(t, kd, kh);
            for (int64_t kw = 0; kw < t->n[2]; kw++)
                sum += (double)row[kw * t->step[2]];
        }
    return sum;
}

static int64_t sum_row(const void *data, tq_dtype dtype, int64_t at, int64_t step, int64_t n)
{
    int64_t sum = 0;
    if (dtype == TQ_U8)
        for (int64_t i = 0; i < n; i++)
            sum += ((const uint8_t *)data)[at + i * step];
    else if (dtype == TQ_I8)
        for (int64_t i = 0; i < n; i++)
            sum += ((const int8_t *)data)[at + i * step];
    else
        for (int64_t i = 0; i < n; i++)
            sum += ((const int32_t *)data)[at + i * step];
    return sum;
}

int64_t tq_taps_sum_integer(const tq_taps *t, const void *data, tq_dtype dtype, int64_t plane_at)
{
    int64_t sum = 0;
    for (int64_t kd = 0; kd < t->n[0]; kd++)
        for (int64_t kh = 0; kh < t->n[1]; kh++)
            sum += sum_row(data, dtype, plane_at + tq_taps_row(t, kd, kh), t->step[2], t->n[2]);
    return sum;
}

/* One search for each dtype: v takes over when it is larger, or NaN (v != v). */
#define ARGMAX(name, type)                                                                         \
    static int64_t name(const tq_taps *t, const type *plane)                                       \
    {                                                                                              \
        int64_t best = -1;                                                                         \
        for (int64_t kd = 0; kd < t->n[0]; kd++)                                                   \
            for (int64_t kh = 0; kh < t->n[1]; kh++)                                               \
                for (int64_t kw = 0, at = tq_taps_row(t, kd, kh); kw < t->n[2];                    \
                     kw++, at += t->step[2]) {                                                     \
                    const type v = plane[at];                                                      \
                    if (best < 0 || v > plane[best] || v != v)                                     \
                        best = at;                                                                 \
                }                                                                                  \
        return best;                                                                               \
    }
ARGMAX(argmax_f32, float)
ARGMAX(argmax_f64, double)
ARGMAX(argmax_u8, uint8_t)
ARGMAX(argmax_i8, int8_t)
ARGMAX(argmax_i32, int32_t)
ARGMAX(argmax_i64, int64_t)

int64_t tq_taps_argmax(const tq_taps *t, const void *data, tq_dtype dtype, int64_t plane_at)
{
    switch (dtype) {
    case TQ_F32:
        return argmax_f32(t, (const float *)data + plane_at);
    case TQ_F64:
        return argmax_f64(t, (const double *)data + plane_at);
    case TQ_U8:
        return argmax_u8(t, (const uint8_t *)data + plane_at);
    case TQ_I8:
        return argmax_i8(t, (const int8_t *)data + plane_at);
    case TQ_I32:
        return argmax_i32(t, (const int32_t *)data + plane_at);
    default:
        return argmax_i64(t, (const int64_t *)data + plane_at);
    }
}

tq_type tq_global_type(const tq_type *x)
{
    tq_type type = *x;
    for (int d = 2; d < x->rank; d++)
        type.dims[d] = 1;
    return type;
}

/* ---- integer rules --------------------------------------------------------------------------- */

tq_status tq_pool_operand(tq_integerise *t, const tq_codes **out_codes, tq_value **out_value)
{
    TQ_TRY(tq_codes_affine(t, 0, out_codes));
    const tq_codes *x = *out_codes;
    if (x->n > 1 && x->axis != 1)
        return tq_int_refuse(t, "input has scales along axis %d; expected the channels", x->axis);
    *out_value = x->codes;
    const uint32_t fits = TQ_DTYPES_CODES | TQ_DTYPE_BIT(TQ_I32);
    if (fits & TQ_DTYPE_BIT(tq_value_type(x->codes)->dtype))
        return TQ_OK;
    return tq_codes_widen(t, x->codes, out_value);
}

void tq_pool_state_mean(tq_integerise *t, const tq_codes *x, tq_value *sums, double count,
                        tq_interval bounds)
{
    double *scale = TQ_NEW_N(tq_int_arena(t), double, x->n);
    for (int c = 0; c < x->n; c++)
        scale[c] = x->scale[c] / count;
    tq_codes y = *x;
    y.codes = sums;
    y.scale = scale;
    y.clip_lo = -INFINITY;
    y.clip_hi = INFINITY;
    y.lo = bounds.lo;
    y.hi = bounds.hi;
    tq_int_set(t, 0, &y);
}
