/* Grids of QuantizeLinear and DequantizeLinear, and the FakeQuantize that stands for a pair. */
#include "passes/lift/lift.h"

#include <math.h>
#include <string.h>

enum { X, SCALE, ZERO };

bool tq_lift_is_code(tq_dtype dtype)
{
    return dtype == TQ_U8 || dtype == TQ_I8 || dtype == TQ_U16 || dtype == TQ_I16 ||
           dtype == TQ_U4 || dtype == TQ_I4;
}

const char *tq_lift_rounding(const tq_graph *graph)
{
    const char *dialect = tq_graph_meta(graph, "dialect");
    return dialect && strcmp(dialect, "tflite") == 0 ? "half-up" : "half-even";
}

bool tq_lift_wanted(const tq_graph *graph)
{
    static const char *const ours[] = { "qdq", "qoperator", "qonnx", "tflite" };
    const char *dialect = tq_graph_meta(graph, "dialect");
    bool wanted = !dialect;
    for (int i = 0; dialect && i < TQ_COUNT(ours); i++)
        wanted = wanted || strcmp(dialect, ours[i]) == 0;
    return wanted && tq_graph_stage(graph) != TQ_STAGE_TRUE;
}

bool tq_lift_read_grid(const tq_node *node, tq_dtype dtype, tq_lift_grid *out)
{
    tq_value *scale = tq_node_input(node, SCALE);
    tq_value *zero = tq_node_n_inputs(node) > ZERO ? tq_node_input(node, ZERO) : NULL;
    const tq_tensor *scales = scale ? tq_value_tensor(scale) : NULL;
    const bool fits = scales && scales->type.dtype == TQ_F32 && scales->type.rank <= 1 &&
                      (!zero || tq_value_tensor(zero)) && tq_dtype_is_integer(dtype) &&
                      tq_attr_int(tq_node_attrs(node), "block_size") == 0;
    if (!fits || tq_tensor_count(scales) < 1)
        return false;
    int axis = -1;
    if (tq_tensor_count(scales) > 1) {
        const int rank = tq_value_type(tq_node_input(node, X))->rank;
        const tq_status status = tq_op_axis(tq_attr_int(tq_node_attrs(node), "axis"), rank, &axis);
        tq_status_drop(status);
        if (status)
            return false;
    }
    *out = (tq_lift_grid){ scale, zero, axis, tq_dtype_min(dtype), tq_dtype_max(dtype) };
    return true;
}

static int64_t zero_at(const tq_lift_grid *grid, int64_t i)
{
    const tq_tensor *zero = grid->zero ? tq_value_tensor(grid->zero) : NULL;
    if (!zero)
        return 0;
    return tq_load_i64(zero->data, zero->type.dtype, tq_tensor_count(zero) == 1 ? 0 : i);
}

bool tq_lift_same_grid(const tq_lift_grid *a, const tq_lift_grid *b)
{
    const tq_tensor *s = tq_value_tensor(a->scale), *t = tq_value_tensor(b->scale);
    const int64_t n = tq_tensor_count(s);
    if (n != tq_tensor_count(t) || a->axis != b->axis)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (((const float *)s->data)[i] != ((const float *)t->data)[i] ||
            zero_at(a, i) != zero_at(b, i))
            return false;
    return true;
}

tq_status tq_lift_check_grid(const tq_lift_grid *grid)
{
    const tq_tensor *scale = tq_value_tensor(grid->scale);
    for (int64_t i = 0; i < tq_tensor_count(scale); i++) {
        const float s = ((const float *)scale->data)[i];
        if (!(s > 0.0f) || !isfinite(s))
            return tq_fail(TQ_ERR_VALUE,
                           "element %lld of scale '%s' is %g, expected a number "
                           "above 0",
                           (long long)i, tq_value_name(grid->scale), (double)s);
    }
    return TQ_OK;
}

const char *tq_lift_take_name(tq_arena *arena, tq_value *value)
{
    const char *name = tq_arena_strdup(arena, tq_value_name(value));
    tq_value_set_name(value, tq_arena_printf(arena, "%s.codes", name));
    return name;
}

const char *tq_lift_take_node_name(tq_arena *arena, tq_node *node)
{
    const char *name = tq_arena_strdup(arena, tq_node_name(node));
    tq_node_set_name(node, tq_arena_printf(arena, "%s.codes", name));
    return name;
}

/* The zero points as f32, as many as there are scales. */
static tq_status add_zero_points(tq_graph *graph, const tq_lift_grid *grid, const char *name,
                                 tq_value **out, bool *out_any)
{
    const tq_type *type = tq_value_type(grid->scale);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, type));
    *out_any = false;
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        const int64_t z = zero_at(grid, i);
        ((float *)tensor.data)[i] = (float)z;
        *out_any = *out_any || z != 0;
    }
    const char *full = tq_arena_printf(tq_graph_arena(graph), "%s.zero_point", name);
    const tq_status status = tq_graph_add_constant(graph, full, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

tq_status tq_lift_add_quantizer(tq_graph *graph, const tq_lift_quantizer *q, tq_value *x,
                                tq_value **out_y)
{
    const tq_lift_grid *grid = q->grid;
    tq_value *inputs[3] = { x, grid->scale };
    bool offset;
    TQ_TRY(tq_lift_check_grid(grid));
    TQ_TRY(add_zero_points(graph, grid, q->name, &inputs[2], &offset));
    const tq_attr attrs[] = { TQ_STRING("quantizer", "fixed"),
                              TQ_INT("q_min", grid->q_min),
                              TQ_INT("n_levels", grid->q_max - grid->q_min + 1),
                              TQ_STRING("rounding", q->rounding),
                              TQ_INT("axis", grid->axis),
                              TQ_INT("observe", 0),
                              TQ_INT("free_offset", offset),
                              TQ_STRING("slot", q->slot) };
    tq_node *node;
    TQ_TRY(tq_graph_add_node(graph,
                             &(tq_node_spec){ .op = "FakeQuantize",
                                              .domain = "truq",
                                              .name = q->name,
                                              .inputs = inputs,
                                              .n_inputs = TQ_COUNT(inputs),
                                              .attrs = attrs,
                                              .n_attrs = TQ_COUNT(attrs),
                                              .before = q->before },
                             &node));
    *out_y = tq_node_output(node, 0);
    return TQ_OK;
}
