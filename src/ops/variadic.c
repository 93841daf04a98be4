/* Max, Min, Sum and Mean of any number of operands with broadcasting, from left to right. NaN wins
 * in Max and Min. Their gradient is shared evenly between equal extremes, as PyTorch does. */
#include "ops/arithmetic_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/strided_internal.h"

#include <string.h>

TQ_BINARY(larger, p > q || p != p ? p : q, p > q ? p : q, p > q ? p : q)
TQ_BINARY(smaller, p < q || p != p ? p : q, p < q ? p : q, p < q ? p : q)
TQ_BINARY(plus, p + q, (uint64_t)p + (uint64_t)q, p + q)
TQ_BINARY(first, p, p, p)
TQ_BINARY(over, p / q, q ? p / q : 0, q ? p / q : 0)

/** y = f(f(in[0], in[1]), in[2]) ... */
static void fold(const tq_binary *f, const tq_op_run *run)
{
    const tq_type *y_type = run->out_types[0];
    void *y = run->out[0];
    tq_binary_run(&first, run->in[0], run->in_types[0], run->in[0], run->in_types[0], y, y_type);
    for (int i = 1; i < run->n_in; i++)
        tq_binary_run(f, y, y_type, run->in[i], run->in_types[i], y, y_type);
}

static void max_reference(const tq_op_run *run)
{
    fold(&larger, run);
}

static void min_reference(const tq_op_run *run)
{
    fold(&smaller, run);
}

static void sum_reference(const tq_op_run *run)
{
    fold(&plus, run);
}

static void mean_reference(const tq_op_run *run)
{
    fold(&plus, run);
    const tq_type *type = run->out_types[0], n_type = tq_type_make(type->dtype, 0, NULL);
    int64_t n[1];
    tq_store_f64(n, type->dtype, 0, run->n_in);
    tq_binary_run(&over, run->out[0], type, n, &n_type, run->out[0], type);
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_NUMERIC & ~(1 << TQ_U4 | 1 << TQ_I4)));
    for (int i = 0; i < t->n_in; i++)
        if (!t->in[i])
            return tq_fail(TQ_ERR_VALUE, "input %d is missing", i);
    return tq_op_infer_broadcast(t);
}

static tq_status mean_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    return infer(t);
}

/* ---- gradients ------------------------------------------------------------------------------- */

static tq_status sum_gradient(tq_grad *g)
{
    for (int i = 0; i < tq_node_n_inputs(tq_grad_of(g)); i++)
        if (tq_grad_wants(g, i))
            TQ_TRY(tq_grad_set_unbroadcast(g, i, tq_grad_of_output(g, 0)));
    return TQ_OK;
}

static tq_status mean_gradient(tq_grad *g)
{
    const int n = tq_node_n_inputs(tq_grad_of(g));
    tq_value *dy = tq_grad_of_output(g, 0), *count, *part;
    TQ_TRY(tq_grad_scalar(g, dy, n, &count));
    TQ_TRY(tq_grad_make(g, "Div", 2, (tq_value *const[]){ dy, count }, &part));
    for (int i = 0; i < n; i++)
        if (tq_grad_wants(g, i))
            TQ_TRY(tq_grad_set_unbroadcast(g, i, part));
    return TQ_OK;
}

/** MaxGrad(dy, y, x...; index). */
static tq_status extremum_gradient(tq_grad *g)
{
    const tq_node *node = tq_grad_of(g);
    const int n = tq_node_n_inputs(node);
    tq_value **inputs = TQ_NEW_N(tq_graph_arena(tq_grad_graph(g)), tq_value *, n + 2);
    inputs[0] = tq_grad_of_output(g, 0);
    inputs[1] = tq_grad_output(g, 0);
    for (int i = 0; i < n; i++)
        inputs[i + 2] = tq_grad_input(g, i);
    for (int i = 0; i < n; i++) {
        if (!tq_grad_wants(g, i))
            continue;
        const tq_attr index = TQ_INT("index", i);
        tq_node *made;
        TQ_TRY(tq_grad_node(g,
                            &(tq_node_spec){ .op = "MaxGrad",
                                             .n_inputs = n + 2,
                                             .inputs = inputs,
                                             .n_attrs = 1,
                                             .attrs = &index },
                            &made));
        TQ_TRY(tq_grad_set_unbroadcast(g, i, tq_node_output(made, 0)));
    }
    return TQ_OK;
}

