/* Operators that act element by element, and softmax. A constant of fewer axes than an image is
 * spread along the last axes of N, H, W, C: in N, C, H, W it needs its axes in place. */
#include "tflite.h"

enum { X, Y };
enum {
    ADD = 0,
    DEQUANTIZE = 6,
    LOGISTIC = 14,
    MUL = 18,
    RELU = 19,
    RELU_N1_TO_1 = 20,
    RELU6 = 21,
    SOFTMAX = 25,
    TANH = 28,
    SUB = 41,
    DIV = 42,
    EXP = 47,
    LOG_SOFTMAX = 50,
    LOG = 73,
    PRELU = 54,
    MAXIMUM = 55,
    MINIMUM = 57,
    NEG = 59,
    SQRT = 75,
    RSQRT = 76,
    SQUARE = 92,
    LEAKY_RELU = 98,
    SQUARED_DIFFERENCE = 99,
    ABS = 101,
    ELU = 111,
    QUANTIZE = 114,
    HARD_SWISH = 117,
    GELU = 150,
};

/* An operator of one input that has the same name and meaning here. */
typedef struct unary {
    int64_t code;
    const char *op;
} unary;

static const unary unaries[] = {
    { LOGISTIC, "Sigmoid" }, { RELU, "Relu" }, { TANH, "Tanh" },
    { EXP, "Exp" },          { NEG, "Neg" },   { SQRT, "Sqrt" },
    { ABS, "Abs" },          { ELU, "Elu" },   { HARD_SWISH, "HardSwish" },
    { LOG, "Log" },
};

/* The field that says the fused activation; -1: there is none. */
typedef struct binary {
    int64_t code;
    const char *op;
    int activation;
} binary;

static const binary binaries[] = {
    { ADD, "Add", 0 }, { SUB, "Sub", 0 },      { MUL, "Mul", 0 },
    { DIV, "Div", 0 }, { MAXIMUM, "Max", -1 }, { MINIMUM, "Min", -1 }
};

/* Input i for an operation among tensors of `rank` axes. */
static tq_status operand(tq_tflite_builder *b, int i, int rank, tq_value **out)
{
    static const int to_nchw[] = { 0, 3, 1, 2 };
    const tq_tflite_tensor *t = tq_tflite_input(b, i);
    if (!t || rank != 4 || t->type.rank == 4 || t->type.rank == 0)
        return tq_tflite_real(b, i, out);
    if (!t->data || t->type.rank > 4)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "'%s' is %s and is spread over an image; only constants can be", t->name,
                       tq_type_text(&t->type).s);
    tq_tflite_tensor *whole = &b->model->tensors[b->op->inputs[i]];
    const tq_tflite_tensor before = *whole;
    const int missing = 4 - before.type.rank;
    whole->type.rank = 4;
    for (int d = 0; d < 4; d++)
        whole->type.dims[d] = d < missing ? 1 : before.type.dims[d - missing];
    whole->axis = before.axis + missing;
    int64_t dims[4];
    for (int d = 0; d < 4; d++)
        dims[d] = whole->type.dims[to_nchw[d]];
    const tq_tflite_layout layout = { to_nchw, 4, dims, tq_tflite_axis(4, whole->axis) };
    const tq_status status = tq_tflite_weight(b, i, &layout, out);
    *whole = before;
    return status;
}

static int largest_rank(const tq_tflite_builder *b)
{
    int rank = 0;
    for (int i = 0; i < 2; i++) {
        const tq_tflite_tensor *t = tq_tflite_input(b, i);
        rank = t && t->type.rank > rank ? t->type.rank : rank;
    }
    return rank;
}

static tq_status build_binary(tq_tflite_builder *b, const binary *kind)
{
    tq_value *inputs[2], *y;
    int64_t activation = 0;
    const int rank = largest_rank(b);
    TQ_TRY(operand(b, X, rank, &inputs[0]));
    TQ_TRY(operand(b, Y, rank, &inputs[1]));
    if (kind->activation >= 0)
        TQ_TRY(tq_tflite_option(b, kind->activation, 1, &activation));
    TQ_TRY(tq_tflite_emit(b, kind->op, inputs, 2, NULL, 0, &y));
    TQ_TRY(tq_tflite_activate(b, activation, &y));
    return tq_tflite_set(b, 0, y, -1);
}

static tq_status build_unary(tq_tflite_builder *b, const char *op, const tq_attr *attr)
{
    tq_value *x, *y;
    TQ_TRY(tq_tflite_real(b, X, &x));
    TQ_TRY(tq_tflite_emit(b, op, &x, 1, attr, attr != NULL, &y));
    return tq_tflite_set(b, 0, y, -1);
}

