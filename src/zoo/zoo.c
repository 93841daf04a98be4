/* The layers of the zoo, and building by name. */
#include "zoo/zoo.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <truq/random.h>

const char *tq_zoo_name(const tq_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = tq_arena_vprintf(tq_graph_arena(b->graph), format, args);
    va_end(args);
    return name;
}

int64_t tq_zoo_channels(const tq_value *x)
{
    return tq_value_type(x)->dims[1];
}

int64_t tq_zoo_scaled(const tq_builder *b, int64_t channels)
{
    const double wanted = (double)channels * b->capacity;
    int64_t rounded = ((int64_t)(wanted + 4.0)) / 8 * 8;
    rounded = rounded < 8 ? 8 : rounded;
    return (double)rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

/* A constant filled with N(0, std) from a stream of its own (keyed by its name), or with `fill`. */
static tq_status add_parameter(tq_builder *b, const char *name, const char *what, int rank,
                               const int64_t *dims, double std, float fill, tq_value **out)
{
    const char *full = tq_zoo_name(b, "%s.%s", name, what);
    const tq_type type = tq_type_make(TQ_F32, rank, dims);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    tq_random random;
    tq_random_init(&random, b->options->seed, tq_crc32(0, full, strlen(full)), 1);
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)tensor.data)[i] = std > 0 ? (float)(std * tq_random_normal(&random)) : fill;
    const tq_status status = tq_graph_add_constant(b->graph, full, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status add_layer(tq_builder *b, const char *name, const char *op, tq_value *const *inputs,
                           int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out)
{
    tq_node *node;
    TQ_TRY(tq_graph_add_node(b->graph,
                             &(tq_node_spec){ .op = op,
                                              .name = name,
                                              .inputs = inputs,
                                              .n_inputs = n_inputs,
                                              .attrs = attrs,
                                              .n_attrs = n_attrs },
                             &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

tq_status tq_zoo_start(tq_builder *b, tq_graph *graph, const tq_zoo_options *options, int64_t c,
                       int64_t h, int64_t w, tq_value **out_x)
{
    *b = (tq_builder){ .graph = graph,
                       .options = options,
                       .epsilon = 1e-5,
                       .capacity = options->capacity > 0 ? options->capacity : 1.0 };
    const int64_t *input = options->input;
    tq_type type = { .dtype = TQ_F32,
                     .rank = h ? 4 : 2,
                     .dims = { TQ_DIM_ANY, input[0] ? input[0] : c, input[1] ? input[1] : h,
                               input[2] ? input[2] : w } };
    for (int k = 1; k < type.rank; k++)
        if (type.dims[k] < 1 || type.dims[k] > 1 << 16)
            return tq_fail(TQ_ERR_VALUE, "input size %lld is not between 1 and 65536",
                           (long long)type.dims[k]);
    if (!(b->capacity <= 16.0))
        return tq_fail(TQ_ERR_VALUE, "capacity %g is not between 0 and 16", b->capacity);
    if (options->classes < 0 || options->classes > 1 << 20)
        return tq_fail(TQ_ERR_VALUE, "%lld classes", (long long)options->classes);
    TQ_TRY(tq_graph_add_input(graph, "input", &type, out_x));
    tq_value_set_meta(*out_x, "dim.0", "N");
    return TQ_OK;
}

void tq_zoo_finish(tq_builder *b, tq_value *x, const char *name)
{
    tq_value_set_name(x, name);
    tq_graph_add_output(b->graph, x);
}

/* Pads of one axis, begin and end. */
static void find_pads(const tq_builder *b, int64_t size, int64_t kernel, int64_t stride,
                      int64_t *begin, int64_t *end)
{
    *begin = *end = kernel / 2;
    if (!b->same_padding)
        return;
    const int64_t n_out = (size + stride - 1) / stride;
    int64_t total = (n_out - 1) * stride + kernel - size;
    total = total > 0 ? total : 0;
    *begin = total / 2;
    *end = total - total / 2;
}

tq_status tq_zoo_add_conv(tq_builder *b, const char *name, const tq_zoo_conv *c, tq_value **x)
{
    const int64_t groups = c->groups ? c->groups : 1, kw = c->kernel_w ? c->kernel_w : c->kernel_h;
    const int64_t dims[] = { c->channels, tq_zoo_channels(*x) / groups, c->kernel_h, kw };
    const double std = sqrt(2.0 / (double)(c->channels * c->kernel_h * kw));
    const int64_t kernel[] = { c->kernel_h, kw }, strides[] = { c->stride, c->stride };
    const int64_t *in = tq_value_type(*x)->dims;
    int64_t pads[4];
    find_pads(b, in[2], c->kernel_h, c->stride, &pads[0], &pads[2]);
    find_pads(b, in[3], kw, c->stride, &pads[1], &pads[3]);
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_parameter(b, name, "weight", 4, dims, std, 0, &inputs[1]));
    if (c->bias)
        TQ_TRY(add_parameter(b, name, "bias", 1, dims, 0, 0, &inputs[2]));
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, kernel), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads), TQ_INT("group", groups) };
    return add_layer(b, name, "Conv", inputs, c->bias ? 3 : 2, attrs, TQ_COUNT(attrs), x);
}

