/* What all operators of .tflite files need while the graph is built: values of tensors, layouts,
 * constants, quantisation behind an output. */
#include "tflite.h"

#include <string.h>

static const int to_nchw[] = { 0, 3, 1, 2 }, to_nhwc[] = { 0, 2, 3, 1 };

const tq_tflite_tensor *tq_tflite_input(const tq_tflite_builder *b, int i)
{
    const int t = i < b->op->n_inputs ? b->op->inputs[i] : -1;
    return t < 0 ? NULL : &b->model->tensors[t];
}

const tq_tflite_tensor *tq_tflite_output(const tq_tflite_builder *b, int i)
{
    const int t = i < b->op->n_outputs ? b->op->outputs[i] : -1;
    return t < 0 ? NULL : &b->model->tensors[t];
}

int tq_tflite_axis(int rank, int axis)
{
    static const int moved[] = { 0, 2, 3, 1 };
    return rank == 4 ? moved[axis] : axis;
}

tq_status tq_tflite_check_axis(const tq_tflite_builder *b, int64_t axis, int rank, int *out)
{
    (void)b;
    return tq_op_axis(axis, rank, out);
}

tq_status tq_tflite_option(const tq_tflite_builder *b, int field, size_t size, int64_t *inout)
{
    return tq_flat_int(&b->op->options, field, size, inout);
}

/* ---- nodes and constants ---- */

tq_status tq_tflite_emit(tq_tflite_builder *b, const char *op, tq_value *const *inputs,
                         int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out)
{
    tq_node *node; /* the name alone is for the tensor that the operator makes in the end */
    const char *output = tq_arena_printf(b->arena, "%s.out", b->name);
    TQ_TRY(tq_graph_add_node(b->graph,
                             &(tq_node_spec){ .op = op,
                                              .domain = "",
                                              .name = b->name,
                                              .n_inputs = n_inputs,
                                              .inputs = inputs,
                                              .n_outputs = 1,
                                              .output_names = &output,
                                              .n_attrs = n_attrs,
                                              .attrs = attrs },
                             &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_constant(tq_tflite_builder *b, const char *suffix, const tq_type *type,
                              const void *data, tq_value **out)
{
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, type, data));
    const char *name = tq_arena_printf(b->arena, "%s.%s", b->name, suffix);
    const tq_status status = tq_graph_add_constant(b->graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

tq_status tq_tflite_add_ints(tq_tflite_builder *b, int n, const int64_t *values, tq_value **out)
{
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ n });
    return add_constant(b, "ints", &type, values, out);
}

tq_status tq_tflite_add_scalar(tq_tflite_builder *b, float value, tq_value **out)
{
    return add_constant(b, "number", &(tq_type){ .dtype = TQ_F32 }, &value, out);
}

tq_status tq_tflite_ints(tq_tflite_builder *b, int i, int64_t *out_n, const int64_t **out_values)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    if (!t || !t->data || (t->type.dtype != TQ_I32 && t->type.dtype != TQ_I64))
        return tq_fail(TQ_ERR_UNSUPPORTED, "input %d is not constant integers", i);
    const int64_t n = tq_type_count(&t->type);
    int64_t *values = TQ_NEW_N(b->arena, int64_t, n + 1);
    for (int64_t k = 0; k < n; k++)
        values[k] = tq_load_i64(t->data, t->type.dtype, k);
    *out_n = n;
    *out_values = values;
    return TQ_OK;
}

/* ---- constants as floats ---- */

/* The elements of a constant as the library keeps them: one byte for each 4-bit element. */
static tq_status unpack(const tq_tflite_tensor *t, tq_tensor *out)
{
    TQ_TRY(tq_tensor_init(out, &t->type));
    if (t->type.dtype != TQ_I4) {
        memcpy(out->data, t->data, t->data_size);
        return TQ_OK;
    }
    for (int64_t i = 0; i < tq_type_count(&t->type); i++) {
        const uint8_t pair = t->data[i / 2], nibble = i % 2 ? pair >> 4 : pair & 15;
        tq_store_i64(out->data, TQ_I4, i, nibble < 8 ? nibble : nibble - 16);
    }
    return TQ_OK;
}

