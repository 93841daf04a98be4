/* QONNX: quantisers as operators on reals. Each becomes FakeQuantize with the quantiser "fixed".
 *
 *   Quant(x, scale, zero_point, bits)   y = scale (round(clip(x / scale + zero_point)) -
 * zero_point) BipolarQuant(x, scale)              y = scale where x >= 0, else -scale Trunc(x,
 * scale, zero_point, bits in, bits out) y = scale floor(round(x / scale) / 2^(bits in - bits out))
 *   Trunc of version 2 (.., scale out, bits out)
 *                                       the same on a scale of its own, clipped to bits out
 *
 * Scale, zero point and bits are constants; the scale is one number or one per index of one axis.
 * rounding_mode ROUND is half to even, HALF_UP is half away from zero; FLOOR. Others have no grid
 * here. Source: Pappalardo et al., arXiv:2206.07527; github.com/fastmachinelearning/qonnx. */
#include "onnx/onnx_internal.h"

#include <math.h>
#include <string.h>

/** A grid being put together. */
typedef struct quantizer {
    int64_t q_min, n_levels, step;
    const char *rounding;
    int axis;  /* -1: one scale */
    int64_t n; /* scales */
    float *scale, *zero;
} quantizer;

/* ---- reading ---- */

static tq_status constant_of(const tq_draft *draft, int i, const char *what, const tq_tensor **out)
{
    const tq_value *value = tq_draft_input(draft, i);
    if (!value)
        return tq_fail(TQ_ERR_FORMAT, "has no input %d (%s)", i, what);
    *out = tq_value_tensor(value);
    if (!*out)
        return tq_fail(TQ_ERR_UNSUPPORTED, "its %s '%s' is not a constant", what,
                       tq_value_name(value));
    return TQ_OK;
}

static tq_status number_of(const tq_draft *draft, int i, const char *what, double *out)
{
    const tq_tensor *tensor;
    TQ_TRY(constant_of(draft, i, what, &tensor));
    if (tq_tensor_count(tensor) < 1)
        return tq_fail(TQ_ERR_FORMAT, "its %s is empty", what);
    *out = tq_load_f64(tensor->data, tensor->type.dtype, 0);
    for (int64_t k = 1; k < tq_tensor_count(tensor); k++)
        if (tq_load_f64(tensor->data, tensor->type.dtype, k) != *out)
            return tq_fail(TQ_ERR_UNSUPPORTED, "its %s is not one number", what);
    if (!isfinite(*out))
        return tq_fail(TQ_ERR_VALUE, "its %s is %g", what, *out);
    return TQ_OK;
}

static tq_status bits_of(const tq_draft *draft, int i, int *out_bits)
{
    double bits = 0;
    TQ_TRY(number_of(draft, i, "bit width", &bits));
    if (bits != floor(bits) || bits < 1 || bits > 32)
        return tq_fail(TQ_ERR_UNSUPPORTED, "bit width is %g, 1 to 32 are supported", bits);
    *out_bits = (int)bits;
    return TQ_OK;
}

static tq_status set_rounding(const tq_draft *draft, const char *otherwise, quantizer *q)
{
    static const char *const known[][2] = { { "ROUND", "half-even" },
                                            { "HALF_EVEN", "half-even" },
                                            { "HALF_UP", "half-away" },
                                            { "FLOOR", "floor" } };
    const char *mode = otherwise;
    TQ_TRY(tq_draft_string(draft, "rounding_mode", &mode));
    for (int i = 0; i < TQ_COUNT(known); i++)
        if (strcmp(mode, known[i][0]) == 0) {
            q->rounding = known[i][1];
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_UNSUPPORTED,
                   "rounding_mode '%.20s' is not supported; ROUND, HALF_EVEN, HALF_UP and FLOOR "
                   "are",
                   mode);
}

static void set_range(quantizer *q, int bits, bool is_signed, bool narrow)
{
    const int64_t n = INT64_C(1) << bits;
    q->step = 1;
    q->n_levels = narrow ? n - 1 : n;
    q->q_min = is_signed ? -(n / 2) + narrow : 0;
    if (bits == 1 && is_signed) { /* both packages read one signed bit as -1, 1 */
        q->q_min = -1;
        q->n_levels = 2;
        q->step = 2;
    }
}

/** The axis of x along which a scale that broadcasts to it changes. */
static tq_status set_axis(const tq_draft *draft, const tq_type *scale, quantizer *q)
{
    const tq_value *x = tq_draft_input(draft, 0);
    const int rank = x ? tq_value_type(x)->rank : -1;
    q->axis = -1;
    q->n = 1;
    for (int d = 0; d < scale->rank; d++) {
        if (scale->dims[d] == 1)
            continue;
        if (rank < scale->rank || q->axis >= 0 || scale->dims[d] < 1)
            return tq_fail(
                TQ_ERR_UNSUPPORTED,
                "its scale is %s; one number, or one per index of one axis, is supported",
                tq_type_text(scale).s);
        q->axis = rank - scale->rank + d;
        q->n = scale->dims[d];
    }
    return TQ_OK;
}

