/* Resize by nearest neighbour or linear interpolation along any axes. Output index i lies at input
 * coordinate (half_pixel) (i + 1/2) / scale - 1/2, and so on for the other modes; coordinates
 * beyond the edges take the edge. Source: ONNX Resize, opset 19. */
#include "ops/integer_rules_internal.h"
#include "ops/strided_internal.h"

#include <math.h>
#include <string.h>

enum { X, ROI, SCALES, SIZES };

typedef enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC
} coordinates;
static const char *const coordinate_names[] = { "half_pixel", "half_pixel_symmetric",
                                                "pytorch_half_pixel", "align_corners",
                                                "asymmetric" };
typedef enum nearest { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } nearest;
static const char *const nearest_names[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil" };

typedef struct settings {
    bool linear;
    int coordinates, nearest;
} settings;

static int find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static tq_status read_settings(const tq_attrs *attrs, settings *s)
{
    const char *mode = tq_attr_string(attrs, "mode");
    const char *coordinate = tq_attr_string(attrs, "coordinate_transformation_mode");
    const char *rounding = tq_attr_string(attrs, "nearest_mode");
    const char *policy = tq_attr_string(attrs, "keep_aspect_ratio_policy");
    s->linear = strcmp(mode, "linear") == 0;
    s->coordinates = find(coordinate_names, TQ_COUNT(coordinate_names), coordinate);
    s->nearest = find(nearest_names, TQ_COUNT(nearest_names), rounding);
    if (!s->linear && strcmp(mode, "nearest") != 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "mode '%s' is not implemented; nearest and linear are",
                       mode);
    if (s->coordinates < 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "coordinate_transformation_mode '%s' is not implemented",
                       coordinate);
    if (s->nearest < 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "nearest_mode '%s' is not implemented", rounding);
    if (tq_attr_int(attrs, "antialias"))
        return tq_fail(TQ_ERR_UNSUPPORTED, "antialias is not implemented");
    if (strcmp(policy, "stretch") != 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "keep_aspect_ratio_policy '%s' is not implemented",
                       policy);
    return TQ_OK;
}

/** Axes that are resized, in the order of scales and sizes. */
static tq_status read_axes(const tq_attrs *attrs, int rank, int *axes, int *out_n)
{
    int n;
    const int64_t *values = tq_attr_ints(attrs, "axes", &n);
    uint32_t bits;
    if (n > rank)
        return tq_fail(TQ_ERR_VALUE, "axes has %d entries, the input %d axes", n, rank);
    TQ_TRY(tq_axes_bits(values, n, rank, &bits));
    for (int i = 0; i < n; i++)
        TQ_TRY(tq_op_axis(values[i], rank, &axes[i]));
    for (int d = 0; d < rank && n == 0; d++)
        axes[d] = d;
    *out_n = n ? n : rank;
    return TQ_OK;
}

static const tq_tensor *known(const tq_op_types *t, int i)
{
    const bool has =
        tq_op_has(t, i) && t->in_known && t->in_known[i] && tq_type_count(t->in[i]) != 0;
    return has ? t->in_known[i] : NULL;
}

static bool given(const tq_op_types *t, int i)
{
    return tq_op_has(t, i) && !(t->in[i]->rank == 1 && t->in[i]->dims[0] == 0);
}

static tq_status resized(const tq_type *x, int axis, const tq_tensor *scales,
                         const tq_tensor *sizes, int i, int64_t *out_dim)
{
    *out_dim = TQ_DIM_ANY;
    if (sizes) {
        const int64_t size = tq_load_i64(sizes->data, sizes->type.dtype, i);
        if (size < 1 && size != TQ_VALUE_ANY)
            return tq_fail(TQ_ERR_VALUE, "sizes[%d] is %lld", i, (long long)size);
        *out_dim = size == TQ_VALUE_ANY ? TQ_DIM_ANY : size;
    } else if (x->dims[axis] != TQ_DIM_ANY) {
        const double scale = tq_load_f64(scales->data, scales->type.dtype, i);
        const double size = floor(scale * (double)x->dims[axis]);
        if (!(scale > 0) || size > 1e12)
            return tq_fail(TQ_ERR_VALUE, "scales[%d] is %g", i, scale);
        *out_dim = (int64_t)size;
    }
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    settings s;
    TQ_TRY(read_settings(t->attrs, &s));
    if (s.linear)
        TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_FLOAT));
    if (given(t, SCALES) == given(t, SIZES))
        return tq_fail(TQ_ERR_VALUE, "expected either scales or sizes");
    tq_infer_rank_only(t, x->rank);
    const tq_tensor *scales = known(t, SCALES), *sizes = known(t, SIZES);
    if (x->rank < 0)
        return TQ_OK;
    int axes[TQ_MAX_RANK], n;
    TQ_TRY(read_axes(t->attrs, x->rank, axes, &n));
    if (!scales && !sizes)
        return TQ_OK;
    if (tq_tensor_count(scales ? scales : sizes) != n)
        return tq_fail(TQ_ERR_SHAPE, "scales or sizes is %s; expected %d entries",
                       tq_type_text(scales ? &scales->type : &sizes->type).s, n);
    for (int d = 0; d < x->rank; d++)
        t->out[0].dims[d] = x->dims[d];
    for (int i = 0; i < n; i++)
        TQ_TRY(resized(x, axes[i], scales, sizes, i, &t->out[0].dims[axes[i]]));
    return TQ_OK;
}

