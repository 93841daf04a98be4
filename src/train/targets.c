/* Targets of a loss: labels of the dataset, the input itself, or an array of the dataset's .npz. */
#include "train/train_internal.h"

#include <string.h>

static tq_status open_array(const char *key, tq_targets *targets)
{
    TQ_TRY(tq_dataset_array(targets->dataset, key, &targets->array));
    const tq_type *type = &targets->array->type;
    if (targets->as_labels && (type->rank != 1 || !tq_dtype_is_integer(type->dtype)))
        return tq_fail(TQ_ERR_TYPE, "it is %s; labels are integers [N]", tq_type_text(type).s);
    return TQ_OK;
}

tq_status tq_targets_open(const tq_dataset *dataset, const char *text, bool wants_labels,
                          tq_targets *out_targets)
{
    *out_targets = (tq_targets){ .dataset = dataset, .as_labels = wants_labels };
    if (!text)
        text = wants_labels ? "labels" : "input";
    if (!strncmp(text, "npz:", 4))
        return tq_wrap(open_array(text + 4, out_targets), "target '%s'", text);
    out_targets->from_labels = !strcmp(text, "labels");
    out_targets->from_input = !strcmp(text, "input");
    if (!out_targets->from_labels && !out_targets->from_input)
        return tq_fail(TQ_ERR_VALUE, "unknown target '%s'; expected labels, input or npz:KEY",
                       text);
    if (out_targets->from_labels != wants_labels)
        return wants_labels
                   ? tq_fail(TQ_ERR_VALUE, "this loss needs labels; target is '%s'", text)
                   : tq_fail(TQ_ERR_VALUE,
                             "this loss needs arrays; take target input or npz:KEY, not labels");
    return TQ_OK;
}

void tq_targets_close(tq_targets *targets)
{
    tq_tensor_reset(&targets->buffer);
    *targets = (tq_targets){ 0 };
}

static tq_status get_labels(tq_targets *targets, const tq_batch *batch, int64_t n_classes)
{
    const tq_type type = tq_type_make(TQ_I64, 1, &batch->n);
    TQ_TRY(tq_tensor_init(&targets->buffer, &type));
    int64_t *labels = targets->buffer.data;
    for (int64_t i = 0; i < batch->n; i++) {
        const int64_t id = batch->ids[i];
        labels[i] = !targets->array ? batch->labels[i]
                    : id >= 0 && id < targets->dataset->n
                        ? tq_load_i64(targets->array->data, targets->array->type.dtype, id)
                        : -1;
        if (labels[i] < 0)
            return tq_fail(TQ_ERR_VALUE,
                           "data point %lld of '%s' has no label; take target input or npz:KEY",
                           (long long)id, targets->dataset->spec);
        if (labels[i] >= n_classes)
            return tq_fail(TQ_ERR_VALUE,
                           "data point %lld of '%s' has label %lld, the network has %lld outputs",
                           (long long)id, targets->dataset->spec, (long long)labels[i],
                           (long long)n_classes);
    }
    return TQ_OK;
}

/** Rows of the array, as f32. */
static tq_status get_rows(tq_targets *targets, const tq_batch *batch)
{
    const tq_tensor *array = targets->array;
    tq_type type = array->type;
    type.dtype = TQ_F32;
    type.dims[0] = batch->n;
    TQ_TRY(tq_tensor_init(&targets->buffer, &type));
    const int64_t n_inner = tq_type_count_from(&type, 1);
    float *rows = targets->buffer.data;
    for (int64_t i = 0; i < batch->n; i++) {
        const int64_t id = batch->ids[i];
        if (id < 0 || id >= targets->dataset->n)
            return tq_fail(TQ_ERR_VALUE, "data point %lld has no target", (long long)id);
        for (int64_t k = 0; k < n_inner; k++)
            rows[i * n_inner + k] =
                (float)tq_load_f64(array->data, array->type.dtype, id * n_inner + k);
    }
    return TQ_OK;
}

tq_status tq_targets_get(tq_targets *targets, const tq_batch *batch, const tq_type *output,
                         tq_tensor *out_target)
{
    tq_tensor_reset(&targets->buffer);
    targets->buffer = (tq_tensor){ 0 };
    if (targets->as_labels)
        TQ_TRY(get_labels(targets, batch, tq_n_classes(output)));
    else if (targets->array)
        TQ_TRY(get_rows(targets, batch));
    *out_target = targets->from_input ? batch->input : targets->buffer;
    out_target->buffer = NULL;
    if (!targets->as_labels && tq_tensor_count(out_target) != tq_type_count(output))
        return tq_fail(TQ_ERR_SHAPE, "the target is %s, the network's output is %s",
                       tq_type_text(&out_target->type).s, tq_type_text(output).s);
    if (!targets->as_labels) {
        out_target->type = *output;
        out_target->type.dtype = TQ_F32;
    }
    return TQ_OK;
}