static tq_status max_grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_REAL));
    const int64_t index = tq_attr_int(t->attrs, "index");
    if (index < 0 || index >= t->n_in - 2)
        return tq_fail(TQ_ERR_VALUE, "index is %lld; expected 0 to %d", (long long)index,
                       t->n_in - 3);
    int order[TQ_OP_MAX_NAMES];
    const int n = t->n_in - 2;
    if (n > TQ_OP_MAX_NAMES)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %d operands; at most %d have a gradient", n,
                       TQ_OP_MAX_NAMES);
    for (int i = 0; i < n; i++)
        order[i] = i + 2;
    TQ_TRY(tq_check_forward(t, infer, order, n, 0));
    TQ_TRY(tq_check_forward(t, infer, order, n, 1));
    return tq_op_infer_same(t);
}

static int64_t offset_of(const int64_t *index, const int64_t *strides, int rank)
{
    int64_t at = 0;
    for (int d = 0; d < rank; d++)
        at += index[d] * strides[d];
    return at;
}

/** dx = dy / (number of operands equal to y) where operand `index` is one of them. */
static void max_grad_reference(const tq_op_run *run)
{
    const tq_type *type = run->out_types[0];
    const tq_dtype dtype = type->dtype;
    const int chosen = (int)tq_attr_int(run->attrs, "index") + 2;
    int64_t at[TQ_MAX_RANK] = { 0 }, strides[TQ_MAX_RANK];
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        const double y = tq_load_f64(run->in[1], dtype, i);
        int n_equal = 0;
        bool is_one = false;
        for (int k = 2; k < run->n_in; k++) {
            tq_broadcast_strides(run->in_types[k], type, strides);
            const bool equals =
                tq_load_f64(run->in[k], dtype, offset_of(at, strides, type->rank)) == y;
            n_equal += equals;
            is_one = is_one || (equals && k == chosen);
        }
        tq_store_f64(run->out[0], dtype, i,
                     is_one ? tq_load_f64(run->in[0], dtype, i) / n_equal : 0.0);
        tq_index_next(type->rank, type->dims, at);
    }
}

/* ---- bounds --------------------------------------------------------------------------------- */

static tq_status sum_bounds(tq_bounds *b)
{
    int64_t lo = 0, hi = 0, lo_i, hi_i;
    for (int i = 0; i < tq_bounds_types(b)->n_in; i++) {
        tq_bounds_input(b, i, &lo_i, &hi_i);
        lo = tq_sat_add(lo, lo_i);
        hi = tq_sat_add(hi, hi_i);
    }
    tq_bounds_intermediate(b, "sum", lo, hi,
                           8 * (int)tq_dtype_size(tq_bounds_types(b)->in[0]->dtype));
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}

static tq_status max_bounds(tq_bounds *b)
{
    int64_t lo = INT64_MIN, hi = INT64_MIN, lo_i, hi_i;
    for (int i = 0; i < tq_bounds_types(b)->n_in; i++) {
        tq_bounds_input(b, i, &lo_i, &hi_i);
        lo = lo_i > lo ? lo_i : lo;
        hi = hi_i > hi ? hi_i : hi;
    }
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}

static tq_status min_bounds(tq_bounds *b)
{
    int64_t lo = INT64_MAX, hi = INT64_MAX, lo_i, hi_i;
    for (int i = 0; i < tq_bounds_types(b)->n_in; i++) {
        tq_bounds_input(b, i, &lo_i, &hi_i);
        lo = lo_i < lo ? lo_i : lo;
        hi = hi_i < hi ? hi_i : hi;
    }
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}

const tq_op tq_op_max = {
    .entry = { .name = "Max", .brief = "largest of the operands with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "data_0..." },
    .outputs = { "max" },
    .infer = infer,
    .reference = max_reference,
    .gradient = extremum_gradient,
    .integerise = tq_integerise_extremum,
    .bounds = max_bounds,
};

const tq_op tq_op_min = {
    .entry = { .name = "Min", .brief = "smallest of the operands with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "data_0..." },
    .outputs = { "min" },
    .infer = infer,
    .reference = min_reference,
    .gradient = extremum_gradient,
    .integerise = tq_integerise_extremum,
    .bounds = min_bounds,
};

const tq_op tq_op_sum = {
    .entry = { .name = "Sum", .brief = "sum of the operands with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "data_0..." },
    .outputs = { "sum" },
    .infer = infer,
    .reference = sum_reference,
    .gradient = sum_gradient,
    .integerise = tq_integerise_add,
    .bounds = sum_bounds,
};

const tq_op tq_op_mean = {
    .entry = { .name = "Mean", .brief = "mean of the operands with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "data_0..." },
    .outputs = { "mean" },
    .infer = mean_infer,
    .reference = mean_reference,
    .gradient = mean_gradient,
};

const tq_op tq_op_max_grad = {
    .entry = { .name = "MaxGrad", .brief = "dy where one operand of Max or Min was chosen" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "y", "x..." },
    .outputs = { "dx" },
    .attrs = { { .name = "index", .kind = TQ_ATTR_INT } },
    .infer = max_grad_infer,
    .reference = max_grad_reference,
};
