/* PRelu with one slope for each channel on codes: a table [C, 256], so that each channel's codes
 * are exactly those that the FakeQuantize behind it makes of the operator's own result. */
#include "ops/integer_rules_internal.h"

#include <math.h>

enum { N_CODES = 256 };

/** Codes of `grid` for every code of x: those of channel c from c * 256 on. */
static void fill_table(const tq_codes *x, const tq_tensor *slopes, const tq_grid *grid,
                       int64_t *table)
{
    const int64_t lowest = tq_dtype_min(tq_value_type(x->codes)->dtype);
    for (int64_t c = 0; c < tq_tensor_count(slopes); c++)
        for (int64_t i = 0; i < N_CODES; i++) {
            const double real = x->scale[0] * (double)(lowest + i) + x->offset[0];
            const float v = (float)fmin(fmax(real, x->clip_lo), x->clip_hi);
            const float y = v > 0.0f ? v : ((const float *)slopes->data)[c] * v;
            table[c * N_CODES + i] = tq_grid_quantize(grid, y);
        }
}

tq_status tq_integerise_slopes(tq_integerise *t, const tq_tensor *slopes)
{
    const tq_codes *x = tq_int_input(t, 0);
    int axis, n;
    if (!tq_constant_axis(&slopes->type, tq_value_type(x->codes)->rank, &axis, &n))
        return tq_int_refuse(t, "slope is %s; expected one number, or one per channel",
                             tq_type_text(&slopes->type).s);
    bool found;
    tq_grid grid;
    TQ_TRY(tq_grid_behind(t, &found, &grid));
    if (!found)
        return tq_int_refuse(t, "its output is not quantised; put a FakeQuantize behind it");
    int64_t *table = TQ_NEW_N(tq_int_arena(t), int64_t, (int64_t)n * N_CODES);
    fill_table(x, slopes, &grid, table);
    tq_value *constant, *codes;
    TQ_TRY(tq_int_add_constant(t, "table", tq_dtype_holding(grid.q_min, grid.q_max), 2,
                               (int64_t[]){ n, N_CODES }, table, &constant));
    const tq_attr attr = TQ_INT("axis", axis);
    TQ_TRY(tq_int_emit(t, "Lookup", (tq_value *[]){ x->codes, constant }, 2, &attr, 1, &codes));
    const tq_codes y = tq_codes_on_grid(t, &grid, codes);
    tq_int_set(t, 0, &y);
    return TQ_OK;
}
