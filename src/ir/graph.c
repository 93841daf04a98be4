/* Graphs: creation, cloning, inputs, constants, outputs, order. */
#include "ir/ir_internal.h"

#include <stdlib.h>
#include <string.h>

tq_graph *tq_graph_create(const tq_registry *registry)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = TQ_NEW(arena, tq_graph);
    graph->arena = arena;
    graph->registry = registry;
    graph->name = "graph";
    return graph;
}

void tq_graph_destroy(tq_graph *graph)
{
    if (!graph)
        return;
    for (int i = 0; i < graph->values.n; i++)
        tq_tensor_reset(&graph->values.items[i]->tensor);
    for (tq_node *node = graph->first; node; node = node->next)
        tq_attrs_reset(&node->attrs);
    tq_names_free(&graph->value_names);
    tq_names_free(&graph->node_names);
    tq_arena_destroy(graph->arena);
}

const tq_registry *tq_graph_registry(const tq_graph *graph)
{
    return graph->registry;
}

const char *tq_graph_name(const tq_graph *graph)
{
    return graph->name;
}

void tq_graph_set_name(tq_graph *graph, const char *name)
{
    graph->name = tq_arena_strdup(graph->arena, name);
}

tq_arena *tq_graph_arena(tq_graph *graph)
{
    return graph->arena;
}

tq_status tq_graph_add_input(tq_graph *graph, const char *name, const tq_type *type,
                             tq_value **out_value)
{
    if (tq_names_find(&graph->value_names, name))
        return tq_fail(TQ_ERR_VALUE, "input '%s': a value has that name already", name);
    tq_value *value = tq_value_create(graph, name, type);
    value->is_input = true;
    TQ_PUSH(graph->arena, graph->inputs.items, graph->inputs.n, graph->inputs.capacity, value);
    if (out_value)
        *out_value = value;
    return TQ_OK;
}

tq_status tq_graph_add_constant(tq_graph *graph, const char *name, const tq_tensor *tensor,
                                tq_value **out_value)
{
    tq_value *value = tq_value_create(graph, name ? name : "const", &tensor->type);
    value->is_const = true;
    value->tensor = tq_tensor_share(tensor);
    *out_value = value;
    return TQ_OK;
}

void tq_graph_add_output(tq_graph *graph, tq_value *value)
{
    value->n_graph_outputs++;
    TQ_PUSH(graph->arena, graph->outputs.items, graph->outputs.n, graph->outputs.capacity, value);
}

void tq_graph_set_output(tq_graph *graph, int i, tq_value *value)
{
    graph->outputs.items[i]->n_graph_outputs--;
    value->n_graph_outputs++;
    graph->outputs.items[i] = value;
}

static void remove_at(tq_values *values, int i)
{
    memmove(&values->items[i], &values->items[i + 1],
            (size_t)(values->n - i - 1) * sizeof *values->items);
    values->n--;
}

void tq_graph_remove_input(tq_graph *graph, int i)
{
    tq_value *value = graph->inputs.items[i];
    remove_at(&graph->inputs, i);
    tq_value_forget(value);
}

void tq_graph_remove_output(tq_graph *graph, int i)
{
    graph->outputs.items[i]->n_graph_outputs--;
    remove_at(&graph->outputs, i);
}

tq_node *tq_graph_first(const tq_graph *graph)
{
    return graph->first;
}

tq_node *tq_graph_last(const tq_graph *graph)
{
    return graph->last;
}

tq_node *tq_node_next(const tq_node *node)
{
    return node->next;
}

tq_node *tq_node_prev(const tq_node *node)
{
    return node->prev;
}

int tq_graph_n_nodes(const tq_graph *graph)
{
    return graph->n_nodes;
}

int tq_graph_n_inputs(const tq_graph *graph)
{
    return graph->inputs.n;
}

tq_value *tq_graph_input(const tq_graph *graph, int i)
{
    return graph->inputs.items[i];
}

int tq_graph_n_outputs(const tq_graph *graph)
{
    return graph->outputs.n;
}

tq_value *tq_graph_output(const tq_graph *graph, int i)
{
    return graph->outputs.items[i];
}

int tq_graph_n_values(const tq_graph *graph)
{
    return graph->values.n;
}

tq_value *tq_graph_value(const tq_graph *graph, int i)
{
    return graph->values.items[i];
}

tq_value *tq_graph_find_value(const tq_graph *graph, const char *name)
{
    return tq_names_find(&graph->value_names, name);
}

tq_node *tq_graph_find_node(const tq_graph *graph, const char *name)
{
    return tq_names_find(&graph->node_names, name);
}

/* ---- cleaning ---- */

static bool node_is_dead(const tq_node *node)
{
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i]->n_consumers || node->outputs[i]->n_graph_outputs)
            return false;
    return true;
}

int tq_graph_sweep(tq_graph *graph)
{
    int n = 0;
    for (tq_node *node = graph->last, *prev; node; node = prev) {
        prev = node->prev;
        if (node_is_dead(node)) {
            tq_graph_remove_node(graph, node);
            n++;
        }
    }
    for (int i = graph->values.n - 1; i >= 0; i--) {
        tq_value *value = graph->values.items[i];
        if (value->is_const && !value->n_consumers && !value->n_graph_outputs)
            tq_value_forget(value);
    }
    return n;
}

/* ---- order ---- */

static bool is_ready(const tq_node *node)
{
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && node->inputs[i]->producer && !node->inputs[i]->producer->mark)
            return false;
    return true;
}

