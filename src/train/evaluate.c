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

/** What a batch scored. */
typedef struct tally {
    int64_t n, n_top1, n_top5;
    double loss; /* mean */
} tally;

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
    int64_t room, batch, n_batches;
    tally *tallies;      /* [n_batches] */
    int64_t first, last; /* batches of this rank, last excluded */
    int64_t n_summed;    /* up to that batch they are in `sum`, whose loss is not divided */
    tally sum;
    bool is_shared;
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

static tq_status find_loss(evaluation *e, const tq_tensor *output, const tq_tensor *target,
                           double *out_loss)
{
    tq_tensor real;
    TQ_TRY(dequantize(e, output, &real));
    tq_engine *engine;
    tq_status status =
        tq_engines_get(&e->loss_engines, (const tq_type[]){ real.type, target->type }, &engine);
    if (!status)
        status = tq_engine_run(engine, (const tq_tensor[]){ real, *target }, 2, 0);
    if (!status)
        *out_loss = (double)*(const float *)tq_engine_output(engine, 0)->data;
    tq_tensor_reset(&real);
    return status;
}

/** at: of the batch's first data point, among all. */
static tq_status score(evaluation *e, const tq_batch *batch, int64_t at, const tq_tensor *output,
                       tally *out)
{
    tq_eval_result *r = e->result;
    if (output->type.rank < 1 || output->type.dims[0] != batch->n)
        return tq_fail(TQ_ERR_SHAPE, "output '%s' is %s for a batch of %lld",
                       tq_value_name(tq_graph_output(e->graph, 0)), tq_type_text(&output->type).s,
                       (long long)batch->n);
    if (at + batch->n > e->room)
        return tq_fail(TQ_ERR_CHECK, "the data has more points than it said");
    tq_tensor target = { 0 };
    if (e->loss)
        TQ_TRY(tq_targets_get(&e->targets, batch, &output->type, &target));
    const int64_t *labels = e->targets.as_labels ? target.data : NULL;
    for (int64_t i = 0; i < batch->n; i++) {
        r->predictions[at + i] = tq_argmax(output, i);
        r->labels[at + i] = labels ? labels[i] : batch->labels[i];
        if (labels) {
            out->n_top1 += r->predictions[at + i] == labels[i];
            out->n_top5 += tq_rank_of(output, i, labels[i]) < 5;
        }
    }
    out->n = batch->n;
    return e->loss ? find_loss(e, output, &target, &out->loss) : TQ_OK;
}

static tq_status run_batch(evaluation *e, const tq_batch *batch, int64_t index, int64_t at)
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
    if (index == e->first)
        TQ_TRY(open_loss(e, &output->type, &batch->input.type));
    return score(e, batch, at, output, &e->tallies[index]);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/** Batches in their order, whoever ran them. */
static void summarise(evaluation *e, int64_t end)
{
    tq_eval_result *r = e->result;
    tally *sum = &e->sum;
    for (; e->n_summed < end; e->n_summed++) {
        const tally *t = &e->tallies[e->n_summed];
        sum->n += t->n;
        sum->n_top1 += t->n_top1;
        sum->n_top5 += t->n_top5;
        sum->loss += t->loss * (double)t->n;
    }
    const double n = (double)sum->n;
    const bool labelled = e->loss && e->targets.as_labels;
    r->n = sum->n;
    r->top1 = labelled && r->n ? 100.0 * (double)sum->n_top1 / n : (double)NAN;
    r->top5 = labelled && r->n ? 100.0 * (double)sum->n_top5 / n : (double)NAN;
    r->loss = e->loss && r->n ? sum->loss / n : (double)NAN;
    r->seconds = tq_now() - e->clock.start;
    r->images_per_s = tq_clock_rate(&e->clock);
}

