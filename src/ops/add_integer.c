/* Add, Sub and Sum on codes.
 *
 * A constant, or the codes of one (a quantised bias), goes into the offset. Codes of equal scales are added as i32; codes of different
 * scales s_i are first multiplied by m_i = round(s_i / s) with the common scale s = min |s_i| /
 * 2^k, the first k that makes the relative error of m_i at most 1e-6, or the best that fits int32.
 * Offsets add up lazily. */
#include "ops/integer_rules_internal.h"

#include <math.h>

enum { MAX_EXTRA_BITS = 21, MAX_TERMS = 16 };

/** -1 for the second operand of Sub. */
static int sign_of(const tq_node *node, int i)
{
    return i == 1 && tq_node_is(node, "Sub") ? -1 : 1;
}

/* ---- codes and a constant -------------------------------------------------------------------- */

/** The constant reals of an operand: as they are, or behind codes that are constant; NULL: none. */
static const tq_tensor *reals_of(tq_integerise *t, int i)
{
    const tq_codes *codes = tq_int_input(t, i);
    const tq_tensor *q = codes ? tq_value_tensor(codes->codes) : NULL;
    if (!q || !tq_codes_plain(codes))
        return tq_int_constant(t, i);
    tq_tensor *reals = TQ_NEW(tq_int_arena(t), tq_tensor);
    double *values = TQ_NEW_N(tq_int_arena(t), double, tq_tensor_count(q) + 1);
    for (int64_t k = 0; k < tq_tensor_count(q); k++)
        values[k] = codes->scale[0] * (double)tq_load_i64(q->data, q->type.dtype, k) +
                    codes->offset[0];
    *reals = (tq_tensor){ .type = q->type, .data = values };
    reals->type.dtype = TQ_F64;
    return reals;
}

/** One entry of scale and offset after sign * x + constant. */
static void shift_codes(tq_integerise *t, const tq_codes *x, int sign_x, const tq_tensor *k,
                        int sign_k, int n, int axis, tq_codes *out)
{
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n),
           *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    const int64_t n_k = tq_tensor_count(k);
    for (int c = 0; c < n; c++) {
        const int from = x->n == 1 ? 0 : c;
        scale[c] = sign_x * x->scale[from];
        offset[c] = sign_x * x->offset[from] +
                    sign_k * tq_load_f64(k->data, k->type.dtype, n_k == 1 ? 0 : c);
    }
    *out = *x;
    out->n = n;
    out->axis = n > 1 ? axis : -1;
    out->scale = scale;
    out->offset = offset;
}

