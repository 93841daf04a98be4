/* QuantLib's integer softmaxes over the last axis.
 *
 * iSoftmax (I-BERT, arXiv:2101.01321): d = x - max, z = floor(-d / log2), p = d + z log2,
 *   e = floor((A (p + B)^2 + C) / 2^z),  y = floor(e (n - 1) / sum e)
 * ITAMax (arXiv:2307.03493): s = floor((max - x) b / 2^b + 1/2) with b = log2 n,
 *   inverse = floor(n (n - 1) / floor(sum n / 2^s)),  y = floor(inverse / 2^s)
 * ITAPartialMax: the same, with maximum and sum updated group by group of group_width elements. */
#include "ops/pact_internal.h"

#include <truq/integerise.h>

enum { X, MAX_SHIFT = 62, FRACTION = 24 };

typedef struct row {
    const tq_op_run *run;
    tq_dtype dtype;
    int64_t first, n;
} row;

static int64_t at(const row *r, int64_t i)
{
    return tq_load_i64(r->run->in[X], r->dtype, r->first + i);
}

static int64_t largest(const row *r, int64_t begin, int64_t end)
{
    int64_t max = INT64_MIN;
    for (int64_t i = begin; i < end; i++)
        max = at(r, i) > max ? at(r, i) : max;
    return max;
}

static void each_row(const tq_op_run *run, void (*apply)(const row *r))
{
    const tq_type *x = run->in_types[X];
    const int64_t count = tq_type_count(x), n = x->dims[x->rank - 1];
    for (int64_t first = 0; n > 0 && first < count; first += n)
        apply(&(row){ run, x->dtype, first, n });
}

/* ---- iSoftmax -------------------------------------------------------------------------------- */

typedef struct coefficients {
    int64_t a, b, c, log2, n_levels;
} coefficients;

static coefficients read_coefficients(const tq_attrs *attrs)
{
    return (coefficients){ tq_pact_number(attrs, "coeffA", 1), tq_pact_number(attrs, "coeffB", 0),
                           tq_pact_number(attrs, "coeffC", 0), tq_pact_number(attrs, "log2", 0),
                           tq_pact_number(attrs, "n_levels", 256) };
}

static tq_status softmax_infer(tq_op_types *t)
{
    const coefficients k = read_coefficients(t->attrs);
    const int64_t limit = INT32_MAX;
    TQ_TRY(tq_pact_infer(t));
    TQ_TRY(tq_pact_check_levels(k.n_levels));
    if (k.log2 < 1 || k.log2 > limit || k.a < -limit || k.a > limit || k.b < -limit || k.b > limit)
        return tq_fail(TQ_ERR_VALUE, "coeffA %lld, coeffB %lld, log2 %lld are out of range",
                       (long long)k.a, (long long)k.b, (long long)k.log2);
    return TQ_OK;
}

static tq_wide exponential(const coefficients *k, tq_wide d)
{
    const tq_wide z = -d / k->log2, p = d + z * k->log2;
    return (k->a * (p + k->b) * (p + k->b) + k->c) >> (z > MAX_SHIFT ? MAX_SHIFT : (int)z);
}

static void softmax_row(const row *r)
{
    const coefficients k = read_coefficients(r->run->attrs);
    const tq_wide max = largest(r, 0, r->n);
    tq_wide sum = 0;
    for (int64_t i = 0; i < r->n; i++)
        sum += exponential(&k, at(r, i) - max);
    for (int64_t i = 0; i < r->n; i++) {
        const tq_wide y =
            sum > 0 ? tq_floor_div(exponential(&k, at(r, i) - max) * (k.n_levels - 1), sum) : 0;
        tq_store_i64(r->run->out[0], r->dtype, r->first + i,
                     tq_clip_i64(tq_narrow(y), 0, k.n_levels - 1));
    }
}

static void softmax_reference(const tq_op_run *run)
{
    each_row(run, softmax_row);
}

/* ---- ITAMax, ITAPartialMax ------------------------------------------------------------------- */

static int64_t read_levels(const tq_attrs *attrs)
{
    return tq_pact_number(attrs, "n_levels", 256);
}

static tq_status ita_infer(tq_op_types *t)
{
    const int64_t n = read_levels(t->attrs);
    TQ_TRY(tq_pact_infer(t));
    if (n < 2 || n > 65536 || (n & (n - 1)) != 0)
        return tq_fail(TQ_ERR_VALUE, "n_levels is %lld; expected a power of two up to 65536",
                       (long long)n);
    return TQ_OK;
}