static tq_status set_scale(const tq_draft *draft, int i, quantizer *q)
{
    const tq_tensor *scale;
    TQ_TRY(constant_of(draft, i, "scale", &scale));
    TQ_TRY(set_axis(draft, &scale->type, q));
    q->scale = TQ_NEW_N(draft->arena, float, q->n);
    q->zero = TQ_NEW_N(draft->arena, float, q->n);
    for (int64_t k = 0; k < q->n; k++) {
        const double s = tq_load_f64(scale->data, scale->type.dtype, k);
        if (!(s > 0.0) || !isfinite(s))
            return tq_fail(TQ_ERR_VALUE, "its scale is %g, expected a number above 0", s);
        q->scale[k] = (float)s;
    }
    return TQ_OK;
}

/** One zero point, or one for each scale, in the same order. */
static tq_status set_zero_points(const tq_draft *draft, int i, quantizer *q)
{
    const tq_tensor *zero;
    TQ_TRY(constant_of(draft, i, "zero point", &zero));
    const int64_t n = tq_tensor_count(zero);
    if (n != 1 && n != q->n)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %lld zero points and %lld scales", (long long)n,
                       (long long)q->n);
    for (int64_t k = 0; k < q->n; k++) {
        const double z = tq_load_f64(zero->data, zero->type.dtype, n == 1 ? 0 : k);
        if (z != rint(z) || fabs(z) > 0x1p24)
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "its zero point is %g; whole numbers up to 2^24 are supported", z);
        q->zero[k] = (float)z;
    }
    return TQ_OK;
}

/* ---- building ---- */

static tq_status add_parameter(tq_draft *draft, const char *suffix, const quantizer *q,
                               float *values, tq_value **out)
{
    const tq_tensor tensor = { .type = tq_type_make(TQ_F32, 1, &q->n), .data = values };
    return tq_draft_add_constant(draft, suffix, &tensor, out);
}

/** FakeQuantize(x) as what the draft makes. */
static tq_status finish(tq_draft *draft, tq_value *x, const quantizer *q)
{
    tq_value *scale, *zero;
    bool offset = false;
    for (int64_t k = 0; k < q->n; k++)
        offset = offset || q->zero[k] != 0.0f;
    TQ_TRY(add_parameter(draft, ".scale", q, q->scale, &scale));
    TQ_TRY(add_parameter(draft, ".zero_point", q, q->zero, &zero));
    const char *slot = tq_value_is_const(x) ? "weight" : tq_value_is_input(x) ? "input" : "";
    const tq_attr attrs[] = { TQ_STRING("quantizer", "fixed"),
                              TQ_INT("q_min", q->q_min),
                              TQ_INT("n_levels", q->n_levels),
                              TQ_INT("step", q->step),
                              TQ_STRING("rounding", q->rounding),
                              TQ_INT("axis", q->axis),
                              TQ_INT("observe", 0),
                              TQ_INT("free_offset", offset),
                              TQ_STRING("slot", slot) };
    TQ_TRY(tq_draft_add_part(draft,
                             &(tq_part){ .op = "FakeQuantize",
                                         .domain = "truq",
                                         .suffix = "",
                                         .n_inputs = 3,
                                         .inputs = { x, scale, zero },
                                         .n_attrs = TQ_COUNT(attrs),
                                         .attrs = attrs },
                             NULL));
    if (!tq_graph_meta(draft->graph, "dialect"))
        tq_graph_set_meta(draft->graph, "dialect", "qonnx");
    return TQ_OK;
}

static tq_status input_of(const tq_draft *draft, tq_value **out_x)
{
    *out_x = tq_draft_input(draft, 0);
    return *out_x ? TQ_OK : tq_fail(TQ_ERR_FORMAT, "has no input");
}

/* ---- operators ---- */

static tq_status quant(tq_draft *draft)
{
    enum { X, SCALE, ZERO, BITS };
    quantizer q = { 0 };
    tq_value *x;
    int bits = 0;
    int64_t is_signed = 1, narrow = 0;
    TQ_TRY(input_of(draft, &x));
    TQ_TRY(bits_of(draft, BITS, &bits));
    TQ_TRY(tq_draft_int(draft, "signed", &is_signed));
    TQ_TRY(tq_draft_int(draft, "narrow", &narrow));
    if (bits == 1 && narrow && !is_signed)
        return tq_fail(TQ_ERR_VALUE, "one unsigned narrow bit has one level only");
    set_range(&q, bits, is_signed != 0, narrow != 0);
    TQ_TRY(set_rounding(draft, "ROUND", &q));
    TQ_TRY(set_scale(draft, SCALE, &q));
    TQ_TRY(set_zero_points(draft, ZERO, &q));
    if (q.step == 2)
        q.rounding = "half-up"; /* 0 goes to 1 */
    return finish(draft, x, &q);
}

