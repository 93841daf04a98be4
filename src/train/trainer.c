/* The training loop.
 *
 * All arithmetic that reaches a parameter has a fixed order: engines cut the batch into a fixed
 * number of shards, updates are elementwise, sums of metrics run over batches in order. What the
 * loop knows is in tq_position, parameters and states, so a checkpoint continues to the same bits.
 */
#include "train/train_internal.h"

#include <truq/onnx.h>
#include <truq/rule.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct trainer {
    tq_graph *graph; /* the caller's */
    const tq_train_options *options;
    tq_arena *arena;
    tq_training_options building;
    bool bn_train; /* as asked; controllers freeze it */
    tq_plan plan;
    const char *settings;
    uint32_t model_crc;
    tq_pool *pool;
    tq_loader *loader;
    tq_targets targets;
    int64_t *labels; /* [batch]: of all ranks */
    tq_parameters parameters;
    tq_updater updater;
    tq_controls controls;
    tq_type full_type;      /* of a full batch of the network's input */
    tq_training full, rest; /* for full batches and for the last, smaller one */
    tq_position position;
    tq_clock clock;
    tq_exchange_counts counts;
    tq_train_result *result;
} trainer;

/* ---- one step -------------------------------------------------------------------------------- */

/** Batch norms that freeze, or thaw, make other training graphs. */
static void follow_norms(trainer *t)
{
    const bool bn_train = t->bn_train && !t->controls.freeze_norms;
    if (bn_train == t->building.bn_train)
        return;
    t->building.bn_train = bn_train;
    tq_training_reset(&t->full);
    tq_training_reset(&t->rest);
}

/** The training graph for this many data points, built when first needed. */
static tq_status training_for(trainer *t, const tq_type *input, const tq_training **out_training)
{
    follow_norms(t);
    tq_training *training = tq_type_equal(input, &t->full_type) ? &t->full : &t->rest;
    *out_training = training;
    if (training->engine && tq_type_equal(input, &training->types[0]))
        return TQ_OK;
    tq_training_reset(training);
    return tq_training_create(t->graph, &t->building, input, &t->parameters, training);
}

/** Numbers that no two steps share, for Dropout and stochastic rounding. */
static uint64_t seed_of(const trainer *t)
{
    tq_random random;
    tq_random_init(&random, t->options->seed, 0x7374657073u, (uint64_t)t->position.step);
    return tq_random_u64(&random);
}

static tq_status count(trainer *t, const tq_training *training, const tq_batch *batch,
                       const tq_tensor *target, double loss)
{
    tq_position *p = &t->position;
    const tq_tensor *output = tq_engine_output(training->engine, 1);
    int64_t begin, end;
    double n_correct = 0.0;
    tq_share_rows(training->share, &begin, &end);
    for (int64_t i = begin; t->targets.as_labels && i < end; i++)
        n_correct += tq_argmax(output, i) == ((const int64_t *)target->data)[i];
    TQ_TRY(tq_share_sum(training->share, &n_correct, 1));
    p->loss_sum += loss * (double)batch->n;
    p->n_images += batch->n;
    p->n_correct += (int64_t)n_correct;
    return TQ_OK;
}

/** Controllers see the gradients while they are there. */
static tq_status after_step(trainer *t, const tq_training *training, double loss)
{
    for (int i = 0; i < t->parameters.n; i++)
        t->parameters.items[i].grad = tq_engine_output(training->engine, 2 + i)->data;
    const tq_status status = tq_controls_call(&t->controls, TQ_HOOK_AFTER_STEP, &t->position, loss);
    for (int i = 0; i < t->parameters.n; i++)
        t->parameters.items[i].grad = NULL;
    return status;
}

/** Brings what this rank needs of the rows of others. */
static tq_status complete(trainer *t, const tq_training *training, tq_batch *batch)
{
    tq_share *share = training->share;
    if (!share->is_shared)
        return TQ_OK;
    TQ_TRY(tq_share_begin(share));
    memcpy(t->labels, batch->labels, (size_t)batch->n * sizeof *t->labels);
    batch->labels = t->labels;
    TQ_TRY(tq_share_gather(share, t->labels, sizeof *t->labels));
    if (!tq_engine_needs_all_rows(training->engine, 0) &&
        !(t->targets.from_input && tq_engine_needs_all_rows(training->engine, 1)))
        return TQ_OK;
    return tq_share_gather(share, batch->input.data,
                           (size_t)tq_type_count_from(&batch->input.type, 1) *
                               tq_dtype_size(batch->input.type.dtype));
}

