/* What operators share: checks of their inputs, the common ways to infer, and running one reference
 * on its own. */
#include "ops/ops.h"

#include <truq/integerise.h>

#include <stdio.h>
#include <string.h>

tq_status tq_op_need_rank(const tq_op_types *t, int i, int rank_min, int rank_max)
{
    if (!tq_op_has(t, i))
        return tq_fail(TQ_ERR_VALUE, "input %d is missing", i);
    const tq_type *type = t->in[i];
    if (type->rank < 0)
        return tq_fail(TQ_ERR_SHAPE, "input %d has an unknown shape; expected rank %d to %d", i,
                       rank_min, rank_max);
    if (type->rank < rank_min || type->rank > rank_max)
        return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected rank %d to %d", i,
                       tq_type_text(type).s, rank_min, rank_max);
    return TQ_OK;
}

/** "f32, i8". */
static tq_text mask_text(uint32_t mask)
{
    tq_text text = { .s = "" };
    for (int dtype = 1; dtype < TQ_N_DTYPES; dtype++)
        if (mask & TQ_DTYPE_BIT(dtype)) {
            const size_t n = strlen(text.s);
            snprintf(text.s + n, sizeof text.s - n, "%s%s", n ? ", " : "",
                     tq_dtype_name((tq_dtype)dtype));
        }
    return text;
}

tq_status tq_op_need_dtype(const tq_op_types *t, int i, uint32_t dtype_mask)
{
    if (!tq_op_has(t, i))
        return tq_fail(TQ_ERR_VALUE, "input %d is missing", i);
    if (dtype_mask & TQ_DTYPE_BIT(t->in[i]->dtype))
        return TQ_OK;
    return tq_fail(TQ_ERR_TYPE, "input %d is %s; expected one of %s", i, tq_type_text(t->in[i]).s,
                   mask_text(dtype_mask).s);
}

tq_status tq_op_infer_same(tq_op_types *t)
{
    if (!tq_op_has(t, 0))
        return tq_fail(TQ_ERR_VALUE, "input 0 is missing");
    t->out[0] = *t->in[0];
    return TQ_OK;
}

tq_status tq_op_infer_broadcast(tq_op_types *t)
{
    TQ_TRY(tq_op_infer_same(t));
    for (int i = 1; i < t->n_in; i++) {
        if (!t->in[i])
            continue;
        if (t->in[i]->dtype != t->in[0]->dtype)
            return tq_fail(TQ_ERR_TYPE, "input 0 is %s, input %d is %s; expected one dtype",
                           tq_type_text(t->in[0]).s, i, tq_type_text(t->in[i]).s);
        if (t->out[0].rank < 0 || t->in[i]->rank < 0) {
            t->out[0].rank = -1;
            continue;
        }
        tq_type type;
        TQ_TRY(tq_type_broadcast(&t->out[0], t->in[i], &type));
        type.dtype = t->in[0]->dtype;
        t->out[0] = type;
    }
    return TQ_OK;
}

tq_status tq_op_axis(int64_t axis, int rank, int *out_axis)
{
    if (axis < -rank || axis >= rank)
        return tq_fail(TQ_ERR_VALUE, "axis is %lld; expected %d to %d", (long long)axis, -rank,
                       rank - 1);
    *out_axis = (int)(axis < 0 ? axis + rank : axis);
    return TQ_OK;
}

bool tq_node_has_flag(const tq_node *node, unsigned flag)
{
    return (tq_node_op(node)->flags & flag) != 0;
}

tq_status tq_op_known_ints(const tq_op_types *t, int i, int max, int64_t *out_values, int *out_n)
{
    *out_n = -1;
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_rank(t, i, 0, 1));
    const tq_tensor *known = t->in_known ? t->in_known[i] : NULL;
    if (!known || (!known->data && tq_tensor_count(known) != 0))
        return TQ_OK;
    const int64_t n = tq_tensor_count(known);
    if (n < 0 || n > max)
        return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected at most %d elements", i,
                       tq_type_text(&known->type).s, max);
    /* a constant has no unknown element: exporters write the smallest number for "from the start"
     */
    const int64_t least = known->buffer ? TQ_VALUE_ANY + 1 : TQ_VALUE_ANY;
    for (int64_t k = 0; k < n; k++)
        out_values[k] =
            tq_clip_i64(tq_load_i64(known->data, known->type.dtype, k), least, INT64_MAX);
    *out_n = (int)n;
    return TQ_OK;
}

