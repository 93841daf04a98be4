/* Transposed convolution (ONNX ConvTranspose-22) and its gradients: the maps of Conv with the roles
 * of input and output exchanged,
 *
 *   y[n, c, i] = b[c] + sum_{m, o, k : o * stride - pad + k * dilation = i} w[m, c, k] * x[n, m, o]
 *
 *   x  [N, M, out...],  w  [M, C / G, kernel...],  b  [C] optional,  y  [N, C, in...]
 *   all f32; also i32 and i64 (conv_transpose_integer.c)
 *
 * in = stride * (out - 1) + output_padding + extent - pads, or as output_shape or auto_pad say. */
#include "ops/conv_internal.h"

enum { X, W, B };
enum { DY, W_IN, X_IN }; /* of ConvTransposeGradInput */
enum { DY_, X_W, W_W };  /* of ConvTransposeGradWeight */

static tq_type output_type(const tq_conv *conv, const tq_type *x)
{
    tq_type type = *x;
    type.dims[1] = conv->in_channels;
    for (int d = 0; d < conv->window.n_axes; d++)
        type.dims[2 + d] = conv->window.in[TQ_WINDOW_AXES - conv->window.n_axes + d];
    return type;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32) | TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_dtype(t, W, TQ_DTYPE_BIT(t->in[X]->dtype)));
    for (int i = X; i <= W; i++)
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    tq_conv conv;
    TQ_TRY(tq_conv_transpose_read(t->attrs, t->in[X], t->in[W], &conv));
    TQ_TRY(tq_conv_check_bias(t, B, conv.in_channels));
    t->out[0] = output_type(&conv, t->in[X]);
    return TQ_OK;
}

static tq_conv conv_of(const tq_attrs *attrs, const tq_type *x, const tq_type *w)
{
    tq_conv conv;
    const tq_status status = tq_conv_transpose_read(attrs, x, w, &conv);
    TQ_ASSERT(!status);
    return conv;
}

static void reference(const tq_op_run *run)
{
    const tq_conv conv = conv_of(run->attrs, run->in_types[X], run->in_types[W]);
    if (run->in_types[X]->dtype != TQ_F32) {
        tq_conv_transpose_integer(run, &conv);
        return;
    }
    tq_conv_grad_input(run, &(tq_conv_f32){ .conv = &conv,
                                            .y = run->in[X],
                                            .w = run->in[W],
                                            .bias = tq_run_has(run, B) ? run->in[B] : NULL,
                                            .out = run->out[0] });
}

static tq_status gradient(tq_grad *g)
{
    tq_value *x = tq_grad_input(g, X), *w = tq_grad_input(g, W), *dy = tq_grad_of_output(g, 0);
    TQ_TRY(tq_grad_emit(g, X, "ConvTransposeGradInput", dy, w, x));
    TQ_TRY(tq_grad_emit(g, W, "ConvTransposeGradWeight", dy, x, w));
    return tq_grad_input(g, B) ? tq_grad_emit_n(g, B, "ChannelSum", false, &dy, 1) : TQ_OK;
}

static int64_t macs(const tq_op_types *t)
{
    const tq_conv conv = conv_of(t->attrs, t->in[X], t->in[W]);
    return tq_dim_mul(t->in[X]->dims[0], tq_conv_macs(&conv));
}

static tq_status check_grad(const tq_op_types *t, int x, int w)
{
    for (int i = 0; i < 3; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    }
    tq_conv conv;
    TQ_TRY(tq_conv_transpose_read(t->attrs, t->in[x], t->in[w], &conv));
    const tq_type y = output_type(&conv, t->in[x]);
    for (int d = 0; d < y.rank; d++)
        if (t->in[DY]->rank != y.rank || !tq_dim_fits(t->in[DY]->dims[d], y.dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "dy is %s; the transposed convolution gives %s",
                           tq_type_text(t->in[DY]).s, tq_type_text(&y).s);
    return TQ_OK;
}

static tq_status infer_input(tq_op_types *t)
{
    TQ_TRY(check_grad(t, X_IN, W_IN));
    t->out[0] = *t->in[X_IN];
    return TQ_OK;
}

static tq_status infer_weight(tq_op_types *t)
{
    TQ_TRY(check_grad(t, X_W, W_W));
    t->out[0] = *t->in[W_W];
    return TQ_OK;
}

static void reference_input(const tq_op_run *run)
{
    const tq_conv conv = conv_of(run->attrs, run->in_types[X_IN], run->in_types[W_IN]);
    tq_conv_forward(
        run,
        &(tq_conv_f32){ .conv = &conv, .x = run->in[DY], .w = run->in[W_IN], .out = run->out[0] });
}

static void reference_weight(const tq_op_run *run)
{
    const tq_conv conv = conv_of(run->attrs, run->in_types[X_W], run->in_types[W_W]);
    tq_conv_grad_weight(
        run,
        &(tq_conv_f32){ .conv = &conv, .x = run->in[DY_], .y = run->in[X_W], .out = run->out[0] });
}

const tq_op tq_op_conv_transpose = {
    .entry = { .name = "ConvTranspose",
               .brief = "transposed convolution",
               .source = "ONNX ConvTranspose-22" },
    .flags = TQ_OP_LINEAR | TQ_OP_INTEGER,
    .inputs = { "x", "w", "?b" },
    .outputs = { "y" },
    .attrs = { TQ_CONV_TRANSPOSE_ATTRS },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_conv_transpose_integerise,
    .bounds = tq_conv_transpose_bounds,
    .macs = macs,
};

const tq_op tq_op_conv_transpose_grad_input = {
    .entry = { .name = "ConvTransposeGradInput",
               .brief = "gradient of a transposed convolution to its input" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "w", "x" },
    .outputs = { "dx" },
    .attrs = { TQ_CONV_TRANSPOSE_ATTRS },
    .infer = infer_input,
    .reference = reference_input,
};

const tq_op tq_op_conv_transpose_grad_weight = {
    .entry = { .name = "ConvTransposeGradWeight",
               .brief = "gradient of a transposed convolution to its weight" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "x", "w" },
    .outputs = { "dw" },
    .attrs = { TQ_CONV_TRANSPOSE_ATTRS },
    .infer = infer_weight,
    .reference = reference_weight,
};
