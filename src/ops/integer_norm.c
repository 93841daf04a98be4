/* QuantLib's integer normalisations over the last axis of n elements:
 *
 * iLayerNorm: c = x - trunc(sum x / n),  d = floor(sqrt(floor(sum c^2 / n) + 1)),
 *   y = clip(floor((trunc(c w / d) + b) / D), -n_levels/2, n_levels/2 - 1)
 * iRMSNorm: d = floor(sqrt(floor(sum x^2 / n) + 1)),  y = clip(floor(x w / (d D)), as above) */
#include "ops/pact_internal.h"

#include <truq/integerise.h>

enum { X, WEIGHT, BIAS };

typedef struct settings {
    int64_t d, n_levels;
} settings;

static tq_status check(const tq_op_types *t, const settings *s)
{
    TQ_TRY(tq_pact_check_levels(s->n_levels));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    if (s->d < 1)
        return tq_fail(TQ_ERR_VALUE, "D is %lld; expected a positive number", (long long)s->d);
    const tq_type *x = t->in[X];
    for (int i = WEIGHT; i < t->n_in; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_NUMERIC));
        const int64_t n = t->in[i]->rank < 0 ? TQ_DIM_ANY : tq_type_count(t->in[i]);
        if (n != 1 && !tq_dim_fits(n, x->dims[x->rank - 1]))
            return tq_fail(
                TQ_ERR_SHAPE,
                "x is %s, input %d is %s; expected one entry per element of the last axis",
                tq_type_text(x).s, i, tq_type_text(t->in[i]).s);
    }
    return TQ_OK;
}

static settings layer_settings(const tq_attrs *attrs)
{
    return (settings){ tq_pact_number(attrs, "D", 0), tq_pact_number(attrs, "n_levels", 256) };
}

static settings rms_settings(const tq_attrs *attrs)
{
    return (settings){ tq_attr_int(attrs, "D"), tq_attr_int(attrs, "n_levels") };
}

static tq_status layer_infer(tq_op_types *t)
{
    const settings s = layer_settings(t->attrs);
    TQ_TRY(tq_pact_infer(t));
    return check(t, &s);
}

static tq_status rms_infer(tq_op_types *t)
{
    const settings s = rms_settings(t->attrs);
    TQ_TRY(tq_pact_infer(t));
    return check(t, &s);
}

/** floor(sqrt(v)) by bisection on 64-bit roots. */
static int64_t root(tq_wide v)
{
    int64_t lo = 0, hi = INT64_MAX;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2 + 1;
        if ((tq_wide)middle * middle <= v)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

static int64_t load(const tq_op_run *run, int i, int64_t at)
{
    const tq_type *type = run->in_types[i];
    return tq_load_i64(run->in[i], type->dtype, i != X && tq_type_count(type) == 1 ? 0 : at);
}

static void store(const tq_op_run *run, int64_t i, tq_wide y, const settings *s)
{
    const int64_t half = s->n_levels / 2;
    tq_store_i64(run->out[0], run->out_types[0]->dtype, i,
                 tq_clip_i64(tq_narrow(y), -half, half - 1));
}

/** x - center; beyond 2^46, which no code of 32 bits reaches, it is cut so that squares add up. */
static tq_wide distance(const tq_op_run *run, int64_t at, tq_wide center)
{
    const tq_wide limit = (tq_wide)1 << 46, c = load(run, X, at) - center;
    return c < -limit ? -limit : c > limit ? limit : c;
}

/** floor(sqrt(floor(mean of (x - center)^2) + 1)): at least 1. */
static int64_t deviation(const tq_op_run *run, int64_t first, int64_t n, tq_wide center)
{
    tq_wide sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const tq_wide c = distance(run, first + i, center);
        sum += c * c;
    }
    return root(sum / n + 1);
}

static void layer_row(const tq_op_run *run, int64_t first, int64_t n, const settings *s)
{
    tq_wide sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += load(run, X, first + i);
    const tq_wide mean = sum / n;
    const int64_t d = deviation(run, first, n, mean);
    for (int64_t i = 0; i < n; i++) {
        const tq_wide scaled = distance(run, first + i, mean) * load(run, WEIGHT, i) / d;
        store(run, first + i, tq_floor_div(scaled + load(run, BIAS, i), s->d), s);
    }
}

static void rms_row(const tq_op_run *run, int64_t first, int64_t n, const settings *s)
{
    const int64_t d = deviation(run, first, n, 0);
    for (int64_t i = 0; i < n; i++)
        store(run, first + i,
              tq_floor_div((tq_wide)load(run, X, first + i) * load(run, WEIGHT, i),
                           (tq_wide)d * s->d),
              s);
}

static void each_row(const tq_op_run *run, settings s,
                     void (*apply)(const tq_op_run *run, int64_t first, int64_t n,
                                   const settings *s))
{
    const tq_type *x = run->in_types[X];
    const int64_t count = tq_type_count(x), n = x->dims[x->rank - 1];
    for (int64_t first = 0; n > 0 && first < count; first += n)
        apply(run, first, n, &s);
}

static void layer_reference(const tq_op_run *run)
{
    each_row(run, layer_settings(run->attrs), layer_row);
}

static void rms_reference(const tq_op_run *run)
{
    each_row(run, rms_settings(run->attrs), rms_row);
}

static tq_status layer_bounds(tq_bounds *b)
{
    const int64_t half = layer_settings(tq_bounds_types(b)->attrs).n_levels / 2;
    tq_bounds_set(b, 0, -half, half - 1);
    return TQ_OK;
}

static tq_status rms_bounds(tq_bounds *b)
{
    const int64_t half = rms_settings(tq_bounds_types(b)->attrs).n_levels / 2;
    tq_bounds_set(b, 0, -half, half - 1);
    return TQ_OK;
}

const tq_op tq_op_i_layer_norm = {
    .entry = { .name = "iLayerNorm",
               .brief = "integer layer normalisation",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x", "weight", "bias" },
    .outputs = { "y" },
    .attrs = { { .name = "D", .kind = TQ_ATTR_TENSOR },
               { .name = "n_levels", .kind = TQ_ATTR_TENSOR } },
    .required_attrs = 1,
    .infer = layer_infer,
    .reference = layer_reference,
    .bounds = layer_bounds,
};

const tq_op tq_op_i_rms_norm = {
    .entry = { .name = "iRMSNorm",
               .brief = "integer root-mean-square normalisation",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x", "weight" },
    .outputs = { "y" },
    .attrs = { { .name = "D", .kind = TQ_ATTR_INT },
               { .name = "n_levels", .kind = TQ_ATTR_INT, .i = 256 } },
    .required_attrs = 1,
    .infer = rms_infer,
    .reference = rms_reference,
    .bounds = rms_bounds,
};
