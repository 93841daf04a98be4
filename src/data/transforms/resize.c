/* Resize(size): the short side becomes `size`, the long one int(size * long / short); an image that
 * has the size stays as it is. Resize(height, width): both sides. Bilinear with antialiasing.
 * Source: torchvision.transforms.Resize on a PIL image. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)random;
    if (n_args < 1 || n_args > 2 || !(args[0] >= 1) || !(args[n_args - 1] >= 1) ||
        args[0] > TQ_IMAGE_MAX_SIDE || args[n_args - 1] > TQ_IMAGE_MAX_SIDE)
        return tq_fail(TQ_ERR_VALUE, "Resize takes (short side) or (height, width), 1 .. %d",
                       (int)TQ_IMAGE_MAX_SIDE);
    TQ_TRY(tq_image_require(x, "Resize"));
    if (n_args == 2)
        return tq_image_resize(x, height ? height : (int64_t)args[0],
                               width ? width : (int64_t)args[1]);
    const int64_t size = (int64_t)args[0], h = x->type.dims[0], w = x->type.dims[1];
    return h <= w ? tq_image_resize(x, size, size * w / h) : tq_image_resize(x, size * h / w, size);
}

const tq_transform tq_transform_resize = {
    .entry = { .name = "Resize",
               .brief = "(short side) or (height, width); bilinear, antialiased",
               .source = "torchvision, Pillow" },
    .apply = apply,
};
