/* What the integer rules of elementwise operators share, and the rules that need no arithmetic. */
#include "ops/integer_rules_internal.h"
#include "ops/onnx_dtype_internal.h"
#include "ops/ops.h"

#include <math.h>

bool tq_codes_plain(const tq_codes *codes)
{
    return codes->axis < 0 && codes->clip_lo == -INFINITY && codes->clip_hi == INFINITY;
}

bool tq_scales_equal(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(a);
}

tq_status tq_codes_widen(tq_integerise *t, tq_value *codes, tq_value **out_value)
{
    *out_value = codes;
    if (tq_value_type(codes)->dtype == TQ_I32)
        return TQ_OK;
    const tq_attr to = TQ_INT("to", tq_dtype_to_onnx(TQ_I32));
    return tq_int_emit(t, "Cast", &codes, 1, &to, 1, out_value);
}

tq_status tq_int_scalar(tq_integerise *t, const char *suffix, int64_t value, tq_value **out_value)
{
    return tq_int_add_constant(t, suffix, TQ_I32, 1, (int64_t[]){ 1 }, &value, out_value);
}

bool tq_constant_axis(const tq_type *type, int rank, int *out_axis, int *out_n)
{
    *out_axis = -1;
    *out_n = 1;
    if (type->rank > rank)
        return tq_type_count(type) == 1;
    for (int d = 0; d < type->rank; d++) {
        if (type->dims[d] == 1)
            continue;
        if (*out_axis >= 0 || type->dims[d] < 1 || type->dims[d] > INT32_MAX)
            return false;
        *out_axis = rank - type->rank + d;
        *out_n = (int)type->dims[d];
    }
    return true;
}

tq_dtype tq_dtype_holding(int64_t lo, int64_t hi)
{
    static const tq_dtype dtypes[] = { TQ_U8, TQ_I8, TQ_U16, TQ_I16, TQ_I32 };
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (lo >= tq_dtype_min(dtypes[i]) && hi <= tq_dtype_max(dtypes[i]))
            return dtypes[i];
    return TQ_I64;
}

/* ---- one Requant ----------------------------------------------------------------------------- */

/** Codes that are on the grid already, in a dtype as narrow as the grid's. */
static bool on_grid(const tq_codes *x, const tq_grid *grid, int64_t q_min, int64_t q_max)
{
    if (x->axis >= 0 || !tq_scales_equal(x->scale[0], (double)grid->scale))
        return false;
    const size_t size = tq_dtype_size(tq_value_type(x->codes)->dtype);
    const double zero_point = -x->offset[0] / x->scale[0];
    return fabs(zero_point - grid->zero_point) < 1e-6 && x->lo >= q_min && x->hi <= q_max &&
           size <= tq_dtype_size(tq_dtype_holding(grid->q_min, grid->q_max));
}

static void set_one_scale(tq_integerise *t, const tq_grid *grid, tq_codes *codes)
{
    double *scale = TQ_NEW(tq_int_arena(t), double), *offset = TQ_NEW(tq_int_arena(t), double);
    *scale = (double)grid->scale;
    *offset = -(double)grid->scale * grid->zero_point;
    *codes = (tq_codes){ .codes = codes->codes,
                         .axis = -1,
                         .n = 1,
                         .scale = scale,
                         .offset = offset,
                         .clip_lo = -INFINITY,
                         .clip_hi = INFINITY,
                         .lo = codes->lo,
                         .hi = codes->hi };
}

/** Code of a real bound that is still to be applied, by the grid's own rounding. */
static int64_t bound_code(const tq_grid *grid, double bound)
{
    return tq_grid_quantize(grid, (float)bound);
}

