/* Which nodes feed a node, and which it feeds: one walk over the order of the graph each way. */
#include "base/base.h"
#include "report/report_internal.h"

struct tq_reach {
    tq_index numbers;
    bool *reached;
};

static tq_status find(const tq_graph *graph, const char *name, const tq_node **out)
{
    *out = tq_graph_find_node(graph, name);
    const tq_value *value = *out ? NULL : tq_graph_find_value(graph, name);
    if (value)
        *out = tq_value_producer(value);
    if (!*out)
        return tq_fail(TQ_ERR_NOT_FOUND,
                       "the network has no node '%s', nor one that makes such a value", name);
    return TQ_OK;
}

static bool *flag_of(const tq_reach *r, const tq_node *node)
{
    return &r->reached[tq_index_find(&r->numbers, node)];
}

static void walk_up(const tq_reach *r, const tq_node *from)
{
    for (const tq_node *node = from; node; node = tq_node_prev(node))
        for (int i = 0; *flag_of(r, node) && i < tq_node_n_inputs(node); i++) {
            const tq_value *x = tq_node_input(node, i);
            if (x && tq_value_producer(x))
                *flag_of(r, tq_value_producer(x)) = true;
        }
}

static void walk_down(const tq_reach *r, const tq_node *from)
{
    for (const tq_node *node = from; node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_inputs(node); i++) {
            const tq_value *x = tq_node_input(node, i);
            if (x && tq_value_producer(x) && *flag_of(r, tq_value_producer(x)))
                *flag_of(r, node) = true;
        }
}

tq_status tq_reach_find(const tq_graph *graph, const char *name, bool upstream, tq_arena *arena,
                        tq_reach **out)
{
    const tq_node *from;
    TQ_TRY(find(graph, name, &from));
    tq_reach *r = TQ_NEW(arena, tq_reach);
    const int n = tq_graph_n_nodes(graph);
    int k = 0;
    r->numbers = tq_index_make(arena, n);
    r->reached = TQ_NEW_N(arena, bool, n + 1);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        tq_index_set(&r->numbers, node, k++);
    *flag_of(r, from) = true;
    if (upstream)
        walk_up(r, from);
    else
        walk_down(r, from);
    *out = r;
    return TQ_OK;
}

bool tq_reach_has(const tq_reach *reach, const tq_node *node)
{
    return *flag_of(reach, node);
}
