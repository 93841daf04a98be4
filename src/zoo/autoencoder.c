/* The fully-connected autoencoder of MLPerf Tiny's anomaly detection (Koizumi et al., 2020,
 * arXiv:2006.05822): 640 features, four layers of 128, a bottleneck of 8, four of 128, 640 again.
 */
#include "zoo/zoo.h"

static tq_status build(tq_graph *graph, const tq_zoo_options *options)
{
    tq_builder b;
    tq_value *x;
    TQ_TRY(tq_zoo_start(&b, graph, options, 640, 0, 0, &x));
    const int64_t n_features = tq_zoo_channels(x), wide = tq_zoo_scaled(&b, 128);
    for (int i = 0; i < 9; i++) {
        TQ_TRY(tq_zoo_add_linear(&b, tq_zoo_name(&b, "fc%d", i), i == 4 ? 8 : wide, &x));
        TQ_TRY(tq_zoo_add_batchnorm(&b, tq_zoo_name(&b, "bn%d", i), &x));
        TQ_TRY(tq_zoo_add_activation(&b, tq_zoo_name(&b, "relu%d", i), &x));
    }
    TQ_TRY(tq_zoo_add_linear(&b, "fc9", n_features, &x));
    tq_zoo_finish(&b, x, "reconstruction");
    return TQ_OK;
}

const tq_zoo tq_zoo_autoencoder = {
    .entry = { .name = "autoencoder",
               .brief = "MLPerf Tiny anomaly detection, 640 features",
               .source = "arXiv:2006.05822" },
    .build = build,
};