static tq_status partial_infer(tq_op_types *t)
{
    const int64_t width = tq_attr_int(t->attrs, "group_width");
    if (width < 1)
        return tq_fail(TQ_ERR_VALUE, "group_width is %lld", (long long)width);
    return ita_infer(t);
}

/** floor(distance b / 2^b + 1/2), distance >= 0. */
static int ita_shift(tq_wide distance, int64_t n_levels)
{
    const int b = __builtin_ctzll((uint64_t)n_levels);
    const tq_wide shift = (distance * b + (n_levels >> 1)) >> b;
    return shift > MAX_SHIFT ? MAX_SHIFT : (int)shift;
}

/** floor(sum of n / 2^s) over part of a row. */
static int64_t ita_sum(const row *r, int64_t begin, int64_t end, int64_t max, int64_t n_levels)
{
    tq_wide sum = 0;
    for (int64_t i = begin; i < end; i++)
        sum += (tq_wide)(n_levels << FRACTION) >> ita_shift((tq_wide)max - at(r, i), n_levels);
    return tq_narrow(sum >> FRACTION);
}

static void ita_write(const row *r, int64_t max, int64_t sum, int64_t n_levels)
{
    const int64_t inverse = sum > 0 ? n_levels * (n_levels - 1) / sum : 0;
    for (int64_t i = 0; i < r->n; i++)
        tq_store_i64(r->run->out[0], r->dtype, r->first + i,
                     inverse >> ita_shift((tq_wide)max - at(r, i), n_levels));
}

static void ita_row(const row *r)
{
    const int64_t n_levels = read_levels(r->run->attrs), max = largest(r, 0, r->n);
    ita_write(r, max, ita_sum(r, 0, r->n, max, n_levels), n_levels);
}

static void partial_row(const row *r)
{
    const int64_t n_levels = read_levels(r->run->attrs),
                  width = tq_attr_int(r->run->attrs, "group_width");
    int64_t max = INT64_MIN, sum = 0;
    for (int64_t begin = 0; begin < r->n; begin += width) {
        const int64_t end = width < r->n - begin ? begin + width : r->n,
                      here = largest(r, begin, end);
        if (here > max) {
            sum >>= ita_shift((tq_wide)here - max, n_levels);
            max = here;
        }
        sum += ita_sum(r, begin, end, max, n_levels);
    }
    ita_write(r, max, sum, n_levels);
}

static void ita_reference(const tq_op_run *run)
{
    each_row(run, ita_row);
}

static void partial_reference(const tq_op_run *run)
{
    each_row(run, partial_row);
}

static tq_status bounds(tq_bounds *b)
{
    tq_bounds_set(b, 0, 0, read_levels(tq_bounds_types(b)->attrs) - 1);
    return TQ_OK;
}

const tq_op tq_op_i_softmax = {
    .entry = { .name = "iSoftmax",
               .brief = "integer softmax by a polynomial",
               .source = "arXiv:2101.01321" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "coeffA", .kind = TQ_ATTR_TENSOR },
               { .name = "coeffB", .kind = TQ_ATTR_TENSOR },
               { .name = "coeffC", .kind = TQ_ATTR_TENSOR },
               { .name = "log2", .kind = TQ_ATTR_TENSOR },
               { .name = "n_levels", .kind = TQ_ATTR_TENSOR } },
    .required_attrs = 15,
    .infer = softmax_infer,
    .reference = softmax_reference,
    .bounds = bounds,
};

const tq_op tq_op_ita_max = {
    .entry = { .name = "ITAMax",
               .brief = "integer softmax by shifts",
               .source = "arXiv:2307.03493" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "n_levels", .kind = TQ_ATTR_TENSOR } },
    .infer = ita_infer,
    .reference = ita_reference,
    .bounds = bounds,
};

const tq_op tq_op_ita_partial_max = {
    .entry = { .name = "ITAPartialMax",
               .brief = "integer softmax by shifts, group by group",
               .source = "arXiv:2307.03493" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "n_levels", .kind = TQ_ATTR_TENSOR },
               { .name = "groups", .kind = TQ_ATTR_INT },
               { .name = "group_width", .kind = TQ_ATTR_INT, .i = 16 } },
    .infer = partial_infer,
    .reference = partial_reference,
    .bounds = bounds,
};
