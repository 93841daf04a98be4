/* Scale(a, b): y = x * a + b in f32; b is 0 if not given. */
#include "data/data_internal.h"

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)height;
    (void)width;
    (void)random;
    if (n_args < 1 || n_args > 2)
        return tq_fail(TQ_ERR_VALUE, "Scale takes (a, ?b)");
    TQ_TRY(tq_require_f32(x, "Scale"));
    const float a = (float)args[0], b = n_args > 1 ? (float)args[1] : 0.0f;
    float *values = x->data;
    for (int64_t i = 0, n = tq_tensor_count(x); i < n; i++)
        values[i] = values[i] * a + b;
    return TQ_OK;
}

const tq_transform tq_transform_scale = {
    .entry = { .name = "Scale", .brief = "(a, ?b): x * a + b" },
    .apply = apply,
};
