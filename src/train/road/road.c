/* The whole road in one call. Every stage is written before the next begins, so that what a run
 * reached can be looked at; predictions of neighbouring stages are compared. */
#include "train/road/road_internal.h"

#include <truq/onnx.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct road {
    const tq_road_options *options;
    tq_road_result *result;
    tq_arena *arena;
    tq_graph *graph;
    int64_t *predictions; /* of the last stage that was judged */
    int64_t n;
} road;

static void say(const road *r, const char *format, ...) TQ_PRINTF(2, 3);
static void say(const road *r, const char *format, ...)
{
    if (!r->options->log)
        return;
    va_list args;
    va_start(args, format);
    r->options->log(r->options->context, tq_arena_vprintf(r->arena, format, args));
    va_end(args);
}

static const char *path_of(const road *r, const char *file)
{
    return tq_arena_printf(r->arena, "%s/%s", r->options->folder, file);
}

static tq_status save(road *r, const char *file)
{
    if (r->options->preset_name)
        tq_graph_set_meta(r->graph, "preset", r->options->preset_name);
    TQ_TRY(tq_onnx_export(r->graph, path_of(r, file), 0));
    say(r, "wrote %s", path_of(r, file));
    return TQ_OK;
}

/* ---- judging ---- */

static double agreement(const road *r, const tq_eval_result *now)
{
    int64_t n_equal = 0;
    if (!r->predictions || r->n != now->n || now->n == 0)
        return (double)NAN;
    for (int64_t i = 0; i < now->n; i++)
        n_equal += r->predictions[i] == now->predictions[i];
    return 100.0 * (double)n_equal / (double)now->n;
}

static tq_status judge(road *r, const char *name, const char *file)
{
    const tq_road_options *o = r->options;
    const tq_eval_options options = { .registry = o->registry,
                                      .data = o->test ? o->test : o->data,
                                      .preset = o->preset,
                                      .loss = o->loss,
                                      .target = o->target,
                                      .batch = o->batch > 0 ? o->batch : 32,
                                      .limit = o->limit,
                                      .n_threads = o->n_threads,
                                      .progress = o->progress,
                                      .context = o->context };
    tq_road_stage *stage = &r->result->stages[r->result->n_stages];
    TQ_TRY(tq_wrap(tq_evaluate(r->graph, &options, &stage->result), "judging %s", name));
    struct stat info = { 0 };
    if (stat(path_of(r, file), &info) == 0)
        stage->bytes = info.st_size;
    stage->name = name;
    stage->file = file;
    stage->agreement = agreement(r, &stage->result);
    free(r->predictions);
    free(stage->result.labels);
    r->predictions = stage->result.predictions;
    r->n = stage->result.n;
    stage->result.predictions = stage->result.labels = NULL;
    r->result->n_stages++;
    return TQ_OK;
}

/* ---- the steps ---- */

static tq_status fake(road *r)
{
    const tq_road_options *o = r->options;
    TQ_TRY(tq_wrap(tq_f2f_run(&r->graph, o->recipe, NULL, &r->result->n_quantizers), "f2f"));
    say(r, "f2f: %d quantisers by recipe %s", r->result->n_quantizers, o->recipe->entry.name);
    TQ_TRY(save(r, "fake.onnx"));
    const tq_calibrate_options calibration = { .registry = o->registry,
                                               .data = o->data,
                                               .preset = o->preset,
                                               .batch = o->batch,
                                               .n_batches = o->calibration_batches,
                                               .n_threads = o->n_threads,
                                               .progress = o->progress,
                                               .context = o->context };
    TQ_TRY(tq_calibrate(r->graph, &calibration));
    TQ_TRY(save(r, "calibrated.onnx"));
    return o->epochs > 0 ? TQ_OK : judge(r, "FQ", "calibrated.onnx");
}

static tq_status train(road *r)
{
    const tq_road_options *o = r->options;
    if (o->epochs <= 0)
        return TQ_OK;
    const bool labelled = o->data->n_classes > 0;
    const tq_train_options options = {
        .registry = o->registry,
        .train = o->data,
        .preset = o->preset,
        .loss = o->loss || o->target || labelled ? o->loss : "mse",
        .target = o->target,
        .optimizer = o->optimizer           ? o->optimizer
                     : o->recipe->optimizer ? o->recipe->optimizer
                                            : "pactsgd",
        .params = { .lr = o->lr > 0.0 ? o->lr : o->recipe->lr,
                    .momentum = -1.0,
                    .weight_decay = -1.0,
                    .pact_decay = -1.0 },
        .schedule = o->schedule ? o->schedule : "cosine",
        .epochs = o->epochs,
        .controllers = o->recipe->controllers,
        .batch = o->batch > 0 ? o->batch : 64,
        .seed = o->seed,
        .n_threads = o->n_threads,
        .run_folder = path_of(r, "run"),
        .command_line = o->command_line,
        .progress = o->progress,
        .context = o->context,
    };
    tq_train_result result;
    TQ_TRY(tq_train_run(&r->graph, &options, &result));
    TQ_TRY(save(r, "trained.onnx"));
    return judge(r, "FQ", "trained.onnx");
}

static tq_status make_true(road *r)
{
    const tq_road_options *o = r->options;
    const tq_f2t_options options = { .backend = o->backend, .shift = -1 };
    TQ_TRY(tq_wrap(tq_f2t_run(&r->graph, &options, NULL), "f2t"));
    r->result->n_true_nodes = tq_graph_n_nodes(r->graph);
    say(r, "f2t: %d integer nodes, proven not to overflow", r->result->n_true_nodes);
    TQ_TRY(save(r, "true.onnx"));
    return judge(r, "TQ", "true.onnx");
}

/** The backend's own files, with the first data point as the sample. */
static tq_status export_files(road *r)
{
    const tq_road_options *o = r->options;
    const char *name = o->backend ? o->backend : "generic";
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(o->registry, TQ_KIND_BACKEND, name, &entry));
    if (!((const tq_backend *)(const void *)entry)->export_files)
        return TQ_OK;
    tq_sample sample = { 0 };
    tq_tensor codes = { 0 };
    tq_status status = tq_dataset_read(o->test ? o->test : o->data, 0, &sample);
    if (!status)
        status = tq_sample_codes(r->graph, o->preset, &sample, &codes);
    if (!status)
        status = tq_export_run(r->graph, name, &codes, path_of(r, name), o->log, o->context);
    tq_tensor_reset(&codes);
    tq_tensor_reset(&sample.data);
    r->result->exported = !status;
    return tq_wrap(status, "export");
}

static tq_status walk(void *context)
{
    road *r = context;
    TQ_TRY(tq_folder_create(r->options->folder));
    TQ_TRY(save(r, "float.onnx"));
    TQ_TRY(judge(r, "FP", "float.onnx"));
    TQ_TRY(fake(r));
    TQ_TRY(train(r));
    TQ_TRY(make_true(r));
    TQ_TRY(export_files(r));
    const char *manifest = path_of(r, "manifest.json");
    TQ_TRY(tq_road_manifest_save(manifest, r->options, r->result));
    say(r, "wrote %s", manifest);
    return TQ_OK;
}

tq_status tq_road_run(const tq_graph *model, const tq_road_options *options,
                      tq_road_result *out_result)
{
    *out_result = (tq_road_result){ 0 };
    road r = { .options = options,
               .result = out_result,
               .arena = tq_arena_create(),
               .graph = tq_graph_clone(model) };
    const tq_status status = tq_guard(walk, &r);
    free(r.predictions);
    tq_graph_destroy(r.graph);
    tq_arena_destroy(r.arena);
    return status;
}
