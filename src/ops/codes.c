/* Operands of integer rules and bounds of their sums.
 *
 * Codes stand for real = scale * code + offset. The offset is a zero point when -offset / scale is
 * an integer z, then real = scale * (code - z). A sum of products of x in [lo, hi] with known
 * weights w lies in
 *
 *   [ sum_i min(w_i lo, w_i hi),  sum_i max(w_i lo, w_i hi) ]
 *
 * and each of its parts, whatever the order, in the same with 0 joined to every term. */
#include "ops/codes_internal.h"

#include <math.h>

static const char *input_name(tq_integerise *t, int i)
{
    const tq_value *value = tq_node_input(tq_int_node(t), i);
    return value ? tq_value_name(value) : "";
}

/** Ends of what scale * code + offset can be. */
static void real_range(const tq_codes *c, int k, double *out_lo, double *out_hi)
{
    const double a = c->scale[k] * (double)c->lo + c->offset[k];
    const double b = c->scale[k] * (double)c->hi + c->offset[k];
    *out_lo = a < b ? a : b;
    *out_hi = a < b ? b : a;
}

bool tq_codes_clip_is_idle(const tq_codes *codes)
{
    for (int k = 0; k < codes->n; k++) {
        double lo, hi;
        real_range(codes, k, &lo, &hi);
        if (lo < codes->clip_lo || hi > codes->clip_hi)
            return false;
    }
    return true;
}

/** The code that stands for a bound of the real numbers; false if none does exactly. */
static bool code_of(const tq_codes *codes, double bound, int64_t otherwise, int64_t *out_code)
{
    const double exact = (bound - codes->offset[0]) / codes->scale[0], whole = nearbyint(exact);
    *out_code = otherwise;
    if (isinf(bound))
        return true;
    if (!(fabs(exact - whole) <= 1e-6 * (1.0 + fabs(whole))) || fabs(whole) > 0x1p31)
        return false;
    *out_code = tq_clip_i64((int64_t)whole, codes->lo, codes->hi);
    return true;
}

/** A pending clip whose bounds lie on the grid (a Relu: the zero point does) is one of the codes.
 */
static tq_status clip_codes(tq_integerise *t, const tq_codes *codes, const tq_codes **out_codes)
{
    tq_codes *y = tq_arena_memdup(tq_int_arena(t), codes, sizeof *codes);
    tq_value *inputs[3] = { codes->codes };
    const tq_dtype dtype = tq_value_type(codes->codes)->dtype;
    *out_codes = NULL;
    if (codes->n != 1 || !(codes->scale[0] > 0) || tq_value_is_const(codes->codes) ||
        !code_of(codes, codes->clip_lo, codes->lo, &y->lo) ||
        !code_of(codes, codes->clip_hi, codes->hi, &y->hi))
        return TQ_OK;
    TQ_TRY(tq_codes_scalar(t, "min", dtype, y->lo, &inputs[1]));
    TQ_TRY(tq_codes_scalar(t, "max", dtype, y->hi, &inputs[2]));
    TQ_TRY(tq_int_emit(t, "Clip", inputs, 3, NULL, 0, &y->codes));
    y->clip_lo = -INFINITY;
    y->clip_hi = INFINITY;
    *out_codes = y;
    return TQ_OK;
}

tq_status tq_codes_affine(tq_integerise *t, int i, const tq_codes **out_codes)
{
    const tq_codes *codes = tq_int_input(t, i);
    if (!codes)
        return tq_int_refuse(t, "input '%s' is not quantised; put a FakeQuantize on it",
                             input_name(t, i));
    if (!tq_codes_clip_is_idle(codes)) {
        TQ_TRY(clip_codes(t, codes, &codes));
        if (!codes)
            return tq_int_refuse(
                t, "a clip on input '%s' is not requantised yet; put a FakeQuantize on it",
                input_name(t, i));
    }
    *out_codes = codes;
    return TQ_OK;
}

/** clip(clip(v, a, b), lo, hi) = clip(v, clip(a, lo, hi), clip(b, lo, hi)). */
tq_status tq_codes_clip(tq_integerise *t, double lo, double hi)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (!x)
        return tq_int_refuse(t, "input '%s' is not quantised; put a FakeQuantize on it",
                             input_name(t, 0));
    tq_codes y = *x;
    y.clip_lo = fmin(fmax(x->clip_lo, lo), hi);
    y.clip_hi = fmin(fmax(x->clip_hi, lo), hi);
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

