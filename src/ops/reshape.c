/* Operators that regroup elements and move none: Reshape, Flatten, Squeeze, Unsqueeze, Identity,
 * and ReshapeLike, which is the gradient of them all. Source: ONNX operators, opset 13 to 23. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, SHAPE, AXES = 1 };

static void reference(const tq_op_run *run)
{
    tq_copy_input(run, X);
}

/* ---- Reshape -------------------------------------------------------------------------------- */

/** The dimension that -1 stands for: what `x` has left over. Dimensions copied by 0 cancel even
 * when they are unknown; any other unknown one leaves the answer open. */
static tq_status left_over(const tq_type *x, const tq_type *out, uint32_t copied, int hole,
                           int64_t *out_dim)
{
    int64_t have = 1, want = 1;
    for (int d = 0; d < x->rank; d++)
        if (!(copied >> d & 1))
            have = tq_dim_mul(have, x->dims[d]);
    for (int d = 0; d < out->rank; d++)
        if (d != hole && !(copied >> d & 1))
            want = tq_dim_mul(want, out->dims[d]);
    *out_dim = TQ_DIM_ANY;
    if (have == TQ_DIM_ANY || want == TQ_DIM_ANY)
        return TQ_OK;
    if (want == 0 || have % want != 0)
        return tq_fail(TQ_ERR_SHAPE, "x is %s; its elements do not divide into %lld",
                       tq_type_text(x).s, (long long)want);
    *out_dim = have / want;
    return TQ_OK;
}

static tq_status check_counts(const tq_type *x, const tq_type *out)
{
    const int64_t have = tq_type_count(x), want = tq_type_count(out);
    if (have >= 0 && want >= 0 && have != want)
        return tq_fail(TQ_ERR_SHAPE, "x is %s; cannot become %s", tq_type_text(x).s,
                       tq_type_text(out).s);
    return TQ_OK;
}

static tq_status reshape_known(tq_op_types *t, const int64_t *shape, int n)
{
    const tq_type *x = t->in[X];
    const bool allow_zero = tq_attr_int(t->attrs, "allowzero");
    tq_type *out = &t->out[0];
    *out = (tq_type){ .dtype = x->dtype, .rank = n };
    int hole = -1;
    uint32_t copied = 0;
    for (int d = 0; d < n; d++) {
        if (shape[d] == 0 && !allow_zero) {
            if (x->rank >= 0 && d >= x->rank)
                return tq_fail(TQ_ERR_SHAPE, "shape[%d] is 0 and x is %s", d, tq_type_text(x).s);
            out->dims[d] = x->rank < 0 ? TQ_DIM_ANY : x->dims[d];
            copied |= 1u << d;
        } else if (shape[d] == -1) {
            if (hole >= 0)
                return tq_fail(TQ_ERR_VALUE, "shape has two dimensions of -1");
            hole = d;
            out->dims[d] = TQ_DIM_ANY;
        } else if (shape[d] < 0 && shape[d] != TQ_VALUE_ANY) {
            return tq_fail(TQ_ERR_VALUE, "shape[%d] is %lld", d, (long long)shape[d]);
        } else {
            out->dims[d] = shape[d] == TQ_VALUE_ANY ? TQ_DIM_ANY : shape[d];
        }
    }
    if (hole >= 0 && x->rank >= 0)
        TQ_TRY(left_over(x, out, copied, hole, &out->dims[hole]));
    return x->rank < 0 ? TQ_OK : check_counts(x, out);
}

static tq_status reshape_infer(tq_op_types *t)
{
    int64_t shape[TQ_MAX_RANK];
    int n;
    TQ_TRY(tq_op_known_ints(t, SHAPE, TQ_MAX_RANK, shape, &n));
    if (n >= 0)
        return reshape_known(t, shape, n);
    const tq_type *type = t->in[SHAPE];
    const int64_t rank = type->rank == 1 ? type->dims[0] : TQ_DIM_ANY;
    if (rank > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "shape has %lld dimensions; at most %d are",
                       (long long)rank, TQ_MAX_RANK);
    tq_infer_rank_only(t, rank < 0 ? -1 : (int)rank);
    return TQ_OK;
}

/* ---- Flatten --------------------------------------------------------------------------------- */

static tq_status flatten_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    tq_infer_rank_only(t, 2);
    if (x->rank < 0)
        return TQ_OK;
    int64_t axis = tq_attr_int(t->attrs, "axis");
    if (axis < -x->rank || axis > x->rank)
        return tq_fail(TQ_ERR_VALUE, "axis is %lld and x is %s", (long long)axis,
                       tq_type_text(x).s);
    axis += axis < 0 ? x->rank : 0;
    t->out[0].dims[0] = tq_type_count_to(x, (int)axis);
    t->out[0].dims[1] = tq_type_count_from(x, (int)axis);
    return TQ_OK;
}

