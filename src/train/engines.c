/* Engines for the batches of a loop: one for full batches, one for the rest at the end. */
#include "train/train_internal.h"

#include <truq/edit.h>

static bool same_types(const tq_type *a, const tq_type *b, int n)
{
    bool same = true;
    for (int i = 0; i < n; i++)
        same = same && tq_type_equal(&a[i], &b[i]);
    return same;
}

/** The graph for these batches. */
static tq_status graph_for(tq_engines *engines, int64_t batch, const tq_graph **out_graph)
{
    const tq_type *type = tq_value_type(tq_graph_input(engines->graph, 0));
    *out_graph = engines->graph;
    if (type->rank < 1 || type->dims[0] == TQ_DIM_ANY || type->dims[0] == batch)
        return TQ_OK;
    if (!engines->opened)
        engines->opened = tq_graph_clone(engines->graph);
    *out_graph = engines->opened;
    return tq_graph_open_batch(engines->opened, batch);
}

tq_status tq_engines_get(tq_engines *engines, const tq_type *types, tq_engine **out_engine)
{
    TQ_ASSERT(engines->n_inputs <= TQ_COUNT(engines->slots[0].types));
    int s = 0;
    while (s < 2 && engines->slots[s].engine &&
           !same_types(engines->slots[s].types, types, engines->n_inputs))
        s++;
    if (s == 2) {
        s = 1;
        tq_engine_destroy(engines->slots[s].engine);
        engines->slots[s].engine = NULL;
    }
    *out_engine = engines->slots[s].engine;
    if (*out_engine)
        return TQ_OK;
    const tq_engine_options options = { .pool = engines->pool, .n_shards = engines->n_shards };
    const tq_graph *graph;
    TQ_TRY(graph_for(engines, types[0].rank > 0 ? types[0].dims[0] : 0, &graph));
    TQ_TRY(tq_engine_create(graph, types, engines->n_inputs, &options, out_engine));
    engines->slots[s].engine = *out_engine;
    for (int i = 0; i < engines->n_inputs; i++)
        engines->slots[s].types[i] = types[i];
    return TQ_OK;
}

void tq_engines_reset(tq_engines *engines)
{
    for (int s = 0; s < 2; s++)
        tq_engine_destroy(engines->slots[s].engine);
    tq_graph_destroy(engines->opened);
    *engines = (tq_engines){ 0 };
}

tq_status tq_output_type(const tq_graph *graph, const tq_type *input, tq_type *out_type)
{
    tq_graph *clone = tq_graph_clone(graph);
    tq_status status = input->rank > 0 ? tq_graph_open_batch(clone, input->dims[0]) : TQ_OK;
    if (!status)
        status = tq_graph_infer_for(clone, input, 1);
    if (!status)
        *out_type = *tq_value_type(tq_graph_output(clone, 0));
    tq_graph_destroy(clone);
    return status;
}

int64_t tq_batch_for(const tq_graph *graph, int64_t wanted)
{
    tq_type type = *tq_value_type(tq_graph_input(graph, 0)), output;
    if (type.rank < 1 || type.dims[0] == TQ_DIM_ANY || type.dims[0] == wanted)
        return wanted;
    const int64_t written = type.dims[0];
    type.dims[0] = wanted;
    const tq_status status = tq_output_type(graph, &type, &output);
    const bool works = !status && output.rank > 0 && output.dims[0] == wanted;
    tq_status_drop(status);
    return works ? wanted : written;
}

tq_status tq_loader_options_for(const tq_graph *graph, tq_loader_options *options)
{
    if (tq_graph_n_inputs(graph) != 1 || tq_graph_n_outputs(graph) < 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "the network has %d inputs and %d outputs; a loop over data needs one input "
                       "and an output",
                       tq_graph_n_inputs(graph), tq_graph_n_outputs(graph));
    const tq_value *input = tq_graph_input(graph, 0);
    const tq_type *type = tq_value_type(input);
    if (type->rank < 1)
        return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; its first axis must be the batch",
                       tq_value_name(input), tq_type_text(type).s);
    options->sample_type = tq_type_make(TQ_F32, type->rank - 1, type->dims + 1);
    if (type->rank == 4) {
        options->height = type->dims[2] > 0 ? type->dims[2] : 0;
        options->width = type->dims[3] > 0 ? type->dims[3] : 0;
    }
    return TQ_OK;
}
