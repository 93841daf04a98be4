/* Cast and CastLike between all dtypes. Floats to integers truncate and saturate (to 4 bits: round
 * half to even and saturate), NaN gives 0; integers to narrower integers keep their low bits;
 * anything to bool is "not zero". Source: ONNX Cast, opset 13 to 23. */
#include "ops/arithmetic_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/onnx_dtype_internal.h"
#include "ops/strided_internal.h"

#include <math.h>

enum { X, LIKE };

static tq_status infer(tq_op_types *t)
{
    const int64_t to = tq_attr_int(t->attrs, "to");
    t->out[0] = *t->in[X];
    t->out[0].dtype = tq_dtype_from_onnx(to);
    if (t->out[0].dtype == TQ_NONE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "cast to ONNX dtype %lld is not implemented",
                       (long long)to);
    const tq_tensor *known = t->in_known ? t->in_known[X] : NULL;
    if (t->out_known && known && known->data && !known->buffer &&
        t->out[0].dtype == t->in[X]->dtype)
        t->out_known[0] = *known;
    return TQ_OK;
}

static tq_status like_infer(tq_op_types *t)
{
    t->out[0] = *t->in[X];
    t->out[0].dtype = t->in[LIKE]->dtype;
    return TQ_OK;
}

static void to_bool(const tq_op_run *run, tq_dtype from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)run->out[0])[i] = !(tq_load_f64(run->in[X], from, i) == 0.0);
}

/** The low four bits as a 4-bit integer. */
static int64_t four_bits(int64_t v, tq_dtype to)
{
    const int64_t low = (int64_t)((uint64_t)v & 15);
    return to == TQ_I4 && low > 7 ? low - 16 : low;
}

static void float_to_integer(const tq_op_run *run, tq_dtype from, tq_dtype to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double v = tq_load_f64(run->in[X], from, i);
        if (to == TQ_U4 || to == TQ_I4)
            tq_store_i64(run->out[0], to, i, four_bits(tq_load_i64(run->in[X], from, i), to));
        else
            tq_store_f64(run->out[0], to, i, isnan(v) ? 0.0 : trunc(v));
    }
}

static void to_float(const tq_op_run *run, tq_dtype from, tq_dtype to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (to == TQ_F32 && (from == TQ_I64 || from == TQ_U64)) /* rounded once */
            ((float *)run->out[0])[i] = from == TQ_I64 ? (float)((const int64_t *)run->in[X])[i]
                                                       : (float)((const uint64_t *)run->in[X])[i];
        else
            tq_store_f64(run->out[0], to, i, tq_load_f64(run->in[X], from, i));
    }
}

static void integer_to_integer(const tq_op_run *run, tq_dtype from, tq_dtype to, int64_t n)
{
    const tq_class class = tq_class_of(from);
    tq_block block;
    for (int64_t at = 0; at < n; at += TQ_BLOCK) {
        const int64_t part = n - at < TQ_BLOCK ? n - at : TQ_BLOCK;
        tq_block_load(class, (const char *)run->in[X] + (size_t)at * tq_dtype_size(from), from, 1,
                      part, &block);
        for (int64_t i = 0; i < part && (to == TQ_U4 || to == TQ_I4); i++)
            block.i64[i] = four_bits(block.i64[i], to);
        tq_block_store(TQ_CLASS_I64, &block, part,
                       (char *)run->out[0] + (size_t)at * tq_dtype_size(to), to);
    }
}

static void reference(const tq_op_run *run)
{
    const tq_dtype from = run->in_types[X]->dtype, to = run->out_types[0]->dtype;
    const int64_t n = tq_type_count(run->out_types[0]);
    if (from == to)
        tq_copy_input(run, X);
    else if (to == TQ_BOOL)
        to_bool(run, from, n);
    else if (tq_dtype_is_float(to))
        to_float(run, from, to, n);
    else if (tq_dtype_is_float(from))
        float_to_integer(run, from, to, n);
    else
        integer_to_integer(run, from, to, n);
}

/** Between floats: dy cast back; from integers nothing passes. */
static tq_status gradient(tq_grad *g)
{
    const tq_dtype from = tq_value_type(tq_grad_input(g, X))->dtype;
    if (!tq_grad_wants(g, X) || !tq_dtype_is_float(from))
        return TQ_OK;
    tq_value *dy = tq_grad_of_output(g, 0);
    const tq_attr to = TQ_INT("to", tq_dtype_to_onnx(from));
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){ .op = "Cast", .n_inputs = 1, .inputs = &dy, .n_attrs = 1, .attrs = &to },
        &node));
    tq_grad_set(g, X, tq_node_output(node, 0));
    return TQ_OK;
}

static tq_status bounds(tq_bounds *b)
{
    int64_t lo, hi;
    tq_bounds_input(b, X, &lo, &hi);
    const tq_dtype to = tq_bounds_types(b)->out[0].dtype;
    if (!tq_dtype_is_integer(to))
        return TQ_OK;
    const bool wraps = lo < tq_dtype_min(to) || hi > tq_dtype_max(to);
    tq_bounds_set(b, 0, wraps ? tq_dtype_min(to) : lo, wraps ? tq_dtype_max(to) : hi);
    return TQ_OK;
}

const tq_op tq_op_cast = {
    .entry = { .name = "Cast", .brief = "another dtype" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "input" },
    .outputs = { "output" },
    .attrs = { { .name = "to", .kind = TQ_ATTR_INT },
               { .name = "saturate", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "round_mode", .kind = TQ_ATTR_STRING, .s = "up" } },
    .required_attrs = 1,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_same,
    .bounds = bounds,
};

const tq_op tq_op_cast_like = {
    .entry = { .name = "CastLike", .brief = "the dtype of another tensor" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "input", "target_type" },
    .outputs = { "output" },
    .attrs = { { .name = "saturate", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "round_mode", .kind = TQ_ATTR_STRING, .s = "up" } },
    .infer = like_infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_same,
    .bounds = bounds,
};