/* Activations of the schema as operators of their own. */
static tq_status build_activation(tq_tflite_builder *b, int64_t activation)
{
    tq_value *x;
    TQ_TRY(tq_tflite_real(b, X, &x));
    TQ_TRY(tq_tflite_activate(b, activation, &x));
    return tq_tflite_set(b, 0, x, -1);
}

static tq_status leaky_relu(tq_tflite_builder *b)
{
    float alpha = 0.0f;
    TQ_TRY(tq_flat_float(&b->op->options, 0, &alpha));
    return build_unary(b, "LeakyRelu", &TQ_FLOAT("alpha", alpha));
}

static tq_status gelu(tq_tflite_builder *b)
{
    int64_t approximate = 0;
    TQ_TRY(tq_tflite_option(b, 0, 1, &approximate));
    return build_unary(b, "Gelu", &TQ_STRING("approximate", approximate ? "tanh" : "none"));
}

static tq_status prelu(tq_tflite_builder *b)
{
    tq_value *inputs[2], *y;
    const tq_tflite_tensor *x = tq_tflite_input(b, X);
    if (!x)
        return tq_fail(TQ_ERR_FORMAT, "has no input 0");
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(operand(b, Y, x->type.rank, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, "PRelu", inputs, 2, NULL, 0, &y));
    return tq_tflite_set(b, 0, y, -1);
}

/* x to a power that is not in the file. */
static tq_status power(tq_tflite_builder *b, tq_value *x, float exponent)
{
    tq_value *inputs[2] = { x }, *y;
    TQ_TRY(tq_tflite_add_scalar(b, exponent, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, "Pow", inputs, 2, NULL, 0, &y));
    return tq_tflite_set(b, 0, y, -1);
}

static tq_status power_of_input(tq_tflite_builder *b, float exponent)
{
    tq_value *x;
    TQ_TRY(tq_tflite_real(b, X, &x));
    return power(b, x, exponent);
}

static tq_status squared_difference(tq_tflite_builder *b)
{
    tq_value *inputs[2], *d;
    const int rank = largest_rank(b);
    TQ_TRY(operand(b, X, rank, &inputs[0]));
    TQ_TRY(operand(b, Y, rank, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, "Sub", inputs, 2, NULL, 0, &d));
    return power(b, d, 2.0f);
}

/* Over the last axis of the file. */
static tq_status softmax(tq_tflite_builder *b, const char *op)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, X);
    float beta = 1.0f;
    if (!t || t->type.rank < 1)
        return tq_fail(TQ_ERR_FORMAT, "has no input with an axis");
    if (b->op->code == SOFTMAX)
        TQ_TRY(tq_flat_float(&b->op->options, 0, &beta));
    if (beta != 1.0f)
        return tq_fail(TQ_ERR_UNSUPPORTED, "beta is %g, only 1 is supported", (double)beta);
    return build_unary(b, op, &TQ_INT("axis", tq_tflite_axis(t->type.rank, t->type.rank - 1)));
}

/* QUANTIZE and DEQUANTIZE: what the output tensor says of itself is all they do. */
static tq_status pass_on(tq_tflite_builder *b)
{
    tq_value *x;
    TQ_TRY(tq_tflite_real(b, X, &x));
    return tq_tflite_set(b, 0, x, X);
}

tq_status tq_tflite_build_elementwise(tq_tflite_builder *b, bool *out_known)
{
    *out_known = true;
    for (int i = 0; i < TQ_COUNT(binaries); i++)
        if (b->op->code == binaries[i].code)
            return build_binary(b, &binaries[i]);
    for (int i = 0; i < TQ_COUNT(unaries); i++)
        if (b->op->code == unaries[i].code)
            return build_unary(b, unaries[i].op, NULL);
    switch (b->op->code) {
    case RELU_N1_TO_1:
        return build_activation(b, 2);
    case RELU6:
        return build_activation(b, 3);
    case LEAKY_RELU:
        return leaky_relu(b);
    case RSQRT:
        return power_of_input(b, -0.5f);
    case SQUARE:
        return power_of_input(b, 2.0f);
    case SQUARED_DIFFERENCE:
        return squared_difference(b);
    case PRELU:
        return prelu(b);
    case GELU:
        return gelu(b);
    case SOFTMAX:
        return softmax(b, "Softmax");
    case LOG_SOFTMAX:
        return softmax(b, "LogSoftmax");
    case QUANTIZE:
    case DEQUANTIZE:
        return pass_on(b);
    default:
        *out_known = false;
        return TQ_OK;
    }
}
