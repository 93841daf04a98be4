/* Gradients of LayerNormalization, RMSNormalization, InstanceNormalization and GroupNormalization.
 * With h = (x - mean) / s, s = sqrt(var + epsilon), in each group (without a mean: 0), and d the
 * gradient to h:
 *
 *   y = scale h + bias:   d = scale dy,   dscale = sum dy h,   dbias = sum dy
 *   NormalizeGrad:        dx = (d - mean(d) - h mean(d h)) / s
 *
 * (arXiv:1502.03167, section 3, for one group.) h is the operator itself with scale 1 and bias 0;
 * mean(d) is left out where x is not centred. f32; sums in double. */
#include "ops/arithmetic_internal.h"
#include "ops/normalize_internal.h"

#include <math.h>

enum { X, SCALE, BIAS };
enum { DY = 1 }; /* of NormalizeGrad */

/* ---- nodes ----------------------------------------------------------------------------------- */

/** `count` f32 of `number`: a scalar, or one for each channel. */
static tq_status constant_like_scale(tq_grad *g, const tq_normalized *n, float number,
                                     tq_value **out)
{
    tq_value *scale = tq_grad_input(g, SCALE);
    if (!n->per_channel)
        return tq_grad_scalar(g, scale, (double)number, out);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, tq_value_type(scale)));
    for (int64_t i = 0; i < tq_tensor_count(&tensor); i++)
        ((float *)tensor.data)[i] = number;
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/** h: the forward operator with scale 1 and bias 0. */
static tq_status make_normal(tq_grad *g, const tq_normalized *n, tq_value **out)
{
    tq_value *inputs[3] = { tq_grad_input(g, X) };
    TQ_TRY(constant_like_scale(g, n, 1.0f, &inputs[SCALE]));
    if (n->per_channel)
        TQ_TRY(constant_like_scale(g, n, 0.0f, &inputs[BIAS]));
    tq_attr attrs[TQ_OP_MAX_ATTRS];
    const int n_attrs = tq_attrs_count(tq_grad_attrs(g));
    for (int i = 0; i < n_attrs; i++)
        attrs[i] = *tq_attrs_at(tq_grad_attrs(g), i);
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = tq_node_op_name(tq_grad_of(g)),
                                         .inputs = inputs,
                                         .n_inputs = n->per_channel ? 3 : 2,
                                         .attrs = attrs,
                                         .n_attrs = n_attrs },
                        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

/** scale, with an axis of one element for each axis of x behind the channels. */
static tq_status align_scale(tq_grad *g, const tq_normalized *n, tq_value **out)
{
    *out = tq_grad_input(g, SCALE);
    const int n_inner = tq_value_type(tq_grad_input(g, X))->rank - 2;
    if (!n->per_channel || n_inner == 0)
        return TQ_OK;
    int64_t axes[TQ_MAX_RANK];
    for (int i = 0; i < n_inner; i++)
        axes[i] = i + 1;
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ n_inner });
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, &type, axes));
    tq_value *constant;
    const tq_status status = tq_graph_add_constant(tq_grad_graph(g), NULL, &tensor, &constant);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    return tq_grad_make(g, "Unsqueeze", 2, (tq_value *const[]){ *out, constant }, out);
}

/** Sets the gradient to scale or bias: `value` summed over what that was broadcast along. */
static tq_status set_sum(tq_grad *g, const tq_normalized *n, int i, tq_value *value)
{
    if (!n->per_channel)
        return tq_grad_set_unbroadcast(g, i, value);
    tq_value *sum;
    TQ_TRY(tq_grad_make(g, "ChannelSum", 1, &value, &sum));
    tq_grad_set(g, i, sum);
    return TQ_OK;
}

