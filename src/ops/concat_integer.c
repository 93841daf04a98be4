/* Concat on codes: inputs on one grid are joined as they are; others are first brought onto one
 * grid by a Requant each: that of the FakeQuantize behind, which then has nothing left to do, else
 * the grid of the largest scale. Constants (a class token) are rounded to the grid behind. */
#include "ops/integer_rules_internal.h"
#include "ops/onnx_dtype_internal.h"

#include <truq/fake.h>

#include <math.h>

static bool one_grid(const tq_codes *const *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!tq_codes_plain(x[i]) || !tq_scales_equal(x[0]->scale[0], x[i]->scale[0]) ||
            fabs(x[0]->offset[0] - x[i]->offset[0]) > 1e-6 * fabs(x[0]->scale[0]))
            return false;
    return true;
}

tq_status tq_grid_behind(tq_integerise *t, bool *out_found, tq_grid *out_grid)
{
    const tq_value *y = tq_node_output(tq_int_node(t), 0);
    const tq_node *next =
        tq_value_n_consumers(y) == 1 && !tq_value_is_output(y) ? tq_value_consumer(y, 0) : NULL;
    tq_grid *grids;
    int n;
    *out_found = false;
    if (!next || !tq_node_is(next, "FakeQuantize") || tq_node_input(next, 0) != y)
        return TQ_OK;
    TQ_TRY(tq_fake_grids(next, tq_int_arena(t), &grids, &n));
    *out_found = n == 1 && grids[0].step == 1;
    *out_grid = grids[0];
    return TQ_OK;
}

/** Zero point 0 and the largest scale, as wide as all inputs need. */
static tq_grid widest_grid(const tq_codes *const *x, int n)
{
    double scale = 0.0, lo = 0.0, hi = 0.0;
    for (int i = 0; i < n; i++)
        for (int c = 0; c < x[i]->n; c++)
            scale = fmax(scale, fabs(x[i]->scale[c]));
    for (int i = 0; i < n; i++)
        for (int c = 0; c < x[i]->n; c++) {
            const double a = x[i]->scale[c] * (double)x[i]->lo + x[i]->offset[c];
            const double b = x[i]->scale[c] * (double)x[i]->hi + x[i]->offset[c];
            lo = fmin(lo, fmax(fmin(a, b), x[i]->clip_lo));
            hi = fmax(hi, fmin(fmax(a, b), x[i]->clip_hi));
        }
    const double q_min = fmax(floor(lo / scale), INT32_MIN),
                 q_max = fmin(ceil(hi / scale), INT32_MAX);
    return (tq_grid){ .scale = (float)scale,
                      .q_min = (int64_t)q_min,
                      .q_max = (int64_t)q_max,
                      .step = 1,
                      .rounding = TQ_ROUND_HALF_UP };
}

static tq_status join(tq_integerise *t, tq_codes *x, int n)
{
    tq_value **inputs = TQ_NEW_N(tq_int_arena(t), tq_value *, n);
    tq_codes y = x[0];
    bool same = true;
    for (int i = 0; i < n; i++) {
        y.lo = x[i].lo < y.lo ? x[i].lo : y.lo;
        y.hi = x[i].hi > y.hi ? x[i].hi : y.hi;
        inputs[i] = x[i].codes;
        same = same && tq_value_type(inputs[i])->dtype == tq_value_type(inputs[0])->dtype;
    }
    const tq_attr to = TQ_INT("to", tq_dtype_to_onnx(tq_dtype_holding(y.lo, y.hi)));
    for (int i = 0; i < n && !same; i++)
        TQ_TRY(tq_int_emit(t, "Cast", &inputs[i], 1, &to, 1, &inputs[i]));
    const tq_attr axis = TQ_INT("axis", tq_attr_int(tq_node_attrs(tq_int_node(t)), "axis"));
    TQ_TRY(tq_int_emit(t, "Concat", inputs, n, &axis, 1, &y.codes));
    tq_int_set(t, 0, &y);
    return TQ_OK;
}

static tq_status round_constant(tq_integerise *t, int i, const tq_grid *grid, tq_codes *out)
{
    const tq_tensor *reals = tq_int_constant(t, i);
    const int64_t n = tq_tensor_count(reals);
    int64_t *codes = TQ_NEW_N(tq_int_arena(t), int64_t, n + 1);
    for (int64_t k = 0; k < n; k++)
        codes[k] = tq_grid_quantize(grid, ((const float *)reals->data)[k]);
    tq_value *value;
    TQ_TRY(tq_int_add_constant(t, "part", tq_dtype_holding(grid->q_min, grid->q_max),
                               reals->type.rank, reals->type.dims, codes, &value));
    *out = tq_codes_on_grid(t, grid, value);
    return TQ_OK;
}

/** The codes of all parts; *out_constants: some parts are constant reals, their codes are NULL. */
static tq_status find_parts(tq_integerise *t, const tq_codes **parts, int n, bool *out_constants)
{
    *out_constants = false;
    for (int i = 0; i < n; i++) {
        parts[i] = tq_int_input(t, i);
        if (!parts[i] && !tq_int_constant(t, i))
            return tq_int_refuse(t, "input %d is not quantised; put a FakeQuantize on it", i);
        *out_constants = *out_constants || !parts[i];
    }
    return TQ_OK;
}

tq_status tq_integerise_concat(tq_integerise *t)
{
    const int n = tq_node_n_inputs(tq_int_node(t));
    const tq_codes **parts = TQ_NEW_N(tq_int_arena(t), const tq_codes *, n);
    tq_codes *x = TQ_NEW_N(tq_int_arena(t), tq_codes, n);
    bool constants, found;
    TQ_TRY(find_parts(t, parts, n, &constants));
    for (int i = 0; i < n && !constants; i++)
        x[i] = *parts[i];
    if (!constants && one_grid(parts, n))
        return join(t, x, n);
    tq_grid grid;
    TQ_TRY(tq_grid_behind(t, &found, &grid));
    if (!found && constants)
        return tq_int_refuse(t, "one of its inputs is a constant; put a FakeQuantize behind it");
    if (!found)
        grid = widest_grid(parts, n);
    for (int i = 0; i < n; i++)
        TQ_TRY(parts[i] ? tq_emit_requant(t, parts[i], &grid, &x[i])
                        : round_constant(t, i, &grid, &x[i]));
    return join(t, x, n);
}