static void report(evaluation *e, int64_t n_done)
{
    const int64_t n_batches = e->last - e->first;
    summarise(e, e->first + n_done);
    if (!e->options->progress)
        return;
    const tq_progress progress = { .phase = e->phase,
                                   .epoch = e->epoch,
                                   .n_epochs = e->n_epochs,
                                   .batch = n_done,
                                   .n_batches = n_batches,
                                   .n_images = e->result->n,
                                   .loss = e->result->loss,
                                   .top1 = e->result->top1,
                                   .lr = (double)NAN,
                                   .images_per_s = e->result->images_per_s,
                                   .eta_s = tq_clock_eta(&e->clock, n_batches - n_done) };
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
    e->batch = loader.batch < o->data->n ? loader.batch : o->data->n;
    e->n_batches = e->last = tq_loader_n_batches(e->loader);
    e->tallies = calloc((size_t)e->n_batches + 1, sizeof *e->tallies);
    e->is_shared = tq_ranks_count(o->ranks) > 1 && tq_ranks_count(o->ranks) <= e->n_batches;
    if (e->is_shared)
        tq_shard_range(e->n_batches, tq_ranks_count(o->ranks), tq_ranks_index(o->ranks), &e->first,
                       &e->last);
    e->room = o->limit > 0 && o->limit < o->data->n ? o->limit : o->data->n;
    e->result->predictions = calloc((size_t)e->room + 1, sizeof(int64_t));
    e->result->labels = calloc((size_t)e->room + 1, sizeof(int64_t));
    if (!e->tallies || !e->result->predictions || !e->result->labels)
        return tq_fail(TQ_ERR_MEMORY, "no memory for %lld predictions", (long long)e->room);
    return TQ_OK;
}

/** Every rank gets what the others found. */
static tq_status exchange(evaluation *e)
{
    tq_ranks *ranks = e->options->ranks;
    const int n = tq_ranks_count(ranks);
    int64_t *begins = calloc((size_t)n + 1, sizeof *begins), end;
    if (!begins)
        return tq_fail(TQ_ERR_MEMORY, "no memory for the scores of %d ranks", n);
    for (int i = 0; i < n; i++)
        tq_shard_range(e->n_batches, n, i, &begins[i], &end);
    begins[n] = e->n_batches;
    tq_status status = tq_ranks_gather_rows(ranks, e->tallies, sizeof *e->tallies, begins);
    for (int i = 0; i <= n; i++)
        begins[i] = begins[i] * e->batch < e->room ? begins[i] * e->batch : e->room;
    if (!status)
        status = tq_ranks_gather_rows(ranks, e->result->predictions, sizeof(int64_t), begins);
    if (!status)
        status = tq_ranks_gather_rows(ranks, e->result->labels, sizeof(int64_t), begins);
    free(begins);
    e->n_summed = 0;
    e->sum = (tally){ 0 };
    return status;
}

static tq_status run_batches(evaluation *e)
{
    e->n_summed = e->first;
    TQ_TRY(tq_loader_start(e->loader, 0, e->first));
    for (int64_t i = e->first; i < e->last; i++) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(e->loader, &batch));
        if (batch.n == 0)
            break;
        TQ_TRY(run_batch(e, &batch, i, i * e->batch));
        tq_clock_tick(&e->clock, batch.n);
        report(e, i + 1 - e->first);
    }
    return TQ_OK;
}

static tq_status evaluate(void *context)
{
    evaluation *e = context;
    TQ_TRY(prepare(e));
    tq_clock_start(&e->clock);
    TQ_TRY(run_batches(e));
    if (e->is_shared)
        TQ_TRY(exchange(e));
    summarise(e, e->n_batches);
    if (e->result->n == 0)
        return tq_fail(TQ_ERR_VALUE, "'%s' has no data points", e->options->data->spec);
    const bool saves = e->options->save && tq_ranks_index(e->options->ranks) == 0;
    return saves ? save_csv(e->result, e->options->save) : TQ_OK;
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
    free(e.tallies);
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
