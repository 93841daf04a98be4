/* What the files of the training room share. */
#ifndef TQ_TRAIN_TRAIN_INTERNAL_H
#define TQ_TRAIN_TRAIN_INTERNAL_H

#include "dist/dist.h"

#include <truq/engine.h>
#include <truq/fake.h>
#include <truq/train.h>

/* ---- optimisers: the updates that plain and PACT forms share ------------------------------- */

void tq_update_sgd(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                   int64_t n, float *w, const float *grad, float *const *states);
void tq_update_adam(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                    int64_t n, float *w, const float *grad, float *const *states);
void tq_update_adagrad(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                       int64_t n, float *w, const float *grad, float *const *states);

/* ---- quantisers in a graph ------------------------------------------------------------------- */

/** Has the FakeQuantize a grid: none of its constant parameters is NaN? */
bool tq_is_placed(const tq_node *node);
/** TQ_ERR_STATE naming the first quantiser whose parameters are NaN. */
tq_status tq_check_observed(const tq_graph *graph);

/* ---- engines for the batches of a loop ------------------------------------------------------- */

/** A full-batch engine and one for the smaller rest, planned when first needed. `graph` and `pool`
 *  are borrowed. */
typedef struct tq_engines {
    const tq_graph *graph;
    tq_graph *opened; /* for batches that `graph` is not written for; NULL: not needed */
    tq_pool *pool;
    int n_shards;
    int n_inputs;
    struct {
        tq_engine *engine;
        tq_type types[2];
    } slots[2];
} tq_engines;

/** The engine for these input types (n_inputs of them). */
tq_status tq_engines_get(tq_engines *engines, const tq_type *types, tq_engine **out_engine);
void tq_engines_reset(tq_engines *engines);

/** Are numbers and words of the options possible? */
tq_status tq_train_options_check(const tq_train_options *options);
/** The optimiser's numbers: as asked, else its own. */
tq_optimizer_params tq_train_params(const tq_train_options *options, const tq_optimizer *optimizer);

/** The batch to use: `wanted`, unless the graph takes only the batch that is written in it. */
int64_t tq_batch_for(const tq_graph *graph, int64_t wanted);
/** Loader options that follow from the graph's only input; TQ_ERR_UNSUPPORTED if it has several. */
tq_status tq_loader_options_for(const tq_graph *graph, tq_loader_options *options);

/* ---- targets --------------------------------------------------------------------------------- */

/** Where the targets of a loss come from: "labels", "input" or "npz:KEY" of the dataset's file. */
typedef struct tq_targets {
    const tq_dataset *dataset;
    bool from_labels, from_input;
    bool as_labels;         /* the loss takes i64 [N] */
    const tq_tensor *array; /* of the dataset */
    tq_tensor buffer;       /* of the last batch */
} tq_targets;

/** text NULL: labels. `wants_labels`: what the loss takes. */
tq_status tq_targets_open(const tq_dataset *dataset, const char *text, bool wants_labels,
                          tq_targets *out_targets);
void tq_targets_close(tq_targets *targets);
/** The target of a batch for a network output of type `output`; borrowed until the next call.
 * Labels are checked against the number of classes. */
tq_status tq_targets_get(tq_targets *targets, const tq_batch *batch, const tq_type *output,
                         tq_tensor *out_target);

/* ---- scores ---------------------------------------------------------------------------------- */

/** Classes of an output [N, C, ...]. */
int64_t tq_n_classes(const tq_type *output);
/** The class of row i: the lowest index among the largest. */
int64_t tq_argmax(const tq_tensor *output, int64_t i);
/** How many classes come before `label` in row i: ties in order of index. */
int64_t tq_rank_of(const tq_tensor *output, int64_t i, int64_t label);

/* ---- time and progress ----------------------------------------------------------------------- */

double tq_now(void); /* seconds, monotonic */
/** A loop's clock: images and batches per second since it started. */
typedef struct tq_clock {
    double start;
    int64_t n_images, n_batches;
} tq_clock;
void tq_clock_start(tq_clock *clock);
void tq_clock_tick(tq_clock *clock, int64_t n_images);
double tq_clock_rate(const tq_clock *clock); /* images per second */
double tq_clock_eta(const tq_clock *clock, int64_t n_batches_left);

/** tq_evaluate with the name of the phase and the epoch for its progress. */
tq_status tq_evaluate_phase(const tq_graph *graph, const tq_eval_options *options,
                            const char *phase, int64_t epoch, int64_t n_epochs,
                            tq_eval_result *out_result);

