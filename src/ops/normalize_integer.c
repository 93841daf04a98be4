/* Normalisation of codes over the last axis by one integer square root, and the integer rules of
 * LayerNormalization, RMSNormalization and, group by group, InstanceNormalization and
 * GroupNormalization. With n elements q,
 *
 *   centred:  d_i = n q_i - sum q,             V = n sum q^2 - (sum q)^2 + epsilon
 *   else:     d_i = n (q_i - zero_point),      V = n sum (q - zero_point)^2 + epsilon
 *   r = floor(sqrt(V 2^(2 root_shift))),       y_i = floor(d_i 2^(fraction + root_shift) / r + 1/2)
 *
 * so y / 2^fraction is (x - mean) / sqrt(var + eps) for epsilon = n^2 eps / scale^2: scale and zero
 * point of x cancel. d and V are exact; y / 2^fraction is off by 2^-(fraction + 1) for its rounding
 * and by less than a part 1 / (r - 1) of itself for the root's. Gain and bias of the float operator
 * stay lazy: they go into the requantisation behind it, one factor for each channel. */
#include "ops/codes_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/pact_internal.h"

#include <math.h>

enum { X, GAIN, BIAS, FRACTION = 18, ROOT_BITS = 61 };

typedef struct settings {
    bool centred;
    int64_t epsilon, root_shift, fraction, zero_point;
} settings;

static settings read_settings(const tq_attrs *attrs)
{
    return (settings){ tq_attr_int(attrs, "centred") != 0, tq_attr_int(attrs, "epsilon"),
                       tq_attr_int(attrs, "root_shift"), tq_attr_int(attrs, "fraction"),
                       tq_attr_int(attrs, "zero_point") };
}

static tq_status infer(tq_op_types *t)
{
    const settings s = read_settings(t->attrs);
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_CODES | TQ_DTYPE_BIT(TQ_I32)));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    if (s.epsilon < 0 || s.root_shift < 0 || s.root_shift > 24 || s.fraction < 0 ||
        s.fraction > 30 || s.zero_point < INT32_MIN || s.zero_point > INT32_MAX)
        return tq_fail(TQ_ERR_VALUE,
                       "epsilon %lld, root_shift %lld, fraction %lld or zero_point %lld is out of "
                       "range",
                       (long long)s.epsilon, (long long)s.root_shift, (long long)s.fraction,
                       (long long)s.zero_point);
    t->out[0] = *t->in[X];
    t->out[0].dtype = TQ_I32;
    return TQ_OK;
}

/** floor(sqrt(v)), found bit by bit. */
static int64_t root(tq_wide v)
{
    int64_t r = 0;
    for (int bit = 62; bit >= 0; bit--) {
        const int64_t trial = r | INT64_C(1) << bit;
        if ((tq_wide)trial * trial <= v)
            r = trial;
    }
    return r;
}

static void apply(const tq_op_run *run, const settings *s, int64_t first, int64_t n)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int64_t shift = s->centred ? 0 : s->zero_point;
    tq_wide sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        const tq_wide q = (tq_wide)tq_load_i64(run->in[X], dtype, first + i) - shift;
        sum += q;
        squares += q * q;
    }
    sum = s->centred ? sum : 0;
    const tq_wide v = n * squares - sum * sum + s->epsilon;
    const tq_wide most = (tq_wide)1 << (124 - 2 * s->root_shift); /* beyond what is proven */
    const tq_wide r = root((v < most ? v : most) << (2 * s->root_shift));
    for (int64_t i = 0; i < n; i++) {
        const tq_wide d = n * ((tq_wide)tq_load_i64(run->in[X], dtype, first + i) - shift) - sum;
        const tq_wide scaled = d * ((tq_wide)2 << (s->fraction + s->root_shift));
        const tq_wide y = r > 0 ? tq_floor_div(scaled + r, 2 * r) : 0;
        tq_store_i64(run->out[0], TQ_I32, first + i, tq_narrow(y));
    }
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const settings s = read_settings(run->attrs);
    const int64_t n = x->dims[x->rank - 1];
    for (int64_t first = 0; n > 0 && first < tq_type_count(x); first += n)
        apply(run, &s, first, n);
}

/** No normalised element is larger than sqrt(n); one more for what the root was rounded. */
static int64_t largest(int64_t n, int64_t fraction)
{
    const double most = ldexp(ceil(sqrt((double)n)) + 1, (int)fraction);
    return most < 0x1p62 ? (int64_t)most : INT64_MAX;
}

