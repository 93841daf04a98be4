/* Integer rule of MatMul and Gemm. With a = sa (qa - za) and b = sb[n] (qb - zb[n]),
 *
 *   y = alpha sa sb[n] * MatMulInteger(qa, qb, za, zb) + beta c[n],
 *
 * scale and offset lazy. A constant b may have a scale per column; two activations have one scale
 * each. Codes wider than 8 bits take MatMul on int32. */
#include "ops/integer_rules_internal.h"
#include "ops/matmul_core_internal.h"

#include <math.h>

enum { A, B };

typedef struct operands {
    const tq_codes *a, *b;
    int64_t a_zero_point;
    const int64_t *b_zero_points; /* b->n of them */
    bool b_has_zero_points;
    const tq_tensor *weight; /* b's codes where they are constant, else NULL */
    const double *bias;
    tq_type b_type; /* after transposing */
    tq_matmul product;
    tq_type out_type;
} operands;

static tq_status read_b(tq_integerise *t, const tq_linear_rule *rule, operands *o)
{
    const tq_codes *codes = tq_int_input(t, B);
    const tq_tensor *data = codes ? tq_value_tensor(codes->codes) : NULL;
    if (data && data->type.rank <= 2) {
        tq_weight_codes w;
        TQ_TRY(tq_codes_weight(t, B, rule->transposed ? 0 : data->type.rank - 1, &w));
        if (w.codes->n > 1 && data->type.rank != 2)
            return tq_int_refuse(t, "weight of one axis has %d scales; expected one", w.codes->n);
        o->b = w.codes;
        o->b_zero_points = w.zero_points;
        o->b_has_zero_points = w.has_zero_points;
        o->weight = w.data;
    } else {
        int64_t *zero_point = TQ_NEW(tq_int_arena(t), int64_t);
        TQ_TRY(tq_codes_grid(t, B, &o->b, zero_point));
        o->b_zero_points = zero_point;
        o->b_has_zero_points = *zero_point != 0;
    }
    o->b_type = *tq_value_type(o->b->codes);
    return TQ_OK;
}

static tq_status transpose(tq_integerise *t, tq_value **codes)
{
    const tq_attr perm = TQ_INTS("perm", 2, ((int64_t[]){ 1, 0 }));
    return tq_int_emit(t, "Transpose", codes, 1, &perm, 1, codes);
}

static tq_status read_a(tq_integerise *t, const tq_linear_rule *rule, operands *o)
{
    TQ_TRY(tq_codes_grid(t, A, &o->a, &o->a_zero_point));
    if (!rule->a_transposed)
        return TQ_OK;
    tq_codes *a = TQ_NEW(tq_int_arena(t), tq_codes);
    *a = *o->a;
    o->a = a;
    return transpose(t, &a->codes);
}

static tq_status read_operands(tq_integerise *t, const tq_linear_rule *rule, operands *o)
{
    TQ_TRY(read_a(t, rule, o));
    TQ_TRY(read_b(t, rule, o));
    if (rule->transposed) {
        const int64_t n = o->b_type.dims[0];
        o->b_type.dims[0] = o->b_type.dims[1];
        o->b_type.dims[1] = n;
    }
    TQ_TRY(tq_matmul_read(tq_value_type(o->a->codes), &o->b_type, &o->product, &o->out_type));
    return rule->bias < 0 ? TQ_OK : tq_codes_reals(t, rule->bias, "bias", o->product.n, &o->bias);
}

/** Codes of the weight as a constant [k, n] of `dtype`; zero points taken off when `shifted`. */
static tq_status weight_constant(tq_integerise *t, const operands *o, bool transposed, bool shifted,
                                 tq_dtype dtype, tq_value **out)
{
    const int64_t k_size = o->product.k, n_size = o->product.n;
    int64_t *values = TQ_NEW_N(tq_int_arena(t), int64_t, k_size * n_size);
    for (int64_t k = 0; k < k_size; k++)
        for (int64_t n = 0; n < n_size; n++) {
            const int64_t at = transposed ? n * k_size + k : k * n_size + n;
            values[k * n_size + n] = tq_load_i64(o->weight->data, o->weight->type.dtype, at) -
                                     (shifted ? o->b_zero_points[o->b->n > 1 ? n : 0] : 0);
        }
    return tq_int_add_constant(t, "w", dtype, o->b_type.rank, o->b_type.dims, values, out);
}

/** b as the product takes it. */
static tq_status place_b(tq_integerise *t, const operands *o, bool transposed, tq_value **out)
{
    *out = o->b->codes;
    if (!transposed)
        return TQ_OK;
    if (o->weight)
        return weight_constant(t, o, true, false, o->b_type.dtype, out);
    return transpose(t, out);
}

