/* Operators that move elements. Axes are translated to N, C, H, W where that is all there is to it;
 * else the value goes through the order of the file. */
#include "tflite.h"

#include <string.h>

enum {
    CONCATENATION = 2,
    DEPTH_TO_SPACE = 5,
    RESHAPE = 22,
    RESIZE_BILINEAR = 23,
    SPACE_TO_DEPTH = 26,
    PAD = 34,
    TRANSPOSE = 39,
    SQUEEZE = 43,
    STRIDED_SLICE = 45,
    SPLIT = 49,
    PADV2 = 60,
    SLICE = 65,
    TILE = 69,
    EXPAND_DIMS = 70,
    SHAPE = 77,
    PACK = 83,
    RESIZE_NEAREST_NEIGHBOR = 97,
};
enum { X };

static tq_status input_of(const tq_tflite_builder *b, int i, const tq_tflite_tensor **out)
{
    *out = tq_tflite_input(b, i);
    return *out ? TQ_OK : tq_fail(TQ_ERR_FORMAT, "has no input %d", i);
}

/* ---- reshaping ---- */

/* An image whose elements lie in the same order in both layouts. */
static bool is_line(const tq_type *type)
{
    return type->rank == 4 && (type->dims[3] == 1 || (type->dims[1] == 1 && type->dims[2] == 1));
}

/* The shape of the output. The batch is part of the first axis, whose size the file states for one.
 */
static tq_status emit_reshape(tq_tflite_builder *b, const tq_type *from, const tq_type *to,
                              bool as_image, tq_value *x, tq_value **out)
{
    int64_t dims[TQ_MAX_RANK];
    tq_value *shape;
    for (int d = 0; d < to->rank; d++)
        dims[as_image ? tq_tflite_axis(to->rank, d) : d] = to->dims[d];
    if (from->rank > 0 && to->rank > 0)
        dims[0] = from->dims[0] == to->dims[0] ? 0 : -1;
    TQ_TRY(tq_tflite_add_ints(b, to->rank, dims, &shape));
    return tq_tflite_emit(b, "Reshape", (tq_value *[]){ x, shape }, 2, NULL, 0, out);
}

/* Flattening an image is put off: a fully connected layer behind it takes its columns in another
 * order instead. */
static bool put_off(tq_tflite_builder *b, const tq_tflite_tensor *from, const tq_tflite_tensor *to,
                    tq_value *x)
{
    const bool flattens = from->type.rank == 4 && to->type.rank == 2 &&
                          from->type.dims[0] == to->type.dims[0] && !is_line(&from->type);
    tq_tflite_value *v = &b->values[to - b->model->tensors];
    const bool same = from->n_scales == to->n_scales &&
                      (!from->n_scales || (from->scales[0] == to->scales[0] &&
                                           from->zero_points[0] == to->zero_points[0]));
    if (!flattens || !same || v->real || v->unflat || to->data)
        return false;
    v->unflat = x;
    return true;
}

/* The one axis whose size the file does not know takes what is left. */
static void close_axis(tq_tflite_builder *b, const tq_type *from)
{
    tq_tflite_tensor *to = &b->model->tensors[b->op->outputs[0]];
    const int64_t n = tq_type_count(&to->type);
    int at = -1, n_open = 0;
    for (int d = 1; d < to->type.rank; d++)
        if (to->open >> d & 1u) {
            at = d;
            n_open++;
        }
    if (n_open == 1 && n > 0 && tq_type_count(from) % n == 0)
        to->type.dims[at] = tq_type_count(from) / n;
}

