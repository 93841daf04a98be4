/* Integer rules that many operators share: the operator itself on codes, and a table over codes. */
#include "passes/true/true.h"

#include <math.h>
#include <string.h>

/* The node's inputs with codes in place of coded ones; constants of shapes and axes stay as they
 * are. */
static tq_status coded_inputs(tq_integerise *t, tq_value **inputs)
{
    for (int i = 0; i < tq_node_n_inputs(t->node); i++) {
        const tq_codes *codes = tq_int_input(t, i);
        inputs[i] = codes ? codes->codes : tq_node_input(t->node, i);
        if (inputs[i] && tq_dtype_is_float(tq_value_type(inputs[i])->dtype))
            return tq_int_refuse(t, "input '%s' is not quantised; put a FakeQuantize on it",
                                 tq_value_name(inputs[i]));
    }
    return TQ_OK;
}

static tq_status emit_same(tq_integerise *t, tq_value *const *inputs, tq_node **out_node)
{
    const tq_attrs *attrs = tq_node_attrs(t->node);
    const int n_attrs = tq_attrs_count(attrs), n_outputs = tq_node_n_outputs(t->node);
    tq_attr *copies = TQ_NEW_N(t->arena, tq_attr, n_attrs + 1);
    for (int i = 0; i < n_attrs; i++)
        copies[i] = *tq_attrs_at(attrs, i);
    const char *wanted = tq_node_name(t->node);
    TQ_TRY(tq_graph_add_node(t->graph,
                             &(tq_node_spec){ .op = tq_node_op_name(t->node),
                                              .name = tq_arena_printf(t->arena, "%s.q", wanted),
                                              .inputs = inputs,
                                              .n_inputs = tq_node_n_inputs(t->node),
                                              .n_outputs = n_outputs,
                                              .attrs = copies,
                                              .n_attrs = n_attrs,
                                              .before = t->node },
                             out_node));
    const tq_renaming renaming = { *out_node, wanted };
    TQ_PUSH(t->arena, t->renamings, t->n_renamings, t->renamings_capacity, renaming);
    return TQ_OK;
}

/* Operators that act on [N, C, ...] plane by plane leave a channel axis 1 where it is. */
static bool leaves_channels(const tq_node *node)
{
    return !tq_node_has_flag(node, TQ_OP_MOVES);
}

static bool regroups(const tq_node *node)
{
    return tq_node_is(node, "Reshape") || tq_node_is(node, "Flatten") ||
           tq_node_is(node, "Squeeze") || tq_node_is(node, "Unsqueeze");
}

/* Where the channels of x lie behind an operator that moves elements; -1 if it is not known. */
static int channels_behind(const tq_node *node, const tq_codes *x)
{
    const tq_type *from = tq_value_type(x->codes), *to = tq_value_type(tq_node_output(node, 0));
    if (leaves_channels(node))
        return x->axis;
    for (int d = 0; d < to->rank; d++) {
        if (tq_node_is(node, "Transpose") &&
            tq_attr_int_at(tq_node_attrs(node), "perm", d, to->rank - 1 - d) == x->axis)
            return d;
        if (regroups(node) && to->dims[d] == x->n &&
            tq_type_count_from(to, d + 1) == tq_type_count_from(from, x->axis + 1))
            return d;
    }
    return -1;
}

tq_status tq_int_keep(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (!x)
        return tq_int_refuse(t, "its input is not quantised; put a FakeQuantize before it");
    const int axis = x->axis < 0 ? -1 : channels_behind(t->node, x);
    if (x->axis >= 0 && axis < 0)
        return tq_int_refuse(t, "its input has a scale per channel; put a FakeQuantize before it");
    for (int c = 0; c < x->n; c++)
        if (!(x->scale[c] > 0) && leaves_channels(t->node))
            return tq_int_refuse(t, "its input has a negative scale; put a FakeQuantize before it");
    tq_value **inputs = TQ_NEW_N(t->arena, tq_value *, tq_node_n_inputs(t->node) + 1);
    TQ_TRY(coded_inputs(t, inputs));
    tq_node *node;
    TQ_TRY(emit_same(t, inputs, &node));
    for (int i = 0; i < tq_node_n_outputs(t->node); i++) {
        tq_codes y = *x;
        y.codes = tq_node_output(node, i);
        y.axis = axis;
        if (tq_value_type(tq_node_output(t->node, i))->dtype == TQ_F32)
            tq_int_set(t, i, &y);
    }
    return TQ_OK;
}

