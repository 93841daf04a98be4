/* Softmax on codes, by a table and one division for each element, and the integer rule of Softmax:
 *
 *   d_i = max x - x_i,   e_i = table[d_i],   S = sum_j e_j,
 *   y_i = clip(floor(e_i multiplier / (S 2^shift) + 1/2) + zero_point, q_min, q_max)
 *
 *   x  u8 or i8;  table  i32 [256]: round(2^b e^(-d s)) for codes of scale s, with b <= 30 such
 * that all fits 63 bits;  multiplier = round(2^shift / s_y) < 2^28 for results of scale s_y.
 *
 * Each e_i is off by 1/2 at most, so e_i / S is off by less than (n + 1) / 2^(b + 1) for n
 * elements: before the rounding of the result, that is (n + 1) / (2^(b + 1) s_y) of its steps. */
#include "ops/integer_rules_internal.h"
#include "ops/pact_internal.h"

#include <math.h>

enum { X, TABLE, N_CODES = 256 };
enum { TABLE_BITS_MIN = 16, TABLE_BITS_MAX = 30, MULTIPLIER_BITS = 28, ALL_BITS = 61 };

typedef struct settings {
    int64_t multiplier, shift, zero_point, q_min, q_max;
} settings;

static settings read_settings(const tq_attrs *attrs)
{
    return (settings){ tq_attr_int(attrs, "multiplier"), tq_attr_int(attrs, "shift"),
                       tq_attr_int(attrs, "zero_point"), tq_attr_int(attrs, "q_min"),
                       tq_attr_int(attrs, "q_max") };
}

static tq_status infer(tq_op_types *t)
{
    const settings s = read_settings(t->attrs);
    const tq_dtype dtype = tq_dtype_parse(tq_attr_string(t->attrs, "dtype"));
    int axis;
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_CODES));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    TQ_TRY(tq_op_need_dtype(t, TABLE, TQ_DTYPE_BIT(TQ_I32)));
    TQ_TRY(tq_op_need_rank(t, TABLE, 1, 1));
    if (!tq_dim_fits(t->in[TABLE]->dims[0], N_CODES))
        return tq_fail(TQ_ERR_SHAPE, "the table is %s; expected %d entries",
                       tq_type_text(t->in[TABLE]).s, N_CODES);
    if (s.multiplier < 1 || s.multiplier > INT32_MAX || s.shift < 0 || s.shift > 62)
        return tq_fail(TQ_ERR_VALUE, "multiplier %lld or shift %lld is out of range",
                       (long long)s.multiplier, (long long)s.shift);
    if (!tq_dtype_is_integer(dtype) || s.q_min > s.q_max || s.q_min < tq_dtype_min(dtype) ||
        s.q_max > tq_dtype_max(dtype))
        return tq_fail(TQ_ERR_VALUE, "q_min %lld and q_max %lld do not fit dtype '%s'",
                       (long long)s.q_min, (long long)s.q_max, tq_attr_string(t->attrs, "dtype"));
    t->out[0] = *t->in[X];
    t->out[0].dtype = dtype;
    return TQ_OK;
}

/** One row: `n` codes `step` apart from `first` on. */
static void apply(const tq_op_run *run, const settings *s, int64_t first, int64_t step, int64_t n)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int32_t *table = run->in[TABLE];
    int64_t max = INT64_MIN;
    tq_wide sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t x = tq_load_i64(run->in[X], dtype, first + i * step);
        max = x > max ? x : max;
    }
    for (int64_t i = 0; i < n; i++)
        sum += table[max - tq_load_i64(run->in[X], dtype, first + i * step)];
    const tq_wide divisor = sum > 0 ? sum << s->shift : 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i * step;
        const tq_wide e = table[max - tq_load_i64(run->in[X], dtype, at)];
        const tq_wide y = tq_floor_div(2 * e * s->multiplier + divisor, 2 * divisor);
        tq_store_i64(run->out[0], run->out_types[0]->dtype, at,
                     tq_clip_i64(tq_narrow(y + s->zero_point), s->q_min, s->q_max));
    }
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const settings s = read_settings(run->attrs);
    int axis = 0;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    const int64_t n = x->dims[axis], step = tq_type_count_from(x, axis + 1);
    for (int64_t row = 0; row < tq_type_count_to(x, axis) * step; row++)
        apply(run, &s, row / step * step * n + row % step, step, n);
}

/** The widest number is 2 S 2^shift, or 2 e multiplier. */
static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const settings s = read_settings(t->attrs);
    int axis = 0;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    const int64_t n = t->in[X]->dims[axis] == TQ_DIM_ANY ? INT32_MAX : t->in[X]->dims[axis];
    int64_t lo, hi;
    tq_bounds_input(b, TABLE, &lo, &hi);
    const int64_t twice = s.shift >= 61 ? INT64_MAX : INT64_C(2) << s.shift;
    const int64_t divisor = tq_sat_mul(tq_sat_mul(hi, n), twice);
    const int64_t product = tq_sat_mul(tq_sat_mul(2, hi), s.multiplier);
    tq_bounds_intermediate(b, "quotient", 0, tq_sat_add(product, divisor), 63);
    tq_bounds_set(b, 0, s.q_min, s.q_max);
    return TQ_OK;
}

