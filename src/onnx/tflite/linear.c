/* CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED. Weights come as O, H, W, I
 * (depthwise: 1, H, W, O) and go as O, I, H, W; a bias is int32 on the scale sx sw[o], whatever the
 * file says of it, since that is what its kernels compute. */
#include "tflite.h"

#include <math.h>

enum {
    CONV_2D = 3,
    DEPTHWISE_CONV_2D = 4,
    FULLY_CONNECTED = 9,
    TRANSPOSE_CONV = 67,
    BATCH_MATMUL = 126,
};
enum { X, W, BIAS };
enum { MAX_STEP = 1 << 20 };

/* ---- what they share ---- */

static tq_status need_rank(const tq_tflite_builder *b, int i, int rank)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    if (!t)
        return tq_fail(TQ_ERR_FORMAT, "has no input %d", i);
    if (t->type.rank != rank || tq_type_count(&t->type) == 0)
        return tq_fail(TQ_ERR_FORMAT, "input %d is %s, expected %d axes", i,
                       tq_type_text(&t->type).s, rank);
    return TQ_OK;
}

/* sx sw[c], or 1 where a tensor is float. */
static double scale_at(const tq_tflite_tensor *t, int64_t c)
{
    return t->n_scales ? (double)t->scales[t->n_scales > 1 ? c : 0] : 1.0;
}

/* Input i as a float constant of n elements; *out NULL if there is none. `at_x` is the input that
 * it is on the scale of, together with the weight. */
static tq_status add_bias(tq_tflite_builder *b, int i, int at_x, int64_t n, tq_value **out)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i), *x = tq_tflite_input(b, at_x);
    const tq_tflite_tensor *w = tq_tflite_input(b, W);
    *out = NULL;
    if (!t)
        return TQ_OK;
    if (!t->data || tq_type_count(&t->type) != n)
        return tq_fail(TQ_ERR_FORMAT, "bias '%s' is %s%s, expected %lld constant elements", t->name,
                       t->data ? "" : "computed, ", tq_type_text(&t->type).s, (long long)n);
    const bool integer = t->type.dtype == TQ_I32 || t->type.dtype == TQ_I64;
    if (!integer || w->n_scales == 0)
        return tq_tflite_weight(b, i, &(tq_tflite_layout){ NULL, 1, &n, 0 }, out);
    tq_tensor real;
    const tq_type type = tq_type_make(TQ_F32, 1, &n);
    TQ_TRY(tq_tensor_init(&real, &type));
    for (int64_t c = 0; c < n; c++)
        ((float *)real.data)[c] = (float)((double)tq_load_i64(t->data, t->type.dtype, c) *
                                          scale_at(x, 0) * scale_at(w, c));
    const char *name = tq_arena_printf(b->arena, "%s.bias", b->name);
    const tq_status status = tq_graph_add_constant(b->graph, name, &real, out);
    tq_tensor_reset(&real);
    return status;
}

/* Strides, dilations and pads of a window. */
typedef struct window {
    int64_t same, strides[2], dilations[2], kernel[2], pads[4], activation;
} window;

static tq_status read_step(const tq_tflite_builder *b, int field, const char *what, int64_t *inout)
{
    TQ_TRY(tq_tflite_option(b, field, 4, inout));
    if (*inout < 1 || *inout > MAX_STEP)
        return tq_fail(TQ_ERR_FORMAT, "its %s is %lld", what, (long long)*inout);
    return TQ_OK;
}

static tq_status read_padding(const tq_tflite_builder *b, int64_t *out_same)
{
    int64_t padding = 0;
    TQ_TRY(tq_tflite_option(b, 0, 1, &padding));
    if (padding != 0 && padding != 1)
        return tq_fail(TQ_ERR_FORMAT, "its padding is %lld", (long long)padding);
    *out_same = padding == 0;
    return TQ_OK;
}

