/* Resize along any axes (ONNX Resize-19). Output index i lies at input coordinate
 * x = (i + 1/2) / scale - 1/2 (half_pixel), and so on for the other modes.
 *
 *   nearest   y = x[round(x)]
 *   linear    y = sum_k w(k - x) x[k] / sum_k w(k - x),   w(d) = max(0, 1 - |d|)
 *   cubic     the same with Keys' kernel of parameter a (cubic_coeff_a), 4 neighbours wide
 *
 * product by product over the axes. With antialias and scale < 1 the kernel is stretched: w(d
 * scale). Beyond the edges the edge repeats, or (exclude_outside) has weight 0; tf_crop_and_resize
 * reads the box `roi` and gives extrapolation_value outside the input. Computed in double. */
#include "ops/integer_rules_internal.h"
#include "ops/strided_internal.h"

#include <math.h>
#include <string.h>

enum { X, ROI, SCALES, SIZES };

enum { NEAREST, LINEAR, CUBIC };
static const char *const mode_names[] = { "nearest", "linear", "cubic" };
enum { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, CROP };
static const char *const coordinate_names[] = { "half_pixel",         "half_pixel_symmetric",
                                                "pytorch_half_pixel", "align_corners",
                                                "asymmetric",         "tf_crop_and_resize" };
enum { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL };
static const char *const nearest_names[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil" };
enum { STRETCH, NOT_LARGER, NOT_SMALLER };
static const char *const policy_names[] = { "stretch", "not_larger", "not_smaller" };

typedef struct settings {
    int mode, coordinates, nearest, policy;
    bool antialias, exclude_outside;
    double a; /* of the cubic kernel */
} settings;

static int find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static tq_status read_choice(const tq_attrs *attrs, const char *attr, const char *const *names,
                             int n, int *out)
{
    const char *name = tq_attr_string(attrs, attr);
    *out = find(names, n, name);
    return *out < 0 ? tq_fail(TQ_ERR_UNSUPPORTED, "%s '%s' is not implemented", attr, name) : TQ_OK;
}

static tq_status read_settings(const tq_attrs *attrs, settings *s)
{
    TQ_TRY(read_choice(attrs, "mode", mode_names, TQ_COUNT(mode_names), &s->mode));
    TQ_TRY(read_choice(attrs, "coordinate_transformation_mode", coordinate_names,
                       TQ_COUNT(coordinate_names), &s->coordinates));
    TQ_TRY(read_choice(attrs, "nearest_mode", nearest_names, TQ_COUNT(nearest_names), &s->nearest));
    TQ_TRY(read_choice(attrs, "keep_aspect_ratio_policy", policy_names, TQ_COUNT(policy_names),
                       &s->policy));
    s->antialias = tq_attr_int(attrs, "antialias") != 0;
    s->exclude_outside = tq_attr_int(attrs, "exclude_outside") != 0;
    s->a = (double)tq_attr_float(attrs, "cubic_coeff_a");
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

/* ---- sizes ---------------------------------------------------------------------------------- */

/** What says the sizes: the arrays that are known. */
typedef struct wish {
    const tq_tensor *scales, *sizes, *roi;
    int n, axes[TQ_MAX_RANK];
} wish;

static double number(const tq_tensor *tensor, int i)
{
    return tq_load_f64(tensor->data, tensor->type.dtype, i);
}

static double roi_extent(const wish *w, int i)
{
    return w->roi ? number(w->roi, w->n + i) - number(w->roi, i) : 1.0;
}

static tq_status by_scale(const tq_type *x, const wish *w, int i, int64_t *out_dim)
{
    const double scale = number(w->scales, i);
    const double size = floor(roi_extent(w, i) * scale * (double)x->dims[w->axes[i]]);
    if (!(scale > 0) || !(size >= 0) || size > 1e12)
        return tq_fail(TQ_ERR_VALUE, "scales[%d] is %g", i, scale);
    *out_dim = (int64_t)size;
    return TQ_OK;
}

/** The one scale that fits all sizes: the smallest (not_larger) or the largest of theirs. 0: not
 * known. */
static double common_scale(const tq_type *x, const wish *w, int policy)
{
    double common = policy == NOT_LARGER ? INFINITY : 0.0;
    for (int i = 0; i < w->n; i++) {
        const int64_t dim = x->dims[w->axes[i]];
        if (dim < 1 || number(w->sizes, i) < 1)
            return 0.0;
        const double scale = number(w->sizes, i) / (double)dim;
        common = (policy == NOT_LARGER) == (scale < common) ? scale : common;
    }
    return common;
}

static tq_status by_size(const tq_type *x, const wish *w, int policy, int i, int64_t *out_dim)
{
    const int64_t size = tq_load_i64(w->sizes->data, w->sizes->type.dtype, i);
    if (size < 1 && size != TQ_VALUE_ANY)
        return tq_fail(TQ_ERR_VALUE, "sizes[%d] is %lld", i, (long long)size);
    *out_dim = size == TQ_VALUE_ANY ? TQ_DIM_ANY : size;
    if (policy == STRETCH)
        return TQ_OK;
    const double scale = common_scale(x, w, policy);
    *out_dim = scale > 0 ? (int64_t)floor(scale * (double)x->dims[w->axes[i]] + 0.5) : TQ_DIM_ANY;
    return TQ_OK;
}

static tq_status infer_dims(tq_op_types *t, const settings *s, const wish *w)
{
    const tq_type *x = t->in[X];
    const tq_tensor *given_array = w->scales ? w->scales : w->sizes;
    if (tq_tensor_count(given_array) != w->n || (w->roi && tq_tensor_count(w->roi) != 2 * w->n))
        return tq_fail(TQ_ERR_SHAPE, "scales, sizes or roi is %s; expected %d entries (roi: %d)",
                       tq_type_text(&given_array->type).s, w->n, 2 * w->n);
    for (int d = 0; d < x->rank; d++)
        t->out[0].dims[d] = x->dims[d];
    for (int i = 0; i < w->n; i++) {
        int64_t *dim = &t->out[0].dims[w->axes[i]];
        if (w->sizes)
            TQ_TRY(by_size(x, w, s->policy, i, dim));
        else if (*dim != TQ_DIM_ANY)
            TQ_TRY(by_scale(x, w, i, dim));
    }
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    const tq_type *x = t->in[X];
    settings s;
    TQ_TRY(read_settings(t->attrs, &s));
    if (s.mode != NEAREST || s.coordinates == CROP)
        TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_FLOAT));
    if (given(t, SCALES) == given(t, SIZES))
        return tq_fail(TQ_ERR_VALUE, "expected either scales or sizes");
    if (s.coordinates == CROP && !given(t, ROI))
        return tq_fail(TQ_ERR_VALUE, "tf_crop_and_resize needs a roi");
    tq_infer_rank_only(t, x->rank);
    if (x->rank < 0)
        return TQ_OK;
    const bool crops = s.coordinates == CROP;
    wish w = { known(t, SCALES), known(t, SIZES), crops ? known(t, ROI) : NULL, 0, { 0 } };
    TQ_TRY(read_axes(t->attrs, x->rank, w.axes, &w.n));
    const bool open = crops && w.scales && !w.roi;
    return (w.scales || w.sizes) && !open ? infer_dims(t, &s, &w) : TQ_OK;
}

