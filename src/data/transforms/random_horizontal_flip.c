/* RandomHorizontalFlip(p): left and right change places with probability p (default 1/2). */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)height;
    (void)width;
    const double p = n_args ? args[0] : 0.5;
    if (n_args > 1 || !(p >= 0 && p <= 1))
        return tq_fail(TQ_ERR_VALUE, "RandomHorizontalFlip takes (?p in 0 .. 1)");
    TQ_TRY(tq_image_require(x, "RandomHorizontalFlip"));
    if (tq_random_uniform(random) >= p)
        return TQ_OK;
    const int64_t n_h = x->type.dims[0], n_w = x->type.dims[1], n_c = x->type.dims[2];
    tq_tensor y;
    TQ_TRY(tq_image_init(&y, n_h, n_w, n_c));
    const uint8_t *from = x->data;
    uint8_t *to = y.data;
    for (int64_t h = 0; h < n_h; h++)
        for (int64_t w = 0; w < n_w; w++)
            for (int64_t c = 0; c < n_c; c++)
                to[(h * n_w + w) * n_c + c] = from[(h * n_w + n_w - 1 - w) * n_c + c];
    tq_tensor_reset(x);
    *x = y;
    return TQ_OK;
}

const tq_transform tq_transform_random_horizontal_flip = {
    .entry = { .name = "RandomHorizontalFlip", .brief = "(?p)", .source = "torchvision" },
    .apply = apply,
};