/* ---- Squeeze, Unsqueeze ---------------------------------------------------------------------- */

static tq_status squeeze_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int64_t axes[TQ_MAX_RANK];
    int n;
    uint32_t bits = 0;
    TQ_TRY(tq_op_known_ints(t, AXES, TQ_MAX_RANK, axes, &n));
    if (x->rank < 0 || (tq_op_has(t, AXES) && n < 0)) {
        tq_infer_rank_only(t, -1);
        return TQ_OK;
    }
    if (n >= 0)
        TQ_TRY(tq_axes_bits(axes, n, x->rank, &bits));
    t->out[0] = (tq_type){ .dtype = x->dtype };
    for (int d = 0; d < x->rank; d++) {
        if (n < 0 && x->dims[d] == TQ_DIM_ANY) {
            tq_infer_rank_only(t, -1);
            return TQ_OK;
        }
        const bool goes = n < 0 ? x->dims[d] == 1 : bits >> d & 1;
        if (goes && x->dims[d] != 1 && x->dims[d] != TQ_DIM_ANY)
            return tq_fail(TQ_ERR_SHAPE, "x is %s; axis %d has more than one element",
                           tq_type_text(x).s, d);
        if (!goes)
            t->out[0].dims[t->out[0].rank++] = x->dims[d];
    }
    return TQ_OK;
}

static tq_status unsqueeze_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int64_t axes[TQ_MAX_RANK];
    int n;
    uint32_t bits;
    TQ_TRY(tq_op_known_ints(t, AXES, TQ_MAX_RANK, axes, &n));
    if (x->rank < 0 || n < 0) {
        tq_infer_rank_only(t, -1);
        return TQ_OK;
    }
    const int rank = x->rank + n;
    if (rank > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "output has %d dimensions; at most %d are", rank,
                       TQ_MAX_RANK);
    TQ_TRY(tq_axes_bits(axes, n, rank, &bits));
    t->out[0] = (tq_type){ .dtype = x->dtype, .rank = rank };
    for (int d = 0, from = 0; d < rank; d++)
        t->out[0].dims[d] = bits >> d & 1 ? 1 : x->dims[from++];
    return TQ_OK;
}

/* ---- ReshapeLike ----------------------------------------------------------------------------- */

static tq_status reshape_like_infer(tq_op_types *t)
{
    t->out[0] = *t->in[1];
    t->out[0].dtype = t->in[0]->dtype;
    return t->in[0]->rank < 0 || t->in[1]->rank < 0 ? TQ_OK : check_counts(t->in[0], t->in[1]);
}

static tq_status identity_gradient(tq_grad *g)
{
    tq_grad_set(g, X, tq_grad_of_output(g, 0));
    return TQ_OK;
}

const tq_op tq_op_reshape = {
    .entry = { .name = "Reshape", .brief = "same elements, another shape" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "data", "shape" },
    .outputs = { "reshaped" },
    .attrs = { { .name = "allowzero", .kind = TQ_ATTR_INT } },
    .infer = reshape_infer,
    .reference = reference,
    .gradient = tq_grad_reshape,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_flatten = {
    .entry = { .name = "Flatten", .brief = "to two axes" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "input" },
    .outputs = { "output" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT, .i = 1 } },
    .infer = flatten_infer,
    .reference = reference,
    .gradient = tq_grad_reshape,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_squeeze = {
    .entry = { .name = "Squeeze", .brief = "axes of one element dropped" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "data", "?axes" },
    .outputs = { "squeezed" },
    .infer = squeeze_infer,
    .reference = reference,
    .gradient = tq_grad_reshape,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_unsqueeze = {
    .entry = { .name = "Unsqueeze", .brief = "axes of one element added" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "data", "axes" },
    .outputs = { "expanded" },
    .infer = unsqueeze_infer,
    .reference = reference,
    .gradient = tq_grad_reshape,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_identity = {
    .entry = { .name = "Identity", .brief = "its input" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_ELEMENTWISE,
    .inputs = { "input" },
    .outputs = { "output" },
    .infer = tq_op_infer_same,
    .reference = reference,
    .gradient = identity_gradient,
    .integerise = tq_integerise_same,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_reshape_like = {
    .entry = { .name = "ReshapeLike", .brief = "dy in the shape of x" },
    .domain = "truq",
    .flags = TQ_OP_MOVES | TQ_OP_GRADIENT,
    .inputs = { "dy", "x" },
    .outputs = { "dx" },
    .infer = reshape_like_infer,
    .reference = reference,
};