/* ---- coordinates ---------------------------------------------------------------------------- */

/** One axis of the input seen from the output. */
typedef struct axis_map {
    int64_t n_in, n_out;
    double scale;
    double begin, end; /* of the roi */
    bool same;         /* every element stays where it is */
} axis_map;

static double coordinate(const axis_map *m, int kind, int64_t i)
{
    /* length may differ from n_out, which is its floor */
    const double length = m->scale * (double)m->n_in, last = (double)(m->n_in - 1);
    switch (kind) {
    case HALF_PIXEL_SYMMETRIC: {
        const double adjust = (double)m->n_out / length, center = (double)m->n_in / 2;
        return center * (1 - adjust) + ((double)i + 0.5) / m->scale - 0.5;
    }
    case PYTORCH_HALF_PIXEL:
        return m->n_out > 1 ? ((double)i + 0.5) / m->scale - 0.5 : 0.0;
    case ALIGN_CORNERS:
        return m->n_out > 1 ? (double)i * last / (length - 1) : 0.0;
    case ASYMMETRIC:
        return (double)i / m->scale;
    case CROP:
        return m->n_out > 1 ? m->begin * last +
                                  (double)i * (m->end - m->begin) * last / (double)(m->n_out - 1)
                            : 0.5 * (m->begin + m->end) * last;
    default:
        return ((double)i + 0.5) / m->scale - 0.5;
    }
}

/** A coordinate as an index, also where it is nonsense. */
static int64_t index_of(double x, int64_t n)
{
    return x >= 0 ? (x < (double)n ? (int64_t)x : n - 1) : 0;
}

