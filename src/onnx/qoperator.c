/* Operators on codes become DequantizeLinear, the operator in float, QuantizeLinear: ONNX's
 * QLinearConv and QLinearMatMul, and those of ONNX Runtime's domain com.microsoft. What each states
 *
 *   y = saturate(round_half_even(op((x - zx) sx, ...) / sy) + zy)
 *
 * holds to the letter of that form; how its sums are rounded before the last step does not. A bias
 * is int32 on the scale sx sw[m].
 * Source: ONNX, opsets 10 and 21; ONNX Runtime, docs/ContribOperators.md. */
#include "onnx/onnx_internal.h"

#include <string.h>

/* ---- parts ---- */

static tq_status need(const tq_draft *draft, int i, const char *what)
{
    if (tq_draft_input(draft, i))
        return TQ_OK;
    return tq_fail(TQ_ERR_FORMAT, "has no input %d (%s)", i, what);
}

/** Refuses the layout N, H, W, C, which these operators have as an attribute. */
static tq_status check_layout(const tq_draft *draft)
{
    int64_t channels_last = 0;
    TQ_TRY(tq_draft_int(draft, "channels_last", &channels_last));
    if (channels_last)
        return tq_fail(TQ_ERR_UNSUPPORTED, "channels_last is %lld, only 0 is supported",
                       (long long)channels_last);
    return TQ_OK;
}

/** A zero point of one element stands for all scales of its neighbour. */
static tq_status spread_zero_point(tq_draft *draft, const char *suffix, const tq_value *scale,
                                   tq_value **zero)
{
    const tq_tensor *one = *zero ? tq_value_tensor(*zero) : NULL;
    const tq_type *type = tq_value_type(scale);
    if (!one || type->rank != 1 || !tq_type_is_known(type) || tq_tensor_count(one) != 1 ||
        tq_type_count(type) == 1)
        return TQ_OK;
    const tq_type spread = tq_type_make(one->type.dtype, 1, type->dims);
    tq_tensor *tensor = tq_reader_hold(draft->reader);
    TQ_TRY(tq_tensor_init(tensor, &spread));
    for (int64_t i = 0; i < type->dims[0]; i++)
        tq_store_i64(tensor->data, one->type.dtype, i, tq_load_i64(one->data, one->type.dtype, 0));
    return tq_draft_add_constant(draft, suffix, tensor, zero);
}

/** Input i is codes, i + 1 their scale, i + 2 their zero point; `axis` where there are several. */
static tq_status dequantize(tq_draft *draft, int i, const char *suffix, int64_t axis,
                            tq_value **out)
{
    TQ_TRY(need(draft, i, "codes"));
    TQ_TRY(need(draft, i + 1, "scale"));
    tq_value *scale = tq_draft_input(draft, i + 1), *zero = tq_draft_input(draft, i + 2);
    const char *zero_suffix = tq_arena_printf(draft->arena, "%s_zero_point", suffix);
    TQ_TRY(spread_zero_point(draft, zero_suffix, scale, &zero));
    const tq_attr attr = TQ_INT("axis", axis);
    return tq_draft_add_part(draft,
                             &(tq_part){ .op = "DequantizeLinear",
                                         .suffix = suffix,
                                         .n_inputs = zero ? 3 : 2,
                                         .inputs = { tq_draft_input(draft, i), scale, zero },
                                         .n_attrs = 1,
                                         .attrs = &attr },
                             out);
}

/** The end of every such operator: input i is the scale of y, i + 1 its zero point. */
static tq_status quantize(tq_draft *draft, tq_value *y, int i)
{
    TQ_TRY(need(draft, i, "scale of the output"));
    tq_value *scale = tq_draft_input(draft, i), *zero = tq_draft_input(draft, i + 1);
    return tq_draft_add_part(draft,
                             &(tq_part){ .op = "QuantizeLinear",
                                         .suffix = "",
                                         .n_inputs = zero ? 3 : 2,
                                         .inputs = { y, scale, zero } },
                             NULL);
}

/** The operator in float with the attributes of the draft. */
static tq_status compute(tq_draft *draft, const char *op, tq_value *const *inputs, int n_inputs,
                         tq_value **out)
{
    tq_part part = { .op = op,
                     .suffix = ".real",
                     .n_inputs = n_inputs,
                     .n_attrs = draft->n_attrs,
                     .attrs = draft->attrs };
    for (int i = 0; i < n_inputs; i++)
        part.inputs[i] = inputs[i];
    return tq_draft_add_part(draft, &part, out);
}