/** One axis of the input seen from the output. */
typedef struct axis_map {
    int64_t n_in, n_out;
    double scale;
} axis_map;

static double coordinate(const axis_map *m, int mode, int64_t i)
{
    const double length =
        m->scale * (double)m->n_in; /* may differ from n_out, which is its floor */
    switch (mode) {
    case HALF_PIXEL_SYMMETRIC: {
        const double adjust = (double)m->n_out / length, center = (double)m->n_in / 2;
        return center * (1 - adjust) + ((double)i + 0.5) / m->scale - 0.5;
    }
    case PYTORCH_HALF_PIXEL:
        return m->n_out > 1 ? ((double)i + 0.5) / m->scale - 0.5 : 0.0;
    case ALIGN_CORNERS:
        return m->n_out > 1 ? (double)i * (double)(m->n_in - 1) / (double)(m->n_out - 1) : 0.0;
    case ASYMMETRIC:
        return (double)i / m->scale;
    default:
        return ((double)i + 0.5) / m->scale - 0.5;
    }
}

static int64_t nearest_index(const axis_map *m, const settings *s, int64_t i)
{
    const double x = coordinate(m, s->coordinates, i);
    const double rounded = s->nearest == PREFER_FLOOR  ? ceil(x - 0.5)
                           : s->nearest == PREFER_CEIL ? floor(x + 0.5)
                           : s->nearest == FLOOR       ? floor(x)
                                                       : ceil(x);
    return tq_clip_i64((int64_t)rounded, 0, m->n_in - 1);
}

static void make_maps(const tq_op_run *run, axis_map *maps)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    int axes[TQ_MAX_RANK], n = 0;
    tq_status_drop(read_axes(run->attrs, x->rank, axes, &n));
    for (int d = 0; d < x->rank; d++)
        maps[d] = (axis_map){ x->dims[d], y->dims[d], (double)y->dims[d] / (double)x->dims[d] };
    const bool by_scale = tq_run_has(run, SCALES) && tq_type_count(run->in_types[SCALES]) == n;
    for (int i = 0; i < n && by_scale; i++)
        maps[axes[i]].scale = tq_load_f64(run->in[SCALES], run->in_types[SCALES]->dtype, i);
}

static void run_nearest(const tq_op_run *run, const settings *s, const axis_map *maps)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    const size_t size = tq_dtype_size(x->dtype);
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    tq_type_strides(x, strides);
    for (int64_t i = 0; i < tq_type_count(y); i++) {
        int64_t from = 0;
        for (int d = 0; d < y->rank; d++)
            from += (maps[d].n_in == maps[d].n_out && maps[d].scale == 1
                         ? at[d]
                         : nearest_index(&maps[d], s, at[d])) *
                    strides[d];
        memcpy((char *)run->out[0] + (size_t)i * size,
               (const char *)run->in[X] + (size_t)from * size, size);
        tq_index_next(y->rank, y->dims, at);
    }
}

