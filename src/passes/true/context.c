/* What integer rules see of the conversion: codes of inputs, constants, nodes to add. */
#include "passes/true/true.h"

#include <truq/fake.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

const tq_codes *tq_true_codes(const tq_integerise *t, const tq_value *value)
{
    for (int i = t->n_coded - 1; i >= 0; i--)
        if (t->coded[i].value == value)
            return &t->coded[i].codes;
    return NULL;
}

void tq_true_set_codes(tq_integerise *t, const tq_value *value, const tq_codes *codes)
{
    const tq_coded item = { value, *codes };
    TQ_PUSH(t->arena, t->coded, t->n_coded, t->coded_capacity, item);
}

tq_graph *tq_int_graph(tq_integerise *t)
{
    return t->graph;
}

tq_node *tq_int_node(tq_integerise *t)
{
    return t->node;
}

tq_arena *tq_int_arena(tq_integerise *t)
{
    return t->arena;
}

const tq_true_options *tq_int_options(tq_integerise *t)
{
    return t->options;
}

const tq_codes *tq_int_input(tq_integerise *t, int i)
{
    const tq_value *value = tq_node_input(t->node, i);
    return value ? tq_true_codes(t, value) : NULL;
}

const tq_tensor *tq_int_constant(tq_integerise *t, int i)
{
    const tq_value *value = tq_node_input(t->node, i);
    return value ? tq_value_tensor(value) : NULL;
}

void tq_true_describe(tq_value *value, double scale, int64_t zero_point, int64_t q_min,
                      int64_t q_max, const char *rounding)
{
    tq_value_set_meta_f64(value, "quant.scale", scale);
    tq_value_set_meta_i64(value, "quant.zero_point", zero_point);
    tq_value_set_meta_i64(value, "quant.q_min", q_min);
    tq_value_set_meta_i64(value, "quant.q_max", q_max);
    tq_value_set_meta(value, "quant.rounding", rounding);
}

/* Says which fake-quantised value the codes stand for, where one scale says it all. What is stored
 * with a graph input is its interface and stays. */
static void describe(const tq_integerise *t, int i, const tq_codes *codes)
{
    const bool one_scale = codes->axis < 0 && codes->n == 1 && codes->clip_lo == -INFINITY &&
                           codes->clip_hi == INFINITY && codes->scale[0] > 0;
    if (!one_scale || tq_value_is_const(codes->codes) || tq_value_is_input(codes->codes) ||
        (tq_value_meta(codes->codes, "quant.of") && !tq_node_is(t->node, "FakeQuantize")))
        return;
    const double zero_point = -codes->offset[0] / codes->scale[0];
    if (fabs(zero_point) > 1e9 || fabs(zero_point - rint(zero_point)) > 1e-6)
        return;
    tq_true_describe(codes->codes, codes->scale[0], (int64_t)rint(zero_point), codes->lo, codes->hi,
                     "half-up");
    tq_value_set_meta(codes->codes, "quant.of", tq_value_name(tq_node_output(t->node, i)));
}

void tq_int_set(tq_integerise *t, int i, const tq_codes *codes)
{
    tq_true_set_codes(t, tq_node_output(t->node, i), codes);
    describe(t, i, codes);
}

tq_status tq_int_emit(tq_integerise *t, const char *op, tq_value *const *inputs, int n_inputs,
                      const tq_attr *attrs, int n_attrs, tq_value **out)
{
    const char *wanted = tq_node_name(t->node);
    tq_node *node;
    TQ_TRY(tq_graph_add_node(t->graph,
                             &(tq_node_spec){ .op = op,
                                              .name = tq_arena_printf(t->arena, "%s.q", wanted),
                                              .inputs = inputs,
                                              .n_inputs = n_inputs,
                                              .attrs = attrs,
                                              .n_attrs = n_attrs,
                                              .before = t->node },
                             &node));
    const tq_renaming renaming = { node, wanted };
    TQ_PUSH(t->arena, t->renamings, t->n_renamings, t->renamings_capacity, renaming);
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

tq_status tq_int_add_constant(tq_integerise *t, const char *suffix, tq_dtype dtype, int rank,
                              const int64_t *dims, const int64_t *values, tq_value **out)
{
    const tq_type type = tq_type_make(dtype, rank, dims);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        tq_store_i64(tensor.data, dtype, i, values[i]);
    const char *name = tq_arena_printf(t->arena, "%s.%s", tq_node_name(t->node), suffix);
    const tq_status status = tq_graph_add_constant(t->graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

tq_status tq_int_refuse(tq_integerise *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *why = tq_arena_vprintf(t->arena, format, args);
    va_end(args);
    return tq_fail(TQ_ERR_UNSUPPORTED, "%s", why);
}

tq_dtype tq_true_dtype(int64_t lo, int64_t hi)
{
    static const tq_dtype dtypes[] = { TQ_U8, TQ_I8, TQ_U16, TQ_I16, TQ_I32 };
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (lo >= tq_dtype_min(dtypes[i]) && hi <= tq_dtype_max(dtypes[i]))
            return dtypes[i];
    return TQ_I64;
}

tq_status tq_true_grid(tq_integerise *t, const tq_node *fake, tq_grid *out_grid)
{
    tq_grid *grids;
    int n;
    TQ_TRY(tq_fake_grids(fake, t->arena, &grids, &n));
    *out_grid = grids[0];
    return TQ_OK;
}

tq_status tq_true_wrap(const tq_integerise *t, tq_status status)
{
    return tq_wrap(status, "cannot integerise '%s' (%s)", tq_node_name(t->node),
                   tq_node_op_name(t->node));
}