static bool zero_point_of(const tq_codes *codes, int k, int64_t *out_zero_point)
{
    const double exact = -codes->offset[k] / codes->scale[k], whole = nearbyint(exact);
    if (!(fabs(exact - whole) <= 1e-6 * (1.0 + fabs(whole))) || fabs(whole) > 0x1p31)
        return false;
    *out_zero_point = (int64_t)whole;
    return true;
}

tq_status tq_codes_grid(tq_integerise *t, int i, const tq_codes **out_codes,
                        int64_t *out_zero_point)
{
    TQ_TRY(tq_codes_affine(t, i, out_codes));
    const tq_codes *codes = *out_codes;
    if (codes->n != 1)
        return tq_int_refuse(t, "input '%s' has %d scales; put a per-tensor FakeQuantize on it",
                             input_name(t, i), codes->n);
    if (!zero_point_of(codes, 0, out_zero_point))
        return tq_int_refuse(
            t, "input '%s' has offset %g, not a multiple of its scale %g; put a FakeQuantize on it",
            input_name(t, i), codes->offset[0], codes->scale[0]);
    return TQ_OK;
}

tq_status tq_codes_weight(tq_integerise *t, int i, int axis, tq_weight_codes *out_weight)
{
    const tq_codes *codes;
    TQ_TRY(tq_codes_affine(t, i, &codes));
    const tq_tensor *data = tq_value_tensor(codes->codes);
    if (!data)
        return tq_int_refuse(t, "weight '%s' is not a constant", input_name(t, i));
    if (codes->n > 1 && codes->axis != axis)
        return tq_int_refuse(t,
                             "weight '%s' is quantised per channel along axis %d; expected axis %d",
                             input_name(t, i), codes->axis, axis);
    int64_t *zero_points = TQ_NEW_N(tq_int_arena(t), int64_t, codes->n);
    bool any = false;
    for (int k = 0; k < codes->n; k++) {
        if (!zero_point_of(codes, k, &zero_points[k]))
            return tq_int_refuse(t, "weight '%s' has offset %g, not a multiple of its scale %g",
                                 input_name(t, i), codes->offset[k], codes->scale[k]);
        any = any || zero_points[k] != 0;
    }
    *out_weight = (tq_weight_codes){ codes, data, zero_points, any };
    return TQ_OK;
}

/** Elements of constant codes, or of a float constant, as real numbers. */
static tq_status read_reals(tq_integerise *t, int i, const char *what, const tq_tensor **out_data,
                            double **out_reals)
{
    const tq_tensor *data = tq_int_constant(t, i);
    const tq_codes *codes = data ? NULL : tq_int_input(t, i);
    if (codes)
        data = tq_value_tensor(codes->codes);
    if (!data)
        return tq_int_refuse(t, "%s '%s' is not a constant", what, input_name(t, i));
    const int64_t n = tq_tensor_count(data);
    if (codes && codes->n > 1 && codes->n != n)
        return tq_int_refuse(t, "%s '%s' has %d scales for %lld elements", what, input_name(t, i),
                             codes->n, (long long)n);
    double *reals = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int64_t k = 0; k < n; k++) {
        reals[k] = tq_load_f64(data->data, data->type.dtype, k);
        const int64_t channel = codes && codes->n > 1 ? k : 0;
        if (codes)
            reals[k] = fmin(
                fmax(codes->scale[channel] * reals[k] + codes->offset[channel], codes->clip_lo),
                codes->clip_hi);
        if (!isfinite(reals[k]))
            return tq_int_refuse(t, "%s '%s' holds %g", what, input_name(t, i), reals[k]);
    }
    *out_data = data;
    *out_reals = reals;
    return TQ_OK;
}

tq_status tq_codes_reals(tq_integerise *t, int i, const char *what, int64_t n,
                         const double **out_reals)
{
    *out_reals = NULL;
    if (!tq_node_input(tq_int_node(t), i))
        return TQ_OK;
    const tq_tensor *data = NULL;
    double *reals = NULL;
    TQ_TRY(read_reals(t, i, what, &data, &reals));
    const int64_t count = tq_tensor_count(data);
    if (count == n) {
        *out_reals = reals;
        return TQ_OK;
    }
    if (count != 1)
        return tq_int_refuse(t, "%s '%s' is %s; expected %lld elements", what, input_name(t, i),
                             tq_type_text(&data->type).s, (long long)n);
    double *repeated = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int64_t k = 0; k < n; k++)
        repeated[k] = reals[0];
    *out_reals = repeated;
    return TQ_OK;
}

