/* ConvTranspose and its two gradients: the convolution that it transposes maps y (src) to x (dst),
 * so the operator is that convolution's gradient by src. Only explicit pads. */
#include "kernels/f32/conv_internal.h"

#include <string.h>

/** pad_end follows from the sizes, so that output_padding is inside it. */
static bool read_axis(tq_conv_shape *shape, int axis, int64_t in, int64_t out, int64_t kernel)
{
    const int64_t extent = (kernel - 1) * shape->dilation[axis] + 1;
    const int64_t end = (out - 1) * shape->stride[axis] + extent - in - shape->pad_begin[axis];
    shape->in[axis] = in;
    shape->out[axis] = out;
    shape->kernel[axis] = kernel;
    shape->pad_end[axis] = end > 0 ? end : 0;
    return extent <= in + shape->pad_begin[axis] + shape->pad_end[axis];
}

static bool read(const tq_attrs *attrs, const tq_type *const types[TQ_CONV_ROLES],
                 tq_conv_shape *shape)
{
    const char *auto_pad = tq_attr_string(attrs, "auto_pad");
    if ((auto_pad && *auto_pad && strcmp(auto_pad, "NOTSET")) ||
        tq_attrs_has(attrs, "output_shape"))
        return false;
    const tq_type *src = types[TQ_CONV_SRC], *weight = types[TQ_CONV_WEIGHT],
                  *dst = types[TQ_CONV_DST];
    const int n_axes = src->rank - 2;
    for (int axis = 0; axis < 2; axis++) {
        const int d = axis - (2 - n_axes); /* 1d is one row of 2d */
        const bool real = d >= 0;
        shape->stride[axis] = real ? tq_attr_int_at(attrs, "strides", d, 1) : 1;
        shape->dilation[axis] = real ? tq_attr_int_at(attrs, "dilations", d, 1) : 1;
        shape->pad_begin[axis] = real ? tq_attr_int_at(attrs, "pads", d, 0) : 0;
        if (!read_axis(shape, axis, real ? src->dims[2 + d] : 1, real ? dst->dims[2 + d] : 1,
                       real ? weight->dims[2 + d] : 1))
            return false;
    }
    return true;
}

static const tq_conv_operator transpose = {
    .computes = TQ_CONV_SRC, .input = { TQ_CONV_OUT, 1, 0 }, .has_bias = true, .read = read
};
static const tq_conv_operator grad_input = { .computes = TQ_CONV_DST,
                                             .input = { 0, 1, TQ_CONV_OUT },
                                             .read = read };
static const tq_conv_operator grad_weight = { .computes = TQ_CONV_WEIGHT,
                                              .input = { 0, TQ_CONV_OUT, 1 },
                                              .read = read };

static bool accepts_transpose(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&transpose, r);
}
static bool accepts_grad_input(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&grad_input, r);
}
static bool accepts_grad_weight(const tq_op_run *r)
{
    return tq_conv_operator_accepts(&grad_weight, r);
}

static tq_status prepare_transpose(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&transpose, r, state);
}
static tq_status prepare_grad_input(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&grad_input, r, state);
}
static tq_status prepare_grad_weight(const tq_op_run *r, void **state)
{
    return tq_conv_operator_prepare(&grad_weight, r, state);
}

const tq_kernel tq_kernel_f32_conv_transpose = {
    .entry = { .name = "ConvTranspose", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_transpose,
    .prepare = prepare_transpose,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};

const tq_kernel tq_kernel_f32_conv_transpose_grad_input = {
    .entry = { .name = "ConvTransposeGradInput", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_grad_input,
    .prepare = prepare_grad_input,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};

const tq_kernel tq_kernel_f32_conv_transpose_grad_weight = {
    .entry = { .name = "ConvTransposeGradWeight", .brief = "onednn" },
    .needs = TQ_DNNL_NEEDS,
    .accepts = accepts_grad_weight,
    .prepare = prepare_grad_weight,
    .scratch_size = tq_conv_operator_scratch_size,
    .run = tq_conv_operator_run,
    .release = tq_conv_operator_release,
};
