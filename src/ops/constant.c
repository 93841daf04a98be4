/* Constant (its value is an attribute), ConstantOfShape (one value, a shape that is computed) and
 * ZerosLike. Source: ONNX, opset 13 and 9. */
#include "ops/strided_internal.h"

#include <truq/integerise.h>

#include <math.h>
#include <string.h>

enum { SHAPE, X = 0 };

/* ---- Constant -------------------------------------------------------------------------------- */

/** The tensor that the attributes say; its data is borrowed from them. */
static tq_status find_value(const tq_attrs *attrs, tq_tensor *out)
{
    static const char *const names[] = { "value", "value_int", "value_ints", "value_float",
                                         "value_floats" };
    const tq_attr *attr = NULL;
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (tq_attrs_has(attrs, names[i])) {
            if (attr)
                return tq_fail(TQ_ERR_VALUE, "has both '%s' and '%s'", attr->name, names[i]);
            attr = tq_attrs_find(attrs, names[i]);
        }
    if (!attr)
        return tq_fail(TQ_ERR_VALUE, "has no value");
    const int64_t n = attr->n;
    if (attr->kind == TQ_ATTR_TENSOR)
        *out = (tq_tensor){ .type = attr->tensor.type, .data = attr->tensor.data };
    else if (attr->kind == TQ_ATTR_INT)
        *out = (tq_tensor){ .type = tq_type_make(TQ_I64, 0, NULL),
                            .data = (void *)(uintptr_t)&attr->i };
    else if (attr->kind == TQ_ATTR_FLOAT)
        *out = (tq_tensor){ .type = tq_type_make(TQ_F32, 0, NULL),
                            .data = (void *)(uintptr_t)&attr->f };
    else if (attr->kind == TQ_ATTR_INTS)
        *out = (tq_tensor){ .type = tq_type_make(TQ_I64, 1, &n),
                            .data = (void *)(uintptr_t)attr->ints };
    else
        *out = (tq_tensor){ .type = tq_type_make(TQ_F32, 1, &n),
                            .data = (void *)(uintptr_t)attr->floats };
    return TQ_OK;
}

static tq_status constant_infer(tq_op_types *t)
{
    tq_tensor value;
    TQ_TRY(find_value(t->attrs, &value));
    t->out[0] = value.type;
    if (t->out_known)
        t->out_known[0] = value;
    return TQ_OK;
}

static void constant_reference(const tq_op_run *run)
{
    tq_tensor value = { 0 };
    tq_status_drop(find_value(run->attrs, &value));
    const size_t size = (size_t)tq_type_count(&value.type) * tq_dtype_size(value.type.dtype);
    if (size)
        memcpy(run->out[0], value.data, size);
}

/* ---- ConstantOfShape ------------------------------------------------------------------------- */

static tq_status of_shape_infer(tq_op_types *t)
{
    const tq_tensor *value = tq_attr_tensor(t->attrs, "value");
    if (value && value->data && tq_tensor_count(value) != 1)
        return tq_fail(TQ_ERR_SHAPE, "value is %s; expected one element",
                       tq_type_text(&value->type).s);
    int64_t shape[TQ_MAX_RANK];
    int n;
    TQ_TRY(tq_op_known_ints(t, SHAPE, TQ_MAX_RANK, shape, &n));
    const int64_t length = n >= 0                    ? n
                           : t->in[SHAPE]->rank == 1 ? t->in[SHAPE]->dims[0]
                                                     : TQ_DIM_ANY;
    if (length > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "shape has %lld dimensions; at most %d are",
                       (long long)length, TQ_MAX_RANK);
    tq_infer_rank_only(t, length < 0 ? -1 : (int)length);
    t->out[0].dtype = value && value->data ? value->type.dtype : TQ_F32;
    for (int d = 0; d < n; d++) {
        if (shape[d] < 0 && shape[d] != TQ_VALUE_ANY)
            return tq_fail(TQ_ERR_VALUE, "shape[%d] is %lld", d, (long long)shape[d]);
        t->out[0].dims[d] = shape[d] == TQ_VALUE_ANY ? TQ_DIM_ANY : shape[d];
    }
    return TQ_OK;
}

