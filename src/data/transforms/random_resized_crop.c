/* RandomResizedCrop(size, scale, ratio): a window of scale[0]..scale[1] of the image's area
 * (default 0.08..1) with an aspect ratio of ratio[0]..ratio[1] (default 3/4..4/3, uniform in the
 * logarithm), resized to size x size, bilinear. After ten windows that do not fit: the largest in
 * the centre. Source: torchvision.transforms.RandomResizedCrop; Szegedy et al., arXiv:1409.4842. */
#include "data/data_internal.h"

#include <math.h>

enum { TRIES = 10 };

typedef struct window {
    int64_t top, left, height, width;
} window;

static double uniform(tq_random *random, double lo, double hi)
{
    return lo + (hi - lo) * tq_random_uniform(random);
}

static window central(int64_t h, int64_t w, const double *ratio)
{
    const double in_ratio = (double)w / (double)h;
    window crop = { .height = h, .width = w };
    if (in_ratio < ratio[0])
        crop.height = (int64_t)rint((double)w / ratio[0]);
    else if (in_ratio > ratio[1])
        crop.width = (int64_t)rint((double)h * ratio[1]);
    crop.height = tq_clip_i64(crop.height, 1, h);
    crop.width = tq_clip_i64(crop.width, 1, w);
    crop.top = (h - crop.height) / 2;
    crop.left = (w - crop.width) / 2;
    return crop;
}

static window choose(int64_t h, int64_t w, const double *scale, const double *ratio,
                     tq_random *random)
{
    for (int i = 0; i < TRIES; i++) {
        const double area = (double)(h * w) * uniform(random, scale[0], scale[1]);
        const double aspect = exp(uniform(random, log(ratio[0]), log(ratio[1])));
        const double width = rint(sqrt(area * aspect)), height = rint(sqrt(area / aspect));
        if (width >= 1 && width <= (double)w && height >= 1 && height <= (double)h) {
            window crop = { .height = (int64_t)height, .width = (int64_t)width };
            crop.top = tq_random_below(random, h - crop.height + 1);
            crop.left = tq_random_below(random, w - crop.width + 1);
            return crop;
        }
    }
    return central(h, w, ratio);
}

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    const double scale[] = { n_args >= 3 ? args[1] : 0.08, n_args >= 3 ? args[2] : 1.0 };
    const double ratio[] = { n_args >= 5 ? args[3] : 3.0 / 4.0, n_args >= 5 ? args[4] : 4.0 / 3.0 };
    if ((n_args != 1 && n_args != 3 && n_args != 5) || !(args[0] >= 1) ||
        args[0] > TQ_IMAGE_MAX_SIDE || !(scale[0] > 0) || !(scale[1] >= scale[0]) ||
        !(scale[1] <= 1) || !(ratio[0] > 0) || !(ratio[1] >= ratio[0]) || !isfinite(ratio[1]))
        return tq_fail(TQ_ERR_VALUE,
                       "RandomResizedCrop takes (size, ?scale lo, hi in 0 .. 1, ?ratio lo, hi)");
    TQ_TRY(tq_image_require(x, "RandomResizedCrop"));
    const window crop = choose(x->type.dims[0], x->type.dims[1], scale, ratio, random);
    TQ_TRY(tq_image_crop(x, crop.top, crop.left, crop.height, crop.width));
    return tq_image_resize(x, height ? height : (int64_t)args[0], width ? width : (int64_t)args[0]);
}

const tq_transform tq_transform_random_resized_crop = {
    .entry = { .name = "RandomResizedCrop",
               .brief = "(size, ?scale lo, hi, ?ratio lo, hi)",
               .source = "torchvision; arXiv:1409.4842" },
    .apply = apply,
};
