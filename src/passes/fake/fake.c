/* Inserting quantisers: parameters, nodes, and what is on a grid already. */
#include "passes/fake/fake.h"

#include <math.h>
#include <string.h>

#include "rewrite/rewrite.h"

tq_status tq_fake_recipe(const tq_edit *edit, const tq_recipe **out_recipe)
{
    if (!edit || !edit->recipe)
        return tq_fail(TQ_ERR_STATE, "needs a recipe");
    *out_recipe = edit->recipe;
    return TQ_OK;
}

tq_status tq_fake_add_params(tq_graph *graph, const char *name, const tq_slot_spec *spec,
                             int64_t n_channels, tq_value **params, int *out_n)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(graph), TQ_KIND_QUANTIZER, spec->quantizer, &entry));
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)entry;
    const tq_type type = { .dtype = TQ_F32, .rank = 1, .dims = { n_channels } };
    *out_n = quantizer->n_params;
    for (int i = 0; i < quantizer->n_params; i++) {
        tq_tensor tensor;
        TQ_TRY(tq_tensor_init(&tensor, &type));
        for (int64_t c = 0; c < n_channels; c++)
            ((float *)tensor.data)[c] = NAN;
        const char *full =
            tq_arena_printf(tq_graph_arena(graph), "%s.%s", name, quantizer->params[i]);
        const tq_status status = tq_graph_add_constant(graph, full, &tensor, &params[i]);
        tq_tensor_reset(&tensor);
        TQ_TRY(status);
    }
    return TQ_OK;
}

tq_status tq_fake_add(tq_graph *graph, tq_node *before, const char *name, tq_slot slot,
                      const tq_slot_spec *spec, int axis, bool observe, tq_value *x,
                      tq_value *const *params, int n_params, tq_value **out_y)
{
    const tq_text init = tq_init_text(&spec->init);
    const tq_attr attrs[] = {
        TQ_INT("power_of_two", 1),
        TQ_STRING("share", spec->share),
        TQ_STRING("quantizer", spec->quantizer),
        TQ_INT("q_min", spec->range.q_min),
        TQ_INT("n_levels", spec->range.n_levels),
        TQ_INT("step", spec->range.step),
        TQ_INT("free_offset", spec->range.free_offset),
        TQ_STRING("rounding", tq_rounding_name(spec->rounding)),
        TQ_INT("axis", axis),
        TQ_STRING("init", init.s),
        TQ_INT("observe", observe),
        TQ_STRING("slot", tq_slot_name(slot)),
        TQ_INT("unsigned_if_positive", spec->unsigned_if_positive),
    };
    tq_value *inputs[1 + TQ_QUANTIZER_MAX_PARAMS] = { x };
    memcpy(&inputs[1], params, (size_t)n_params * sizeof *params);
    const char *node_name = tq_arena_printf(tq_graph_arena(graph), "%s.fq", name);
    const int n_special = 2; /* said only where they say something */
    tq_node *node;
    TQ_TRY(tq_graph_add_node(graph,
                             &(tq_node_spec){ .op = "FakeQuantize",
                                              .name = node_name,
                                              .inputs = inputs,
                                              .n_inputs = 1 + n_params,
                                              .attrs = attrs + n_special,
                                              .n_attrs = TQ_COUNT(attrs) - n_special,
                                              .before = before },
                             &node));
    if (spec->range.power_of_two)
        tq_node_set_attr(node, &attrs[0]);
    if (spec->share)
        tq_node_set_attr(node, &attrs[1]);
    *out_y = tq_node_output(node, 0);
    return TQ_OK;
}

/* A new node that reads `value` goes right behind its producer. */
static tq_node *place_after(const tq_graph *graph, const tq_value *value)
{
    const tq_node *producer = tq_value_producer(value);
    return producer ? tq_node_next(producer) : tq_graph_first(graph);
}

/* A quantiser behind the value for all who read it, graph outputs too. */
static tq_status insert(tq_graph *graph, tq_value *value, tq_slot slot, const tq_slot_spec *spec,
                        const tq_edit *edit, tq_value **out_y)
{
    const char *name = tq_value_name(value);
    tq_value *params[TQ_QUANTIZER_MAX_PARAMS];
    int n_params;
    TQ_TRY(tq_fake_add_params(graph, name, spec, 1, params, &n_params));
    TQ_TRY(tq_fake_add(graph, place_after(graph, value), name, slot, spec, -1, true, value, params,
                       n_params, out_y));
    tq_value_redirect_consumers_but(value, *out_y, tq_value_producer(*out_y));
    tq_edit_log(edit, "quantised '%s' (%s)", name, tq_slot_name(slot));
    return TQ_OK;
}

tq_status tq_fake_insert(tq_graph *graph, tq_value *value, tq_slot slot, const tq_slot_spec *spec,
                         const tq_edit *edit)
{
    tq_value *y;
    TQ_TRY(insert(graph, value, slot, spec, edit, &y));
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        if (tq_graph_output(graph, i) == y)
            tq_graph_set_output(graph, i, value);
    return TQ_OK;
}

tq_status tq_fake_insert_everywhere(tq_graph *graph, tq_value *value, tq_slot slot,
                                    const tq_slot_spec *spec, const tq_edit *edit)
{
    const char *name = tq_value_name(value);
    const bool is_output = tq_value_is_output(value);
    tq_value *y;
    TQ_TRY(insert(graph, value, slot, spec, edit, &y));
    if (is_output) { /* the output keeps its name */
        tq_value_set_name(value, tq_arena_printf(tq_graph_arena(graph), "%s.real", name));
        tq_value_set_name(y, name);
    }
    return TQ_OK;
}