/** Of |q - zero_point|, or of differences between codes. */
static int64_t magnitude(const settings *s, int64_t lo, int64_t hi)
{
    if (s->centred)
        return tq_sat_add(hi, lo == INT64_MIN ? INT64_MAX : -lo);
    const int64_t below = tq_sat_add(s->zero_point, lo == INT64_MIN ? INT64_MAX : -lo);
    const int64_t above = tq_sat_add(hi, -s->zero_point);
    return below > above ? below : above;
}

/** Largest V: n sum of squares. */
static int64_t largest_v(const settings *s, int64_t n, int64_t lo, int64_t hi)
{
    const int64_t d = tq_sat_mul(n, magnitude(s, lo, hi));
    return tq_sat_add(tq_sat_mul(d, d), s->epsilon);
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const settings s = read_settings(t->attrs);
    const int64_t dim = t->in[X]->dims[t->in[X]->rank - 1], n = dim == TQ_DIM_ANY ? INT32_MAX : dim;
    int64_t lo, hi;
    tq_bounds_input(b, X, &lo, &hi);
    const int64_t v = tq_sat_mul(largest_v(&s, n, lo, hi), INT64_C(1) << (2 * s.root_shift));
    const int64_t d =
        tq_sat_mul(tq_sat_mul(n, magnitude(&s, lo, hi)), INT64_C(2) << (s.fraction + s.root_shift));
    const int64_t widest = v > d ? v : d, y = largest(n, s.fraction);
    tq_bounds_intermediate(b, "square", -widest, widest, 63);
    tq_bounds_intermediate(b, "quotient", -y, y, 32);
    tq_bounds_set(b, 0, -y, y);
    return TQ_OK;
}

const tq_op tq_op_normalize_integer = {
    .entry = { .name = "NormalizeInteger",
               .brief = "normalisation of codes by an integer root",
               .source = "arXiv:2101.01321, section 3.6" },
    .domain = "truq",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_INT("epsilon", 0), TQ_INT("root_shift", 0), TQ_INT("fraction", FRACTION),
               TQ_INT("centred", 1), TQ_INT("zero_point", 0) },
    .required_attrs = 3,
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};

/* ---- the rules ------------------------------------------------------------------------------ */

/** epsilon and root_shift for these codes: everything fits 62 bits. */
static tq_status choose(tq_integerise *t, const tq_codes *x, int64_t n, settings *s)
{
    const double eps = (double)tq_attr_float(tq_node_attrs(tq_int_node(t)), "epsilon");
    const double epsilon = rint((double)n * (double)n * eps / (x->scale[0] * x->scale[0]));
    s->epsilon = epsilon < 1 ? 1 : epsilon < 0x1p60 ? (int64_t)epsilon : INT64_MAX;
    const int64_t v = largest_v(s, n, x->lo, x->hi);
    if (v > INT64_C(1) << ROOT_BITS || largest(n, FRACTION) > INT32_MAX)
        return tq_int_refuse(t, "its sums of squares over %lld elements do not fit 61 bits",
                             (long long)n);
    for (s->root_shift = 0;
         s->root_shift < 16 && v <= INT64_C(1) << (ROOT_BITS - 2 * s->root_shift - 2);)
        s->root_shift++;
    return TQ_OK;
}

/** Gain and bias, one of each for each index along `axis`, wait for the requantisation. */
static tq_status state(tq_integerise *t, int64_t size, int axis, int64_t n, tq_value *codes)
{
    const double *gain, *bias;
    double *scale = TQ_NEW_N(tq_int_arena(t), double, n),
           *offset = TQ_NEW_N(tq_int_arena(t), double, n);
    TQ_TRY(tq_codes_reals(t, GAIN, "scale", n, &gain));
    TQ_TRY(tq_codes_reals(t, BIAS, "bias", n, &bias));
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        scale[i] = ldexp(gain[i], -FRACTION);
        offset[i] = bias ? bias[i] : 0.0;
        same = same && scale[i] == scale[0] && offset[i] == offset[0];
        if (scale[i] == 0.0)
            return tq_int_refuse(t, "its scale of channel %lld is 0", (long long)i);
    }
    const int64_t most = largest(size, FRACTION);
    tq_int_set(t, 0,
               &(tq_codes){ .codes = codes,
                            .axis = same ? -1 : axis,
                            .n = same ? 1 : (int)n,
                            .scale = scale,
                            .offset = offset,
                            .clip_lo = -INFINITY,
                            .clip_hi = INFINITY,
                            .lo = -most,
                            .hi = most });
    return TQ_OK;
}

