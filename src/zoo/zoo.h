/* Door of the zoo: the few layers its networks are made of. Each takes the value at `*x` and leaves
 * its output there. Parameters are named as PyTorch does ("<name>.weight", "<name>.running_mean"),
 * so weight files of the same network load by name. */
#ifndef TQ_ZOO_H
#define TQ_ZOO_H

#include <truq/zoo.h>

typedef struct tq_builder {
    tq_graph *graph;
    const tq_zoo_options *options;
    double capacity;
    double epsilon;    /* of batch norms */
    bool same_padding; /* Keras' SAME: the odd pixel at the end; else kernel / 2 on both sides */
} tq_builder;

/* Defaults where an option is 0; creates input "input" f32[?, C, H, W] (rank 2 when H is 0). */
tq_status tq_zoo_start(tq_builder *b, tq_graph *graph, const tq_zoo_options *options, int64_t c,
                       int64_t h, int64_t w, tq_value **out_x);
/* Names x "logits" (or `name`) and makes it the output. */
void tq_zoo_finish(tq_builder *b, tq_value *x, const char *name);

/* 2-d convolution, weights Kaiming normal (fan out, gain sqrt 2), bias 0. */
typedef struct tq_zoo_conv {
    int64_t channels, kernel_h, kernel_w, stride, groups;
    bool bias;
} tq_zoo_conv;
tq_status tq_zoo_add_conv(tq_builder *b, const char *name, const tq_zoo_conv *c, tq_value **x);
/* gamma 1, beta 0, mean 0, variance 1; momentum 0.9 in ONNX's sense. */
tq_status tq_zoo_add_batchnorm(tq_builder *b, const char *name, tq_value **x);
/* Relu, or Clip(0, 6) when the options ask for relu6. */
tq_status tq_zoo_add_activation(tq_builder *b, const char *name, tq_value **x);
/* Gemm with weight [out, in] ~ N(0, 0.01), bias 0. */
tq_status tq_zoo_add_linear(tq_builder *b, const char *name, int64_t n_out, tq_value **x);
/* GlobalAveragePool and Flatten. */
tq_status tq_zoo_add_pool_flatten(tq_builder *b, const char *name, tq_value **x);
tq_status tq_zoo_add_max_pool(tq_builder *b, const char *name, int64_t kernel, int64_t stride,
                              int64_t pad, tq_value **x);
/* Convolution, batch norm named `norm`, activation named `activation` (NULL: none). */
tq_status tq_zoo_add_conv_norm(tq_builder *b, const char *name, const char *norm,
                               const char *activation, const tq_zoo_conv *c, tq_value **x);
tq_status tq_zoo_add_sum(tq_builder *b, const char *name, tq_value *other, tq_value **x);

int64_t tq_zoo_channels(const tq_value *x);
/* printf into the graph's arena. */
const char *tq_zoo_name(const tq_builder *b, const char *format, ...) TQ_PRINTF(2, 3);
/* Width times capacity, rounded to a multiple of 8, never below 90 % (MobileNetV2, section 4). */
int64_t tq_zoo_scaled(const tq_builder *b, int64_t channels);

#endif
