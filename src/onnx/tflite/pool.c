/* AVERAGE_POOL_2D (padding does not count), MAX_POOL_2D, MEAN, SUM, REDUCE_MAX and REDUCE_MIN. */
#include "tflite.h"

enum {
    AVERAGE_POOL_2D = 1,
    MAX_POOL_2D = 17,
    MEAN = 40,
    SUM = 74,
    REDUCE_MAX = 82,
    REDUCE_MIN = 89
};
enum { X, AXES };
enum { MAX_STEP = 1 << 20 };

static tq_status build_pool(tq_tflite_builder *b, const char *op, int same_grid)
{
    int64_t padding = 0, steps[4] = { 0 }, pads[4], activation = 0;
    const tq_tflite_tensor *t = tq_tflite_input(b, X);
    tq_value *x, *y;
    if (!t || t->type.rank != 4)
        return tq_fail(TQ_ERR_FORMAT, "needs an input of four axes");
    TQ_TRY(tq_tflite_option(b, 0, 1, &padding));
    for (int i = 0; i < 4; i++) { /* stride w, h, filter w, h */
        TQ_TRY(tq_tflite_option(b, 1 + i, 4, &steps[i]));
        if (steps[i] < 1 || steps[i] > MAX_STEP)
            return tq_fail(TQ_ERR_FORMAT, "its window or stride is %lld", (long long)steps[i]);
    }
    TQ_TRY(tq_tflite_option(b, 5, 1, &activation));
    const int64_t strides[] = { steps[1], steps[0] }, kernel[] = { steps[3], steps[2] };
    for (int d = 0; d < 2; d++)
        tq_tflite_pads(padding == 0, t->type.dims[1 + d], kernel[d], strides[d], 1, &pads[d],
                       &pads[2 + d]);
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, kernel), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads) };
    TQ_TRY(tq_tflite_real(b, X, &x));
    TQ_TRY(tq_tflite_emit(b, op, &x, 1, attrs, TQ_COUNT(attrs), &y));
    TQ_TRY(tq_tflite_activate(b, activation, &y));
    return tq_tflite_set(b, 0, y, activation ? -1 : same_grid);
}

/* The two axes of an image in either order. */
static bool is_spatial(const int *axes, int64_t n)
{
    return n == 2 && ((axes[0] == 1 && axes[1] == 2) || (axes[0] == 2 && axes[1] == 1));
}

/* Over H and W, what is left has the same order in both layouts; else the file's order is restored.
 */
static tq_status build_reduction(tq_tflite_builder *b, const char *op)
{
    const tq_tflite_tensor *t = tq_tflite_input(b, X);
    const int64_t *given;
    int64_t n, keep = 0;
    int axes[TQ_MAX_RANK];
    tq_value *inputs[2], *y;
    if (!t)
        return tq_fail(TQ_ERR_FORMAT, "has no input 0");
    TQ_TRY(tq_tflite_ints(b, AXES, &n, &given));
    TQ_TRY(tq_tflite_option(b, 0, 1, &keep));
    if (n < 1 || n > t->type.rank)
        return tq_fail(TQ_ERR_FORMAT, "reduces %lld axes of %s", (long long)n,
                       tq_type_text(&t->type).s);
    for (int64_t i = 0; i < n; i++)
        TQ_TRY(tq_tflite_check_axis(b, given[i], t->type.rank, &axes[i]));
    const bool spatial = t->type.rank == 4 && is_spatial(axes, n);
    int64_t moved[TQ_MAX_RANK];
    for (int64_t i = 0; i < n; i++)
        moved[i] = spatial ? 2 + i : axes[i];
    TQ_TRY(spatial ? tq_tflite_real(b, X, &inputs[0]) : tq_tflite_plain(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_add_ints(b, (int)n, moved, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, op, inputs, 2, &TQ_INT("keepdims", keep != 0), 1, &y));
    return spatial ? tq_tflite_set(b, 0, y, -1) : tq_tflite_set_plain(b, 0, y, -1);
}

tq_status tq_tflite_build_pool(tq_tflite_builder *b, bool *out_known)
{
    *out_known = true;
    switch (b->op->code) {
    case AVERAGE_POOL_2D:
        return build_pool(b, "AveragePool", -1);
    case MAX_POOL_2D:
        return build_pool(b, "MaxPool", X);
    case MEAN:
        return build_reduction(b, "ReduceMean");
    case SUM:
        return build_reduction(b, "ReduceSum");
    case REDUCE_MAX:
        return build_reduction(b, "ReduceMax");
    case REDUCE_MIN:
        return build_reduction(b, "ReduceMin");
    default:
        *out_known = false;
        return TQ_OK;
    }
}