/* ---- names with arguments -------------------------------------------------------------------- */

/** "NAME:ARGS" or "NAME": the entry, and what stands behind the colon, "" where nothing does. */
tq_status tq_call_find(const tq_registry *registry, tq_kind kind, const char *text,
                       const tq_entry **out_entry, const char **out_args);
/** "A,B": n_min to n_max finite numbers; *out_n (may be NULL): how many. TQ_ERR_VALUE. */
tq_status tq_call_numbers(const char *args, int n_min, int n_max, double *out, int *out_n);

/* ---- schedules ------------------------------------------------------------------------------- */

enum { TQ_SCHEDULE_MAX_ARGS = 4 };
/** A schedule with its arguments and linear warm-up. */
typedef struct tq_plan {
    const tq_schedule *schedule;
    double args[TQ_SCHEDULE_MAX_ARGS];
    int64_t n_warmup, n_steps, steps_per_epoch;
} tq_plan;
/** Parses "constant", "cosine", "step:EPOCHS,FACTOR"; NULL is constant. */
tq_status tq_plan_parse(const tq_registry *registry, const char *text, tq_plan *out_plan);
/** Factor of the learning rate at `step` (from 0). */
double tq_plan_factor(const tq_plan *plan, int64_t step);

/* ---- the training graph ---------------------------------------------------------------------- */

/** A running statistic: f32 data of a constant that an output of the training graph replaces. */
typedef struct tq_statistic {
    const char *name;
    int64_t n;
    float *data;
} tq_statistic;

/* ---- batches shared among ranks -------------------------------------------------------------- */

/** How ranks share batches of one size. */
typedef struct tq_share {
    tq_ranks *ranks;
    bool is_shared; /* else each rank runs all rows: alone, or more ranks than shards */
    int n_shards;
    int64_t *row_begins; /* [ranks + 1] */
    tq_exchange_counts *counts;
    tq_exchange exchange;
} tq_share;

/** `share` must not move afterwards. ranks NULL: alone. What is sent is added to `counts`. */
void tq_share_init(tq_share *share, tq_ranks *ranks, int64_t batch, int n_shards,
                   tq_exchange_counts *counts, tq_arena *arena);
/** Before a run of an engine with this exchange, and before a gather. */
tq_status tq_share_begin(const tq_share *share);
/** The rows that this rank runs. */
void tq_share_rows(const tq_share *share, int64_t *out_begin, int64_t *out_end);
/** Sums over the ranks that share the batch. */
tq_status tq_share_sum(tq_share *share, double *data, int64_t n);
/** Rows of a batch, of row_size bytes: those of other ranks come. */
tq_status tq_share_gather(tq_share *share, void *rows, size_t row_size);

/** What is trained in a graph. Arrays and names live in `arena`. */
typedef struct tq_parameters {
    tq_arena *arena;
    int n, n_statistics;
    tq_parameter *items;
    tq_statistic *statistics;
} tq_parameters;

/** Finds what can be trained, and makes its data writable. */
tq_status tq_parameters_find(tq_graph *graph, tq_arena *arena, tq_parameters *out_parameters);

/** Forward, loss and backward for one batch size, planned. Outputs of the engine: the loss, the
 * network's output 0, one gradient per parameter, one new value per statistic that moves. Data of
 * constants is shared with the caller's graph. */
typedef struct tq_training {
    tq_graph *graph;
    tq_engine *engine;
    tq_type types[2]; /* of the input and the target */
    int n_statistics;
    int *statistics; /* which of the parameters' statistics; in their arena */
    tq_share *share; /* in that arena too */
} tq_training;

typedef struct tq_training_options {
    const tq_registry *registry;
    const tq_loss *loss;
    double label_smoothing;
    bool bn_train;
    tq_pool *pool;
    tq_ranks *ranks;
    tq_exchange_counts *counts; /* of what they exchange */
    int n_shards;
    size_t memory;
    bool bf16, profile;
    const struct tq_edit *edit; /* as of tq_train_options */
    bool quiet;                 /* logs and dumps nothing: the first graph did */
} tq_training_options;

/** The training graph for a batch of this input type. Parameters that do not reach the loss are
 *  taken out of `parameters`, statistics found are put in; a later graph has the same or fewer. */
