/* Reductions (ONNX ReduceSum-13, ReduceMean-18, ReduceMax-20, ...), one table row each: a start, a
 * step and an end.
 *
 *   y = end(step(... step(start, x_1) ..., x_n), n) over the axes at input 1
 *
 * No axes: all of them, or none with noop_with_empty_axes. Floats f32, f64 are computed in double,
 * integers modulo 2^64, in row-major order of the reduced axes; ReduceMean of integers truncates
 * toward zero. NaN in x is NaN in y. */
#include "ops/reduce_internal.h"

#include <math.h>

enum { X, AXES };

static const uint32_t dtypes = TQ_DTYPES_REAL | TQ_DTYPES_CODES | TQ_DTYPES_WIDE;

/* ---- axes ----------------------------------------------------------------------------------- */

tq_status tq_reduction_mask(const tq_attrs *attrs, int rank, const int64_t *axes, int n,
                            unsigned *out_mask)
{
    unsigned mask = 0;
    for (int i = 0; i < n; i++) {
        int axis;
        TQ_TRY(tq_op_axis(axes[i], rank, &axis));
        if (mask >> axis & 1)
            return tq_fail(TQ_ERR_VALUE, "axis %d is given twice", axis);
        mask |= 1u << axis;
    }
    if (n <= 0 && !tq_attr_int(attrs, "noop_with_empty_axes"))
        mask = (1u << rank) - 1;
    *out_mask = mask;
    return TQ_OK;
}

void tq_reduction_init(tq_reduction *r, const tq_type *x, unsigned mask)
{
    int64_t strides[TQ_MAX_RANK];
    tq_type_strides(x, strides);
    *r = (tq_reduction){ .mask = mask };
    for (int d = 0; d < x->rank; d++) {
        const bool reduced = mask >> d & 1;
        const int i = reduced ? r->n_reduced++ : r->n_kept++;
        (reduced ? r->reduced : r->kept)[i] = x->dims[d];
        (reduced ? r->reduced_strides : r->kept_strides)[i] = strides[d];
    }
}

tq_reduction tq_reduction_of(const tq_op_run *run, int axes)
{
    int64_t values[TQ_MAX_RANK];
    int n = -1;
    if (tq_run_has(run, axes)) {
        n = (int)tq_type_count(run->in_types[axes]);
        for (int i = 0; i < n; i++)
            values[i] = tq_load_i64(run->in[axes], run->in_types[axes]->dtype, i);
    }
    unsigned mask = 0;
    const tq_status status =
        tq_reduction_mask(run->attrs, run->in_types[X]->rank, values, n, &mask);
    TQ_ASSERT(!status);
    tq_reduction r;
    tq_reduction_init(&r, run->in_types[X], mask);
    return r;
}

tq_type tq_reduction_type(const tq_type *x, unsigned mask, bool keepdims)
{
    tq_type y = { .dtype = x->dtype };
    for (int d = 0; d < x->rank; d++) {
        const bool reduced = mask >> d & 1;
        if (!reduced || keepdims)
            y.dims[y.rank++] = reduced ? 1 : x->dims[d];
    }
    return y;
}

int64_t tq_reduction_at(const tq_reduction *r, int64_t i)
{
    int64_t at = 0;
    for (int d = r->n_kept - 1; d >= 0; d--) {
        at += i % r->kept[d] * r->kept_strides[d];
        i /= r->kept[d];
    }
    return at;
}

int64_t tq_reduction_count(const tq_reduction *r)
{
    int64_t n = 1;
    for (int d = 0; d < r->n_reduced; d++)
        n = tq_dim_mul(n, r->reduced[d]);
    return n;
}

/** The axes are not known: as much as can be said. */
static void infer_unknown(tq_op_types *t)
{
    const bool keepdims = tq_attr_int(t->attrs, "keepdims") != 0;
    const int64_t n = tq_type_count(t->in[AXES]);
    t->out[0] = *t->in[X];
    if (!keepdims)
        t->out[0].rank = n <= 0 || n > t->in[X]->rank ? -1 : (int)(t->in[X]->rank - n);
    for (int d = 0; d < t->out[0].rank; d++)
        t->out[0].dims[d] = TQ_DIM_ANY;
}

