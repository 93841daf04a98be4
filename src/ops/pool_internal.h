/* What the pools share. */
#ifndef TQ_OPS_POOL_INTERNAL_H
#define TQ_OPS_POOL_INTERNAL_H

#include "ops/codes_internal.h"

#define TQ_POOL_ATTRS                                                                              \
    TQ_STRING("auto_pad", "NOTSET"), TQ_INT("ceil_mode", 0), TQ_INTS("dilations", 0, NULL),        \
        TQ_INTS("kernel_shape", 0, NULL), TQ_INTS("pads", 0, NULL), TQ_INTS("strides", 0, NULL)
/** Bit of kernel_shape in TQ_POOL_ATTRS. */
enum { TQ_POOL_REQUIRED = 1 << 3 };

/** Window over x [N, C, ...] of a pool; padding is narrower than the window. */
tq_status tq_pool_read(const tq_attrs *attrs, const tq_type *x, tq_window *out_window);
/** As above when the type was checked before. */
tq_window tq_pool_of(const tq_attrs *attrs, const tq_type *x);

/** The taps of one output that lie inside the input: input position along axis d of tap k is
 * first[d] + k * step[d] for k < n[d]. */
typedef struct tq_taps {
    int64_t first[TQ_WINDOW_AXES], step[TQ_WINDOW_AXES], n[TQ_WINDOW_AXES];
    int64_t size[TQ_WINDOW_AXES]; /* of the input plane */
} tq_taps;
/** Taps of output number `out` of a plane, in row-major order. */
tq_taps tq_taps_at(const tq_window *window, int64_t out);
/** Every element of a plane as one window. */
tq_taps tq_taps_all(const tq_type *x);
static inline int64_t tq_taps_count(const tq_taps *t)
{
    return t->n[0] * t->n[1] * t->n[2];
}
/** Offset inside the plane of tap (kd, kh, 0). */
static inline int64_t tq_taps_row(const tq_taps *t, int64_t kd, int64_t kh)
{
    return ((t->first[0] + kd * t->step[0]) * t->size[1] + t->first[1] + kh * t->step[1]) *
               t->size[2] +
           t->first[2];
}

/** What the mean of output number `out` divides by: taps inside the input, or, when padding counts,
 * inside the padded input. */
int64_t tq_pool_divisor(const tq_window *window, int64_t out, bool count_padding);

/** Sum over the taps, in double, in row-major order. */
double tq_taps_sum_f32(const tq_taps *t, const float *plane);
int64_t tq_taps_sum_integer(const tq_taps *t, const void *data, tq_dtype dtype, int64_t plane_at);

/** Offset inside the plane of the first largest element (the last NaN, if there is one); -1 when
 * there is no tap. */
int64_t tq_taps_argmax(const tq_taps *t, const void *data, tq_dtype dtype, int64_t plane_at);

/** [N, C, 1, ...] for global pools. */
tq_type tq_global_type(const tq_type *x);

/** Code sums of output 0 divided by `count` and stated: scale / count, offset unchanged. */
void tq_pool_state_mean(tq_integerise *t, const tq_codes *x, tq_value *sums, double count,
                        tq_interval bounds);
/** Input 0 as codes of u8, i8 or i32, widened if need be; scales per tensor or along axis 1. */
tq_status tq_pool_operand(tq_integerise *t, const tq_codes **out_codes, tq_value **out_value);

#endif
