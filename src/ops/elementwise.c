/* Elementwise operators of two operands with broadcasting: Add, Sub, Mul, Div, Pow, Mod, BitShift,
 * the comparisons, And, Or, Xor and Not. Integers are computed in 64 bits and keep their low bits;
 * integer Div truncates toward zero; division by zero gives 0. Source: ONNX operators, opset 7
 * to 18. */
#include "ops/arithmetic_internal.h"
#include "ops/integer_rules_internal.h"
#include "ops/strided_internal.h"

#include <math.h>
#include <string.h>

enum { A, B };

static int64_t quotient(int64_t p, int64_t q)
{
    if (q == 0)
        return 0;
    return q == -1 ? (int64_t)(0 - (uint64_t)p) : p / q;
}

/** Remainder with the sign of the divisor (Python's %). */
static int64_t python_modulo(int64_t p, int64_t q)
{
    if (q == 0 || q == -1)
        return 0;
    const int64_t r = p % q;
    return r != 0 && (r ^ q) < 0 ? r + q : r;
}

static double float_modulo(double p, double q)
{
    const double r = fmod(p, q);
    if (r == 0.0)
        return copysign(0.0, q);
    return (q < 0.0) != (r < 0.0) ? r + q : r;
}

static uint64_t power_u64(uint64_t base, uint64_t exponent)
{
    uint64_t power = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            power *= base;
    return power;
}

static int64_t power_i64(int64_t base, int64_t exponent)
{
    if (exponent >= 0)
        return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
    if (base == 1)
        return 1;
    return base == -1 ? (exponent % 2 ? -1 : 1) : 0;
}

TQ_BINARY(add, p + q, (uint64_t)p + (uint64_t)q, p + q)
TQ_BINARY(sub, p - q, (uint64_t)p - (uint64_t)q, p - q)
TQ_BINARY(mul, p *q, (uint64_t)p *(uint64_t)q, p *q)
TQ_BINARY(div_, p / q, quotient(p, q), q ? p / q : 0)
TQ_BINARY(pow_, pow((double)p, (double)q), power_i64(p, q), power_u64(p, q))
TQ_BINARY(modulo, float_modulo((double)p, (double)q), python_modulo(p, q), q ? p % q : 0)
TQ_BINARY(remainder_, fmod((double)p, (double)q), q == 0 || q == -1 ? 0 : p % q, q ? p % q : 0)
TQ_BINARY(equal, p == q, p == q, p == q)
TQ_BINARY(greater, p > q, p > q, p > q)
TQ_BINARY(greater_or_equal, p >= q, p >= q, p >= q)
TQ_BINARY(and_, p != 0 && q != 0, p &&q, p &&q)
TQ_BINARY(or_, p != 0 || q != 0, p || q, p || q)
TQ_BINARY(xor_, (p != 0) != (q != 0), !p != !q, !p != !q)
TQ_BINARY(shift_left, 0, q<0 || q> 63 ? 0 : (uint64_t)p << q, q > 63 ? 0 : p << q)
TQ_BINARY(shift_right, 0, q<0 || q> 63 ? (p < 0 ? -1 : 0) : p >> q, q > 63 ? 0 : p >> q)

static void run_binary(const tq_binary *f, const tq_op_run *run)
{
    tq_binary_run(f, run->in[A], run->in_types[A], run->in[B], run->in_types[B], run->out[0],
                  run->out_types[0]);
}

static void run_swapped(const tq_binary *f, const tq_op_run *run)
{
    tq_binary_run(f, run->in[B], run->in_types[B], run->in[A], run->in_types[A], run->out[0],
                  run->out_types[0]);
}

#define REFERENCE(name)                                                                            \
    static void name##_reference(const tq_op_run *run)                                             \
    {                                                                                              \
        run_binary(&name, run);                                                                    \
    }
REFERENCE(add)
REFERENCE(sub)
REFERENCE(mul)
REFERENCE(div_)
REFERENCE(pow_)
REFERENCE(equal)
REFERENCE(greater)
REFERENCE(greater_or_equal)
REFERENCE(and_)
REFERENCE(or_)
REFERENCE(xor_)

static void less_reference(const tq_op_run *run)
{
    run_swapped(&greater, run);
}

static void less_or_equal_reference(const tq_op_run *run)
{
    run_swapped(&greater_or_equal, run);
}

