/* The newest forms of operators to those of an older opset, the inverse of upgrade.c. An input that
 * was an attribute once must be a constant to become one again. */
#include "onnx/onnx_internal.h"

#include <string.h>

static tq_status no_form(const tq_draft *draft, const char *why)
{
    return tq_fail(TQ_ERR_UNSUPPORTED, "has no form in opset %d: %s", draft->opset, why);
}

/** The constant at input i, NULL if absent. */
static tq_status find_constant(const tq_draft *draft, int i, const tq_tensor **out_tensor)
{
    const tq_value *value = tq_draft_input(draft, i);
    *out_tensor = value ? tq_value_tensor(value) : NULL;
    if (value && !*out_tensor)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "has no form in opset %d: input '%s' must be a constant there", draft->opset,
                       tq_value_name(value));
    return TQ_OK;
}

/** Input i is gone, the attribute says what it said. */
static void drop_input(tq_draft *draft, int i, const char *attr)
{
    tq_dropped_input *dropped = TQ_NEW(draft->arena, tq_dropped_input);
    *dropped = (tq_dropped_input){ attr, tq_value_name(draft->inputs[i]), draft->dropped };
    draft->dropped = dropped;
    tq_draft_set_input(draft, i, NULL);
}

/** Input i becomes the attribute; before opset 11 entries that count from the end (of `rank` axes)
 * are not known. */
static tq_status ints_to_attr(tq_draft *draft, int i, const char *name, int rank)
{
    const tq_tensor *tensor;
    TQ_TRY(find_constant(draft, i, &tensor));
    if (!tensor)
        return TQ_OK;
    const int n = (int)tq_tensor_count(tensor);
    int64_t *ints = TQ_NEW_N(draft->arena, int64_t, n + 1);
    for (int k = 0; k < n; k++) {
        ints[k] = tq_load_i64(tensor->data, tensor->type.dtype, k);
        ints[k] += ints[k] < 0 && draft->opset < 11 ? rank : 0;
    }
    tq_draft_set(draft, TQ_INTS(name, n, ints));
    drop_input(draft, i, name);
    return TQ_OK;
}

static tq_status number_to_attr(tq_draft *draft, int i, const char *name)
{
    const tq_tensor *tensor;
    TQ_TRY(find_constant(draft, i, &tensor));
    if (!tensor)
        return TQ_OK;
    if (tq_tensor_count(tensor) != 1)
        return no_form(draft, "a single number is needed");
    tq_draft_set(draft, TQ_FLOAT(name, (float)tq_load_f64(tensor->data, tensor->type.dtype, 0)));
    drop_input(draft, i, name);
    return TQ_OK;
}

static int rank_of_input(const tq_draft *draft)
{
    const tq_value *x = tq_draft_input(draft, 0);
    return x && tq_value_type(x)->rank > 0 ? tq_value_type(x)->rank : 0;
}

/* ---- rules ---- */

static tq_status axes_to_attr(tq_draft *draft)
{
    const tq_value *axes = tq_draft_input(draft, 1);
    if (axes && tq_value_type(axes)->rank == 1 && tq_value_type(axes)->dims[0] == 0) {
        const tq_attr *noop = tq_draft_find(draft, "noop_with_empty_axes");
        if (noop && noop->i)
            return no_form(draft, "it reduces nothing");
        tq_draft_set_input(draft, 1, NULL); /* empty and absent mean the same: all axes */
    }
    return ints_to_attr(draft, 1, "axes", rank_of_input(draft));
}

static tq_status unsqueeze_axes_to_attr(tq_draft *draft)
{
    const tq_value *axes = tq_draft_input(draft, 1);
    const int n = axes && tq_value_is_const(axes) ? (int)tq_type_count(tq_value_type(axes)) : 0;
    return ints_to_attr(draft, 1, "axes", rank_of_input(draft) + n);
}

static tq_status clip_to_attrs(tq_draft *draft)
{
    TQ_TRY(number_to_attr(draft, 1, "min"));
    return number_to_attr(draft, 2, "max");
}

static tq_status pad_without_axes(tq_draft *draft)
{
    return tq_draft_input(draft, 3) ? no_form(draft, "its axes are an input") : TQ_OK;
}

static tq_status pad_to_attrs(tq_draft *draft)
{
    TQ_TRY(ints_to_attr(draft, 1, "pads", 0));
    return number_to_attr(draft, 2, "value");
}

static tq_status dropout_to_attr(tq_draft *draft)
{
    const tq_tensor *training;
    TQ_TRY(find_constant(draft, 2, &training));
    if (training && tq_load_i64(training->data, training->type.dtype, 0))
        return no_form(draft, "training mode");
    if (draft->n_outputs > 1)
        return no_form(draft, "a mask outside training");
    tq_draft_set_input(draft, 2, NULL);
    return number_to_attr(draft, 1, "ratio");
}

static tq_status split_to_attr(tq_draft *draft)
{
    return ints_to_attr(draft, 1, "split", 0);
}

/** Without num_outputs the parts are equal, as many as there are outputs. */
static tq_status split_equally(tq_draft *draft)
{
    if (!tq_draft_find(draft, "num_outputs"))
        return TQ_OK;
    const tq_value *x = tq_draft_input(draft, 0);
    const tq_attr *axis = tq_draft_find(draft, "axis");
    const tq_type *type = x ? tq_value_type(x) : NULL;
    int64_t i = axis ? axis->i : 0;
    i += i < 0 && type ? type->rank : 0;
    const bool known = type && i >= 0 && i < type->rank && type->dims[i] > 0;
    if (!known || type->dims[i] % draft->n_outputs != 0)
        return no_form(draft, "its parts are not equal");
    tq_draft_remove(draft, "num_outputs");
    return TQ_OK;
}

