/* Every linear operator with a constant weight reads it through FakeQuantize. Quantisers whose
 * weight bounds follow the statistics (PACT) get them from a WeightRange node at every forward;
 * others start from the statistics of the weight as it is now. A weight that several operators
 * share is quantised once. */
#include "passes/fake/fake.h"
#include "rewrite/rewrite.h"

#include <string.h>

/* The axis of the output channels in the weight; -1: there is no such axis. */
static int weight_axis(const tq_node *node)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const int rank = tq_value_type(tq_node_input(node, 1))->rank;
    if (tq_node_is(node, "ConvTranspose"))
        return tq_attr_int(attrs, "group") == 1 ? 1 : -1;
    if (tq_node_is(node, "Gemm"))
        return tq_attr_int(attrs, "transB") ? 0 : 1;
    if (tq_node_is(node, "MatMul"))
        return rank == 2 ? 1 : -1;
    return 0;
}

/* Does what this node computes become a graph output with nothing but movement, biases and the last
 * softmax between? */
static bool reaches_output(const tq_value *value)
{
    if (tq_value_is_output(value))
        return true;
    for (int i = 0; i < tq_value_n_consumers(value); i++) {
        const tq_node *node = tq_value_consumer(value, i);
        const bool passes = tq_node_has_flag(node, TQ_OP_MOVES) || tq_node_is(node, "Softmax") ||
                            tq_node_is(node, "LogSoftmax") || tq_node_is(node, "ArgMax") ||
                            (tq_node_is(node, "Add") && !tq_fake_is_sum(node));
        if (passes && reaches_output(tq_node_output(node, 0)))
            return true;
    }
    return false;
}

static bool is_dynamic(const tq_graph *graph, const tq_slot_spec *spec)
{
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)tq_registry_get(
        tq_graph_registry(graph), TQ_KIND_QUANTIZER, spec->quantizer);
    return quantizer && quantizer->weights_dynamic;
}

static tq_status add_range(tq_graph *graph, tq_node *before, const char *name, tq_value *weight,
                           const tq_slot_spec *spec, int axis, tq_value **params, int *out_n)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(graph), TQ_KIND_QUANTIZER, spec->quantizer, &entry));
    const tq_text init = tq_init_text(&spec->init);
    const tq_attr attrs[] = {
        TQ_STRING("quantizer", spec->quantizer),
        TQ_STRING("init", init.s),
        TQ_INT("q_min", spec->range.q_min),
        TQ_INT("n_levels", spec->range.n_levels),
        TQ_INT("step", spec->range.step),
        TQ_INT("axis", axis),
        TQ_INT("free_offset", spec->range.free_offset),
    };
    tq_node *node;
    const int n = ((const tq_quantizer *)(const void *)entry)->n_params;
    TQ_TRY(tq_graph_add_node(
        graph,
        &(tq_node_spec){ .op = "WeightRange",
                         .name = tq_arena_printf(tq_graph_arena(graph), "%s.range", name),
                         .inputs = &weight,
                         .n_inputs = 1,
                         .n_outputs = n,
                         .attrs = attrs,
                         .n_attrs = TQ_COUNT(attrs),
                         .before = before },
        &node));
    for (int i = 0; i < n; i++)
        params[i] = tq_node_output(node, i);
    *out_n = n;
    return TQ_OK;
}

/* The statistics of channel c of a weight: its elements are `n_inner` long runs, one per outer
 * index. */
static void observe_channel(const tq_tensor *weight, int axis, int64_t c, tq_statistics *out)
{
    const int64_t n_channels = axis < 0 ? 1 : weight->type.dims[axis];
    const int64_t n_inner =
        axis < 0 ? tq_tensor_count(weight) : tq_type_count_from(&weight->type, axis + 1);
    const int64_t n_outer = axis < 0 ? 1 : tq_type_count_to(&weight->type, axis);
    tq_statistics_reset(out);
    for (int64_t o = 0; o < n_outer; o++)
        tq_statistics_observe(out, n_inner,
                              (const float *)weight->data + (o * n_channels + c) * n_inner);
}

