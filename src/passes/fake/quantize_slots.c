/* Ends of single operators that a recipe asks for: rules for the slots `input` and `output` with
 * conditions on nodes put a quantiser on the inputs, or on output 0, of the nodes they accept; a
 * rule for `output` without conditions on the graph's outputs. They come before the quantisers of
 * activations, which leave alone what has one. */
#include "passes/fake/fake.h"

static bool is_real(const tq_value *value)
{
    return value && !tq_fake_is_constant(value) && tq_value_type(value)->dtype == TQ_F32;
}

/* Is what this input reads the quantiser of an earlier run? */
static bool is_from_slot(const tq_value *value)
{
    const tq_node *producer = tq_value_producer(value);
    return producer && tq_node_is(producer, "FakeQuantize");
}

static tq_status quantize_inputs(tq_graph *graph, tq_node *node, const tq_slot_spec *spec)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *x = tq_node_input(node, i), *params[TQ_QUANTIZER_MAX_PARAMS];
        if (!is_real(x) || is_from_slot(x))
            continue;
        int n_params;
        const char *name = tq_arena_printf(tq_graph_arena(graph), "%s.in%d", tq_node_name(node), i);
        TQ_TRY(tq_fake_add_params(graph, name, spec, 1, params, &n_params));
        TQ_TRY(tq_fake_insert_at(node, i, TQ_SLOT_INPUT, spec, true, params, n_params));
    }
    return TQ_OK;
}

static tq_status quantize_node(tq_graph *graph, tq_node *node, const tq_recipe *recipe,
                               const tq_edit *edit)
{
    const tq_slot_spec *input = tq_fake_spec(recipe, node, TQ_SLOT_INPUT);
    const tq_slot_spec *output = tq_fake_spec(recipe, node, TQ_SLOT_OUTPUT);
    tq_value *y = tq_node_output(node, 0);
    if (input)
        TQ_TRY(quantize_inputs(graph, node, input));
    if (!output || !is_real(y) || tq_fake_is_placed(y))
        return TQ_OK;
    return tq_fake_insert_everywhere(graph, y, TQ_SLOT_OUTPUT, output, edit);
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph), *next; node; node = next) {
        next = tq_node_next(node);
        if (!tq_node_is(node, "FakeQuantize") && !tq_node_is(node, "WeightRange"))
            TQ_TRY(quantize_node(graph, node, recipe, edit));
    }
    const tq_slot_spec *spec = tq_fake_spec(recipe, NULL, TQ_SLOT_OUTPUT);
    for (int i = 0; spec && i < tq_graph_n_outputs(graph); i++) {
        tq_value *y = tq_graph_output(graph, i);
        if (is_real(y) && !tq_value_is_input(y) && !is_from_slot(y))
            TQ_TRY(tq_fake_insert_everywhere(graph, y, TQ_SLOT_OUTPUT, spec, edit));
    }
    return TQ_OK;
}

const tq_editor tq_editor_quantize_slots = {
    .entry = { .name = "quantize-slots",
               .brief = "inputs and outputs of the operators a recipe names pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-weights",
    .run = run,
};