tq_status tq_zoo_add_batchnorm(tq_builder *b, const char *name, tq_value **x)
{
    const int64_t n = tq_zoo_channels(*x);
    tq_value *inputs[5] = { *x };
    TQ_TRY(add_parameter(b, name, "weight", 1, &n, 0, 1, &inputs[1]));
    TQ_TRY(add_parameter(b, name, "bias", 1, &n, 0, 0, &inputs[2]));
    TQ_TRY(add_parameter(b, name, "running_mean", 1, &n, 0, 0, &inputs[3]));
    TQ_TRY(add_parameter(b, name, "running_var", 1, &n, 0, 1, &inputs[4]));
    const tq_attr attrs[] = { TQ_FLOAT("epsilon", (float)b->epsilon), TQ_FLOAT("momentum", 0.9f) };
    return add_layer(b, name, "BatchNormalization", inputs, 5, attrs, 2, x);
}

static tq_status add_scalar(tq_builder *b, const char *name, const char *what, float v,
                            tq_value **out)
{
    return add_parameter(b, name, what, 0, NULL, 0, v, out);
}

tq_status tq_zoo_add_activation(tq_builder *b, const char *name, tq_value **x)
{
    const char *kind = b->options->activation ? b->options->activation : "relu";
    if (strcmp(kind, "relu") == 0)
        return add_layer(b, name, "Relu", x, 1, NULL, 0, x);
    if (strcmp(kind, "relu6") != 0)
        return tq_fail(TQ_ERR_VALUE, "unknown activation '%s'; known: relu, relu6", kind);
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_scalar(b, name, "min", 0, &inputs[1]));
    TQ_TRY(add_scalar(b, name, "max", 6, &inputs[2]));
    return add_layer(b, name, "Clip", inputs, 3, NULL, 0, x);
}

tq_status tq_zoo_add_linear(tq_builder *b, const char *name, int64_t n_out, tq_value **x)
{
    const int64_t dims[] = { n_out, tq_zoo_channels(*x) };
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_parameter(b, name, "weight", 2, dims, 0.01, 0, &inputs[1]));
    TQ_TRY(add_parameter(b, name, "bias", 1, dims, 0, 0, &inputs[2]));
    return add_layer(b, name, "Gemm", inputs, 3, (tq_attr[]){ TQ_INT("transB", 1) }, 1, x);
}

tq_status tq_zoo_add_pool_flatten(tq_builder *b, const char *name, tq_value **x)
{
    TQ_TRY(add_layer(b, name, "GlobalAveragePool", x, 1, NULL, 0, x));
    return add_layer(b, tq_zoo_name(b, "%s.flatten", name), "Flatten", x, 1,
                     (tq_attr[]){ TQ_INT("axis", 1) }, 1, x);
}

tq_status tq_zoo_add_max_pool(tq_builder *b, const char *name, int64_t kernel, int64_t stride,
                              int64_t pad, tq_value **x)
{
    const int64_t kernels[] = { kernel, kernel }, strides[] = { stride, stride };
    const int64_t pads[] = { pad, pad, pad, pad };
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, kernels), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads) };
    return add_layer(b, name, "MaxPool", x, 1, attrs, TQ_COUNT(attrs), x);
}

tq_status tq_zoo_add_conv_norm(tq_builder *b, const char *name, const char *norm,
                               const char *activation, const tq_zoo_conv *c, tq_value **x)
{
    TQ_TRY(tq_zoo_add_conv(b, name, c, x));
    TQ_TRY(tq_zoo_add_batchnorm(b, norm, x));
    return activation ? tq_zoo_add_activation(b, activation, x) : TQ_OK;
}

tq_status tq_zoo_add_sum(tq_builder *b, const char *name, tq_value *other, tq_value **x)
{
    return add_layer(b, name, "Add", (tq_value *[]){ other, *x }, 2, NULL, 0, x);
}

tq_status tq_zoo_build(const tq_registry *registry, const char *name, const tq_zoo_options *options,
                       tq_graph **out_graph)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(registry, TQ_KIND_ZOO, name, &entry));
    tq_graph *graph = tq_graph_create(registry);
    tq_graph_set_name(graph, name);
    const tq_status status = ((const tq_zoo *)(const void *)entry)->build(graph, options);
    if (status) {
        tq_graph_destroy(graph);
        return tq_wrap(status, "cannot build '%s'", name);
    }
    *out_graph = graph;
    return TQ_OK;
}
