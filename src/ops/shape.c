/* Shape and Size: the dimensions of a tensor and their product, as i64. An unknown dimension
 * travels on as TQ_VALUE_ANY, so that shape arithmetic infers with a symbolic batch. Source: ONNX,
 * opset 15. */
#include "ops/ops.h"

#include <truq/integerise.h>

enum { X };

/** First and one-past-last dimension that Shape gives. */
static void range(const tq_attrs *attrs, int rank, int *out_begin, int *out_end)
{
    int64_t begin = tq_attr_int(attrs, "start"), end = rank;
    if (tq_attrs_has(attrs, "end"))
        end = tq_attr_int(attrs, "end");
    begin = tq_clip_i64(begin < 0 ? begin + rank : begin, 0, rank);
    end = tq_clip_i64(end < 0 ? end + rank : end, 0, rank);
    *out_begin = (int)begin;
    *out_end = (int)(end < begin ? begin : end);
}

static tq_status shape_infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    t->out[0] = (tq_type){ .dtype = TQ_I64, .rank = 1, .dims = { TQ_DIM_ANY } };
    if (x->rank < 0)
        return TQ_OK;
    int begin, end;
    range(t->attrs, x->rank, &begin, &end);
    t->out[0].dims[0] = end - begin;
    int64_t *dims = TQ_NEW_N(t->scratch, int64_t, end - begin + 1);
    for (int d = begin; d < end; d++)
        dims[d - begin] = x->dims[d] == TQ_DIM_ANY ? TQ_VALUE_ANY : x->dims[d];
    if (t->out_known)
        t->out_known[0] = (tq_tensor){ .type = t->out[0], .data = dims };
    return TQ_OK;
}

static void shape_reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    int begin, end;
    range(run->attrs, x->rank, &begin, &end);
    for (int d = begin; d < end; d++)
        ((int64_t *)run->out[0])[d - begin] = x->dims[d];
}

static tq_status size_infer(tq_op_types *t)
{
    const int64_t count = t->in[X]->rank < 0 ? TQ_DIM_ANY : tq_type_count(t->in[X]);
    t->out[0] = tq_type_make(TQ_I64, 0, NULL);
    int64_t *value = TQ_NEW(t->scratch, int64_t);
    *value = count == TQ_DIM_ANY ? TQ_VALUE_ANY : count;
    if (t->out_known)
        t->out_known[0] = (tq_tensor){ .type = t->out[0], .data = value };
    return TQ_OK;
}

static void size_reference(const tq_op_run *run)
{
    *(int64_t *)run->out[0] = tq_type_count(run->in_types[X]);
}

/** No tensor has more elements than memory could hold bytes. */
static tq_status bounds(tq_bounds *b)
{
    tq_bounds_set(b, 0, 0, INT64_C(1) << 46);
    return TQ_OK;
}

const tq_op tq_op_shape = {
    .entry = { .name = "Shape", .brief = "dimensions of a tensor" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "data" },
    .outputs = { "shape" },
    .attrs = { { .name = "start", .kind = TQ_ATTR_INT }, { .name = "end", .kind = TQ_ATTR_INT } },
    .infer = shape_infer,
    .reference = shape_reference,
    .bounds = bounds,
};

const tq_op tq_op_size = {
    .entry = { .name = "Size", .brief = "number of elements" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "data" },
    .outputs = { "size" },
    .infer = size_infer,
    .reference = size_reference,
    .bounds = bounds,
};