/** The scale of a bias: that of x times those of w, times a factor. */
static tq_status bias_scale(tq_draft *draft, tq_value *x, tq_value *w, float factor, tq_value **out)
{
    const tq_tensor *a = tq_value_tensor(x), *b = tq_value_tensor(w);
    if (!a || !b || a->type.dtype != TQ_F32 || b->type.dtype != TQ_F32 || tq_tensor_count(a) != 1)
        return factor != 1.0f ? tq_fail(TQ_ERR_UNSUPPORTED, "alpha needs scales that are constants")
                              : tq_draft_add_part(draft,
                                                  &(tq_part){ .op = "Mul",
                                                              .suffix = ".bias_scale",
                                                              .n_inputs = 2,
                                                              .inputs = { x, w } },
                                                  out);
    tq_tensor *product = tq_reader_hold(draft->reader);
    TQ_TRY(tq_tensor_init(product, &b->type));
    for (int64_t i = 0; i < tq_tensor_count(b); i++)
        ((float *)product->data)[i] =
            factor * ((const float *)a->data)[0] * ((const float *)b->data)[i];
    return tq_draft_add_constant(draft, ".bias_scale", product, out);
}

/** int32 input i, on the scale of inputs x_scale and w_scale, as a float value. */
static tq_status dequantize_bias(tq_draft *draft, int i, tq_value *x_scale, tq_value *w_scale,
                                 float factor, tq_value **out)
{
    tq_value *scale;
    TQ_TRY(bias_scale(draft, x_scale, w_scale, factor, &scale));
    const tq_type *type = tq_value_type(tq_draft_input(draft, i));
    const tq_attr axis = TQ_INT("axis", type->rank > 0 ? type->rank - 1 : 0);
    return tq_draft_add_part(draft,
                             &(tq_part){ .op = "DequantizeLinear",
                                         .suffix = ".bias",
                                         .n_inputs = 2,
                                         .inputs = { tq_draft_input(draft, i), scale },
                                         .n_attrs = 1,
                                         .attrs = &axis },
                             out);
}

/* ---- operators ---- */

static tq_status conv(tq_draft *draft)
{
    tq_value *inputs[3], *y;
    TQ_TRY(check_layout(draft));
    tq_draft_remove(draft, "channels_last");
    TQ_TRY(dequantize(draft, 0, ".x", 1, &inputs[0]));
    TQ_TRY(dequantize(draft, 3, ".w", 0, &inputs[1]));
    const bool bias = tq_draft_input(draft, 8);
    if (bias)
        TQ_TRY(dequantize_bias(draft, 8, draft->inputs[1], draft->inputs[4], 1.0f, &inputs[2]));
    TQ_TRY(compute(draft, "Conv", inputs, bias ? 3 : 2, &y));
    return quantize(draft, y, 6);
}

/** Scales of a are one a row, those of b one a column. */
static tq_status matmul(tq_draft *draft)
{
    tq_value *inputs[2], *y;
    TQ_TRY(dequantize(draft, 0, ".a", -2, &inputs[0]));
    TQ_TRY(dequantize(draft, 3, ".b", -1, &inputs[1]));
    TQ_TRY(compute(draft, "MatMul", inputs, 2, &y));
    return quantize(draft, y, 6);
}

/** Without a scale of the output its result is float. */
static tq_status gemm(tq_draft *draft)
{
    tq_value *inputs[3], *y;
    int64_t transposed = 0;
    const tq_attr *alpha = tq_draft_find(draft, "alpha");
    if (alpha && alpha->kind != TQ_ATTR_FLOAT)
        return tq_fail(TQ_ERR_FORMAT, "attribute 'alpha' is not a float");
    TQ_TRY(tq_draft_int(draft, "transB", &transposed));
    TQ_TRY(dequantize(draft, 0, ".a", 1, &inputs[0]));
    TQ_TRY(dequantize(draft, 3, ".b", transposed ? 0 : 1, &inputs[1]));
    const bool bias = tq_draft_input(draft, 6);
    if (bias)
        TQ_TRY(dequantize_bias(draft, 6, draft->inputs[1], draft->inputs[4],
                               alpha ? alpha->f : 1.0f, &inputs[2]));
    if (tq_draft_input(draft, 7)) {
        TQ_TRY(compute(draft, "Gemm", inputs, bias ? 3 : 2, &y));
        return quantize(draft, y, 7);
    }
    draft->op = "Gemm";
    draft->domain = "";
    draft->n_inputs = bias ? 3 : 2;
    memcpy(draft->inputs, inputs, (size_t)draft->n_inputs * sizeof *inputs);
    return TQ_OK;
}

static tq_status binary(tq_draft *draft, const char *op)
{
    tq_value *inputs[2], *y;
    TQ_TRY(dequantize(draft, 0, ".a", 1, &inputs[0]));
    TQ_TRY(dequantize(draft, 3, ".b", 1, &inputs[1]));
    TQ_TRY(compute(draft, op, inputs, 2, &y));
    return quantize(draft, y, 6);
}

