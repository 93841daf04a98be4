/* Split: one input cut along an axis, into pieces of the sizes in `split`, or into num_outputs
 * equal pieces of which the last may be smaller. The gradient joins the pieces' gradients. */
#include "ops/strided_internal.h"
#include "ops/arithmetic_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X, SIZES };

static int64_t equal_piece(int64_t size, int64_t n, int64_t i)
{
    const int64_t piece = (size + n - 1) / n, left = size - i * piece;
    return left < 0 ? 0 : left < piece ? left : piece;
}

static tq_status piece_sizes(tq_op_types *t, int64_t size, int64_t *sizes)
{
    int64_t *given = TQ_NEW_N(t->scratch, int64_t, t->n_out + 1);
    int n;
    TQ_TRY(tq_op_known_ints(t, SIZES, t->n_out, given, &n));
    if (n >= 0 && n != t->n_out)
        return tq_fail(TQ_ERR_VALUE, "split has %d sizes for %d outputs", n, t->n_out);
    int64_t sum = 0;
    for (int i = 0; i < t->n_out; i++) {
        if (n >= 0 && given[i] < 0 && given[i] != TQ_VALUE_ANY)
            return tq_fail(TQ_ERR_VALUE, "split[%d] is %lld", i, (long long)given[i]);
        if (n >= 0)
            sizes[i] = given[i] == TQ_VALUE_ANY ? TQ_DIM_ANY : given[i];
        else
            sizes[i] = size == TQ_DIM_ANY || tq_op_has(t, SIZES) ? TQ_DIM_ANY
                                                                 : equal_piece(size, t->n_out, i);
        sum = sum == TQ_DIM_ANY || sizes[i] == TQ_DIM_ANY ? TQ_DIM_ANY : sum + sizes[i];
        if (sum > INT32_MAX * (int64_t)4096)
            return tq_fail(TQ_ERR_VALUE, "split[%d] is %lld", i, (long long)sizes[i]);
    }
    if (sum != TQ_DIM_ANY && size != TQ_DIM_ANY && sum != size)
        return tq_fail(TQ_ERR_SHAPE, "split adds up to %lld, the axis has %lld", (long long)sum,
                       (long long)size);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    const int64_t n = tq_attr_int(t->attrs, "num_outputs");
    if (n != 0 && n != t->n_out)
        return tq_fail(TQ_ERR_VALUE, "num_outputs is %lld, the node has %d outputs", (long long)n,
                       t->n_out);
    for (int i = 0; i < t->n_out; i++)
        t->out[i] = *x;
    if (x->rank < 0)
        return TQ_OK;
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), x->rank, &axis));
    int64_t *sizes = TQ_NEW_N(t->scratch, int64_t, t->n_out);
    TQ_TRY(piece_sizes(t, x->dims[axis], sizes));
    for (int i = 0; i < t->n_out; i++)
        t->out[i].dims[axis] = sizes[i];
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    int axis;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
    const int64_t n_outer = tq_type_count_to(x, axis);
    const size_t size = tq_dtype_size(x->dtype), row = (size_t)tq_type_count_from(x, axis) * size;
    size_t at = 0;
    for (int i = 0; i < run->n_out; i++) {
        const size_t part = (size_t)tq_type_count_from(run->out_types[i], axis) * size;
        for (int64_t o = 0; o < n_outer && part && run->out[i]; o++)
            memcpy((char *)run->out[i] + (size_t)o * part,
                   (const char *)run->in[X] + (size_t)o * row + at, part);
        at += part;
    }
}

static tq_status gradient(tq_grad *g)
{
    if (!tq_grad_wants(g, X))
        return TQ_OK;
    const int n = tq_node_n_outputs(tq_grad_of(g));
    tq_value **parts = TQ_NEW_N(tq_graph_arena(tq_grad_graph(g)), tq_value *, n);
    for (int i = 0; i < n; i++) {
        tq_value *y = tq_grad_output(g, i);
        parts[i] = tq_grad_of_output(g, i);
        if (!parts[i])
            TQ_TRY(tq_grad_make(g, "ZerosLike", 1, &y, &parts[i]));
    }
    const tq_attr axis = TQ_INT("axis", tq_attr_int(tq_grad_attrs(g), "axis"));
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){
            .op = "Concat", .n_inputs = n, .inputs = parts, .n_attrs = 1, .attrs = &axis },
        &node));
    tq_grad_set(g, X, tq_node_output(node, 0));
    return TQ_OK;
}

const tq_op tq_op_split = {
    .entry = { .name = "Split", .brief = "cut into pieces along an axis" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "input", "?split" },
    .outputs = { "outputs..." },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT },
               { .name = "num_outputs", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};