static tq_status step(trainer *t, tq_batch *batch)
{
    const tq_training *training;
    TQ_TRY(tq_controls_call(&t->controls, TQ_HOOK_BEFORE_STEP, &t->position, (double)NAN));
    TQ_TRY(training_for(t, &batch->input.type, &training));
    TQ_TRY(complete(t, training, batch));
    tq_tensor target;
    TQ_TRY(tq_targets_get(&t->targets, batch, tq_value_type(tq_graph_output(training->graph, 1)),
                          &target));
    const tq_tensor inputs[] = { batch->input, target };
    TQ_TRY(tq_engine_run(training->engine, inputs, 2, seed_of(t)));
    const double loss = (double)*(const float *)tq_engine_output(training->engine, 0)->data;
    if (!isfinite(loss))
        return tq_fail(TQ_ERR_VALUE,
                       "the loss is %s at step %lld (epoch %lld, batch %lld); try a lower --lr",
                       isnan(loss) ? "NaN" : "infinite", (long long)t->position.step + 1,
                       (long long)t->position.epoch + 1, (long long)t->position.batch + 1);
    TQ_TRY(count(t, training, batch, &target, loss));
    const double factor = tq_plan_factor(&t->plan, t->position.step);
    t->position.step++;
    t->position.batch++;
    tq_updater_step(&t->updater, training, t->updater.params.lr * factor, t->position.step);
    if (t->options->stepped)
        t->options->stepped(t->options->context, training->engine);
    return after_step(t, training, loss);
}

/* ---- results and files ----------------------------------------------------------------------- */

static double mean_loss(const trainer *t)
{
    const tq_position *p = &t->position;
    return p->n_images ? p->loss_sum / (double)p->n_images : (double)NAN;
}

static double mean_top1(const trainer *t)
{
    const tq_position *p = &t->position;
    return p->n_images && t->targets.as_labels ? 100.0 * (double)p->n_correct / (double)p->n_images
                                               : (double)NAN;
}

/** Files and progress are the first rank's. */
static bool is_first(const trainer *t)
{
    return tq_ranks_index(t->options->ranks) == 0;
}

static void report(const trainer *t, int64_t n_batches)
{
    const tq_train_options *o = t->options;
    if (!o->progress || !is_first(t))
        return;
    const tq_position *p = &t->position;
    const int64_t n_steps =
        o->max_steps > 0 && o->max_steps < t->plan.n_steps ? o->max_steps : t->plan.n_steps;
    const tq_progress progress = { .phase = "train",
                                   .epoch = p->epoch + 1,
                                   .n_epochs = o->epochs,
                                   .batch = p->batch,
                                   .n_batches = n_batches,
                                   .n_images = p->n_images,
                                   .loss = mean_loss(t),
                                   .top1 = mean_top1(t),
                                   .lr = t->updater.lr,
                                   .images_per_s = tq_clock_rate(&t->clock),
                                   .eta_s = tq_clock_eta(&t->clock, n_steps - p->step) };
    o->progress(o->context, &progress);
}

static const char *file_in(trainer *t, const char *name)
{
    return tq_arena_printf(t->arena, "%s/%s", t->options->run_folder, name);
}

static tq_checkpoint checkpoint_of(trainer *t)
{
    return (tq_checkpoint){ .settings = t->settings,
                            .position = &t->position,
                            .max_epochs = t->options->epochs,
                            .parameters = &t->parameters,
                            .n_states = t->updater.optimizer->n_states,
                            .controls = &t->controls };
}

static tq_status save_checkpoint(trainer *t)
{
    if (!t->options->run_folder || !is_first(t))
        return TQ_OK;
    const tq_checkpoint checkpoint = checkpoint_of(t);
    return tq_checkpoint_save(file_in(t, "checkpoint"), &checkpoint);
}

