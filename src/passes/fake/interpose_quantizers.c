/* Between two linear operators with nothing between them, and wherever a linear operator, a
 * product, a difference or a function that a table will replace reads a value that is on no grid
 * yet: a quantiser for all who read that value (QuantLib's QuantiserInterposer, widened to every
 * reader that needs codes).
 */
#include "passes/fake/fake.h"

static bool is_product(const tq_node *node)
{
    return tq_node_is(node, "Mul") && !tq_node_is_const_from(node, 0) &&
           !tq_node_is_const_from(node, 1);
}

/* Add has an editor of its own: harmonise-adds. */
static bool is_difference(const tq_node *node)
{
    return tq_node_is(node, "Sub") && !tq_fake_is_constant(tq_node_input(node, 0)) &&
           !tq_fake_is_constant(tq_node_input(node, 1));
}

/* Relu and Clip act as bounds on whatever comes next and need no codes. */
static bool needs_table(const tq_node *node)
{
    const bool bounds = tq_node_is(node, "Relu") || tq_node_is(node, "Clip");
    return (tq_node_has_flag(node, TQ_OP_UNARY) && !bounds) || tq_node_is(node, "PRelu");
}

static bool is_average(const tq_node *node)
{
    return tq_node_is(node, "AveragePool") || tq_node_is(node, "GlobalAveragePool") ||
           tq_node_is(node, "ReduceMean");
}

/* Max pools compare codes; ONNX has none on int32 accumulators. */
static bool is_max_pool(const tq_node *node)
{
    return tq_node_is(node, "MaxPool") || tq_node_is(node, "GlobalMaxPool");
}

static bool is_normalisation(const tq_node *node)
{
    return tq_node_is(node, "LayerNormalization") || tq_node_is(node, "RMSNormalization") ||
           tq_node_is(node, "InstanceNormalization") || tq_node_is(node, "GroupNormalization") ||
           tq_node_is(node, "Softmax");
}

/* Concat brings its inputs onto one grid itself, unless elements were moved since their last one.
 */
static bool is_moved_part(const tq_node *node, int i)
{
    tq_value *x = tq_node_input(node, i);
    return tq_node_is(node, "Concat") && tq_fake_root(x) != x;
}

/* Does an operator that computes read the value, perhaps after more moves? */
static bool feeds_operator(const tq_value *value, int depth)
{
    for (int i = 0; i < tq_value_n_consumers(value) && depth > 0; i++) {
        const tq_node *reader = tq_value_consumer(value, i);
        if (!tq_node_has_flag(reader, TQ_OP_MOVES) ||
            feeds_operator(tq_node_output(reader, 0), depth - 1))
            return true;
    }
    return false;
}

/* Moving elements mixes channels, which may have scales of their own before they are on a grid. */
static bool moves_before_operator(const tq_node *node)
{
    enum { DEPTH = 8 };
    return tq_node_has_flag(node, TQ_OP_MOVES) && !tq_node_is(node, "Concat") &&
           feeds_operator(tq_node_output(node, 0), DEPTH);
}

static bool reads_codes(const tq_node *node, int i)
{
    if (tq_node_is(node, "MatMul") || is_product(node) || is_difference(node))
        return i < 2;
    return is_moved_part(node, i) ||
           (i == 0 &&
            (tq_node_has_flag(node, TQ_OP_LINEAR) || needs_table(node) || is_average(node) ||
             is_max_pool(node) || is_normalisation(node) || moves_before_operator(node)));
}

static tq_status interpose(tq_graph *graph, tq_node *node, const tq_recipe *recipe,
                           const tq_edit *edit)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *x = tq_node_input(node, i);
        if (!x || !reads_codes(node, i) || tq_value_is_const(x) || tq_fake_is_quantized(x) ||
            tq_value_type(x)->dtype != TQ_F32)
            continue;
        const tq_slot_spec *spec = tq_fake_spec(recipe, node, TQ_SLOT_INTERPOSED);
        if (spec)
            TQ_TRY(tq_fake_insert(graph, tq_fake_root(x), TQ_SLOT_INTERPOSED, spec, edit));
    }
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        TQ_TRY(interpose(graph, node, recipe, edit));
    return TQ_OK;
}

const tq_editor tq_editor_interpose_quantizers = {
    .entry = { .name = "interpose-quantizers",
               .brief = "a quantiser wherever codes are needed and there are none" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-inputs",
    .run = run,
};
