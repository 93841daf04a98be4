/* ConvInteger and MatMulInteger of codes whose grid is known, brought back to reals by one product
 * (ONNX Runtime's static form of integer operators):
 *
 *   Mul(Cast(ConvInteger(Quantize(x, s, z), w, z, zw)), m)  =  Conv(Dequantize(.., s, z), (w - zw)
 * m / s)
 *
 * Codes of a scale that is found at run time (DynamicQuantizeLinear) stay as they are. */
#include "passes/lift/lift.h"

#include <math.h>

enum { LAYER, CAST, MUL };
enum { X, W, X_ZERO, W_ZERO };

static const tq_tensor *const_input(const tq_node *node, int i)
{
    const tq_value *value = tq_node_n_inputs(node) > i ? tq_node_input(node, i) : NULL;
    return value ? tq_value_tensor(value) : NULL;
}

static int64_t first_of(const tq_tensor *tensor)
{
    return tensor ? tq_load_i64(tensor->data, tensor->type.dtype, 0) : 0;
}

/* Does the layer take the zero point that its codes were made with? */
static bool accept_layer(const tq_node *node)
{
    const tq_node *quantize = tq_value_producer(tq_node_input(node, X));
    tq_lift_grid grid;
    if (!tq_lift_wanted(tq_node_graph(node)) || !quantize ||
        !tq_node_is(quantize, "QuantizeLinear") || !const_input(node, W) ||
        !tq_lift_read_grid(quantize, tq_value_type(tq_node_input(node, X))->dtype, &grid) ||
        grid.axis >= 0)
        return false;
    for (int i = X_ZERO; i <= W_ZERO; i++)
        if (tq_node_n_inputs(node) > i && tq_node_input(node, i) && !const_input(node, i))
            return false;
    const tq_tensor *zero = const_input(node, X_ZERO);
    const tq_tensor *made = grid.zero ? tq_value_tensor(grid.zero) : NULL;
    return (!zero || tq_tensor_count(zero) == 1) && first_of(zero) == first_of(made);
}

static const tq_pattern pattern = {
    .n_nodes = 3,
    .nodes = { [LAYER] = { .op = "ConvInteger|MatMulInteger",
                           .sole_consumer = true,
                           .accept = accept_layer },
               [CAST] = { .op = "Cast", .inputs = { TQ_FROM(LAYER) }, .sole_consumer = true },
               [MUL] = { .op = "Mul", .inputs = { TQ_FROM(CAST) }, .commutative = true } },
};

static const tq_tensor *factor_of(const tq_match *m)
{
    const tq_node *mul = m->nodes[MUL];
    const bool first = tq_node_input(mul, 0) == tq_node_output(m->nodes[CAST], 0);
    return const_input(mul, first ? 1 : 0);
}

/* The axis of the weight that makes the output's channels. */
static int channel_axis(const tq_node *layer)
{
    const tq_tensor *w = const_input(layer, W);
    return tq_node_is(layer, "ConvInteger") ? 0 : w->type.rank - 1;
}

/* One factor, or one a channel of the output. */
static bool accept(const tq_match *m)
{
    const tq_node *layer = m->nodes[LAYER];
    const tq_type *y = tq_value_type(tq_node_output(layer, 0));
    const tq_tensor *factor = factor_of(m), *zero = const_input(layer, W_ZERO);
    if (!factor || factor->type.dtype != TQ_F32 || factor->type.rank > y->rank ||
        tq_value_type(tq_node_output(m->nodes[CAST], 0))->dtype != TQ_F32)
        return false;
    const int channels = tq_node_is(layer, "ConvInteger") ? 1 : y->rank - 1;
    const int64_t n = const_input(layer, W)->type.dims[channel_axis(layer)];
    for (int d = 0; d < factor->type.rank; d++) {
        const int64_t size = factor->type.dims[d];
        if (size != 1 && (y->rank - factor->type.rank + d != channels || size != n))
            return false;
    }
    return !zero || tq_tensor_count(zero) == 1 || tq_tensor_count(zero) == n;
}

