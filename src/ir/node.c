/* Nodes: operator, attributes, inputs, outputs. */
#include "ir/ir_internal.h"

#include <string.h>

const char *tq_node_name(const tq_node *node)
{
    return node->name;
}

static const char *unique_node_name(tq_graph *graph, const char *wanted)
{
    const char *base = *wanted ? wanted : "node", *name = base;
    for (int i = 1; tq_names_find(&graph->node_names, name); i++)
        name = tq_arena_printf(graph->arena, "%s_%d", base, i);
    return name == base ? tq_arena_strdup(graph->arena, base) : name;
}

void tq_node_set_name(tq_node *node, const char *name)
{
    if (node->name && strcmp(node->name, name) == 0)
        return;
    tq_graph *graph = node->graph;
    if (node->name)
        tq_names_remove(&graph->node_names, node->name);
    node->name = unique_node_name(graph, name);
    tq_names_add(&graph->node_names, node->name, node);
}

const tq_op *tq_node_op(const tq_node *node)
{
    return node->op;
}

const char *tq_node_op_name(const tq_node *node)
{
    return node->op->entry.name;
}

bool tq_node_is(const tq_node *node, const char *op)
{
    return strcmp(node->op->entry.name, op) == 0;
}

tq_graph *tq_node_graph(const tq_node *node)
{
    return node->graph;
}

int tq_node_n_inputs(const tq_node *node)
{
    return node->n_inputs;
}

tq_value *tq_node_input(const tq_node *node, int i)
{
    return i >= 0 && i < node->n_inputs ? node->inputs[i] : NULL;
}

int tq_node_n_outputs(const tq_node *node)
{
    return node->n_outputs;
}

tq_value *tq_node_output(const tq_node *node, int i)
{
    return i >= 0 && i < node->n_outputs ? node->outputs[i] : NULL;
}

void tq_node_set_input(tq_node *node, int i, tq_value *value)
{
    while (node->n_inputs <= i)
        TQ_PUSH(node->graph->arena, node->inputs, node->n_inputs, node->inputs_capacity, NULL);
    if (node->inputs[i] != value) {
        if (node->inputs[i])
            tq_value_remove_use(node->inputs[i], node);
        node->inputs[i] = value;
        if (value)
            tq_value_add_use(value, node);
    }
    while (node->n_inputs > 0 && !node->inputs[node->n_inputs - 1])
        node->n_inputs--;
}

bool tq_node_is_const_from(const tq_node *node, int i)
{
    const tq_value *value = tq_node_input(node, i);
    return value && value->is_const;
}

const tq_attrs *tq_node_attrs(const tq_node *node)
{
    return &node->attrs;
}

void tq_node_set_attr(tq_node *node, const tq_attr *attr)
{
    tq_attrs_set(&node->attrs, attr);
}

void tq_node_remove_attr(tq_node *node, const char *name)
{
    tq_attrs_remove(&node->attrs, name);
}

/* Fills attrs for a node not yet in the graph. */
static void copy_attrs(tq_attrs *attrs, const tq_graph *graph, const tq_op *op,
                       const tq_node_spec *spec)
{
    *attrs = (tq_attrs){ .op = op, .arena = graph->arena };
    for (int i = 0; i < spec->n_attrs; i++)
        tq_attrs_set(attrs, &spec->attrs[i]);
}

static void link_node(tq_graph *graph, tq_node *node, tq_node *before)
{
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    *(node->prev ? &node->prev->next : &graph->first) = node;
    *(before ? &before->prev : &graph->last) = node;
    graph->n_nodes++;
}

static void make_outputs(tq_node *node, const tq_node_spec *spec, int n, const tq_type *types,
                         const tq_tensor *known)
{
    tq_arena *arena = node->graph->arena;
    node->n_outputs = n;
    node->outputs = TQ_NEW_N(arena, tq_value *, n);
    for (int i = 0; i < n; i++) {
        const char *name = spec->output_names ? spec->output_names[i] : NULL;
        if (!name || !*name)
            name = i == 0 ? node->name : tq_arena_printf(arena, "%s.%d", node->name, i);
        tq_value *value = tq_value_create(node->graph, name, &types[i]);
        value->producer = node;
        value->output_index = i;
        tq_value_set_known(value, &known[i]);
        node->outputs[i] = value;
    }
}

