/* Mul, Div, Max and Min on codes. Factors that are constant go into scale and offset and need no
 * node; two codes are multiplied as i32 without their zero points. A constant operand of Max or Min
 * is a bound that the next FakeQuantize applies; codes of equal scales are compared as they are. */
#include "ops/integer_rules_internal.h"

#include <math.h>

/* ---- a constant factor ----------------------------------------------------------------------- */

/** 1 / k for Div. */
static double factor_at(const tq_node *node, const tq_tensor *k, int64_t c)
{
    const double v = tq_load_f64(k->data, k->type.dtype, tq_tensor_count(k) == 1 ? 0 : c);
    return tq_node_is(node, "Div") ? 1.0 / v : v;
}

/** Bounds behind one factor for all; with factors per channel only 0 and infinity stay what they
 * are. */
static tq_status scale_bounds(tq_integerise *t, const tq_codes *x, const double *factors, int n,
                              tq_codes *y)
{
    const bool simple_lo = x->clip_lo == 0.0 || x->clip_lo == -INFINITY;
    const bool simple_hi = x->clip_hi == 0.0 || x->clip_hi == INFINITY;
    for (int c = 0; c < n; c++)
        if (n > 1 && (!simple_lo || !simple_hi || factors[c] <= 0.0))
            return tq_int_refuse(
                t, "a factor per channel behind a bound; put a FakeQuantize before it");
    const double a = x->clip_lo * factors[0], b = x->clip_hi * factors[0];
    y->clip_lo = fmin(a, b);
    y->clip_hi = fmax(a, b);
    return TQ_OK;
}

static tq_status scale_by_constant(tq_integerise *t, const tq_codes *x, const tq_tensor *k)
{
    const tq_node *node = tq_int_node(t);
    const tq_type *type = tq_value_type(x->codes);
    int axis, n_k;
    if (!tq_constant_axis(&k->type, type->rank, &axis, &n_k))
        return tq_int_refuse(t, "its constant is %s; expected one number, or one per channel",
                             tq_type_text(&k->type).s);
    if (axis >= 0 && ((x->axis >= 0 && axis != x->axis) || type->dims[axis] != n_k))
        return tq_int_refuse(t, "its constant %s does not fit the scales of the other operand",
                             tq_type_text(&k->type).s);
    const int n = n_k > x->n ? n_k : x->n;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n),
           *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    double *factors = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int c = 0; c < n; c++) {
        factors[c] = factor_at(node, k, c);
        if (!isfinite(factors[c]) || factors[c] == 0.0)
            return tq_int_refuse(t, "factor %g of channel %d leaves no scale", factors[c], c);
        scale[c] = x->scale[x->n == 1 ? 0 : c] * factors[c];
        offset[c] = x->offset[x->n == 1 ? 0 : c] * factors[c];
    }
    tq_codes y = *x;
    y.n = n;
    y.axis = n > 1 ? (axis >= 0 ? axis : x->axis) : -1;
    y.scale = scale;
    y.offset = offset;
    if (x->clip_lo != -INFINITY || x->clip_hi != INFINITY)
        TQ_TRY(scale_bounds(t, x, factors, n_k, &y));
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

/* ---- two codes ------------------------------------------------------------------------------- */

/** The codes as i32 without their zero point, and their bounds. */
static tq_status center(tq_integerise *t, const tq_codes *x, tq_value **out, int64_t *out_lo,
                        int64_t *out_hi)
{
    const double zero_point = -x->offset[0] / x->scale[0], nearest = rint(zero_point);
    if (!tq_codes_plain(x))
        return tq_int_refuse(
            t, "an operand has a scale per channel or a bound; put a FakeQuantize on it");
    if (!(fabs(zero_point - nearest) < 1e-6) || !(fabs(nearest) < 0x1p30))
        return tq_int_refuse(
            t, "the zero point %g of an operand is no integer; put a FakeQuantize on it",
            zero_point);
    TQ_TRY(tq_codes_widen(t, x->codes, out));
    *out_lo = tq_sat_add(x->lo, -(int64_t)nearest);
    *out_hi = tq_sat_add(x->hi, -(int64_t)nearest);
    if (nearest == 0.0)
        return TQ_OK;
    tq_value *constant;
    TQ_TRY(tq_int_scalar(t, "zero_point", (int64_t)nearest, &constant));
    return tq_int_emit(t, "Sub", (tq_value *const[]){ *out, constant }, 2, NULL, 0, out);
}

