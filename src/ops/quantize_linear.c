/* QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear:
 *
 *   y = saturate(round_half_even(x / scale) + zero_point)        x = (y - zero_point) * scale
 *
 * with one scale, one per index of `axis`, or one per block of block_size elements along it.
 * Source: ONNX, opset 23 and 11. */
#include "ops/integer_rules_internal.h"
#include "ops/onnx_dtype_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { X, SCALE, ZERO };

enum {
    CODES = 1 << TQ_U8 | 1 << TQ_I8 | 1 << TQ_U16 | 1 << TQ_I16 | 1 << TQ_U4 | 1 << TQ_I4,
    SCALES = 1 << TQ_F32 | 1 << TQ_F16 | 1 << TQ_BF16,
};

static tq_status check_blocks(const tq_type *x, const tq_type *scale, int axis, int64_t block)
{
    bool fits = x->rank == scale->rank;
    for (int d = 0; fits && d < x->rank; d++) {
        const bool open = x->dims[d] == TQ_DIM_ANY || scale->dims[d] == TQ_DIM_ANY;
        const int64_t want = d == axis && !open ? (x->dims[d] - 1) / block + 1 : x->dims[d];
        fits = open || scale->dims[d] == want;
    }
    if (!fits)
        return tq_fail(TQ_ERR_SHAPE, "x is %s, the scale %s, in blocks of %lld along axis %d",
                       tq_type_text(x).s, tq_type_text(scale).s, (long long)block, axis);
    return TQ_OK;
}

/** Scale: one element, [size of axis], or blocks; the zero point is of its shape. */
static tq_status check_scale(const tq_op_types *t)
{
    const tq_type *x = t->in[X], *scale = t->in[SCALE];
    const int64_t block = tq_attr_int(t->attrs, "block_size");
    TQ_TRY(tq_op_need_dtype(t, SCALE, SCALES));
    if (block < 0)
        return tq_fail(TQ_ERR_VALUE, "block_size is %lld", (long long)block);
    if (x->rank < 0 || scale->rank < 0)
        return TQ_OK;
    if (tq_op_has(t, ZERO) && tq_type_count(t->in[ZERO]) != tq_type_count(scale))
        return tq_fail(TQ_ERR_SHAPE, "the zero point is %s, the scale %s",
                       tq_type_text(t->in[ZERO]).s, tq_type_text(scale).s);
    if (scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1 && block == 0))
        return TQ_OK;
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    if (block > 0)
        return check_blocks(x, scale, axis, block);
    if (scale->rank != 1 || !tq_dim_fits(scale->dims[0], x->dims[axis]))
        return tq_fail(TQ_ERR_SHAPE, "x is %s, the scale %s; expected one per index of axis %d",
                       tq_type_text(x).s, tq_type_text(scale).s, axis);
    return TQ_OK;
}

static tq_status quantize_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, SCALES | 1 << TQ_I32));
    TQ_TRY(check_scale(t));
    const int64_t number = tq_attr_int(t->attrs, "output_dtype");
    const tq_dtype zero = tq_op_has(t, ZERO) ? t->in[ZERO]->dtype : TQ_NONE;
    const tq_dtype dtype = number ? tq_dtype_from_onnx(number) : zero != TQ_NONE ? zero : TQ_U8;
    if (!(CODES >> dtype & 1))
        return tq_fail(TQ_ERR_UNSUPPORTED, "output of %s (ONNX dtype %lld) is not implemented",
                       tq_dtype_name(dtype), (long long)number);
    if (zero != TQ_NONE && zero != dtype)
        return tq_fail(TQ_ERR_TYPE, "the zero point is %s and output_dtype %s", tq_dtype_name(zero),
                       tq_dtype_name(dtype));
    t->out[0] = *t->in[X];
    t->out[0].dtype = dtype;
    return TQ_OK;
}

static tq_status dequantize_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, CODES | 1 << TQ_I32));
    TQ_TRY(check_scale(t));
    if (tq_op_has(t, ZERO) && t->in[ZERO]->dtype != t->in[X]->dtype)
        return tq_fail(TQ_ERR_TYPE, "x is %s and the zero point %s", tq_type_text(t->in[X]).s,
                       tq_type_text(t->in[ZERO]).s);
    const int64_t number = tq_attr_int(t->attrs, "output_dtype");
    t->out[0] = *t->in[X];
    t->out[0].dtype = number ? tq_dtype_from_onnx(number) : t->in[SCALE]->dtype;
    if (!(SCALES >> t->out[0].dtype & 1))
        return tq_fail(TQ_ERR_UNSUPPORTED, "output of ONNX dtype %lld is not implemented",
                       (long long)number);
    return TQ_OK;
}

