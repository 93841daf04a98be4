/* MobileNetV1 (Howard et al., 2017, arXiv:1704.04861): a convolution with stride 2, thirteen
 * depthwise separable blocks, global average pool, one linear layer. Names as in the QuantLib
 * walk-through: pilot, features, classifier. */
#include "zoo/zoo.h"

/* Output width as a multiple of the base width, and stride, of each block. */
static const struct {
    int multiple, stride;
} blocks[] = { { 2, 1 },  { 4, 2 },  { 4, 1 },  { 8, 2 },  { 8, 1 },  { 16, 2 }, { 16, 1 },
               { 16, 1 }, { 16, 1 }, { 16, 1 }, { 16, 1 }, { 32, 2 }, { 32, 1 } };

static tq_status add_block(tq_builder *b, int i, int64_t channels, tq_value **x)
{
    const char *name[6];
    for (int k = 0; k < 6; k++)
        name[k] = tq_zoo_name(b, "features.%d.%d", i, k);
    const int64_t n_in = tq_zoo_channels(*x);
    TQ_TRY(tq_zoo_add_conv_norm(
        b, name[0], name[1], name[2],
        &(tq_zoo_conv){
            .channels = n_in, .kernel_h = 3, .stride = blocks[i].stride, .groups = n_in },
        x));
    return tq_zoo_add_conv_norm(b, name[3], name[4], name[5],
                                &(tq_zoo_conv){ .channels = channels, .kernel_h = 1, .stride = 1 },
                                x);
}

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 3, 224, 224, &x));
    const int64_t base = (int64_t)(32 * b.capacity);
    if (base < 1)
        return tq_fail(TQ_ERR_VALUE, "capacity %g leaves no channels", b.capacity);
    TQ_TRY(tq_zoo_add_conv_norm(&b, "pilot.0", "pilot.1", "pilot.2",
                                &(tq_zoo_conv){ .channels = base, .kernel_h = 3, .stride = 2 },
                                &x));
    for (int i = 0; i < TQ_COUNT(blocks); i++)
        TQ_TRY(add_block(&b, i, base * blocks[i].multiple, &x));
    TQ_TRY(tq_zoo_add_pool_flatten(&b, "avgpool", &x));
    TQ_TRY(tq_zoo_add_linear(&b, "classifier", options->classes ? options->classes : 1000, &x));
    tq_zoo_finish(&b, x, "logits");
    return TQ_OK;
}

const tq_zoo tq_zoo_mobilenet_v1 = {
    .entry = { .name = "mobilenet_v1",
               .brief = "depthwise separable blocks, 3x224x224",
               .source = "arXiv:1704.04861" },
    .build = build,
};
