/* ToFloat: u8 [H, W, C] to f32 [C, H, W], values 0..255; f32 arrays stay as they are. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)args;
    (void)height;
    (void)width;
    (void)random;
    if (n_args)
        return tq_fail(TQ_ERR_VALUE, "ToFloat takes no arguments");
    if (x->type.dtype == TQ_F32)
        return TQ_OK;
    TQ_TRY(tq_image_require(x, "ToFloat"));
    return tq_image_to_f32(x, 1.0f);
}

const tq_transform tq_transform_to_float = {
    .entry = { .name = "ToFloat", .brief = "u8 [H, W, C] to f32 [C, H, W] in 0..255; arrays stay" },
    .apply = apply,
};