static tq_status reshape(tq_tflite_builder *b)
{
    const tq_tflite_tensor *from, *to = tq_tflite_output(b, 0);
    tq_value *x, *y;
    TQ_TRY(input_of(b, X, &from));
    if (to)
        close_axis(b, &from->type);
    if (!to || tq_type_count(&from->type) != tq_type_count(&to->type))
        return tq_fail(TQ_ERR_SHAPE, "reshapes %s to %s", tq_type_text(&from->type).s,
                       to ? tq_type_text(&to->type).s : "nothing");
    TQ_TRY(tq_tflite_real(b, X, &x));
    if (put_off(b, from, to, x))
        return TQ_OK;
    const bool into_image = is_line(&to->type);
    if (!is_line(&from->type))
        TQ_TRY(tq_tflite_plain(b, X, &x));
    TQ_TRY(emit_reshape(b, &from->type, &to->type, into_image, x, &y));
    return into_image ? tq_tflite_set(b, 0, y, X) : tq_tflite_set_plain(b, 0, y, X);
}

/* ---- moving ---- */

static tq_status transpose(tq_tflite_builder *b)
{
    static const int of_file[] = { 0, 3, 1, 2 }; /* axis of the file at axis i of N, C, H, W */
    const tq_tflite_tensor *t;
    const int64_t *given;
    int64_t n, perm[TQ_MAX_RANK];
    int axis;
    tq_value *x, *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_ints(b, 1, &n, &given));
    const int rank = t->type.rank;
    if (n != rank)
        return tq_fail(TQ_ERR_FORMAT, "permutes %lld axes of %s", (long long)n,
                       tq_type_text(&t->type).s);
    for (int d = 0; d < rank; d++) {
        TQ_TRY(tq_tflite_check_axis(b, given[rank == 4 ? of_file[d] : d], rank, &axis));
        perm[d] = tq_tflite_axis(rank, axis);
    }
    TQ_TRY(tq_tflite_real(b, X, &x));
    TQ_TRY(tq_tflite_emit(b, "Transpose", &x, 1, &TQ_INTS("perm", rank, perm), 1, &y));
    return tq_tflite_set(b, 0, y, X);
}

static tq_status concatenation(tq_tflite_builder *b)
{
    enum { MAX_PARTS = 1024 };
    const tq_tflite_tensor *t;
    int64_t axis = 0, activation = 0;
    int at, same = X;
    tq_value *inputs[MAX_PARTS], *y;
    if (b->op->n_inputs < 1 || b->op->n_inputs > MAX_PARTS)
        return tq_fail(TQ_ERR_UNSUPPORTED, "joins %d parts", b->op->n_inputs);
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_option(b, 0, 4, &axis));
    TQ_TRY(tq_tflite_option(b, 1, 1, &activation));
    TQ_TRY(tq_tflite_check_axis(b, axis, t->type.rank, &at));
    for (int i = 0; i < b->op->n_inputs; i++) {
        const tq_tflite_tensor *part;
        TQ_TRY(input_of(b, i, &part));
        TQ_TRY(tq_tflite_real(b, i, &inputs[i]));
        if (part->n_scales != t->n_scales ||
            (t->n_scales &&
             (part->scales[0] != t->scales[0] || part->zero_points[0] != t->zero_points[0])))
            same = -1;
    }
    TQ_TRY(tq_tflite_emit(b, "Concat", inputs, b->op->n_inputs,
                          &TQ_INT("axis", tq_tflite_axis(t->type.rank, at)), 1, &y));
    TQ_TRY(tq_tflite_activate(b, activation, &y));
    return tq_tflite_set(b, 0, y, activation ? -1 : same);
}

/* Input 1 is [rank, 2]: begin and end of each axis. */
static tq_status pad(tq_tflite_builder *b)
{
    const tq_tflite_tensor *t;
    const int64_t *given;
    int64_t n, pads[2 * TQ_MAX_RANK];
    tq_value *inputs[3], *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_ints(b, 1, &n, &given));
    const int rank = t->type.rank;
    if (n != 2 * rank)
        return tq_fail(TQ_ERR_FORMAT, "has %lld pads for %s", (long long)n,
                       tq_type_text(&t->type).s);
    for (int d = 0; d < rank; d++) {
        pads[tq_tflite_axis(rank, d)] = given[2 * d];
        pads[rank + tq_tflite_axis(rank, d)] = given[2 * d + 1];
    }
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_add_ints(b, 2 * rank, pads, &inputs[1]));
    const bool has_value = b->op->code == PADV2 && tq_tflite_input(b, 2);
    if (has_value)
        TQ_TRY(tq_tflite_weight(b, 2, &(tq_tflite_layout){ .rank = 0 }, &inputs[2]));
    TQ_TRY(tq_tflite_emit(b, "Pad", inputs, has_value ? 3 : 2, NULL, 0, &y));
    return tq_tflite_set(b, 0, y, X);
}

