/* A true-quantised graph as DORY's layers. DORY's frontend (Quantlab dialect) fuses Conv,
 * FullyConnected, Addition and Pooling with the requantisation behind them; whatever it would
 * refuse, read wrongly or drop silently is refused here, before anything is written. */
#include "backends/dory/dory_internal.h"

#include <stdio.h>
#include <stdarg.h>

__attribute__((format(printf, 2, 3))) static tq_status refuse(const tq_node *node,
                                                              const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tq_fail(TQ_ERR_UNSUPPORTED, "DORY cannot take '%s' (%s): %s", tq_node_name(node),
                   tq_node_op_name(node), text);
}

tq_node *dory_only_consumer(const tq_value *value)
{
    return tq_value_n_consumers(value) == 1 && !tq_value_is_output(value)
               ? tq_value_consumer(value, 0)
               : NULL;
}

int64_t dory_scalar(const tq_node *node, int input)
{
    const tq_tensor *tensor = tq_value_tensor(tq_node_input(node, input));
    return tq_load_i64(tensor->data, tensor->type.dtype, 0);
}

bool dory_is_scalar(const tq_node *requant)
{
    return tq_type_count(tq_value_type(tq_node_input(requant, 1))) == 1 &&
           tq_type_count(tq_value_type(tq_node_input(requant, 2))) == 1;
}

bool dory_is_flatten(const tq_node *node)
{
    if (tq_node_is(node, "Flatten"))
        return tq_attr_int(tq_node_attrs(node), "axis") == 1;
    return tq_node_is(node, "Reshape") && tq_value_type(tq_node_output(node, 0))->rank == 2;
}

/* ---- layers ---- */

static dory_layer *add_layer(dory_net *net, dory_kind kind, tq_node *node)
{
    static const char *const prefixes[] = { "conv", "fc", "pool", "pool", "add" };
    dory_layer layer = { .kind = kind, .node = node, .result = tq_node_output(node, 0) };
    layer.name = tq_arena_printf(net->arena, "%s%d", prefixes[kind], net->n);
    TQ_PUSH(net->arena, net->layers, net->n, net->capacity, layer);
    return &net->layers[net->n - 1];
}

static bool is_bias(const tq_node *node)
{
    return tq_node_is(node, "Add") &&
           (tq_node_is_const_from(node, 0) || tq_node_is_const_from(node, 1));
}

/* An int32 addition of a constant and a Requant right behind the layer belong to it. */
static tq_status take_tail(dory_layer *layer)
{
    tq_node *next = dory_only_consumer(layer->result);
    const bool linear = layer->kind == DORY_CONV || layer->kind == DORY_LINEAR;
    if (linear && next && is_bias(next)) {
        layer->bias = next;
        layer->result = tq_node_output(next, 0);
        next = dory_only_consumer(layer->result);
    }
    if (next && tq_node_is(next, "Requant") && layer->kind != DORY_MAX_POOL) {
        layer->requant = next;
        layer->result = tq_node_output(next, 0);
    }
    if (!layer->requant && layer->kind != DORY_MAX_POOL && !tq_value_is_output(layer->result))
        return refuse(layer->node, "only the last layer may give 32-bit results");
    return TQ_OK;
}

/* DORY tells weights from requantisation constants by their number of elements. */
static tq_status check_weight(const tq_node *node, int64_t n_out)
{
    const tq_tensor *weight = tq_value_tensor(tq_node_input(node, 1));
    if (tq_tensor_count(weight) > n_out)
        return TQ_OK;
    return refuse(node,
                  "its weight has %lld elements for %lld output channels: DORY takes it for a "
                  "requantisation constant",
                  (long long)tq_tensor_count(weight), (long long)n_out);
}

static tq_status read_conv(dory_net *net, tq_node *node)
{
    TQ_TRY(check_weight(node, tq_value_type(tq_node_input(node, 1))->dims[0]));
    return take_tail(add_layer(net, DORY_CONV, node));
}

static tq_status read_linear(dory_net *net, tq_node *node)
{
    const tq_type *w = tq_value_type(tq_node_input(node, 1));
    if (w->rank != 2)
        return refuse(node, "only matrix times constant matrix is exported");
    TQ_TRY(check_weight(node, w->dims[1]));
    dory_layer *layer = add_layer(net, DORY_LINEAR, node);
    TQ_TRY(take_tail(layer));
    if (layer->bias && w->dims[0] == w->dims[1])
        return refuse(node, "a square layer with an int32 bias: DORY misreads its weight layout");
    return TQ_OK;
}

static tq_status read_average_pool(dory_net *net, tq_node *node)
{
    dory_layer *layer = add_layer(net, DORY_AVERAGE_POOL, node);
    TQ_TRY(take_tail(layer));
    if (!layer->requant || !dory_is_scalar(layer->requant))
        return refuse(node, "an average needs one requantisation for all channels behind it");
    return TQ_OK;
}