/** Sum over the 2^k neighbours along the k axes that change. */
static double interpolate(const tq_op_run *run, const settings *s, const axis_map *maps,
                          const int64_t *strides, const int64_t *at)
{
    const tq_type *x = run->in_types[X];
    int64_t near[TQ_MAX_RANK][2], base = 0;
    double weight[TQ_MAX_RANK][2];
    int n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (maps[d].n_in == maps[d].n_out && maps[d].scale == 1) {
            base += at[d] * strides[d];
            continue;
        }
        const double c = coordinate(&maps[d], s->coordinates, at[d]), below = floor(c);
        for (int k = 0; k < 2; k++)
            near[n][k] = tq_clip_i64((int64_t)below + k, 0, maps[d].n_in - 1) * strides[d];
        weight[n][1] = c - below;
        weight[n++][0] = 1 - (c - below);
    }
    double sum = 0.0;
    for (int corner = 0; corner < 1 << n; corner++) {
        int64_t from = base;
        double w = 1.0;
        for (int k = 0; k < n; k++) {
            from += near[k][corner >> k & 1];
            w *= weight[k][corner >> k & 1];
        }
        sum += w == 0.0 ? 0.0 : w * tq_load_f64(run->in[X], x->dtype, from);
    }
    return sum;
}

static void run_linear(const tq_op_run *run, const settings *s, const axis_map *maps)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    int64_t strides[TQ_MAX_RANK], at[TQ_MAX_RANK] = { 0 };
    tq_type_strides(x, strides);
    for (int64_t i = 0; i < tq_type_count(y); i++) {
        tq_store_f64(run->out[0], y->dtype, i, interpolate(run, s, maps, strides, at));
        tq_index_next(y->rank, y->dims, at);
    }
}

static void reference(const tq_op_run *run)
{
    settings s = { 0 };
    axis_map maps[TQ_MAX_RANK];
    if (tq_type_count(run->out_types[0]) == 0 || tq_type_count(run->in_types[X]) == 0)
        return;
    tq_status_drop(read_settings(run->attrs, &s));
    make_maps(run, maps);
    if (s.linear)
        run_linear(run, &s, maps);
    else
        run_nearest(run, &s, maps);
}

/** Nearest neighbour moves codes; interpolation does not. */
static tq_status integerise(tq_integerise *t)
{
    if (strcmp(tq_attr_string(tq_node_attrs(tq_int_node(t)), "mode"), "nearest") != 0)
        return tq_int_refuse(t, "only nearest neighbour has an integer form");
    return tq_int_keep(t);
}

const tq_op tq_op_resize = {
    .entry = { .name = "Resize",
               .brief = "another size by nearest neighbour or linear interpolation" },
    .flags = TQ_OP_INTEGER | TQ_OP_DATA_DEPENDENT,
    .inputs = { "X", "?roi", "?scales", "?sizes" },
    .outputs = { "Y" },
    .attrs = { { .name = "mode", .kind = TQ_ATTR_STRING, .s = "nearest" },
               { .name = "coordinate_transformation_mode",
                 .kind = TQ_ATTR_STRING,
                 .s = "half_pixel" },
               { .name = "nearest_mode", .kind = TQ_ATTR_STRING, .s = "round_prefer_floor" },
               { .name = "antialias", .kind = TQ_ATTR_INT },
               { .name = "axes", .kind = TQ_ATTR_INTS },
               { .name = "keep_aspect_ratio_policy", .kind = TQ_ATTR_STRING, .s = "stretch" },
               { .name = "cubic_coeff_a", .kind = TQ_ATTR_FLOAT, .f = -0.75f },
               { .name = "exclude_outside", .kind = TQ_ATTR_INT },
               { .name = "extrapolation_value", .kind = TQ_ATTR_FLOAT } },
    .infer = infer,
    .reference = reference,
    .integerise = integerise,
    .bounds = tq_bounds_keep,
};
