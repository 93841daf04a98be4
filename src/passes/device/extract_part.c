/* One part as a network: a copy of the whole in which what the part reads are inputs, what it makes
 * are outputs, and the rest is swept away. Names stay, so that parts find each other by them. */
#include "passes/device/device_internal.h"

#include <string.h>

static void copy_meta(const tq_value *from, tq_value *to)
{
    const char *key, *text;
    for (int i = 0; tq_value_meta_at(from, i, &key, &text); i++)
        tq_value_set_meta(to, key, text);
}

/* `value` of the copy becomes an input of the same name. */
static tq_status make_input(tq_graph *copy, const tq_value *original, tq_value **out)
{
    tq_value *value = tq_graph_find_value(copy, tq_value_name(original));
    *out = value;
    if (tq_value_is_input(value))
        return TQ_OK;
    const char *name = tq_arena_strdup(tq_graph_arena(copy), tq_value_name(value));
    tq_value_set_name(value, tq_arena_printf(tq_graph_arena(copy), "%s.outside", name));
    TQ_TRY(tq_graph_add_input(copy, name, tq_value_type(value), out));
    copy_meta(value, *out);
    tq_value_redirect_consumers(value, *out);
    return TQ_OK;
}

/* Inputs in the order that the part states, no others. */
static void drop_inputs(tq_graph *copy, const tq_part *part)
{
    for (int i = tq_graph_n_inputs(copy) - 1; i >= 0; i--) {
        bool wanted = false;
        for (int k = 0; k < part->n_inputs; k++)
            wanted = wanted || strcmp(tq_value_name(part->inputs[k]),
                                      tq_value_name(tq_graph_input(copy, i))) == 0;
        if (!wanted && tq_value_n_consumers(tq_graph_input(copy, i)) == 0)
            tq_graph_remove_input(copy, i);
    }
}

static bool is_integer(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++)
            if (tq_dtype_is_float(tq_value_type(tq_node_output(node, i))->dtype))
                return false;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        if (tq_dtype_is_float(tq_value_type(tq_graph_input(graph, i))->dtype))
            return false;
    return tq_graph_n_nodes(graph) > 0;
}

/* A part of integers alone is a true-quantised network, whatever the whole is. */
static void note_stage(tq_graph *copy, const tq_graph *graph)
{
    if (!tq_is_integer_network(graph))
        return;
    tq_graph_set_meta(copy, "stage", is_integer(copy) ? "true" : "partial");
}

static tq_status extract(tq_graph *copy, const tq_graph *graph, const tq_part *part)
{
    tq_value **outputs = TQ_NEW_N(tq_graph_arena(copy), tq_value *, part->n_outputs + 1);
    for (int i = 0; i < part->n_outputs; i++)
        outputs[i] = tq_graph_find_value(copy, tq_value_name(part->outputs[i]));
    while (tq_graph_n_outputs(copy) > 0)
        tq_graph_remove_output(copy, 0);
    for (int i = 0; i < part->n_inputs; i++) {
        tq_value *input;
        TQ_TRY(make_input(copy, part->inputs[i], &input));
    }
    for (int i = 0; i < part->n_outputs; i++)
        tq_graph_add_output(copy, outputs[i]);
    tq_graph_sweep(copy);
    drop_inputs(copy, part);
    note_stage(copy, graph);
    TQ_TRY(tq_graph_infer(copy));
    return tq_graph_verify(copy);
}

tq_status tq_part_extract(const tq_graph *graph, const tq_part *part, tq_graph **out_graph)
{
    tq_graph *copy = tq_graph_clone(graph);
    const tq_status status = extract(copy, graph, part);
    if (status) {
        tq_graph_destroy(copy);
        return tq_wrap(status, "cannot cut out the part of '%s'",
                       part->n_nodes ? tq_node_name(part->nodes[0]) : "");
    }
    *out_graph = copy;
    return TQ_OK;
}
