/* Evaluation: a network of any stage over a dataset, in order.
 *
 * The loss is the registered one, appended to a small graph of its own whose inputs are the outputs
 * (of a true network: dequantised ones) and the targets. Classes are compared on the outputs as
 * they are, since all outputs of a network share one scale. */
#include "train/train_internal.h"

#include <truq/onnx.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct evaluation {
    const tq_graph *graph;
    const tq_eval_options *options;
    const char *phase;
    int64_t epoch, n_epochs;
    tq_eval_result *result;
    tq_pool *pool;
    tq_loader *loader;
    tq_engines engines, loss_engines;
    const tq_loss *loss; /* NULL: none */
    tq_targets targets;
    tq_graph *loss_graph;
    tq_clock clock;
    int64_t room, n_top1, n_top5;
    double loss_sum;
} evaluation;

/* ---- what to measure ------------------------------------------------------------------------- */

/** Without a word from the user: cross-entropy where the labels fit the outputs, else the error
 *  against the input where the output has its shape, else nothing (predictions only). */
static void choose_loss(const evaluation *e, const tq_type *output, const tq_type *input,
                        const char **out_loss, const char **out_target)
{
    const tq_eval_options *o = e->options;
    *out_loss = o->loss;
    *out_target = o->target;
    if (o->loss)
        return;
    const int64_t n_classes = o->data->n_classes;
    const bool same = tq_type_count_from(output, 1) == tq_type_count_from(input, 1);
    if (o->target ? !strcmp(o->target, "labels")
                  : n_classes > 0 && n_classes <= tq_n_classes(output))
        *out_loss = "cross-entropy";
    else if (o->target || same)
        *out_loss = "mse";
}

static tq_status open_loss(evaluation *e, const tq_type *output, const tq_type *input)
{
    const char *name, *target;
    choose_loss(e, output, input, &name, &target);
    if (!name)
        return TQ_OK;
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(e->options->registry, TQ_KIND_LOSS, name, &entry));
    const tq_loss *loss = (const tq_loss *)entry;
    TQ_TRY(tq_targets_open(e->options->data, target, loss->wants_labels, &e->targets));
    e->loss_graph = tq_graph_create(e->options->registry);
    tq_type type = *output;
    type.dtype = TQ_F32;
    type.dims[0] = TQ_DIM_ANY;
    const tq_type label_type = tq_type_make(TQ_I64, 1, (int64_t[]){ TQ_DIM_ANY });
    tq_value *value, *wanted, *mean;
    TQ_TRY(tq_graph_add_input(e->loss_graph, "output", &type, &value));
    TQ_TRY(tq_graph_add_input(e->loss_graph, "target", loss->wants_labels ? &label_type : &type,
                              &wanted));
    TQ_TRY(loss->append(e->loss_graph, value, wanted, 0.0, &mean));
    tq_graph_add_output(e->loss_graph, mean);
    e->loss = loss;
    e->loss_engines = (tq_engines){ .graph = e->loss_graph, .n_inputs = 2 };
    return TQ_OK;
}

/* ---- one batch ------------------------------------------------------------------------------- */

/** The output in real units: scale * (code - zero_point). */
static tq_status dequantize(const evaluation *e, const tq_tensor *output, tq_tensor *out_real)
{
    *out_real = (tq_tensor){ .type = output->type, .data = output->data };
    if (output->type.dtype == TQ_F32)
        return TQ_OK;
    const tq_value *value = tq_graph_output(e->graph, 0);
    double scale = 1.0;
    int64_t zero_point = 0;
    tq_value_meta_f64(value, "quant.scale", &scale);
    tq_value_meta_i64(value, "quant.zero_point", &zero_point);
    tq_type type = output->type;
    type.dtype = TQ_F32;
    TQ_TRY(tq_tensor_init(out_real, &type));
    float *real = out_real->data;
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        real[i] = (float)(scale *
                          (tq_load_f64(output->data, output->type.dtype, i) - (double)zero_point));
    return TQ_OK;
}