tq_status tq_training_create(const tq_graph *graph, const tq_training_options *options,
                             const tq_type *input, tq_parameters *parameters,
                             tq_training *out_training);
void tq_training_reset(tq_training *training);
/** Type of the network's output 0 for a batch of this input type. */
tq_status tq_output_type(const tq_graph *graph, const tq_type *input, tq_type *out_type);

/* ---- where a training stands ----------------------------------------------------------------- */

/** Results of one epoch. */
typedef struct tq_epoch {
    double train_loss, train_top1, valid_loss, valid_top1;
} tq_epoch;

/** Where a training stands: all that is not a parameter. */
typedef struct tq_position {
    int64_t step, epoch, batch; /* the next ones */
    double loss_sum;            /* of the epoch so far, weighted by images */
    int64_t n_images, n_correct;
    double best; /* score of best.onnx: higher is better; -inf: none yet */
    double best_top1;
    int64_t n_epochs; /* finished */
    tq_epoch *epochs; /* room for all, in the arena of the run */
} tq_position;

/* ---- controllers ----------------------------------------------------------------------------- */

/** The controllers of a training, in the order of their hooks. */
typedef struct tq_controls {
    int n;
    struct tq_steered {
        const tq_controller *controller;
        const char *text; /* "freeze-bn:1" */
        tq_control control;
    } * items;
    bool freeze_norms; /* as the last hook left it */
} tq_controls;

/** Finds the controllers of a list that ends with NULL (or is NULL). */
tq_status tq_controls_find(const tq_registry *registry, const char *const *texts, tq_arena *arena,
                           tq_controls *out_controls);
/** Gives each what it sees of the training (`shown`: its graph, lengths and parameters), asks for
 *  its state and makes it. */
tq_status tq_controls_prepare(tq_controls *controls, const tq_control *shown, tq_arena *arena);
typedef enum tq_hook {
    TQ_HOOK_START,
    TQ_HOOK_EPOCH_START,
    TQ_HOOK_BEFORE_STEP,
    TQ_HOOK_AFTER_STEP,
    TQ_HOOK_EPOCH_END
} tq_hook;
/** That hook of each, in turn, until one fails. `loss`: NaN but after a step. */
tq_status tq_controls_call(tq_controls *controls, tq_hook hook, const tq_position *position,
                           double loss);
/** All of them as one text, "a:1 b"; "" where there are none. */
const char *tq_controls_text(const tq_controls *controls, tq_arena *arena);

/* ---- updates --------------------------------------------------------------------------------- */

/** An optimiser at work on parameters: cut into pieces that go over the threads. */
typedef struct tq_updater {
    const tq_optimizer *optimizer;
    tq_optimizer_params params; /* as resolved */
    const tq_parameters *parameters;
    tq_pool *pool;
    int n_pieces;
    struct tq_update_piece *pieces;
    /* of the update that runs now */
    const tq_engine *engine;
    double lr;
    int64_t step;
} tq_updater;

/** Makes the optimiser's states and cuts the pieces; all in the parameters' arena. */
void tq_updater_prepare(tq_updater *updater, const tq_parameters *parameters, tq_pool *pool);
/** One step (from 1) by the gradients of the training's last run; then its statistics. */
void tq_updater_step(tq_updater *updater, const tq_training *training, double lr, int64_t step);

/* ---- checkpoints ----------------------------------------------------------------------------- */

/** All that a checkpoint keeps; what is loaded goes into what these point to. */
typedef struct tq_checkpoint {
    const char *settings; /* lines of "key=value" that must be the same at --resume */
    tq_position *position;
    int64_t max_epochs; /* room in the position */
    const tq_parameters *parameters;
    int n_states; /* of the optimiser */
    tq_controls *controls;
} tq_checkpoint;

tq_status tq_checkpoint_save(const char *path, const tq_checkpoint *checkpoint);
/** Fails with TQ_ERR_FORMAT on a damaged file, TQ_ERR_VALUE naming the setting that differs. */
tq_status tq_checkpoint_load(const char *path, const tq_checkpoint *checkpoint);

/* ---- manifest -------------------------------------------------------------------------------- */

typedef struct tq_manifest {
    const tq_train_options *options;
    const tq_optimizer_params *params; /* as resolved */
    const char *settings;
    uint32_t model_crc;
    const tq_position *position;
    int64_t n_parameters;
    double seconds, images_per_s;
} tq_manifest;
tq_status tq_manifest_save(const char *path, const tq_manifest *manifest);

#endif
