/* Older forms of operators to the newest, one row per operator and range of opsets. Most changes of
 * ONNX moved an attribute to an input: those rows apply in every opset, because converters write
 * the old form into newer files too; it has one meaning only. */
#include "onnx/onnx_internal.h"

#include <string.h>

/* ---- attribute to input ---- */

/** The value (copied) becomes input i as a constant "NODE.ATTR", or by the name it had before an
 *  export made it an attribute. */
static tq_status set_constant(tq_draft *draft, int i, const char *attr, const tq_tensor *tensor)
{
    tq_onnx_reader *reader = draft->reader;
    const char *before =
        tq_reader_find_prop(reader, tq_onnx_constant_key(draft->arena, draft->name, attr));
    tq_value *value = before ? tq_graph_find_value(draft->graph, before) : NULL;
    const tq_tensor *same = value ? tq_value_tensor(value) : NULL;
    if (!same || !tq_tensor_equal(same, tensor)) {
        const char *wanted = tq_arena_printf(draft->arena, "%s.%s", draft->name, attr);
        tq_tensor *copy = tq_reader_hold(reader);
        TQ_TRY(tq_tensor_copy(tensor, copy));
        TQ_TRY(tq_reader_add_constant(
            reader, tq_reader_fresh_value(reader, before && *before ? before : wanted), copy,
            &value));
    }
    tq_draft_set_input(draft, i, value);
    tq_draft_remove(draft, attr);
    return TQ_OK;
}

static tq_status check_free(const tq_draft *draft, int i, const char *attr)
{
    if (tq_draft_input(draft, i))
        return tq_fail(TQ_ERR_FORMAT, "has both attribute '%s' and input %d", attr, i);
    return TQ_OK;
}

static tq_status ints_to_input(tq_draft *draft, const char *name, int i)
{
    const tq_attr *attr = tq_draft_find(draft, name);
    if (!attr)
        return TQ_OK;
    TQ_TRY(check_free(draft, i, name));
    if (attr->kind != TQ_ATTR_INTS)
        return tq_fail(TQ_ERR_FORMAT, "attribute '%s' is not a list of integers", name);
    const tq_tensor tensor = { .type = tq_type_make(TQ_I64, 1, (int64_t[]){ attr->n }),
                               .data = (void *)(uintptr_t)attr->ints };
    return set_constant(draft, i, name, &tensor);
}

/** A number becomes a scalar of the dtype of input 0 (of f32 when `dtype` says so). */
static tq_status number_to_input(tq_draft *draft, const char *name, int i, tq_dtype dtype)
{
    const tq_attr *attr = tq_draft_find(draft, name);
    if (!attr)
        return TQ_OK;
    TQ_TRY(check_free(draft, i, name));
    if (attr->kind != TQ_ATTR_FLOAT && attr->kind != TQ_ATTR_INT)
        return tq_fail(TQ_ERR_FORMAT, "attribute '%s' is not a number", name);
    const tq_value *x = tq_draft_input(draft, 0);
    if (dtype == TQ_NONE)
        dtype = x ? tq_value_type(x)->dtype : TQ_F32;
    int64_t bytes[1] = { 0 };
    tq_store_f64(bytes, dtype, 0, attr->kind == TQ_ATTR_INT ? (double)attr->i : (double)attr->f);
    return set_constant(draft, i, name, &(tq_tensor){ .type.dtype = dtype, .data = bytes });
}

static tq_status axes_to_input(tq_draft *draft)
{
    return ints_to_input(draft, "axes", 1);
}

static tq_status split_to_input(tq_draft *draft)
{
    return ints_to_input(draft, "split", 1);
}

static tq_status slice_to_inputs(tq_draft *draft)
{
    TQ_TRY(ints_to_input(draft, "starts", 1));
    TQ_TRY(ints_to_input(draft, "ends", 2));
    return ints_to_input(draft, "axes", 3);
}

static tq_status clip_to_inputs(tq_draft *draft)
{
    TQ_TRY(number_to_input(draft, "min", 1, TQ_NONE));
    return number_to_input(draft, "max", 2, TQ_NONE);
}