static tq_status emit_narrow(tq_integerise *t, const operands *o, bool transposed, tq_value **out)
{
    tq_value *inputs[4] = { o->a->codes };
    int n_inputs = 2;
    TQ_TRY(place_b(t, o, transposed, &inputs[1]));
    if (o->a_zero_point) {
        TQ_TRY(tq_codes_scalar(t, "a_zero_point", tq_value_type(o->a->codes)->dtype,
                               o->a_zero_point, &inputs[2]));
        n_inputs = 3;
    }
    if (o->b_has_zero_points) {
        const int64_t n = o->b->n;
        TQ_TRY(tq_int_add_constant(t, "b_zero_point", o->b_type.dtype, n > 1, &n, o->b_zero_points,
                                   &inputs[3]));
        n_inputs = 4;
    }
    return tq_int_emit(t, "MatMulInteger", inputs, n_inputs, NULL, 0, out);
}

/** Codes in int32 (or int64, as they are) with their zero point taken off. */
static tq_status widen(tq_integerise *t, tq_value *codes, int64_t zero_point, tq_value **out)
{
    *out = codes;
    if (!(TQ_DTYPE_BIT(tq_value_type(codes)->dtype) & TQ_DTYPES_WIDE))
        TQ_TRY(tq_codes_widen(t, codes, out));
    if (!zero_point)
        return TQ_OK;
    tq_value *zero;
    TQ_TRY(tq_codes_scalar(t, "zero_point", tq_value_type(*out)->dtype, zero_point, &zero));
    return tq_int_emit(t, "Sub", (tq_value *[]){ *out, zero }, 2, NULL, 0, out);
}

static tq_status emit_wide(tq_integerise *t, const operands *o, bool transposed, tq_value **out)
{
    tq_value *inputs[2];
    TQ_TRY(widen(t, o->a->codes, o->a_zero_point, &inputs[0]));
    const tq_dtype dtype = tq_value_type(inputs[0])->dtype;
    if (o->weight) {
        TQ_TRY(weight_constant(t, o, transposed, true, dtype, &inputs[1]));
    } else {
        TQ_TRY(place_b(t, o, transposed, &inputs[1]));
        TQ_TRY(widen(t, inputs[1], o->b_zero_points[0], &inputs[1]));
    }
    return tq_int_emit(t, "MatMul", inputs, 2, NULL, 0, out);
}

static tq_sum_bounds sum_bounds(const operands *o, bool transposed)
{
    tq_matmul p = o->product;
    p.b_row = transposed ? 1 : p.n;
    p.b_column = transposed ? p.k : 1;
    const tq_interval a = tq_interval_shift((tq_interval){ o->a->lo, o->a->hi }, -o->a_zero_point);
    const tq_interval b =
        tq_interval_shift((tq_interval){ o->b->lo, o->b->hi }, -o->b_zero_points[0]);
    return tq_matmul_bounds(&p, a, o->weight, o->b_zero_points, o->b->n, b);
}

static void state(tq_integerise *t, const operands *o, const tq_linear_rule *rule, tq_value *sum)
{
    const int n = o->b->n > 1 || o->bias ? (int)o->product.n : 1;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n);
    double *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int i = 0; i < n; i++) {
        scale[i] = rule->alpha * o->a->scale[0] * o->b->scale[o->b->n > 1 ? i : 0];
        offset[i] = o->bias ? rule->beta * o->bias[i] : 0.0;
    }
    const tq_sum_bounds bounds = sum_bounds(o, rule->transposed);
    tq_int_set(t, 0,
               &(tq_codes){ .codes = sum,
                            .axis = n > 1 ? o->out_type.rank - 1 : -1,
                            .n = n,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = bounds.sum.lo,
                            .hi = bounds.sum.hi });
}

tq_status tq_linear_integerise(tq_integerise *t, const tq_linear_rule *rule)
{
    operands o = { 0 };
    TQ_TRY(read_operands(t, rule, &o));
    if (rule->alpha == 0.0)
        return tq_int_refuse(t, "alpha is 0");
    const bool narrow = TQ_DTYPE_BIT(tq_value_type(o.a->codes)->dtype) & TQ_DTYPES_CODES &&
                        TQ_DTYPE_BIT(o.b_type.dtype) & TQ_DTYPES_CODES;
    tq_value *sum;
    TQ_TRY(narrow ? emit_narrow(t, &o, rule->transposed, &sum)
                  : emit_wide(t, &o, rule->transposed, &sum));
    state(t, &o, rule, sum);
    return TQ_OK;
}
