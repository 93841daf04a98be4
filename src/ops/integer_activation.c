/* QuantLib's integer activations:
 *
 * iGELU (I-BERT, arXiv:2101.01321): L = sign(x) (one - (min(|x|, -b) + b)^2),  y = x floor((one +
 * L) / 2) iHardswish: y = x clip(x + three, 0, six) one_over_six
 *
 * Both return what they compute on the scale that follows; a RequantShift comes next. */
#include "ops/pact_internal.h"

#include <truq/integerise.h>

enum { X };

static void store(const tq_op_run *run, int64_t i, tq_wide y)
{
    tq_store_i64(run->out[0], run->out_types[0]->dtype, i, tq_narrow(y));
}

static tq_wide gelu(tq_wide x, tq_wide b, tq_wide one)
{
    const tq_wide size = x < 0 ? -x : x, held = size < -b ? size : -b;
    const tq_wide l = one - (held + b) * (held + b);
    return x * ((one + (x > 0 ? l : x < 0 ? -l : 0)) >> 1);
}

static void gelu_reference(const tq_op_run *run)
{
    const int64_t b = tq_attr_int(run->attrs, "b"), one = tq_attr_int(run->attrs, "one");
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        store(run, i, gelu(tq_load_i64(run->in[X], run->in_types[X]->dtype, i), b, one));
}

static tq_status gelu_infer(tq_op_types *t)
{
    const int64_t b = tq_attr_int(t->attrs, "b"), one = tq_attr_int(t->attrs, "one");
    if (b > 0 || b < -INT32_MAX || one < 0 || one > INT64_C(1) << 62)
        return tq_fail(TQ_ERR_VALUE, "b is %lld and one %lld; expected b <= 0 <= one", (long long)b,
                       (long long)one);
    return tq_pact_infer(t);
}

static tq_wide hardswish(const tq_attrs *attrs, tq_wide x)
{
    const tq_wide six = tq_attr_int(attrs, "six"), shifted = x + tq_attr_int(attrs, "three");
    return x * ((shifted < 0     ? 0
                 : shifted > six ? six
                                 : shifted) *
                tq_attr_int(attrs, "one_over_six"));
}

static void hardswish_reference(const tq_op_run *run)
{
    for (int64_t i = 0; i < tq_type_count(run->in_types[X]); i++)
        store(run, i, hardswish(run->attrs, tq_load_i64(run->in[X], run->in_types[X]->dtype, i)));
}

static tq_status hardswish_infer(tq_op_types *t)
{
    static const char *const names[] = { "three", "six", "one_over_six" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const int64_t v = tq_attr_int(t->attrs, names[i]);
        if (v < 0 || v > INT32_MAX)
            return tq_fail(TQ_ERR_VALUE, "%s is %lld; expected 0 to 2^31 - 1", names[i],
                           (long long)v);
    }
    return tq_pact_infer(t);
}

/** x times a factor in [lo, hi]. */
static tq_status set_product(tq_bounds *b, tq_wide lo, tq_wide hi)
{
    int64_t x_lo, x_hi;
    tq_bounds_input(b, X, &x_lo, &x_hi);
    const tq_wide corners[] = { x_lo * lo, x_lo * hi, x_hi * lo, x_hi * hi };
    tq_wide least = corners[0], most = corners[0];
    for (int i = 1; i < TQ_COUNT(corners); i++) {
        least = corners[i] < least ? corners[i] : least;
        most = corners[i] > most ? corners[i] : most;
    }
    const bool fits = least >= INT64_MIN && most <= INT64_MAX;
    tq_bounds_intermediate(b, "product", tq_narrow(least), tq_narrow(most), fits ? 64 : 63);
    tq_bounds_set(b, 0, tq_narrow(least), tq_narrow(most));
    return TQ_OK;
}

/** |L| is at most one, or b^2 - one where the parabola goes below. */
static tq_status gelu_bounds(tq_bounds *b)
{
    const tq_attrs *attrs = tq_bounds_types(b)->attrs;
    const tq_wide one = tq_attr_int(attrs, "one"), k = tq_attr_int(attrs, "b");
    const tq_wide most = k * k - one > one ? k * k - one : one;
    return set_product(b, (one - most) >> 1, (one + most) >> 1);
}

static tq_status hardswish_bounds(tq_bounds *b)
{
    const tq_attrs *attrs = tq_bounds_types(b)->attrs;
    return set_product(b, 0,
                       (tq_wide)tq_attr_int(attrs, "six") * tq_attr_int(attrs, "one_over_six"));
}

const tq_op tq_op_i_gelu = {
    .entry = { .name = "iGELU",
               .brief = "integer GELU by a polynomial",
               .source = "arXiv:2101.01321" },
    .domain = "PACTOps",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "b", .kind = TQ_ATTR_INT }, { .name = "one", .kind = TQ_ATTR_INT } },
    .required_attrs = 3,
    .infer = gelu_infer,
    .reference = gelu_reference,
    .bounds = gelu_bounds,
};

const tq_op tq_op_i_hardswish = {
    .entry = { .name = "iHardswish",
               .brief = "integer hard swish",
               .source = "github.com/pulp-platform/quantlib" },
    .domain = "PACTOps",
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "three", .kind = TQ_ATTR_INT },
               { .name = "six", .kind = TQ_ATTR_INT },
               { .name = "one_over_six", .kind = TQ_ATTR_INT } },
    .required_attrs = 7,
    .infer = hardswish_infer,
    .reference = hardswish_reference,
    .bounds = hardswish_bounds,
};
