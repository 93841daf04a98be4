/* RequantShift, QuantLib's and Deeploy's requantisation:
 *
 *   y = clip((x * mul + add + 2^(s - 1)) >> s, lo, hi),  s = log2 div
 *   [lo, hi] = [-n/2, n/2 - 1] if signed, else [0, n - 1]
 *
 * mul and add hold one entry, or one per channel: [C,1,1] and the like broadcast against x, and
 * where that does not fit they belong to axis 1. Formed in 64 bits. */
#include "ops/pact_internal.h"

#include <truq/integerise.h>

enum { X, MUL, ADD };

typedef struct settings {
    int shift;
    int64_t lo, hi;
} settings;

static tq_status read_settings(const tq_attrs *attrs, settings *out)
{
    const int64_t div = tq_pact_number(attrs, "div", 0);
    const int64_t n = tq_pact_number(attrs, "n_levels_out", tq_pact_number(attrs, "n_levels", 256));
    const bool is_signed = tq_pact_number(attrs, "signed", 0) != 0;
    if (div < 1 || (div & (div - 1)) != 0)
        return tq_fail(TQ_ERR_VALUE, "div is %lld; expected a power of two", (long long)div);
    TQ_TRY(tq_pact_check_levels(n));
    out->shift = __builtin_ctzll((uint64_t)div);
    out->lo = is_signed ? -(n / 2) : 0;
    out->hi = out->lo + n - 1;
    return TQ_OK;
}

/** Axis of x that the entries of `v` run along; -1: one entry. */
static tq_status vector_axis(const tq_type *x, const tq_type *v, int *out_axis)
{
    int at = -1, n_long = 0;
    for (int d = 0; d < v->rank; d++)
        if (v->dims[d] != 1) {
            at = d;
            n_long++;
        }
    *out_axis = -1;
    if (n_long == 0)
        return TQ_OK;
    const int by_broadcast = x->rank - v->rank + at;
    const bool fits_channels = n_long == 1 && x->rank > 1 && tq_dim_fits(x->dims[1], v->dims[at]);
    const bool is_conv1d = x->rank == 3 && v->rank == 3 && at == 0 && fits_channels;
    if (n_long == 1 && by_broadcast >= 0 && tq_dim_fits(x->dims[by_broadcast], v->dims[at]) &&
        !is_conv1d)
        *out_axis = by_broadcast;
    else if (fits_channels)
        *out_axis = 1;
    else
        return tq_fail(TQ_ERR_SHAPE,
                       "x is %s, mul or add is %s; expected one entry, or one per channel",
                       tq_type_text(x).s, tq_type_text(v).s);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    settings s;
    int axis;
    TQ_TRY(tq_pact_infer(t));
    TQ_TRY(read_settings(t->attrs, &s));
    for (int i = MUL; i <= ADD; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_NUMERIC));
        if (t->in[X]->rank >= 0 && t->in[i]->rank >= 0)
            TQ_TRY(vector_axis(t->in[X], t->in[i], &axis));
    }
    return TQ_OK;
}

/** Which entry belongs to element i of x. */
typedef struct vector {
    const void *data;
    tq_dtype dtype;
    int64_t n, n_inner;
} vector;

static vector make_vector(const tq_op_run *run, int i)
{
    int axis = -1;
    tq_status_drop(vector_axis(run->in_types[X], run->in_types[i], &axis));
    return (vector){ run->in[i], run->in_types[i]->dtype,
                     axis < 0 ? 1 : run->in_types[X]->dims[axis],
                     axis < 0 ? 1 : tq_type_count_from(run->in_types[X], axis + 1) };
}

static uint64_t entry(const vector *v, int64_t i)
{
    return (uint64_t)tq_load_i64(v->data, v->dtype, i / v->n_inner % v->n);
}

static void reference(const tq_op_run *run)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    settings s = { 0 };
    tq_status_drop(read_settings(run->attrs, &s));
    const vector mul = make_vector(run, MUL), add = make_vector(run, ADD);
    const uint64_t half = s.shift > 0 ? UINT64_C(1) << (s.shift - 1) : 0;
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++) {
        const uint64_t x = (uint64_t)tq_load_i64(run->in[X], dtype, i);
        const int64_t q = (int64_t)(x * entry(&mul, i) + entry(&add, i) + half) >> s.shift;
        tq_store_i64(run->out[0], dtype, i, tq_clip_i64(q, s.lo, s.hi));
    }
}

static tq_status bounds(tq_bounds *b)
{
    settings s;
    int64_t lo, hi, mul_lo, mul_hi, add_lo, add_hi;
    TQ_TRY(read_settings(tq_bounds_types(b)->attrs, &s));
    tq_bounds_input(b, X, &lo, &hi);
    tq_bounds_input(b, MUL, &mul_lo, &mul_hi);
    tq_bounds_input(b, ADD, &add_lo, &add_hi);
    const tq_wide corners[] = { (tq_wide)lo * mul_lo, (tq_wide)lo * mul_hi, (tq_wide)hi * mul_lo,
                                (tq_wide)hi * mul_hi };
    tq_wide least = corners[0], most = corners[0];
    for (int i = 1; i < TQ_COUNT(corners); i++) {
        least = corners[i] < least ? corners[i] : least;
        most = corners[i] > most ? corners[i] : most;
    }
    const tq_wide half = s.shift > 0 ? (tq_wide)1 << (s.shift - 1) : 0;
    least += add_lo + half;
    most += add_hi + half;
    const bool fits = least >= INT64_MIN && most <= INT64_MAX;
    tq_bounds_intermediate(b, "x * mul + add", tq_narrow(least), tq_narrow(most), fits ? 64 : 63);
    const int64_t q_lo = fits ? tq_clip_i64((int64_t)least >> s.shift, s.lo, s.hi) : s.lo;
    tq_bounds_set(b, 0, q_lo, fits ? tq_clip_i64((int64_t)most >> s.shift, s.lo, s.hi) : s.hi);
    return TQ_OK;
}

const tq_op tq_op_requant_shift = {
    .entry = { .name = "RequantShift",
               .brief = "QuantLib's requantisation, rounding half up",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x", "mul", "add" },
    .outputs = { "y" },
    .attrs = { { .name = "div", .kind = TQ_ATTR_TENSOR },
               { .name = "n_levels", .kind = TQ_ATTR_TENSOR },
               { .name = "n_levels_out", .kind = TQ_ATTR_TENSOR },
               { .name = "signed", .kind = TQ_ATTR_TENSOR } },
    .required_attrs = 1,
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};
