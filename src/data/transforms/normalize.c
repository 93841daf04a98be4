/* Normalize(means, stds): y = (x - mean[c]) / std[c] in f32, as PyTorch computes it; one mean and
 * one std a channel. Source: torchvision.transforms.Normalize. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)height;
    (void)width;
    (void)random;
    TQ_TRY(tq_require_f32(x, "Normalize"));
    const int64_t n_channels = n_args / 2;
    if (n_args < 2 || n_args % 2 || x->type.rank < 1 || x->type.dims[0] != n_channels)
        return tq_fail(TQ_ERR_SHAPE,
                       "Normalize has %d means and stds for %s; it takes one of each a channel",
                       n_args, tq_type_text(&x->type).s);
    const int64_t n_inner = tq_type_count_from(&x->type, 1);
    for (int64_t c = 0; c < n_channels; c++) {
        const float mean = (float)args[c], std = (float)args[n_channels + c];
        if (!(std > 0))
            return tq_fail(TQ_ERR_VALUE, "Normalize: std %g of channel %lld is not above 0",
                           args[n_channels + c], (long long)c);
        float *values = (float *)x->data + c * n_inner;
        for (int64_t i = 0; i < n_inner; i++)
            values[i] = (values[i] - mean) / std;
    }
    return TQ_OK;
}

const tq_transform tq_transform_normalize = {
    .entry = { .name = "Normalize",
               .brief = "(means, stds), one of each a channel",
               .source = "torchvision" },
    .apply = apply,
};
