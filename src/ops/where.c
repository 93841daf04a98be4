/* Where: x where the condition holds, else y; any dtype, with broadcasting. */
#include "ops/arithmetic_internal.h"

#include <string.h>

enum { CONDITION, X, Y };

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, CONDITION, TQ_DTYPE_BIT(TQ_BOOL)));
    tq_type condition = *t->in[CONDITION];
    condition.dtype = t->in[X]->dtype;
    const tq_type *const in[] = { t->in[X], t->in[Y], &condition };
    tq_op_types all = *t;
    all.in = in;
    return tq_op_infer_broadcast(&all);
}

static void row(const void *context, const tq_row *r)
{
    const size_t size = *(const size_t *)context;
    for (int64_t i = 0; i < r->n; i++) {
        const int k = ((const uint8_t *)r->in[CONDITION])[i * r->step[CONDITION]] ? X : Y;
        memcpy((char *)r->out + (size_t)i * size,
               (const char *)r->in[k] + (size_t)(i * r->step[k]) * size, size);
    }
}

static void reference(const tq_op_run *run)
{
    const size_t size = tq_dtype_size(run->out_types[0]->dtype);
    tq_broadcast_rows(3, run->in, run->in_types, run->out[0], run->out_types[0], row, &size);
}

/** dx = Where(condition, dy, 0), dy' = Where(condition, 0, dy). */
static tq_status gradient(tq_grad *g)
{
    tq_value *dy = tq_grad_of_output(g, 0), *zero, *dx;
    TQ_TRY(tq_grad_scalar(g, dy, 0.0, &zero));
    for (int i = X; i <= Y; i++) {
        if (!tq_grad_wants(g, i))
            continue;
        tq_value *const inputs[] = { tq_grad_input(g, CONDITION), i == X ? dy : zero,
                                     i == X ? zero : dy };
        TQ_TRY(tq_grad_make(g, "Where", 3, inputs, &dx));
        TQ_TRY(tq_grad_set_unbroadcast(g, i, dx));
    }
    return TQ_OK;
}

const tq_op tq_op_where = {
    .entry = { .name = "Where", .brief = "x where the condition holds, else y" },
    .flags = TQ_OP_INTEGER,
    .inputs = { "condition", "X", "Y" },
    .outputs = { "output" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};