/* Input 1: how often each axis is repeated. */
static tq_status tile(tq_tflite_builder *b)
{
    const tq_tflite_tensor *t;
    const int64_t *given;
    int64_t n, repeats[TQ_MAX_RANK];
    tq_value *inputs[2], *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_ints(b, 1, &n, &given));
    if (n != t->type.rank)
        return tq_fail(TQ_ERR_FORMAT, "repeats %lld axes of %s", (long long)n,
                       tq_type_text(&t->type).s);
    for (int d = 0; d < (int)n; d++)
        repeats[tq_tflite_axis(t->type.rank, d)] = given[d];
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_add_ints(b, (int)n, repeats, &inputs[1]));
    TQ_TRY(tq_tflite_emit(b, "Tile", inputs, 2, NULL, 0, &y));
    return tq_tflite_set(b, 0, y, X);
}

static tq_status emit_slice(tq_tflite_builder *b, int rank, const int64_t *begin,
                            const int64_t *end, const int64_t *steps, tq_value **out)
{
    int64_t axes[TQ_MAX_RANK];
    tq_value *inputs[5];
    for (int d = 0; d < rank; d++)
        axes[d] = tq_tflite_axis(rank, d);
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_add_ints(b, rank, begin, &inputs[1]));
    TQ_TRY(tq_tflite_add_ints(b, rank, end, &inputs[2]));
    TQ_TRY(tq_tflite_add_ints(b, rank, axes, &inputs[3]));
    TQ_TRY(tq_tflite_add_ints(b, rank, steps, &inputs[4]));
    return tq_tflite_emit(b, "Slice", inputs, 5, NULL, 0, out);
}

/* Input 1: where it begins; 2: how many, -1: all the rest. */
static tq_status slice(tq_tflite_builder *b)
{
    const tq_tflite_tensor *t;
    const int64_t *begin, *size;
    int64_t n, n_size, end[TQ_MAX_RANK], steps[TQ_MAX_RANK];
    tq_value *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_ints(b, 1, &n, &begin));
    TQ_TRY(tq_tflite_ints(b, 2, &n_size, &size));
    if (n != t->type.rank || n_size != n)
        return tq_fail(TQ_ERR_FORMAT, "has %lld begins and %lld sizes for %s", (long long)n,
                       (long long)n_size, tq_type_text(&t->type).s);
    for (int d = 0; d < (int)n; d++) {
        const int64_t whole = t->type.dims[d];
        const bool fits =
            begin[d] >= 0 && begin[d] <= whole && size[d] >= -1 && size[d] <= whole - begin[d];
        if (!fits)
            return tq_fail(TQ_ERR_FORMAT, "takes %lld from %lld on axis %d of %s",
                           (long long)size[d], (long long)begin[d], d, tq_type_text(&t->type).s);
        const bool rest = size[d] < 0 || begin[d] + size[d] == whole;
        end[d] = rest ? INT64_MAX : begin[d] + size[d];
        steps[d] = 1;
    }
    TQ_TRY(emit_slice(b, (int)n, begin, end, steps, &y));
    return tq_tflite_set(b, 0, y, X);
}

/* A bit of a mask for each axis: begin and end count only where theirs is 0; axes of `shrink` have
 * one index and vanish. */