/** Bounds of the codes that come out. */
static void requant_bounds(const tq_requant *r, const tq_codes *x, int64_t q_min, int64_t q_max,
                           tq_codes *out)
{
    out->lo = INT64_MAX;
    out->hi = INT64_MIN;
    for (int c = 0; c < r->n; c++) {
        const int64_t at_lo = tq_sat_add(tq_sat_mul(x->lo, r->mul[c]), r->add[c]) >> r->shift;
        const int64_t at_hi = tq_sat_add(tq_sat_mul(x->hi, r->mul[c]), r->add[c]) >> r->shift;
        const int64_t lo = tq_clip_i64(at_lo < at_hi ? at_lo : at_hi, q_min, q_max);
        const int64_t hi = tq_clip_i64(at_lo < at_hi ? at_hi : at_lo, q_min, q_max);
        out->lo = lo < out->lo ? lo : out->lo;
        out->hi = hi > out->hi ? hi : out->hi;
    }
}

static tq_status emit(tq_integerise *t, const tq_codes *x, const tq_requant *r, const tq_grid *grid,
                      int64_t q_min, int64_t q_max, tq_value **out)
{
    tq_value *inputs[3] = { x->codes };
    const int64_t n = r->n;
    const tq_dtype mul = tq_int_options(t)->limits.mul_bits > 32 ? TQ_I64 : TQ_I32;
    TQ_TRY(tq_int_add_constant(t, "mul", mul, 1, &n, r->mul, &inputs[1]));
    TQ_TRY(tq_int_add_constant(t, "add", TQ_I64, 1, &n, r->add, &inputs[2]));
    const tq_attr attrs[] = {
        TQ_INT("shift", r->shift), TQ_INT("q_min", q_min), TQ_INT("q_max", q_max),
        TQ_STRING("dtype", tq_dtype_name(tq_dtype_holding(grid->q_min, grid->q_max))),
        TQ_INT("axis", x->axis < 0 ? 1 : x->axis)
    };
    return tq_int_emit(t, "Requant", inputs, 3, attrs, TQ_COUNT(attrs), out);
}

tq_codes tq_codes_on_grid(tq_integerise *t, const tq_grid *grid, tq_value *codes)
{
    tq_codes on_grid = { .codes = codes, .lo = grid->q_min, .hi = grid->q_max };
    set_one_scale(t, grid, &on_grid);
    return on_grid;
}

/** A requantisation rounds half up, or down. Another rounding is as good where no tie tells them
 *  apart; else it must be allowed, and is left with the value for the proof to count the ties. */
static tq_status check_rounding(tq_integerise *t, const tq_codes *x, const tq_requant *r,
                                const tq_grid *grid, int64_t q_min, int64_t q_max,
                                bool *out_differs)
{
    const char *name = tq_rounding_name(grid->rounding);
    const int64_t n_ties =
        tq_requant_ties(r, x->lo, x->hi, q_min, q_max, grid->zero_point, grid->rounding);
    *out_differs = n_ties > 0;
    if (tq_int_options(t)->force_half_up)
        return TQ_OK;
    if (n_ties > 0)
        return tq_int_refuse(t,
                             "an add and a shift cannot round '%s', which takes %lld of its ties "
                             "to other codes; 'truq f2t --rounding half-up' rounds halves up",
                             name, (long long)n_ties);
    if (grid->rounding == TQ_ROUND_STOCHASTIC)
        return tq_int_refuse(
            t,
            "an add and a shift cannot round '%s'; 'truq f2t --rounding half-up' rounds halves up",
            name);
    return TQ_OK;
}