static tq_status find_op(const tq_graph *graph, const tq_node_spec *spec, const tq_op **out_op)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(graph->registry, TQ_KIND_OP, spec->op, &entry));
    const tq_op *op = (const tq_op *)(const void *)entry;
    const char *domain = op->domain ? op->domain : "";
    if (spec->domain && strcmp(spec->domain, domain) != 0)
        return tq_fail(TQ_ERR_NOT_FOUND, "unknown operator '%s' of domain '%s'", spec->op,
                       spec->domain);
    *out_op = op;
    return TQ_OK;
}

static tq_status add_node(tq_graph *graph, const tq_node_spec *spec, tq_arena *scratch,
                          tq_node **out_node)
{
    const tq_op *op = NULL;
    TQ_TRY(find_op(graph, spec, &op));
    const int n_outputs = spec->n_outputs ? spec->n_outputs : 1;
    int n_inputs = spec->n_inputs;
    while (n_inputs > 0 && !spec->inputs[n_inputs - 1])
        n_inputs--;
    tq_attrs attrs;
    copy_attrs(&attrs, graph, op, spec);
    tq_type *types = TQ_NEW_N(scratch, tq_type, n_outputs);
    tq_tensor *known = TQ_NEW_N(scratch, tq_tensor, n_outputs);
    tq_status status = tq_schema_check(op, &attrs, spec->inputs, n_inputs, n_outputs);
    if (!status)
        status = tq_infer_outputs(graph, op, &attrs, spec->inputs, n_inputs, n_outputs, scratch,
                                  types, known);
    if (status) {
        tq_attrs_reset(&attrs);
        return tq_wrap(status, "node '%s' (%s)", spec->name ? spec->name : "", spec->op);
    }
    tq_node *node = TQ_NEW(graph->arena, tq_node);
    node->graph = graph;
    node->op = op;
    node->attrs = attrs;
    tq_node_set_name(node, spec->name && *spec->name ? spec->name : op->entry.name);
    for (int i = 0; i < n_inputs; i++)
        if (spec->inputs[i])
            tq_node_set_input(node, i, spec->inputs[i]);
    make_outputs(node, spec, n_outputs, types, known);
    link_node(graph, node, spec->before);
    *out_node = node;
    return TQ_OK;
}

tq_status tq_graph_add_node(tq_graph *graph, const tq_node_spec *spec, tq_node **out_node)
{
    tq_arena *scratch = tq_scratch_create();
    tq_node *node = NULL;
    const tq_status status = add_node(graph, spec, scratch, &node);
    tq_arena_destroy(scratch);
    if (out_node)
        *out_node = node;
    return status;
}

tq_status tq_graph_emit(tq_graph *graph, tq_node *before, const char *op, tq_value *const *inputs,
                        int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out_value)
{
    tq_node *node;
    TQ_TRY(tq_graph_add_node(graph,
                             &(tq_node_spec){ .op = op,
                                              .inputs = inputs,
                                              .n_inputs = n_inputs,
                                              .attrs = attrs,
                                              .n_attrs = n_attrs,
                                              .before = before },
                             &node));
    *out_value = node->outputs[0];
    return TQ_OK;
}

void tq_graph_remove_node(tq_graph *graph, tq_node *node)
{
    for (int i = 0; i < node->n_outputs; i++)
        TQ_ASSERT(node->outputs[i]->n_consumers == 0 && node->outputs[i]->n_graph_outputs == 0);
    for (int i = node->n_inputs - 1; i >= 0; i--)
        tq_node_set_input(node, i, NULL);
    for (int i = 0; i < node->n_outputs; i++)
        tq_value_forget(node->outputs[i]);
    tq_names_remove(&graph->node_names, node->name);
    tq_attrs_reset(&node->attrs);
    *(node->prev ? &node->prev->next : &graph->first) = node->next;
    *(node->next ? &node->next->prev : &graph->last) = node->prev;
    graph->n_nodes--;
}
