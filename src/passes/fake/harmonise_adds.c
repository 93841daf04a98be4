/* Integers can be added only on one scale. The leaves of every tree of additions (residual
 * connections) pass quantisers that share their parameters; the sum passes one too, and then all
 * take the scale that the sum was observed to need (QuantLib's HarmonisedAdd with
 * use_output_scale). When the recipe fuses activations and the sum is read only by one that is
 * quantised itself, the sum has no quantiser and the leaves' own statistics place the common grid.
 * An operand that was only moved since a linear operator is quantised before it was; a constant one
 * (position embeddings) has a grid of its own. */
#include "passes/fake/fake.h"
#include "rewrite/rewrite.h"

#include <string.h>

typedef struct group {
    const tq_slot_spec *spec;
    tq_value *params[TQ_QUANTIZER_MAX_PARAMS];
    int n_params;
    bool leaves_observe;
} group;

/* An inner addition of a tree: only another addition reads it. */
static bool is_inner(const tq_value *value)
{
    const tq_node *node = tq_value_producer(value);
    return node && tq_fake_is_sum(node) && tq_value_n_consumers(value) == 1 &&
           !tq_value_is_output(value) && tq_fake_is_sum(tq_value_consumer(value, 0));
}

/* Do all leaves pass quantisers of one set of parameters already? */
static bool is_harmonised(const tq_node *node, const tq_value **param)
{
    for (int i = 0; i < 2; i++) {
        const tq_value *x = tq_node_input(node, i);
        if (is_inner(x)) {
            if (!is_harmonised(tq_value_producer(x), param))
                return false;
            continue;
        }
        if (tq_fake_is_constant(x) && !tq_value_is_const(x))
            continue;
        const tq_node *leaf = tq_value_producer(tq_fake_root(tq_node_input(node, i)));
        if (!leaf || !tq_node_is(leaf, "FakeQuantize") ||
            strcmp(tq_attr_string(tq_node_attrs(leaf), "slot"), tq_slot_name(TQ_SLOT_ADD)) != 0)
            return false;
        if (*param && *param != tq_node_input(leaf, 1))
            return false;
        *param = tq_node_input(leaf, 1);
    }
    return true;
}

/* Was the value only moved since its root, which is on no grid, and by nobody else's order? */
static bool is_moved_alone(tq_value *value)
{
    const tq_value *root = tq_fake_root(value);
    if (value == root || tq_fake_is_quantized(value))
        return false;
    for (const tq_value *x = value; x != root; x = tq_node_input(tq_value_producer(x), 0))
        if (tq_value_n_consumers(x) != 1 || tq_value_is_output(x))
            return false;
    return true;
}

static tq_status quantize_leaf(tq_node *node, int i, const group *g)
{
    tq_value *x = tq_node_input(node, i), *y;
    if (tq_value_is_const(x)) {
        TQ_TRY(tq_fake_add_constant(tq_node_graph(node), node, x, TQ_SLOT_ADD, g->spec, -1, &y));
        tq_node_set_input(node, i, y);
        return TQ_OK;
    }
    if (tq_fake_is_constant(x))
        return TQ_OK;
    if (is_moved_alone(x)) {
        while (tq_node_input(tq_value_producer(x), 0) != tq_fake_root(x))
            x = tq_node_input(tq_value_producer(x), 0);
        node = tq_value_producer(x);
        i = 0;
    }
    return tq_fake_insert_at(node, i, TQ_SLOT_ADD, g->spec, g->leaves_observe, g->params,
                             g->n_params);
}

static tq_status quantize_leaves(tq_node *node, const group *g)
{
    for (int i = 0; i < 2; i++) {
        tq_value *x = tq_node_input(node, i);
        if (is_inner(x))
            TQ_TRY(quantize_leaves(tq_value_producer(x), g));
        else
            TQ_TRY(quantize_leaf(node, i, g));
    }
    return TQ_OK;
}

static tq_status quantize_sum(tq_graph *graph, tq_value *sum, const group *g)
{
    tq_value *y;
    TQ_TRY(tq_fake_add(graph, tq_node_next(tq_value_producer(sum)), tq_value_name(sum), TQ_SLOT_ADD,
                       g->spec, -1, true, sum, g->params, g->n_params, &y));
    tq_value_redirect_consumers_but(sum, y, tq_value_producer(y));
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        if (tq_graph_output(graph, i) == y)
            tq_graph_set_output(graph, i, sum);
    return TQ_OK;
}

static tq_status harmonise(tq_graph *graph, tq_node *root, const tq_slot_spec *found,
                           const tq_recipe *recipe, const tq_edit *edit)
{
    tq_slot_spec spec = *found;
    spec.unsigned_if_positive = false; /* operands and sum are on one grid, signed or not */
    tq_value *sum = tq_node_output(root, 0);
    group g = { .spec = &spec };
    g.leaves_observe = recipe->fuse_activations && tq_fake_feeds_quantized_activation(sum);
    TQ_TRY(tq_fake_add_params(graph, tq_value_name(sum), &spec, 1, g.params, &g.n_params));
    TQ_TRY(quantize_leaves(root, &g));
    if (!g.leaves_observe)
        TQ_TRY(quantize_sum(graph, sum, &g));
    tq_edit_log(edit, "harmonised the addition '%s'", tq_node_name(root));
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph), *next; node; node = next) {
        next = tq_node_next(node);
        const tq_slot_spec *spec = tq_fake_spec(recipe, node, TQ_SLOT_ADD);
        const tq_value *param = NULL;
        if (spec && tq_fake_is_sum(node) && !is_inner(tq_node_output(node, 0)) &&
            !is_harmonised(node, &param))
            TQ_TRY(harmonise(graph, node, spec, recipe, edit));
    }
    return TQ_OK;
}

const tq_editor tq_editor_harmonise_adds = {
    .entry = { .name = "harmonise-adds", .brief = "operands of additions share one scale" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-activations",
    .run = run,
};
