/* CenterCrop(size) or CenterCrop(height, width): the window at round((side - size) / 2), halves to
 * even; where the image is smaller, 0 around it. The model's size comes first.
 * Source: torchvision.transforms.CenterCrop. */
#include "data/data_internal.h"

/** Where the window begins along one side. */
static int64_t offset(int64_t side, int64_t size)
{
    const int64_t rest = side - size;
    if (rest < 0)
        return -(-rest / 2);
    return rest / 2 + (rest % 2 && rest / 2 % 2);
}

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)random;
    if (n_args < 1 || n_args > 2 || !(args[0] >= 1) || !(args[n_args - 1] >= 1) ||
        args[0] > TQ_IMAGE_MAX_SIDE || args[n_args - 1] > TQ_IMAGE_MAX_SIDE)
        return tq_fail(TQ_ERR_VALUE, "CenterCrop takes (size) or (height, width), 1 .. %d",
                       (int)TQ_IMAGE_MAX_SIDE);
    TQ_TRY(tq_image_require(x, "CenterCrop"));
    const int64_t h = height ? height : (int64_t)args[0],
                  w = width ? width : (int64_t)args[n_args - 1];
    return tq_image_crop(x, offset(x->type.dims[0], h), offset(x->type.dims[1], w), h, w);
}

const tq_transform tq_transform_center_crop = {
    .entry = { .name = "CenterCrop",
               .brief = "(size) or (height, width)",
               .source = "torchvision" },
    .apply = apply,
};
