/* FakeQuantize becomes integers: a constant becomes codes; codes, with all that was composed into
 * their scale and offset (biases, batch norms) and bounds (ReLU6), become codes of its grid by one
 * Requant, or by nothing if they are on the grid already. */
#include "ops/fake_quantize_internal.h"
#include "ops/integer_rules_internal.h"

#include <math.h>

static const tq_tensor *constant_param(const tq_node *node, int k)
{
    const tq_value *value = tq_node_input(node, TQ_FAKE_PARAMS + k);
    return value ? tq_value_tensor(value) : NULL;
}

tq_status tq_fake_quantize_grids(const tq_node *node, tq_arena *arena, tq_grid **out_grids,
                                 int *out_n)
{
    tq_fake fake;
    TQ_TRY(tq_fake_read(tq_node_attrs(node), tq_graph_registry(tq_node_graph(node)), &fake));
    const void *data[TQ_QUANTIZER_MAX_PARAMS];
    const tq_type *types[TQ_QUANTIZER_MAX_PARAMS];
    int64_t n = 1;
    for (int k = 0; k < fake.quantizer->n_params; k++) {
        const tq_tensor *tensor = constant_param(node, k);
        if (!tensor)
            return tq_fail(TQ_ERR_STATE, "parameter '%s' of '%s' is not a constant",
                           fake.quantizer->params[k], tq_node_name(node));
        data[k] = tensor->data;
        types[k] = &tensor->type;
        n = tq_tensor_count(tensor) > n ? tq_tensor_count(tensor) : n;
    }
    *out_grids = TQ_NEW_N(arena, tq_grid, n);
    *out_n = (int)n;
    for (int64_t c = 0; c < n; c++) {
        float params[TQ_QUANTIZER_MAX_PARAMS];
        if (!tq_fake_params(data, types, fake.quantizer->n_params, c, params))
            return tq_fail(TQ_ERR_STATE,
                           "quantizer '%s' was never observed; run 'truq calibrate' first",
                           tq_node_name(node));
        tq_quantizer_grid(fake.quantizer, &fake.range, fake.rounding, params, &(*out_grids)[c]);
    }
    return TQ_OK;
}

/** scale[c] and offset[c] of codes on the grids. */
static void set_grids(tq_integerise *t, tq_codes *codes, const tq_grid *grids, int n, int axis)
{
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n),
           *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int c = 0; c < n; c++) {
        scale[c] = (double)grids[c].scale;
        offset[c] = -scale[c] * grids[c].zero_point;
    }
    codes->axis = n > 1 ? axis : -1;
    codes->n = n;
    codes->scale = scale;
    codes->offset = offset;
    codes->clip_lo = -INFINITY;
    codes->clip_hi = INFINITY;
}

/** A constant: its codes, and their true range. */
static tq_status integerise_constant(tq_integerise *t, const tq_tensor *x, const tq_grid *grids,
                                     int n)
{
    const tq_node *node = tq_int_node(t);
    tq_fake layout = { 0 };
    tq_fake_layout(tq_node_attrs(node), &x->type, &layout);
    const int64_t count = tq_tensor_count(x);
    int64_t *values = TQ_NEW_N(tq_int_arena(t), int64_t, count + 1);
    tq_codes codes = { .lo = INT64_MAX, .hi = INT64_MIN };
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = n == 1 ? 0 : i / layout.n_inner % layout.n_channels;
        const float v = ((const float *)x->data)[i];
        if (isnan(v))
            return tq_int_refuse(t, "element %lld of its constant is not a number", (long long)i);
        values[i] = tq_grid_quantize(&grids[c], v);
        codes.lo = values[i] < codes.lo ? values[i] : codes.lo;
        codes.hi = values[i] > codes.hi ? values[i] : codes.hi;
    }
    const tq_dtype dtype = tq_dtype_holding(grids[0].q_min, grids[0].q_max);
    TQ_TRY(
        tq_int_add_constant(t, "codes", dtype, x->type.rank, x->type.dims, values, &codes.codes));
    set_grids(t, &codes, grids, n, (int)tq_attr_int(tq_node_attrs(node), "axis"));
    tq_int_set(t, 0, &codes);
    return TQ_OK;
}

/** Codes from a constant keep a value that is on the grid: ties do not occur there. */
static tq_status check_rounding(tq_integerise *t, tq_grid *grid)
{
    if (grid->rounding == TQ_ROUND_HALF_UP || grid->rounding == TQ_ROUND_FLOOR)
        return TQ_OK;
    if (!tq_int_options(t)->force_half_up)
        return tq_int_refuse(
            t,
            "an add and a shift cannot round '%s'; 'truq f2t --rounding half-up' rounds halves up",
            tq_rounding_name(grid->rounding));
    grid->rounding = TQ_ROUND_HALF_UP;
    return TQ_OK;
}

tq_status tq_integerise_fake_quantize(tq_integerise *t)
{
    const tq_node *node = tq_int_node(t);
    const tq_tensor *constant = tq_int_constant(t, TQ_FAKE_X);
    const tq_codes *x = tq_int_input(t, TQ_FAKE_X);
    tq_grid *grids;
    int n;
    TQ_TRY(tq_fake_quantize_grids(node, tq_int_arena(t), &grids, &n));
    if (constant && constant->type.dtype == TQ_F32)
        return integerise_constant(t, constant, grids, n);
    if (!x)
        return tq_int_refuse(t, "its input has no integer form");
    if (n > 1)
        return tq_int_refuse(t, "its grid has %d channels; activations need one scale", n);
    if (grids[0].step != 1)
        return tq_int_refuse(t, "its codes are %d apart; a requantisation makes consecutive ones",
                             grids[0].step);
    TQ_TRY(check_rounding(t, &grids[0]));
    tq_codes y;
    TQ_TRY(tq_emit_requant(t, x, &grids[0], &y));
    tq_int_set(t, 0, &y);
    return TQ_OK;
}
