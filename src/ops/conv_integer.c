/* Convolution of codes (ONNX ConvInteger-10), the accumulator of a true-quantised layer:
 *
 *   y = sum (x - x_zero_point) * (w - w_zero_point[m])        int32, modulo 2^32
 *
 *   x  [N, C, in...]  u8 or i8,   w  [M, C / G, kernel...]  u8 or i8
 *   x_zero_point  one element of x's dtype;  w_zero_point  one, or [M], of w's dtype
 *
 * Padding stands for real 0, so it counts as x_zero_point and adds nothing. */
#include "ops/conv_internal.h"

enum { X, W, X_ZERO_POINT, W_ZERO_POINT };

/** A zero point has the dtype of its operand and 1 or `channels` elements. */
static tq_status check_zero_point(const tq_op_types *t, int i, int operand, int64_t channels)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[operand]->dtype)));
    TQ_TRY(tq_op_need_rank(t, i, 0, 1));
    const int64_t n = tq_type_count(t->in[i]);
    if (n != TQ_DIM_ANY && n != 1 && n != channels)
        return tq_fail(TQ_ERR_SHAPE, "zero point at input %d is %s; expected 1 element%s", i,
                       tq_type_text(t->in[i]).s, channels == 1 ? "" : " or one per output channel");
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    for (int i = X; i <= W; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_CODES));
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    }
    tq_conv conv;
    TQ_TRY(tq_conv_read(t->attrs, t->in[X], t->in[W], &conv));
    TQ_TRY(check_zero_point(t, X_ZERO_POINT, X, 1));
    TQ_TRY(check_zero_point(t, W_ZERO_POINT, W, conv.out_channels));
    t->out[0] = tq_window_type(&conv.window, t->in[X], conv.out_channels);
    t->out[0].dtype = TQ_I32;
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_conv conv = tq_conv_of(run->attrs, run->in_types[X], run->in_types[W]);
    const bool w_zero = tq_run_has(run, W_ZERO_POINT), x_zero = tq_run_has(run, X_ZERO_POINT);
    const tq_dtype x_dtype = run->in_types[X]->dtype;
    tq_conv_integer_forward(
        run, &(tq_conv_integer){
                 .conv = &conv,
                 .x = run->in[X],
                 .w = run->in[W],
                 .x_dtype = x_dtype,
                 .w_dtype = run->in_types[W]->dtype,
                 .y = run->out[0],
                 .y_dtype = TQ_I32,
                 .x_zero_point = x_zero ? tq_load_i64(run->in[X_ZERO_POINT], x_dtype, 0) : 0,
                 .w_zero_point = w_zero ? run->in[W_ZERO_POINT] : NULL,
                 .n_w_zero_points = w_zero ? tq_type_count(run->in_types[W_ZERO_POINT]) : 0 });
}

tq_sum_bounds tq_conv_bounds(const tq_conv *conv, tq_interval x, const tq_tensor *w,
                             const int64_t *zero_points, int64_t n_zero_points, tq_interval w_range)
{
    for (int d = 0; d < TQ_WINDOW_AXES; d++)
        if (conv->window.pad_begin[d] > 0 || conv->window.pad_end[d] > 0 ||
            conv->window.in[d] == TQ_DIM_ANY) {
            x.lo = x.lo < 0 ? x.lo : 0;
            x.hi = x.hi > 0 ? x.hi : 0;
        }
    const int64_t n_taps =
        tq_dim_mul(conv->in_channels / conv->groups, tq_window_volume(conv->window.kernel));
    if (w)
        return tq_weight_rows_bounds(&(tq_weight_rows){ .w = w,
                                                        .n_rows = conv->out_channels,
                                                        .n_columns = n_taps,
                                                        .row_stride = n_taps,
                                                        .column_stride = 1,
                                                        .zero_points = zero_points,
                                                        .n_zero_points = n_zero_points },
                                     x);
    tq_sum_bounds sum = { 0 };
    tq_sum_bounds_add_n(&sum, x, w_range, n_taps);
    return sum;
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_conv conv = tq_conv_of(t->attrs, t->in[X], t->in[W]);
    tq_interval x = tq_bounds_of(b, X), w_range = tq_bounds_of(b, W);
    if (tq_op_has(t, X_ZERO_POINT)) {
        const tq_interval zero = tq_bounds_of(b, X_ZERO_POINT);
        x = (tq_interval){ x.lo - zero.hi, x.hi - zero.lo };
    }
    const int64_t *zero_points = NULL;
    int64_t n_zero_points = 0;
    const tq_tensor *known = t->in_known[W];
    if (tq_op_has(t, W_ZERO_POINT)) {
        const tq_interval zero = tq_bounds_of(b, W_ZERO_POINT);
        w_range = (tq_interval){ w_range.lo - zero.hi, w_range.hi - zero.lo };
        zero_points = tq_known_values(t, W_ZERO_POINT, &n_zero_points);
        known = zero_points ? known : NULL;
    }
    const tq_sum_bounds sum = tq_conv_bounds(&conv, x, known, zero_points, n_zero_points, w_range);
    tq_bounds_set_sum(b, &sum, 32);
    return TQ_OK;
}

const tq_op tq_op_conv_integer = {
    .entry = { .name = "ConvInteger",
               .brief = "convolution of 8-bit codes to int32",
               .source = "ONNX ConvInteger-10" },
    .flags = TQ_OP_INTEGER | TQ_OP_LINEAR,
    .inputs = { "x", "w", "?x_zero_point", "?w_zero_point" },
    .outputs = { "y" },
    .attrs = { TQ_CONV_ATTRS },
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
    .macs = tq_conv_op_macs,
};