/* Steps of 1 without padding on images of a batch are dilated steps on the one image. */
static tq_status space_out(const tq_tflite_builder *b, window *w)
{
    const tq_tflite_spacing *spacing = &b->op->spacing;
    if (!spacing->known)
        return TQ_OK;
    for (int d = 0; d < 2; d++) {
        if (w->same || w->strides[d] != 1 || w->dilations[d] != 1)
            return tq_fail(TQ_ERR_UNSUPPORTED, "between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND "
                                               "it has steps or padding of its own");
        w->dilations[d] = spacing->block[d];
        w->pads[d] = spacing->pads[d];
        w->pads[2 + d] = spacing->pads[2 + d];
    }
    return TQ_OK;
}

/* Fields: padding, stride_w, stride_h, then by kind. `dilation` is the field of dilation_w. */
static tq_status read_window(const tq_tflite_builder *b, int activation, int dilation, window *w)
{
    const tq_type *x = &tq_tflite_input(b, X)->type, *k = &tq_tflite_input(b, W)->type;
    *w = (window){ .dilations = { 1, 1 }, .kernel = { k->dims[1], k->dims[2] } };
    TQ_TRY(read_padding(b, &w->same));
    TQ_TRY(read_step(b, 1, "horizontal stride", &w->strides[1]));
    TQ_TRY(read_step(b, 2, "vertical stride", &w->strides[0]));
    TQ_TRY(tq_tflite_option(b, activation, 1, &w->activation));
    TQ_TRY(read_step(b, dilation, "horizontal dilation", &w->dilations[1]));
    TQ_TRY(read_step(b, dilation + 1, "vertical dilation", &w->dilations[0]));
    for (int d = 0; d < 2; d++) {
        if (w->kernel[d] > MAX_STEP)
            return tq_fail(TQ_ERR_FORMAT, "its weight is %s", tq_type_text(k).s);
        tq_tflite_pads(w->same, x->dims[1 + d], w->kernel[d], w->strides[d], w->dilations[d],
                       &w->pads[d], &w->pads[2 + d]);
    }
    return space_out(b, w);
}

static tq_status emit_conv(tq_tflite_builder *b, const window *w, int64_t group, tq_value **inputs)
{
    tq_value *y;
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, w->kernel),
                              TQ_INTS("strides", 2, w->strides), TQ_INTS("pads", 4, w->pads),
                              TQ_INTS("dilations", 2, w->dilations), TQ_INT("group", group) };
    TQ_TRY(tq_tflite_emit(b, "Conv", inputs, inputs[2] ? 3 : 2, attrs, TQ_COUNT(attrs), &y));
    TQ_TRY(tq_tflite_activate(b, w->activation, &y));
    return tq_tflite_set(b, 0, y, -1);
}

/* ---- convolutions ---- */

static tq_status conv(tq_tflite_builder *b)
{
    static const int perm[] = { 0, 3, 1, 2 };
    tq_value *inputs[3];
    window w;
    TQ_TRY(need_rank(b, X, 4));
    TQ_TRY(need_rank(b, W, 4));
    TQ_TRY(read_window(b, 3, 4, &w));
    const int64_t *k = tq_tflite_input(b, W)->type.dims;
    const int64_t channels = tq_tflite_input(b, X)->type.dims[3];
    if (channels % k[3] || k[0] % (channels / k[3]))
        return tq_fail(TQ_ERR_SHAPE, "input has %lld channels, its weight is %s",
                       (long long)channels, tq_type_text(&tq_tflite_input(b, W)->type).s);
    const tq_tflite_layout layout = { perm, 4, (int64_t[]){ k[0], k[3], k[1], k[2] }, 0 };
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_weight(b, W, &layout, &inputs[1]));
    TQ_TRY(add_bias(b, BIAS, X, k[0], &inputs[2]));
    return emit_conv(b, &w, channels / k[3], inputs);
}

