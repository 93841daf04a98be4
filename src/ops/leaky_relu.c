/* Leaky rectifiers (ONNX LeakyRelu-16, PRelu-16) and their gradients:
 *
 *   y = x where x > 0, else slope * x
 *   dx = dy where x > 0, else slope * dy;      dslope = sum of dy * x where x <= 0
 *
 * LeakyRelu has one slope, the attribute alpha; PRelu's is an input that broadcasts to x. f32. On
 * codes a table, so 8-bit codes with one scale are needed. */
#include "ops/codes_internal.h"
#include "ops/integer_rules_internal.h"

#include <math.h>

enum { X, SLOPE };
enum { PRELU_DY = 2 }; /* PReluGrad(x, slope, dy) */

static tq_status check_codes(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, X);
    const char *name = tq_value_name(tq_node_input(tq_int_node(t), X));
    if (!x || x->n != 1 || !(TQ_DTYPE_BIT(tq_value_type(x->codes)->dtype) & TQ_DTYPES_CODES))
        return tq_int_refuse(
            t, "input '%s' has no 8-bit codes with one scale; put a FakeQuantize before it", name);
    return TQ_OK;
}

static tq_status integerise(tq_integerise *t)
{
    TQ_TRY(check_codes(t));
    return tq_int_table(t);
}

/* ---- LeakyRelu --------------------------------------------------------------------------- */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    return tq_op_infer_same(t);
}

static void leaky(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const float alpha = tq_attr_float(run->attrs, "alpha"), *x = run->in[X];
    float *y = run->out[0];
    for (int64_t i = begin; i < end; i++)
        y[i] = x[i] > 0.0f ? x[i] : alpha * x[i];
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, leaky, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "LeakyReluGrad", tq_grad_input(g, X), tq_grad_of_output(g, 0));
}

const tq_op tq_op_leaky_relu = {
    .entry = { .name = "LeakyRelu",
               .brief = "x, or alpha x below 0",
               .source = "ONNX LeakyRelu-16" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_FLOAT("alpha", 0.01f) },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

static void leaky_backward(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const float alpha = tq_attr_float(run->attrs, "alpha"), *x = run->in[0], *dy = run->in[1];
    float *dx = run->out[0];
    for (int64_t i = begin; i < end; i++)
        dx[i] = x[i] > 0.0f ? dy[i] : alpha * dy[i];
}

static void reference_leaky_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, leaky_backward, (void *)run);
}

const tq_op tq_op_leaky_relu_grad = {
    .entry = { .name = "LeakyReluGrad", .brief = "gradient of LeakyRelu" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_FLOAT("alpha", 0.01f) },
    .infer = tq_unary_infer_grad,
    .reference = reference_leaky_grad,
};

/* ---- PRelu ------------------------------------------------------------------------------- */

static tq_status infer_prelu(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_dtype(t, SLOPE, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 0, TQ_MAX_RANK));
    TQ_TRY(tq_op_need_rank(t, SLOPE, 0, TQ_MAX_RANK));
    t->out[0] = *t->in[X];
    if (tq_type_count(t->in[SLOPE]) == 1)
        return TQ_OK;
    tq_type both;
    TQ_TRY(tq_type_broadcast(t->in[X], t->in[SLOPE], &both));
    for (int d = 0; d < both.rank; d++)
        if (both.rank != t->in[X]->rank || !tq_dim_fits(both.dims[d], t->in[X]->dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "x is %s, slope is %s; expected to broadcast to x",
                           tq_type_text(t->in[X]).s, tq_type_text(t->in[SLOPE]).s);
    return TQ_OK;
}

/** out = factor where x > 0, else slope * factor: y with factor = x, dx with factor = dy. */
static void apply_slope(const tq_op_run *run, const float *factor)
{
    const float *x = run->in[X], *slope = run->in[SLOPE];
    float *out = run->out[0];
    const tq_type *type = run->in_types[X];
    int64_t strides[TQ_MAX_RANK] = { 0 }, index[TQ_MAX_RANK] = { 0 };
    if (tq_type_count(run->in_types[SLOPE]) != 1)
        tq_broadcast_strides(run->in_types[SLOPE], type, strides);
    const int64_t n = tq_type_count(type);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;
        for (int d = 0; d < type->rank; d++)
            at += index[d] * strides[d];
        out[i] = x[i] > 0.0f ? factor[i] : slope[at] * factor[i];
        tq_index_next(type->rank, type->dims, index);
    }
}

static void reference_prelu(const tq_op_run *run)
{
    apply_slope(run, run->in[X]);
}

static tq_status gradient_prelu(tq_grad *g)
{
    tq_value *x = tq_grad_input(g, X), *slope = tq_grad_input(g, SLOPE);
    tq_value *dy = tq_grad_of_output(g, 0);
    TQ_TRY(tq_grad_emit(g, X, "PReluGrad", x, slope, dy));
    if (!tq_grad_wants(g, SLOPE))
        return TQ_OK;
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){ .op = "PReluGradSlope", .inputs = (tq_value *[]){ x, dy }, .n_inputs = 2 },
        &node));
    return tq_grad_set_unbroadcast(g, SLOPE, tq_node_output(node, 0));
}

static tq_status integerise_prelu(tq_integerise *t)
{
    const tq_tensor *slope = tq_int_constant(t, SLOPE);
    if (!slope)
        return tq_int_refuse(t, "slope is not a constant");
    TQ_TRY(check_codes(t));
    return tq_tensor_count(slope) == 1 ? tq_int_table(t) : tq_integerise_slopes(t, slope);
}

const tq_op tq_op_prelu = {
    .entry = { .name = "PRelu",
               .brief = "x, or slope x below 0",
               .source = "arXiv:1502.01852; ONNX PRelu-16" },
    .flags = TQ_OP_ELEMENTWISE | TQ_OP_UNARY,
    .inputs = { "x", "slope" },
    .outputs = { "y" },
    .infer = infer_prelu,
    .reference = reference_prelu,
    .gradient = gradient_prelu,
    .integerise = integerise_prelu,
};

static tq_status infer_prelu_grad(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, PRELU_DY, TQ_DTYPE_BIT(TQ_F32)));
    return infer_prelu(t);
}

static void reference_prelu_grad(const tq_op_run *run)
{
    apply_slope(run, run->in[PRELU_DY]);
}

const tq_op tq_op_prelu_grad = {
    .entry = { .name = "PReluGrad", .brief = "gradient of PRelu to its input" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "slope", "dy" },
    .outputs = { "dx" },
    .infer = infer_prelu_grad,
    .reference = reference_prelu_grad,
};

static void slope_terms(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const float *x = run->in[0], *dy = run->in[1];
    float *out = run->out[0];
    for (int64_t i = begin; i < end; i++)
        out[i] = x[i] > 0.0f ? 0.0f : dy[i] * x[i];
}

static void reference_prelu_grad_slope(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count(run->in_types[X]), TQ_GRAIN, slope_terms, (void *)run);
}

const tq_op tq_op_prelu_grad_slope = {
    .entry = { .name = "PReluGradSlope",
               .brief = "gradient of PRelu to its slope, element by element" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT | TQ_OP_ELEMENTWISE,
    .inputs = { "x", "dy" },
    .outputs = { "terms" },
    .infer = tq_unary_infer_grad,
    .reference = reference_prelu_grad_slope,
};