static tq_status add_loss(evaluation *e, const tq_tensor *output, const tq_tensor *target,
                          int64_t n)
{
    tq_tensor real;
    TQ_TRY(dequantize(e, output, &real));
    tq_engine *engine;
    tq_status status =
        tq_engines_get(&e->loss_engines, (const tq_type[]){ real.type, target->type }, &engine);
    if (!status)
        status = tq_engine_run(engine, (const tq_tensor[]){ real, *target }, 2, 0);
    if (!status)
        e->loss_sum += (double)*(const float *)tq_engine_output(engine, 0)->data * (double)n;
    tq_tensor_reset(&real);
    return status;
}

static tq_status score(evaluation *e, const tq_batch *batch, const tq_tensor *output)
{
    tq_eval_result *r = e->result;
    if (output->type.rank < 1 || output->type.dims[0] != batch->n)
        return tq_fail(TQ_ERR_SHAPE, "output '%s' is %s for a batch of %lld",
                       tq_value_name(tq_graph_output(e->graph, 0)), tq_type_text(&output->type).s,
                       (long long)batch->n);
    if (r->n + batch->n > e->room)
        return tq_fail(TQ_ERR_CHECK, "the data has more points than it said");
    tq_tensor target = { 0 };
    if (e->loss)
        TQ_TRY(tq_targets_get(&e->targets, batch, &output->type, &target));
    const int64_t *labels = e->targets.as_labels ? target.data : NULL;
    for (int64_t i = 0; i < batch->n; i++) {
        r->predictions[r->n + i] = tq_argmax(output, i);
        r->labels[r->n + i] = labels ? labels[i] : batch->labels[i];
        if (labels) {
            e->n_top1 += r->predictions[r->n + i] == labels[i];
            e->n_top5 += tq_rank_of(output, i, labels[i]) < 5;
        }
    }
    r->n += batch->n;
    return e->loss ? add_loss(e, output, &target, batch->n) : TQ_OK;
}

static tq_status run_batch(evaluation *e, const tq_batch *batch)
{
    tq_tensor input;
    TQ_TRY(tq_feed(e->graph, 0, &batch->input, &input));
    tq_engine *engine;
    tq_status status = tq_engines_get(&e->engines, &input.type, &engine);
    if (!status)
        status = tq_engine_run(engine, &input, 1, 0);
    tq_tensor_reset(&input);
    TQ_TRY(status);
    const tq_tensor *output = tq_engine_output(engine, 0);
    if (e->result->n == 0)
        TQ_TRY(open_loss(e, &output->type, &batch->input.type));
    return score(e, batch, output);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void summarise(evaluation *e)
{
    tq_eval_result *r = e->result;
    const double n = (double)r->n;
    const bool labelled = e->loss && e->targets.as_labels;
    r->top1 = labelled && r->n ? 100.0 * (double)e->n_top1 / n : (double)NAN;
    r->top5 = labelled && r->n ? 100.0 * (double)e->n_top5 / n : (double)NAN;
    r->loss = e->loss && r->n ? e->loss_sum / n : (double)NAN;
    r->seconds = tq_now() - e->clock.start;
    r->images_per_s = tq_clock_rate(&e->clock);
}

static void report(evaluation *e, int64_t batch, int64_t n_batches)
{
    if (!e->options->progress)
        return;
    summarise(e);
    const tq_progress progress = { .phase = e->phase,
                                   .epoch = e->epoch,
                                   .n_epochs = e->n_epochs,
                                   .batch = batch,
                                   .n_batches = n_batches,
                                   .n_images = e->result->n,
                                   .loss = e->result->loss,
                                   .top1 = e->result->top1,
                                   .lr = (double)NAN,
                                   .images_per_s = e->result->images_per_s,
                                   .eta_s = tq_clock_eta(&e->clock, n_batches - batch) };
    e->options->progress(e->options->context, &progress);
}

static tq_status save_csv(const tq_eval_result *r, const char *path)
{
    enum { LINE = 64 };
    char *text = malloc(((size_t)r->n + 1) * LINE);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "no memory to save '%s'", path);
    size_t size = (size_t)snprintf(text, LINE, "id,label,prediction\n");
    for (int64_t i = 0; i < r->n; i++)
        size += (size_t)snprintf(text + size, LINE, "%lld,%lld,%lld\n", (long long)i,
                                 (long long)r->labels[i], (long long)r->predictions[i]);
    const tq_status status = tq_file_write(path, text, size);
    free(text);
    return status;
}

