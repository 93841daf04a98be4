/* A network that was exported for one batch, opened for others: the first axis of its inputs, and
 * targets of Reshape that begin with the batch. Whether a network means its first axis as a batch
 * shows when it is inferred for two others: each first axis of an output must follow. */
#include "rewrite/rewrite.h"

#include <truq/op.h>

enum { TARGET = 1, N_BATCHES = 2 };
static const int64_t batches[N_BATCHES] = { 2, 3 };

/** The batch that all inputs are fixed to; 0: none, or several. */
static int64_t fixed_batch(const tq_graph *graph)
{
    int64_t batch = 0;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        const tq_type *type = tq_value_type(tq_graph_input(graph, i));
        const int64_t size = type->rank > 0 ? type->dims[0] : 0;
        if (size < 1 || (batch > 0 && size != batch))
            return 0;
        batch = size;
    }
    return batch;
}

/** 0 in a target takes over the axis of the input. */
static tq_status open_target(tq_graph *graph, tq_node *node, int64_t batch)
{
    const tq_value *target = tq_node_input(node, TARGET);
    const tq_tensor *old = target ? tq_value_tensor(target) : NULL;
    const tq_type *x = tq_value_type(tq_node_input(node, 0));
    if (!tq_node_is(node, "Reshape") || !old || tq_tensor_count(old) < 1 || x->rank < 1 ||
        x->dims[0] != batch || tq_load_i64(old->data, old->type.dtype, 0) != batch ||
        tq_attr_int(tq_node_attrs(node), "allowzero"))
        return TQ_OK;
    tq_tensor tensor;
    tq_value *constant;
    TQ_TRY(tq_tensor_init_from(&tensor, &old->type, old->data));
    tq_store_i64(tensor.data, tensor.type.dtype, 0, 0);
    const tq_status status =
        tq_graph_add_constant(graph, tq_value_name(target), &tensor, &constant);
    tq_tensor_reset(&tensor);
    if (!status)
        tq_node_set_input(node, TARGET, constant);
    return status;
}

static tq_status open_inputs(tq_graph *graph, int64_t batch)
{
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        TQ_TRY(open_target(graph, node, batch));
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        tq_type type = *tq_value_type(tq_graph_input(graph, i));
        type.dims[0] = TQ_DIM_ANY;
        tq_value_set_type(tq_graph_input(graph, i), &type);
    }
    tq_graph_sweep(graph);
    return tq_graph_infer(graph);
}

/** Do the outputs of `graph`, inferred for `batch`, follow from those of `original`? */
static bool follows(const tq_graph *graph, int64_t batch, const tq_graph *original, int64_t fixed)
{
    for (int i = 0; i < tq_graph_n_outputs(original); i++) {
        const tq_type *y = tq_value_type(tq_graph_output(graph, i));
        tq_type expected = *tq_value_type(tq_graph_output(original, i));
        if (expected.rank < 1 || expected.dims[0] != fixed)
            return false;
        expected.dims[0] = batch;
        if (!tq_type_equal(y, &expected))
            return false;
    }
    return true;
}

static bool works(const tq_graph *opened, const tq_graph *original, int64_t fixed)
{
    bool all = true;
    for (int b = 0; b < N_BATCHES && all; b++) {
        tq_graph *trial = tq_graph_clone(opened);
        tq_type types[TQ_OP_MAX_NAMES];
        const int n = tq_graph_n_inputs(trial);
        for (int i = 0; i < n; i++) {
            types[i] = *tq_value_type(tq_graph_input(trial, i));
            types[i].dims[0] = batches[b];
        }
        const tq_status status = tq_graph_infer_for(trial, types, n);
        all = !status && follows(trial, batches[b], original, fixed);
        tq_status_drop(status);
        tq_graph_destroy(trial);
    }
    return all;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const int64_t batch = fixed_batch(graph);
    if (batch == 0 || tq_graph_n_inputs(graph) > TQ_OP_MAX_NAMES)
        return TQ_OK;
    tq_graph *opened = tq_graph_clone(graph);
    const tq_status status = open_inputs(opened, batch);
    const bool is_open = !status && works(opened, graph, batch);
    tq_graph_destroy(opened);
    tq_status_drop(status);
    if (!is_open)
        return TQ_OK;
    tq_edit_log(edit, "the batch of %lld is open", (long long)batch);
    return open_inputs(graph, batch);
}

const tq_editor tq_editor_free_batch = {
    .entry = { .name = "free-batch",
               .brief = "a network for one batch takes others, where its outputs follow" },
    .stage = TQ_EDIT_CANONICALISE,
    .by_name = true,
    .changes_interface = true,
    .run = run,
};