/* 1, H, W, C m to C m, 1, H, W: output channel c m + j reads input channel c, as groups do. */
static tq_status depthwise_conv(tq_tflite_builder *b)
{
    static const int perm[] = { 3, 0, 1, 2 };
    tq_value *inputs[3];
    window w;
    TQ_TRY(need_rank(b, X, 4));
    TQ_TRY(need_rank(b, W, 4));
    TQ_TRY(read_window(b, 4, 5, &w));
    const int64_t *k = tq_tflite_input(b, W)->type.dims;
    const int64_t channels = tq_tflite_input(b, X)->type.dims[3];
    if (k[0] != 1 || k[3] % channels)
        return tq_fail(TQ_ERR_SHAPE, "input has %lld channels, its weight is %s",
                       (long long)channels, tq_type_text(&tq_tflite_input(b, W)->type).s);
    const tq_tflite_layout layout = { perm, 4, (int64_t[]){ k[3], 1, k[1], k[2] }, 0 };
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_weight(b, W, &layout, &inputs[1]));
    TQ_TRY(add_bias(b, BIAS, X, k[3], &inputs[2]));
    return emit_conv(b, &w, channels, inputs);
}

/* Inputs: shape of the output, weight O, H, W, I, x, bias. The pads are those of the convolution
 * that would go the other way. */
static tq_status transpose_conv(tq_tflite_builder *b)
{
    enum { T_W = W, T_X = 2, T_BIAS = 3 };
    static const int perm[] = { 3, 0, 1, 2 };
    tq_value *inputs[3] = { 0 }, *y;
    int64_t same = 0, strides[2] = { 0 }, pads[4], extra[2], activation = 0;
    TQ_TRY(need_rank(b, T_X, 4));
    TQ_TRY(need_rank(b, T_W, 4));
    TQ_TRY(read_padding(b, &same));
    TQ_TRY(read_step(b, 1, "horizontal stride", &strides[1]));
    TQ_TRY(read_step(b, 2, "vertical stride", &strides[0]));
    TQ_TRY(tq_tflite_option(b, 3, 1, &activation));
    const int64_t *k = tq_tflite_input(b, T_W)->type.dims, *x = tq_tflite_input(b, T_X)->type.dims;
    const tq_tflite_tensor *out = tq_tflite_output(b, 0);
    if (!out || out->type.rank != 4)
        return tq_fail(TQ_ERR_FORMAT, "needs an output of four axes");
    for (int d = 0; d < 2; d++) {
        tq_tflite_pads(same, out->type.dims[1 + d], k[1 + d], strides[d], 1, &pads[d],
                       &pads[2 + d]);
        extra[d] = out->type.dims[1 + d] -
                   ((x[1 + d] - 1) * strides[d] + k[1 + d] - pads[d] - pads[2 + d]);
        if (k[1 + d] > MAX_STEP || extra[d] < 0 || extra[d] >= strides[d])
            return tq_fail(TQ_ERR_SHAPE,
                           "its output is %s for an input of %lld and a window of %lld",
                           tq_type_text(&out->type).s, (long long)x[1 + d], (long long)k[1 + d]);
    }
    const tq_tflite_layout layout = { perm, 4, (int64_t[]){ k[3], k[0], k[1], k[2] }, 1 };
    TQ_TRY(tq_tflite_real(b, T_X, &inputs[0]));
    TQ_TRY(tq_tflite_weight(b, T_W, &layout, &inputs[1]));
    TQ_TRY(add_bias(b, T_BIAS, T_X, k[0], &inputs[2]));
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, &k[1]), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads), TQ_INTS("output_padding", 2, extra) };
    TQ_TRY(
        tq_tflite_emit(b, "ConvTranspose", inputs, inputs[2] ? 3 : 2, attrs, TQ_COUNT(attrs), &y));
    TQ_TRY(tq_tflite_activate(b, activation, &y));
    return tq_tflite_set(b, 0, y, -1);
}

