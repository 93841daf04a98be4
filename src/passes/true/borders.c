/* The borders of a true-quantised network. Inputs: the first FakeQuantize's grid is stored with the
 * input, which then takes codes. Outputs: integers on one scale, so that an argmax over them means
 * what it meant before (per-channel scales would not). */
#include "passes/true/true.h"

#include <math.h>
#include <string.h>

enum { ONNX_INT32 = 6 }; /* onnx.TensorProto.INT32 */

static bool scale_from_options(const tq_true_options *o, const char *name, double *out)
{
    for (int i = o->n_input_scales - 1; i >= 0; i--)
        if (!o->input_names || !o->input_names[i] || strcmp(o->input_names[i], name) == 0) {
            *out = o->input_scales[i];
            return true;
        }
    return false;
}

static tq_status set_input(tq_integerise *t, tq_value *input, const tq_grid *grid,
                           const char *rounding)
{
    tq_type type = *tq_value_type(input);
    type.dtype = tq_true_dtype(grid->q_min, grid->q_max);
    tq_value_set_type(input, &type);
    double *scale = TQ_NEW(t->arena, double), *offset = TQ_NEW(t->arena, double);
    *scale = (double)grid->scale;
    *offset = -(double)grid->scale * grid->zero_point;
    const tq_codes codes = { .codes = input,
                             .axis = -1,
                             .n = 1,
                             .scale = scale,
                             .offset = offset,
                             .clip_lo = -INFINITY,
                             .clip_hi = INFINITY,
                             .lo = grid->q_min,
                             .hi = grid->q_max };
    tq_true_describe(input, *scale, grid->zero_point, grid->q_min, grid->q_max, rounding);
    tq_true_set_codes(t, input, &codes);
    return TQ_OK;
}

/* The FakeQuantize that reads the input; NULL if there is none. Several must agree. */
static tq_status find_fake(tq_integerise *t, const tq_value *input, const tq_node **out_fake)
{
    *out_fake = NULL;
    tq_grid first = { 0 };
    for (int i = 0; i < tq_value_n_consumers(input); i++) {
        const tq_node *node = tq_value_consumer(input, i);
        tq_grid grid;
        if (!tq_node_is(node, "FakeQuantize"))
            continue;
        TQ_TRY(tq_true_grid(t, node, &grid));
        if (*out_fake && (grid.scale != first.scale || grid.q_min != first.q_min ||
                          grid.q_max != first.q_max || grid.zero_point != first.zero_point))
            return tq_fail(TQ_ERR_UNSUPPORTED, "input '%s' has quantisers on different grids",
                           tq_value_name(input));
        first = grid;
        *out_fake = node;
    }
    return TQ_OK;
}

static tq_status integerise_input(tq_integerise *t, tq_value *input)
{
    const tq_node *fake;
    double scale = 0;
    TQ_TRY(find_fake(t, input, &fake));
    const bool given = scale_from_options(t->options, tq_value_name(input), &scale);
    if (given && !(scale > 0 && isfinite(scale)))
        return tq_fail(TQ_ERR_VALUE, "input '%s': scale %g is not a positive number",
                       tq_value_name(input), scale);
    if (!fake && !given)
        return tq_fail(TQ_ERR_STATE,
                       "input '%s' has no FakeQuantize; give its scale with --input %s:SCALE",
                       tq_value_name(input), tq_value_name(input));
    tq_grid grid = { .q_min = -128, .q_max = 127, .step = 1 };
    if (fake)
        TQ_TRY(tq_true_grid(t, fake, &grid));
    if (given)
        grid.scale = (float)scale;
    const char *rounding = fake ? tq_attr_string(tq_node_attrs(fake), "rounding") : "half-up";
    TQ_TRY(set_input(t, input, &grid, rounding));
    const tq_codes codes = *tq_true_codes(t, input);
    for (int i = 0; i < tq_value_n_consumers(input); i++) {
        const tq_node *node = tq_value_consumer(input, i);
        if (!tq_node_is(node, "FakeQuantize"))
            continue;
        tq_true_set_codes(t, tq_node_output(node, 0), &codes);
        tq_value_set_meta(input, "quant.of", tq_value_name(tq_node_output(node, 0)));
    }
    return TQ_OK;
}

tq_status tq_true_inputs(tq_integerise *t)
{
    for (int i = 0; i < tq_graph_n_inputs(t->graph); i++) {
        tq_value *input = tq_graph_input(t->graph, i);
        if (tq_dtype_is_float(tq_value_type(input)->dtype) && tq_value_n_consumers(input))
            TQ_TRY(integerise_input(t, input));
    }
    return TQ_OK;
}

/* ---- outputs ---- */

static bool has_one_scale(const tq_codes *x)
{
    for (int c = 1; c < x->n; c++)
        if (x->scale[c] != x->scale[0])
            return false;
    return x->scale[0] > 0;
}

static bool has_offset(const tq_codes *x)
{
    for (int c = 0; c < x->n; c++)
        if (x->offset[c] != 0)
            return true;
    return false;
}

static bool is_bounded(const tq_codes *x)
{
    return x->clip_lo != -INFINITY || x->clip_hi != INFINITY;
}