static tq_status add(tq_draft *draft)
{
    return binary(draft, "Add");
}

static tq_status mul(tq_draft *draft)
{
    return binary(draft, "Mul");
}

static tq_status unary(tq_draft *draft, const char *op)
{
    tq_value *x, *y;
    TQ_TRY(check_layout(draft));
    tq_draft_remove(draft, "channels_last");
    TQ_TRY(dequantize(draft, 0, ".x", 1, &x));
    TQ_TRY(compute(draft, op, &x, 1, &y));
    return quantize(draft, y, 3);
}

static tq_status average_pool(tq_draft *draft)
{
    return unary(draft, "AveragePool");
}

static tq_status global_average_pool(tq_draft *draft)
{
    return unary(draft, "GlobalAveragePool");
}

static tq_status sigmoid(tq_draft *draft)
{
    return unary(draft, "Sigmoid");
}

static tq_status leaky_relu(tq_draft *draft)
{
    return unary(draft, "LeakyRelu");
}

/** Attribute `opset` says whose meaning `axis` has; on the last axis both mean the same. */
static tq_status softmax(tq_draft *draft)
{
    int64_t opset = 13, axis = -1;
    TQ_TRY(tq_draft_int(draft, "opset", &opset));
    TQ_TRY(tq_draft_int(draft, "axis", &axis));
    const tq_value *x = tq_draft_input(draft, 0);
    const int rank = x ? tq_value_type(x)->rank : -1;
    if (opset < 13 && axis != -1 && axis != rank - 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "axis %lld in the sense of opset %lld is not supported, only the last is",
                       (long long)axis, (long long)opset);
    tq_draft_remove(draft, "opset");
    tq_draft_set(draft, TQ_INT("axis", axis));
    return unary(draft, "Softmax");
}

/** Inputs: scale and zero point of y, then codes, scale and zero point of each part. */
static tq_status concat(tq_draft *draft)
{
    enum { MAX_PARTS = TQ_COUNT(((tq_part){ 0 }).inputs) };
    tq_value *inputs[MAX_PARTS], *y;
    const int n = (draft->n_inputs - 2 + 2) / 3;
    if (n < 1 || n > MAX_PARTS)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %d inputs; 1 to %d parts are supported",
                       draft->n_inputs, MAX_PARTS);
    for (int i = 0; i < n; i++)
        TQ_TRY(
            dequantize(draft, 2 + 3 * i, tq_arena_printf(draft->arena, ".x%d", i), 1, &inputs[i]));
    TQ_TRY(compute(draft, "Concat", inputs, n, &y));
    return quantize(draft, y, 0);
}

/** The same operators as ONNX's, with 16-bit codes before ONNX had them. */
static tq_status same_as_onnx(tq_draft *draft)
{
    draft->domain = "";
    return TQ_OK;
}

enum { ANY = INT32_MAX };

static const tq_draft_rule onnx_rules[] = {
    { "QLinearConv", 10, ANY, conv },
    { "QLinearMatMul", 10, ANY, matmul },
};

static const tq_draft_rule microsoft_rules[] = {
    { "DequantizeLinear", 1, ANY, same_as_onnx },
    { "QGemm", 1, ANY, gemm },
    { "QLinearAdd", 1, ANY, add },
    { "QLinearAveragePool", 1, ANY, average_pool },
    { "QLinearConcat", 1, ANY, concat },
    { "QLinearConv", 1, ANY, conv },
    { "QLinearGlobalAveragePool", 1, ANY, global_average_pool },
    { "QLinearLeakyRelu", 1, ANY, leaky_relu },
    { "QLinearMul", 1, ANY, mul },
    { "QLinearSigmoid", 1, ANY, sigmoid },
    { "QLinearSoftmax", 1, ANY, softmax },
    { "QuantizeLinear", 1, ANY, same_as_onnx },
};

tq_status tq_onnx_upgrade_qoperator(tq_draft *draft)
{
    const char *op = draft->op;
    const bool is_onnx = !*draft->domain && strncmp(op, "QLinear", 7) == 0;
    const bool is_microsoft = strcmp(draft->domain, "com.microsoft") == 0;
    if (is_onnx)
        TQ_TRY(tq_draft_apply(draft, onnx_rules, TQ_COUNT(onnx_rules)));
    else if (is_microsoft)
        TQ_TRY(tq_draft_apply(draft, microsoft_rules, TQ_COUNT(microsoft_rules)));
    if (draft->done && !tq_graph_meta(draft->graph, "dialect"))
        tq_graph_set_meta(draft->graph, "dialect", "qoperator");
    return TQ_OK;
}
