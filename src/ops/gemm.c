/* General matrix product (ONNX Gemm-13):
 *
 *   y = alpha * a' b' + beta * c,      a' = a or a^T [M, K],  b' = b or b^T [K, N]
 *
 *   c broadcasts to [M, N], optional. f32; also i32 and i64 where alpha and beta are integers.
 *
 * Gradients are Gemm again: with G = alpha * dy, da' = G b'^T and db' = a'^T G; dc = beta * dy
 * summed to c's shape. */
#include "ops/matmul_core_internal.h"

#include <math.h>

enum { A, B, C };

static bool transposed(const tq_attrs *attrs, const char *name)
{
    return tq_attr_int(attrs, name) != 0;
}

static tq_matmul product_of(const tq_attrs *attrs, const tq_type *a, const tq_type *b)
{
    const bool a_t = transposed(attrs, "transA"), b_t = transposed(attrs, "transB");
    return (tq_matmul){
        .m = a->dims[a_t],
        .k = tq_dim_known(a->dims[!a_t], b->dims[b_t]),
        .n = b->dims[!b_t],
        .a_row = a_t ? 1 : a->dims[1],
        .a_column = a_t ? a->dims[1] : 1,
        .b_row = b_t ? 1 : b->dims[1],
        .b_column = b_t ? b->dims[1] : 1,
    };
}

static tq_status check_factors(const tq_op_types *t)
{
    const float alpha = tq_attr_float(t->attrs, "alpha"), beta = tq_attr_float(t->attrs, "beta");
    if (tq_dtype_is_float(t->in[A]->dtype))
        return TQ_OK;
    if (alpha == rintf(alpha) && beta == rintf(beta) && fabsf(alpha) < 0x1p24f &&
        fabsf(beta) < 0x1p24f)
        return TQ_OK;
    return tq_fail(TQ_ERR_UNSUPPORTED, "alpha is %g and beta is %g on %s; expected integers",
                   (double)alpha, (double)beta, tq_dtype_name(t->in[A]->dtype));
}

static tq_status check_c(const tq_op_types *t, const tq_type *y)
{
    if (!tq_op_has(t, C))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, C, TQ_DTYPE_BIT(y->dtype)));
    TQ_TRY(tq_op_need_rank(t, C, 0, 2));
    const tq_type *c = t->in[C];
    for (int d = 0; d < c->rank; d++) {
        const int64_t size = c->dims[c->rank - 1 - d];
        if (size != 1 && !tq_dim_fits(size, y->dims[1 - d]))
            return tq_fail(TQ_ERR_SHAPE, "c is %s; expected to broadcast to %s", tq_type_text(c).s,
                           tq_type_text(y).s);
    }
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, A, TQ_DTYPE_BIT(TQ_F32) | TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_dtype(t, B, TQ_DTYPE_BIT(t->in[A]->dtype)));
    TQ_TRY(tq_op_need_rank(t, A, 2, 2));
    TQ_TRY(tq_op_need_rank(t, B, 2, 2));
    TQ_TRY(check_factors(t));
    const tq_type *a = t->in[A], *b = t->in[B];
    const int64_t a_k = a->dims[!transposed(t->attrs, "transA")];
    const int64_t b_k = b->dims[transposed(t->attrs, "transB")];
    if (!tq_dim_fits(a_k, b_k))
        return tq_fail(TQ_ERR_SHAPE, "cannot multiply %s by %s: inner sizes are %lld and %lld",
                       tq_type_text(a).s, tq_type_text(b).s, (long long)a_k, (long long)b_k);
    const tq_matmul p = product_of(t->attrs, a, b);
    const tq_type y = tq_type_make(a->dtype, 2, (int64_t[]){ p.m, p.n });
    TQ_TRY(check_c(t, &y));
    t->out[0] = y;
    return TQ_OK;
}

/** y = alpha * y + beta * c in float. */
static void finish_f32(const tq_op_run *run, float alpha, float beta)
{
    float *y = run->out[0];
    const tq_type *type = run->out_types[0];
    const float *c = tq_run_has(run, C) ? run->in[C] : NULL;
    int64_t strides[TQ_MAX_RANK] = { 0 };
    if (c)
        tq_broadcast_strides(run->in_types[C], type, strides);
    for (int64_t m = 0; m < type->dims[0]; m++)
        for (int64_t n = 0; n < type->dims[1]; n++) {
            float *at = y + m * type->dims[1] + n;
            *at = alpha * *at + (c ? beta * c[m * strides[0] + n * strides[1]] : 0.0f);
        }
}

static void finish_integer(const tq_op_run *run, float alpha, float beta)
{
    const tq_type *type = run->out_types[0];
    int64_t strides[TQ_MAX_RANK] = { 0 };
    if (tq_run_has(run, C))
        tq_broadcast_strides(run->in_types[C], type, strides);
    const uint64_t whole_alpha = (uint64_t)(int64_t)alpha, whole_beta = (uint64_t)(int64_t)beta;
    for (int64_t i = 0; i < tq_type_count(type); i++) {
        const int64_t at = i / type->dims[1] * strides[0] + i % type->dims[1] * strides[1];
        const uint64_t c =
            tq_run_has(run, C) ? (uint64_t)tq_load_i64(run->in[C], type->dtype, at) : 0;
        const uint64_t y =
            whole_alpha * (uint64_t)tq_load_i64(run->out[0], type->dtype, i) + whole_beta * c;
        if (type->dtype == TQ_I32)
            ((uint32_t *)run->out[0])[i] = (uint32_t)y;
        else
            ((uint64_t *)run->out[0])[i] = y;
    }
}