/* Permutes axes: out[..i_perm..] = in. `out` has the permuted type. */
static void permute(const tq_tensor *in, const int *perm, tq_tensor *out)
{
    const int rank = in->type.rank;
    const size_t size = tq_dtype_size(in->type.dtype);
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    for (int d = 0; d < rank; d++)
        strides[d] = tq_type_count_from(&in->type, perm[d] + 1);
    for (int64_t i = 0; i < tq_type_count(&out->type); i++) {
        int64_t from = 0;
        for (int d = 0; d < rank; d++)
            from += at[d] * strides[d];
        memcpy((char *)out->data + (size_t)i * size, (const char *)in->data + (size_t)from * size,
               size);
        for (int d = rank - 1; d >= 0 && ++at[d] == out->type.dims[d]; d--)
            at[d] = 0;
    }
}

static tq_status lay_out(const tq_tflite_tensor *t, const tq_tflite_layout *layout, tq_tensor *out)
{
    tq_tensor plain = { 0 };
    tq_type type = t->type;
    tq_status status = unpack(t, &plain);
    for (int d = 0; layout->perm && d < type.rank; d++)
        type.dims[d] = t->type.dims[layout->perm[d]];
    if (!status)
        status = tq_tensor_init(out, &type);
    if (!status && layout->perm)
        permute(&plain, layout->perm, out);
    else if (!status)
        memcpy(out->data, plain.data, tq_buffer_size(plain.buffer));
    tq_tensor_reset(&plain);
    if (status)
        return status;
    const tq_type shaped = tq_type_make(type.dtype, layout->rank, layout->dims);
    TQ_ASSERT(tq_type_count(&shaped) == tq_type_count(&type));
    out->type = shaped;
    return TQ_OK;
}

/* Scale and zero point of a tensor as constants. */
static tq_status add_grid(tq_tflite_builder *b, const tq_tflite_tensor *t, const char *name,
                          tq_value **out_scale, tq_value **out_zero)
{
    const int64_t n = t->n_scales;
    const tq_type scale = tq_type_make(TQ_F32, n > 1, &n);
    const tq_type zero = tq_type_make(t->type.dtype, n > 1, &n);
    tq_tensor zeros;
    TQ_TRY(tq_tensor_init(&zeros, &zero));
    for (int64_t i = 0; i < n; i++)
        tq_store_i64(zeros.data, zero.dtype, i, t->zero_points[i]);
    tq_tensor scales = { .type = scale, .data = (void *)(uintptr_t)t->scales }, own;
    tq_status status = tq_tensor_copy(&scales, &own);
    if (!status) {
        status = tq_graph_add_constant(b->graph, tq_arena_printf(b->arena, "%s.scale", name), &own,
                                       out_scale);
        tq_tensor_reset(&own);
    }
    if (!status)
        status = tq_graph_add_constant(b->graph, tq_arena_printf(b->arena, "%s.zero", name), &zeros,
                                       out_zero);
    tq_tensor_reset(&zeros);
    return status;
}

/* What a tensor is called: of several names that a converter joined, the first. */
static const char *name_of(tq_tflite_builder *b, const tq_tflite_tensor *t)
{
    const size_t n = strcspn(t->name, ";");
    return n ? tq_arena_strndup(b->arena, t->name, n) : "value";
}

static tq_status dequantize(tq_tflite_builder *b, const tq_tflite_tensor *t, int axis,
                            tq_value *codes, const char *name, tq_value **out)
{
    tq_value *inputs[3] = { codes };
    TQ_TRY(add_grid(b, t, name, &inputs[1], &inputs[2]));
    const tq_attr attr = TQ_INT("axis", axis);
    return tq_tflite_emit(b, "DequantizeLinear", inputs, 3, &attr, 1, out);
}

