/* Arrays of an .npz (or one .npy): data points are the rows of `inputs`, or of the first array;
 * `labels`, if there, are integers [n]. Any other array can serve as target. */
#include "data/data_internal.h"

#include <string.h>

typedef struct npz_state {
    tq_npz npz;
    const tq_tensor *inputs, *labels;
    int64_t row_size; /* bytes of one data point */
} npz_state;

static tq_status take_inputs(npz_state *state, tq_dataset *dataset)
{
    state->inputs = tq_npz_find(&state->npz, "inputs");
    if (!state->inputs && state->npz.n)
        state->inputs = &state->npz.tensors[0];
    if (!state->inputs)
        return tq_fail(TQ_ERR_FORMAT, "no arrays in it");
    const tq_type *type = &state->inputs->type;
    if (type->rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "the inputs are a single number, expected [n, ...]");
    dataset->n = type->dims[0];
    state->row_size = tq_type_count_from(type, 1) * (int64_t)tq_dtype_size(type->dtype);
    if (state->row_size == 0)
        return tq_fail(TQ_ERR_SHAPE, "the inputs are %s: a data point has no elements",
                       tq_type_text(type).s);
    return TQ_OK;
}

static tq_status take_labels(npz_state *state, tq_dataset *dataset)
{
    state->labels = tq_npz_find(&state->npz, "labels");
    if (!state->labels)
        return TQ_OK;
    const tq_type *type = &state->labels->type;
    if (!tq_dtype_is_integer(type->dtype) || tq_type_count(type) != dataset->n)
        return tq_fail(TQ_ERR_SHAPE, "'labels' are %s, expected %lld integers",
                       tq_type_text(type).s, (long long)dataset->n);
    for (int64_t i = 0; i < dataset->n; i++) {
        const int64_t label = tq_load_i64(state->labels->data, type->dtype, i);
        if (label < -1 || label > INT32_MAX)
            return tq_fail(TQ_ERR_VALUE,
                           "label %lld of data point %lld; expected 0 or more (-1: none)",
                           (long long)label, (long long)i);
        if (label >= dataset->n_classes)
            dataset->n_classes = label + 1;
    }
    return TQ_OK;
}

static tq_status open_npz(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    (void)partition; /* an .npz is not divided */
    npz_state *state = dataset->state = TQ_NEW(dataset->arena, npz_state);
    TQ_TRY(tq_npz_load(argument, &state->npz));
    TQ_TRY(take_inputs(state, dataset));
    return take_labels(state, dataset);
}

static tq_status read_npz(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const npz_state *state = dataset->state;
    const tq_type *type = &state->inputs->type;
    const tq_type row = tq_type_make(type->dtype, type->rank - 1, type->dims + 1);
    if (state->labels)
        out_sample->label = tq_load_i64(state->labels->data, state->labels->type.dtype, i);
    return tq_tensor_init_from(&out_sample->data, &row,
                               (const char *)state->inputs->data + i * state->row_size);
}

static tq_status find_array(const tq_dataset *dataset, const char *name,
                            const tq_tensor **out_array)
{
    const npz_state *state = dataset->state;
    const tq_tensor *array = tq_npz_find(&state->npz, name);
    if (!array)
        return tq_fail(TQ_ERR_NOT_FOUND, "'%s' has no array '%s'", dataset->spec, name);
    if (array->type.rank < 1 || array->type.dims[0] != dataset->n)
        return tq_fail(TQ_ERR_SHAPE, "array '%s' of '%s' is %s, expected [%lld, ...]", name,
                       dataset->spec, tq_type_text(&array->type).s, (long long)dataset->n);
    *out_array = array;
    return TQ_OK;
}

static void close_npz(tq_dataset *dataset)
{
    npz_state *state = dataset->state;
    if (state)
        tq_npz_reset(&state->npz);
}

const tq_dataset_driver tq_dataset_npz = {
    .entry = { .name = "npz",
               .brief = "arrays: 'inputs' (or the first one) and optional integer 'labels'" },
    .open = open_npz,
    .read = read_npz,
    .close = close_npz,
    .array = find_array,
};