/** Normalises runs of n of *codes, which are those of x perhaps in another shape. */
static tq_status emit(tq_integerise *t, const tq_codes *x, int64_t n, settings *s, tq_value **codes)
{
    if (!(x->scale[0] > 0))
        return tq_int_refuse(t, "its input has a negative scale; put a FakeQuantize before it");
    TQ_TRY(choose(t, x, n, s));
    const tq_attr attrs[] = { TQ_INT("epsilon", s->epsilon), TQ_INT("root_shift", s->root_shift),
                              TQ_INT("fraction", FRACTION), TQ_INT("centred", s->centred),
                              TQ_INT("zero_point", s->centred ? 0 : s->zero_point) };
    return tq_int_emit(t, "NormalizeInteger", codes, 1, attrs, TQ_COUNT(attrs), codes);
}

static tq_status reshape(tq_integerise *t, const int64_t *dims, int rank, tq_value **codes)
{
    tq_value *target;
    const int64_t n = rank;
    TQ_TRY(tq_int_add_constant(t, "shape", TQ_I64, 1, &n, dims, &target));
    return tq_int_emit(t, "Reshape", (tq_value *[]){ *codes, target }, 2, NULL, 0, codes);
}

/** The codes with rows of n, for the bounds of NormalizeInteger. */
static tq_status with_rows(tq_integerise *t, int64_t n, tq_value **codes)
{
    const tq_type *type = tq_value_type(*codes);
    if (type->dims[type->rank - 1] == n)
        return TQ_OK;
    int64_t shape[TQ_MAX_RANK] = { 0 }; /* 0: as it is */
    shape[type->rank - 1] = n;
    return reshape(t, shape, type->rank, codes);
}

tq_status tq_integerise_normalize(tq_integerise *t, bool centred)
{
    const tq_node *node = tq_int_node(t);
    const tq_codes *x;
    settings s = { .centred = centred };
    TQ_TRY(tq_codes_grid(t, X, &x, &s.zero_point));
    const tq_type *type = tq_value_type(x->codes);
    const tq_type *y = tq_value_type(tq_node_output(node, 0)); /* gain and bias told its sizes */
    const int64_t n = y->dims[y->rank - 1], axis = tq_attr_int(tq_node_attrs(node), "axis");
    if (tq_node_n_outputs(node) > 1)
        return tq_int_refuse(t, "its statistics are outputs; only the result has an integer form");
    if ((axis != -1 && axis != type->rank - 1) || n < 1 || n > INT32_MAX)
        return tq_int_refuse(t,
                             "it normalises %s from axis %lld on; only one last axis of known "
                             "size has an integer form",
                             tq_type_text(type).s, (long long)axis);
    tq_value *codes = x->codes;
    TQ_TRY(with_rows(t, n, &codes));
    TQ_TRY(emit(t, x, n, &s, &codes));
    return state(t, n, type->rank - 1, n, codes);
}

tq_status tq_integerise_group_normalize(tq_integerise *t, int64_t n_groups)
{
    const tq_codes *x;
    settings s = { .centred = true };
    TQ_TRY(tq_codes_grid(t, X, &x, &s.zero_point));
    const tq_type *type = tq_value_type(x->codes);
    const int64_t count = tq_type_count_from(type, 1), n = count / n_groups;
    if (count == TQ_DIM_ANY || n < 1 || n > INT32_MAX)
        return tq_int_refuse(t, "it normalises %s; only groups of known size have an integer form",
                             tq_type_text(type).s);
    tq_value *codes = x->codes;
    const bool as_it_is = type->rank == 3 && n_groups == type->dims[1];
    if (!as_it_is)
        TQ_TRY(reshape(t, (int64_t[]){ 0, n_groups, n }, 3, &codes));
    TQ_TRY(emit(t, x, n, &s, &codes));
    tq_type whole = *type;
    whole.dims[0] = 0; /* that of the groups */
    if (!as_it_is)
        TQ_TRY(reshape(t, whole.dims, whole.rank, &codes));
    return state(t, n, 1, type->dims[1], codes);
}