static void mod_reference(const tq_op_run *run)
{
    run_binary(tq_attr_int(run->attrs, "fmod") ? &remainder_ : &modulo, run);
}

static void bit_shift_reference(const tq_op_run *run)
{
    const bool left = strcmp(tq_attr_string(run->attrs, "direction"), "LEFT") == 0;
    run_binary(left ? &shift_left : &shift_right, run);
}

static void not_reference(const tq_op_run *run)
{
    const uint8_t *x = run->in[A];
    uint8_t *y = run->out[0];
    for (int64_t i = 0; i < tq_type_count(run->out_types[0]); i++)
        y[i] = !x[i];
}

/* ---- inference ----------------------------------------------------------------------------- */

enum { ARITHMETIC = TQ_DTYPES_NUMERIC & ~(1 << TQ_U4 | 1 << TQ_I4) };

static tq_status infer_numbers(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, A, ARITHMETIC));
    return tq_op_infer_broadcast(t);
}

#define INFER(name)                                                                                \
    static tq_status name##_infer(tq_op_types *t)                                                  \
    {                                                                                              \
        TQ_TRY(infer_numbers(t));                                                                  \
        tq_known_arithmetic(t, name##_reference);                                                  \
        return TQ_OK;                                                                              \
    }
INFER(add)
INFER(sub)
INFER(mul)
INFER(div_)

static tq_status pow_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, A, ARITHMETIC));
    TQ_TRY(tq_op_need_dtype(t, B, ARITHMETIC));
    tq_type exponent = *t->in[B];
    exponent.dtype = t->in[A]->dtype;
    const tq_type *const in[] = { t->in[A], &exponent };
    tq_op_types both = *t;
    both.in = in;
    return tq_op_infer_broadcast(&both);
}

static tq_status mod_infer(tq_op_types *t)
{
    TQ_TRY(infer_numbers(t));
    tq_known_arithmetic(t, mod_reference);
    return TQ_OK;
}

static tq_status compare_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_infer_broadcast(t));
    t->out[0].dtype = TQ_BOOL;
    return TQ_OK;
}

static tq_status logic_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, A, TQ_DTYPE_BIT(TQ_BOOL)));
    return tq_op_infer_broadcast(t);
}

static tq_status bit_shift_infer(tq_op_types *t)
{
    const char *direction = tq_attr_string(t->attrs, "direction");
    if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
        return tq_fail(TQ_ERR_VALUE, "direction is '%s'; expected LEFT or RIGHT", direction);
    TQ_TRY(tq_op_need_dtype(t, A, TQ_DTYPES_INTEGER & ARITHMETIC));
    return tq_op_infer_broadcast(t);
}

/* ---- gradients ----------------------------------------------------------------------------- */

/** d loss / d input i = op(p, q), summed over what was broadcast. */
static tq_status pass(tq_grad *g, int i, const char *op, tq_value *p, tq_value *q)
{
    tq_value *dx;
    TQ_TRY(tq_grad_make(g, op, q ? 2 : 1, (tq_value *const[]){ p, q }, &dx));
    return tq_grad_set_unbroadcast(g, i, dx);
}

static tq_status add_gradient(tq_grad *g)
{
    for (int i = A; i <= B; i++)
        if (tq_grad_wants(g, i))
            TQ_TRY(tq_grad_set_unbroadcast(g, i, tq_grad_of_output(g, 0)));
    return TQ_OK;
}

static tq_status sub_gradient(tq_grad *g)
{
    tq_value *dy = tq_grad_of_output(g, 0);
    if (tq_grad_wants(g, A))
        TQ_TRY(tq_grad_set_unbroadcast(g, A, dy));
    return tq_grad_wants(g, B) ? pass(g, B, "Neg", dy, NULL) : TQ_OK;
}

static tq_status mul_gradient(tq_grad *g)
{
    tq_value *dy = tq_grad_of_output(g, 0);
    if (tq_grad_wants(g, A))
        TQ_TRY(pass(g, A, "Mul", dy, tq_grad_input(g, B)));
    return tq_grad_wants(g, B) ? pass(g, B, "Mul", dy, tq_grad_input(g, A)) : TQ_OK;
}