static void move_before(tq_graph *graph, tq_node *node, tq_node *before)
{
    *(node->prev ? &node->prev->next : &graph->first) = node->next;
    *(node->next ? &node->next->prev : &graph->last) = node->prev;
    node->next = before;
    node->prev = before->prev;
    *(before->prev ? &before->prev->next : &graph->first) = node;
    before->prev = node;
}

/* Depth first over what `node` reads, placing missing producers right before it. An explicit stack:
 * hostile graphs may be deep. mark: 0 unseen, 1 placed, 2 on the stack. */
static tq_status place(tq_graph *graph, tq_node *start, tq_node **stack)
{
    size_t n = 0;
    stack[n++] = start;
    start->mark = 2;
    while (n) {
        tq_node *node = stack[n - 1], *missing = NULL;
        for (int i = 0; i < node->n_inputs && !missing; i++) {
            tq_node *producer = node->inputs[i] ? node->inputs[i]->producer : NULL;
            if (producer && producer->mark != 1)
                missing = producer;
        }
        if (missing && missing->mark == 2)
            return tq_fail(TQ_ERR_CHECK, "node '%s' (%s) is part of a cycle", missing->name,
                           missing->op->entry.name);
        if (missing) {
            missing->mark = 2;
            stack[n++] = missing;
            continue;
        }
        node->mark = 1;
        n--;
        if (node != start)
            move_before(graph, node, start);
    }
    return TQ_OK;
}

tq_status tq_graph_sort(tq_graph *graph)
{
    for (tq_node *node = graph->first; node; node = node->next)
        node->mark = 0;
    tq_node **stack = NULL;
    tq_status status = TQ_OK;
    for (tq_node *node = graph->first; node && !status; node = node->next) {
        if (node->mark || is_ready(node)) {
            node->mark = 1;
            continue;
        }
        if (!stack)
            stack = malloc(((size_t)graph->n_nodes + 1) * sizeof *stack);
        status = stack ? place(graph, node, stack) : tq_fail(TQ_ERR_MEMORY, "out of memory");
    }
    free(stack);
    return status;
}

/* ---- cloning ---- */

static tq_value *clone_value(tq_graph *copy, const tq_value *value)
{
    tq_value *twin = tq_value_create(copy, value->name, &value->type);
    twin->is_input = value->is_input;
    twin->is_const = value->is_const;
    twin->output_index = value->output_index;
    if (value->is_const)
        twin->tensor = tq_tensor_share(&value->tensor);
    else
        tq_value_set_known(twin, &value->known);
    tq_metas_copy(&twin->metas, copy->arena, &value->metas);
    return twin;
}

static tq_value *twin_of(const tq_graph *copy, const tq_value *value)
{
    return tq_names_find(&copy->value_names, value->name);
}

static void clone_node(tq_graph *copy, const tq_node *node)
{
    tq_node *twin = TQ_NEW(copy->arena, tq_node);
    twin->graph = copy;
    twin->op = node->op;
    twin->attrs = (tq_attrs){ .op = node->op, .arena = copy->arena };
    for (int i = 0; i < node->attrs.n; i++)
        tq_attrs_set(&twin->attrs, &node->attrs.items[i]);
    tq_node_set_name(twin, node->name);
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i])
            tq_node_set_input(twin, i, twin_of(copy, node->inputs[i]));
    twin->n_outputs = node->n_outputs;
    twin->outputs = TQ_NEW_N(copy->arena, tq_value *, node->n_outputs);
    for (int i = 0; i < node->n_outputs; i++) {
        twin->outputs[i] = twin_of(copy, node->outputs[i]);
        twin->outputs[i]->producer = twin;
    }
    tq_metas_copy(&twin->metas, copy->arena, &node->metas);
    twin->prev = copy->last;
    *(copy->last ? &copy->last->next : &copy->first) = twin;
    copy->last = twin;
    copy->n_nodes++;
}

tq_graph *tq_graph_clone(const tq_graph *graph)
{
    tq_graph *copy = tq_graph_create(graph->registry);
    tq_graph_set_name(copy, graph->name);
    tq_metas_copy(&copy->metas, copy->arena, &graph->metas);
    for (int i = 0; i < graph->values.n; i++)
        clone_value(copy, graph->values.items[i]);
    for (int i = 0; i < graph->inputs.n; i++)
        TQ_PUSH(copy->arena, copy->inputs.items, copy->inputs.n, copy->inputs.capacity,
                twin_of(copy, graph->inputs.items[i]));
    for (const tq_node *node = graph->first; node; node = node->next)
        clone_node(copy, node);
    for (int i = 0; i < graph->outputs.n; i++)
        tq_graph_add_output(copy, twin_of(copy, graph->outputs.items[i]));
    return copy;
}

/* ---- stage ---- */

tq_stage tq_graph_stage(const tq_graph *graph)
{
    const char *said = tq_graph_meta(graph, "stage");
    if (said && strcmp(said, "true") == 0)
        return TQ_STAGE_TRUE;
    for (const tq_node *node = graph->first; node; node = node->next)
        if (tq_node_is(node, "FakeQuantize"))
            return TQ_STAGE_FAKE;
    return TQ_STAGE_FLOAT;
}

const char *tq_stage_name(tq_stage stage)
{
    return stage == TQ_STAGE_TRUE ? "true" : stage == TQ_STAGE_FAKE ? "fake" : "float";
}