tq_status tq_tflite_weight(tq_tflite_builder *b, int i, const tq_tflite_layout *layout,
                           tq_value **out)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    tq_tensor tensor = { 0 }, real = { 0 };
    tq_value *codes = NULL;
    if (!t || !t->data)
        return tq_fail(TQ_ERR_UNSUPPORTED, "input %d is not a constant", i);
    const bool is_float = tq_dtype_is_float(t->type.dtype);
    if (!is_float && t->n_scales == 0)
        return tq_fail(TQ_ERR_FORMAT, "constant '%s' is %s without a scale", t->name,
                       tq_type_text(&t->type).s);
    const char *name = name_of(b, t);
    TQ_TRY(lay_out(t, layout, &tensor));
    tq_status status = is_float ? tq_tensor_cast(&tensor, TQ_F32, &real)
                                : tq_graph_add_constant(b->graph, name, &tensor, &codes);
    if (!status && is_float)
        status = tq_graph_add_constant(b->graph, name, &real, out);
    tq_tensor_reset(&tensor);
    tq_tensor_reset(&real);
    if (status || is_float)
        return status;
    const char *node = b->name;
    b->name = tq_arena_printf(b->arena, "%s.weight", node);
    status = dequantize(b, t, t->n_scales > 1 ? layout->axis : 0, codes, name, out);
    b->name = node;
    return status;
}

/* ---- values of tensors ---- */

static tq_status transpose(tq_tflite_builder *b, tq_value *x, const int *perm, tq_value **out)
{
    const int64_t axes[] = { perm[0], perm[1], perm[2], perm[3] };
    const tq_attr attr = TQ_INTS("perm", 4, axes);
    return tq_tflite_emit(b, "Transpose", &x, 1, &attr, 1, out);
}

/* A flattening that someone asked for after all: in the order H, W, C. */
static tq_status flatten_plain(tq_tflite_builder *b, tq_tflite_value *v)
{
    tq_value *x;
    TQ_TRY(transpose(b, v->unflat, to_nhwc, &x));
    const tq_attr axis = TQ_INT("axis", 1);
    return tq_tflite_emit(b, "Flatten", &x, 1, &axis, 1, &v->real);
}

static tq_status constant_real(tq_tflite_builder *b, int i, tq_tflite_value *v)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    const bool image = t->type.rank == 4;
    int64_t dims[TQ_MAX_RANK];
    for (int d = 0; d < t->type.rank; d++)
        dims[d] = t->type.dims[image ? to_nchw[d] : d];
    const tq_tflite_layout layout = { image ? to_nchw : NULL, t->type.rank, dims,
                                      t->n_scales > 1 ? tq_tflite_axis(t->type.rank, t->axis) : 0 };
    return tq_tflite_weight(b, i, &layout, &v->real);
}

tq_status tq_tflite_real(tq_tflite_builder *b, int i, tq_value **out)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    if (!t)
        return tq_fail(TQ_ERR_FORMAT, "has no input %d", i);
    tq_tflite_value *v = &b->values[t - b->model->tensors];
    if (!v->real && v->unflat)
        TQ_TRY(flatten_plain(b, v));
    if (!v->real && t->data)
        TQ_TRY(constant_real(b, i, v));
    if (!v->real)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "reads '%s' (type %lld), which nothing before it makes as a number", t->name,
                       (long long)t->type_number);
    *out = v->real;
    return TQ_OK;
}

tq_status tq_tflite_plain(tq_tflite_builder *b, int i, tq_value **out)
{
    TQ_TRY(tq_tflite_real(b, i, out));
    return tq_tflite_input(b, i)->type.rank == 4 ? transpose(b, *out, to_nhwc, out) : TQ_OK;
}

/* ---- outputs ---- */

static tq_status clip(tq_tflite_builder *b, float lo, float hi, tq_value **x)
{
    tq_value *inputs[3] = { *x };
    TQ_TRY(tq_tflite_add_scalar(b, lo, &inputs[1]));
    TQ_TRY(tq_tflite_add_scalar(b, hi, &inputs[2]));
    return tq_tflite_emit(b, "Clip", inputs, 3, NULL, 0, x);
}

static tq_status emit_activation(tq_tflite_builder *b, int64_t activation, tq_value **x)
{
    enum { NONE, RELU, RELU_N1_TO_1, RELU6, TANH };
    switch (activation) {
    case NONE:
        return TQ_OK;
    case RELU:
        return tq_tflite_emit(b, "Relu", x, 1, NULL, 0, x);
    case RELU_N1_TO_1:
        return clip(b, -1.0f, 1.0f, x);
    case RELU6:
        return clip(b, 0.0f, 6.0f, x);
    case TANH:
        return tq_tflite_emit(b, "Tanh", x, 1, NULL, 0, x);
    default:
        return tq_fail(TQ_ERR_UNSUPPORTED, "fused activation %lld is not supported",
                       (long long)activation);
    }
}

