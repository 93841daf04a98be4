/* The block machinery of elementwise operators, and what their rules share. */
#include "ops/arithmetic_internal.h"

#include <string.h>

tq_class tq_class_of(tq_dtype dtype)
{
    switch (dtype) {
    case TQ_F64:
        return TQ_CLASS_F64;
    case TQ_F32:
    case TQ_F16:
    case TQ_BF16:
        return TQ_CLASS_F32;
    case TQ_U64:
        return TQ_CLASS_U64;
    default:
        return TQ_CLASS_I64;
    }
}

#define LOAD_AS(T, member)                                                                         \
    for (int64_t i = 0; i < n; i++)                                                                \
    block->member[i] = ((const T *)data)[i * step]

static void load_i64(const void *data, tq_dtype dtype, int64_t step, int64_t n, tq_block *block)
{
    switch (dtype) {
    case TQ_U8:
        LOAD_AS(uint8_t, i64);
        break;
    case TQ_I8:
        LOAD_AS(int8_t, i64);
        break;
    case TQ_I32:
        LOAD_AS(int32_t, i64);
        break;
    case TQ_I64:
        LOAD_AS(int64_t, i64);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            block->i64[i] = tq_load_i64(data, dtype, i * step);
    }
}

void tq_block_load(tq_class class, const void *data, tq_dtype dtype, int64_t step, int64_t n,
                   tq_block *block)
{
    if (class == TQ_CLASS_I64) {
        load_i64(data, dtype, step, n, block);
    } else if (class == TQ_CLASS_U64) {
        if (dtype == TQ_U64)
            LOAD_AS(uint64_t, u64);
        else
            for (int64_t i = 0; i < n; i++)
                block->u64[i] = (uint64_t)tq_load_i64(data, dtype, i * step);
    } else if (class == TQ_CLASS_F64) {
        for (int64_t i = 0; i < n; i++)
            block->f64[i] = tq_load_f64(data, dtype, i * step);
    } else if (dtype == TQ_F32) {
        LOAD_AS(float, f32);
    } else {
        for (int64_t i = 0; i < n; i++)
            block->f32[i] = (float)tq_load_f64(data, dtype, i * step);
    }
}

#define STORE_AS(T, member)                                                                        \
    for (int64_t i = 0; i < n; i++)                                                                \
    ((T *)data)[i] = (T)block->member[i]

/** Narrow integers keep their low bits. */
static void store_i64(const tq_block *block, int64_t n, void *data, tq_dtype dtype)
{
    switch (dtype) {
    case TQ_U8:
    case TQ_I8:
        STORE_AS(uint8_t, u64);
        break;
    case TQ_U16:
    case TQ_I16:
        STORE_AS(uint16_t, u64);
        break;
    case TQ_U32:
    case TQ_I32:
        STORE_AS(uint32_t, u64);
        break;
    case TQ_U64:
    case TQ_I64:
        STORE_AS(uint64_t, u64);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            tq_store_i64(data, dtype, i, block->i64[i]);
    }
}

void tq_block_store(tq_class class, const tq_block *block, int64_t n, void *data, tq_dtype dtype)
{
    if (class == TQ_CLASS_F32 && dtype == TQ_F32) {
        memcpy(data, block->f32, (size_t)n * sizeof(float));
    } else if (class == TQ_CLASS_F32) {
        for (int64_t i = 0; i < n; i++)
            tq_store_f64(data, dtype, i, block->f32[i]);
    } else if (class == TQ_CLASS_F64) {
        for (int64_t i = 0; i < n; i++)
            tq_store_f64(data, dtype, i, block->f64[i]);
    } else {
        store_i64(block, n, data, dtype);
    }
}

void tq_binary_apply(const tq_binary *f, tq_class class, int64_t n, const tq_block *a,
                     const tq_block *b, tq_block *y)
{
    switch (class) {
    case TQ_CLASS_F32:
        f->f32(n, a->f32, b->f32, y->f32);
        break;
    case TQ_CLASS_F64:
        f->f64(n, a->f64, b->f64, y->f64);
        break;
    case TQ_CLASS_I64:
        f->i64(n, a->i64, b->i64, y->i64);
        break;
    case TQ_CLASS_U64:
        f->u64(n, a->u64, b->u64, y->u64);
        break;
    }
}

typedef struct binary_run {
    const tq_binary *f;
    tq_class class;
    tq_dtype a, b, y;
} binary_run;

static const void *element(const void *data, tq_dtype dtype, int64_t i)
{
    return (const char *)data + (size_t)i * tq_dtype_size(dtype);
}