/** y = a / b: da = dy / b, db = -(dy * y) / b. */
static tq_status div_gradient(tq_grad *g)
{
    tq_value *dy = tq_grad_of_output(g, 0), *b = tq_grad_input(g, B), *product, *quotient;
    if (tq_grad_wants(g, A))
        TQ_TRY(pass(g, A, "Div", dy, b));
    if (!tq_grad_wants(g, B))
        return TQ_OK;
    TQ_TRY(tq_grad_make(g, "Mul", 2, (tq_value *const[]){ dy, tq_grad_output(g, 0) }, &product));
    TQ_TRY(tq_grad_make(g, "Div", 2, (tq_value *const[]){ product, b }, &quotient));
    return pass(g, B, "Neg", quotient, NULL);
}

/** y = a^b with constant b: da = dy * b * a^(b - 1). */
static tq_status pow_gradient(tq_grad *g)
{
    tq_value *dy = tq_grad_of_output(g, 0), *a = tq_grad_input(g, A), *b = tq_grad_input(g, B);
    if (tq_grad_wants(g, B) && !tq_value_is_const(b))
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "the exponent is computed; only constant ones have a gradient");
    tq_value *slope;
    TQ_TRY(tq_grad_make(g, "PowGrad", 3, (tq_value *const[]){ a, b, dy }, &slope));
    return tq_grad_set_unbroadcast(g, A, slope);
}

static tq_status pow_grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    TQ_TRY(tq_check_forward(t, pow_infer, (const int[]){ 0, 1 }, 2, 2));
    t->out[0] = *t->in[2];
    return TQ_OK;
}

TQ_BINARY_LOOP(slope_f64, double, q == 0 ? 0.0 : q * pow(p, q - 1.0))
static void slope_f32(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = b[i] == 0 ? 0.0f : (float)(b[i] * pow((double)a[i], (double)b[i] - 1.0));
}

static void pow_grad_reference(const tq_op_run *run)
{
    static const tq_binary slope = { slope_f32, slope_f64, NULL, NULL };
    tq_binary_run(&slope, run->in[0], run->in_types[0], run->in[1], run->in_types[1], run->out[0],
                  run->out_types[0]);
    tq_binary_run(&mul, run->out[0], run->out_types[0], run->in[2], run->in_types[2], run->out[0],
                  run->out_types[0]);
}

/* ---- bounds --------------------------------------------------------------------------------- */

typedef struct interval {
    int64_t lo, hi;
} interval;

static interval input_bounds(const tq_bounds *b, int i)
{
    interval x;
    tq_bounds_input(b, i, &x.lo, &x.hi);
    return x;
}

static tq_status set_bounds(tq_bounds *b, const char *what, int64_t lo, int64_t hi)
{
    const tq_dtype dtype = tq_bounds_types(b)->in[0]->dtype;
    tq_bounds_intermediate(b, what, lo, hi, 8 * (int)tq_dtype_size(dtype));
    tq_bounds_set(b, 0, lo, hi);
    return TQ_OK;
}

static tq_status add_bounds(tq_bounds *b)
{
    const interval p = input_bounds(b, A), q = input_bounds(b, B);
    return set_bounds(b, "sum", tq_sat_add(p.lo, q.lo), tq_sat_add(p.hi, q.hi));
}

static tq_status sub_bounds(tq_bounds *b)
{
    const interval p = input_bounds(b, A), q = input_bounds(b, B);
    return set_bounds(b, "difference", tq_sat_add(p.lo, tq_sat_mul(q.hi, -1)),
                      tq_sat_add(p.hi, tq_sat_mul(q.lo, -1)));
}

static tq_status mul_bounds(tq_bounds *b)
{
    const interval p = input_bounds(b, A), q = input_bounds(b, B);
    const int64_t corners[] = { tq_sat_mul(p.lo, q.lo), tq_sat_mul(p.lo, q.hi),
                                tq_sat_mul(p.hi, q.lo), tq_sat_mul(p.hi, q.hi) };
    int64_t lo = corners[0], hi = corners[0];
    for (int i = 1; i < 4; i++) {
        lo = corners[i] < lo ? corners[i] : lo;
        hi = corners[i] > hi ? corners[i] : hi;
    }
    return set_bounds(b, "product", lo, hi);
}

