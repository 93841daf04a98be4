/* DS-CNN, the keyword spotting network of MLPerf Tiny (Zhang et al., 2017, arXiv:1711.07128): a
 * 10x4 convolution and four depthwise separable blocks of 64 channels on 49x10 MFCC features. */
#include "zoo/zoo.h"

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 1, 49, 10, &x));
    b.epsilon = 1e-3;
    b.same_padding = true;
    const int64_t n = tq_zoo_scaled(&b, 64);
    TQ_TRY(tq_zoo_add_conv_norm(
        &b, "conv1", "bn1", "relu1",
        &(tq_zoo_conv){ .channels = n, .kernel_h = 10, .kernel_w = 4, .stride = 2, .bias = true },
        &x));
    for (int i = 1; i <= 4; i++) {
        TQ_TRY(tq_zoo_add_conv_norm(
            &b, tq_zoo_name(&b, "block%d.depthwise", i), tq_zoo_name(&b, "block%d.bn1", i),
            tq_zoo_name(&b, "block%d.relu1", i),
            &(tq_zoo_conv){ .channels = n, .kernel_h = 3, .stride = 1, .groups = n, .bias = true },
            &x));
        TQ_TRY(tq_zoo_add_conv_norm(
            &b, tq_zoo_name(&b, "block%d.pointwise", i), tq_zoo_name(&b, "block%d.bn2", i),
            tq_zoo_name(&b, "block%d.relu2", i),
            &(tq_zoo_conv){ .channels = n, .kernel_h = 1, .stride = 1, .bias = true }, &x));
    }
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "fc", options->classes ? options->classes : 12, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

const tq_zoo tq_zoo_ds_cnn = {
    .entry = { .name = "ds_cnn",
               .brief = "MLPerf Tiny keyword spotting, 1x49x10",
               .source = "arXiv:1711.07128" },
    .build = build,
};
