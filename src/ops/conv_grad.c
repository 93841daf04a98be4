/* The two gradients of Conv, each itself a convolution: with y = Conv(x, w),
 *
 *   dx[n, c, i] = sum_{m, o, k : o * stride - pad + k * dilation = i} w[m, c, k] * dy[n, m, o]
 *   dw[m, c, k] = sum_{n, o} dy[n, m, o] * x[n, c, o * stride - pad + k * dilation]
 *
 * Both take the operand whose gradient they are as last input, for its shape alone. */
#include "ops/conv_internal.h"

enum { DY, W, X };    /* of ConvGradInput */
enum { DY_, X_, W_ }; /* of ConvGradWeight */

/** Checks dy against the convolution of x and w. */
static tq_status check(const tq_op_types *t, int x, int w)
{
    for (int i = 0; i < 3; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    }
    tq_conv conv;
    TQ_TRY(tq_conv_read(t->attrs, t->in[x], t->in[w], &conv));
    const tq_type y = tq_window_type(&conv.window, t->in[x], conv.out_channels);
    for (int d = 0; d < y.rank; d++)
        if (t->in[DY]->rank != y.rank || !tq_dim_fits(t->in[DY]->dims[d], y.dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "dy is %s; the convolution gives %s",
                           tq_type_text(t->in[DY]).s, tq_type_text(&y).s);
    return TQ_OK;
}

static tq_status infer_input(tq_op_types *t)
{
    TQ_TRY(check(t, X, W));
    t->out[0] = *t->in[X];
    return TQ_OK;
}

static tq_status infer_weight(tq_op_types *t)
{
    TQ_TRY(check(t, X_, W_));
    t->out[0] = *t->in[W_];
    return TQ_OK;
}

static void reference_input(const tq_op_run *run)
{
    const tq_conv conv = tq_conv_of(run->attrs, run->in_types[X], run->in_types[W]);
    tq_conv_grad_input(
        run,
        &(tq_conv_f32){ .conv = &conv, .y = run->in[DY], .w = run->in[W], .out = run->out[0] });
}

static void reference_weight(const tq_op_run *run)
{
    const tq_conv conv = tq_conv_of(run->attrs, run->in_types[X_], run->in_types[W_]);
    tq_conv_grad_weight(
        run,
        &(tq_conv_f32){ .conv = &conv, .x = run->in[X_], .y = run->in[DY_], .out = run->out[0] });
}

/** As many as the convolution has. */
static int64_t macs_input(const tq_op_types *t)
{
    const tq_conv conv = tq_conv_of(t->attrs, t->in[X], t->in[W]);
    return tq_dim_mul(t->in[X]->dims[0], tq_conv_macs(&conv));
}

static int64_t macs_weight(const tq_op_types *t)
{
    const tq_conv conv = tq_conv_of(t->attrs, t->in[X_], t->in[W_]);
    return tq_dim_mul(t->in[X_]->dims[0], tq_conv_macs(&conv));
}

const tq_op tq_op_conv_grad_input = {
    .entry = { .name = "ConvGradInput", .brief = "gradient of a convolution to its input" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "w", "x" },
    .outputs = { "dx" },
    .attrs = { TQ_CONV_ATTRS },
    .infer = infer_input,
    .reference = reference_input,
    .macs = macs_input,
};

const tq_op tq_op_conv_grad_weight = {
    .entry = { .name = "ConvGradWeight", .brief = "gradient of a convolution to its weight" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "x", "w" },
    .outputs = { "dw" },
    .attrs = { TQ_CONV_ATTRS },
    .infer = infer_weight,
    .reference = reference_weight,
    .macs = macs_weight,
};
