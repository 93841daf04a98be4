/* Concat: inputs joined along one axis. Its gradient cuts dy apart again with Slice. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

static tq_status infer(tq_op_types *t)
{
    int known = -1;
    for (int i = 0; i < t->n_in; i++) {
        if (!t->in[i])
            return tq_fail(TQ_ERR_VALUE, "input %d is missing", i);
        if (t->in[i]->dtype != t->in[0]->dtype)
            return tq_fail(TQ_ERR_TYPE, "input 0 is %s, input %d is %s; expected one dtype",
                           tq_type_text(t->in[0]).s, i, tq_type_text(t->in[i]).s);
        known = known < 0 && t->in[i]->rank >= 0 ? i : known;
    }
    if (known < 0) {
        tq_infer_rank_only(t, -1);
        return TQ_OK;
    }
    tq_type *out = &t->out[0];
    *out = *t->in[known];
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), out->rank, &axis));
    out->dims[axis] = 0;
    for (int i = 0; i < t->n_in; i++) {
        const tq_type *x = t->in[i];
        if (x->rank >= 0 && x->rank != out->rank)
            return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected rank %d", i, tq_type_text(x).s,
                           out->rank);
        const int64_t size = x->rank < 0 ? TQ_DIM_ANY : x->dims[axis];
        const bool open = size == TQ_DIM_ANY || out->dims[axis] == TQ_DIM_ANY;
        out->dims[axis] = open ? TQ_DIM_ANY : tq_sat_add(out->dims[axis], size);
        for (int d = 0; d < out->rank && x->rank >= 0; d++) {
            if (d != axis && !tq_dim_fits(out->dims[d], x->dims[d]))
                return tq_fail(TQ_ERR_SHAPE, "input %d is %s, which does not fit %s along axis %d",
                               i, tq_type_text(x).s, tq_type_text(t->in[known]).s, d);
            if (d != axis)
                out->dims[d] = tq_dim_known(out->dims[d], x->dims[d]);
        }
    }
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_type *y = run->out_types[0];
    int axis;
    tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), y->rank, &axis));
    const int64_t n_outer = tq_type_count_to(y, axis);
    const size_t size = tq_dtype_size(y->dtype), row = (size_t)tq_type_count_from(y, axis) * size;
    size_t at = 0;
    for (int i = 0; i < run->n_in; i++) {
        const size_t part = (size_t)tq_type_count_from(run->in_types[i], axis) * size;
        for (int64_t o = 0; o < n_outer && part; o++)
            memcpy((char *)run->out[0] + (size_t)o * row + at,
                   (const char *)run->in[i] + (size_t)o * part, part);
        at += part;
    }
}

static tq_status emit_slice(tq_grad *g, int i, int64_t begin, int64_t end, int64_t axis)
{
    tq_value *inputs[4] = { tq_grad_of_output(g, 0) };
    TQ_TRY(tq_grad_ints(g, 1, &begin, &inputs[1]));
    TQ_TRY(tq_grad_ints(g, 1, &end, &inputs[2]));
    TQ_TRY(tq_grad_ints(g, 1, &axis, &inputs[3]));
    return tq_grad_emit_n(g, i, "Slice", false, inputs, 4);
}

static tq_status gradient(tq_grad *g)
{
    const int rank = tq_value_type(tq_grad_output(g, 0))->rank;
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(tq_grad_attrs(g), "axis"), rank < 0 ? 0 : rank, &axis));
    int64_t begin = 0;
    for (int i = 0; i < tq_node_n_inputs(tq_grad_of(g)); i++) {
        const int64_t size = tq_value_type(tq_grad_input(g, i))->dims[axis];
        if (size == TQ_DIM_ANY)
            return tq_fail(TQ_ERR_UNSUPPORTED, "the size of input %d along axis %d is not known", i,
                           axis);
        if (tq_grad_wants(g, i))
            TQ_TRY(emit_slice(g, i, begin, begin + size, axis));
        begin += size;
    }
    return TQ_OK;
}

const tq_op tq_op_concat = {
    .entry = { .name = "Concat", .brief = "inputs joined along an axis" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "inputs..." },
    .outputs = { "concat_result" },
    .attrs = { { .name = "axis", .kind = TQ_ATTR_INT } },
    .required_attrs = 1,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_concat,
    .bounds = tq_bounds_union,
};