static tq_status infer_of(tq_op_types *t, uint32_t mask_of_dtypes)
{
    TQ_TRY(tq_op_need_dtype(t, X, mask_of_dtypes));
    TQ_TRY(tq_op_need_rank(t, X, 0, TQ_MAX_RANK));
    int64_t axes[TQ_MAX_RANK];
    int n;
    TQ_TRY(tq_op_known_ints(t, AXES, TQ_MAX_RANK, axes, &n));
    if (n < 0 && tq_op_has(t, AXES)) {
        infer_unknown(t);
        return TQ_OK;
    }
    unsigned mask = 0;
    TQ_TRY(tq_reduction_mask(t->attrs, t->in[X]->rank, axes, n, &mask));
    t->out[0] = tq_reduction_type(t->in[X], mask, tq_attr_int(t->attrs, "keepdims") != 0);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    return infer_of(t, dtypes);
}

/** Of bools the largest says "any", the smallest "all". */
static tq_status infer_extremum(tq_op_types *t)
{
    return infer_of(t, dtypes | TQ_DTYPE_BIT(TQ_BOOL));
}

/* ---- folds ---------------------------------------------------------------------------------- */

typedef double real_step(double acc, double x);
typedef double real_end(double acc, double n);
typedef uint64_t integer_step(uint64_t acc, int64_t x);
typedef int64_t integer_end(int64_t acc, int64_t n);

typedef struct fold {
    double start;
    real_step *step;
    real_end *end;
    int64_t integer_start;
    integer_step *integer_step;
    integer_end *integer_end;
} fold;

#define STEP(name, expression)                                                                     \
    static double name(double acc, double x)                                                       \
    {                                                                                              \
        return expression;                                                                         \
    }
STEP(add, acc + x)
STEP(multiply, acc *x)
STEP(larger, x > acc || x != x ? x : acc)
STEP(smaller, x < acc || x != x ? x : acc)
STEP(add_abs, acc + fabs(x))
STEP(add_square, acc + x * x)
/* log(e^acc + e^x) without overflow */
STEP(add_exp, acc == x  ? acc + M_LN2
              : acc > x ? acc + log1p(exp(x - acc))
                        : x + log1p(exp(acc - x)))

#define INTEGER_STEP(name, expression)                                                             \
    static uint64_t name(uint64_t acc, int64_t x)                                                  \
    {                                                                                              \
        return expression;                                                                         \
    }
INTEGER_STEP(add_i, acc + (uint64_t)x)
INTEGER_STEP(multiply_i, acc *(uint64_t)x)
INTEGER_STEP(larger_i, x > (int64_t)acc ? (uint64_t)x : acc)
INTEGER_STEP(smaller_i, x < (int64_t)acc ? (uint64_t)x : acc)
INTEGER_STEP(add_abs_i, acc + (x < 0 ? 0 - (uint64_t)x : (uint64_t)x))
INTEGER_STEP(add_square_i, acc + (uint64_t)x * (uint64_t)x)

#define END(name, expression)                                                                      \
    static double name(double acc, __attribute__((unused)) double n)                               \
    {                                                                                              \
        return expression;                                                                         \
    }
END(same, acc)
END(mean, acc / n)
END(root, sqrt(acc))
END(logarithm, log(acc))

static int64_t same_i(int64_t acc, int64_t n)
{
    (void)n;
    return acc;
}
static int64_t mean_i(int64_t acc, int64_t n)
{
    return n ? acc / n : 0;
}

static double fold_real(const fold *f, const tq_op_run *run, const tq_reduction *r, int64_t at)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int last = r->n_reduced - 1;
    const int64_t count = tq_reduction_count(r), n = last < 0 ? 1 : r->reduced[last];
    const int64_t step = last < 0 ? 0 : r->reduced_strides[last];
    int64_t index[TQ_MAX_RANK] = { 0 };
    double acc = f->start;
    for (int64_t done = 0; done < count; done += n) {
        int64_t base = at;
        for (int d = 0; d < last; d++)
            base += index[d] * r->reduced_strides[d];
        if (dtype == TQ_F32)
            for (int64_t i = 0; i < n; i++)
                acc = f->step(acc, (double)((const float *)run->in[X])[base + i * step]);
        else
            for (int64_t i = 0; i < n; i++)
                acc = f->step(acc, tq_load_f64(run->in[X], dtype, base + i * step));
        tq_index_next(last, r->reduced, index);
    }
    return f->end(acc, (double)count);
}

