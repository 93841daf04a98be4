/* Integer rules of elementwise operators, Concat and FakeQuantize, each in its own file, and what
 * they share. */
#ifndef TQ_OPS_INTEGER_RULES_INTERNAL_H
#define TQ_OPS_INTEGER_RULES_INTERNAL_H

#include <truq/integerise.h>

tq_status tq_integerise_add(tq_integerise *t);      /* Add, Sub, Sum */
tq_status tq_integerise_scale(tq_integerise *t);    /* Mul, Div */
tq_status tq_integerise_extremum(tq_integerise *t); /* Max, Min */
tq_status tq_integerise_concat(tq_integerise *t);
tq_status tq_integerise_pad(tq_integerise *t);
tq_status tq_integerise_slopes(tq_integerise *t, const tq_tensor *slopes); /* PRelu */
tq_status tq_integerise_softmax(tq_integerise *t);
tq_status tq_integerise_normalize(tq_integerise *t, bool centred); /* LayerNormalization; RMS */
/* InstanceNormalization (as many groups as channels), GroupNormalization */
tq_status tq_integerise_group_normalize(tq_integerise *t, int64_t n_groups);
tq_status tq_integerise_same(tq_integerise *t); /* Identity, Dropout, Cast to float: no node */
tq_status tq_integerise_fake_quantize(tq_integerise *t);
tq_status tq_integerise_quantize_linear(tq_integerise *t);
tq_status tq_integerise_dequantize_linear(tq_integerise *t);

/** One scale for all, and no bound left to apply. */
bool tq_codes_plain(const tq_codes *codes);
/** a and b differ by less than 1e-6 of themselves. */
bool tq_scales_equal(double a, double b);
/** The codes as i32: a Cast before them unless they are i32 already. */
tq_status tq_codes_widen(tq_integerise *t, tq_value *codes, tq_value **out_value);
/** A constant i32 scalar ([1]) of the true graph. */
tq_status tq_int_scalar(tq_integerise *t, const char *suffix, int64_t value, tq_value **out_value);
/** Are the `count` values of a constant of type `type`, on a tensor of rank `rank` after
 * broadcasting, one number (*out_axis = -1), or one per index of one axis (*out_axis, *out_n)?
 * False for anything else. */
bool tq_constant_axis(const tq_type *type, int rank, int *out_axis, int *out_n);
/** Smallest of u8, i8, u16, i16, i32, i64 that holds [lo, hi]. */
tq_dtype tq_dtype_holding(int64_t lo, int64_t hi);

/** `codes` that lie on `grid`. */
tq_codes tq_codes_on_grid(tq_integerise *t, const tq_grid *grid, tq_value *codes);
/** The grid of the FakeQuantize that is the only consumer of the result, where there is one with
 *  one scale and consecutive codes. */
tq_status tq_grid_behind(tq_integerise *t, bool *out_found, tq_grid *out_grid);
/** Brings `codes` onto a grid of scale and zero point with one Requant. Refuses a rounding whose
 *  ties an add and a shift take elsewhere, unless half-up is forced. */
tq_status tq_emit_requant(tq_integerise *t, const tq_codes *codes, const tq_grid *grid,
                          tq_codes *out_codes);

#endif