static tq_status save_manifest(trainer *t)
{
    if (!t->options->run_folder || !is_first(t))
        return TQ_OK;
    int64_t n_parameters = 0;
    for (int i = 0; i < t->parameters.n; i++)
        n_parameters += t->parameters.items[i].n;
    const tq_manifest manifest = { .options = t->options,
                                   .params = &t->updater.params,
                                   .settings = t->settings,
                                   .model_crc = t->model_crc,
                                   .position = &t->position,
                                   .n_parameters = n_parameters,
                                   .seconds = tq_now() - t->clock.start,
                                   .images_per_s = tq_clock_rate(&t->clock) };
    return tq_manifest_save(file_in(t, "manifest.json"), &manifest);
}

static tq_status validate(trainer *t, tq_epoch *epoch)
{
    const tq_train_options *o = t->options;
    epoch->train_loss = mean_loss(t);
    epoch->train_top1 = mean_top1(t);
    epoch->valid_loss = epoch->valid_top1 = (double)NAN;
    if (!o->valid)
        return TQ_OK;
    const tq_eval_options options = { .registry = o->registry,
                                      .data = o->valid,
                                      .preset = o->preset,
                                      .loss = t->building.loss->entry.name,
                                      .target = o->target,
                                      .batch = o->batch,
                                      .n_threads = o->n_threads,
                                      .ranks = o->ranks,
                                      .progress = is_first(t) ? o->progress : NULL,
                                      .context = o->context };
    tq_eval_result r;
    TQ_TRY(tq_wrap(
        tq_evaluate_phase(t->graph, &options, "valid", t->position.epoch + 1, o->epochs, &r),
        "validation"));
    epoch->valid_loss = r.loss;
    epoch->valid_top1 = r.top1;
    free(r.predictions);
    free(r.labels);
    return TQ_OK;
}

/** Keeps the network if it is the best so far: by top-1, without labels by loss. */
static tq_status keep_best(trainer *t, const tq_epoch *epoch)
{
    const bool valid = t->options->valid != NULL;
    const double top1 = valid ? epoch->valid_top1 : epoch->train_top1;
    const double loss = valid ? epoch->valid_loss : epoch->train_loss;
    const double score = t->targets.as_labels ? top1 : -loss;
    if (!(score > t->position.best))
        return TQ_OK;
    t->position.best = score;
    t->position.best_top1 = top1;
    return t->options->run_folder && is_first(t)
               ? tq_onnx_export(t->graph, file_in(t, "best.onnx"), 0)
               : TQ_OK;
}

static tq_status end_epoch(trainer *t)
{
    tq_position *p = &t->position;
    tq_epoch epoch;
    TQ_TRY(tq_controls_call(&t->controls, TQ_HOOK_EPOCH_END, p, (double)NAN));
    TQ_TRY(validate(t, &epoch));
    TQ_TRY(keep_best(t, &epoch));
    p->epochs[p->n_epochs++] = epoch;
    p->epoch++;
    p->batch = 0;
    p->loss_sum = 0.0;
    p->n_images = p->n_correct = 0;
    TQ_TRY(save_checkpoint(t));
    return save_manifest(t);
}

/** Stopped in mid-epoch by max_steps: the checkpoint says where; the numbers are of now. Only
 *  finished epochs compete for the best, but there is always one. */
static tq_status end_early(trainer *t, tq_epoch *epoch)
{
    TQ_TRY(save_checkpoint(t));
    TQ_TRY(validate(t, epoch));
    if (t->position.n_epochs == 0)
        TQ_TRY(keep_best(t, epoch));
    return save_manifest(t);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool is_stopped(const trainer *t)
{
    return t->options->max_steps > 0 && t->position.step >= t->options->max_steps;
}

static tq_status run_epoch(trainer *t)
{
    const int64_t n_batches = t->plan.steps_per_epoch, every = t->options->checkpoint_every;
    if (t->position.batch == 0)
        TQ_TRY(tq_controls_call(&t->controls, TQ_HOOK_EPOCH_START, &t->position, (double)NAN));
    TQ_TRY(tq_loader_start(t->loader, t->position.epoch, t->position.batch));
    while (t->position.batch < n_batches && !is_stopped(t)) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(t->loader, &batch));
        if (batch.n == 0)
            return tq_fail(TQ_ERR_CHECK, "the data ended after %lld of %lld batches",
                           (long long)t->position.batch, (long long)n_batches);
        TQ_TRY(step(t, &batch));
        tq_clock_tick(&t->clock, batch.n);
        report(t, n_batches);
        if (every > 0 && t->position.step % every == 0 && t->position.batch < n_batches)
            TQ_TRY(save_checkpoint(t));
    }
    return TQ_OK;
}

