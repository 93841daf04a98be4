/* Outputs of activations are quantised for everybody who reads them. */
#include "passes/fake/fake.h"

static bool is_activation(const tq_node *node)
{
    return tq_node_has_flag(node, TQ_OP_UNARY) || tq_node_is(node, "PRelu") ||
           tq_node_is(node, "Softmax");
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        tq_value *y = tq_node_output(node, 0);
        const tq_slot_spec *spec = tq_fake_spec(recipe, node, TQ_SLOT_ACTIVATION);
        if (is_activation(node) && spec && tq_value_n_consumers(y) > 0 && !tq_fake_is_placed(y))
            TQ_TRY(tq_fake_insert(graph, y, TQ_SLOT_ACTIVATION, spec, edit));
    }
    return TQ_OK;
}

const tq_editor tq_editor_quantize_activations = {
    .entry = { .name = "quantize-activations", .brief = "outputs of activations pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-weights",
    .run = run,
};