static int64_t fold_integer(const fold *f, const tq_op_run *run, const tq_reduction *r, int64_t at)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int64_t count = tq_reduction_count(r);
    int64_t index[TQ_MAX_RANK] = { 0 };
    uint64_t acc = (uint64_t)f->integer_start;
    for (int64_t done = 0; done < count; done++) {
        int64_t base = at;
        for (int d = 0; d < r->n_reduced; d++)
            base += index[d] * r->reduced_strides[d];
        acc = f->integer_step(acc, tq_load_i64(run->in[X], dtype, base));
        tq_index_next(r->n_reduced, r->reduced, index);
    }
    return f->integer_end((int64_t)acc, count);
}

static inline __attribute__((always_inline)) void apply(const tq_op_run *run, const fold *f)
{
    const tq_reduction r = tq_reduction_of(run, AXES);
    const tq_dtype dtype = run->in_types[X]->dtype;
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++) {
        const int64_t at = tq_reduction_at(&r, i);
        if (tq_dtype_is_float(dtype) || !f->integer_step) {
            tq_store_f64(run->out[0], dtype, i, fold_real(f, run, &r, at));
            continue;
        }
        const int64_t y = fold_integer(f, run, &r, at);
        tq_store_i64(run->out[0], dtype, i, dtype == TQ_BOOL ? y > 0 : y);
    }
}

/* ---- gradients, integers ------------------------------------------------------------------ */

static tq_status gradient(tq_grad *g, const char *op)
{
    tq_value *inputs[] = { tq_grad_input(g, X), tq_grad_of_output(g, 0), tq_grad_input(g, AXES) };
    return tq_grad_emit_n(g, X, op, true, inputs, inputs[2] ? 3 : 2);
}
static tq_status gradient_sum(tq_grad *g)
{
    return gradient(g, "ReduceSumGrad");
}
static tq_status gradient_mean(tq_grad *g)
{
    return gradient(g, "ReduceMeanGrad");
}

static tq_status integerise_sum(tq_integerise *t)
{
    return tq_reduce_integerise(t, false);
}
static tq_status integerise_mean(tq_integerise *t)
{
    return tq_reduce_integerise(t, true);
}

/** Largest and smallest element: codes stay what they are. */
static tq_status integerise_extremum(tq_integerise *t)
{
    const tq_codes *x;
    TQ_TRY(tq_codes_affine(t, X, &x));
    if (x->n > 1)
        return tq_int_refuse(t, "input has %d scales; put a per-tensor FakeQuantize on it", x->n);
    return tq_int_keep(t);
}

/** Elements reduced into one; an upper bound unless *out_exact. */
static int64_t reduced_count(const tq_op_types *t, bool *out_exact)
{
    int64_t axes[TQ_MAX_RANK], count = 1;
    int n;
    unsigned mask = (1u << t->in[X]->rank) - 1;
    tq_status status = tq_op_known_ints(t, AXES, TQ_MAX_RANK, axes, &n);
    if (!status && (n >= 0 || !tq_op_has(t, AXES)))
        status = tq_reduction_mask(t->attrs, t->in[X]->rank, axes, n, &mask);
    *out_exact = !status && (n >= 0 || !tq_op_has(t, AXES));
    tq_status_drop(status);
    for (int d = 0; d < t->in[X]->rank; d++)
        if (mask >> d & 1)
            count = tq_dim_mul(count, t->in[X]->dims[d]);
    *out_exact = *out_exact && count != TQ_DIM_ANY;
    return count == TQ_DIM_ANY ? INT32_MAX : count;
}

/** Bounds of the sum of all that `term` can be. */
static tq_status bound_sum(tq_bounds *b, tq_interval term)
{
    const tq_op_types *t = tq_bounds_types(b);
    bool exact;
    const int64_t count = reduced_count(t, &exact);
    tq_sum_bounds sum = { 0 };
    tq_sum_bounds_add_n(&sum, term, (tq_interval){ 1, 1 }, count);
    if (!exact)
        sum.sum = sum.part;
    tq_bounds_set_sum(b, &sum, (int)tq_dtype_size(t->in[X]->dtype) * 8);
    return TQ_OK;
}

