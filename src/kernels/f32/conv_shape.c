/* The geometry of the convolution operators. Conv(x, w, b) has y as the dst of its convolution; the
 * convolution that ConvTranspose(x, w, b) transposes maps y, its src, to x, its dst, so the
 * operator is that convolution's gradient by src. */
#include "kernels/f32/conv_internal.h"

#include <string.h>

const tq_conv_operator tq_conv_operators[TQ_N_CONV_OPERATORS] = {
    { "Conv", TQ_CONV_DST, { 0, 1, TQ_CONV_OUT }, true, false },
    { "ConvGradInput", TQ_CONV_SRC, { TQ_CONV_OUT, 1, 0 }, false, false },
    { "ConvGradWeight", TQ_CONV_WEIGHT, { 1, TQ_CONV_OUT, 0 }, false, false },
    { "ConvTranspose", TQ_CONV_SRC, { TQ_CONV_OUT, 1, 0 }, true, true },
    { "ConvTransposeGradInput", TQ_CONV_DST, { 0, 1, TQ_CONV_OUT }, false, true },
    { "ConvTransposeGradWeight", TQ_CONV_WEIGHT, { 0, TQ_CONV_OUT, 1 }, false, true },
};

const tq_conv_operator *tq_conv_operator_find(const tq_op *op)
{
    for (int i = 0; i < TQ_N_CONV_OPERATORS; i++)
        if (!strcmp(tq_conv_operators[i].name, op->entry.name))
            return &tq_conv_operators[i];
    return NULL;
}

static bool read_conv(const tq_attrs *attrs, const tq_type *const types[TQ_CONV_ROLES],
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

/** Only explicit pads. */
static bool read_transpose(const tq_attrs *attrs, const tq_type *const types[TQ_CONV_ROLES],
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

static const tq_type *type_of(const tq_conv_operator *op, const tq_op_run *run, int role)
{
    const int i = op->input[role];
    return i == TQ_CONV_OUT ? run->out_types[0] : run->in_types[i];
}

bool tq_conv_shape_read(const tq_conv_operator *op, const tq_op_run *run, tq_conv_shape *out_shape)
{
    const tq_type *types[TQ_CONV_ROLES];
    for (int role = 0; role < TQ_CONV_ROLES; role++) {
        types[role] = type_of(op, run, role);
        if (!types[role] || types[role]->dtype != TQ_F32 || types[role]->rank < 3 ||
            types[role]->rank > 4 || tq_type_count(types[role]) == 0)
            return false;
    }
    *out_shape = (tq_conv_shape){ .n = types[TQ_CONV_SRC]->dims[0],
                                  .groups = tq_attr_int(run->attrs, "group"),
                                  .ic = types[TQ_CONV_SRC]->dims[1],
                                  .oc = types[TQ_CONV_DST]->dims[1] };
    return op->is_transposed ? read_transpose(run->attrs, types, out_shape)
                             : read_conv(run->attrs, types, out_shape);
}

bool tq_conv_takes_half(const tq_conv_shape *shape)
{
    return shape->groups == 1 && shape->ic >= tq_block_size() &&
           (tq_cpu_flags() & TQ_CPU_AVX512BF16);
}

bool tq_conv_has_bias(const tq_conv_operator *op, const tq_op_run *run)
{
    return op->has_bias && run->n_in > 2 && run->in_types[2];
}
