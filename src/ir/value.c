/* Values: who makes them, who reads them, what they hold. */
#include "ir/ir_internal.h"

#include <stdio.h>
#include <string.h>

/* `wanted`, or wanted_1, wanted_2, ... until nobody has it. */
static const char *unique_value_name(tq_graph *graph, const char *wanted)
{
    const char *base = wanted && *wanted ? wanted : "value", *name = base;
    for (int i = 1; tq_names_find(&graph->value_names, name); i++)
        name = tq_arena_printf(graph->arena, "%s_%d", base, i);
    return name == base ? tq_arena_strdup(graph->arena, base) : name;
}

tq_value *tq_value_create(tq_graph *graph, const char *name, const tq_type *type)
{
    tq_value *value = TQ_NEW(graph->arena, tq_value);
    value->graph = graph;
    value->name = unique_value_name(graph, name);
    value->type = *type;
    tq_names_add(&graph->value_names, value->name, value);
    TQ_PUSH(graph->arena, graph->values.items, graph->values.n, graph->values.capacity, value);
    return value;
}

void tq_value_forget(tq_value *value)
{
    tq_values *values = &value->graph->values;
    int i = values->n - 1;
    while (i >= 0 && values->items[i] != value)
        i--;
    TQ_ASSERT(i >= 0 && value->n_consumers == 0);
    memmove(&values->items[i], &values->items[i + 1],
            (size_t)(values->n - i - 1) * sizeof *values->items);
    values->n--;
    tq_names_remove(&value->graph->value_names, value->name);
    tq_tensor_reset(&value->tensor);
}

void tq_value_add_use(tq_value *value, tq_node *node)
{
    TQ_PUSH(value->graph->arena, value->consumers, value->n_consumers, value->consumers_capacity,
            node);
}

void tq_value_remove_use(tq_value *value, const tq_node *node)
{
    int i = 0;
    while (i < value->n_consumers && value->consumers[i] != node)
        i++;
    TQ_ASSERT(i < value->n_consumers);
    memmove(&value->consumers[i], &value->consumers[i + 1],
            (size_t)(value->n_consumers - i - 1) * sizeof *value->consumers);
    value->n_consumers--;
}

void tq_value_set_known(tq_value *value, const tq_tensor *known)
{
    value->known = (tq_tensor){ 0 };
    if (!known->data)
        return;
    const size_t size = (size_t)tq_tensor_count(known) * tq_dtype_size(known->type.dtype);
    value->known.type = known->type;
    value->known.data = tq_arena_memdup(value->graph->arena, known->data, size);
}

const char *tq_value_name(const tq_value *value)
{
    return value->name;
}

void tq_value_set_name(tq_value *value, const char *name)
{
    if (strcmp(value->name, name) == 0)
        return;
    tq_graph *graph = value->graph;
    tq_names_remove(&graph->value_names, value->name);
    value->name = unique_value_name(graph, name);
    tq_names_add(&graph->value_names, value->name, value);
}

const tq_type *tq_value_type(const tq_value *value)
{
    return &value->type;
}

void tq_value_set_type(tq_value *value, const tq_type *type)
{
    value->type = *type;
}

tq_node *tq_value_producer(const tq_value *value)
{
    return value->producer;
}

int tq_value_output_index(const tq_value *value)
{
    return value->output_index;
}

bool tq_value_is_input(const tq_value *value)
{
    return value->is_input;
}

bool tq_value_is_output(const tq_value *value)
{
    return value->n_graph_outputs > 0;
}

bool tq_value_is_const(const tq_value *value)
{
    return value->is_const;
}

const tq_tensor *tq_value_tensor(const tq_value *value)
{
    return value->is_const ? &value->tensor : NULL;
}

const tq_tensor *tq_value_known(const tq_value *value)
{
    if (value->is_const)
        return &value->tensor;
    return value->known.data ? &value->known : NULL;
}

void tq_value_set_tensor(tq_value *value, const tq_tensor *tensor)
{
    TQ_ASSERT(value->is_const);
    const tq_tensor shared = tq_tensor_share(tensor);
    tq_tensor_reset(&value->tensor);
    value->tensor = shared;
    value->type = shared.type;
}

tq_status tq_value_own(tq_value *value, void **out_data)
{
    TQ_ASSERT(value->is_const);
    if (!value->tensor.buffer || tq_buffer_is_shared(value->tensor.buffer)) {
        tq_tensor copy;
        TQ_TRY(tq_tensor_copy(&value->tensor, &copy));
        tq_tensor_reset(&value->tensor);
        value->tensor = copy;
    }
    *out_data = value->tensor.data;
    return TQ_OK;
}

int tq_value_n_consumers(const tq_value *value)
{
    return value->n_consumers;
}

tq_node *tq_value_consumer(const tq_value *value, int i)
{
    return value->consumers[i];
}

void tq_value_redirect_consumers_but(tq_value *from, tq_value *to, const tq_node *except)
{
    for (int i = 0; from != to && i < from->n_consumers;) {
        tq_node *node = from->consumers[i];
        if (node == except) {
            i++;
            continue;
        }
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] == from)
                tq_node_set_input(node, k, to);
    }
    tq_values *outputs = &from->graph->outputs;
    for (int i = 0; from != to && i < outputs->n; i++)
        if (outputs->items[i] == from)
            tq_graph_set_output(from->graph, i, to);
}

void tq_value_redirect_consumers(tq_value *from, tq_value *to)
{
    tq_value_redirect_consumers_but(from, to, NULL);
}