static void reference(const tq_op_run *run)
{
    const tq_matmul p = product_of(run->attrs, run->in_types[A], run->in_types[B]);
    const tq_dtype dtype = run->in_types[A]->dtype;
    const float alpha = tq_attr_float(run->attrs, "alpha"),
                beta = tq_attr_float(run->attrs, "beta");
    if (dtype == TQ_F32) {
        tq_matmul_real(run, &p, dtype, run->in[A], run->in[B], run->out[0]);
        finish_f32(run, alpha, beta);
        return;
    }
    tq_matmul_integer_run(run, &(tq_matmul_integer){ .product = &p,
                                                     .a = run->in[A],
                                                     .b = run->in[B],
                                                     .a_dtype = dtype,
                                                     .b_dtype = dtype,
                                                     .c_dtype = dtype,
                                                     .c = run->out[0] });
    finish_integer(run, alpha, beta);
}

/* ---- gradient ---------------------------------------------------------------------------- */

static tq_status emit(tq_grad *g, int i, tq_value *left, bool left_t, tq_value *right, bool right_t)
{
    if (!tq_grad_wants(g, i))
        return TQ_OK;
    const tq_attr attrs[] = { TQ_FLOAT("alpha", tq_attr_float(tq_grad_attrs(g), "alpha")),
                              TQ_INT("transA", left_t), TQ_INT("transB", right_t) };
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "Gemm",
                                         .inputs = (tq_value *[]){ left, right },
                                         .n_inputs = 2,
                                         .attrs = attrs,
                                         .n_attrs = TQ_COUNT(attrs) },
                        &node));
    tq_grad_set(g, i, tq_node_output(node, 0));
    return TQ_OK;
}

/** beta * dy as a node of its own; dy where beta is 1. */
static tq_status scaled(tq_grad *g, tq_value *dy, tq_value **out)
{
    const float beta = tq_attr_float(tq_grad_attrs(g), "beta");
    *out = dy;
    if (beta == 1.0f)
        return TQ_OK;
    const tq_type scalar = tq_type_make(TQ_F32, 0, NULL);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, &scalar, &beta));
    tq_value *factor;
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, &factor);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g, &(tq_node_spec){ .op = "Mul", .inputs = (tq_value *[]){ dy, factor }, .n_inputs = 2 },
        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status gradient(tq_grad *g)
{
    tq_value *a = tq_grad_input(g, A), *b = tq_grad_input(g, B), *dy = tq_grad_of_output(g, 0);
    const bool a_t = transposed(tq_grad_attrs(g), "transA");
    const bool b_t = transposed(tq_grad_attrs(g), "transB");
    if (a_t)
        TQ_TRY(emit(g, A, b, b_t, dy, true));
    else
        TQ_TRY(emit(g, A, dy, false, b, !b_t));
    if (b_t)
        TQ_TRY(emit(g, B, dy, true, a, a_t));
    else
        TQ_TRY(emit(g, B, a, !a_t, dy, false));
    if (!tq_grad_input(g, C) || !tq_grad_wants(g, C))
        return TQ_OK;
    tq_value *dc;
    TQ_TRY(scaled(g, dy, &dc));
    return tq_grad_set_unbroadcast(g, C, dc);
}

/* ---- integers ------------------------------------------------------------------------------ */

static tq_status integerise(tq_integerise *t)
{
    const tq_attrs *attrs = tq_node_attrs(tq_int_node(t));
    const tq_value *c = tq_node_input(tq_int_node(t), C);
    if (c && tq_value_type(c)->rank == 2 && tq_value_type(c)->dims[0] != 1)
        return tq_int_refuse(t, "c is %s; expected one value per column",
                             tq_type_text(tq_value_type(c)).s);
    return tq_linear_integerise(t,
                                &(tq_linear_rule){ .a_transposed = transposed(attrs, "transA"),
                                                   .transposed = transposed(attrs, "transB"),
                                                   .alpha = (double)tq_attr_float(attrs, "alpha"),
                                                   .beta = (double)tq_attr_float(attrs, "beta"),
                                                   .bias = C });
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_matmul p = product_of(t->attrs, t->in[A], t->in[B]);
    const int64_t alpha = (int64_t)tq_attr_float(t->attrs, "alpha");
    const int64_t beta = (int64_t)tq_attr_float(t->attrs, "beta");
    const tq_sum_bounds product =
        tq_matmul_bounds(&p, tq_bounds_of(b, A), t->in_known[B], NULL, 0, tq_bounds_of(b, B));
    const int bits = tq_accumulator_bits(t->in[A]->dtype);
    tq_bounds_intermediate(b, "sum", product.part.lo, product.part.hi, bits);
    tq_sum_bounds sum = { 0 };
    tq_sum_bounds_add(&sum, product.sum, alpha);
    if (tq_op_has(t, C))
        tq_sum_bounds_add(&sum, tq_bounds_of(b, C), beta);
    tq_bounds_set_sum(b, &sum, bits);
    return TQ_OK;
}

static int64_t macs(const tq_op_types *t)
{
    const tq_matmul p = product_of(t->attrs, t->in[A], t->in[B]);
    return tq_matmul_macs(&p);
}

const tq_op tq_op_gemm = {
    .entry = { .name = "Gemm",
               .brief = "general matrix product with bias",
               .source = "ONNX Gemm-13" },
    .flags = TQ_OP_LINEAR | TQ_OP_INTEGER,
    .inputs = { "a", "b", "?c" },
    .outputs = { "y" },
    .attrs = { TQ_FLOAT("alpha", 1.0f), TQ_FLOAT("beta", 1.0f), TQ_INT("transA", 0),
               TQ_INT("transB", 0) },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
    .bounds = bounds,
    .macs = macs,
};
