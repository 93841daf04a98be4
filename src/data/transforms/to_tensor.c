/* ToTensor: u8 [H, W, C] to f32 [C, H, W], x / 255. Source: torchvision.transforms.ToTensor. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)args;
    (void)height;
    (void)width;
    (void)random;
    if (n_args)
        return tq_fail(TQ_ERR_VALUE, "ToTensor takes no arguments");
    TQ_TRY(tq_image_require(x, "ToTensor"));
    return tq_image_to_f32(x, 255.0f);
}

const tq_transform tq_transform_to_tensor = {
    .entry = { .name = "ToTensor",
               .brief = "u8 [H, W, C] to f32 [C, H, W] in 0..1",
               .source = "torchvision" },
    .apply = apply,
};