/* ---- tables ---- */

/* The real values of all 256 codes, through the pending affine form and bounds. */
static void reals_of_codes(const tq_codes *x, tq_dtype dtype, float *reals)
{
    for (int i = 0; i < 256; i++) {
        const double code = (double)(tq_dtype_min(dtype) + i);
        const double real = x->scale[0] * code + x->offset[0];
        reals[i] = (float)fmin(fmax(real, x->clip_lo), x->clip_hi);
    }
}

/* f(reals), computed by the operator itself. */
static tq_status evaluate_unary(tq_integerise *t, const float *reals, tq_tensor *out)
{
    const int n = tq_node_n_inputs(t->node);
    const tq_tensor **inputs = TQ_NEW_N(t->arena, const tq_tensor *, n);
    const tq_tensor x = { .type = tq_type_make(TQ_F32, 1, (int64_t[]){ 256 }),
                          .data = (void *)(uintptr_t)reals };
    for (int i = 0; i < n; i++) {
        inputs[i] = i == 0 ? &x : tq_int_constant(t, i);
        if (i && tq_node_input(t->node, i) && (!inputs[i] || tq_tensor_count(inputs[i]) != 1))
            return tq_int_refuse(t, "input %d is not one constant number", i);
    }
    return tq_op_evaluate(tq_graph_registry(t->graph), tq_node_op(t->node), tq_node_attrs(t->node),
                          inputs, n, out, 1);
}

tq_status tq_int_table(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    const tq_value *y = tq_node_output(t->node, 0);
    const tq_dtype dtype = x ? tq_value_type(x->codes)->dtype : TQ_NONE;
    if ((dtype != TQ_U8 && dtype != TQ_I8) || x->axis >= 0)
        return tq_int_refuse(
            t, "a table needs 8-bit codes on one scale; put a FakeQuantize before it");
    const tq_node *fake = tq_value_n_consumers(y) == 1 ? tq_value_consumer(y, 0) : NULL;
    if (!fake || !tq_node_is(fake, "FakeQuantize") || tq_value_is_output(y))
        return tq_int_refuse(t, "its output is not quantised; put a FakeQuantize behind it");
    tq_grid grid;
    TQ_TRY(tq_true_grid(t, fake, &grid));
    float reals[256];
    reals_of_codes(x, dtype, reals);
    tq_tensor values = { 0 };
    TQ_TRY(evaluate_unary(t, reals, &values));
    int64_t table[256], lo = INT64_MAX, hi = INT64_MIN;
    for (int i = 0; i < 256; i++) {
        table[i] = tq_grid_quantize(&grid, ((const float *)values.data)[i]);
        lo = table[i] < lo ? table[i] : lo;
        hi = table[i] > hi ? table[i] : hi;
    }
    tq_tensor_reset(&values);
    tq_value *constant, *codes;
    TQ_TRY(tq_int_add_constant(t, "table", tq_true_dtype(grid.q_min, grid.q_max), 1,
                               (int64_t[]){ 256 }, table, &constant));
    TQ_TRY(tq_int_emit(t, "Lookup", (tq_value *[]){ x->codes, constant }, 2, NULL, 0, &codes));
    double *scale = TQ_NEW(t->arena, double), *offset = TQ_NEW(t->arena, double);
    *scale = (double)grid.scale;
    *offset = -(double)grid.scale * grid.zero_point;
    tq_int_set(t, 0,
               &(tq_codes){ .codes = codes,
                            .axis = -1,
                            .n = 1,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = lo,
                            .hi = hi });
    return TQ_OK;
}