static void binary_row(const void *context, const tq_row *row)
{
    const binary_run *run = context;
    const bool plain = run->a == TQ_F32 && run->b == TQ_F32 && run->y == TQ_F32;
    if (plain && row->step[0] && row->step[1]) {
        run->f->f32(row->n, row->in[0], row->in[1], row->out);
        return;
    }
    tq_block a, b, y;
    for (int64_t at = 0; at < row->n; at += TQ_BLOCK) {
        const int64_t n = row->n - at < TQ_BLOCK ? row->n - at : TQ_BLOCK;
        tq_block_load(run->class, element(row->in[0], run->a, at * row->step[0]), run->a,
                      row->step[0], n, &a);
        tq_block_load(run->class, element(row->in[1], run->b, at * row->step[1]), run->b,
                      row->step[1], n, &b);
        tq_binary_apply(run->f, run->class, n, &a, &b, &y);
        tq_block_store(run->class, &y, n, (char *)row->out + (size_t)at * tq_dtype_size(run->y),
                       run->y);
    }
}

void tq_binary_run(const tq_binary *f, const void *a, const tq_type *a_type, const void *b,
                   const tq_type *b_type, void *y, const tq_type *y_type)
{
    binary_run run = { .f = f,
                       .class = tq_class_of(a_type->dtype),
                       .a = a_type->dtype,
                       .b = b_type->dtype,
                       .y = y_type->dtype };
    if (tq_dtype_is_float(run.b) && !tq_dtype_is_float(run.a))
        run.class = TQ_CLASS_F64;
    tq_broadcast_rows(2, (const void *const[]){ a, b }, (const tq_type *const[]){ a_type, b_type },
                      y, y_type, binary_row, &run);
}

/* ---- known values ------------------------------------------------------------------------- */

enum { MAX_KNOWN = 256 };

static bool all_known(const tq_op_types *t)
{
    if (!t->in_known || !t->out_known || t->n_in > TQ_BROADCAST_INPUTS)
        return false;
    for (int i = 0; i < t->n_in; i++)
        if (!t->in[i] || !t->in_known[i] || !t->in_known[i]->data || t->in[i]->dtype != TQ_I64 ||
            tq_type_count(t->in[i]) > MAX_KNOWN)
            return false;
    return tq_type_is_known(&t->out[0]) && tq_type_count(&t->out[0]) <= MAX_KNOWN;
}

typedef struct mark {
    int n_in;
} mark;

static void mark_row(const void *context, const tq_row *row)
{
    const mark *m = context;
    for (int64_t i = 0; i < row->n; i++)
        for (int k = 0; k < m->n_in; k++)
            if (((const int64_t *)row->in[k])[i * row->step[k]] == TQ_VALUE_ANY)
                ((int64_t *)row->out)[i] = TQ_VALUE_ANY;
}

void tq_known_arithmetic(tq_op_types *t, void (*reference)(const tq_op_run *run))
{
    if (t->out[0].dtype != TQ_I64 || !all_known(t))
        return;
    const void *in[TQ_BROADCAST_INPUTS] = { 0 };
    for (int i = 0; i < t->n_in; i++)
        in[i] = t->in_known[i]->data;
    int64_t *out = TQ_NEW_N(t->scratch, int64_t, tq_type_count(&t->out[0]));
    reference(&(tq_op_run){ .n_in = t->n_in,
                            .n_out = 1,
                            .in = in,
                            .out = (void *[]){ out },
                            .in_types = t->in,
                            .out_types = (const tq_type *const[]){ &t->out[0] },
                            .attrs = t->attrs,
                            .registry = t->registry,
                            .n_shards = 1 });
    tq_broadcast_rows(t->n_in, in, t->in, out, &t->out[0], mark_row, &(mark){ t->n_in });
    t->out_known[0] = (tq_tensor){ .type = t->out[0], .data = out };
}

/* ---- gradients ----------------------------------------------------------------------------- */

tq_status tq_grad_scalar(tq_grad *g, const tq_value *like, double number, tq_value **out_value)
{
    const tq_type type = tq_type_make(tq_value_type(like)->dtype, 0, NULL);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    tq_store_f64(tensor.data, type.dtype, 0, number);
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, out_value);
    tq_tensor_reset(&tensor);
    return status;
}

tq_status tq_grad_make(tq_grad *g, const char *op, int n_inputs, tq_value *const *inputs,
                       tq_value **out_value)
{
    tq_node *node;
    const tq_node_spec spec = { .op = op, .n_inputs = n_inputs, .inputs = inputs };
    TQ_TRY(tq_grad_node(g, &spec, &node));
    *out_value = tq_node_output(node, 0);
    return TQ_OK;
}