static tq_status strided_slice(tq_tflite_builder *b)
{
    enum { BEGIN, END, ELLIPSIS, NEW_AXIS, SHRINK };
    const tq_tflite_tensor *t, *to = tq_tflite_output(b, 0);
    const int64_t *given[3];
    int64_t n[3], masks[5] = { 0 }, begin[TQ_MAX_RANK], end[TQ_MAX_RANK], steps[TQ_MAX_RANK];
    tq_value *y;
    TQ_TRY(input_of(b, X, &t));
    for (int i = 0; i < 3; i++)
        TQ_TRY(tq_tflite_ints(b, 1 + i, &n[i], &given[i]));
    for (int i = 0; i < 5; i++)
        TQ_TRY(tq_tflite_option(b, i, 4, &masks[i]));
    const int rank = t->type.rank;
    if (masks[ELLIPSIS] || masks[NEW_AXIS] || !to)
        return tq_fail(TQ_ERR_UNSUPPORTED, "ellipsis and new axes are not supported");
    if (n[0] > rank || n[1] != n[0] || n[2] != n[0])
        return tq_fail(TQ_ERR_FORMAT, "has %lld begins for %s", (long long)n[0],
                       tq_type_text(&t->type).s);
    for (int d = 0; d < rank; d++) {
        const bool said = d < n[0];
        steps[d] = said ? given[2][d] : 1;
        const bool back = steps[d] < 0, shrinks = said && masks[SHRINK] >> d & 1;
        begin[d] = said && !(masks[BEGIN] >> d & 1) ? given[0][d] : back ? INT64_MAX : 0;
        end[d] = said && !(masks[END] >> d & 1) ? given[1][d] : back ? INT64_MIN : INT64_MAX;
        if (shrinks)
            end[d] = begin[d] == -1 ? INT64_MAX : begin[d] + 1;
    }
    TQ_TRY(emit_slice(b, rank, begin, end, steps, &y));
    if (!masks[SHRINK])
        return tq_tflite_set(b, 0, y, X);
    if (rank == 4) {
        const int64_t perm[] = { 0, 2, 3, 1 };
        TQ_TRY(tq_tflite_emit(b, "Transpose", &y, 1, &TQ_INTS("perm", 4, perm), 1, &y));
    }
    TQ_TRY(emit_reshape(b, &t->type, &to->type, false, y, &y));
    return tq_tflite_set_plain(b, 0, y, X);
}

/* Input 0 is the axis, input 1 is split into equal parts. */
static tq_status split(tq_tflite_builder *b)
{
    const tq_tflite_tensor *t;
    const int64_t *given;
    int64_t n;
    int axis;
    tq_value *x;
    tq_node *node;
    TQ_TRY(input_of(b, 1, &t));
    TQ_TRY(tq_tflite_ints(b, 0, &n, &given));
    if (n != 1 || b->op->n_outputs < 1)
        return tq_fail(TQ_ERR_FORMAT, "splits along %lld axes into %d", (long long)n,
                       b->op->n_outputs);
    TQ_TRY(tq_tflite_check_axis(b, given[0], t->type.rank, &axis));
    TQ_TRY(tq_tflite_real(b, 1, &x));
    const tq_attr attrs[] = { TQ_INT("axis", tq_tflite_axis(t->type.rank, axis)),
                              TQ_INT("num_outputs", b->op->n_outputs) };
    TQ_TRY(tq_graph_add_node(b->graph,
                             &(tq_node_spec){ .op = "Split",
                                              .domain = "",
                                              .name = b->name,
                                              .n_inputs = 1,
                                              .inputs = &x,
                                              .n_outputs = b->op->n_outputs,
                                              .n_attrs = 2,
                                              .attrs = attrs },
                             &node));
    for (int i = 0; i < b->op->n_outputs; i++)
        TQ_TRY(tq_tflite_set(b, i, tq_node_output(node, i), 1));
    return TQ_OK;
}

/* ---- sizes ---- */