tq_status tq_tflite_activate(tq_tflite_builder *b, int64_t activation, tq_value **x)
{
    const char *node = b->name;
    b->name = tq_arena_printf(b->arena, "%s.activation", node);
    const tq_status status = emit_activation(b, activation, x);
    b->name = node;
    return status;
}

static bool same_grid(const tq_tflite_tensor *a, const tq_tflite_tensor *c)
{
    return a && a->type.dtype == c->type.dtype && a->n_scales == 1 && c->n_scales == 1 &&
           a->scales[0] == c->scales[0] && a->zero_points[0] == c->zero_points[0];
}

tq_status tq_tflite_dequantize_input(tq_tflite_builder *b, const tq_tflite_tensor *t,
                                     tq_value *codes, tq_value **out)
{
    return dequantize(b, t, 0, codes, name_of(b, t), out);
}

static tq_status quantize(tq_tflite_builder *b, const tq_tflite_tensor *t, tq_tflite_value *v)
{
    const char *name = name_of(b, t), *node = b->name;
    tq_value *inputs[3] = { v->real };
    if (t->n_scales != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "output '%s' has %lld scales, one is supported", t->name,
                       (long long)t->n_scales);
    TQ_TRY(add_grid(b, t, name, &inputs[1], &inputs[2]));
    b->name = tq_arena_printf(b->arena, "%s.fq", name);
    tq_status status = tq_tflite_emit(b, "QuantizeLinear", inputs, 3, NULL, 0, &v->codes);
    inputs[0] = v->codes;
    if (!status)
        status = tq_tflite_emit(b, "DequantizeLinear", inputs, 3, NULL, 0, &v->real);
    b->name = node;
    return status;
}

/* A value that has its name already: an input or a constant, or what the operator reads. */
static bool is_passed_on(const tq_tflite_builder *b, const tq_value *value)
{
    bool known = tq_value_is_input(value) || tq_value_is_const(value);
    for (int i = 0; i < b->op->n_inputs && !known; i++)
        known = b->op->inputs[i] >= 0 && b->values[b->op->inputs[i]].real == value;
    return known;
}

tq_status tq_tflite_set(tq_tflite_builder *b, int i, tq_value *value, int same)
{
    const tq_tflite_tensor *t = tq_tflite_output(b, i);
    if (!t)
        return tq_fail(TQ_ERR_FORMAT, "has no output %d", i);
    tq_tflite_value *v = &b->values[t - b->model->tensors];
    if (v->real || v->unflat || t->data)
        return tq_fail(TQ_ERR_FORMAT, "makes '%s' a second time", t->name);
    v->real = value;
    const bool keeps = same >= 0 && same_grid(tq_tflite_input(b, same), t);
    if (t->n_scales && tq_dtype_is_integer(t->type.dtype) && !keeps)
        TQ_TRY(quantize(b, t, v));
    if (!is_passed_on(b, v->real))
        tq_value_set_name(v->real, name_of(b, t));
    return TQ_OK;
}

tq_status tq_tflite_set_plain(tq_tflite_builder *b, int i, tq_value *value, int same)
{
    const tq_tflite_tensor *t = tq_tflite_output(b, i);
    if (t && t->type.rank == 4)
        TQ_TRY(transpose(b, value, to_nchw, &value));
    return tq_tflite_set(b, i, value, same);
}

tq_status tq_tflite_quantize_output(tq_tflite_builder *b, const tq_tflite_tensor *t,
                                    tq_tflite_value *v)
{
    const bool done = v->codes || t->n_scales == 0 || tq_dtype_is_float(t->type.dtype);
    return done ? TQ_OK : quantize(b, t, v);
}

void tq_tflite_pads(bool same, int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                    int64_t *out_begin, int64_t *out_end)
{
    *out_begin = *out_end = 0;
    if (!same)
        return;
    const int64_t n = (size + stride - 1) / stride;
    const int64_t total = (n - 1) * stride + (kernel - 1) * dilation + 1 - size;
    *out_begin = total > 0 ? total / 2 : 0;
    *out_end = total > 0 ? total - total / 2 : 0;
}