static tq_status run_epochs(trainer *t)
{
    tq_position *p = &t->position;
    tq_epoch last = { (double)NAN, (double)NAN, (double)NAN, (double)NAN };
    tq_clock_start(&t->clock);
    while (p->epoch < t->options->epochs && !is_stopped(t)) {
        TQ_TRY(run_epoch(t));
        if (p->batch < t->plan.steps_per_epoch)
            break;
        TQ_TRY(end_epoch(t));
    }
    if (p->batch > 0)
        TQ_TRY(end_early(t, &last));
    else if (p->n_epochs > 0)
        last = p->epochs[p->n_epochs - 1];
    *t->result =
        (tq_train_result){ .train_loss = last.train_loss,
                           .train_top1 = last.train_top1,
                           .valid_loss = last.valid_loss,
                           .valid_top1 = last.valid_top1,
                           .best_valid_top1 = t->options->valid ? p->best_top1 : (double)NAN,
                           .steps = p->step,
                           .seconds = tq_now() - t->clock.start,
                           .exchange = t->counts };
    return TQ_OK;
}

/* ---- getting ready --------------------------------------------------------------------------- */

static tq_status make_folder(trainer *t)
{
    if (!t->options->run_folder || !is_first(t))
        return TQ_OK;
    char *path = tq_arena_strdup(t->arena, t->options->run_folder);
    for (char *c = path + 1;; c++) {
        if (*c && *c != '/')
            continue;
        const char end = *c;
        *c = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return tq_fail(TQ_ERR_IO, "cannot make the folder '%s': %s", path, strerror(errno));
        *c = end;
        if (!end)
            return TQ_OK;
    }
}

static tq_status check_options(trainer *t)
{
    const tq_train_options *o = t->options;
    TQ_TRY(tq_train_options_check(o));
    if (tq_graph_stage(t->graph) == TQ_STAGE_TRUE)
        return tq_fail(TQ_ERR_STATE, "a true-quantised network cannot be trained");
    const tq_entry *loss, *optimizer;
    TQ_TRY(tq_registry_find(o->registry, TQ_KIND_LOSS, o->loss ? o->loss : "cross-entropy", &loss));
    TQ_TRY(tq_registry_find(o->registry, TQ_KIND_OPTIMIZER, o->optimizer ? o->optimizer : "sgd",
                            &optimizer));
    t->updater.optimizer = (const tq_optimizer *)optimizer;
    t->bn_train = !o->bn || !strcmp(o->bn, "train");
    t->building = (tq_training_options){ .registry = o->registry,
                                         .loss = (const tq_loss *)loss,
                                         .label_smoothing = o->label_smoothing,
                                         .bn_train = t->bn_train,
                                         .ranks = o->ranks,
                                         .counts = &t->counts,
                                         .n_shards = o->n_shards,
                                         .memory = o->memory,
                                         .bf16 = o->compute && !strcmp(o->compute, "bf16"),
                                         .profile = o->profile,
                                         .edit = o->edit };
    t->updater.params = tq_train_params(o, t->updater.optimizer);
    TQ_TRY(tq_plan_parse(o->registry, o->schedule, &t->plan));
    TQ_TRY(tq_controls_find(o->registry, o->controllers, t->arena, &t->controls));
    return tq_check_observed(t->graph);
}

/** Bytes of decoded images to keep: none if nothing is decoded twice. */
static size_t cache_size(const tq_train_options *options)
{
    if (options->epochs < 2 || options->cache < 0)
        return 0;
    return options->cache > 0 ? (size_t)options->cache : (size_t)512 << 20;
}

