/* Matrix product with numpy's rules (ONNX MatMul-13): batches broadcast, one-axis operands are rows
 * or columns.
 *
 *   y = a b      floats; also i32, i64 (modulo 2^32, 2^64)
 *
 *   da = dy b^T, db = a^T dy, each summed over the batches that broadcast it. Plain matrices use
 * Gemm, where b is one for all batches with the rows of all of them; rows and columns of one axis
 * have MatMulGradA and MatMulGradB. */
#include "ops/arithmetic_internal.h"
#include "ops/matmul_core_internal.h"
#include "ops/strided_internal.h"

enum { A, B };
enum { DY, OTHER, SELF }; /* of the gradients */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, A, TQ_DTYPES_FLOAT | TQ_DTYPES_WIDE));
    TQ_TRY(tq_op_need_dtype(t, B, TQ_DTYPE_BIT(t->in[A]->dtype)));
    TQ_TRY(tq_op_need_rank(t, A, 1, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_rank(t, B, 1, TQ_MAX_RANK));
    tq_matmul product;
    return tq_matmul_read(t->in[A], t->in[B], &product, &t->out[0]);
}

static void reference(const tq_op_run *run)
{
    const tq_matmul p = tq_matmul_of(run->in_types[A], run->in_types[B]);
    const tq_dtype dtype = run->in_types[A]->dtype;
    if (tq_dtype_is_float(dtype))
        tq_matmul_real(run, &p, dtype, run->in[A], run->in[B], run->out[0]);
    else
        tq_matmul_integer_run(run, &(tq_matmul_integer){ .product = &p,
                                                         .a = run->in[A],
                                                         .b = run->in[B],
                                                         .a_dtype = dtype,
                                                         .b_dtype = dtype,
                                                         .c_dtype = dtype,
                                                         .c = run->out[0] });
}

/** d loss / d input i = Gemm(left, right) with these transpositions. */
static tq_status emit_gemm(tq_grad *g, int i, tq_value *left, tq_value *right, bool left_t,
                           bool right_t)
{
    if (!tq_grad_wants(g, i))
        return TQ_OK;
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "Gemm",
                                         .inputs = (tq_value *[]){ left, right },
                                         .n_inputs = 2,
                                         .n_attrs = 2,
                                         .attrs = (tq_attr[]){ TQ_INT("transA", left_t),
                                                               TQ_INT("transB", right_t) } },
                        &node));
    tq_grad_set(g, i, tq_node_output(node, 0));
    return TQ_OK;
}