/* ---- fully connected ---- */

/* The image that x is, or was before a flattening that is put off; NULL: there is none, or its rows
 * have not all of its elements. */
static tq_status image_of(tq_tflite_builder *b, int64_t columns, tq_value **out)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, X);
    const tq_tflite_value *v = &b->values[t - b->model->tensors];
    const tq_type *type = &t->type;
    *out = v->real ? NULL : v->unflat;
    if (*out)
        return tq_type_count_from(tq_value_type(*out), 1) == columns
                   ? TQ_OK
                   : tq_fail(TQ_ERR_SHAPE, "input is %s, its weight has %lld columns",
                             tq_type_text(type).s, (long long)columns);
    if (type->rank == 4 && type->dims[0] == 1 && tq_type_count(type) == columns)
        return tq_tflite_real(b, X, out);
    return TQ_OK;
}

/* x as [rows, columns]. A flattened image stays in the order C, H, W; its size is then in `image`.
 */
static tq_status flat_input(tq_tflite_builder *b, int64_t columns, tq_value **out, int64_t *image)
{
    tq_value *x, *shape;
    TQ_TRY(image_of(b, columns, &x));
    if (x) {
        for (int d = 0; d < 3; d++)
            image[d] = tq_value_type(x)->dims[1 + d];
        const tq_attr axis = TQ_INT("axis", 1);
        const char *node = b->name;
        b->name = tq_arena_printf(b->arena, "%s.flatten", node);
        const tq_status status = tq_tflite_emit(b, "Flatten", &x, 1, &axis, 1, out);
        b->name = node;
        return status;
    }
    TQ_TRY(tq_tflite_plain(b, X, out));
    if (tq_tflite_input(b, X)->type.rank == 2)
        return TQ_OK;
    TQ_TRY(tq_tflite_add_ints(b, 2, (int64_t[]){ -1, columns }, &shape));
    return tq_tflite_emit(b, "Reshape", (tq_value *[]){ *out, shape }, 2, NULL, 0, out);
}

/* Back to the shape of the output if that has not two axes. */
static tq_status shape_output(tq_tflite_builder *b, tq_value *y)
{
    const tq_tflite_tensor *t = tq_tflite_output(b, 0);
    int64_t dims[TQ_MAX_RANK] = { -1 };
    tq_value *shape;
    if (!t || t->type.rank == 2)
        return tq_tflite_set(b, 0, y, -1);
    if (t->type.rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "its output has no axes");
    for (int d = 1; d < t->type.rank; d++)
        dims[d] = t->type.dims[d];
    TQ_TRY(tq_tflite_add_ints(b, t->type.rank, dims, &shape));
    TQ_TRY(tq_tflite_emit(b, "Reshape", (tq_value *[]){ y, shape }, 2, NULL, 0, &y));
    return tq_tflite_set_plain(b, 0, y, -1);
}