/** Which scale element i of x has. */
typedef struct scale_index {
    int64_t n_axis, n_inner, block,
        n_blocks; /* block 0: one scale for all; else elements of axis to a scale */
    bool per_block;
} scale_index;

static scale_index find_index(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const int64_t block = tq_attr_int(run->attrs, "block_size");
    if (tq_type_count(run->in_types[SCALE]) == 1)
        return (scale_index){ 0 };
    int axis = 0;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    const int64_t size = block > 0 ? block : 1;
    return (scale_index){ x->dims[axis], tq_type_count_from(x, axis + 1), size,
                          (x->dims[axis] - 1) / size + 1, block > 0 };
}

static int64_t scale_of(const scale_index *s, int64_t i)
{
    if (s->block == 0)
        return 0;
    const int64_t along = i / s->n_inner % s->n_axis / s->block;
    if (!s->per_block)
        return along;
    return (i / s->n_inner / s->n_axis * s->n_blocks + along) * s->n_inner + i % s->n_inner;
}

static double load(const tq_op_run *run, int input, int64_t i)
{
    return tq_run_has(run, input) ? tq_load_f64(run->in[input], run->in_types[input]->dtype, i)
                                  : 0.0;
}

static void quantize_reference(const tq_op_run *run)
{
    const scale_index s = find_index(run);
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++) {
        const int64_t k = scale_of(&s, i);
        const float v = (float)load(run, X, i) / (float)load(run, SCALE, k);
        const double q = isnan(v) ? 0.0 : (double)nearbyintf(v);
        tq_store_f64(run->out[0], run->out_types[0]->dtype, i, q + load(run, ZERO, k));
    }
}

static void dequantize_reference(const tq_op_run *run)
{
    const scale_index s = find_index(run);
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++) {
        const int64_t k = scale_of(&s, i);
        const float q = (float)(load(run, X, i) - load(run, ZERO, k));
        tq_store_f64(run->out[0], run->out_types[0]->dtype, i, q * (float)load(run, SCALE, k));
    }
}

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------- */

static tq_status dynamic_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    if (t->n_out != 3)
        return tq_fail(TQ_ERR_VALUE, "has %d outputs; expected 3", t->n_out);
    t->out[0] = *t->in[X];
    t->out[0].dtype = TQ_U8;
    t->out[1] = tq_type_make(TQ_F32, 0, NULL);
    t->out[2] = tq_type_make(TQ_U8, 0, NULL);
    return TQ_OK;
}

/** The scale from the range of x widened to hold 0; codes 0 .. 255. */
static void dynamic_reference(const tq_op_run *run)
{
    const float *x = run->in[X];
    const int64_t n = tq_type_count(run->in_types[X]);
    uint8_t *y = run->out[0], *zero = run->out[2];
    float lo = 0.0f, hi = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    const float scale = (hi - lo) / 255.0f;
    *(float *)run->out[1] = scale;
    *zero = scale > 0.0f ? (uint8_t)tq_clipf(nearbyintf(-lo / scale), 0.0f, 255.0f) : 0;
    for (int64_t i = 0; i < n; i++) {
        const float q = scale > 0.0f ? nearbyintf(x[i] / scale) + *zero : *zero;
        y[i] = isnan(q) ? *zero : (uint8_t)tq_clipf(q, 0.0f, 255.0f);
    }
}

const tq_op tq_op_quantize_linear = {
    .entry = { .name = "QuantizeLinear", .brief = "float to codes" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "x", "y_scale", "?y_zero_point" },
    .outputs = { "y" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "block_size", .kind = TQ_ATTR_INT },
               { .name = "output_dtype", .kind = TQ_ATTR_INT },
               { .name = "precision", .kind = TQ_ATTR_INT },
               { .name = "saturate", .kind = TQ_ATTR_INT, .i = 1 } },
    .infer = quantize_infer,
    .reference = quantize_reference,
    .integerise = tq_integerise_quantize_linear,
};

const tq_op tq_op_dequantize_linear = {
    .entry = { .name = "DequantizeLinear", .brief = "codes to float" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "x", "x_scale", "?x_zero_point" },
    .outputs = { "y" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "block_size", .kind = TQ_ATTR_INT },
               { .name = "output_dtype", .kind = TQ_ATTR_INT } },
    .infer = dequantize_infer,
    .reference = dequantize_reference,
    .integerise = tq_integerise_dequantize_linear,
};

const tq_op tq_op_dynamic_quantize_linear = {
    .entry = { .name = "DynamicQuantizeLinear",
               .brief = "float to u8 codes on the range of the data" },
    .inputs = { "x" },
    .outputs = { "y", "y_scale", "y_zero_point" },
    .infer = dynamic_infer,
    .reference = dynamic_reference,
};