/* Scales m / s and zero points of the weight, as many as either has. */
static tq_status add_grid(tq_graph *graph, const tq_match *m, double x_scale, tq_value **out_scale,
                          tq_value **out_zero)
{
    const tq_node *layer = m->nodes[LAYER];
    const tq_tensor *factor = factor_of(m), *zero = const_input(layer, W_ZERO);
    const int64_t n_factor = tq_tensor_count(factor), n_zero = zero ? tq_tensor_count(zero) : 1;
    const int64_t n = n_factor > n_zero ? n_factor : n_zero;
    const tq_dtype dtype = const_input(layer, W)->type.dtype;
    const tq_type types[] = { tq_type_make(TQ_F32, n > 1, &n), tq_type_make(dtype, n > 1, &n) };
    tq_tensor scales, zeros = { 0 };
    TQ_TRY(tq_tensor_init(&scales, &types[0]));
    tq_status status = tq_tensor_init(&zeros, &types[1]);
    for (int64_t c = 0; c < n && !status; c++) {
        const float f = ((const float *)factor->data)[n_factor > 1 ? c : 0];
        ((float *)scales.data)[c] = (float)((double)f / x_scale);
        if (zero)
            tq_store_i64(zeros.data, dtype, c,
                         tq_load_i64(zero->data, zero->type.dtype, n_zero > 1 ? c : 0));
    }
    if (!status)
        status = tq_graph_add_constant(graph, NULL, &scales, out_scale);
    if (!status)
        status = tq_graph_add_constant(graph, NULL, &zeros, out_zero);
    tq_tensor_reset(&scales);
    tq_tensor_reset(&zeros);
    return status;
}

static tq_status add_dequantize(tq_node *before, tq_value *const *inputs, int n, int axis,
                                tq_value **out)
{
    const tq_attr attr = TQ_INT("axis", axis);
    return tq_graph_emit(tq_node_graph(before), before, "DequantizeLinear", inputs, n, &attr, 1,
                         out);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *layer = m->nodes[LAYER], *mul = m->nodes[MUL];
    const tq_node *quantize = tq_value_producer(tq_node_input(layer, X));
    tq_value *w_grid[2], *inputs[2], *y = tq_node_output(mul, 0), *real;
    const tq_tensor *x_scale = const_input(quantize, 1);
    TQ_TRY(add_grid(graph, m, tq_load_f64(x_scale->data, TQ_F32, 0), &w_grid[0], &w_grid[1]));
    TQ_TRY(add_dequantize(
        layer,
        (tq_value *[]){ tq_node_input(layer, X), tq_node_input(quantize, 1),
                        tq_node_n_inputs(quantize) > 2 ? tq_node_input(quantize, 2) : NULL },
        tq_node_n_inputs(quantize) > 2 ? 3 : 2, 1, &inputs[0]));
    TQ_TRY(add_dequantize(layer, (tq_value *[]){ tq_node_input(layer, W), w_grid[0], w_grid[1] }, 3,
                          channel_axis(layer), &inputs[1]));
    const tq_attrs *attrs = tq_node_attrs(layer);
    const int n_attrs = tq_attrs_count(attrs);
    const char *op = tq_node_is(layer, "ConvInteger") ? "Conv" : "MatMul";
    TQ_TRY(tq_graph_emit(graph, layer, op, inputs, 2, n_attrs ? tq_attrs_at(attrs, 0) : NULL,
                         n_attrs, &real));
    tq_value_redirect_consumers(y, real);
    tq_graph_remove_node(graph, mul);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_lift_integer_layers = {
    .entry = { .name = "lift-integer-layers",
               .brief = "ConvInteger and MatMulInteger of codes on a known grid compute reals" },
    .stage = TQ_EDIT_CANONICALISE,
    .changes_interface = true,
    .before = "lift-weights",
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