static tq_status init_params(const tq_graph *graph, const tq_tensor *weight, int axis,
                             const tq_slot_spec *spec, tq_value **params, int n_params)
{
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)tq_registry_get(
        tq_graph_registry(graph), TQ_KIND_QUANTIZER, spec->quantizer);
    const int64_t n_channels = axis < 0 ? 1 : weight->type.dims[axis];
    for (int64_t c = 0; c < n_channels; c++) {
        tq_statistics s;
        double a, b;
        float values[TQ_QUANTIZER_MAX_PARAMS];
        observe_channel(weight, axis, c, &s);
        TQ_TRY(tq_init_range(&spec->init, &s, &a, &b));
        TQ_TRY(quantizer->init(&spec->range, a, b, values));
        for (int i = 0; i < n_params; i++) {
            void *data;
            TQ_TRY(tq_value_own(params[i], &data));
            ((float *)data)[c] = values[i];
        }
    }
    return TQ_OK;
}

static tq_status make_params(tq_graph *graph, tq_node *before, tq_value *weight,
                             const tq_slot_spec *spec, int axis, tq_value **params, int *out_n)
{
    const char *name = tq_value_name(weight);
    if (is_dynamic(graph, spec))
        return add_range(graph, before, name, weight, spec, axis, params, out_n);
    const int64_t n = axis < 0 ? 1 : tq_value_type(weight)->dims[axis];
    TQ_TRY(tq_fake_add_params(graph, name, spec, n, params, out_n));
    return init_params(graph, tq_value_tensor(weight), axis, spec, params, *out_n);
}

static bool is_as_specified(const tq_attrs *attrs, const tq_slot_spec *spec)
{
    return strcmp(tq_attr_string(attrs, "quantizer"), spec->quantizer) == 0 &&
           strcmp(tq_attr_string(attrs, "init"), tq_init_text(&spec->init).s) == 0 &&
           strcmp(tq_attr_string(attrs, "rounding"), tq_rounding_name(spec->rounding)) == 0 &&
           tq_attr_int(attrs, "q_min") == spec->range.q_min &&
           tq_attr_int(attrs, "n_levels") == spec->range.n_levels &&
           tq_attr_int(attrs, "step") == spec->range.step &&
           tq_attr_int(attrs, "power_of_two") == spec->range.power_of_two;
}

/* The same FakeQuantize of the same weight, made for another consumer. */
static tq_value *find_existing(const tq_value *weight, int axis, const tq_slot_spec *spec)
{
    for (int i = 0; i < tq_value_n_consumers(weight); i++) {
        const tq_node *node = tq_value_consumer(weight, i);
        if (tq_node_is(node, "FakeQuantize") && tq_attr_int(tq_node_attrs(node), "axis") == axis &&
            is_as_specified(tq_node_attrs(node), spec))
            return tq_node_output(node, 0);
    }
    return NULL;
}

tq_status tq_fake_add_constant(tq_graph *graph, tq_node *before, tq_value *constant, tq_slot slot,
                               const tq_slot_spec *spec, int axis, tq_value **out_y)
{
    *out_y = find_existing(constant, axis, spec);
    if (*out_y)
        return TQ_OK;
    tq_value *params[TQ_QUANTIZER_MAX_PARAMS];
    int n_params;
    TQ_TRY(make_params(graph, before, constant, spec, axis, params, &n_params));
    return tq_fake_add(graph, before, tq_value_name(constant), slot, spec, axis, true, constant,
                       params, n_params, out_y);
}

static tq_status quantize(tq_graph *graph, tq_node *node, const tq_recipe *recipe,
                          const tq_edit *edit)
{
    const tq_slot_spec *spec = tq_fake_spec(recipe, node, TQ_SLOT_WEIGHT);
    tq_value *weight = tq_node_input(node, 1), *y;
    if (!spec || tq_value_type(weight)->dtype != TQ_F32)
        return TQ_OK;
    const bool head = recipe->head_per_tensor && reaches_output(tq_node_output(node, 0));
    const int axis = spec->per_channel && !head ? weight_axis(node) : -1;
    TQ_TRY(tq_fake_add_constant(graph, node, weight, TQ_SLOT_WEIGHT, spec, axis, &y));
    tq_node_set_input(node, 1, y);
    tq_edit_log(edit, "quantised '%s' (weight of '%s'%s)", tq_value_name(weight),
                tq_node_name(node), axis < 0 ? ", per tensor" : ", per channel");
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_has_flag(node, TQ_OP_LINEAR) && tq_node_is_const_from(node, 1))
            TQ_TRY(
                tq_wrap(quantize(graph, node, recipe, edit), "at node '%s'", tq_node_name(node)));
    return TQ_OK;
}

const tq_editor tq_editor_quantize_weights = {
    .entry = { .name = "quantize-weights",
               .brief = "weights of linear operators pass a quantiser" },
    .stage = TQ_EDIT_FAKE,
    .run = run,
};
