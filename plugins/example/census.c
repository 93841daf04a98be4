/* truq census: how many nodes of each operator a network has, in order of first appearance. */
#include "example.h"

#include <string.h>

static bool seen_before(const tq_graph *graph, const tq_node *node)
{
    for (const tq_node *other = tq_graph_first(graph); other != node; other = tq_node_next(other))
        if (tq_node_op(other) == tq_node_op(node))
            return true;
    return false;
}

static int count(const tq_node *first)
{
    int n = 0;
    for (const tq_node *node = first; node; node = tq_node_next(node))
        n += tq_node_op(node) == tq_node_op(first);
    return n;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *only = NULL;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "network of any stage"),
        TQ_OPT_STRING(0, "only", "OP", &only, "this operator alone"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, NULL, &graph));
    for (const tq_node *node = tq_graph_first(*graph); node; node = tq_node_next(node))
        if (!seen_before(*graph, node) && (!only || strcmp(only, tq_node_op_name(node)) == 0))
            tq_print("%5d %s\n", count(node), tq_node_op_name(node));
    return TQ_OK;
}

const tq_command example_census = {
    .entry = { .name = "census", .brief = "how many nodes of each operator there are" },
    .examples = { "census net.onnx --plugin example.so" },
    .run = run,
};