const tq_op tq_op_softmax_integer = {
    .entry = { .name = "SoftmaxInteger",
               .brief = "softmax of codes by a table and a division",
               .source = "arXiv:2101.01321 with a table for its polynomial" },
    .domain = "truq",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x", "table" },
    .outputs = { "y" },
    .attrs = { TQ_INT("multiplier", 0), TQ_INT("shift", 0), TQ_INT("q_min", 0),
               TQ_INT("q_max", 255), TQ_INT("zero_point", 0), TQ_INT("axis", -1),
               TQ_STRING("dtype", "u8") },
    .required_attrs = 3,
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};

/* ---- the rule ------------------------------------------------------------------------------- */

/** 2 S 2^shift takes 1 + log2 n + b + shift bits. */
static int table_bits(const tq_type *x, int axis, int shift)
{
    const int64_t n = x->dims[axis] == TQ_DIM_ANY ? 1 : x->dims[axis];
    int n_bits = 0;
    while (n_bits < 62 && INT64_C(1) << n_bits < n)
        n_bits++;
    return (int)tq_clip_i64(ALL_BITS - n_bits - shift, TABLE_BITS_MIN, TABLE_BITS_MAX);
}

static tq_status add_table(tq_integerise *t, double scale, int bits, tq_value **out)
{
    int64_t table[N_CODES];
    for (int d = 0; d < N_CODES; d++)
        table[d] = (int64_t)rint(ldexp(exp(-scale * d), bits));
    return tq_int_add_constant(t, "table", TQ_I32, 1, (int64_t[]){ N_CODES }, table, out);
}

static tq_status emit(tq_integerise *t, const tq_codes *x, const tq_grid *grid, tq_value **out)
{
    int exponent;
    frexp(1.0 / (double)grid->scale, &exponent); /* 1 / scale < 2^exponent */
    const int shift = exponent < MULTIPLIER_BITS ? MULTIPLIER_BITS - exponent : 0;
    const double multiplier = rint(ldexp(1.0 / (double)grid->scale, shift));
    if (!(multiplier >= 1) || multiplier > INT32_MAX || shift > 40)
        return tq_int_refuse(t, "its result has scale %g, far from 1/256", (double)grid->scale);
    const tq_type *type = tq_value_type(x->codes);
    const int64_t given_axis = tq_attr_int(tq_node_attrs(tq_int_node(t)), "axis");
    int axis;
    TQ_TRY(tq_op_axis(given_axis, type->rank, &axis));
    tq_value *inputs[2] = { x->codes };
    TQ_TRY(add_table(t, x->scale[0], table_bits(type, axis, shift), &inputs[1]));
    const tq_dtype dtype = tq_dtype_holding(grid->q_min, grid->q_max);
    const tq_attr attrs[] = { TQ_INT("multiplier", (int64_t)multiplier),
                              TQ_INT("shift", shift),
                              TQ_INT("q_min", grid->q_min),
                              TQ_INT("q_max", grid->q_max),
                              TQ_INT("zero_point", grid->zero_point),
                              TQ_INT("axis", given_axis),
                              TQ_STRING("dtype", tq_dtype_name(dtype)) };
    return tq_int_emit(t, "SoftmaxInteger", inputs, 2, attrs, TQ_COUNT(attrs), out);
}

tq_status tq_integerise_softmax(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, X);
    const tq_dtype dtype = x ? tq_value_type(x->codes)->dtype : TQ_NONE;
    if ((dtype != TQ_U8 && dtype != TQ_I8) || !tq_codes_plain(x) || !(x->scale[0] > 0))
        return tq_int_refuse(t, "it needs 8-bit codes on one scale; put a FakeQuantize before it");
    bool found;
    tq_grid grid;
    TQ_TRY(tq_grid_behind(t, &found, &grid));
    const bool half_up = grid.rounding == TQ_ROUND_HALF_UP ||
                         (tq_int_options(t)->force_half_up && grid.rounding != TQ_ROUND_FLOOR);
    if (!found || !half_up)
        return tq_int_refuse(t, "its output needs a FakeQuantize that rounds half up");
    tq_codes y = { .axis = -1, .n = 1, .clip_lo = -INFINITY, .clip_hi = INFINITY };
    TQ_TRY(emit(t, x, &grid, &y.codes));
    double *scale = TQ_NEW(tq_int_arena(t), double), *offset = TQ_NEW(tq_int_arena(t), double);
    *scale = (double)grid.scale;
    *offset = -(double)grid.scale * grid.zero_point;
    y.scale = scale;
    y.offset = offset;
    y.lo = grid.q_min;
    y.hi = grid.q_max;
    tq_int_set(t, 0, &y);
    return TQ_OK;
}