static int64_t nearest_index(const settings *s, double x, int64_t n)
{
    const double rounded = s->nearest == PREFER_FLOOR  ? ceil(x - 0.5)
                           : s->nearest == PREFER_CEIL ? floor(x + 0.5)
                           : s->nearest == FLOOR       ? floor(x)
                                                       : ceil(x);
    return index_of(rounded, n);
}

static void make_maps(const tq_op_run *run, const settings *s, axis_map *maps)
{
    const tq_type *x = run->in_types[X], *y = run->out_types[0];
    int axes[TQ_MAX_RANK], n = 0;
    tq_status_drop(read_axes(run->attrs, x->rank, axes, &n));
    for (int d = 0; d < x->rank; d++)
        maps[d] = (axis_map){ x->dims[d], y->dims[d], (double)y->dims[d] / (double)x->dims[d],
                              0.0,        1.0,        x->dims[d] == y->dims[d] };
    const bool by_scales = tq_run_has(run, SCALES) && tq_type_count(run->in_types[SCALES]) == n;
    for (int i = 0; i < n; i++) {
        axis_map *m = &maps[axes[i]];
        if (by_scales)
            m->scale = tq_load_f64(run->in[SCALES], run->in_types[SCALES]->dtype, i);
        if (s->coordinates == CROP) {
            m->begin = tq_load_f64(run->in[ROI], run->in_types[ROI]->dtype, i);
            m->end = tq_load_f64(run->in[ROI], run->in_types[ROI]->dtype, n + i);
        }
        m->same = m->same && m->scale == 1 && m->begin == 0 && m->end == 1;
    }
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct job {
    const tq_op_run *run;
    settings s;
    axis_map maps[TQ_MAX_RANK];
    int64_t strides[TQ_MAX_RANK];
    double outside; /* value beyond the input when cropping */
} job;

/** Which input elements along one axis an output element is made of. */
typedef struct taps {
    int64_t first, n;
    double x, stretch, sum;
} taps;

static double kernel(const settings *s, double d)
{
    const double v = fabs(d), a = s->a;
    if (s->mode == LINEAR)
        return v < 1 ? 1 - v : 0.0;
    if (v <= 1)
        return ((a + 2) * v - (a + 3)) * v * v + 1;
    return v < 2 ? ((a * v - 5 * a) * v + 8 * a) * v - 4 * a : 0.0;
}

static double tap_weight(const job *j, const taps *t, int64_t n_in, int64_t k)
{
    if (j->s.exclude_outside && (k < 0 || k >= n_in))
        return 0.0;
    return kernel(&j->s, ((double)k - t->x) * t->stretch);
}

static taps find_taps(const job *j, const axis_map *m, double x)
{
    taps t = { .x = x, .stretch = j->s.antialias && m->scale < 1 ? m->scale : 1.0, .sum = 1.0 };
    const double start = floor((j->s.mode == LINEAR ? -1.0 : -2.0) / t.stretch) + 1;
    t.first = (int64_t)(floor(x) + start);
    t.n = (int64_t)(2 - 2 * start);
    if (!j->s.antialias && !j->s.exclude_outside)
        return t;
    t.sum = 0.0;
    for (int64_t k = t.first; k < t.first + t.n; k++)
        t.sum += tap_weight(j, &t, m->n_in, k);
    return t;
}

/** Sum over the taps of axes d, d + 1, ... from element `base` on. */
static double interpolate(const job *j, const taps *all, int d, int64_t base)
{
    const tq_type *x = j->run->in_types[X];
    if (d == x->rank)
        return tq_load_f64(j->run->in[X], x->dtype, base);
    const taps *t = &all[d];
    const int64_t n_in = x->dims[d];
    if (t->n == 1)
        return interpolate(j, all, d + 1, base + t->first * j->strides[d]);
    double sum = 0.0;
    for (int64_t k = t->first; k < t->first + t->n; k++) {
        const double w = tap_weight(j, t, n_in, k);
        if (w != 0.0)
            sum +=
                w * interpolate(j, all, d + 1, base + tq_clip_i64(k, 0, n_in - 1) * j->strides[d]);
    }
    return sum / t->sum;
}

/** False where the element lies outside the box that is cropped. */
static bool find_all_taps(const job *j, const int64_t *at, taps *all)
{
    for (int d = 0; d < j->run->out_types[0]->rank; d++) {
        const axis_map *m = &j->maps[d];
        if (m->same) {
            all[d] = (taps){ .first = at[d], .n = 1 };
            continue;
        }
        const double x = coordinate(m, j->s.coordinates, at[d]);
        if (j->s.coordinates == CROP && !(x >= 0 && x <= (double)(m->n_in - 1)))
            return false;
        all[d] = j->s.mode == NEAREST ? (taps){ .first = nearest_index(&j->s, x, m->n_in), .n = 1 }
                                      : find_taps(j, m, x);
    }
    return true;
}

static void copy_element(const job *j, const taps *all, int64_t to)
{
    const size_t size = tq_dtype_size(j->run->in_types[X]->dtype);
    int64_t from = 0;
    for (int d = 0; d < j->run->in_types[X]->rank; d++)
        from += all[d].first * j->strides[d];
    memcpy((char *)j->run->out[0] + (size_t)to * size,
           (const char *)j->run->in[X] + (size_t)from * size, size);
}

static void reference(const tq_op_run *run)
{
    const tq_type *y = run->out_types[0];
    job j = { .run = run, .outside = (double)tq_attr_float(run->attrs, "extrapolation_value") };
    if (tq_type_count(y) == 0 || tq_type_count(run->in_types[X]) == 0)
        return;
    tq_status_drop(read_settings(run->attrs, &j.s));
    make_maps(run, &j.s, j.maps);
    tq_type_strides(run->in_types[X], j.strides);
    int64_t at[TQ_MAX_RANK] = { 0 };
    taps all[TQ_MAX_RANK];
    for (int64_t i = 0; i < tq_type_count(y); i++) {
        if (!find_all_taps(&j, at, all))
            tq_store_f64(run->out[0], y->dtype, i, j.outside);
        else if (j.s.mode == NEAREST)
            copy_element(&j, all, i);
        else
            tq_store_f64(run->out[0], y->dtype, i, interpolate(&j, all, 0, 0));
        tq_index_next(y->rank, y->dims, at);
    }
}

/** The size along one axis as a whole number; false if scale * dim is none. */
static bool whole_size(const tq_type *x, int axis, double scale, int64_t *out_size)
{
    const double size = scale * (double)x->dims[axis];
    *out_size = (int64_t)rint(size);
    return x->dims[axis] > 0 && fabs(size - rint(size)) <= 1e-4 && size >= 1.0 && size < 0x1p40;
}

/** Scales are floats, which an integer network may not hold: the sizes that they make say the same. */
static tq_status scales_to_sizes(tq_integerise *t, const tq_tensor *scales)
{
    tq_node *node = tq_int_node(t);
    const tq_type *x = tq_value_type(tq_node_input(node, X));
    int axes[TQ_MAX_RANK], n_axes = 0;
    int64_t kept[TQ_MAX_RANK], sizes[TQ_MAX_RANK], n = 0;
    TQ_TRY(read_axes(tq_node_attrs(node), x->rank, axes, &n_axes));
    for (int i = 0; i < n_axes && i < tq_tensor_count(scales); i++) {
        const double scale = number(scales, i);
        if (scale == 1.0)
            continue;
        if (!whole_size(x, axes[i], scale, &sizes[n]))
            return tq_int_refuse(t, "scale %g of axis %d of %s makes no whole size", scale, axes[i],
                                 tq_type_text(x).s);
        kept[n++] = axes[i];
    }
    tq_value *constant;
    TQ_TRY(tq_int_add_constant(t, "sizes", TQ_I64, 1, &n, sizes, &constant));
    tq_node_set_attr(node, &TQ_INTS("axes", (int)n, kept));
    tq_node_set_input(node, SCALES, NULL);
    tq_node_set_input(node, SIZES, constant);
    return TQ_OK;
}

/** Nearest neighbour moves codes; interpolation does not. */
static tq_status integerise(tq_integerise *t)
{
    settings s;
    tq_node *node = tq_int_node(t);
    TQ_TRY(read_settings(tq_node_attrs(node), &s));
    if (s.mode != NEAREST || s.coordinates == CROP)
        return tq_int_refuse(t, "only nearest neighbour has an integer form");
    const tq_tensor *scales = tq_int_constant(t, SCALES);
    if (tq_node_n_inputs(node) > ROI && tq_node_input(node, ROI))
        tq_node_set_input(node, ROI, NULL);
    if (scales && tq_tensor_count(scales) > 0)
        TQ_TRY(scales_to_sizes(t, scales));
    else if (scales)
        tq_node_set_input(node, SCALES, NULL);
    return tq_int_keep(t);
}

const tq_op tq_op_resize = {
    .entry = { .name = "Resize",
               .brief = "another size by nearest neighbour, linear or cubic interpolation" },
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