static tq_status prepare(evaluation *e)
{
    const tq_eval_options *o = e->options;
    TQ_TRY(tq_check_observed(e->graph));
    tq_loader_options loader = { .preset = o->preset, .limit = o->limit };
    TQ_TRY(tq_loader_options_for(e->graph, &loader));
    loader.batch = tq_batch_for(e->graph, o->batch > 0 ? o->batch : 64);
    TQ_TRY(tq_pool_create(o->n_threads, &e->pool));
    loader.n_workers = tq_pool_size(e->pool);
    TQ_TRY(tq_loader_create(o->registry, o->data, &loader, &e->loader));
    e->engines = (tq_engines){ .graph = e->graph, .pool = e->pool, .n_inputs = 1 };
    e->room = o->limit > 0 && o->limit < o->data->n ? o->limit : o->data->n;
    e->result->predictions = calloc((size_t)e->room + 1, sizeof(int64_t));
    e->result->labels = calloc((size_t)e->room + 1, sizeof(int64_t));
    if (!e->result->predictions || !e->result->labels)
        return tq_fail(TQ_ERR_MEMORY, "no memory for %lld predictions", (long long)e->room);
    return TQ_OK;
}

static tq_status evaluate(void *context)
{
    evaluation *e = context;
    TQ_TRY(prepare(e));
    const int64_t n_batches = tq_loader_n_batches(e->loader);
    tq_clock_start(&e->clock);
    TQ_TRY(tq_loader_start(e->loader, 0, 0));
    for (int64_t b = 1;; b++) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(e->loader, &batch));
        if (batch.n == 0)
            break;
        TQ_TRY(run_batch(e, &batch));
        tq_clock_tick(&e->clock, batch.n);
        report(e, b, n_batches);
    }
    summarise(e);
    if (e->result->n == 0)
        return tq_fail(TQ_ERR_VALUE, "'%s' has no data points", e->options->data->spec);
    return e->options->save ? save_csv(e->result, e->options->save) : TQ_OK;
}

tq_status tq_evaluate_phase(const tq_graph *graph, const tq_eval_options *options,
                            const char *phase, int64_t epoch, int64_t n_epochs,
                            tq_eval_result *out_result)
{
    *out_result = (tq_eval_result){ 0 };
    evaluation e = { .graph = graph,
                     .options = options,
                     .phase = phase,
                     .epoch = epoch,
                     .n_epochs = n_epochs,
                     .result = out_result };
    const tq_status status = tq_guard(evaluate, &e);
    tq_engines_reset(&e.engines);
    tq_engines_reset(&e.loss_engines);
    tq_loader_destroy(e.loader);
    tq_pool_destroy(e.pool);
    tq_targets_close(&e.targets);
    tq_graph_destroy(e.loss_graph);
    if (status) {
        free(out_result->predictions);
        free(out_result->labels);
        *out_result = (tq_eval_result){ 0 };
    }
    return status;
}

tq_status tq_evaluate(const tq_graph *graph, const tq_eval_options *options,
                      tq_eval_result *out_result)
{
    return tq_evaluate_phase(graph, options, "eval", 0, 0, out_result);
}
