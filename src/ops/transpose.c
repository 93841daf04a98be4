/* Transpose: axis d of the output is axis perm[d] of the input; all axes reversed without perm. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

enum { X };

static tq_status read_perm(const tq_attrs *attrs, int rank, int *perm)
{
    int n;
    const int64_t *values = tq_attr_ints(attrs, "perm", &n);
    for (int d = 0; d < rank && n == 0; d++)
        perm[d] = rank - 1 - d;
    if (n == 0)
        return TQ_OK;
    if (n != rank)
        return tq_fail(TQ_ERR_VALUE, "perm has %d entries, the input %d axes", n, rank);
    uint32_t bits;
    TQ_TRY(tq_axes_bits(values, n, rank, &bits));
    for (int d = 0; d < rank; d++)
        TQ_TRY(tq_op_axis(values[d], rank, &perm[d]));
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    int perm[TQ_MAX_RANK];
    if (x->rank < 0) {
        int n;
        tq_attr_ints(t->attrs, "perm", &n);
        tq_infer_rank_only(t, n > 0 && n <= TQ_MAX_RANK ? n : -1);
        return TQ_OK;
    }
    TQ_TRY(read_perm(t->attrs, x->rank, perm));
    t->out[0] = *x;
    for (int d = 0; d < x->rank; d++)
        t->out[0].dims[d] = x->dims[perm[d]];
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    int perm[TQ_MAX_RANK];
    int64_t own[TQ_MAX_RANK], in[TQ_MAX_RANK], out[TQ_MAX_RANK];
    tq_status_drop(read_perm(run->attrs, x->rank, perm));
    tq_type_strides(x, own);
    tq_type_strides(y, out);
    for (int d = 0; d < y->rank; d++)
        in[d] = own[perm[d]];
    tq_copy_strided(y->rank, y->dims, tq_dtype_size(x->dtype), run->out[0], out, run->in[X], in);
}

/** The inverse permutation. */
static tq_status gradient(tq_grad *g)
{
    const int rank = tq_value_type(tq_grad_input(g, X))->rank;
    if (!tq_grad_wants(g, X))
        return TQ_OK;
    if (rank < 0)
        return tq_fail(TQ_ERR_SHAPE, "the number of axes is not known");
    int perm[TQ_MAX_RANK];
    TQ_TRY(read_perm(tq_grad_attrs(g), rank, perm));
    int64_t inverse[TQ_MAX_RANK];
    for (int d = 0; d < rank; d++)
        inverse[perm[d]] = d;
    tq_value *dy = tq_grad_of_output(g, 0);
    const tq_attr attr = TQ_INTS("perm", rank, inverse);
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){
            .op = "Transpose", .n_inputs = 1, .inputs = &dy, .n_attrs = 1, .attrs = &attr },
        &node));
    tq_grad_set(g, X, tq_node_output(node, 0));
    return TQ_OK;
}

const tq_op tq_op_transpose = {
    .entry = { .name = "Transpose", .brief = "axes in another order" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "data" },
    .outputs = { "transposed" },
    .attrs = { { .name = "perm", .kind = TQ_ATTR_INTS } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};