/** The matrices of x transposed. */
static tq_status transpose(tq_grad *g, tq_value *x, tq_value **out)
{
    const int rank = tq_value_type(x)->rank;
    int64_t perm[TQ_MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    const tq_attr attr = TQ_INTS("perm", rank, perm);
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){
            .op = "Transpose", .inputs = &x, .n_inputs = 1, .attrs = &attr, .n_attrs = 1 },
        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

/** x as one matrix of all its rows. */
static tq_status stack_rows(tq_grad *g, tq_value *x, tq_value **out)
{
    const tq_type *type = tq_value_type(x);
    const int64_t target[] = { -1, type->dims[type->rank - 1] };
    tq_value *shape;
    TQ_TRY(tq_grad_ints(g, 2, target, &shape));
    return tq_grad_make(g, "Reshape", 2, (tq_value *const[]){ x, shape }, out);
}

/** d loss / d input i = left right, summed over the batches that broadcast it. */
static tq_status emit_product(tq_grad *g, int i, tq_value *left, tq_value *right)
{
    tq_value *product;
    TQ_TRY(tq_grad_make(g, "MatMul", 2, (tq_value *const[]){ left, right }, &product));
    return tq_grad_set_unbroadcast(g, i, product);
}

static tq_status emit_a(tq_grad *g, tq_value *b, tq_value *dy)
{
    tq_value *b_t;
    if (!tq_grad_wants(g, A))
        return TQ_OK;
    TQ_TRY(transpose(g, b, &b_t));
    return emit_product(g, A, dy, b_t);
}

static tq_status emit_b(tq_grad *g, tq_value *a, tq_value *b, tq_value *dy)
{
    tq_value *rows, *dy_rows, *a_t;
    const tq_type *type = tq_value_type(a);
    if (!tq_grad_wants(g, B))
        return TQ_OK;
    if (tq_value_type(b)->rank == 2 && type->dims[type->rank - 1] != TQ_DIM_ANY) {
        TQ_TRY(stack_rows(g, a, &rows));
        TQ_TRY(stack_rows(g, dy, &dy_rows));
        return emit_gemm(g, B, rows, dy_rows, true, false);
    }
    TQ_TRY(transpose(g, a, &a_t));
    return emit_product(g, B, a_t, dy);
}

static tq_status gradient(tq_grad *g)
{
    tq_value *a = tq_grad_input(g, A), *b = tq_grad_input(g, B), *dy = tq_grad_of_output(g, 0);
    const int a_rank = tq_value_type(a)->rank, b_rank = tq_value_type(b)->rank;
    if (a_rank < 2 || b_rank < 2 || tq_value_type(a)->dtype != TQ_F32) {
        TQ_TRY(tq_grad_emit(g, A, "MatMulGradA", dy, b, a));
        return tq_grad_emit(g, B, "MatMulGradB", dy, a, b);
    }
    if (a_rank > 2 || b_rank > 2) {
        TQ_TRY(emit_a(g, b, dy));
        return emit_b(g, a, b, dy);
    }
    TQ_TRY(emit_gemm(g, A, dy, b, false, true));
    return emit_gemm(g, B, a, dy, true, false);
}

static tq_status integerise(tq_integerise *t)
{
    return tq_linear_integerise(t, &(tq_linear_rule){ .alpha = 1.0, .bias = -1 });
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_matmul p = tq_matmul_of(t->in[A], t->in[B]);
    const tq_sum_bounds sum =
        tq_matmul_bounds(&p, tq_bounds_of(b, A), t->in_known[B], NULL, 0, tq_bounds_of(b, B));
    tq_bounds_set_sum(b, &sum, tq_accumulator_bits(t->in[A]->dtype));
    return TQ_OK;
}

static int64_t macs(const tq_op_types *t)
{
    const tq_matmul p = tq_matmul_of(t->in[A], t->in[B]);
    return tq_matmul_macs(&p);
}

const tq_op tq_op_matmul = {
    .entry = { .name = "MatMul",
               .brief = "matrix product with broadcast batches",
               .source = "ONNX MatMul-13" },
    .flags = TQ_OP_LINEAR | TQ_OP_INTEGER,
    .inputs = { "a", "b" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
    .bounds = bounds,
    .macs = macs,
};

/* ---- gradients --------------------------------------------------------------------------- */

static tq_status infer_grad(tq_op_types *t, const tq_type *a, const tq_type *b)
{
    TQ_TRY(tq_op_need_dtype(t, DY, TQ_DTYPES_REAL));
    tq_matmul product;
    tq_type y;
    TQ_TRY(tq_matmul_read(a, b, &product, &y));
    if (y.rank != t->in[DY]->rank)
        return tq_fail(TQ_ERR_SHAPE, "dy is %s; the product gives %s", tq_type_text(t->in[DY]).s,
                       tq_type_text(&y).s);
    t->out[0] = *t->in[SELF];
    return TQ_OK;
}

static tq_status infer_grad_a(tq_op_types *t)
{
    for (int i = 0; i < 3; i++)
        TQ_TRY(tq_op_need_rank(t, i, 0, TQ_MAX_RANK));
    return infer_grad(t, t->in[SELF], t->in[OTHER]);
}

static tq_status infer_grad_b(tq_op_types *t)
{
    for (int i = 0; i < 3; i++)
        TQ_TRY(tq_op_need_rank(t, i, 0, TQ_MAX_RANK));
    return infer_grad(t, t->in[OTHER], t->in[SELF]);
}

static void zero(void *data, const tq_type *type)
{
    for (int64_t i = 0; i < tq_type_count(type); i++)
        tq_store_f64(data, type->dtype, i, 0.0);
}

static void add_to(void *data, tq_dtype dtype, int64_t i, double value)
{
    tq_store_f64(data, dtype, i, tq_load_f64(data, dtype, i) + value);
}

/** da[m, k] += sum_n dy[m, n] b[k, n], batch by batch; sums over n in double. */
static void reference_grad_a(const tq_op_run *run)
{
    const tq_matmul p = tq_matmul_of(run->in_types[SELF], run->in_types[OTHER]);
    const tq_dtype dtype = run->in_types[DY]->dtype;
    zero(run->out[0], run->in_types[SELF]);
    for (int64_t i = 0; i < tq_matmul_n_batches(&p); i++) {
        int64_t a, b;
        tq_matmul_batch_at(&p, i, &a, &b);
        for (int64_t m = 0; m < p.m; m++)
            for (int64_t k = 0; k < p.k; k++) {
                double sum = 0.0;
                for (int64_t n = 0; n < p.n; n++)
                    sum += tq_load_f64(run->in[DY], dtype, (i * p.m + m) * p.n + n) *
                           tq_load_f64(run->in[OTHER], dtype, b + k * p.n + n);
                add_to(run->out[0], dtype, a + m * p.k + k, sum);
            }
    }
}

/** db[k, n] += sum_m a[m, k] dy[m, n], batch by batch; sums over m in double. */
static void reference_grad_b(const tq_op_run *run)
{
    const tq_matmul p = tq_matmul_of(run->in_types[OTHER], run->in_types[SELF]);
    const tq_dtype dtype = run->in_types[DY]->dtype;
    zero(run->out[0], run->in_types[SELF]);
    for (int64_t i = 0; i < tq_matmul_n_batches(&p); i++) {
        int64_t a, b;
        tq_matmul_batch_at(&p, i, &a, &b);
        for (int64_t k = 0; k < p.k; k++)
            for (int64_t n = 0; n < p.n; n++) {
                double sum = 0.0;
                for (int64_t m = 0; m < p.m; m++)
                    sum += tq_load_f64(run->in[OTHER], dtype, a + m * p.k + k) *
                           tq_load_f64(run->in[DY], dtype, (i * p.m + m) * p.n + n);
                add_to(run->out[0], dtype, b + k * p.n + n, sum);
            }
    }
}

const tq_op tq_op_matmul_grad_a = {
    .entry = { .name = "MatMulGradA", .brief = "gradient of a matrix product to its left operand" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "b", "a" },
    .outputs = { "da" },
    .infer = infer_grad_a,
    .reference = reference_grad_a,
};

const tq_op tq_op_matmul_grad_b = {
    .entry = { .name = "MatMulGradB",
               .brief = "gradient of a matrix product to its right operand" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "a", "b" },
    .outputs = { "db" },
    .infer = infer_grad_b,
    .reference = reference_grad_b,
};
