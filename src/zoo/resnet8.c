/* ResNet8, the image classification network of MLPerf Tiny (Banbury et al., 2021,
 * arXiv:2106.07597): three residual stages of one block each, Keras' SAME padding, convolutions
 * with bias. */
#include "zoo/zoo.h"

static tq_status add_block(tq_builder *b, int i, int64_t channels, int64_t stride, tq_value **x)
{
    tq_value *shortcut = *x;
    const tq_zoo_conv first = {
        .channels = channels, .kernel_h = 3, .stride = stride, .bias = true
    };
    const tq_zoo_conv second = { .channels = channels, .kernel_h = 3, .stride = 1, .bias = true };
    TQ_TRY(tq_zoo_add_conv_norm(b, tq_zoo_name(b, "stage%d.conv1", i),
                                tq_zoo_name(b, "stage%d.bn1", i),
                                tq_zoo_name(b, "stage%d.relu1", i), &first, x));
    TQ_TRY(tq_zoo_add_conv_norm(b, tq_zoo_name(b, "stage%d.conv2", i),
                                tq_zoo_name(b, "stage%d.bn2", i), NULL, &second, x));
    if (stride != 1)
        TQ_TRY(tq_zoo_add_conv(
            b, tq_zoo_name(b, "stage%d.shortcut", i),
            &(tq_zoo_conv){ .channels = channels, .kernel_h = 1, .stride = stride, .bias = true },
            &shortcut));
    TQ_TRY(tq_zoo_add_sum(b, tq_zoo_name(b, "stage%d.add", i), shortcut, x));
    return tq_zoo_add_activation(b, tq_zoo_name(b, "stage%d.relu2", i), x);
}

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 3, 32, 32, &x));
    b.epsilon = 1e-3;
    b.same_padding = true;
    const int64_t base = (int64_t)(16 * b.capacity);
    if (base < 1)
        return tq_fail(TQ_ERR_VALUE, "capacity %g leaves no channels", b.capacity);
    TQ_TRY(tq_zoo_add_conv_norm(
        &b, "conv1", "bn1", "relu1",
        &(tq_zoo_conv){ .channels = base, .kernel_h = 3, .stride = 1, .bias = true }, &x));
    TQ_TRY(add_block(&b, 1, base, 1, &x));
    TQ_TRY(add_block(&b, 2, 2 * base, 2, &x));
    TQ_TRY(add_block(&b, 3, 4 * base, 2, &x));
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "fc", options->classes ? options->classes : 10, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

const tq_zoo tq_zoo_resnet8 = {
    .entry = { .name = "resnet8",
               .brief = "MLPerf Tiny image classification, 3x32x32",
               .source = "arXiv:2106.07597" },
    .build = build,
};