/* Which input pixel an output pixel reads, in ONNX's words. */
static tq_status resize(tq_tflite_builder *b, const char *mode, int first_field)
{
    const tq_tflite_tensor *t, *to = tq_tflite_output(b, 0);
    int64_t corners = 0, half = 0;
    tq_value *inputs[3] = { 0 }, *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_option(b, first_field, 1, &corners));
    TQ_TRY(tq_tflite_option(b, first_field + 1, 1, &half));
    if (t->type.rank != 4 || !to || to->type.rank != 4 || tq_type_count(&t->type) == 0)
        return tq_fail(TQ_ERR_FORMAT, "needs an input and an output of four axes");
    tq_tensor scales;
    TQ_TRY(tq_tensor_init(&scales, &(tq_type){ .dtype = TQ_F32, .rank = 1, .dims = { 4 } }));
    float *s = scales.data;
    s[0] = s[1] = 1.0f;
    for (int d = 0; d < 2; d++)
        s[2 + d] = (float)to->type.dims[1 + d] / (float)t->type.dims[1 + d];
    const tq_status status = tq_graph_add_constant(b->graph, NULL, &scales, &inputs[2]);
    tq_tensor_reset(&scales);
    TQ_TRY(status);
    const char *coordinates = corners ? "align_corners" : half ? "half_pixel" : "asymmetric";
    const tq_attr attrs[] = {
        TQ_STRING("mode", mode), TQ_STRING("coordinate_transformation_mode", coordinates),
        TQ_STRING("nearest_mode", corners || half ? "round_prefer_ceil" : "floor")
    };
    TQ_TRY(tq_tflite_real(b, X, &inputs[0]));
    TQ_TRY(tq_tflite_emit(b, "Resize", inputs, 3, attrs, TQ_COUNT(attrs), &y));
    return tq_tflite_set(b, 0, y, strcmp(mode, "nearest") == 0 ? X : -1);
}

static tq_status depth_space(tq_tflite_builder *b, const char *op)
{
    const tq_tflite_tensor *t;
    int64_t block = 0;
    tq_value *x, *y;
    TQ_TRY(input_of(b, X, &t));
    TQ_TRY(tq_tflite_option(b, 0, 4, &block));
    if (t->type.rank != 4 || block < 1)
        return tq_fail(TQ_ERR_FORMAT, "has blocks of %lld for %s", (long long)block,
                       tq_type_text(&t->type).s);
    TQ_TRY(tq_tflite_real(b, X, &x));
    TQ_TRY(tq_tflite_emit(b, op, &x, 1, &TQ_INT("blocksize", block), 1, &y));
    return tq_tflite_set(b, 0, y, X);
}

/* Arithmetic on shapes: all shapes are in the file, nobody needs it. */
static bool is_about_shapes(const tq_tflite_builder *b)
{
    const tq_tflite_tensor *y = tq_tflite_output(b, 0);
    const bool integers = y && (y->type.dtype == TQ_I32 || y->type.dtype == TQ_I64);
    return integers && y->n_scales == 0 && y->type.rank <= 1;
}

tq_status tq_tflite_build_shape(tq_tflite_builder *b, bool *out_known)
{
    *out_known = true;
    if (is_about_shapes(b))
        return TQ_OK;
    switch (b->op->code) {
    case RESHAPE:
    case SQUEEZE:
    case EXPAND_DIMS:
        return reshape(b);
    case TRANSPOSE:
        return transpose(b);
    case CONCATENATION:
        return concatenation(b);
    case PAD:
    case PADV2:
        return pad(b);
    case TILE:
        return tile(b);
    case SLICE:
        return slice(b);
    case STRIDED_SLICE:
        return strided_slice(b);
    case SPLIT:
        return split(b);
    case RESIZE_NEAREST_NEIGHBOR:
        return resize(b, "nearest", 0);
    case RESIZE_BILINEAR:
        return resize(b, "linear", 2);
    case DEPTH_TO_SPACE:
        return depth_space(b, "DepthToSpace");
    case SPACE_TO_DEPTH:
        return depth_space(b, "SpaceToDepth");
    default:
        *out_known = false;
        return TQ_OK;
    }
}
