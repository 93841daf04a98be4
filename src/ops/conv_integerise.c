/* Integer rule of Conv: with x = sx (qx - zx) and w = sw[m] (qw - zw[m]),
 *
 *   y = sx sw[m] * ConvInteger(qx, qw, zx, zw) + b[m].
 *
 * The sum is the new code; sx sw[m] its scale and the bias its offset, both lazy: the next
 * FakeQuantize turns them into one Requant. Codes wider than 8 bits (a sum pool's) take Conv on
 * int32 instead. */
#include "ops/conv_internal.h"
#include "ops/integer_rules_internal.h"

#include <math.h>

enum { X, W, B };

typedef struct operands {
    const tq_codes *x;
    int64_t x_zero_point;
    tq_weight_codes w;
    const double *bias;
    tq_conv conv;
} operands;

static tq_status read_operands(tq_integerise *t, operands *o)
{
    TQ_TRY(tq_codes_grid(t, X, &o->x, &o->x_zero_point));
    TQ_TRY(tq_codes_weight(t, W, 0, &o->w));
    TQ_TRY(tq_conv_read(tq_node_attrs(tq_int_node(t)), tq_value_type(o->x->codes), &o->w.data->type,
                        &o->conv));
    return tq_codes_reals(t, B, "bias", o->conv.out_channels, &o->bias);
}

/** ConvInteger on 8-bit codes, zero points as inputs. */
static tq_status emit_narrow(tq_integerise *t, const operands *o, tq_value **out)
{
    tq_value *inputs[4] = { o->x->codes, o->w.codes->codes };
    int n_inputs = 2, n_attrs;
    const int64_t n_zero_points = o->w.codes->n;
    if (o->x_zero_point) {
        TQ_TRY(tq_codes_scalar(t, "x_zero_point", tq_value_type(o->x->codes)->dtype,
                               o->x_zero_point, &inputs[2]));
        n_inputs = 3;
    }
    if (o->w.has_zero_points) {
        TQ_TRY(tq_int_add_constant(t, "w_zero_point", o->w.data->type.dtype, n_zero_points > 1,
                                   &n_zero_points, o->w.zero_points, &inputs[3]));
        n_inputs = 4;
    }
    const tq_attr *attrs = tq_codes_attrs(t, &n_attrs);
    return tq_int_emit(t, "ConvInteger", inputs, n_inputs, attrs, n_attrs, out);
}

/** Conv on int32 codes; zero points are taken off first, since Conv pads with 0. */
static tq_status emit_wide(tq_integerise *t, const operands *o, tq_value **out)
{
    const tq_tensor *w = o->w.data;
    tq_value *inputs[2] = { o->x->codes };
    if (!(TQ_DTYPE_BIT(tq_value_type(inputs[0])->dtype) & TQ_DTYPES_WIDE))
        TQ_TRY(tq_codes_widen(t, inputs[0], &inputs[0]));
    const tq_dtype dtype = tq_value_type(inputs[0])->dtype;
    const int64_t n = tq_tensor_count(w), n_taps = tq_type_count_from(&w->type, 1);
    int64_t *values = TQ_NEW_N(tq_int_arena(t), int64_t, n);
    for (int64_t i = 0; i < n; i++)
        values[i] = tq_load_i64(w->data, w->type.dtype, i) -
                    o->w.zero_points[o->w.codes->n > 1 ? i / n_taps : 0];
    if (o->x_zero_point) {
        tq_value *zero;
        TQ_TRY(tq_codes_scalar(t, "x_zero_point", dtype, o->x_zero_point, &zero));
        TQ_TRY(tq_int_emit(t, "Sub", (tq_value *[]){ inputs[0], zero }, 2, NULL, 0, &inputs[0]));
    }
    TQ_TRY(tq_int_add_constant(t, "w", dtype, w->type.rank, w->type.dims, values, &inputs[1]));
    int n_attrs;
    const tq_attr *attrs = tq_codes_attrs(t, &n_attrs);
    return tq_int_emit(t, "Conv", inputs, 2, attrs, n_attrs, out);
}

static void state(tq_integerise *t, const operands *o, tq_value *sum)
{
    const int64_t n_out = o->conv.out_channels;
    const int n = o->w.codes->n > 1 || o->bias ? (int)n_out : 1;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n);
    double *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    for (int m = 0; m < n; m++) {
        scale[m] = o->x->scale[0] * o->w.codes->scale[o->w.codes->n > 1 ? m : 0];
        offset[m] = o->bias ? o->bias[m] : 0.0;
    }
    const tq_interval x = tq_interval_shift((tq_interval){ o->x->lo, o->x->hi }, -o->x_zero_point);
    const tq_sum_bounds bounds = tq_conv_bounds(&o->conv, x, o->w.data, o->w.zero_points,
                                                o->w.codes->n, (tq_interval){ 0, 0 });
    tq_int_set(t, 0,
               &(tq_codes){ .codes = sum,
                            .axis = n > 1 ? 1 : -1,
                            .n = n,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = bounds.sum.lo,
                            .hi = bounds.sum.hi });
}

tq_status tq_conv_integerise(tq_integerise *t)
{
    operands o;
    TQ_TRY(read_operands(t, &o));
    const uint32_t x = TQ_DTYPE_BIT(tq_value_type(o.x->codes)->dtype);
    const uint32_t w = TQ_DTYPE_BIT(o.w.data->type.dtype);
    const bool narrow = x & TQ_DTYPES_CODES && w & TQ_DTYPES_CODES;
    tq_value *sum;
    TQ_TRY(narrow ? emit_narrow(t, &o, &sum) : emit_wide(t, &o, &sum));
    state(t, &o, sum);
    return TQ_OK;
}
