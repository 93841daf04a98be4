/* TopK: the k largest (or smallest) elements along an axis and their indices, best first; of equals
 * the one with the lower index comes first (ONNX TopK-24). NaN counts as the largest. Results are
 * sorted whether asked for or not. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

enum { X, K };
enum { VALUES, INDEX };

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int64_t k[1];
    int n, axis;
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    TQ_TRY(tq_op_known_ints(t, K, 1, k, &n));
    if (t->n_out != 2)
        return tq_fail(TQ_ERR_VALUE, "has %d outputs; expected 2", t->n_out);
    const bool known = n == 1 && k[0] != TQ_VALUE_ANY;
    if (known && (k[0] < 0 || (x->dims[axis] != TQ_DIM_ANY && k[0] > x->dims[axis])))
        return tq_fail(TQ_ERR_VALUE, "k is %lld, x is %s: axis %d is shorter", (long long)k[0],
                       tq_type_text(x).s, axis);
    for (int i = VALUES; i <= INDEX; i++) {
        t->out[i] = *x;
        t->out[i].dims[axis] = known ? k[0] : TQ_DIM_ANY;
    }
    t->out[INDEX].dtype = TQ_I64;
    return TQ_OK;
}

/** -1, 0, 1: a comes before b, they are equal, it comes after. */
static int compare(const tq_op_run *run, int64_t a, int64_t b, bool largest)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    int order;
    if (tq_dtype_is_float(dtype)) {
        const double p = tq_load_f64(run->in[X], dtype, a), q = tq_load_f64(run->in[X], dtype, b);
        order = isnan(p) || isnan(q) ? isnan(p) - isnan(q) : (p > q) - (p < q);
    } else if (dtype == TQ_U64) {
        const uint64_t *u = run->in[X];
        order = (u[a] > u[b]) - (u[a] < u[b]);
    } else {
        const int64_t p = tq_load_i64(run->in[X], dtype, a), q = tq_load_i64(run->in[X], dtype, b);
        order = (p > q) - (p < q);
    }
    return largest ? -order : order;
}

/** The best element of a row that comes after element `last` (-1: the best of all). */
static int64_t next_best(const tq_op_run *run, int64_t first, int64_t step, int64_t n, int64_t last,
                         bool largest)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i * step;
        if (last >= 0) {
            const int after = compare(run, at, first + last * step, largest);
            if (after < 0 || (after == 0 && i <= last))
                continue;
        }
        if (best < 0 || compare(run, at, first + best * step, largest) < 0)
            best = i;
    }
    return best;
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[VALUES];
    const bool largest = tq_attr_int(run->attrs, "largest") != 0;
    const size_t size = tq_dtype_size(x->dtype);
    int axis = 0;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    const int64_t n = x->dims[axis], k = y->dims[axis], step = tq_type_count_from(x, axis + 1);
    for (int64_t row = 0; row < tq_type_count_to(x, axis) * step && k > 0; row++) {
        const int64_t outer = row / step, inner = row % step;
        int64_t last = -1;
        for (int64_t i = 0; i < k; i++) {
            last = next_best(run, outer * n * step + inner, step, n, last, largest);
            const int64_t to = (outer * k + i) * step + inner;
            memcpy((char *)run->out[VALUES] + (size_t)to * size,
                   (const char *)run->in[X] + (size_t)((outer * n + last) * step + inner) * size,
                   size);
            ((int64_t *)run->out[INDEX])[to] = last;
        }
    }
}

const tq_op tq_op_top_k = {
    .entry = { .name = "TopK",
               .brief = "largest elements along an axis",
               .source = "ONNX TopK-24" },
    .flags = TQ_OP_DATA_DEPENDENT,
    .inputs = { "X", "K" },
    .outputs = { "Values", "Indices" },
    .attrs = { TQ_INT("axis", -1), TQ_INT("largest", 1), TQ_INT("sorted", 1) },
    .infer = infer,
    .reference = reference,
};