static tq_status pad_to_inputs(tq_draft *draft)
{
    TQ_TRY(ints_to_input(draft, "pads", 1));
    return number_to_input(draft, "value", 2, TQ_NONE);
}

static tq_status ratio_to_input(tq_draft *draft)
{
    return number_to_input(draft, "ratio", 1, TQ_F32);
}

/* ---- batch normalisation ---- */

/** Inference only: `spatial` 0 has one mean per element; more outputs mean training. */
static tq_status batch_norm(tq_draft *draft)
{
    const tq_attr *spatial = tq_draft_find(draft, "spatial");
    const tq_attr *training = tq_draft_find(draft, "training_mode");
    if (spatial && (spatial->kind != TQ_ATTR_INT || spatial->i != 1))
        return tq_fail(TQ_ERR_UNSUPPORTED, "spatial is 0, only 1 is supported");
    if ((training && (training->kind != TQ_ATTR_INT || training->i != 0)) || draft->n_outputs > 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "is in training mode; export the network in inference mode");
    tq_draft_remove(draft, "spatial");
    return TQ_OK;
}

/* ---- softmax before opset 13 ---- */

/** The one axis from `axis` on that is not 1; -1 if there are several or some are not known. */
static int only_axis(const tq_type *type, int axis)
{
    int found = type->rank - 1;
    int n = 0;
    for (int i = axis; i < type->rank; i++)
        if (type->dims[i] != 1) {
            found = i;
            n++;
        }
    return n <= 1 ? found : -1;
}

typedef struct part {
    const char *op, *suffix;
    int n_inputs;
    tq_value *inputs[2];
    int n_attrs;
    tq_attr attr;
    const char *output; /* NULL: a fresh name */
} part;

/** Adds one of the nodes that an old operator falls into. */
static tq_status add_part(tq_draft *draft, const part *p, tq_value **out_value)
{
    const char *wanted = tq_arena_printf(draft->arena, "%s%s", draft->name, p->suffix);
    const char *name = *p->suffix ? tq_reader_fresh_node(draft->reader, wanted) : draft->name;
    const char *output = p->output ? p->output : tq_reader_fresh_value(draft->reader, wanted);
    tq_node *node;
    TQ_TRY(tq_graph_add_node(draft->graph,
                             &(tq_node_spec){ .op = p->op,
                                              .name = name,
                                              .n_inputs = p->n_inputs,
                                              .inputs = p->inputs,
                                              .n_outputs = 1,
                                              .output_names = &output,
                                              .n_attrs = p->n_attrs,
                                              .attrs = &p->attr },
                             &node));
    *out_value = tq_node_output(node, 0);
    return TQ_OK;
}

/** Over all axes from `axis` at once: flatten, softmax, and back to the shape of x. */
static tq_status wrap_softmax(tq_draft *draft, tq_value *x, int64_t axis)
{
    tq_value *flat, *y, *shape, *back;
    TQ_TRY(add_part(
        draft, &(part){ "Flatten", ".flatten", 1, { x }, 1, TQ_INT("axis", axis), NULL }, &flat));
    TQ_TRY(add_part(draft, &(part){ draft->op, "", 1, { flat }, 1, TQ_INT("axis", -1), NULL }, &y));
    TQ_TRY(add_part(draft,
                    &(part){ .op = "Shape", .suffix = ".shape", .n_inputs = 1, .inputs = { x } },
                    &shape));
    TQ_TRY(add_part(draft,
                    &(part){ .op = "Reshape",
                             .suffix = ".reshape",
                             .n_inputs = 2,
                             .inputs = { y, shape },
                             .output = draft->outputs[0] },
                    &back));
    draft->done = true;
    return TQ_OK;
}

