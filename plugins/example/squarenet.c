/* A small network that squares: twice convolution, batch norm, Relu and its product with itself,
 * then average and linear. Made with nothing but <truq/graph.h>. */
#include "example.h"

#include <truq/random.h>

#include <math.h>
#include <string.h>

typedef struct builder {
    tq_graph *graph;
    tq_random random;
} builder;

/** Normal with that deviation, or one number everywhere where it is 0. */
static tq_status add_constant(builder *b, const char *name, int rank, const int64_t *dims,
                              double deviation, double mean, tq_value **out)
{
    const tq_type type = tq_type_make(TQ_F32, rank, dims);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)tensor.data)[i] =
            (float)(mean + (deviation > 0 ? deviation * tq_random_normal(&b->random) : 0.0));
    const tq_status status = tq_graph_add_constant(b->graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status add_norm(builder *b, tq_value **x)
{
    static const char *const names[] = { "norm.weight", "norm.bias", "norm.mean", "norm.var" };
    const int64_t n = tq_value_type(*x)->dims[1];
    tq_value *inputs[5] = { *x };
    for (int i = 0; i < 4; i++)
        TQ_TRY(add_constant(b, names[i], 1, &n, 0, i == 0 || i == 3, &inputs[i + 1]));
    return tq_graph_emit(b->graph, NULL, "BatchNormalization", inputs, 5, NULL, 0, x);
}

static tq_status add_layer(builder *b, int64_t channels, int64_t stride, tq_value **x)
{
    const int64_t n_in = tq_value_type(*x)->dims[1], dims[] = { channels, n_in, 3, 3 };
    tq_value *inputs[2] = { *x };
    TQ_TRY(add_constant(b, "conv.weight", 4, dims, sqrt(2.0 / (double)(9 * n_in)), 0, &inputs[1]));
    const tq_attr attrs[] = { TQ_INTS("pads", 4, ((int64_t[]){ 1, 1, 1, 1 })),
                              TQ_INTS("strides", 2, ((int64_t[]){ stride, stride })) };
    TQ_TRY(tq_graph_emit(b->graph, NULL, "Conv", inputs, 2, attrs, 2, x));
    TQ_TRY(add_norm(b, x));
    TQ_TRY(tq_graph_emit(b->graph, NULL, "Relu", x, 1, NULL, 0, x));
    return tq_graph_emit(b->graph, NULL, "Mul", (tq_value *[]){ *x, *x }, 2, NULL, 0, x);
}

static tq_status add_head(builder *b, int64_t n_classes, tq_value **x)
{
    const int64_t n_in = tq_value_type(*x)->dims[1], dims[] = { n_classes, n_in };
    TQ_TRY(tq_graph_emit(b->graph, NULL, "GlobalAveragePool", x, 1, NULL, 0, x));
    TQ_TRY(tq_graph_emit(b->graph, NULL, "Flatten", x, 1, NULL, 0, x));
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_constant(b, "head.weight", 2, dims, 0.1, 0, &inputs[1]));
    TQ_TRY(add_constant(b, "head.bias", 1, dims, 0, 0, &inputs[2]));
    return tq_graph_emit(b->graph, NULL, "Gemm", inputs, 3, &TQ_INT("transB", 1), 1, x);
}

static int64_t or_default(int64_t asked, int64_t otherwise)
{
    return asked > 0 ? asked : otherwise;
}

static tq_status build(tq_graph *graph, const tq_zoo_options *o)
{
    builder b = { .graph = graph };
    tq_random_init(&b.random, o->seed, 0, 0);
    const int64_t width = (int64_t)fmax(1.0, 8.0 * (o->capacity > 0 ? o->capacity : 1.0));
    const tq_type type =
        tq_type_make(TQ_F32, 4,
                     (int64_t[]){ TQ_DIM_ANY, or_default(o->input[0], 1),
                                  or_default(o->input[1], 8), or_default(o->input[2], 8) });
    tq_value *x;
    TQ_TRY(tq_graph_add_input(graph, "input", &type, &x));
    TQ_TRY(add_layer(&b, width, 1, &x));
    TQ_TRY(add_layer(&b, 2 * width, 2, &x));
    TQ_TRY(add_head(&b, or_default(o->classes, 10), &x));
    tq_value_set_name(x, "logits");
    tq_graph_add_output(graph, x);
    return TQ_OK;
}

const tq_zoo example_squarenet = {
    .entry = { .name = "squarenet", .brief = "two convolutions and squares, 1x8x8" },
    .build = build,
};
