/* Average pools and concatenations: their outputs pass a quantiser, so that what reads them sees
 * codes on one scale. A concatenation whose parts are on one grid already (shared parameters) needs
 * none. */
#include "passes/fake/fake.h"

#include <string.h>

static bool is_pool(const tq_node *node)
{
    return tq_node_is(node, "AveragePool") || tq_node_is(node, "GlobalAveragePool") ||
           tq_node_is(node, "ReduceMean");
}

static tq_status quantize(tq_graph *graph, const tq_edit *edit, tq_slot slot,
                          bool (*wanted)(const tq_node *node))
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        tq_value *y = tq_node_output(node, 0);
        if (!wanted(node) || tq_value_type(y)->dtype != TQ_F32 || !tq_value_n_consumers(y) ||
            tq_fake_is_placed(y))
            continue;
        const tq_slot_spec *spec = tq_fake_spec(recipe, node, slot);
        if (spec)
            TQ_TRY(tq_fake_insert(graph, y, slot, spec, edit));
    }
    return TQ_OK;
}

static tq_status run_pools(tq_graph *graph, const tq_edit *edit)
{
    return quantize(graph, edit, TQ_SLOT_POOL, is_pool);
}

static bool is_concat(const tq_node *node)
{
    bool dynamic = false;
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        dynamic = dynamic || !tq_node_is_const_from(node, i);
    return tq_node_is(node, "Concat") && dynamic;
}

static tq_status run_concats(tq_graph *graph, const tq_edit *edit)
{
    return quantize(graph, edit, TQ_SLOT_CONCAT, is_concat);
}

const tq_editor tq_editor_quantize_pools = {
    .entry = { .name = "quantize-pools", .brief = "outputs of average pools pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "harmonise-adds",
    .run = run_pools,
};

const tq_editor tq_editor_quantize_concats = {
    .entry = { .name = "quantize-concats", .brief = "outputs of concatenations pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-pools",
    .run = run_concats,
};

/* What the cpu reads stays real: quantize-borders serves the others. */
static bool is_read_by_cpu(const tq_value *x)
{
    for (int i = 0; i < tq_value_n_consumers(x); i++)
        if (tq_fake_is_on_cpu(tq_value_consumer(x, i)))
            return true;
    return false;
}

/* Graph inputs: where reals become codes. */
static tq_status run_inputs(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    const tq_slot_spec *spec = tq_fake_spec(recipe, NULL, TQ_SLOT_INPUT);
    for (int i = 0; spec && i < tq_graph_n_inputs(graph); i++) {
        tq_value *x = tq_graph_input(graph, i);
        if (tq_value_type(x)->dtype == TQ_F32 && tq_value_n_consumers(x) && !tq_fake_is_placed(x) &&
            !is_read_by_cpu(x))
            TQ_TRY(tq_fake_insert(graph, x, TQ_SLOT_INPUT, spec, edit));
    }
    return TQ_OK;
}

const tq_editor tq_editor_quantize_inputs = {
    .entry = { .name = "quantize-inputs", .brief = "graph inputs pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-concats",
    .run = run_inputs,
};
