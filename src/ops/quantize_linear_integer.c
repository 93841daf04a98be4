/* Integer rules of QuantizeLinear and DequantizeLinear: the grid is written in the graph.
 * DequantizeLinear states that its integer input stands for (q - zero_point) * scale;
 * QuantizeLinear brings what stands before it onto its grid by one Requant, whose ties count as
 * those of any grid that rounds half to even. Reals before a QuantizeLinear and after a
 * DequantizeLinear are the borders of a network that is real outside. */
#include "ops/codes_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { X, SCALE, ZERO };

typedef struct written_grid {
    int axis, n;
    double *scale, *offset; /* n of each */
    int32_t zero_point;     /* of the first */
} written_grid;

static int64_t zero_at(const tq_tensor *zero, int64_t i)
{
    if (!zero)
        return 0;
    return tq_load_i64(zero->data, zero->type.dtype, tq_tensor_count(zero) == 1 ? 0 : i);
}

static tq_status read_grid(tq_integerise *t, const tq_type *x, written_grid *out)
{
    const tq_node *node = tq_int_node(t);
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_tensor *scale = tq_int_constant(t, SCALE), *zero = tq_int_constant(t, ZERO);
    if (!scale || (tq_node_input(node, ZERO) && !zero))
        return tq_int_refuse(t, "its scale and zero point are not constants");
    const int64_t n = tq_tensor_count(scale);
    if (tq_attr_int(attrs, "block_size") || n < 1 || n > INT32_MAX)
        return tq_int_refuse(t, "it has a scale per block");
    *out = (written_grid){ .axis = -1, .n = (int)n };
    if (n > 1)
        TQ_TRY(tq_op_axis(tq_attr_int(attrs, "axis"), x->rank, &out->axis));
    out->scale = TQ_NEW_N(tq_int_arena(t), double, n);
    out->offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int64_t i = 0; i < n; i++) {
        out->scale[i] = tq_load_f64(scale->data, scale->type.dtype, i);
        out->offset[i] = -out->scale[i] * (double)zero_at(zero, i);
        if (!(out->scale[i] > 0) || !isfinite(out->scale[i]))
            return tq_int_refuse(t, "scale %g is no number above 0", out->scale[i]);
    }
    out->zero_point = (int32_t)zero_at(zero, 0);
    return TQ_OK;
}

/* ---- DequantizeLinear ---- */

static tq_interval range_of_constant(const tq_tensor *tensor)
{
    tq_interval range = { INT64_MAX, INT64_MIN };
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++) {
        const int64_t v = tq_load_i64(tensor->data, tensor->type.dtype, i);
        range.lo = v < range.lo ? v : range.lo;
        range.hi = v > range.hi ? v : range.hi;
    }
    return range;
}

/* Codes of 4 bits take a byte each from here on. */
static tq_status widen_constant(tq_integerise *t, const tq_tensor *tensor, tq_value **codes)
{
    const int64_t n = tq_tensor_count(tensor);
    const tq_dtype dtype = tensor->type.dtype == TQ_U4 ? TQ_U8 : TQ_I8;
    int64_t *values = TQ_NEW_N(tq_int_arena(t), int64_t, n + 1);
    for (int64_t i = 0; i < n; i++)
        values[i] = tq_load_i64(tensor->data, tensor->type.dtype, i);
    return tq_int_add_constant(t, "codes", dtype, tensor->type.rank, tensor->type.dims, values,
                               codes);
}

static tq_status read_codes(tq_integerise *t, tq_codes *out)
{
    const tq_codes *before = tq_int_input(t, X);
    tq_value *x = before ? before->codes : tq_node_input(tq_int_node(t), X);
    const tq_tensor *constant = tq_value_tensor(x);
    const tq_dtype dtype = tq_value_type(x)->dtype;
    const bool narrow = dtype == TQ_U4 || dtype == TQ_I4;
    tq_interval range = { tq_dtype_min(dtype), tq_dtype_max(dtype) };
    if (before)
        range = (tq_interval){ before->lo, before->hi };
    else if (constant && tq_tensor_count(constant) > 0)
        range = range_of_constant(constant);
    out->lo = range.lo;
    out->hi = range.hi;
    out->codes = x;
    if (narrow && constant)
        return widen_constant(t, constant, &out->codes);
    if (narrow)
        return tq_int_refuse(t, "its codes take 4 bits each");
    return TQ_OK;
}

tq_status tq_integerise_dequantize_linear(tq_integerise *t)
{
    tq_node *node = tq_int_node(t);
    if (tq_value_type(tq_node_output(node, 0))->dtype != TQ_F32)
        return tq_int_refuse(t, "it makes %s",
                             tq_dtype_name(tq_value_type(tq_node_output(node, 0))->dtype));
    written_grid grid;
    tq_codes codes = { .clip_lo = -INFINITY, .clip_hi = INFINITY };
    TQ_TRY(read_grid(t, tq_value_type(tq_node_input(node, X)), &grid));
    TQ_TRY(read_codes(t, &codes));
    codes.axis = grid.axis;
    codes.n = grid.n;
    codes.scale = grid.scale;
    codes.offset = grid.offset;
    const tq_value *x = tq_node_input(node, X);
    if (tq_value_type(codes.codes)->dtype == tq_value_type(x)->dtype)
        tq_node_set_input(node, X, codes.codes); /* serves who reads reals */
    tq_int_set(t, 0, &codes);
    return TQ_OK;
}

/* ---- QuantizeLinear ---- */

tq_status tq_integerise_quantize_linear(tq_integerise *t)
{
    const tq_node *node = tq_int_node(t);
    const tq_codes *x = tq_int_input(t, X);
    const tq_dtype dtype = tq_value_type(tq_node_output(node, 0))->dtype;
    written_grid grid;
    tq_codes y;
    if (!x)
        return tq_int_refuse(t, "its input has no integer form");
    TQ_TRY(read_grid(t, tq_value_type(tq_node_input(node, X)), &grid));
    if (grid.n > 1)
        return tq_int_refuse(t, "its grid has %d channels; activations need one scale", grid.n);
    const tq_grid own = { .scale = (float)grid.scale[0],
                          .zero_point = grid.zero_point,
                          .q_min = tq_dtype_min(dtype),
                          .q_max = tq_dtype_max(dtype),
                          .step = 1,
                          .rounding = TQ_ROUND_HALF_EVEN };
    TQ_TRY(tq_emit_requant(t, x, &own, &y));
    tq_int_set(t, 0, &y);
    return TQ_OK;
}