/* Rows of more than two axes that stay so: x W^T + bias. */
static tq_status product_of_rows(tq_tflite_builder *b, int64_t activation)
{
    static const int turned[] = { 1, 0 };
    const int64_t *k = tq_tflite_input(b, W)->type.dims;
    const tq_tflite_layout layout = { turned, 2, (int64_t[]){ k[1], k[0] }, 1 };
    tq_value *inputs[2], *sum[2];
    TQ_TRY(tq_tflite_plain(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_weight(b, W, &layout, &inputs[1]));
    TQ_TRY(add_bias(b, BIAS, X, k[0], &sum[1]));
    TQ_TRY(tq_tflite_emit(b, "MatMul", inputs, 2, NULL, 0, &sum[0]));
    if (sum[1])
        TQ_TRY(tq_tflite_emit(b, "Add", sum, 2, NULL, 0, &sum[0]));
    TQ_TRY(tq_tflite_activate(b, activation, &sum[0]));
    return tq_tflite_set_plain(b, 0, sum[0], -1);
}

static bool keeps_rows(const tq_tflite_builder *b)
{
    const tq_tflite_tensor *x = tq_tflite_input(b, X), *y = tq_tflite_output(b, 0);
    bool keeps = y && x->type.rank > 2 && y->type.rank == x->type.rank;
    for (int d = 0; keeps && d < x->type.rank - 1; d++)
        keeps = x->type.dims[d] == y->type.dims[d];
    return keeps;
}

static tq_status fully_connected(tq_tflite_builder *b)
{
    static const int as_image[] = { 0, 3, 1, 2 };
    tq_value *inputs[3], *y;
    int64_t image[3] = { 0 }, activation = 0, format = 0;
    TQ_TRY(need_rank(b, W, 2));
    if (!tq_tflite_input(b, X))
        return tq_fail(TQ_ERR_FORMAT, "has no input 0");
    TQ_TRY(tq_tflite_option(b, 0, 1, &activation));
    TQ_TRY(tq_tflite_option(b, 1, 1, &format));
    if (format != 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "weights of format %lld are not supported",
                       (long long)format);
    if (keeps_rows(b))
        return product_of_rows(b, activation);
    tq_tflite_tensor *w = &b->model->tensors[b->op->inputs[W]];
    const int64_t n_out = w->type.dims[0], n_in = w->type.dims[1];
    const tq_type plain = w->type;
    TQ_TRY(flat_input(b, n_in, &inputs[0], image));
    tq_tflite_layout layout = { NULL, 2, plain.dims, 0 };
    if (image[0]) { /* columns H, W, C become C, H, W */
        w->type = tq_type_make(plain.dtype, 4, (int64_t[]){ n_out, image[1], image[2], image[0] });
        layout.perm = as_image;
    }
    const tq_status status = tq_tflite_weight(b, W, &layout, &inputs[1]);
    w->type = plain;
    TQ_TRY(status);
    TQ_TRY(add_bias(b, BIAS, X, n_out, &inputs[2]));
    const tq_attr transposed = TQ_INT("transB", 1);
    TQ_TRY(tq_tflite_emit(b, "Gemm", inputs, inputs[2] ? 3 : 2, &transposed, 1, &y));
    TQ_TRY(tq_tflite_activate(b, activation, &y));
    return shape_output(b, y);
}

/* Input i in the order of the file; where its option says so with the last two axes changed over.
 */
static tq_status factor(tq_tflite_builder *b, int i, tq_value **out)
{
    int64_t adjoint = 0, perm[TQ_MAX_RANK];
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    if (!t || t->type.rank < 2)
        return tq_fail(TQ_ERR_FORMAT, "input %d has not two axes", i);
    TQ_TRY(tq_tflite_option(b, i, 1, &adjoint));
    TQ_TRY(tq_tflite_plain(b, i, out));
    if (!adjoint)
        return TQ_OK;
    const int rank = t->type.rank;
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return tq_tflite_emit(b, "Transpose", out, 1, &TQ_INTS("perm", rank, perm), 1, out);
}

static tq_status batch_matmul(tq_tflite_builder *b)
{
    tq_value *inputs[2], *y;
    TQ_TRY(factor(b, X, &inputs[0]));
    TQ_TRY(factor(b, W, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, "MatMul", inputs, 2, NULL, 0, &y));
    return tq_tflite_set_plain(b, 0, y, -1);
}

tq_status tq_tflite_build_linear(tq_tflite_builder *b, bool *out_known)
{
    *out_known = true;
    switch (b->op->code) {
    case CONV_2D:
        return conv(b);
    case DEPTHWISE_CONV_2D:
        return depthwise_conv(b);
    case FULLY_CONNECTED:
        return fully_connected(b);
    case TRANSPOSE_CONV:
        return transpose_conv(b);
    case BATCH_MATMUL:
        return batch_matmul(b);
    default:
        *out_known = false;
        return TQ_OK;
    }
}