static tq_status open_data(trainer *t)
{
    const tq_train_options *o = t->options;
    tq_loader_options loader = { .preset = o->preset,
                                 .training = true,
                                 .batch = o->batch,
                                 .shuffle = TQ_SHUFFLE_EPOCH,
                                 .seed = o->seed,
                                 .n_ranks = tq_ranks_count(o->ranks),
                                 .rank = tq_ranks_index(o->ranks),
                                 .n_shards = o->n_shards > 0 ? o->n_shards : 16,
                                 .cache_bytes = cache_size(o) };
    TQ_TRY(tq_loader_options_for(t->graph, &loader));
    TQ_TRY(tq_targets_open(o->train, o->target, t->building.loss->wants_labels, &t->targets));
    TQ_TRY(tq_pool_create(o->n_threads, &t->pool));
    t->building.pool = t->pool;
    loader.n_workers = tq_pool_size(t->pool);
    TQ_TRY(tq_loader_create(o->registry, o->train, &loader, &t->loader));
    const int64_t n_batches = tq_loader_n_batches(t->loader);
    if (n_batches < 1)
        return tq_fail(TQ_ERR_VALUE, "'%s' has no data points", o->train->spec);
    t->labels = TQ_NEW_N(t->arena, int64_t, o->batch < o->train->n ? o->batch : o->train->n);
    t->plan.steps_per_epoch = n_batches;
    if (__builtin_mul_overflow(n_batches, o->epochs, &t->plan.n_steps))
        return tq_fail(TQ_ERR_VALUE, "%lld epochs are too many", (long long)o->epochs);
    t->plan.n_warmup = llround(o->warmup_epochs * (double)n_batches);
    return TQ_OK;
}

/** Names of the editors that join pre-grad, of rules with a checksum of their text. */
static const char *editors_text(const trainer *t)
{
    const char *text = "";
    const tq_edit *edit = t->options->edit;
    for (int i = 0; edit && i < edit->n_more; i++) {
        const tq_editor *editor = edit->more[i];
        const char *rule = editor->rule ? tq_rule_source(editor->rule) : "";
        text = tq_arena_printf(t->arena, "%s%s%s:%08x", text, i ? " " : "", editor->entry.name,
                               tq_crc32(0, rule, strlen(rule)));
    }
    return text;
}

/** What must be the same at --resume, one line each; no path, time or number of threads. */
static void describe(trainer *t)
{
    const tq_train_options *o = t->options;
    const tq_optimizer_params *p = &t->updater.params;
    t->settings = tq_arena_printf(
        t->arena,
        "model=%08x\ndata=%s, %lld points\npreset=%s\nloss=%s\ntarget=%s\nlabel_smoothing=%.17g\n"
        "optimizer=%s\nlr=%.17g\nmomentum=%.17g\nnesterov=%d\nweight_decay=%.17g\n"
        "pact_decay=%.17g\nbeta1=%.17g\nbeta2=%.17g\nepsilon=%.17g\nschedule=%s\n"
        "warmup_epochs=%.17g\nepochs=%lld\nbatch=%lld\nshards=%d\nbn=%s\ncompute=%s\ncontrollers=%"
        "s\n"
        "editors=%s\n"
        "seed=%llu\n",
        t->model_crc, o->train->driver->entry.name, (long long)o->train->n,
        o->preset ? o->preset->entry.name : "raw", t->building.loss->entry.name,
        o->target ? o->target : "", o->label_smoothing, t->updater.optimizer->entry.name, p->lr,
        p->momentum, p->nesterov, p->weight_decay, p->pact_decay, p->beta1, p->beta2, p->epsilon,
        o->schedule ? o->schedule : "constant", o->warmup_epochs, (long long)o->epochs,
        (long long)o->batch, o->n_shards > 0 ? o->n_shards : 16, t->bn_train ? "train" : "freeze",
        t->building.bf16 ? "bf16" : "f32", tq_controls_text(&t->controls, t->arena),
        editors_text(t), (unsigned long long)o->seed);
}

static tq_status hash_model(trainer *t)
{
    char *text = tq_graph_print(t->graph, 0);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "no memory to hash the network");
    t->model_crc = tq_crc32(0, text, strlen(text));
    free(text);
    return TQ_OK;
}

