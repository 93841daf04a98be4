/* MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381): inverted residuals with linear bottlenecks.
 * Names as in torchvision. The paper's activation is relu6: give --activation relu6 for it. */
#include "zoo/zoo.h"

/* Table 2 of the paper: expansion t, channels c, repeats n, first stride s. */
static const struct {
    int expand, channels, repeats, stride;
} stages[] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 },  { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
               { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };

static tq_status add_block(tq_builder *b, int i, int expand, int64_t channels, int64_t stride,
                           tq_value **x)
{
    tq_value *input = *x;
    const int64_t n_in = tq_zoo_channels(input), n_inner = n_in * expand;
    int k = 0;
    if (expand != 1) {
        TQ_TRY(tq_zoo_add_conv_norm(
            b, tq_zoo_name(b, "features.%d.conv.0.0", i), tq_zoo_name(b, "features.%d.conv.0.1", i),
            tq_zoo_name(b, "features.%d.conv.0.2", i),
            &(tq_zoo_conv){ .channels = n_inner, .kernel_h = 1, .stride = 1 }, x));
        k = 1;
    }
    TQ_TRY(tq_zoo_add_conv_norm(
        b, tq_zoo_name(b, "features.%d.conv.%d.0", i, k),
        tq_zoo_name(b, "features.%d.conv.%d.1", i, k),
        tq_zoo_name(b, "features.%d.conv.%d.2", i, k),
        &(tq_zoo_conv){ .channels = n_inner, .kernel_h = 3, .stride = stride, .groups = n_inner },
        x));
    TQ_TRY(tq_zoo_add_conv_norm(b, tq_zoo_name(b, "features.%d.conv.%d", i, k + 1),
                                tq_zoo_name(b, "features.%d.conv.%d", i, k + 2), NULL,
                                &(tq_zoo_conv){ .channels = channels, .kernel_h = 1, .stride = 1 },
                                x));
    if (stride == 1 && n_in == channels)
        return tq_zoo_add_sum(b, tq_zoo_name(b, "features.%d.add", i), input, x);
    return TQ_OK;
}

static tq_status add_stages(tq_builder *b, int *i, tq_value **x)
{
    for (int s = 0; s < TQ_COUNT(stages); s++)
        for (int r = 0; r < stages[s].repeats; r++, ++*i)
            TQ_TRY(add_block(b, *i, stages[s].expand, tq_zoo_scaled(b, stages[s].channels),
                             r == 0 ? stages[s].stride : 1, x));
    return TQ_OK;
}

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 3, 224, 224, &x));
    TQ_TRY(tq_zoo_add_conv_norm(
        &b, "features.0.0", "features.0.1", "features.0.2",
        &(tq_zoo_conv){ .channels = tq_zoo_scaled(&b, 32), .kernel_h = 3, .stride = 2 }, &x));
    int i = 1;
    TQ_TRY(add_stages(&b, &i, &x));
    const int64_t n_last = b.capacity > 1 ? tq_zoo_scaled(&b, 1280) : 1280;
    TQ_TRY(tq_zoo_add_conv_norm(
        &b, tq_zoo_name(&b, "features.%d.0", i), tq_zoo_name(&b, "features.%d.1", i),
        tq_zoo_name(&b, "features.%d.2", i),
        &(tq_zoo_conv){ .channels = n_last, .kernel_h = 1, .stride = 1 }, &x));
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "classifier.1", options->classes ? options->classes : 1000, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

const tq_zoo tq_zoo_mobilenet_v2 = {
    .entry = { .name = "mobilenet_v2",
               .brief = "inverted residuals, 3x224x224",
               .source = "arXiv:1801.04381" },
    .build = build,
};
