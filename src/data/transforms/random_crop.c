/* RandomCrop(size, padding): a window of size x size anywhere in the image with `padding` zeros
 * around it. Source: torchvision.transforms.RandomCrop. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    const double padding = n_args > 1 ? args[1] : 0.0;
    if (n_args < 1 || n_args > 2 || !(args[0] >= 1) || args[0] > TQ_IMAGE_MAX_SIDE ||
        !(padding >= 0) || padding > TQ_IMAGE_MAX_SIDE)
        return tq_fail(TQ_ERR_VALUE, "RandomCrop takes (size, padding), size 1 .. %d",
                       (int)TQ_IMAGE_MAX_SIDE);
    TQ_TRY(tq_image_require(x, "RandomCrop"));
    const int64_t h = height ? height : (int64_t)args[0], w = width ? width : (int64_t)args[0],
                  p = (int64_t)padding;
    const int64_t rest_h = x->type.dims[0] + 2 * p - h, rest_w = x->type.dims[1] + 2 * p - w;
    if (rest_h < 0 || rest_w < 0)
        return tq_fail(TQ_ERR_VALUE,
                       "RandomCrop of %lld x %lld from an image of %lld x %lld with padding %lld",
                       (long long)w, (long long)h, (long long)x->type.dims[1],
                       (long long)x->type.dims[0], (long long)p);
    const int64_t top = tq_random_below(random, rest_h + 1) - p;
    const int64_t left = tq_random_below(random, rest_w + 1) - p;
    return tq_image_crop(x, top, left, h, w);
}

const tq_transform tq_transform_random_crop = {
    .entry = { .name = "RandomCrop", .brief = "(size, ?padding)", .source = "torchvision" },
    .apply = apply,
};