/* One scale, a bias per channel: an int32 addition. */
static tq_status add_bias(tq_integerise *t, const tq_codes *x, tq_value **out)
{
    tq_value *wide = x->codes;
    if (tq_value_type(wide)->dtype != TQ_I32)
        TQ_TRY(tq_int_emit(t, "Cast", &wide, 1, (tq_attr[]){ TQ_INT("to", ONNX_INT32) }, 1, &wide));
    const int rank = tq_value_type(x->codes)->rank;
    int64_t dims[TQ_MAX_RANK];
    for (int k = 0; k < rank; k++)
        dims[k] = k == x->axis ? x->n : 1;
    int64_t *values = TQ_NEW_N(t->arena, int64_t, x->n);
    for (int c = 0; c < x->n; c++) {
        const double bias = rint(x->offset[c] / x->scale[0]);
        if (!(fabs(bias) < 2147483647.0))
            return tq_int_refuse(t, "bias %g does not fit int32 at scale %g", x->offset[c],
                                 x->scale[0]);
        values[c] = (int64_t)bias;
    }
    tq_value *bias;
    TQ_TRY(tq_int_add_constant(t, "bias", TQ_I32, rank, dims, values, &bias));
    return tq_int_emit(t, "Add", (tq_value *[]){ wide, bias }, 2, NULL, 0, out);
}

/* Different scales or bounds: one requantisation to int32 on the largest scale. */
static tq_status requantize(tq_integerise *t, const tq_codes *x, double scale, tq_value **out)
{
    double *real_scale = TQ_NEW_N(t->arena, double, x->n);
    double *real_offset = TQ_NEW_N(t->arena, double, x->n);
    for (int c = 0; c < x->n; c++) {
        real_scale[c] = x->scale[c] / scale;
        real_offset[c] = x->offset[c] / scale;
    }
    tq_requant r;
    TQ_TRY(tq_requant_find(&t->options->limits, x->n, real_scale, real_offset, x->lo, x->hi,
                           TQ_ROUND_HALF_UP, t->arena, &r));
    tq_value *mul, *add;
    const int64_t dims[] = { x->n };
    const tq_dtype mul_dtype = t->options->limits.mul_bits > 32 ? TQ_I64 : TQ_I32;
    TQ_TRY(tq_int_add_constant(t, "mul", mul_dtype, 1, dims, r.mul, &mul));
    TQ_TRY(tq_int_add_constant(t, "add", TQ_I64, 1, dims, r.add, &add));
    const double lo = fmax(rint(x->clip_lo / scale), (double)INT32_MIN);
    const double hi = fmin(rint(x->clip_hi / scale), (double)INT32_MAX);
    const tq_attr attrs[] = {
        TQ_INT("shift", r.shift),
        TQ_INT("q_min", (int64_t)lo),
        TQ_INT("q_max", (int64_t)hi),
        TQ_STRING("dtype", "i32"),
        TQ_INT("axis", x->axis < 0 ? 1 : x->axis),
    };
    return tq_int_emit(t, "Requant", (tq_value *[]){ x->codes, mul, add }, 3, attrs,
                       TQ_COUNT(attrs), out);
}

/* An input, another output, or a value that stands for other reals: it cannot be this output too.
 */
static bool is_taken(const tq_value *codes, double scale, int64_t zero_point)
{
    double its_scale;
    int64_t its_zero_point;
    const bool described = tq_value_meta_f64(codes, "quant.scale", &its_scale) &&
                           tq_value_meta_i64(codes, "quant.zero_point", &its_zero_point);
    return !tq_value_producer(codes) || tq_value_is_output(codes) ||
           (described && (its_scale != scale || its_zero_point != zero_point));
}

static tq_status integerise_output(tq_integerise *t, int i)
{
    tq_value *output = tq_graph_output(t->graph, i), *codes;
    const tq_codes *x = tq_true_codes(t, output);
    if (!x && tq_dtype_is_integer(tq_value_type(output)->dtype))
        return TQ_OK;
    t->node = tq_value_producer(output);
    if (!x || !t->node)
        return tq_fail(TQ_ERR_UNSUPPORTED, "output '%s' cannot be integerised",
                       tq_value_name(output));
    double scale = 0, zero_point = 0;
    for (int c = 0; c < x->n; c++)
        scale = fmax(scale, fabs(x->scale[c]));
    codes = x->codes;
    const bool plain = has_one_scale(x) && !is_bounded(x);
    const tq_dtype dtype = tq_value_type(codes)->dtype;
    if (plain && x->axis < 0 && dtype != TQ_I32)
        zero_point = rint(-x->offset[0] / scale);
    else if (plain && has_offset(x))
        TQ_TRY(tq_true_wrap(t, add_bias(t, x, &codes)));
    else if (!plain)
        TQ_TRY(tq_true_wrap(t, requantize(t, x, scale, &codes)));
    if (is_taken(codes, scale, (int64_t)zero_point))
        TQ_TRY(tq_int_emit(t, "Identity", &codes, 1, NULL, 0, &codes));
    const tq_dtype out_dtype = tq_value_type(codes)->dtype;
    tq_true_describe(codes, scale, (int64_t)zero_point, tq_dtype_min(out_dtype),
                     tq_dtype_max(out_dtype), "half-up");
    tq_value_set_meta(codes, "quant.of", tq_value_name(output));
    tq_graph_set_output(t->graph, i, codes);
    return TQ_OK;
}

tq_status tq_true_outputs(tq_integerise *t)
{
    const int n = tq_graph_n_outputs(t->graph);
    const char **names = TQ_NEW_N(t->arena, const char *, n);
    for (int i = 0; i < n; i++) {
        names[i] = tq_value_name(tq_graph_output(t->graph, i));
        TQ_TRY(integerise_output(t, i));
    }
    tq_graph_sweep(t->graph);
    for (int i = 0; i < n; i++)
        if (!tq_value_is_input(tq_graph_output(t->graph, i)))
            tq_value_set_name(tq_graph_output(t->graph, i), names[i]);
    return TQ_OK;
}
