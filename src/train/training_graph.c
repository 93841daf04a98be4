/* The training graph of one batch size: a clone of the network, brought into training mode by the
 * pipeline pre-grad, with the loss and the gradients behind it.
 *
 *   inputs   the network's input, the target
 *   outputs  loss, output 0, one gradient per parameter, one new value per running statistic
 *
 * Clones share the data of constants, so every training graph, and the caller's, sees an update as
 * soon as it is written. */
#include "train/train_internal.h"

#include <truq/edit.h>

#include <string.h>

static tq_status run_editors(tq_graph **graph, const tq_training_options *options)
{
    tq_edit edit = options->edit ? *options->edit : (tq_edit){ 0 };
    edit.registry = options->registry;
    if (options->quiet) {
        edit.log = NULL;
        edit.dump = NULL;
    }
    tq_graph_set_meta(*graph, "train.bn", options->bn_train ? "train" : "freeze");
    return tq_pipeline_run(options->registry, "pre-grad", graph, &edit);
}

static tq_status append_loss(tq_training *t, const tq_training_options *options,
                             tq_value **out_loss)
{
    tq_value *output = tq_graph_output(t->graph, 0), *target;
    const tq_type *type = tq_value_type(output);
    if (type->dtype != TQ_F32 || type->rank < 1 || type->dims[0] != t->types[0].dims[0])
        return tq_fail(TQ_ERR_SHAPE, "output '%s' is %s for a batch of %lld; cannot train on that",
                       tq_value_name(output), tq_type_text(type).s, (long long)t->types[0].dims[0]);
    t->types[1] = options->loss->wants_labels ? tq_type_make(TQ_I64, 1, type->dims) : *type;
    TQ_TRY(tq_graph_add_input(t->graph, "train.target", &t->types[1], &target));
    return options->loss->append(t->graph, output, target, options->label_smoothing, out_loss);
}

/** Gradients become outputs; parameters without one are taken out. */
static tq_status append_gradients(tq_training *t, tq_value *loss, tq_parameters *parameters)
{
    const int n = parameters->n;
    tq_value **wrt = TQ_NEW_N(parameters->arena, tq_value *, n + 1);
    tq_value **grads = TQ_NEW_N(parameters->arena, tq_value *, n + 1);
    for (int i = 0; i < n; i++) {
        wrt[i] = tq_graph_find_value(t->graph, parameters->items[i].name);
        if (!wrt[i] || !tq_value_is_const(wrt[i]))
            return tq_fail(TQ_ERR_CHECK, "an editor took away the parameter '%s'",
                           parameters->items[i].name);
    }
    TQ_TRY(tq_autodiff(t->graph, loss, wrt, n, grads));
    parameters->n = 0;
    for (int i = 0; i < n; i++)
        if (grads[i]) {
            tq_graph_add_output(t->graph, grads[i]);
            parameters->items[parameters->n++] = parameters->items[i];
        }
    return parameters->n ? TQ_OK
                         : tq_fail(TQ_ERR_STATE, "the network has nothing that can be trained");
}

/** The statistic of that name; -1: there is none. */
static int find_statistic(const tq_parameters *parameters, const char *name)
{
    int i = parameters->n_statistics - 1;
    while (i >= 0 && strcmp(parameters->statistics[i].name, name) != 0)
        i--;
    return i;
}

/** Values with metadata "train.updates" become outputs. The first graph, in which all statistics
 *  move that ever will, says which there are. */
static tq_status append_statistics(tq_training *t, tq_parameters *parameters)
{
    const bool first = !parameters->statistics;
    size_t capacity = 0, indices_capacity = 0;
    for (int i = 0; i < tq_graph_n_values(t->graph); i++) {
        tq_value *value = tq_graph_value(t->graph, i);
        const char *name = tq_value_meta(value, "train.updates");
        const tq_value *constant = name ? tq_graph_find_value(t->graph, name) : NULL;
        const tq_tensor *tensor = constant ? tq_value_tensor(constant) : NULL;
        if (!tensor)
            continue;
        tq_graph_add_output(t->graph, value);
        const tq_statistic statistic = { tq_arena_strdup(parameters->arena, name),
                                         tq_tensor_count(tensor), tensor->data };
        if (first)
            TQ_PUSH(parameters->arena, parameters->statistics, parameters->n_statistics, capacity,
                    statistic);
        const int index = find_statistic(parameters, name);
        TQ_ASSERT(index >= 0);
        TQ_PUSH(parameters->arena, t->statistics, t->n_statistics, indices_capacity, index);
    }
    return TQ_OK;
}

static tq_status build(tq_training *t, const tq_training_options *options,
                       tq_parameters *parameters)
{
    TQ_TRY(tq_graph_open_batch(t->graph, t->types[0].dims[0]));
    TQ_TRY(tq_graph_infer_for(t->graph, &t->types[0], 1));
    TQ_TRY(run_editors(&t->graph, options));
    tq_value *loss;
    TQ_TRY(append_loss(t, options, &loss));
    tq_value *output = tq_graph_output(t->graph, 0);
    while (tq_graph_n_outputs(t->graph) > 0)
        tq_graph_remove_output(t->graph, 0);
    tq_graph_add_output(t->graph, loss);
    tq_graph_add_output(t->graph, output);
    TQ_TRY(append_gradients(t, loss, parameters));
    TQ_TRY(append_statistics(t, parameters));
    tq_graph_sweep(t->graph);
    const int64_t batch = t->types[0].dims[0];
    t->share = TQ_NEW(parameters->arena, tq_share);
    tq_share_init(t->share, options->ranks, batch, options->n_shards > 0 ? options->n_shards : 16,
                  options->counts, parameters->arena);
    const tq_engine_options engine_options = { .pool = options->pool,
                                               .n_shards = t->share->n_shards,
                                               .exchange =
                                                   t->share->is_shared ? &t->share->exchange : NULL,
                                               .constants_change = true,
                                               .memory = options->memory,
                                               .bf16 = options->bf16,
                                               .profile = options->profile };
    return tq_engine_create(t->graph, t->types, 2, &engine_options, &t->engine);
}

tq_status tq_training_create(const tq_graph *graph, const tq_training_options *options,
                             const tq_type *input, tq_parameters *parameters,
                             tq_training *out_training)
{
    *out_training = (tq_training){ .graph = tq_graph_clone(graph), .types = { *input } };
    const tq_status status = build(out_training, options, parameters);
    if (status)
        tq_training_reset(out_training);
    return tq_wrap(status, "cannot build the training graph");
}

void tq_training_reset(tq_training *training)
{
    tq_engine_destroy(training->engine);
    tq_graph_destroy(training->graph);
    *training = (tq_training){ 0 };
}
