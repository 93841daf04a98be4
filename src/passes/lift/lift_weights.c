/* Codes that are constants: DequantizeLinear of a weight becomes the weight in float, which can be
 * trained, and FakeQuantize on the grid that it lies on; of an int32 bias or of one number, the
 * float constant. Clip and movements of constant codes are computed first; Clip narrows the grid.
 */
#include "passes/lift/lift.h"
#include "rewrite/rewrite.h"

#include <string.h>

enum { X };

/* ---- codes that are computed from constants ---- */

static bool all_const(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i) && !tq_value_is_const(tq_node_input(node, i)))
            return false;
    return tq_node_n_inputs(node) > 0;
}

static bool is_computed(const tq_node *node)
{
    const bool listed = tq_node_is(node, "Clip") || tq_node_is(node, "Identity") ||
                        (tq_node_has_flag(node, TQ_OP_MOVES) && !tq_node_is(node, "Concat"));
    return listed && tq_node_n_outputs(node) == 1 && all_const(node) &&
           tq_lift_is_code(tq_value_type(tq_node_output(node, 0))->dtype);
}

/* The ends that a value's codes have by a Clip before it. */
static void narrow(const tq_value *value, int64_t *q_min, int64_t *q_max)
{
    int64_t q;
    if (tq_value_meta_i64(value, "quant.q_min", &q) && q > *q_min)
        *q_min = q;
    if (tq_value_meta_i64(value, "quant.q_max", &q) && q < *q_max)
        *q_max = q;
}

static int64_t end_of(const tq_node *node, int i, int64_t otherwise)
{
    const tq_value *value = tq_node_n_inputs(node) > i ? tq_node_input(node, i) : NULL;
    const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
    return tensor && tq_tensor_count(tensor) == 1 ? tq_load_i64(tensor->data, tensor->type.dtype, 0)
                                                  : otherwise;
}

static tq_status compute(tq_graph *graph, tq_arena *arena, tq_node *node)
{
    const tq_value *x = tq_node_input(node, X);
    tq_value *y = tq_node_output(node, 0), *constant;
    int64_t q_min = INT32_MIN, q_max = INT32_MAX;
    tq_tensor tensor = { 0 };
    narrow(x, &q_min, &q_max);
    if (tq_node_is(node, "Clip")) {
        q_min = end_of(node, 1, q_min);
        q_max = end_of(node, 2, q_max);
    }
    TQ_TRY(tq_node_evaluate(node, &tensor));
    const tq_status status =
        tq_graph_add_constant(graph, tq_lift_take_name(arena, y), &tensor, &constant);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_value_set_meta_i64(constant, "quant.q_min", q_min);
    tq_value_set_meta_i64(constant, "quant.q_max", q_max);
    tq_value_redirect_consumers(y, constant);
    tq_graph_remove_node(graph, node);
    return TQ_OK;
}

/* ---- dequantising ---- */

/* Codes that are dequantised already, for those that several nodes dequantise. */
typedef struct done {
    const tq_value *codes;
    tq_lift_grid grid;
    tq_value *real;
} done;

typedef struct lift {
    tq_graph *graph;
    const tq_edit *edit;
    tq_arena *arena;
    int n;
    size_t capacity;
    done *done;
} lift;

static tq_value *find_done(const lift *l, const tq_value *codes, const tq_lift_grid *grid)
{
    for (int i = 0; i < l->n && tq_value_n_consumers(codes) > 1; i++)
        if (l->done[i].codes == codes && tq_lift_same_grid(&l->done[i].grid, grid))
            return l->done[i].real;
    return NULL;
}

/* "w_quantized" was "w". */
static const char *name_of_real(tq_arena *arena, tq_value *codes)
{
    static const char suffix[] = "_quantized";
    const char *name = tq_value_name(codes);
    const size_t n = strlen(name), k = sizeof suffix - 1;
    if (n > k && strcmp(name + n - k, suffix) == 0)
        return tq_arena_strndup(arena, name, n - k);
    return tq_lift_take_name(arena, codes);
}

static tq_status add_real(lift *l, tq_node *node, tq_value *codes, const tq_lift_grid *grid,
                          tq_value **out)
{
    tq_tensor tensor = { 0 };
    TQ_TRY(tq_node_evaluate(node, &tensor));
    const tq_status status =
        tq_graph_add_constant(l->graph, name_of_real(l->arena, codes), &tensor, out);
    const bool is_weight =
        tq_lift_is_code(tq_value_type(codes)->dtype) && tq_tensor_count(&tensor) > 1;
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    if (!is_weight)
        return TQ_OK;
    const tq_lift_quantizer q = { grid, "half-even", "weight",
                                  tq_lift_take_node_name(l->arena, node), node };
    tq_edit_log(l->edit, "quantised '%s' (weight)", tq_value_name(*out));
    TQ_TRY(tq_lift_add_quantizer(l->graph, &q, *out, out));
    tq_value_set_name(*out, tq_lift_take_name(l->arena, tq_node_output(node, 0)));
    return TQ_OK;
}

static tq_status dequantize(lift *l, tq_node *node)
{
    tq_value *codes = tq_node_input(node, X), *y = tq_node_output(node, 0);
    tq_lift_grid grid;
    if (!tq_value_is_const(codes) || tq_value_type(y)->dtype != TQ_F32 ||
        !tq_lift_read_grid(node, tq_value_type(codes)->dtype, &grid))
        return TQ_OK;
    narrow(codes, &grid.q_min, &grid.q_max);
    TQ_TRY(tq_lift_check_grid(&grid));
    tq_value *real = find_done(l, codes, &grid);
    if (!real) {
        TQ_TRY(add_real(l, node, codes, &grid, &real));
        const done d = { codes, grid, real };
        TQ_PUSH(l->arena, l->done, l->n, l->capacity, d);
    }
    tq_value_redirect_consumers(y, real);
    tq_graph_remove_node(l->graph, node);
    return TQ_OK;
}

static tq_status run_in(lift *l)
{
    for (tq_node *node = tq_graph_first(l->graph), *next; node; node = next) {
        next = tq_node_next(node);
        const char *name = tq_node_name(node), *op = tq_node_op_name(node);
        if (tq_node_is(node, "DequantizeLinear"))
            TQ_TRY(tq_wrap(dequantize(l, node), "node '%s' (%s)", name, op));
        else if (is_computed(node))
            TQ_TRY(tq_wrap(compute(l->graph, l->arena, node), "node '%s' (%s)", name, op));
    }
    tq_graph_sweep(l->graph);
    if (l->n && !tq_graph_meta(l->graph, "dialect"))
        tq_graph_set_meta(l->graph, "dialect", "qdq");
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    if (!tq_lift_wanted(graph))
        return TQ_OK;
    lift l = { .graph = graph, .edit = edit, .arena = tq_scratch_create() };
    const tq_status status = run_in(&l);
    tq_arena_destroy(l.arena);
    return status;
}

const tq_editor tq_editor_lift_weights = {
    .entry = { .name = "lift-weights",
               .brief = "dequantised constants become floats that pass FakeQuantize" },
    .stage = TQ_EDIT_CANONICALISE,
    .after = "lift-integers",
    .by_name = true,
    .run = run,
};
