/* VGG, configuration A with batch norm (Simonyan and Zisserman, 2015, arXiv:1409.1556), ending in a
 * global average pool and one linear layer instead of the paper's three. Feature names as in
 * torchvision. */
#include "zoo/zoo.h"

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    static const int widths[] = {
        64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0
    }; /* 0: pool */
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 3, 32, 32, &x));
    for (int i = 0, k = 0; i < TQ_COUNT(widths); i++) {
        if (widths[i] == 0) {
            TQ_TRY(tq_zoo_add_max_pool(&b, tq_zoo_name(&b, "features.%d", k), 2, 2, 0, &x));
            k++;
            continue;
        }
        const tq_zoo_conv conv = {
            .channels = tq_zoo_scaled(&b, widths[i]), .kernel_h = 3, .stride = 1, .bias = true
        };
        TQ_TRY(tq_zoo_add_conv_norm(&b, tq_zoo_name(&b, "features.%d", k),
                                    tq_zoo_name(&b, "features.%d", k + 1),
                                    tq_zoo_name(&b, "features.%d", k + 2), &conv, &x));
        k += 3;
    }
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "classifier", options->classes ? options->classes : 10, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

const tq_zoo tq_zoo_vgg = {
    .entry = { .name = "vgg",
               .brief = "plain 3x3 convolutions (configuration A), 3x32x32",
               .source = "arXiv:1409.1556" },
    .build = build,
};
