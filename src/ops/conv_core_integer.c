/* Direct convolution of integers: the loops of conv_core.c on codes. Arithmetic is modulo 2^32 (or
 * 2^64 for i64), in unsigned words, so that every order of summation gives the same bits. */
#include "ops/conv_core_internal.h"

typedef struct integer_pair {
    const tq_conv_integer *a;
    int64_t x_plane, y_plane; /* first elements */
    uint64_t w;
} integer_pair;

/** y[i] += w * (x[i * step] - zero_point) for one row. */
static void add_row(const integer_pair *p, int64_t x, int64_t y, int64_t n)
{
    const tq_conv_integer *a = p->a;
    const int64_t step = a->conv->window.stride[2];
    uint32_t *y32 = (uint32_t *)a->y + y;
    uint64_t *y64 = (uint64_t *)a->y + y;
    const uint32_t w = (uint32_t)p->w, zero = (uint32_t)a->x_zero_point;
    if (a->x_dtype == TQ_U8 && a->y_dtype == TQ_I32)
        for (int64_t i = 0; i < n; i++)
            y32[i] += w * (((const uint8_t *)a->x)[x + i * step] - zero);
    else if (a->x_dtype == TQ_I8 && a->y_dtype == TQ_I32)
        for (int64_t i = 0; i < n; i++)
            y32[i] += w * ((uint32_t)((const int8_t *)a->x)[x + i * step] - zero);
    else if (a->x_dtype == TQ_I32 && a->y_dtype == TQ_I32)
        for (int64_t i = 0; i < n; i++)
            y32[i] += w * (((const uint32_t *)a->x)[x + i * step] - zero);
    else
        for (int64_t i = 0; i < n; i++)
            y64[i] +=
                p->w * (uint64_t)(tq_load_i64(a->x, a->x_dtype, x + i * step) - a->x_zero_point);
}

/** Every row of outputs whose tap lies inside x. */
static void add_tap(const integer_pair *p, const int64_t tap[TQ_WINDOW_AXES])
{
    const tq_window *w = &p->a->conv->window;
    int64_t begin[TQ_WINDOW_AXES], end[TQ_WINDOW_AXES], at[TQ_WINDOW_AXES];
    for (int d = 0; d < TQ_WINDOW_AXES; d++) {
        tq_window_outs(w, d, tap[d], &begin[d], &end[d]);
        at[d] = tap[d] * w->dilation[d] - w->pad_begin[d];
    }
    for (int64_t od = begin[0]; od < end[0]; od++)
        for (int64_t oh = begin[1]; oh < end[1]; oh++) {
            const int64_t xd = od * w->stride[0] + at[0], xh = oh * w->stride[1] + at[1];
            const int64_t x = (xd * w->in[1] + xh) * w->in[2] + begin[2] * w->stride[2] + at[2];
            const int64_t y = (od * w->out[1] + oh) * w->out[2] + begin[2];
            add_row(p, p->x_plane + x, p->y_plane + y, end[2] - begin[2]);
        }
}

static int64_t weight_zero_point(const tq_conv_integer *a, int64_t m)
{
    return a->w_zero_point
               ? tq_load_i64(a->w_zero_point, a->w_dtype, a->n_w_zero_points > 1 ? m : 0)
               : 0;
}

/** All taps of one plane of weights (m, ic), `first` its first weight. */
static void add_kernel(integer_pair *p, int64_t first, int64_t zero_point)
{
    const tq_window *w = &p->a->conv->window;
    int64_t tap[TQ_WINDOW_AXES];
    for (tap[0] = 0; tap[0] < w->kernel[0]; tap[0]++)
        for (tap[1] = 0; tap[1] < w->kernel[1]; tap[1]++)
            for (tap[2] = 0; tap[2] < w->kernel[2]; tap[2]++) {
                p->w = (uint64_t)(tq_load_i64(p->a->w, p->a->w_dtype, first++) - zero_point);
                if (p->w)
                    add_tap(p, tap);
            }
}

static void forward_planes(void *context, int64_t begin, int64_t end)
{
    const tq_conv_integer *a = context;
    const tq_conv *c = a->conv;
    const int64_t in_size = tq_window_volume(c->window.in),
                  out_size = tq_window_volume(c->window.out);
    const int64_t n_taps = tq_window_volume(c->window.kernel),
                  per_group = c->in_channels / c->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t n = plane / c->out_channels, m = plane % c->out_channels;
        const int64_t group = m / (c->out_channels / c->groups);
        const int64_t start = a->bias ? tq_load_i64(a->bias, a->y_dtype, m) : 0;
        const int64_t zero_point = weight_zero_point(a, m);
        integer_pair pair = { .a = a, .y_plane = plane * out_size };
        for (int64_t i = 0; i < out_size; i++)
            tq_store_i64(a->y, a->y_dtype, pair.y_plane + i, start);
        for (int64_t ic = 0; ic < per_group; ic++) {
            pair.x_plane = (n * c->in_channels + group * per_group + ic) * in_size;
            add_kernel(&pair, (m * per_group + ic) * n_taps, zero_point);
        }
    }
}

void tq_conv_integer_forward(const tq_op_run *run, const tq_conv_integer *arrays)
{
    const tq_conv *c = arrays->conv;
    tq_run_for(run, c->batch * c->out_channels, 1, forward_planes, (void *)arrays);
}