/** From opset 18 on either sizes or a number of parts must be said. */
static tq_status split_count(tq_draft *draft)
{
    if (!tq_draft_input(draft, 1) && !tq_draft_find(draft, "num_outputs"))
        tq_draft_set(draft, TQ_INT("num_outputs", draft->n_outputs));
    return TQ_OK;
}

/** The last axis (or the last that is not 1) has the same meaning in both definitions. */
static tq_status softmax_to_12(tq_draft *draft)
{
    const tq_value *x = tq_draft_input(draft, 0);
    const tq_type *type = x ? tq_value_type(x) : NULL;
    const tq_attr *attr = tq_draft_find(draft, "axis");
    int64_t axis = attr ? attr->i : -1;
    if (!type || type->rank < 1)
        return no_form(draft, "the rank of its input is not known");
    axis += axis < 0 ? type->rank : 0;
    for (int i = (int)axis + 1; i < type->rank; i++)
        if (type->dims[i] != 1)
            return no_form(draft, "its axis must be the last one there");
    tq_draft_set(draft, TQ_INT("axis", axis));
    return TQ_OK;
}

/** Negative axes came with opset 11. */
static tq_status positive_axis(tq_draft *draft)
{
    tq_attr *axis = tq_draft_find(draft, "axis");
    if (axis && axis->i < 0)
        axis->i += rank_of_input(draft);
    return TQ_OK;
}

static bool has_text(const tq_draft *draft, const char *name, const char *text)
{
    const tq_attr *attr = tq_draft_find(draft, name);
    return attr && attr->kind == TQ_ATTR_STRING && strcmp(attr->s, text) == 0;
}

/** Resize-10 takes scales only and knows one rule. */
static tq_status resize_to_10(tq_draft *draft)
{
    const bool nearest = !tq_draft_find(draft, "mode") || has_text(draft, "mode", "nearest");
    if (!tq_draft_input(draft, 2) || tq_draft_input(draft, 3) ||
        !has_text(draft, "coordinate_transformation_mode", "asymmetric") ||
        (nearest && !has_text(draft, "nearest_mode", "floor")))
        return no_form(draft, "it must be asymmetric, rounding down, by scales there");
    tq_value *scales = tq_draft_input(draft, 2);
    tq_draft_set_input(draft, 2, NULL);
    tq_draft_set_input(draft, 1, scales);
    tq_draft_remove(draft, "coordinate_transformation_mode");
    tq_draft_remove(draft, "nearest_mode");
    return TQ_OK;
}

/** 16- and 4-bit codes came with opset 21. */
static tq_status only_8_bits(tq_draft *draft)
{
    const tq_value *zero_point = tq_draft_input(draft, 2);
    const tq_dtype dtype = zero_point ? tq_value_type(zero_point)->dtype : TQ_U8;
    return dtype == TQ_U8 || dtype == TQ_I8 ? TQ_OK : no_form(draft, "its codes must have 8 bits");
}

/** Exponents of another dtype came with opset 12. */
static tq_status one_dtype(tq_draft *draft)
{
    const tq_value *x = tq_draft_input(draft, 0), *y = tq_draft_input(draft, 1);
    const bool same = x && y && tq_value_type(x)->dtype == tq_value_type(y)->dtype;
    return same ? TQ_OK : no_form(draft, "its inputs must have one dtype");
}

static const tq_draft_rule rules[] = {
    { "ArgMax", 7, 10, positive_axis },
    { "ArgMin", 7, 10, positive_axis },
    { "Clip", 7, 10, clip_to_attrs },
    { "Concat", 7, 10, positive_axis },
    { "Dropout", 7, 11, dropout_to_attr },
    { "Flatten", 7, 10, positive_axis },
    { "Gather", 7, 10, positive_axis },
    { "LogSoftmax", 7, 12, softmax_to_12 },
    { "Pad", 7, 17, pad_without_axes },
    { "Pad", 7, 10, pad_to_attrs },
    { "Pow", 7, 11, one_dtype },
    { "QuantizeLinear", 7, 20, only_8_bits },
    { "ReduceL1", 7, 17, axes_to_attr },
    { "ReduceL2", 7, 17, axes_to_attr },
    { "ReduceLogSum", 7, 17, axes_to_attr },
    { "ReduceLogSumExp", 7, 17, axes_to_attr },
    { "ReduceMax", 7, 17, axes_to_attr },
    { "ReduceMean", 7, 17, axes_to_attr },
    { "ReduceMin", 7, 17, axes_to_attr },
    { "ReduceProd", 7, 17, axes_to_attr },
    { "ReduceSum", 7, 12, axes_to_attr },
    { "ReduceSumSquare", 7, 17, axes_to_attr },
    { "Resize", 7, 10, resize_to_10 },
    { "Softmax", 7, 12, softmax_to_12 },
    { "Split", 7, 17, split_equally },
    { "Split", 18, TQ_ONNX_MAX_OPSET, split_count },
    { "Split", 7, 12, split_to_attr },
    { "Split", 7, 10, positive_axis },
    { "Squeeze", 7, 12, axes_to_attr },
    { "Unsqueeze", 7, 12, unsqueeze_axes_to_attr },
};

tq_status tq_onnx_downgrade(tq_draft *draft)
{
    return *draft->domain ? TQ_OK : tq_draft_apply(draft, rules, TQ_COUNT(rules));
}
