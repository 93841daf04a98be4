/* What an annotator must not change: operators, wiring, inputs and outputs, digested node by node
 * so that a difference has a name. */
#include "rewrite/rewrite.h"

#include <string.h>

static uint32_t add_text(uint32_t crc, const char *text)
{
    return tq_crc32(crc, text, strlen(text) + 1);
}

static uint32_t digest(const tq_node *node)
{
    uint32_t crc = add_text(0, tq_node_op_name(node));
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        crc = add_text(crc, value ? tq_value_name(value) : "");
    }
    crc = add_text(crc, "->");
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        crc = add_text(crc, tq_value_name(tq_node_output(node, i)));
    return crc;
}

tq_topology tq_topology_of(const tq_graph *graph, tq_arena *arena)
{
    tq_topology all = { .n = tq_graph_n_nodes(graph) };
    all.nodes = TQ_NEW_N(arena, tq_node_digest, all.n);
    int n = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        all.nodes[n++] =
            (tq_node_digest){ tq_arena_strdup(arena, tq_node_name(node)), digest(node) };
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        all.ports = add_text(all.ports, tq_value_name(tq_graph_input(graph, i)));
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        all.ports = add_text(all.ports, tq_value_name(tq_graph_output(graph, i)));
    return all;
}

tq_status tq_topology_check(const tq_topology *before, const tq_graph *graph, tq_arena *arena)
{
    const tq_topology after = tq_topology_of(graph, arena);
    for (int i = 0; i < before->n || i < after.n; i++) {
        const tq_node_digest *a = i < before->n ? &before->nodes[i] : NULL;
        const tq_node_digest *b = i < after.n ? &after.nodes[i] : NULL;
        if (!a || !b || a->crc != b->crc || strcmp(a->name, b->name) != 0)
            return tq_fail(TQ_ERR_CHECK, "is an annotator but changed the graph at node '%s'",
                           a ? a->name : b->name);
    }
    if (after.ports != before->ports)
        return tq_fail(TQ_ERR_CHECK, "is an annotator but changed the graph's inputs or outputs");
    return TQ_OK;
}
