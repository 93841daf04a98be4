/* Matrix product of codes (ONNX MatMulInteger-10), numpy's rules as MatMul:
 *
 *   y = (a - a_zero_point) (b - b_zero_point)      int32, modulo 2^32
 *
 *   a, b  u8 or i8;  a_zero_point  one element or one per row;  b_zero_point  one or one per
 * column. */
#include "ops/matmul_core_internal.h"

enum { A, B, A_ZERO_POINT, B_ZERO_POINT };

static tq_status check_zero_point(const tq_op_types *t, int i, int operand, int64_t n)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[operand]->dtype)));
    TQ_TRY(tq_op_need_rank(t, i, 0, 1));
    const int64_t count = tq_type_count(t->in[i]);
    if (count != 1 && !tq_dim_fits(count, n))
        return tq_fail(TQ_ERR_SHAPE, "zero point at input %d is %s; expected 1 or %lld elements", i,
                       tq_type_text(t->in[i]).s, (long long)n);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    for (int i = A; i <= B; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_CODES));
        TQ_TRY(tq_op_need_rank(t, i, 1, TQ_MAX_RANK));
    }
    tq_matmul p;
    TQ_TRY(tq_matmul_read(t->in[A], t->in[B], &p, &t->out[0]));
    TQ_TRY(check_zero_point(t, A_ZERO_POINT, A, p.m));
    TQ_TRY(check_zero_point(t, B_ZERO_POINT, B, p.n));
    t->out[0].dtype = TQ_I32;
    return TQ_OK;
}

static void reference(const tq_op_run *run)
{
    const tq_matmul p = tq_matmul_of(run->in_types[A], run->in_types[B]);
    const bool a_zero = tq_run_has(run, A_ZERO_POINT), b_zero = tq_run_has(run, B_ZERO_POINT);
    tq_matmul_integer_run(
        run, &(tq_matmul_integer){
                 .product = &p,
                 .a = run->in[A],
                 .b = run->in[B],
                 .a_dtype = run->in_types[A]->dtype,
                 .b_dtype = run->in_types[B]->dtype,
                 .c_dtype = TQ_I32,
                 .c = run->out[0],
                 .a_zero = a_zero ? run->in[A_ZERO_POINT] : NULL,
                 .b_zero = b_zero ? run->in[B_ZERO_POINT] : NULL,
                 .n_a_zero = a_zero ? tq_type_count(run->in_types[A_ZERO_POINT]) : 0,
                 .n_b_zero = b_zero ? tq_type_count(run->in_types[B_ZERO_POINT]) : 0 });
}

static tq_interval without(const tq_bounds *b, int i, int zero_point)
{
    tq_interval x = tq_bounds_of(b, i);
    if (tq_op_has(tq_bounds_types(b), zero_point)) {
        const tq_interval zero = tq_bounds_of(b, zero_point);
        x = (tq_interval){ x.lo - zero.hi, x.hi - zero.lo };
    }
    return x;
}

static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    const tq_matmul p = tq_matmul_of(t->in[A], t->in[B]);
    int64_t n_zero_points;
    const int64_t *zero_points = tq_known_values(t, B_ZERO_POINT, &n_zero_points);
    const bool exact = t->in_known[B] && (zero_points || !tq_op_has(t, B_ZERO_POINT));
    const tq_sum_bounds sum =
        tq_matmul_bounds(&p, without(b, A, A_ZERO_POINT), exact ? t->in_known[B] : NULL,
                         zero_points, n_zero_points, without(b, B, B_ZERO_POINT));
    tq_bounds_set_sum(b, &sum, 32);
    return TQ_OK;
}

static int64_t macs(const tq_op_types *t)
{
    const tq_matmul p = tq_matmul_of(t->in[A], t->in[B]);
    return tq_matmul_macs(&p);
}

const tq_op tq_op_matmul_integer = {
    .entry = { .name = "MatMulInteger",
               .brief = "matrix product of 8-bit codes to int32",
               .source = "ONNX MatMulInteger-10" },
    .flags = TQ_OP_INTEGER | TQ_OP_LINEAR,
    .inputs = { "a", "b", "?a_zero_point", "?b_zero_point" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
    .macs = macs,
};