static tq_status multiply(tq_integerise *t, const tq_codes *a, const tq_codes *b)
{
    tq_value *factors[2];
    int64_t a_lo, a_hi, b_lo, b_hi;
    TQ_TRY(center(t, a, &factors[0], &a_lo, &a_hi));
    TQ_TRY(center(t, b, &factors[1], &b_lo, &b_hi));
    const int64_t corners[] = { tq_sat_mul(a_lo, b_lo), tq_sat_mul(a_lo, b_hi),
                                tq_sat_mul(a_hi, b_lo), tq_sat_mul(a_hi, b_hi) };
    tq_codes y = { .axis = -1,
                   .n = 1,
                   .clip_lo = -INFINITY,
                   .clip_hi = INFINITY,
                   .lo = corners[0],
                   .hi = corners[0] };
    for (int i = 1; i < TQ_COUNT(corners); i++) {
        y.lo = corners[i] < y.lo ? corners[i] : y.lo;
        y.hi = corners[i] > y.hi ? corners[i] : y.hi;
    }
    if (y.lo < INT32_MIN || y.hi > INT32_MAX)
        return tq_int_refuse(
            t,
            "its product reaches [%lld, %lld], which does not fit int32; put a FakeQuantize on its "
            "operands",
            (long long)y.lo, (long long)y.hi);
    TQ_TRY(tq_int_emit(t, "Mul", factors, 2, NULL, 0, &y.codes));
    double *scale = TQ_NEW(tq_int_arena(t), double), *offset = TQ_NEW(tq_int_arena(t), double);
    *scale = a->scale[0] * b->scale[0];
    y.scale = scale;
    y.offset = offset;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

tq_status tq_integerise_scale(tq_integerise *t)
{
    const tq_codes *a = tq_int_input(t, 0), *b = tq_int_input(t, 1);
    const bool divides = tq_node_is(tq_int_node(t), "Div");
    if (a && tq_int_constant(t, 1))
        return scale_by_constant(t, a, tq_int_constant(t, 1));
    if (b && tq_int_constant(t, 0) && !divides)
        return scale_by_constant(t, b, tq_int_constant(t, 0));
    if (!a || !b)
        return tq_int_refuse(t, "its operands are not quantised; put a FakeQuantize on them");
    if (divides)
        return tq_int_refuse(t, "a division by a computed value has no integer form");
    return multiply(t, a, b);
}

/* ---- Max, Min -------------------------------------------------------------------------------- */

static void set_bound(tq_integerise *t, const tq_codes *x, double bound, bool is_max)
{
    tq_codes y = *x;
    y.clip_lo = is_max ? fmax(x->clip_lo, bound) : fmin(x->clip_lo, bound);
    y.clip_hi = is_max ? fmax(x->clip_hi, bound) : fmin(x->clip_hi, bound);
    tq_int_set(t, 0, &y);
}

static tq_status compare(tq_integerise *t, const tq_codes *a, const tq_codes *b, const char *op)
{
    const bool plain = tq_codes_plain(a) && tq_codes_plain(b) && a->scale[0] > 0.0;
    if (!plain || !tq_scales_equal(a->scale[0], b->scale[0]) ||
        fabs(a->offset[0] - b->offset[0]) > 1e-6 * a->scale[0])
        return tq_int_refuse(t, "operands need one equal scale and zero point and no bound; put "
                                "one FakeQuantize grid on "
                                "both");
    tq_value *inputs[2] = { a->codes, b->codes };
    if (tq_value_type(inputs[0])->dtype != tq_value_type(inputs[1])->dtype)
        for (int i = 0; i < 2; i++)
            TQ_TRY(tq_codes_widen(t, inputs[i], &inputs[i]));
    tq_codes y = *a;
    const bool is_max = op[1] == 'a';
    TQ_TRY(tq_int_emit(t, op, inputs, 2, NULL, 0, &y.codes));
    y.lo = is_max == (a->lo > b->lo) ? a->lo : b->lo;
    y.hi = is_max == (a->hi > b->hi) ? a->hi : b->hi;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

tq_status tq_integerise_extremum(tq_integerise *t)
{
    const tq_node *node = tq_int_node(t);
    if (tq_node_n_inputs(node) != 2)
        return tq_int_refuse(t, "has %d operands; two have an integer form",
                             tq_node_n_inputs(node));
    for (int i = 0; i < 2; i++) {
        const tq_codes *x = tq_int_input(t, i);
        const tq_tensor *k = tq_int_constant(t, 1 - i);
        if (x && k && tq_tensor_count(k) == 1) {
            set_bound(t, x, tq_load_f64(k->data, k->type.dtype, 0), tq_node_is(node, "Max"));
            return TQ_OK;
        }
    }
    const tq_codes *a = tq_int_input(t, 0), *b = tq_int_input(t, 1);
    if (!a || !b)
        return tq_int_refuse(t, "its operands are not quantised; put a FakeQuantize on them");
    return compare(t, a, b, tq_node_op_name(node));
}
