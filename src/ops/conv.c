/* Convolution (ONNX Conv-22) over 1 to 3 axes, with groups, dilations and any padding.
 *
 *   y[n, m, o] = b[m] + sum_{c, k} w[m, c, k] * x[n, g C/G + c, o * stride - pad + k * dilation]
 *
 *   x  [N, C, in...]          f32; also i32 and i64 (sums modulo 2^32, 2^64)
 *   w  [M, C / G, kernel...]
 *   b  [M]                    optional
 *
 * dx and dw are ConvGradInput and ConvGradWeight, db is the sum of dy over all but its channels. */
#include "ops/conv_internal.h"

enum { X, W, B };

static const uint32_t dtypes = TQ_DTYPE_BIT(TQ_F32) | TQ_DTYPES_WIDE;

tq_status tq_conv_check_bias(const tq_op_types *t, int i, int64_t channels)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[0]->dtype)));
    if (t->in[i]->rank != 1 || !tq_dim_fits(t->in[i]->dims[0], channels))
        return tq_fail(TQ_ERR_SHAPE, "bias is %s; expected %lld elements", tq_type_text(t->in[i]).s,
                       (long long)channels);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, dtypes));
    TQ_TRY(tq_op_need_rank(t, X, 3, 5));
    TQ_TRY(tq_op_need_dtype(t, W, TQ_DTYPE_BIT(t->in[X]->dtype)));
    TQ_TRY(tq_op_need_rank(t, W, 3, 5));
    tq_conv conv;
    TQ_TRY(tq_conv_read(t->attrs, t->in[X], t->in[W], &conv));
    TQ_TRY(tq_conv_check_bias(t, B, conv.out_channels));
    t->out[0] = tq_window_type(&conv.window, t->in[X], conv.out_channels);
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_conv conv = tq_conv_of(run->attrs, run->in_types[X], run->in_types[W]);
    const tq_dtype dtype = run->in_types[X]->dtype;
    const void *bias = tq_run_has(run, B) ? run->in[B] : NULL;
    if (dtype == TQ_F32)
        tq_conv_forward(run, &(tq_conv_f32){ .conv = &conv,
                                             .x = run->in[X],
                                             .w = run->in[W],
                                             .bias = bias,
                                             .out = run->out[0] });
    else
        tq_conv_integer_forward(run, &(tq_conv_integer){ .conv = &conv,
                                                         .x = run->in[X],
                                                         .w = run->in[W],
                                                         .bias = bias,
                                                         .x_dtype = dtype,
                                                         .w_dtype = dtype,
                                                         .y = run->out[0],
                                                         .y_dtype = dtype });
}

static tq_status gradient(tq_grad *g)
{
    tq_value *x = tq_grad_input(g, X), *w = tq_grad_input(g, W), *dy = tq_grad_of_output(g, 0);
    TQ_TRY(tq_grad_emit(g, X, "ConvGradInput", dy, w, x));
    TQ_TRY(tq_grad_emit(g, W, "ConvGradWeight", dy, x, w));
    return tq_grad_input(g, B) ? tq_grad_emit_n(g, B, "ChannelSum", false, &dy, 1) : TQ_OK;
}

int64_t tq_conv_op_macs(const tq_op_types *t)
{
    const tq_conv conv = tq_conv_of(t->attrs, t->in[X], t->in[W]);
    return tq_dim_mul(t->in[X]->dims[0], tq_conv_macs(&conv));
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_conv conv = tq_conv_of(t->attrs, t->in[X], t->in[W]);
    const tq_interval none = { 0, 0 }, w_range = t->in_known[W] ? none : tq_bounds_of(b, W);
    tq_sum_bounds sum = tq_conv_bounds(&conv, tq_bounds_of(b, X), t->in_known[W], NULL, 0, w_range);
    if (tq_op_has(t, B)) {
        const tq_interval bias = tq_bounds_of(b, B);
        tq_sum_bounds_add_n(&sum, bias, (tq_interval){ 1, 1 }, 1);
    }
    tq_bounds_set_sum(b, &sum, tq_accumulator_bits(t->in[X]->dtype));
    return TQ_OK;
}

const tq_op tq_op_conv = {
    .entry = { .name = "Conv", .brief = "convolution over 1 to 3 axes", .source = "ONNX Conv-22" },
    .flags = TQ_OP_LINEAR | TQ_OP_INTEGER,
    .inputs = { "x", "w", "?b" },
    .outputs = { "y" },
    .attrs = { TQ_CONV_ATTRS },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_conv_integerise,
    .bounds = bounds,
    .macs = tq_conv_op_macs,
};