static void of_shape_reference(const tq_op_run *run)
{
    const tq_tensor *value = tq_attr_tensor(run->attrs, "value");
    const tq_type *type = run->out_types[0];
    const size_t size = tq_dtype_size(type->dtype);
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        if (value && value->data)
            memcpy((char *)run->out[0] + (size_t)i * size, value->data, size);
        else
            ((float *)run->out[0])[i] = 0.0f;
    }
}

/** One code, 1, -1 or 0, whose scale is the value. */
static tq_status of_shape_integerise(tq_integerise *t)
{
    const tq_node *node = tq_int_node(t);
    const tq_tensor *given = tq_attr_tensor(tq_node_attrs(node), "value");
    const double value =
        given && given->data ? tq_load_f64(given->data, given->type.dtype, 0) : 0.0;
    const int8_t code = (int8_t)((value > 0) - (value < 0));
    const tq_type type = tq_type_make(TQ_I8, 1, (int64_t[]){ 1 });
    if (!isfinite(value))
        return tq_int_refuse(t, "its value is %g", value);
    tq_attr attr = { .name = "value", .kind = TQ_ATTR_TENSOR };
    TQ_TRY(tq_tensor_init_from(&attr.tensor, &type, &code));
    tq_value *shape = tq_node_input(node, SHAPE), *codes;
    const tq_status status = tq_int_emit(t, "ConstantOfShape", &shape, 1, &attr, 1, &codes);
    tq_tensor_reset(&attr.tensor);
    TQ_TRY(status);
    double *scale = TQ_NEW(tq_int_arena(t), double);
    *scale = code ? fabs(value) : 1.0;
    tq_int_set(t, 0,
               &(tq_codes){ .codes = codes,
                            .axis = -1,
                            .n = 1,
                            .scale = scale,
                            .offset = TQ_NEW(tq_int_arena(t), double),
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = code,
                            .hi = code });
    return TQ_OK;
}

static tq_status of_shape_bounds(tq_bounds *b)
{
    const tq_tensor *value = tq_attr_tensor(tq_bounds_types(b)->attrs, "value");
    const int64_t code = value && value->data ? tq_load_i64(value->data, value->type.dtype, 0) : 0;
    tq_bounds_set(b, 0, code, code);
    return TQ_OK;
}

static void zeros_reference(const tq_op_run *run)
{
    const tq_type *type = run->out_types[0];
    memset(run->out[0], 0, (size_t)tq_type_count(type) * tq_dtype_size(type->dtype));
}

const tq_op tq_op_constant = {
    .entry = { .name = "Constant", .brief = "the tensor in its attribute" },
    .flags = TQ_OP_INTEGER,
    .inputs = { NULL },
    .outputs = { "output" },
    .attrs = { { .name = "value", .kind = TQ_ATTR_TENSOR },
               { .name = "value_int", .kind = TQ_ATTR_INT },
               { .name = "value_ints", .kind = TQ_ATTR_INTS },
               { .name = "value_float", .kind = TQ_ATTR_FLOAT },
               { .name = "value_floats", .kind = TQ_ATTR_FLOATS } },
    .infer = constant_infer,
    .reference = constant_reference,
};

const tq_op tq_op_constant_of_shape = {
    .entry = { .name = "ConstantOfShape", .brief = "one value in a computed shape" },
    .flags = TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "input" },
    .outputs = { "output" },
    .attrs = { { .name = "value", .kind = TQ_ATTR_TENSOR } },
    .infer = of_shape_infer,
    .reference = of_shape_reference,
    .integerise = of_shape_integerise,
    .bounds = of_shape_bounds,
};

const tq_op tq_op_zeros_like = {
    .entry = { .name = "ZerosLike", .brief = "zeros of the type of x" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x" },
    .outputs = { "zeros" },
    .infer = tq_op_infer_same,
    .reference = zeros_reference,
};
