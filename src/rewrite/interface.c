/* The interface of a network: number, names and types of its inputs and outputs. Editors leave it
 * alone unless they say that they change it; a new output in the place of an old one takes its
 * name. */
#include "rewrite/rewrite.h"

#include <string.h>

static void remember(tq_port *port, const tq_value *value, tq_arena *arena)
{
    port->name = tq_arena_strdup(arena, tq_value_name(value));
    port->type = *tq_value_type(value);
}

tq_interface tq_interface_of(const tq_graph *graph, tq_arena *arena)
{
    tq_interface all = { tq_graph_n_inputs(graph), tq_graph_n_outputs(graph), NULL };
    all.ports = TQ_NEW_N(arena, tq_port, all.n_inputs + all.n_outputs);
    for (int i = 0; i < all.n_inputs; i++)
        remember(&all.ports[i], tq_graph_input(graph, i), arena);
    for (int i = 0; i < all.n_outputs; i++)
        remember(&all.ports[all.n_inputs + i], tq_graph_output(graph, i), arena);
    return all;
}

/* What inference learns or forgets of a shape is no change. */
static bool same_type(const tq_type *a, const tq_type *b)
{
    bool same = a->dtype == b->dtype && (a->rank == b->rank || a->rank < 0 || b->rank < 0);
    for (int i = 0; same && i < a->rank && i < b->rank; i++)
        same = a->dims[i] == b->dims[i] || a->dims[i] == TQ_DIM_ANY || b->dims[i] == TQ_DIM_ANY;
    return same;
}

static tq_status check_port(const char *what, const tq_port *port, const tq_graph *graph,
                            tq_value *value)
{
    if (!tq_graph_find_value(graph, port->name)) /* replaced by another one: it takes the name */
        tq_value_set_name(value, port->name);
    const char *name = tq_value_name(value);
    if (strcmp(port->name, name) != 0)
        return tq_fail(TQ_ERR_CHECK, "%s '%s' of the network is '%s' now", what, port->name, name);
    if (same_type(&port->type, tq_value_type(value)))
        return TQ_OK;
    const tq_node *producer = tq_value_producer(value);
    return tq_fail(TQ_ERR_CHECK, "%s '%s' of the network was %s, %s%s%sit is %s now", what, name,
                   tq_type_text(&port->type).s, producer ? "from node '" : "",
                   producer ? tq_node_name(producer) : "", producer ? "' " : "",
                   tq_type_text(tq_value_type(value)).s);
}

tq_status tq_interface_check(const tq_interface *before, const tq_graph *graph)
{
    const int n_inputs = tq_graph_n_inputs(graph), n_outputs = tq_graph_n_outputs(graph);
    if (n_inputs != before->n_inputs || n_outputs != before->n_outputs)
        return tq_fail(TQ_ERR_CHECK,
                       "the network had %d inputs and %d outputs, it has %d and %d now",
                       before->n_inputs, before->n_outputs, n_inputs, n_outputs);
    for (int i = 0; i < n_inputs; i++)
        TQ_TRY(check_port("input", &before->ports[i], graph, tq_graph_input(graph, i)));
    for (int i = 0; i < n_outputs; i++)
        TQ_TRY(
            check_port("output", &before->ports[n_inputs + i], graph, tq_graph_output(graph, i)));
    return TQ_OK;
}
