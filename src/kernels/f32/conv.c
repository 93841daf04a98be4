/* Conv and its two gradients: y is the dst of the convolution. */
#include "kernels/f32/conv_internal.h"
#include "ops/ops.h"

static bool read(const tq_attrs *attrs, const tq_type *const types[TQ_CONV_ROLES],
                 tq_conv_shape *shape)
{
    tq_window window;
    const tq_status status =
        tq_window_read(attrs, types[TQ_CONV_SRC], types[TQ_CONV_WEIGHT]->dims + 2, &window);
    if (status) {
        tq_status_drop(status);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        shape->in[i] = window.in[i + 1];
        shape->out[i] = window.out[i + 1];
        shape->kernel[i] = window.kernel[i + 1];
        shape->stride[i] = window.stride[i + 1];
        shape->dilation[i] = window.dilation[i + 1];
        shape->pad_begin[i] = window.pad_begin[i + 1];
        shape->pad_end[i] = window.pad_end[i + 1];
    }
    return true;
}

static const tq_conv_operator conv = {
    .computes = TQ_CONV_DST, .input = { 0, 1, TQ_CONV_OUT }, .has_bias = true, .read = read
};
static const tq_conv_operator grad_input = { .computes = TQ_CONV_SRC,
                                             .input = { TQ_CONV_OUT, 1, 0 },
                                             .read = read };
static const tq_conv_operator grad_weight = { .computes = TQ_CONV_WEIGHT,
                                              .input = { 1, TQ_CONV_OUT, 0 },
                                              .read = read };

static bool accepts_conv(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&conv, r);
}
static bool accepts_grad_input(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&grad_input, r);
}
static bool accepts_grad_weight(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&grad_weight, r);
}

static tq_status prepare_conv(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&conv, r, state);
}
static tq_status prepare_grad_input(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&grad_input, r, state);
}
static tq_status prepare_grad_weight(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&grad_weight, r, state);
}

const tq_kernel tq_kernel_f32_conv = {
    .entry = { .name = "Conv", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_conv,
    .prepare = prepare_conv,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};

const tq_kernel tq_kernel_f32_conv_grad_input = {
    .entry = { .name = "ConvGradInput", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_grad_input,
    .prepare = prepare_grad_input,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};

const tq_kernel tq_kernel_f32_conv_grad_weight = {
    .entry = { .name = "ConvGradWeight", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_grad_weight,
    .prepare = prepare_grad_weight,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};
