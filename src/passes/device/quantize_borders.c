/* Values that go between the cpu and a device are codes there: one quantiser a value and direction,
 * read by those on the other side alone, so that neither side sees a change within itself. Does
 * nothing where no node has a device. */
#include "passes/fake/fake.h"
#include "rewrite/rewrite.h"

#include <string.h>

/* NULL: not said. */
static const char *device_of(const tq_node *node)
{
    return node ? tq_node_meta(node, "device") : "cpu"; /* inputs come from the cpu */
}

static bool crosses(const tq_node *producer, const tq_node *consumer)
{
    const char *from = device_of(producer), *to = device_of(consumer);
    return from && to && strcmp(from, to) != 0;
}

/* The quantiser's specification is that of whoever is on the device. */
static const tq_slot_spec *spec_of(const tq_recipe *recipe, const tq_node *producer,
                                   const tq_node *consumer)
{
    const char *from = device_of(producer);
    const bool leaves = producer && from && strcmp(from, "cpu") != 0;
    return tq_fake_spec(recipe, leaves ? producer : consumer, TQ_SLOT_INTERPOSED);
}

/* Those of `device` that read `value` read `y` from now on. */
static void reroute(tq_value *value, tq_value *y, const char *device, tq_arena *arena)
{
    const int n = tq_value_n_consumers(value);
    tq_node **consumers = TQ_NEW_N(arena, tq_node *, n);
    for (int i = 0; i < n; i++)
        consumers[i] = tq_value_consumer(value, i);
    for (int i = 0; i < n; i++) {
        const char *here = device_of(consumers[i]);
        if (!here || strcmp(here, device) != 0 || consumers[i] == tq_value_producer(y))
            continue;
        for (int k = 0; k < tq_node_n_inputs(consumers[i]); k++)
            if (tq_node_input(consumers[i], k) == value)
                tq_node_set_input(consumers[i], k, y);
    }
}

/* The quantiser itself is on the side that is not the cpu. */
static tq_status quantize(tq_graph *graph, tq_value *value, const char *device,
                          const tq_slot_spec *spec, const tq_edit *edit)
{
    tq_arena *arena = tq_graph_arena(graph);
    tq_node *producer = tq_value_producer(value);
    const char *name = tq_arena_printf(arena, "%s.to_%s", tq_value_name(value), device);
    const char *home = strcmp(device, "cpu") ? device : device_of(producer);
    tq_value *params[TQ_QUANTIZER_MAX_PARAMS], *y;
    int n_params;
    TQ_TRY(tq_fake_add_params(graph, name, spec, 1, params, &n_params));
    TQ_TRY(tq_fake_add(graph, producer ? tq_node_next(producer) : tq_graph_first(graph), name,
                       TQ_SLOT_INTERPOSED, spec, -1, true, value, params, n_params, &y));
    reroute(value, y, device, arena);
    tq_node_set_meta(tq_value_producer(y), "device", home);
    tq_edit_log(edit, "quantised '%s' on its way to '%s'", tq_value_name(value), device);
    return TQ_OK;
}

/* Quantises a value for those it crosses to; a consumer a time, since each may be elsewhere. */
static tq_status quantize_value(tq_graph *graph, tq_value *value, const tq_recipe *recipe,
                                const tq_edit *edit)
{
    const tq_node *producer = tq_value_producer(value);
    if (tq_value_is_const(value) || tq_value_type(value)->dtype != TQ_F32 ||
        tq_fake_is_quantized(value))
        return TQ_OK;
    for (int i = 0; i < tq_value_n_consumers(value); i++) {
        tq_node *consumer = tq_value_consumer(value, i);
        const tq_slot_spec *spec = spec_of(recipe, producer, consumer);
        if (!spec || !crosses(producer, consumer) || tq_node_is(consumer, "FakeQuantize"))
            continue;
        TQ_TRY(quantize(graph, value, tq_node_meta(consumer, "device"), spec, edit));
        i = -1; /* consumers have changed */
    }
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    const int n = tq_graph_n_values(graph);
    tq_arena *arena = tq_scratch_create();
    tq_value **values = TQ_NEW_N(arena, tq_value *, n);
    for (int i = 0; i < n; i++)
        values[i] = tq_graph_value(graph, i);
    tq_status status = TQ_OK;
    for (int i = 0; i < n && !status; i++)
        status = quantize_value(graph, values[i], recipe, edit);
    tq_arena_destroy(arena);
    return status;
}

const tq_editor tq_editor_quantize_borders = {
    .entry = { .name = "quantize-borders",
               .brief = "values that go to or from a device pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-inputs",
    .before = "interpose-quantizers",
    .run = run,
};