/** Up to opset 12 softmax ran over all axes from `axis` (default 1) on, as if they were one. */
static tq_status softmax_12(tq_draft *draft)
{
    tq_value *x = tq_draft_input(draft, 0);
    const tq_attr *attr = tq_draft_find(draft, "axis");
    if (attr && attr->kind != TQ_ATTR_INT)
        return tq_fail(TQ_ERR_FORMAT, "attribute 'axis' is not an integer");
    if (!x || draft->n_outputs != 1)
        return TQ_OK; /* the schema says what is missing */
    const tq_type *type = tq_value_type(x);
    int64_t axis = attr ? attr->i : 1;
    if (type->rank < 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "the rank of '%s' is not known", tq_value_name(x));
    axis += axis < 0 ? type->rank : 0;
    if (axis < 0 || axis > type->rank)
        return tq_fail(TQ_ERR_FORMAT, "axis is %lld, '%s' is %s", (long long)(attr ? attr->i : 1),
                       tq_value_name(x), tq_type_text(type).s);
    const int only = axis < type->rank ? only_axis(type, (int)axis) : -1;
    if (only < 0)
        return wrap_softmax(draft, x, axis);
    tq_draft_set(draft, TQ_INT("axis", only == type->rank - 1 && !attr ? -1 : only));
    return TQ_OK;
}

/* ---- resize ---- */

/** Resize-10 and Upsample had one rule: output i reads input floor(i / scale). */
static tq_status resize_10(tq_draft *draft)
{
    tq_value *scales = tq_draft_input(draft, 1);
    tq_draft_set_input(draft, 1, NULL);
    tq_draft_set_input(draft, 2, scales);
    tq_draft_set(draft, TQ_STRING("coordinate_transformation_mode", "asymmetric"));
    tq_draft_set(draft, TQ_STRING("nearest_mode", "floor"));
    return TQ_OK;
}

static tq_status upsample(tq_draft *draft)
{
    const tq_attr *attr = tq_draft_find(draft, "scales");
    draft->op = "Resize";
    if (!attr)
        return resize_10(draft);
    if (attr->kind != TQ_ATTR_FLOATS)
        return tq_fail(TQ_ERR_FORMAT, "attribute 'scales' is not a list of floats");
    TQ_TRY(check_free(draft, 1, "scales"));
    const tq_tensor tensor = { .type = tq_type_make(TQ_F32, 1, (int64_t[]){ attr->n }),
                               .data = (void *)(uintptr_t)attr->floats };
    TQ_TRY(set_constant(draft, 1, "scales", &tensor));
    return resize_10(draft);
}

enum { ANY = TQ_ONNX_MAX_OPSET };

static const tq_draft_rule rules[] = {
    { "BatchNormalization", 7, ANY, batch_norm },
    { "Clip", 7, ANY, clip_to_inputs },
    { "Dropout", 7, ANY, ratio_to_input },
    { "LogSoftmax", 7, 12, softmax_12 },
    { "Pad", 7, ANY, pad_to_inputs },
    { "ReduceL1", 7, ANY, axes_to_input },
    { "ReduceL2", 7, ANY, axes_to_input },
    { "ReduceLogSum", 7, ANY, axes_to_input },
    { "ReduceLogSumExp", 7, ANY, axes_to_input },
    { "ReduceMax", 7, ANY, axes_to_input },
    { "ReduceMean", 7, ANY, axes_to_input },
    { "ReduceMin", 7, ANY, axes_to_input },
    { "ReduceProd", 7, ANY, axes_to_input },
    { "ReduceSum", 7, ANY, axes_to_input },
    { "ReduceSumSquare", 7, ANY, axes_to_input },
    { "Resize", 10, 10, resize_10 },
    { "Slice", 7, ANY, slice_to_inputs },
    { "Softmax", 7, 12, softmax_12 },
    { "Split", 7, ANY, split_to_input },
    { "Squeeze", 7, ANY, axes_to_input },
    { "Unsqueeze", 7, ANY, axes_to_input },
    { "Upsample", 7, ANY, upsample },
};

tq_status tq_onnx_upgrade(tq_draft *draft)
{
    TQ_TRY(tq_onnx_upgrade_qoperator(draft));
    TQ_TRY(tq_onnx_upgrade_qonnx(draft));
    const bool is_onnx = !draft->done && !*draft->domain;
    return is_onnx ? tq_draft_apply(draft, rules, TQ_COUNT(rules)) : TQ_OK;
}