static tq_status bool_bounds(tq_bounds *b)
{
    tq_bounds_set(b, 0, 0, 1);
    return TQ_OK;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

const tq_op tq_op_add = {
    .entry = { .name = "Add", .brief = "a + b with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = add_infer,
    .reference = add_reference,
    .gradient = add_gradient,
    .integerise = tq_integerise_add,
    .bounds = add_bounds,
};

const tq_op tq_op_sub = {
    .entry = { .name = "Sub", .brief = "a - b with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = sub_infer,
    .reference = sub_reference,
    .gradient = sub_gradient,
    .integerise = tq_integerise_add,
    .bounds = sub_bounds,
};

const tq_op tq_op_mul = {
    .entry = { .name = "Mul", .brief = "a * b with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = mul_infer,
    .reference = mul_reference,
    .gradient = mul_gradient,
    .integerise = tq_integerise_scale,
    .bounds = mul_bounds,
};

const tq_op tq_op_div = {
    .entry = { .name = "Div", .brief = "a / b with broadcasting; integers truncate toward zero" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = div__infer,
    .reference = div__reference,
    .gradient = div_gradient,
    .integerise = tq_integerise_scale,
};

const tq_op tq_op_pow = {
    .entry = { .name = "Pow", .brief = "a to the power of b with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "X", "Y" },
    .outputs = { "Z" },
    .infer = pow_infer,
    .reference = pow__reference,
    .gradient = pow_gradient,
};

const tq_op tq_op_pow_grad = {
    .entry = { .name = "PowGrad", .brief = "dy * p * x^(p - 1)" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "p", "dy" },
    .outputs = { "dx" },
    .infer = pow_grad_infer,
    .reference = pow_grad_reference,
};

const tq_op tq_op_mod = {
    .entry = { .name = "Mod", .brief = "remainder, with the sign of b (fmod 0) or of a (fmod 1)" },
    .flags = TQ_OP_ELEMENTWISE,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .attrs = { { .name = "fmod", .kind = TQ_ATTR_INT } },
    .infer = mod_infer,
    .reference = mod_reference,
};

const tq_op tq_op_bit_shift = {
    .entry = { .name = "BitShift", .brief = "integers shifted left or right" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "X", "Y" },
    .outputs = { "Z" },
    .attrs = { { .name = "direction", .kind = TQ_ATTR_STRING } },
    .required_attrs = 1,
    .infer = bit_shift_infer,
    .reference = bit_shift_reference,
};

#define COMPARISON(identifier, name_, brief_, reference_)                                          \
    const tq_op identifier = {                                                                     \
        .entry = { .name = name_, .brief = brief_ },                                               \
        .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,                                                \
        .inputs = { "A", "B" },                                                                    \
        .outputs = { "C" },                                                                        \
        .infer = compare_infer,                                                                    \
        .reference = reference_,                                                                   \
        .bounds = bool_bounds,                                                                     \
    };
COMPARISON(tq_op_equal, "Equal", "a == b with broadcasting", equal_reference)
COMPARISON(tq_op_greater, "Greater", "a > b with broadcasting", greater_reference)
COMPARISON(tq_op_greater_or_equal, "GreaterOrEqual", "a >= b with broadcasting",
           greater_or_equal_reference)
COMPARISON(tq_op_less, "Less", "a < b with broadcasting", less_reference)
COMPARISON(tq_op_less_or_equal, "LessOrEqual", "a <= b with broadcasting", less_or_equal_reference)

const tq_op tq_op_and = {
    .entry = { .name = "And", .brief = "a and b of bools with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = logic_infer,
    .reference = and__reference,
    .bounds = bool_bounds,
};

const tq_op tq_op_or = {
    .entry = { .name = "Or", .brief = "a or b of bools with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = logic_infer,
    .reference = or__reference,
    .bounds = bool_bounds,
};

const tq_op tq_op_xor = {
    .entry = { .name = "Xor", .brief = "either a or b of bools with broadcasting" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "A", "B" },
    .outputs = { "C" },
    .infer = logic_infer,
    .reference = xor__reference,
    .bounds = bool_bounds,
};

const tq_op tq_op_not = {
    .entry = { .name = "Not", .brief = "bools inverted" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_INTEGER,
    .inputs = { "X" },
    .outputs = { "Y" },
    .infer = logic_infer,
    .reference = not_reference,
    .bounds = bool_bounds,
};
