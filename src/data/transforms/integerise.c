/* Integerise(scale, rounding, lo, hi): codes q = clip(floor(x / scale), lo, hi) in f32; rounding 1
 * takes floor(x / scale + 1/2). The division is in f32, as PyTorch divides. Source: the ImageNet
 * transform of QuantLib's walk-through. */
#include "data/data_internal.h"

#include <math.h>

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)height;
    (void)width;
    (void)random;
    const double rounding = n_args > 1 ? args[1] : 0.0;
    const float scale = n_args ? (float)args[0] : 0.0f;
    const float lo = n_args > 2 ? (float)args[2] : -128.0f,
                hi = n_args > 3 ? (float)args[3] : 127.0f;
    if ((n_args != 1 && n_args != 2 && n_args != 4) || !(scale > 0) ||
        (rounding != 0 && rounding != 1) || !(lo <= hi))
        return tq_fail(TQ_ERR_VALUE,
                       "Integerise takes (scale > 0, ?rounding 0 floor 1 round, ?lo, hi)");
    TQ_TRY(tq_require_f32(x, "Integerise"));
    const float half = rounding != 0 ? 0.5f : 0.0f;
    float *values = x->data;
    for (int64_t i = 0, n = tq_tensor_count(x); i < n; i++)
        values[i] = tq_clipf(floorf(values[i] / scale + half), lo, hi);
    return TQ_OK;
}

const tq_transform tq_transform_integerise = {
    .entry = { .name = "Integerise",
               .brief = "(scale, ?rounding, ?lo, hi): integer codes",
               .source = "QuantLib" },
    .apply = apply,
};