static tq_status bipolar_quant(tq_draft *draft)
{
    quantizer q = { .q_min = -1, .n_levels = 2, .step = 2, .rounding = "half-up" };
    tq_value *x;
    TQ_TRY(input_of(draft, &x));
    TQ_TRY(set_scale(draft, 1, &q));
    return finish(draft, x, &q);
}

/** x 2^-n before a grid of the same scale drops n bits. */
static tq_status shift_down(tq_draft *draft, tq_value *x, int n, tq_value **out)
{
    float factor = ldexpf(1.0f, -n);
    const tq_tensor tensor = { .type = { .dtype = TQ_F32 }, .data = &factor };
    tq_value *constant;
    TQ_TRY(tq_draft_add_constant(draft, ".factor", &tensor, &constant));
    return tq_draft_add_part(
        draft,
        &(tq_part){ .op = "Mul", .suffix = ".shifted", .n_inputs = 2, .inputs = { x, constant } },
        out);
}

static tq_status no_zero_point(const quantizer *q)
{
    for (int64_t k = 0; k < q->n; k++)
        if (q->zero[k] != 0.0f)
            return tq_fail(TQ_ERR_UNSUPPORTED, "a zero point of %g is not supported, only 0 is",
                           (double)q->zero[k]);
    return TQ_OK;
}

/** Version 1 does not clip: a range one bit wider holds codes of either sign. */
static tq_status trunc_1(tq_draft *draft)
{
    enum { X, SCALE, ZERO, BITS_IN, BITS_OUT };
    quantizer q = { 0 };
    tq_value *x;
    int bits_in = 0, bits_out = 0;
    TQ_TRY(input_of(draft, &x));
    TQ_TRY(bits_of(draft, BITS_IN, &bits_in));
    TQ_TRY(bits_of(draft, BITS_OUT, &bits_out));
    if (bits_out > bits_in || bits_out > 31)
        return tq_fail(TQ_ERR_UNSUPPORTED, "truncates %d bits to %d", bits_in, bits_out);
    TQ_TRY(set_rounding(draft, "FLOOR", &q));
    TQ_TRY(set_scale(draft, SCALE, &q));
    TQ_TRY(set_zero_points(draft, ZERO, &q));
    TQ_TRY(no_zero_point(&q));
    set_range(&q, bits_out + 1, true, false);
    if (bits_in > bits_out)
        TQ_TRY(shift_down(draft, x, bits_in - bits_out, &x));
    return finish(draft, x, &q);
}

/** The grid of the output alone: x lies on that of the input, of which it is a multiple. */
static tq_status trunc_2(tq_draft *draft)
{
    enum { X, SCALE, ZERO, BITS_IN, SCALE_OUT, BITS_OUT };
    quantizer q = { 0 };
    tq_value *x;
    int bits_out = 0;
    int64_t is_signed = 1, narrow = 0;
    TQ_TRY(input_of(draft, &x));
    TQ_TRY(bits_of(draft, BITS_OUT, &bits_out));
    TQ_TRY(tq_draft_int(draft, "signed", &is_signed));
    TQ_TRY(tq_draft_int(draft, "narrow", &narrow));
    TQ_TRY(set_rounding(draft, "FLOOR", &q));
    TQ_TRY(set_scale(draft, SCALE, &q));
    TQ_TRY(set_zero_points(draft, ZERO, &q));
    TQ_TRY(no_zero_point(&q));
    TQ_TRY(set_scale(draft, SCALE_OUT, &q));
    set_range(&q, bits_out, is_signed != 0, narrow != 0);
    return finish(draft, x, &q);
}

static tq_status trunc_any(tq_draft *draft)
{
    return draft->n_inputs > 5 ? trunc_2(draft) : trunc_1(draft);
}

enum { ANY = INT32_MAX };

static const tq_draft_rule rules[] = {
    { "BipolarQuant", 1, ANY, bipolar_quant },
    { "IntQuant", 1, ANY, quant },
    { "Quant", 1, ANY, quant },
    { "Trunc", 1, ANY, trunc_any },
};

tq_status tq_onnx_upgrade_qonnx(tq_draft *draft)
{
    static const char *const domains[] = { "qonnx.custom_op.general", "finn.custom_op.general",
                                           "onnx.brevitas" };
    for (int i = 0; i < TQ_COUNT(domains); i++)
        if (strcmp(draft->domain, domains[i]) == 0)
            return tq_draft_apply(draft, rules, TQ_COUNT(rules));
    return TQ_OK;
}