/** Running statistics are written too: their data must be ours before graphs share it. */
static tq_status own_statistics(tq_graph *graph)
{
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        for (int i = 3; tq_node_is(node, "BatchNormalization") && i <= 4; i++) {
            void *data;
            if (tq_node_is_const_from(node, i))
                TQ_TRY(tq_value_own(tq_node_input(node, i), &data));
        }
    return TQ_OK;
}

/** Training needs f32 of a known shape. */
static tq_status find_full_type(trainer *t)
{
    const tq_train_options *o = t->options;
    const tq_value *input = tq_graph_input(t->graph, 0);
    tq_type *type = &t->full_type;
    *type = *tq_value_type(input);
    type->dims[0] = o->batch < o->train->n ? o->batch : o->train->n;
    if (tq_type_is_known(type) && type->dtype == TQ_F32)
        return TQ_OK;
    return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; training needs f32 of a known shape",
                   tq_value_name(input), tq_type_text(type).s);
}

static tq_status make_graphs(trainer *t)
{
    TQ_TRY(hash_model(t));
    describe(t);
    TQ_TRY(tq_ranks_agree(t->options->ranks, "settings", t->settings, strlen(t->settings)));
    TQ_TRY(tq_parameters_find(t->graph, t->arena, &t->parameters));
    TQ_TRY(own_statistics(t->graph));
    TQ_TRY(find_full_type(t));
    TQ_TRY(tq_training_create(t->graph, &t->building, &t->full_type, &t->parameters, &t->full));
    t->building.quiet = true;
    tq_updater_prepare(&t->updater, &t->parameters, t->pool);
    const tq_control shown = { .graph = t->graph,
                               .n_epochs = t->options->epochs,
                               .n_steps = t->plan.n_steps,
                               .steps_per_epoch = t->plan.steps_per_epoch,
                               .loss = (double)NAN,
                               .n_parameters = t->parameters.n,
                               .parameters = t->parameters.items };
    return tq_controls_prepare(&t->controls, &shown, t->arena);
}

/** All ranks begin at one place: a checkpoint that only some of them see is an error. */
static tq_status agree_on_start(trainer *t)
{
    uint32_t crc = tq_crc32(0, &t->position.step, sizeof t->position.step);
    for (int i = 0; i < t->parameters.n; i++)
        crc = tq_crc32(crc, t->parameters.items[i].data,
                       (size_t)t->parameters.items[i].n * sizeof(float));
    return tq_ranks_agree(t->options->ranks, "parameters at the start", &crc, sizeof crc);
}

static tq_status start(trainer *t)
{
    const tq_train_options *o = t->options;
    t->position.best = -INFINITY;
    t->position.best_top1 = (double)NAN;
    t->position.epochs = TQ_NEW_N(t->arena, tq_epoch, o->epochs);
    const char *path = o->run_folder ? file_in(t, "checkpoint") : NULL;
    struct stat info;
    if (o->resume && path && stat(path, &info) == 0) {
        const tq_checkpoint checkpoint = checkpoint_of(t);
        TQ_TRY(tq_checkpoint_load(path, &checkpoint));
        return agree_on_start(t);
    }
    TQ_TRY(agree_on_start(t));
    TQ_TRY(tq_controls_call(&t->controls, TQ_HOOK_START, &t->position, (double)NAN));
    return save_checkpoint(t);
}

static tq_status train(void *context)
{
    trainer *t = context;
    t->arena = tq_arena_create();
    TQ_TRY(check_options(t));
    TQ_TRY(open_data(t));
    TQ_TRY(make_graphs(t));
    TQ_TRY(make_folder(t));
    TQ_TRY(start(t));
    return run_epochs(t);
}

tq_status tq_train(tq_graph *graph, const tq_train_options *options, tq_train_result *out_result)
{
    *out_result = (tq_train_result){ 0 };
    trainer t = { .graph = graph, .options = options, .result = out_result };
    const tq_status status = tq_guard(train, &t);
    tq_training_reset(&t.full);
    tq_training_reset(&t.rest);
    tq_loader_destroy(t.loader);
    tq_targets_close(&t.targets);
    tq_pool_destroy(t.pool);
    tq_arena_destroy(t.arena);
    return status;
}