int64_t tq_dim_mul(int64_t a, int64_t b)
{
    if (a == TQ_DIM_ANY || b == TQ_DIM_ANY)
        return TQ_DIM_ANY;
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* ---- broadcasting ------------------------------------------------------------------------- */

void tq_type_strides(const tq_type *type, int64_t strides[TQ_MAX_RANK])
{
    int64_t stride = 1;
    for (int d = type->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride = (int64_t)((uint64_t)stride * (uint64_t)type->dims[d]);
    }
}

void tq_broadcast_strides(const tq_type *in, const tq_type *out, int64_t strides[TQ_MAX_RANK])
{
    int64_t own[TQ_MAX_RANK];
    tq_type_strides(in, own);
    const int missing = out->rank - in->rank;
    for (int d = 0; d < out->rank; d++)
        strides[d] = d < missing || in->dims[d - missing] == 1 ? 0 : own[d - missing];
}

bool tq_index_next(int rank, const int64_t *dims, int64_t *index)
{
    for (int d = rank - 1; d >= 0; d--) {
        if (++index[d] < dims[d])
            return true;
        index[d] = 0;
    }
    return false;
}

/* ---- running in pieces ---------------------------------------------------------------------- */

typedef struct chunks {
    int64_t n, grain;
    void (*body)(void *context, int64_t begin, int64_t end);
    void *context;
} chunks;

static void run_chunk(void *context, int64_t i, int worker)
{
    (void)worker;
    const chunks *c = context;
    const int64_t begin = i * c->grain, left = c->n - begin;
    c->body(c->context, begin, begin + (left < c->grain ? left : c->grain));
}

void tq_run_for(const tq_op_run *run, int64_t n, int64_t grain,
                void (*body)(void *context, int64_t begin, int64_t end), void *context)
{
    chunks c = { n, grain < 1 ? 1 : grain, body, context };
    if (n <= c.grain || !run->pool) {
        if (n > 0)
            body(context, 0, n);
        return;
    }
    tq_parallel_for(run->pool, (n - 1) / c.grain + 1, run_chunk, &c);
}

/* ---- running one reference ------------------------------------------------------------------ */

typedef struct evaluation {
    const tq_registry *registry;
    const tq_op *op;
    const tq_attrs *attrs;
    const tq_node *node; /* whose constants are the inputs, or NULL: */
    const tq_tensor *const *inputs;
    int n_inputs, n_outputs;
    tq_tensor *outputs;
    tq_arena *scratch;
} evaluation;

/** Types of all outputs, which are allocated. */
static tq_status make_outputs(const evaluation *e, const tq_type *const *in_types,
                              tq_type *out_types)
{
    tq_tensor *known = TQ_NEW_N(e->scratch, tq_tensor, e->n_outputs);
    for (int i = 0; i < e->n_outputs; i++)
        out_types[i] = (tq_type){ .dtype = TQ_NONE, .rank = -1 };
    tq_op_types types = {
        .n_in = e->n_inputs,
        .n_out = e->n_outputs,
        .in = in_types,
        .in_known = e->inputs,
        .attrs = e->attrs,
        .registry = e->registry,
        .out = out_types,
        .scratch = e->scratch,
        .out_known = known,
    };
    TQ_TRY(e->op->infer(&types));
    for (int i = 0; i < e->n_outputs; i++) {
        if (out_types[i].dtype == TQ_NONE || !tq_type_is_known(&out_types[i]))
            return tq_fail(TQ_ERR_SHAPE, "output %d has no known type: %s", i,
                           tq_type_text(&out_types[i]).s);
        TQ_TRY(tq_tensor_init(&e->outputs[i], &out_types[i]));
    }
    return TQ_OK;
}

static void run_reference(const evaluation *e, const tq_type *const *in_types,
                          const tq_type *out_types)
{
    const void **in = TQ_NEW_N(e->scratch, const void *, e->n_inputs);
    bool *in_const = TQ_NEW_N(e->scratch, bool, e->n_inputs);
    void **out = TQ_NEW_N(e->scratch, void *, e->n_outputs);
    const tq_type **out_list = TQ_NEW_N(e->scratch, const tq_type *, e->n_outputs);
    for (int i = 0; i < e->n_inputs; i++) {
        in[i] = e->inputs[i] ? e->inputs[i]->data : NULL;
        in_const[i] = true;
    }
    for (int i = 0; i < e->n_outputs; i++) {
        out[i] = e->outputs[i].data;
        out_list[i] = &out_types[i];
    }
    e->op->reference(&(tq_op_run){
        .n_in = e->n_inputs,
        .n_out = e->n_outputs,
        .in = in,
        .out = out,
        .in_types = in_types,
        .out_types = out_list,
        .attrs = e->attrs,
        .registry = e->registry,
        .in_const = in_const,
        .n_shards = 1,
    });
}

static tq_status collect_inputs(evaluation *e)
{
    e->n_inputs = tq_node_n_inputs(e->node);
    const tq_tensor **inputs = TQ_NEW_N(e->scratch, const tq_tensor *, e->n_inputs);
    for (int i = 0; i < e->n_inputs; i++) {
        const tq_value *value = tq_node_input(e->node, i);
        if (!value)
            continue;
        inputs[i] = tq_value_tensor(value);
        if (!inputs[i])
            return tq_fail(TQ_ERR_STATE, "input '%s' is not a constant", tq_value_name(value));
    }
    e->inputs = inputs;
    return TQ_OK;
}

static tq_status evaluate_body(void *context)
{
    evaluation *e = context;
    if (e->node)
        TQ_TRY(collect_inputs(e));
    if (!e->op->reference || !e->op->infer)
        return tq_fail(TQ_ERR_UNSUPPORTED, "operator '%s' cannot be run", e->op->entry.name);
    const tq_type **in_types = TQ_NEW_N(e->scratch, const tq_type *, e->n_inputs);
    tq_type *out_types = TQ_NEW_N(e->scratch, tq_type, e->n_outputs);
    for (int i = 0; i < e->n_inputs; i++)
        in_types[i] = e->inputs[i] ? &e->inputs[i]->type : NULL;
    TQ_TRY(make_outputs(e, in_types, out_types));
    run_reference(e, in_types, out_types);
    return TQ_OK;
}

static tq_status evaluate(evaluation *e)
{
    for (int i = 0; i < e->n_outputs; i++)
        e->outputs[i] = (tq_tensor){ 0 };
    e->scratch = tq_arena_create();
    const tq_status status = tq_guard(evaluate_body, e);
    tq_arena_destroy(e->scratch);
    for (int i = 0; status && i < e->n_outputs; i++)
        tq_tensor_reset(&e->outputs[i]);
    return status;
}

tq_status tq_op_evaluate(const tq_registry *registry, const tq_op *op, const tq_attrs *attrs,
                         const tq_tensor *const *inputs, int n_inputs, tq_tensor *outputs,
                         int n_outputs)
{
    return evaluate(&(evaluation){ .registry = registry,
                                   .op = op,
                                   .attrs = attrs,
                                   .inputs = inputs,
                                   .n_inputs = n_inputs,
                                   .outputs = outputs,
                                   .n_outputs = n_outputs });
}

tq_status tq_node_evaluate(const tq_node *node, tq_tensor *outputs)
{
    const tq_status status =
        evaluate(&(evaluation){ .registry = tq_graph_registry(tq_node_graph(node)),
                                .op = tq_node_op(node),
                                .attrs = tq_node_attrs(node),
                                .node = node,
                                .outputs = outputs,
                                .n_outputs = tq_node_n_outputs(node) });
    return tq_wrap(status, "node '%s' (%s)", tq_node_name(node), tq_node_op_name(node));
}

/* ---- saturating arithmetic for bounds -------------------------------------------------------- */

int64_t tq_sat_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t tq_sat_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (!__builtin_mul_overflow(a, b, &product))
        return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}
