/* DequantizeLinear -> operator -> QuantizeLinear becomes the integer form of the operator and a
 * requantisation, by the rules of integerise: what it would refuse stays real between the pair that
 * was there. The network stays real outside. */
#include "passes/true/true.h"

#include <truq/backend.h>

static bool has_pairs(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "DequantizeLinear"))
            return true;
    return false;
}

static tq_status default_options(const tq_graph *graph, tq_true_options *out)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(graph), TQ_KIND_BACKEND, "generic", &entry));
    *out = (tq_true_options){ .backend = "generic",
                              .fixed_shift = -1,
                              .limits = ((const tq_backend *)(const void *)entry)->requant };
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    tq_true_options options;
    if (!has_pairs(graph))
        return TQ_OK;
    if (edit->true_options)
        options = *edit->true_options;
    else
        TQ_TRY(default_options(graph, &options));
    options.partial = true;
    TQ_TRY(tq_true_walk(graph, &options, edit));
    tq_graph_set_meta(graph, "stage", "partial");
    tq_graph_set_meta(graph, "dialect", "onnx");
    return tq_graph_infer(graph);
}

const tq_editor tq_editor_fuse_dq_op_q = {
    .entry = { .name = "fuse-dq-op-q",
               .brief =
                   "operators between DequantizeLinear and QuantizeLinear become integer ones" },
    .stage = TQ_EDIT_TRUE,
    .by_name = true,
    .run = run,
};