tq_status tq_codes_scalar(tq_integerise *t, const char *suffix, tq_dtype dtype, int64_t value,
                          tq_value **out_value)
{
    if (value < tq_dtype_min(dtype) || value > tq_dtype_max(dtype))
        return tq_int_refuse(t, "%s %lld is outside %s", suffix, (long long)value,
                             tq_dtype_name(dtype));
    return tq_int_add_constant(t, suffix, dtype, 0, NULL, &value, out_value);
}

const tq_attr *tq_codes_attrs(tq_integerise *t, int *out_n)
{
    const tq_attrs *attrs = tq_node_attrs(tq_int_node(t));
    *out_n = tq_attrs_count(attrs);
    return *out_n ? tq_attrs_at(attrs, 0) : NULL;
}

/* ---- bounds of sums ---------------------------------------------------------------------- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

tq_interval tq_interval_product(tq_interval a, tq_interval b)
{
    const int64_t p = tq_sat_mul(a.lo, b.lo), q = tq_sat_mul(a.lo, b.hi);
    const int64_t r = tq_sat_mul(a.hi, b.lo), s = tq_sat_mul(a.hi, b.hi);
    return (tq_interval){ smaller(smaller(p, q), smaller(r, s)),
                          larger(larger(p, q), larger(r, s)) };
}

tq_interval tq_interval_shift(tq_interval x, int64_t by)
{
    return (tq_interval){ tq_sat_add(x.lo, by), tq_sat_add(x.hi, by) };
}

static void add_term(tq_sum_bounds *b, tq_interval term)
{
    b->sum.lo = tq_sat_add(b->sum.lo, term.lo);
    b->sum.hi = tq_sat_add(b->sum.hi, term.hi);
    b->part.lo = tq_sat_add(b->part.lo, smaller(term.lo, 0));
    b->part.hi = tq_sat_add(b->part.hi, larger(term.hi, 0));
}

void tq_sum_bounds_add(tq_sum_bounds *b, tq_interval x, int64_t w)
{
    add_term(b, tq_interval_product(x, (tq_interval){ w, w }));
}

void tq_sum_bounds_add_n(tq_sum_bounds *b, tq_interval x, tq_interval w, int64_t count)
{
    const tq_interval one = tq_interval_product(x, w);
    add_term(b, (tq_interval){ tq_sat_mul(one.lo, count), tq_sat_mul(one.hi, count) });
}

void tq_sum_bounds_join(tq_sum_bounds *b, const tq_sum_bounds *more, bool first)
{
    if (first) {
        *b = *more;
        return;
    }
    b->sum.lo = smaller(b->sum.lo, more->sum.lo);
    b->sum.hi = larger(b->sum.hi, more->sum.hi);
    b->part.lo = smaller(b->part.lo, more->part.lo);
    b->part.hi = larger(b->part.hi, more->part.hi);
}

tq_sum_bounds tq_weight_rows_bounds(const tq_weight_rows *rows, tq_interval x)
{
    tq_sum_bounds all = { 0 };
    for (int64_t r = 0; r < rows->n_rows; r++) {
        const int64_t zero_point =
            rows->zero_points ? rows->zero_points[rows->n_zero_points > 1 ? r : 0] : 0;
        tq_sum_bounds one = { 0 };
        for (int64_t c = 0; c < rows->n_columns; c++) {
            const int64_t at = r * rows->row_stride + c * rows->column_stride;
            const int64_t w = tq_load_i64(rows->w->data, rows->w->type.dtype, at);
            tq_sum_bounds_add(&one, x, tq_sat_add(w, -zero_point));
        }
        tq_sum_bounds_join(&all, &one, r == 0);
    }
    return all;
}

const int64_t *tq_known_values(const tq_op_types *t, int i, int64_t *out_n)
{
    const tq_tensor *known = i < t->n_in && t->in_known ? t->in_known[i] : NULL;
    *out_n = 0;
    if (!known || !known->data)
        return NULL;
    *out_n = tq_tensor_count(known);
    int64_t *values = TQ_NEW_N(t->scratch, int64_t, *out_n);
    for (int64_t k = 0; k < *out_n; k++)
        values[k] = tq_load_i64(known->data, known->type.dtype, k);
    return values;
}

tq_interval tq_bounds_of(const tq_bounds *b, int i)
{
    tq_interval x;
    tq_bounds_input(b, i, &x.lo, &x.hi);
    return x;
}

int tq_accumulator_bits(tq_dtype dtype)
{
    return dtype == TQ_I64 ? 64 : 32;
}

void tq_bounds_set_sum(tq_bounds *b, const tq_sum_bounds *sum, int bits)
{
    tq_bounds_intermediate(b, "sum", sum->part.lo, sum->part.hi, bits);
    tq_bounds_set(b, 0, sum->sum.lo, sum->sum.hi);
}
