/* Requantisation: a layer's accumulator becomes the next tensor's code.
 *
 *   y = clip((x * multiplier[c] + addend[c]) >> shift, q_min, q_max)
 *
 * multiplier and addend hold one entry per index of `axis`, or one for all. Formed in 64 bits; the
 * shift is arithmetic, so it rounds down and the addend decides the rest. */
#include "ops/ops.h"

#include <truq/integerise.h>

enum { X, MULTIPLIER, ADDEND };

typedef struct settings {
    int64_t shift, q_min, q_max;
} settings;

static tq_status check_vector(const tq_op_types *t, int i, int axis)
{
    const tq_type *x = t->in[X], *v = t->in[i];
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_WIDE));
    const bool one = v->rank == 0 || (v->rank == 1 && v->dims[0] == 1);
    if (!one && (v->rank != 1 || x->rank <= axis || !tq_dim_fits(v->dims[0], x->dims[axis])))
        return tq_fail(TQ_ERR_SHAPE,
                       "x is %s, input %d is %s; expected one entry, or one per index of axis %d",
                       tq_type_text(x).s, i, tq_type_text(v).s, axis);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_dtype dtype = tq_dtype_parse(tq_attr_string(t->attrs, "dtype"));
    const int64_t shift = tq_attr_int(t->attrs, "shift"), axis = tq_attr_int(t->attrs, "axis");
    const int64_t q_min = tq_attr_int(t->attrs, "q_min"), q_max = tq_attr_int(t->attrs, "q_max");
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_INTEGER));
    if (!tq_dtype_is_integer(dtype))
        return tq_fail(TQ_ERR_TYPE, "dtype is '%s'; expected an integer",
                       tq_attr_string(t->attrs, "dtype"));
    if (shift < 0 || shift > 62)
        return tq_fail(TQ_ERR_VALUE, "shift is %lld; expected 0 to 62", (long long)shift);
    if (q_min > q_max || q_min < tq_dtype_min(dtype) || q_max > tq_dtype_max(dtype))
        return tq_fail(TQ_ERR_VALUE, "codes from %lld to %lld do not fit %s", (long long)q_min,
                       (long long)q_max, tq_dtype_name(dtype));
    if (axis < 0 || axis >= TQ_MAX_RANK)
        return tq_fail(TQ_ERR_VALUE, "axis is %lld", (long long)axis);
    if (t->in[X]->rank >= 0) {
        TQ_TRY(check_vector(t, MULTIPLIER, (int)axis));
        TQ_TRY(check_vector(t, ADDEND, (int)axis));
    }
    t->out[0] = *t->in[X];
    t->out[0].dtype = dtype;
    return TQ_OK;
}

/** Wrapping, so that it is defined where no proof was made. */
static int64_t shifted(int64_t x, int64_t multiplier, int64_t addend, const settings *s)
{
    const int64_t v = (int64_t)((uint64_t)x * (uint64_t)multiplier + (uint64_t)addend) >> s->shift;
    return tq_clip_i64(v, s->q_min, s->q_max);
}

static settings read_settings(const tq_attrs *attrs)
{
    return (settings){ tq_attr_int(attrs, "shift"), tq_attr_int(attrs, "q_min"),
                       tq_attr_int(attrs, "q_max") };
}

static int64_t entry(const tq_op_run *run, int i, int64_t c)
{
    const bool one = tq_type_count(run->in_types[i]) == 1;
    return tq_load_i64(run->in[i], run->in_types[i]->dtype, one ? 0 : c);
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const tq_dtype dtype = run->out_types[0]->dtype;
    const settings s = read_settings(run->attrs);
    const int axis = (int)tq_attr_int(run->attrs, "axis");
    const bool has_axis = axis < x->rank;
    const int64_t n_outer = has_axis ? tq_type_count_to(x, axis) : 1,
                  n_channels = has_axis ? x->dims[axis] : 1;
    const int64_t n_inner = has_axis ? tq_type_count_from(x, axis + 1) : tq_type_count(x);
    for (int64_t o = 0; o < n_outer; o++)
        for (int64_t c = 0; c < n_channels; c++) {
            const int64_t multiplier = entry(run, MULTIPLIER, c), addend = entry(run, ADDEND, c);
            const int64_t first = (o * n_channels + c) * n_inner;
            for (int64_t i = first; i < first + n_inner; i++)
                tq_store_i64(run->out[0], dtype, i,
                             shifted(tq_load_i64(run->in[X], x->dtype, i), multiplier, addend, &s));
        }
}

/** Range of x * multiplier + addend over the channels; false when it leaves 64 bits. */
static bool product_range(const tq_bounds *b, int64_t *out_lo, int64_t *out_hi)
{
    int64_t lo, hi;
    tq_bounds_input(b, X, &lo, &hi);
    const tq_tensor *m = tq_bounds_types(b)->in_known[MULTIPLIER],
                    *a = tq_bounds_types(b)->in_known[ADDEND];
    const int64_t n_m = tq_tensor_count(m), n_a = tq_tensor_count(a), n = n_m > n_a ? n_m : n_a;
    __int128 least = (__int128)1 << 126, most = -least;
    for (int64_t c = 0; c < n; c++) {
        const __int128 multiplier = tq_load_i64(m->data, m->type.dtype, n_m == 1 ? 0 : c);
        const __int128 addend = tq_load_i64(a->data, a->type.dtype, n_a == 1 ? 0 : c);
        const __int128 p = lo * multiplier + addend, q = hi * multiplier + addend;
        least = p < least ? p : least;
        least = q < least ? q : least;
        most = p > most ? p : most;
        most = q > most ? q : most;
    }
    const bool fits = least >= INT64_MIN && most <= INT64_MAX;
    *out_lo = fits ? (int64_t)least : INT64_MIN;
    *out_hi = fits ? (int64_t)most : INT64_MAX;
    return fits;
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const settings s = read_settings(t->attrs);
    int64_t lo, hi;
    if (!t->in_known[MULTIPLIER] || !t->in_known[ADDEND]) {
        tq_bounds_intermediate(b, "x * multiplier + addend", INT64_MIN, INT64_MAX, 63);
        tq_bounds_set(b, 0, s.q_min, s.q_max);
        return TQ_OK;
    }
    const bool fits = product_range(b, &lo, &hi);
    tq_bounds_intermediate(b, "x * multiplier + addend", lo, hi, fits ? 64 : 63);
    if (fits)
        tq_bounds_set(b, 0, tq_clip_i64(lo >> s.shift, s.q_min, s.q_max),
                      tq_clip_i64(hi >> s.shift, s.q_min, s.q_max));
    else
        tq_bounds_set(b, 0, s.q_min, s.q_max);
    return TQ_OK;
}

const tq_op tq_op_requant = {
    .entry = { .name = "Requant",
               .brief = "accumulator to code: clip((x * multiplier + addend) >> shift)" },
    .domain = "truq",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x", "multiplier", "addend" },
    .outputs = { "y" },
    .attrs = { { .name = "shift", .kind = TQ_ATTR_INT },
               { .name = "q_min", .kind = TQ_ATTR_INT },
               { .name = "q_max", .kind = TQ_ATTR_INT },
               { .name = "dtype", .kind = TQ_ATTR_STRING, .s = "u8" },
               { .name = "axis", .kind = TQ_ATTR_INT, .i = 1 } },
    .required_attrs = 7,
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};