tq_status tq_emit_requant(tq_integerise *t, const tq_codes *x, const tq_grid *grid,
                          tq_codes *out_codes)
{
    const int64_t q_min = x->clip_lo == -INFINITY ? grid->q_min : bound_code(grid, x->clip_lo);
    const int64_t q_max = x->clip_hi == INFINITY ? grid->q_max : bound_code(grid, x->clip_hi);
    *out_codes = *x;
    if (on_grid(x, grid, q_min, q_max)) {
        set_one_scale(t, grid, out_codes);
        return TQ_OK;
    }
    tq_arena *arena = tq_int_arena(t);
    double *scale = TQ_NEW_N(arena, double, x->n), *offset = TQ_NEW_N(arena, double, x->n);
    for (int c = 0; c < x->n; c++) {
        scale[c] = x->scale[c] / (double)grid->scale;
        offset[c] = x->offset[c] / (double)grid->scale + grid->zero_point;
    }
    tq_requant r;
    const tq_rounding rounding =
        grid->rounding == TQ_ROUND_FLOOR ? TQ_ROUND_FLOOR : TQ_ROUND_HALF_UP;
    TQ_TRY(tq_requant_find(&tq_int_options(t)->limits, x->n, scale, offset, x->lo, x->hi, rounding,
                           arena, &r));
    bool differs;
    TQ_TRY(check_rounding(t, x, &r, grid, q_min, q_max, &differs));
    TQ_TRY(emit(t, x, &r, grid, q_min, q_max, &out_codes->codes));
    if (differs) {
        tq_value_set_meta(out_codes->codes, "ties.rounding", tq_rounding_name(grid->rounding));
        tq_value_set_meta_i64(out_codes->codes, "ties.zero_point", grid->zero_point);
    }
    requant_bounds(&r, x, q_min, q_max, out_codes);
    set_one_scale(t, grid, out_codes);
    return TQ_OK;
}

/* ---- rules without arithmetic ---------------------------------------------------------------- */

tq_status tq_integerise_same(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (!x)
        return tq_int_refuse(t, "its input is not quantised; put a FakeQuantize before it");
    const tq_dtype dtype = tq_value_type(tq_node_output(tq_int_node(t), 0))->dtype;
    if (!tq_dtype_is_float(dtype))
        return tq_int_refuse(t, "it turns a quantised value into %s", tq_dtype_name(dtype));
    tq_int_set(t, 0, x);
    return TQ_OK;
}

/** The code that Pad writes: the one of its constant, which must be exact. */
static tq_status pad_code(tq_integerise *t, const tq_codes *x, int64_t *out_code)
{
    const tq_tensor *constant = tq_int_constant(t, 2);
    if (tq_node_input(tq_int_node(t), 2) && !constant)
        return tq_int_refuse(t, "its value is not a constant");
    const double value = constant ? tq_load_f64(constant->data, constant->type.dtype, 0) : 0.0;
    double code = 0.0;
    for (int c = 0; c < x->n; c++) {
        const double here = (value - x->offset[c]) / x->scale[c];
        if (c > 0 && here != code)
            return tq_int_refuse(
                t, "its value has another code in each channel; put a FakeQuantize before it");
        code = here;
    }
    const tq_dtype dtype = tq_value_type(x->codes)->dtype;
    const bool exact = fabs(code - rint(code)) < 1e-6 * fmax(1.0, fabs(code));
    if (!exact || code < (double)tq_dtype_min(dtype) || code > (double)tq_dtype_max(dtype) ||
        value < x->clip_lo || value > x->clip_hi)
        return tq_int_refuse(
            t, "its value %g is no code of its input, which has scale %g and offset %g", value,
            x->scale[0], x->offset[0]);
    *out_code = (int64_t)rint(code);
    return TQ_OK;
}

tq_status tq_integerise_pad(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (!x)
        return tq_int_refuse(t, "its input is not quantised; put a FakeQuantize before it");
    int64_t code;
    TQ_TRY(pad_code(t, x, &code));
    const tq_node *node = tq_int_node(t);
    tq_value *axes = tq_node_input(node, 3),
             *inputs[4] = { x->codes, tq_node_input(node, 1), NULL, axes };
    TQ_TRY(tq_int_add_constant(t, "value", tq_value_type(x->codes)->dtype, 0, NULL, &code,
                               &inputs[2]));
    const tq_attr mode = TQ_STRING("mode", tq_attr_string(tq_node_attrs(node), "mode"));
    tq_codes y = *x;
    TQ_TRY(tq_int_emit(t, "Pad", inputs, axes ? 4 : 3, &mode, 1, &y.codes));
    y.lo = code < y.lo ? code : y.lo;
    y.hi = code > y.hi ? code : y.hi;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}
