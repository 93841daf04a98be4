/* DepthToSpace and SpaceToDepth move blocks of b x b pixels between channels and space, [N, C, H,
 * W]. DepthToSpace, DCR: [N, b, b, C', H, W] -> [N, C', H, b, W, b]; CRD: [N, C', b, b, H, W] ->
 * the same. SpaceToDepth is the inverse of DCR. Source: ONNX, opset 13. */
#include "ops/strided_internal.h"
#include "ops/integer_rules_internal.h"

#include <string.h>

enum { X };

static tq_status check_block(const tq_op_types *t, int64_t *out_b)
{
    *out_b = tq_attr_int(t->attrs, "blocksize");
    TQ_TRY(tq_op_need_rank(t, X, 4, 4));
    if (*out_b < 1 || *out_b > INT16_MAX)
        return tq_fail(TQ_ERR_VALUE, "blocksize is %lld", (long long)*out_b);
    return TQ_OK;
}

static tq_status divided(const tq_type *x, int d, int64_t by, int64_t *out_dim)
{
    if (x->dims[d] != TQ_DIM_ANY && x->dims[d] % by != 0)
        return tq_fail(TQ_ERR_SHAPE, "input is %s: axis %d does not divide by %lld",
                       tq_type_text(x).s, d, (long long)by);
    *out_dim = x->dims[d] == TQ_DIM_ANY ? TQ_DIM_ANY : x->dims[d] / by;
    return TQ_OK;
}

static bool is_crd(const tq_attrs *attrs)
{
    return strcmp(tq_attr_string(attrs, "mode"), "CRD") == 0;
}

/** Types of the deep side (C b b, H, W) from the wide one (C, H b, W b), and back. */
static tq_status to_wide(const tq_type *deep, int64_t b, tq_type *out)
{
    *out = *deep;
    TQ_TRY(divided(deep, 1, b * b, &out->dims[1]));
    out->dims[2] = tq_dim_mul(deep->dims[2], b);
    out->dims[3] = tq_dim_mul(deep->dims[3], b);
    return TQ_OK;
}

static tq_status to_deep(const tq_type *wide, int64_t b, tq_type *out)
{
    *out = *wide;
    out->dims[1] = tq_dim_mul(wide->dims[1], b * b);
    TQ_TRY(divided(wide, 2, b, &out->dims[2]));
    return divided(wide, 3, b, &out->dims[3]);
}

static tq_status check_mode(const tq_attrs *attrs)
{
    const char *mode = tq_attr_string(attrs, "mode");
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return tq_fail(TQ_ERR_VALUE, "mode is '%s'; expected DCR or CRD", mode);
    return TQ_OK;
}

static tq_status depth_infer(tq_op_types *t)
{
    int64_t b;
    TQ_TRY(check_mode(t->attrs));
    TQ_TRY(check_block(t, &b));
    return to_wide(t->in[X], b, &t->out[0]);
}

static tq_status space_infer(tq_op_types *t)
{
    int64_t b;
    TQ_TRY(check_mode(t->attrs));
    TQ_TRY(check_block(t, &b));
    return to_deep(t->in[X], b, &t->out[0]);
}

/** Strides of both sides over [N, C', H, b, W, b]. */
static void move(const tq_op_run *run, const tq_type *deep, bool crd, bool widen)
{
    const int64_t b = tq_attr_int(run->attrs, "blocksize");
    const int64_t h = deep->dims[2], w = deep->dims[3], c = deep->dims[1] / (b * b), plane = h * w;
    const int64_t dims[6] = { deep->dims[0], c, h, b, w, b };
    const int64_t wide_strides[6] = { c * b * b * plane, b * b * plane, b * b * w, b * w, b, 1 };
    const int64_t dcr_strides[6] = { c * b * b * plane, plane, w, b * c * plane, 1, c * plane };
    const int64_t crd_strides[6] = { c * b * b * plane, b * b * plane, w, b * plane, 1, plane };
    const int64_t *deep_strides = crd ? crd_strides : dcr_strides;
    tq_copy_strided(6, dims, tq_dtype_size(deep->dtype), run->out[0],
                    widen ? wide_strides : deep_strides, run->in[X],
                    widen ? deep_strides : wide_strides);
}

static void depth_reference(const tq_op_run *run)
{
    move(run, run->in_types[X], is_crd(run->attrs), true);
}

static void space_reference(const tq_op_run *run)
{
    move(run, run->out_types[0], is_crd(run->attrs), false);
}

static tq_status depth_gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "SpaceToDepth", tq_grad_of_output(g, 0));
}

static tq_status space_gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "DepthToSpace", tq_grad_of_output(g, 0));
}

const tq_op tq_op_depth_to_space = {
    .entry = { .name = "DepthToSpace", .brief = "channels to blocks of pixels" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "input" },
    .outputs = { "output" },
    .attrs = { { .name = "blocksize", .kind = TQ_ATTR_INT },
               { .name = "mode", .kind = TQ_ATTR_STRING, .s = "DCR" } },
    .required_attrs = 1,
    .infer = depth_infer,
    .reference = depth_reference,
    .gradient = depth_gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};

const tq_op tq_op_space_to_depth = {
    .entry = { .name = "SpaceToDepth", .brief = "blocks of pixels to channels" },
    .flags = TQ_OP_MOVES | TQ_OP_INTEGER,
    .inputs = { "input" },
    .outputs = { "output" },
    .attrs = { { .name = "blocksize", .kind = TQ_ATTR_INT },
               { .name = "mode", .kind = TQ_ATTR_STRING, .s = "DCR" } },
    .required_attrs = 1,
    .infer = space_infer,
    .reference = space_reference,
    .gradient = space_gradient,
    .integerise = tq_int_keep,
    .bounds = tq_bounds_keep,
};
