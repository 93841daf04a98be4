/* ResNet18 and ResNet50 (He et al., 2016, arXiv:1512.03385) with the stride in the 3x3 convolution,
 * names as in torchvision. Inputs of 64 pixels or less start with a 3x3 convolution of stride 1 and
 * no pool. */
#include "zoo/zoo.h"

typedef struct resnet {
    bool bottleneck;
    int n_blocks[4];
} resnet;

static tq_status add_main_path(tq_builder *b, const char *block, const resnet *net, int64_t width,
                               int64_t stride, tq_value **x)
{
    const tq_zoo_conv basic[] = { { .channels = width, .kernel_h = 3, .stride = stride },
                                  { .channels = width, .kernel_h = 3, .stride = 1 } };
    const tq_zoo_conv bottleneck[] = { { .channels = width, .kernel_h = 1, .stride = 1 },
                                       { .channels = width, .kernel_h = 3, .stride = stride },
                                       { .channels = 4 * width, .kernel_h = 1, .stride = 1 } };
    const tq_zoo_conv *convs = net->bottleneck ? bottleneck : basic;
    const int n = net->bottleneck ? 3 : 2;
    for (int i = 0; i < n; i++)
        TQ_TRY(tq_zoo_add_conv_norm(
            b, tq_zoo_name(b, "%s.conv%d", block, i + 1), tq_zoo_name(b, "%s.bn%d", block, i + 1),
            i + 1 < n ? tq_zoo_name(b, "%s.relu%d", block, i + 1) : NULL, &convs[i], x));
    return TQ_OK;
}

static tq_status add_block(tq_builder *b, const char *block, const resnet *net, int64_t width,
                           int64_t stride, tq_value **x)
{
    tq_value *shortcut = *x;
    const int64_t n_out = net->bottleneck ? 4 * width : width;
    TQ_TRY(add_main_path(b, block, net, width, stride, x));
    if (stride != 1 || tq_zoo_channels(shortcut) != n_out)
        TQ_TRY(tq_zoo_add_conv_norm(
            b, tq_zoo_name(b, "%s.downsample.0", block), tq_zoo_name(b, "%s.downsample.1", block),
            NULL, &(tq_zoo_conv){ .channels = n_out, .kernel_h = 1, .stride = stride }, &shortcut));
    TQ_TRY(tq_zoo_add_sum(b, tq_zoo_name(b, "%s.add", block), shortcut, x));
    return tq_zoo_add_activation(b, tq_zoo_name(b, "%s.relu", block), x);
}

static tq_status build(tq_graph *graph, const tq_zoo_options *options, const resnet *net)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 3, 224, 224, &x));
    const bool small = tq_value_type(x)->dims[2] <= 64;
    const int64_t base = (int64_t)(64 * b.capacity);
    if (base < 1)
        return tq_fail(TQ_ERR_VALUE, "capacity %g leaves no channels", b.capacity);
    TQ_TRY(tq_zoo_add_conv_norm(
        &b, "conv1", "bn1", "relu",
        &(tq_zoo_conv){ .channels = base, .kernel_h = small ? 3 : 7, .stride = small ? 1 : 2 },
        &x));
    if (!small)
        TQ_TRY(tq_zoo_add_max_pool(&b, "maxpool", 3, 2, 1, &x));
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < net->n_blocks[stage]; i++)
            TQ_TRY(add_block(&b, tq_zoo_name(&b, "layer%d.%d", stage + 1, i), net, base << stage,
                             stage > 0 && i == 0 ? 2 : 1, &x));
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "fc", options->classes ? options->classes : 1000, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

static tq_status build_18(tq_graph *graph, const tq_zoo_options *options)
{
    return build(graph, options, &(resnet){ false, { 2, 2, 2, 2 } });
}

static tq_status build_50(tq_graph *graph, const tq_zoo_options *options)
{
    return build(graph, options, &(resnet){ true, { 3, 4, 6, 3 } });
}

const tq_zoo tq_zoo_resnet18 = {
    .entry = { .name = "resnet18",
               .brief = "basic residual blocks, 3x224x224",
               .source = "arXiv:1512.03385" },
    .build = build_18,
};

const tq_zoo tq_zoo_resnet50 = {
    .entry = { .name = "resnet50",
               .brief = "bottleneck residual blocks, 3x224x224",
               .source = "arXiv:1512.03385" },
    .build = build_50,
};