static tq_status set_x(tq_grad *g, const tq_normalized *n, tq_value *dy)
{
    tq_value *scale, *d;
    TQ_TRY(align_scale(g, n, &scale));
    TQ_TRY(tq_grad_make(g, "Mul", 2, (tq_value *const[]){ dy, scale }, &d));
    const tq_attr attrs[] = { TQ_INT("axis", n->axis), TQ_INT("n_groups", n->n_groups),
                              TQ_INT("centred", n->centred),
                              TQ_FLOAT("epsilon", tq_attr_float(tq_grad_attrs(g), "epsilon")) };
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = "NormalizeGrad",
                                         .inputs = (tq_value *[]){ tq_grad_input(g, X), d },
                                         .n_inputs = 2,
                                         .attrs = attrs,
                                         .n_attrs = TQ_COUNT(attrs) },
                        &node));
    tq_grad_set(g, X, tq_node_output(node, 0));
    return TQ_OK;
}

tq_status tq_grad_normalize(tq_grad *g, const tq_normalized *n)
{
    tq_value *dy = tq_grad_of_output(g, 0);
    if (!dy || tq_grad_of_output(g, 1) || tq_grad_of_output(g, 2))
        return tq_fail(TQ_ERR_UNSUPPORTED, "its statistics have no gradient");
    if (tq_grad_wants(g, X))
        TQ_TRY(set_x(g, n, dy));
    if (tq_grad_wants(g, BIAS))
        TQ_TRY(set_sum(g, n, BIAS, dy));
    if (!tq_grad_wants(g, SCALE))
        return TQ_OK;
    tq_value *normal, *product;
    TQ_TRY(make_normal(g, n, &normal));
    TQ_TRY(tq_grad_make(g, "Mul", 2, (tq_value *const[]){ dy, normal }, &product));
    return set_sum(g, n, SCALE, product);
}

/* ---- NormalizeGrad --------------------------------------------------------------------------- */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    const int64_t n = tq_attr_int(t->attrs, "n_groups"), dim = t->in[X]->dims[axis];
    if (n < 1 || (dim != TQ_DIM_ANY && dim % n != 0))
        return tq_fail(TQ_ERR_VALUE, "n_groups is %lld, x is %s", (long long)n,
                       tq_type_text(t->in[X]).s);
    return tq_unary_infer_grad(t);
}

typedef struct job {
    const float *x, *d;
    float *dx;
    int64_t n; /* elements of a group */
    bool centred;
    double epsilon;
} job;

static double mean(const float *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i];
    return sum / (double)n;
}

static void groups(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    for (int64_t group = begin; group < end; group++) {
        const float *x = j->x + group * j->n, *d = j->d + group * j->n;
        const double center = j->centred ? mean(x, j->n) : 0.0;
        const double mean_d = j->centred ? mean(d, j->n) : 0.0;
        double squares = 0.0, products = 0.0;
        for (int64_t i = 0; i < j->n; i++) {
            squares += ((double)x[i] - center) * ((double)x[i] - center);
            products += (double)d[i] * ((double)x[i] - center);
        }
        const double inverse = 1.0 / sqrt(squares / (double)j->n + j->epsilon);
        const double slope = products * inverse * inverse / (double)j->n;
        float *dx = j->dx + group * j->n;
        for (int64_t i = 0; i < j->n; i++)
            dx[i] = (float)(((double)d[i] - mean_d - ((double)x[i] - center) * slope) * inverse);
    }
}

static void reference(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const int64_t axis = tq_attr_int(run->attrs, "axis");
    const int first = (int)(axis < 0 ? axis + x->rank : axis);
    const int64_t n_groups = tq_type_count_to(x, first) * tq_attr_int(run->attrs, "n_groups");
    const job j = { .x = run->in[X],
                    .d = run->in[DY],
                    .dx = run->out[0],
                    .n = n_groups ? tq_type_count(x) / n_groups : 0,
                    .centred = tq_attr_int(run->attrs, "centred") != 0,
                    .epsilon = (double)tq_attr_float(run->attrs, "epsilon") };
    tq_run_for(run, n_groups, 1, groups, (void *)&j);
}

const tq_op tq_op_normalize_grad = {
    .entry = { .name = "NormalizeGrad", .brief = "gradient of a normalisation to its input" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_INT("axis", -1), TQ_INT("n_groups", 1), TQ_INT("centred", 1),
               TQ_FLOAT("epsilon", 1e-5f) },
    .infer = infer,
    .reference = reference,
};