static tq_interval magnitude(tq_interval x)
{
    const int64_t lo = x.lo == INT64_MIN ? INT64_MAX : x.lo < 0 ? -x.lo : x.lo;
    const int64_t hi = x.hi == INT64_MIN ? INT64_MAX : x.hi < 0 ? -x.hi : x.hi;
    return (tq_interval){ 0, lo > hi ? lo : hi };
}

static tq_status bounds_sum(tq_bounds *b)
{
    return bound_sum(b, tq_bounds_of(b, X));
}
static tq_status bounds_abs(tq_bounds *b)
{
    return bound_sum(b, magnitude(tq_bounds_of(b, X)));
}
static tq_status bounds_square(tq_bounds *b)
{
    const tq_interval x = magnitude(tq_bounds_of(b, X));
    return bound_sum(b, (tq_interval){ 0, tq_sat_mul(x.hi, x.hi) });
}
static tq_status bounds_extremum(tq_bounds *b)
{
    const tq_interval x = tq_bounds_of(b, X);
    tq_bounds_set(b, 0, x.lo, x.hi);
    return TQ_OK;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

#define REDUCE(id, name_, brief_, flags_, infer_, gradient_, integerise_, bounds_, ...)            \
    static void reference_##id(const tq_op_run *run)                                               \
    {                                                                                              \
        static const fold f = { __VA_ARGS__ };                                                     \
        apply(run, &f);                                                                            \
    }                                                                                              \
    const tq_op tq_op_##id = {                                                                     \
        .entry = { .name = name_, .brief = brief_, .source = "ONNX " name_ },                      \
        .flags = (flags_),                                                                         \
        .inputs = { "x", "?axes" },                                                                \
        .outputs = { "y" },                                                                        \
        .attrs = { TQ_INT("keepdims", 1), TQ_INT("noop_with_empty_axes", 0) },                     \
        .infer = infer_,                                                                           \
        .reference = reference_##id,                                                               \
        .gradient = gradient_,                                                                     \
        .integerise = integerise_,                                                                 \
        .bounds = bounds_,                                                                         \
    };

REDUCE(reduce_sum, "ReduceSum", "sum over axes", TQ_OP_INTEGER, infer, gradient_sum, integerise_sum,
       bounds_sum, 0, add, same, 0, add_i, same_i)
REDUCE(reduce_mean, "ReduceMean", "mean over axes", 0, infer, gradient_mean, integerise_mean, NULL,
       0, add, mean, 0, add_i, mean_i)
REDUCE(reduce_max, "ReduceMax", "largest over axes", TQ_OP_INTEGER, infer_extremum, NULL,
       integerise_extremum, bounds_extremum, -INFINITY, larger, same, INT64_MIN, larger_i, same_i)
REDUCE(reduce_min, "ReduceMin", "smallest over axes", TQ_OP_INTEGER, infer_extremum, NULL,
       integerise_extremum, bounds_extremum, INFINITY, smaller, same, INT64_MAX, smaller_i, same_i)
REDUCE(reduce_prod, "ReduceProd", "product over axes", TQ_OP_INTEGER, infer, NULL, NULL, NULL, 1,
       multiply, same, 1, multiply_i, same_i)
REDUCE(reduce_l1, "ReduceL1", "sum of magnitudes over axes", TQ_OP_INTEGER, infer, NULL, NULL,
       bounds_abs, 0, add_abs, same, 0, add_abs_i, same_i)
REDUCE(reduce_sum_square, "ReduceSumSquare", "sum of squares over axes", TQ_OP_INTEGER, infer, NULL,
       NULL, bounds_square, 0, add_square, same, 0, add_square_i, same_i)
REDUCE(reduce_l2, "ReduceL2", "root of the sum of squares over axes", 0, infer, NULL, NULL, NULL, 0,
       add_square, root, 0, NULL, NULL)
REDUCE(reduce_log_sum, "ReduceLogSum", "logarithm of the sum over axes", 0, infer, NULL, NULL, NULL,
       0, add, logarithm, 0, NULL, NULL)
REDUCE(reduce_log_sum_exp, "ReduceLogSumExp", "logarithm of the sum of e^x over axes", 0, infer,
       NULL, NULL, NULL, -INFINITY, add_exp, same, 0, NULL, NULL)
