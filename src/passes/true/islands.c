/* Float islands: in a partial conversion a node without an integer form (or one that was assigned
 * to the CPU) stays as it is. Its inputs become reals again,
 *
 *   x = clip(scale[c] * code + offset[c], lo, hi):   DequantizeLinear, then Add and Clip where
 * there is an offset that is no zero point, or a bound still to be applied,
 *
 * and the FakeQuantize behind it becomes a QuantizeLinear (with a Clip of the codes where the grid
 * is narrower than their dtype). QuantizeLinear takes ties to the even code, FakeQuantize as its
 * rounding says: they differ on ties only. */
#include "passes/true/true.h"

#include <truq/op.h>

#include <math.h>
#include <string.h>

static tq_status emit(tq_integerise *t, const char *suffix, const char *op, tq_value *const *inputs,
                      int n_inputs, const tq_attr *attr, tq_value **out)
{
    tq_node *node;
    TQ_TRY(tq_graph_add_node(
        t->graph,
        &(tq_node_spec){ .op = op,
                         .name = tq_arena_printf(t->arena, "%s.%s", tq_node_name(t->node), suffix),
                         .inputs = inputs,
                         .n_inputs = n_inputs,
                         .attrs = attr,
                         .n_attrs = attr != NULL,
                         .before = t->node },
        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

/* ---- constants ---- */

static tq_status add_constant(tq_integerise *t, const char *name, const tq_tensor *tensor,
                              tq_value **out)
{
    const char *full = tq_arena_printf(t->arena, "%s.%s", tq_node_name(t->node), name);
    return tq_graph_add_constant(t->graph, full, tensor, out);
}

/* f32 constant; rank 0 where n is 0, else [1, .., n, .., 1] with n at `axis` of `rank`. */
static tq_status add_reals(tq_integerise *t, const char *name, const double *values, int n,
                           int rank, int axis, tq_value **out)
{
    tq_type type = { .dtype = TQ_F32, .rank = n ? rank : 0 };
    for (int d = 0; d < type.rank; d++)
        type.dims[d] = d == axis ? n : 1;
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int i = 0; i < (n ? n : 1); i++)
        ((float *)tensor.data)[i] = (float)values[i];
    const tq_status status = add_constant(t, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status add_code(tq_integerise *t, const char *name, tq_dtype dtype, int64_t code,
                          tq_value **out)
{
    const tq_type type = tq_type_make(dtype, 0, NULL);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    tq_store_i64(tensor.data, dtype, 0, code);
    const tq_status status = add_constant(t, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* ---- codes to reals ---- */

/* The zero point where the offset is one that the dtype holds. */
static bool has_zero_point(const tq_codes *c, int64_t *out)
{
    const tq_dtype dtype = tq_value_type(c->codes)->dtype;
    const double exact = -c->offset[0] / c->scale[0], whole = rint(exact);
    const bool fits = c->n == 1 && fabs(exact - whole) <= 1e-6 * (1 + fabs(whole)) &&
                      whole >= (double)tq_dtype_min(dtype) && whole <= (double)tq_dtype_max(dtype);
    *out = fits ? (int64_t)whole : 0;
    return fits && (*out == 0 || dtype != TQ_I32);
}

static bool any_offset(const tq_codes *c)
{
    for (int i = 0; i < c->n; i++)
        if (c->offset[i] != 0)
            return true;
    return false;
}

/* scale * (code - zero_point) of integers that DequantizeLinear does not take: Cast and Mul. */
static tq_status scale_wide(tq_integerise *t, const tq_codes *c, int rank, tq_value **out)
{
    tq_value *real, *scale;
    const tq_attr to = TQ_INT("to", 1); /* FLOAT */
    TQ_TRY(emit(t, "wide", "Cast", &c->codes, 1, &to, &real));
    TQ_TRY(add_reals(t, "scale", c->scale, c->axis < 0 ? 0 : c->n, rank, c->axis, &scale));
    return emit(t, "dq", "Mul", (tq_value *[]){ real, scale }, 2, NULL, out);
}

static bool dequantizes(tq_dtype dtype)
{
    return dtype == TQ_U8 || dtype == TQ_I8 || dtype == TQ_U16 || dtype == TQ_I16 ||
           dtype == TQ_I32;
}

/* DequantizeLinear; *out_offset says whether an offset is left to add. */
static tq_status scale_codes(tq_integerise *t, const tq_codes *c, bool *out_offset, tq_value **out)
{
    const tq_type *type = tq_value_type(c->codes);
    int64_t zero_point;
    *out_offset = any_offset(c);
    if (!dequantizes(type->dtype))
        return scale_wide(t, c, type->rank, out);
    tq_value *inputs[3] = { c->codes };
    const bool zero = has_zero_point(c, &zero_point);
    const bool one = c->axis < 0;
    TQ_TRY(add_reals(t, "scale", c->scale, one ? 0 : c->n, 1, 0, &inputs[1]));
    if (zero && type->dtype != TQ_I32)
        TQ_TRY(add_code(t, "zero_point", type->dtype, zero_point, &inputs[2]));
    *out_offset = *out_offset && !zero;
    const tq_attr axis = TQ_INT("axis", c->axis);
    return emit(t, "dq", "DequantizeLinear", inputs, inputs[2] ? 3 : 2, one ? NULL : &axis, out);
}

static tq_status finish_real(tq_integerise *t, const tq_codes *c, bool offset, tq_value **real)
{
    const int rank = tq_value_type(c->codes)->rank;
    tq_value *inputs[3] = { *real };
    if (offset) {
        TQ_TRY(
            add_reals(t, "offset", c->offset, c->axis < 0 ? 0 : c->n, rank, c->axis, &inputs[1]));
        TQ_TRY(emit(t, "offset", "Add", inputs, 2, NULL, real));
        inputs[0] = *real;
        inputs[1] = NULL;
    }
    if (c->clip_lo == -INFINITY && c->clip_hi == INFINITY)
        return TQ_OK;
    if (c->clip_lo != -INFINITY)
        TQ_TRY(add_reals(t, "lo", &c->clip_lo, 0, 0, 0, &inputs[1]));
    if (c->clip_hi != INFINITY)
        TQ_TRY(add_reals(t, "hi", &c->clip_hi, 0, 0, 0, &inputs[2]));
    return emit(t, "bounds", "Clip", inputs, 3, NULL, real);
}

/* Constant codes are constant reals. */
static tq_status real_constant(tq_integerise *t, const tq_codes *c, tq_value **out)
{
    const tq_tensor *codes = tq_value_tensor(c->codes);
    tq_type type = codes->type;
    type.dtype = TQ_F32;
    const int64_t n_inner = c->axis < 0 ? 1 : tq_type_count_from(&type, c->axis + 1);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_tensor_count(codes); i++) {
        const int64_t k = c->axis < 0 ? 0 : i / n_inner % c->n;
        const double real =
            c->scale[k] * tq_load_f64(codes->data, codes->type.dtype, i) + c->offset[k];
        ((float *)tensor.data)[i] = (float)fmin(fmax(real, c->clip_lo), c->clip_hi);
    }
    const tq_status status = add_constant(t, "real", &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* The real value that stands for a value of the fake-quantised graph; itself where it has no codes.
 */
static tq_status real_of(tq_integerise *t, tq_value *value, tq_value **out)
{
    const tq_codes *c = tq_true_codes(t, value);
    *out = value;
    const tq_node *producer = tq_value_producer(value);
    if (!c || (producer && tq_node_is(producer, "DequantizeLinear")))
        return TQ_OK; /* a DequantizeLinear that was there already serves */
    if (!tq_dtype_is_float(tq_value_type(value)->dtype)) {
        *out = c->codes; /* a QuantizeLinear's */
        return TQ_OK;
    }
    for (int i = 0; i < t->n_reals; i++)
        if (t->reals[i].value == value) {
            *out = t->reals[i].real;
            return TQ_OK;
        }
    if (tq_value_tensor(c->codes)) {
        TQ_TRY(real_constant(t, c, out));
    } else {
        bool offset;
        TQ_TRY(scale_codes(t, c, &offset, out));
        TQ_TRY(finish_real(t, c, offset, out));
    }
    const tq_real item = { value, *out };
    TQ_PUSH(t->arena, t->reals, t->n_reals, t->reals_capacity, item);
    return TQ_OK;
}

tq_status tq_true_keep(tq_integerise *t, const char *why)
{
    for (int i = 0; i < tq_node_n_inputs(t->node); i++) {
        tq_value *value = tq_node_input(t->node, i), *real;
        if (!value)
            continue;
        TQ_TRY(real_of(t, value, &real));
        if (real != value)
            tq_node_set_input(t->node, i, real);
    }
    if (tq_dtype_is_float(tq_value_type(tq_node_output(t->node, 0))->dtype))
        tq_node_set_meta(t->node, "float.why", why);
    return TQ_OK;
}

/* ---- reals to codes ---- */

static void set_codes(tq_integerise *t, tq_value *codes, const tq_grid *grid)
{
    double *scale = TQ_NEW(t->arena, double), *offset = TQ_NEW(t->arena, double);
    *scale = (double)grid->scale;
    *offset = -(double)grid->scale * grid->zero_point;
    tq_int_set(t, 0,
               &(tq_codes){ .codes = codes,
                            .axis = -1,
                            .n = 1,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = grid->q_min,
                            .hi = grid->q_max });
}

static tq_status clip_codes(tq_integerise *t, const tq_grid *grid, tq_dtype dtype, tq_value **codes)
{
    if (grid->q_min == tq_dtype_min(dtype) && grid->q_max == tq_dtype_max(dtype))
        return TQ_OK;
    tq_value *inputs[3] = { *codes };
    TQ_TRY(add_code(t, "q_min", dtype, grid->q_min, &inputs[1]));
    TQ_TRY(add_code(t, "q_max", dtype, grid->q_max, &inputs[2]));
    return tq_int_emit(t, "Clip", inputs, 3, NULL, 0, codes);
}

static tq_status quantize(tq_integerise *t, const tq_grid *grid)
{
    const tq_dtype dtype = tq_true_dtype(grid->q_min, grid->q_max);
    const double scale = (double)grid->scale;
    tq_value *inputs[3] = { tq_node_input(t->node, 0) }, *codes;
    TQ_TRY(add_reals(t, "scale", &scale, 0, 0, 0, &inputs[1]));
    TQ_TRY(add_code(t, "zero_point", dtype, grid->zero_point, &inputs[2]));
    TQ_TRY(tq_int_emit(t, "QuantizeLinear", inputs, 3, NULL, 0, &codes));
    TQ_TRY(clip_codes(t, grid, dtype, &codes));
    set_codes(t, codes, grid);
    return TQ_OK;
}

tq_status tq_true_enter(tq_integerise *t, bool *out_entered)
{
    const tq_node *node = t->node;
    *out_entered = false;
    if (!tq_node_is(node, "FakeQuantize") || tq_value_is_const(tq_node_input(node, 0)) ||
        tq_int_input(t, 0))
        return TQ_OK;
    tq_grid grid;
    TQ_TRY(tq_true_grid(t, node, &grid));
    const tq_dtype dtype = tq_true_dtype(grid.q_min, grid.q_max);
    const bool one = tq_type_count(tq_value_type(tq_node_input(node, 1))) == 1;
    const bool fits = dtype <= TQ_I16 && grid.zero_point >= tq_dtype_min(dtype) &&
                      grid.zero_point <= tq_dtype_max(dtype);
    if (!one || grid.step != 1 || !fits)
        return TQ_OK; /* refused below; it stays a FakeQuantize */
    *out_entered = true;
    return quantize(t, &grid);
}

/* ---- outputs ---- */

tq_status tq_true_real_outputs(tq_integerise *t)
{
    const int n = tq_graph_n_outputs(t->graph);
    const char **names = TQ_NEW_N(t->arena, const char *, n);
    for (int i = 0; i < n; i++) {
        tq_value *output = tq_graph_output(t->graph, i), *real;
        names[i] = tq_value_name(output);
        t->node = tq_value_producer(output);
        if (!t->node)
            continue;
        TQ_TRY(real_of(t, output, &real));
        tq_graph_set_output(t->graph, i, real);
    }
    tq_graph_sweep(t->graph);
    for (int i = 0; i < n; i++) {
        tq_value *output = tq_graph_output(t->graph, i);
        if (!tq_value_is_input(output) && strcmp(tq_value_name(output), names[i]) != 0)
            tq_value_set_name(output, names[i]);
    }
    return TQ_OK;
}
