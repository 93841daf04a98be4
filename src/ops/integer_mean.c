/* QuantLib's rounded means and quotients, all with ties up:
 *
 * IntegerMean: y = floor(mean of x over `axes` + 1/2)
 * IntegerDiv: y = floor(x Delta eta / (z eta + eps) + 1/2), with broadcasting; TrueIntegerDiv has z
 * as an attribute. Division by zero gives 0. */
#include "ops/pact_internal.h"

#include "ops/strided_internal.h"

#include <truq/integerise.h>

enum { X, Z };

/* ---- IntegerMean ----------------------------------------------------------------------------- */

static tq_status mean_axes(const tq_attrs *attrs, int rank, uint32_t *out_bits)
{
    int n;
    const int64_t *axes = tq_attr_ints(attrs, "axes", &n);
    TQ_TRY(tq_axes_bits(axes, n, rank, out_bits));
    if (n == 0)
        *out_bits = (1u << rank) - 1;
    return TQ_OK;
}

static tq_status mean_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    uint32_t bits;
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    tq_infer_rank_only(t, -1);
    if (x->rank < 0)
        return TQ_OK;
    TQ_TRY(mean_axes(t->attrs, x->rank, &bits));
    const bool keep = tq_attr_int(t->attrs, "keepdims");
    t->out[0].rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (!(bits >> d & 1) || keep)
            t->out[0].dims[t->out[0].rank++] = bits >> d & 1 ? 1 : x->dims[d];
    return TQ_OK;
}

/** floor(a / b + 1/2), b > 0. */
static tq_wide rounded(tq_wide a, tq_wide b)
{
    return tq_floor_div(2 * a + b, 2 * b);
}

static void mean_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    uint32_t bits = 0;
    tq_status_drop(mean_axes(run->attrs, x->rank, &bits));
    int64_t strides[TQ_MAX_RANK], outer[TQ_MAX_RANK], inner[TQ_MAX_RANK], n = 1;
    int64_t outer_at[TQ_MAX_RANK] = { 0 }, inner_at[TQ_MAX_RANK] = { 0 };
    tq_type_strides(x, strides);
    for (int d = 0; d < x->rank; d++) {
        outer[d] = bits >> d & 1 ? 1 : x->dims[d];
        inner[d] = bits >> d & 1 ? x->dims[d] : 1;
        n *= inner[d];
    }
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++) {
        tq_wide sum = 0;
        for (int64_t k = 0; k < n; k++) {
            int64_t from = 0;
            for (int d = 0; d < x->rank; d++)
                from += (outer_at[d] + inner_at[d]) * strides[d];
            sum += tq_load_i64(run->in[X], x->dtype, from);
            tq_index_next(x->rank, inner, inner_at);
        }
        tq_store_i64(run->out[0], x->dtype, i, n ? tq_narrow(rounded(sum, n)) : 0);
        tq_index_next(x->rank, outer, outer_at);
    }
}

/* ---- IntegerDiv, TrueIntegerDiv -------------------------------------------------------------- */

typedef struct settings {
    tq_wide delta, eps, eta;
} settings;

static settings read_settings(const tq_attrs *attrs)
{
    return (settings){ tq_attr_int(attrs, "Delta"), tq_attr_int(attrs, "eps"),
                       tq_attr_int(attrs, "eta") };
}

static tq_status check_settings(const tq_attrs *attrs)
{
    static const char *const names[] = { "Delta", "eps", "eta" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const int64_t v = tq_attr_int(attrs, names[i]);
        if (v < -INT32_MAX || v > INT32_MAX)
            return tq_fail(TQ_ERR_VALUE, "%s is %lld; expected at most 31 bits", names[i],
                           (long long)v);
    }
    return TQ_OK;
}

static tq_status div_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    TQ_TRY(check_settings(t->attrs));
    return tq_op_infer_broadcast(t);
}

static tq_status true_div_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    TQ_TRY(check_settings(t->attrs));
    return tq_op_infer_same(t);
}

static int64_t quotient(int64_t x, int64_t z, const settings *s)
{
    tq_wide over = (tq_wide)tq_clip_i64(x, -(INT64_MAX >> 1), INT64_MAX >> 1) * s->delta * s->eta;
    tq_wide under = z * s->eta + s->eps;
    if (under == 0)
        return 0;
    if (under < 0) {
        over = -over;
        under = -under;
    }
    return tq_narrow(rounded(over, under));
}

static void div_reference(const tq_op_run *run)
{
    const tq_type *y = run->out_types[0];
    const settings s = read_settings(run->attrs);
    int64_t x_strides[TQ_MAX_RANK], z_strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    tq_broadcast_strides(run->in_types[X], y, x_strides);
    tq_broadcast_strides(run->in_types[Z], y, z_strides);
    for (int64_t i = 0; i < tq_type_count(y); i++) {
        int64_t x = 0, z = 0;
        for (int d = 0; d < y->rank; d++) {
            x += at[d] * x_strides[d];
            z += at[d] * z_strides[d];
        }
        tq_store_i64(run->out[0], y->dtype, i,
                     quotient(tq_load_i64(run->in[X], y->dtype, x),
                              tq_load_i64(run->in[Z], y->dtype, z), &s));
        tq_index_next(y->rank, y->dims, at);
    }
}

static void true_div_reference(const tq_op_run *run)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const settings s = read_settings(run->attrs);
    const int64_t z = tq_attr_int(run->attrs, "y");
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        tq_store_i64(run->out[0], dtype, i, quotient(tq_load_i64(run->in[X], dtype, i), z, &s));
}

const tq_op tq_op_integer_mean = {
    .entry = { .name = "IntegerMean",
               .brief = "mean over axes, rounded half up",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "axes", .kind = TQ_ATTR_INTS },
               { .name = "keepdims", .kind = TQ_ATTR_INT, .i = 1 } },
    .infer = mean_infer,
    .reference = mean_reference,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_integer_div = {
    .entry = { .name = "IntegerDiv",
               .brief = "quotient of two tensors, rounded half up",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x", "y" },
    .outputs = { "z" },
    .attrs = { { .name = "Delta", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "eps", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "eta", .kind = TQ_ATTR_INT, .i = 1 } },
    .infer = div_infer,
    .reference = div_reference,
};

const tq_op tq_op_true_integer_div = {
    .entry = { .name = "TrueIntegerDiv",
               .brief = "quotient by a number, rounded half up",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "z" },
    .attrs = { { .name = "Delta", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "eps", .kind = TQ_ATTR_INT },
               { .name = "eta", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "y", .kind = TQ_ATTR_INT, .i = 1 } },
    .required_attrs = 8,
    .infer = true_div_infer,
    .reference = true_div_reference,
};