/* ---- additions ---- */

static const dory_layer *layer_of_requant(const dory_net *net, const tq_node *requant)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].requant == requant)
            return &net->layers[i];
    return NULL;
}

static tq_status read_operand(const dory_net *net, const tq_node *add, int i, dory_operand *out)
{
    tq_value *value = tq_node_input(add, i);
    tq_node *producer = tq_value_producer(value);
    if (producer && tq_node_is(producer, "Cast")) {
        value = tq_node_input(producer, 0);
        producer = tq_value_producer(value);
    }
    *out = (dory_operand){ .value = value };
    if (!producer || !tq_node_is(producer, "Requant") || layer_of_requant(net, producer))
        return TQ_OK;
    if (!dory_is_scalar(producer))
        return refuse(producer, "an addition takes one requantisation for all channels");
    out->requant = producer;
    out->value = tq_node_input(producer, 0);
    return TQ_OK;
}

static tq_status read_add(dory_net *net, tq_node *node)
{
    dory_operand operands[2];
    for (int i = 0; i < 2; i++) {
        TQ_TRY(read_operand(net, node, i, &operands[i]));
        const tq_type *type = tq_value_type(operands[i].value);
        if (type->dtype != TQ_U8 && type->dtype != TQ_I8)
            return refuse(node,
                          "operand %d is %s, expected 8-bit codes; run 'harmonise-adds' first", i,
                          tq_dtype_name(type->dtype));
    }
    if (!tq_type_equal(tq_value_type(tq_node_input(node, 0)),
                       tq_value_type(tq_node_input(node, 1))))
        return refuse(node, "its operands have different shapes");
    dory_layer *layer = add_layer(net, DORY_ADD, node);
    layer->operands[0] = operands[0];
    layer->operands[1] = operands[1];
    TQ_TRY(take_tail(layer));
    if (!layer->requant || !dory_is_scalar(layer->requant))
        return refuse(node, "an addition needs one requantisation for all channels behind it");
    return TQ_OK;
}

/* ---- the walk ---- */

static bool belongs_to_layer(const dory_net *net, const tq_node *node)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].bias == node || net->layers[i].requant == node)
            return true;
    return false;
}

/* A requantisation of codes, or a widening, that an addition will take up. */
static bool waits_for_add(const tq_node *node)
{
    const tq_node *next = dory_only_consumer(tq_node_output(node, 0));
    if (next && tq_node_is(next, "Cast"))
        next = dory_only_consumer(tq_node_output(next, 0));
    return next && tq_node_is(next, "Add") && !is_bias(next);
}

static tq_status read_node(dory_net *net, tq_node *node)
{
    if (belongs_to_layer(net, node) || dory_is_flatten(node))
        return TQ_OK;
    if (tq_node_is(node, "ConvInteger"))
        return read_conv(net, node);
    if (tq_node_is(node, "MatMulInteger"))
        return read_linear(net, node);
    if (tq_node_is(node, "MaxPool"))
        return take_tail(add_layer(net, DORY_MAX_POOL, node));
    if (tq_node_is(node, "SumPool") || tq_node_is(node, "GlobalSumPool"))
        return read_average_pool(net, node);
    if (tq_node_is(node, "Add"))
        return read_add(net, node);
    if ((tq_node_is(node, "Requant") || tq_node_is(node, "Cast")) && waits_for_add(node))
        return TQ_OK;
    if (tq_node_is(node, "Requant"))
        return refuse(node, "a requantisation that no layer can fuse");
    return refuse(node, "the frontend has no such operator");
}

static tq_status check_borders(const tq_graph *graph)
{
    if (tq_graph_stage(graph) != TQ_STAGE_TRUE)
        return tq_fail(TQ_ERR_STATE, "the network is not true-quantised; run 'truq f2t' first");
    if (tq_graph_n_inputs(graph) != 1 || tq_graph_n_outputs(graph) != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "DORY takes one input and one output, this network has %d and %d",
                       tq_graph_n_inputs(graph), tq_graph_n_outputs(graph));
    const tq_type *x = tq_value_type(tq_graph_input(graph, 0));
    if (x->dtype != TQ_U8 && x->dtype != TQ_I8)
        return tq_fail(TQ_ERR_UNSUPPORTED, "DORY takes an 8-bit input, this one is %s",
                       tq_type_text(x).s);
    return TQ_OK;
}

tq_status dory_read(const tq_graph *graph, tq_arena *arena, dory_net *out_net)
{
    *out_net = (dory_net){ .graph = graph, .arena = arena };
    TQ_TRY(check_borders(graph));
    TQ_TRY(tq_backend_check_graph(&tq_backend_dory, graph));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        TQ_TRY(read_node(out_net, node));
    if (out_net->n == 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "the network has no layer that DORY runs");
    return TQ_OK;
}