tq_status tq_fake_insert_at(tq_node *node, int i, tq_slot slot, const tq_slot_spec *spec,
                            bool observe, tq_value *const *params, int n_params)
{
    tq_graph *graph = tq_node_graph(node);
    tq_value *x = tq_node_input(node, i), *y;
    const char *name = tq_arena_printf(tq_graph_arena(graph), "%s.in%d", tq_node_name(node), i);
    TQ_TRY(tq_fake_add(graph, node, name, slot, spec, -1, observe, x, params, n_params, &y));
    tq_node_set_input(node, i, y);
    return TQ_OK;
}

bool tq_fake_keeps_grid(const tq_node *node)
{
    return tq_node_has_flag(node, TQ_OP_MOVES) || tq_node_is(node, "MaxPool") ||
           tq_node_is(node, "GlobalMaxPool") || tq_node_is(node, "Dropout") ||
           tq_node_is(node, "Identity");
}

tq_value *tq_fake_root(tq_value *value)
{
    const tq_node *node = tq_value_producer(value);
    while (node && tq_node_has_flag(node, TQ_OP_MOVES) && !tq_node_is(node, "Concat")) {
        value = tq_node_input(node, 0);
        node = tq_value_producer(value);
    }
    return value;
}

/* A positive factor for all elements: another scale for the same codes. */
static bool is_scaling(const tq_node *node)
{
    const tq_value *factor = tq_node_input(node, 1);
    const tq_tensor *k = factor ? tq_value_tensor(factor) : NULL;
    return (tq_node_is(node, "Mul") || tq_node_is(node, "Div")) && k && tq_tensor_count(k) == 1 &&
           tq_load_f64(k->data, k->type.dtype, 0) > 0;
}

bool tq_fake_is_quantized(const tq_value *value)
{
    for (const tq_node *node = tq_value_producer(value); node;) {
        if (tq_node_is(node, "FakeQuantize"))
            return true;
        if (!tq_fake_keeps_grid(node) && !is_scaling(node))
            return false;
        for (int i = 1; i < tq_node_n_inputs(node); i++) { /* Concat: all of them */
            const tq_value *other = tq_node_input(node, i);
            if (tq_node_is(node, "Concat") && !tq_fake_is_quantized(other))
                return false;
        }
        node = tq_value_producer(tq_node_input(node, 0));
    }
    return false;
}

bool tq_fake_is_placed(const tq_value *value)
{
    for (int i = 0; i < tq_value_n_consumers(value); i++)
        if (!tq_node_is(tq_value_consumer(value, i), "FakeQuantize"))
            return false;
    return tq_value_n_consumers(value) > 0;
}

bool tq_fake_feeds_quantized_activation(const tq_value *sum)
{
    if (tq_value_n_consumers(sum) != 1 || tq_value_is_output(sum))
        return false;
    const tq_node *activation = tq_value_consumer(sum, 0);
    const tq_value *y = tq_node_output(activation, 0);
    return (tq_node_is(activation, "Relu") || tq_node_is(activation, "Clip")) &&
           tq_value_n_consumers(y) == 1 && tq_node_is(tq_value_consumer(y, 0), "FakeQuantize");
}

bool tq_fake_is_linear(const tq_node *node)
{
    if (!tq_node_has_flag(node, TQ_OP_LINEAR) || !tq_node_input(node, 1))
        return false;
    return tq_fake_is_constant(tq_node_input(node, 1));
}

bool tq_fake_is_constant(const tq_value *value)
{
    const tq_node *producer = tq_value_producer(value);
    return tq_value_is_const(value) ||
           (producer && tq_node_is(producer, "FakeQuantize") && tq_node_is_const_from(producer, 0));
}

/* A constant that a requantisation can add: one number, or one for each channel. */
static bool is_bias(const tq_value *value)
{
    const tq_type *type = tq_value_type(value);
    int n_axes = 0;
    for (int d = 0; d < type->rank; d++)
        n_axes += type->dims[d] != 1;
    return tq_fake_is_constant(value) && n_axes <= 1;
}

bool tq_fake_is_sum(const tq_node *node)
{
    if (!tq_node_is(node, "Add") || tq_value_type(tq_node_output(node, 0))->dtype != TQ_F32)
        return false;
    const tq_value *a = tq_node_input(node, 0), *b = tq_node_input(node, 1);
    return !is_bias(a) && !is_bias(b) && !(tq_fake_is_constant(a) && tq_fake_is_constant(b));
}

/* Is the node the first, or the last, of the linear operators? The next one is near. */
static bool is_end(const tq_node *node, const tq_node *(*next)(const tq_node *))
{
    if (!tq_fake_is_linear(node))
        return false;
    do
        node = next(node);
    while (node && !tq_fake_is_linear(node));
    return !node;
}

static const tq_node *before(const tq_node *node)
{
    return tq_node_prev(node);
}

static const tq_node *after(const tq_node *node)
{
    return tq_node_next(node);
}

bool tq_fake_is_on_cpu(const tq_node *node)
{
    const char *device = tq_node_meta(node, "device");
    return device && strcmp(device, "cpu") == 0;
}

const tq_slot_spec *tq_fake_spec(const tq_recipe *recipe, const tq_node *node, tq_slot slot)
{
    if (node && tq_fake_is_on_cpu(node))
        return NULL;
    const tq_slot_spec *spec = tq_recipe_spec(recipe, node, slot, node && is_end(node, before),
                                              node && is_end(node, after));
    return spec && spec->quantizer ? spec : NULL;
}
