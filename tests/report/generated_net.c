/* Builds a network by calls of the public API; its constants come from a file. */
#include <truq/truq.h>

#include <math.h>
#include <string.h>

typedef struct weights {
    int n;
    const char **names;
    tq_tensor *tensors;
} weights;

static tq_status add_constant(tq_graph *graph, const weights *w, const char *name, tq_value **out)
{
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->names[i], name) == 0)
            return tq_graph_add_constant(graph, name, &w->tensors[i], out);
    return tq_fail(TQ_ERR_NOT_FOUND, "the weights have no array '%s'", name);
}

static tq_status add_node_0(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[0], v[1] };
    const char *const outputs[] = { "c" };
    const tq_attr attrs[] = {
        { .name = "kernel_shape", .kind = TQ_ATTR_INTS, .n = 2, .ints = (const int64_t[]){ 1, 1 } },
        { .name = "auto_pad", .kind = TQ_ATTR_STRING, .s = "NOTSET" },
    };
    const tq_node_spec spec = {
        .op = "Conv", .domain = "", .name = "conv \"1\"",
        .n_inputs = 2, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs,
        .n_attrs = 2, .attrs = attrs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[5] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_node_1(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[5], NULL, v[2] };
    const char *const outputs[] = { "k" };
    const tq_node_spec spec = {
        .op = "Clip", .domain = "", .name = "k",
        .n_inputs = 3, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[6] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_node_2(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[6] };
    const char *const outputs[] = { "l" };
    const tq_attr attrs[] = {
        { .name = "alpha", .kind = TQ_ATTR_FLOAT, .f = 0.100000001f },
    };
    const tq_node_spec spec = {
        .op = "LeakyRelu", .domain = "", .name = "l",
        .n_inputs = 1, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs,
        .n_attrs = 1, .attrs = attrs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[7] = tq_node_output(node, 0);
    tq_node_set_meta(node, "scope", "block.0");
    return TQ_OK;
}

static tq_status add_node_3(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[7], v[3] };
    const char *const outputs[] = { "a", "b" };
    const tq_attr attrs[] = {
        { .name = "axis", .kind = TQ_ATTR_INT, .i = 1 },
    };
    const tq_node_spec spec = {
        .op = "Split", .domain = "", .name = "a",
        .n_inputs = 2, .inputs = inputs,
        .n_outputs = 2, .output_names = outputs,
        .n_attrs = 1, .attrs = attrs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[8] = tq_node_output(node, 0);
    v[9] = tq_node_output(node, 1);
    return TQ_OK;
}

static tq_status add_node_4(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    const char *const outputs[] = { "t" };
    static const _Alignas(16) uint8_t data0[] = {
        0, 0, 0, 63, 0, 0, 64, 192,
    };
    const tq_attr attrs[] = {
        { .name = "value", .kind = TQ_ATTR_TENSOR, .tensor = { .type = { TQ_F32, 1, { 2 } }, .data = (void *)(uintptr_t)data0 } },
    };
    const tq_node_spec spec = {
        .op = "Constant", .domain = "", .name = "t",
        .n_outputs = 1, .output_names = outputs,
        .n_attrs = 1, .attrs = attrs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[10] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_node_5(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[8], v[9] };
    const char *const outputs[] = { "s" };
    const tq_node_spec spec = {
        .op = "Mul", .domain = "", .name = "s",
        .n_inputs = 2, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[11] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_node_6(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[4] };
    const char *const outputs[] = { "g" };
    const tq_attr attrs[] = {
        { .name = "to", .kind = TQ_ATTR_INT, .i = 1 },
    };
    const tq_node_spec spec = {
        .op = "Cast", .domain = "", .name = "g",
        .n_inputs = 1, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs,
        .n_attrs = 1, .attrs = attrs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[12] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_node_7(tq_graph *graph, tq_value **v)
{
    tq_node *node;
    tq_value *const inputs[] = { v[10], v[12] };
    const char *const outputs[] = { "u" };
    const tq_node_spec spec = {
        .op = "Add", .domain = "", .name = "u",
        .n_inputs = 2, .inputs = inputs,
        .n_outputs = 1, .output_names = outputs
    };
    TQ_TRY(tq_graph_add_node(graph, &spec, &node));
    v[13] = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status fill(tq_graph *graph, const weights *w)
{
    tq_value *v[14] = { NULL };
    tq_graph_set_name(graph, "odd \"name\" \077\077/ */");
    tq_graph_set_meta(graph, "stage note", "back\\slash \001 end");
    TQ_TRY(tq_graph_add_input(graph, "in put", &(tq_type){ TQ_F32, 4, { -1, 2, 4, 4 } }, &v[0]));
    TQ_TRY(add_constant(graph, w, "w", &v[1]));
    TQ_TRY(add_constant(graph, w, "hi", &v[2]));
    TQ_TRY(add_constant(graph, w, "split", &v[3]));
    TQ_TRY(add_constant(graph, w, "big", &v[4]));
    TQ_TRY(add_node_0(graph, v));
    TQ_TRY(add_node_1(graph, v));
    TQ_TRY(add_node_2(graph, v));
    TQ_TRY(add_node_3(graph, v));
    TQ_TRY(add_node_4(graph, v));
    TQ_TRY(add_node_5(graph, v));
    TQ_TRY(add_node_6(graph, v));
    TQ_TRY(add_node_7(graph, v));
    tq_graph_add_output(graph, v[11]);
    tq_graph_add_output(graph, v[13]);
    tq_value_set_meta(v[11], "quant.scale", "0.5");
    return TQ_OK;
}

tq_status build_net(const tq_registry *registry, const char *weights_path,
    tq_graph **out_graph);
tq_status build_net(const tq_registry *registry, const char *weights_path,
    tq_graph **out_graph)
{
    tq_arena *arena = tq_arena_create();
    weights w = { 0 };
    tq_graph *graph = tq_graph_create(registry);
    tq_status status = tq_safetensors_load(weights_path, arena, &w.n, &w.names, &w.tensors);
    if (!status)
        status = fill(graph, &w);
    for (int i = 0; i < w.n; i++)
        tq_tensor_reset(&w.tensors[i]);
    tq_arena_destroy(arena);
    if (status)
        tq_graph_destroy(graph);
    else
        *out_graph = graph;
    return status;
}