static tq_status add_constant(tq_integerise *t, int i_codes, int i_constant)
{
    const tq_node *node = tq_int_node(t);
    const tq_codes *x = tq_int_input(t, i_codes);
    const tq_tensor *k = reals_of(t, i_constant);
    const tq_type *type = tq_value_type(x->codes);
    int axis, n;
    if (!tq_constant_axis(&k->type, type->rank, &axis, &n))
        return tq_int_refuse(t, "its constant is %s; expected one number, or one per channel",
                             tq_type_text(&k->type).s);
    if (axis >= 0 && x->axis >= 0 && axis != x->axis)
        return tq_int_refuse(t, "its constant and the scales run along axes %d and %d", axis,
                             x->axis);
    if (axis >= 0 && type->dims[axis] != n)
        return tq_int_refuse(t, "its constant %s makes the other operand larger",
                             tq_type_text(&k->type).s);
    const bool bounded = x->clip_lo != -INFINITY || x->clip_hi != INFINITY;
    if (bounded && axis >= 0)
        return tq_int_refuse(t,
                             "a constant per channel behind a bound; put a FakeQuantize before it");
    const int sign_x = sign_of(node, i_codes), sign_k = sign_of(node, i_constant);
    tq_codes y;
    shift_codes(t, x, sign_x, k, sign_k, n > x->n ? n : x->n, axis >= 0 ? axis : x->axis, &y);
    const double shift = sign_k * tq_load_f64(k->data, k->type.dtype, 0);
    if (bounded) {
        y.clip_lo = shift + (sign_x > 0 ? x->clip_lo : -x->clip_hi);
        y.clip_hi = shift + (sign_x > 0 ? x->clip_hi : -x->clip_lo);
    }
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

/* ---- codes and codes ------------------------------------------------------------------------- */

typedef struct terms {
    int n;
    const tq_codes *codes[MAX_TERMS];
    double scale[MAX_TERMS]; /* with its sign */
    int64_t multiplier[MAX_TERMS];
    double common;  /* scale of the sum */
    int64_t lo, hi; /* bounds of the sum */
} terms;

/** Multipliers for 2^k steps within the smallest scale; the largest relative error, or -1 beyond
 * 2^30. */
static double try_steps(terms *s, double smallest, int k)
{
    double worst = 0.0;
    s->common = ldexp(smallest, -k);
    s->lo = s->hi = 0;
    for (int i = 0; i < s->n; i++) {
        const double ratio = s->scale[i] / s->common;
        if (!(fabs(ratio) < 0x1p31))
            return -1.0;
        s->multiplier[i] = (int64_t)rint(ratio);
        worst = fmax(worst, fabs((double)s->multiplier[i] - ratio) / fabs(ratio));
        const int64_t p = tq_sat_mul(s->multiplier[i], s->codes[i]->lo),
                      q = tq_sat_mul(s->multiplier[i], s->codes[i]->hi);
        s->lo = tq_sat_add(s->lo, p < q ? p : q);
        s->hi = tq_sat_add(s->hi, p < q ? q : p);
        if (p < -(INT64_C(1) << 30) || p > INT64_C(1) << 30 || q < -(INT64_C(1) << 30) ||
            q > INT64_C(1) << 30)
            return -1.0;
    }
    return s->lo < INT32_MIN || s->hi > INT32_MAX ? -1.0 : worst;
}

/** The fewest steps that are exact to 1e-6, else the most that fit. */
static tq_status choose_common(tq_integerise *t, terms *s)
{
    double smallest = INFINITY, best = INFINITY;
    int best_k = -1;
    for (int i = 0; i < s->n; i++)
        smallest = fmin(smallest, fabs(s->scale[i]));
    if (!(smallest > 0.0))
        return tq_int_refuse(t, "an operand has scale 0");
    for (int k = 0; k <= MAX_EXTRA_BITS; k++) {
        const double error = try_steps(s, smallest, k);
        if (error >= 0.0 && error < best) {
            best = error;
            best_k = k;
        }
        if (error >= 0.0 && error <= 1e-6)
            break;
    }
    if (best >= 1e-4)
        return tq_int_refuse(t,
                             "operands have scales %.6g and %.6g, too far apart for int32; run "
                             "'harmonise-adds' first",
                             fabs(s->scale[0]), fabs(s->scale[1]));
    try_steps(s, smallest, best_k);
    return TQ_OK;
}

static tq_status emit_term(tq_integerise *t, const terms *s, int i, tq_value **out)
{
    tq_value *wide, *factor;
    TQ_TRY(tq_codes_widen(t, s->codes[i]->codes, &wide));
    *out = wide;
    if (s->multiplier[i] == 1 || (s->multiplier[i] == -1 && i > 0))
        return TQ_OK; /* -1: Sub */
    TQ_TRY(tq_int_scalar(t, "factor", s->multiplier[i], &factor));
    return tq_int_emit(t, "Mul", (tq_value *const[]){ wide, factor }, 2, NULL, 0, out);
}

static tq_status add_codes(tq_integerise *t, terms *s)
{
    double *offset = TQ_NEW(tq_int_arena(t), double), *scale = TQ_NEW(tq_int_arena(t), double);
    const tq_node *node = tq_int_node(t);
    for (int i = 0; i < s->n; i++) {
        if (!tq_codes_plain(s->codes[i]))
            return tq_int_refuse(
                t, "operand %d has a scale per channel or a bound; put a FakeQuantize on it", i);
        s->scale[i] = sign_of(node, i) * s->codes[i]->scale[0];
        *offset += sign_of(node, i) * s->codes[i]->offset[0];
    }
    TQ_TRY(choose_common(t, s));
    tq_value *sum, *term;
    TQ_TRY(emit_term(t, s, 0, &sum));
    for (int i = 1; i < s->n; i++) {
        TQ_TRY(emit_term(t, s, i, &term));
        TQ_TRY(tq_int_emit(t, s->multiplier[i] == -1 ? "Sub" : "Add",
                           (tq_value *const[]){ sum, term }, 2, NULL, 0, &sum));
    }
    *scale = s->common;
    tq_int_set(t, 0,
               &(tq_codes){ .codes = sum,
                            .axis = -1,
                            .n = 1,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = s->lo,
                            .hi = s->hi });
    return TQ_OK;
}

/** Codes and a constant; where both are codes, a constant one of one number a channel. */
static bool goes_into_offset(tq_integerise *t, int i_codes, int i_constant)
{
    const tq_codes *x = tq_int_input(t, i_codes);
    const tq_tensor *k = reals_of(t, i_constant);
    int axis, n;
    if (!x || !k)
        return false;
    return !tq_int_input(t, i_constant) ||
           (!tq_value_is_const(x->codes) &&
            tq_constant_axis(&k->type, tq_value_type(x->codes)->rank, &axis, &n));
}

tq_status tq_integerise_add(tq_integerise *t)
{
    const tq_node *node = tq_int_node(t);
    const int n = tq_node_n_inputs(node);
    terms s = { 0 };
    for (int i = 0; i < n && n <= MAX_TERMS; i++) {
        s.codes[i] = tq_int_input(t, i);
        s.n += s.codes[i] != NULL;
    }
    for (int i = 0; i < 2 && n == 2; i++)
        if (goes_into_offset(t, i, 1 - i))
            return add_constant(t, i, 1 - i);
    if (n > MAX_TERMS || s.n != n)
        return tq_int_refuse(t, "not all operands are quantised; put a FakeQuantize on them");
    return add_codes(t, &s);
}
