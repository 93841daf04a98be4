/* One batch into a graph of any stage. Float and fake-quantised networks take it as it is; a true
 * network takes codes, on the grid that f2t stored with its input:
 *
 *   code = clip(round(x / scale) + zero_point, q_min, q_max) */
#include "train/train_internal.h"

#include <math.h>

/** The grid stored with an input; false if none is. */
static bool stored_grid(const tq_value *value, tq_grid *out_grid, tq_status *out_status)
{
    double scale;
    *out_status = TQ_OK;
    if (!tq_value_meta_f64(value, "quant.scale", &scale))
        return false;
    const tq_dtype dtype = tq_value_type(value)->dtype;
    const bool integer = tq_dtype_is_integer(dtype);
    int64_t zero_point = 0;
    int64_t q_min = integer ? tq_dtype_min(dtype) : INT32_MIN;
    int64_t q_max = integer ? tq_dtype_max(dtype) : INT32_MAX;
    tq_value_meta_i64(value, "quant.zero_point", &zero_point);
    tq_value_meta_i64(value, "quant.q_min", &q_min);
    tq_value_meta_i64(value, "quant.q_max", &q_max);
    *out_grid = (tq_grid){ .scale = (float)scale,
                           .zero_point = (int32_t)tq_clip_i64(zero_point, INT32_MIN, INT32_MAX),
                           .q_min = q_min,
                           .q_max = q_max,
                           .step = 1,
                           .rounding = TQ_ROUND_HALF_UP };
    const char *rounding = tq_value_meta(value, "quant.rounding");
    if (rounding)
        *out_status = tq_rounding_parse(rounding, &out_grid->rounding);
    if (!*out_status && !(scale > 0.0 && isfinite(scale) && out_grid->scale > 0.0f))
        *out_status = tq_fail(TQ_ERR_VALUE, "its stored scale is %g", scale);
    return true;
}

static tq_status quantize(const tq_value *value, const tq_grid *grid, const tq_tensor *f32,
                          tq_tensor *out)
{
    tq_type type = f32->type;
    type.dtype = tq_value_type(value)->dtype;
    TQ_TRY(tq_tensor_init(out, &type));
    const float *x = f32->data;
    const int64_t n = tq_tensor_count(f32);
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            tq_tensor_reset(out);
            return tq_fail(TQ_ERR_VALUE, "the data has a NaN at element %lld", (long long)i);
        }
        tq_store_i64(out->data, type.dtype, i, tq_grid_quantize(grid, x[i]));
    }
    return TQ_OK;
}

tq_status tq_feed(const tq_graph *graph, int i, const tq_tensor *f32, tq_tensor *out)
{
    *out = (tq_tensor){ 0 };
    const tq_value *value = tq_graph_input(graph, i);
    const bool is_true = tq_graph_stage(graph) == TQ_STAGE_TRUE;
    if (!is_true && tq_value_type(value)->dtype == TQ_F32) {
        *out = (tq_tensor){ .type = f32->type, .data = f32->data };
        return TQ_OK;
    }
    tq_grid grid;
    tq_status status;
    if (!stored_grid(value, &grid, &status))
        status = tq_fail(TQ_ERR_STATE,
                         "no scale is stored with it; convert with 'truq f2t', or use 'truq infer' "
                         "on codes");
    if (!status)
        status = quantize(value, &grid, f32, out);
    return tq_wrap(status, "cannot feed input '%s' (%s)", tq_value_name(value),
                   tq_type_text(tq_value_type(value)).s);
}
