/* Training, calibration, evaluation: the loops over data. */
#ifndef TRUQ_TRAIN_H
#define TRUQ_TRAIN_H

#include <truq/autodiff.h>
#include <truq/data.h>
#include <truq/engine.h>
#include <truq/graph.h>
#include <truq/ranks.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TQ_OPTIMIZER_MAX_STATES = 3 };

typedef struct tq_optimizer_params {
    double lr, momentum, weight_decay, beta1, beta2, epsilon;
    bool nesterov;
    double pact_decay;         /* weight decay of the quantisers' bounds; those of weights never decay with the weights */
} tq_optimizer_params;

/** An optimiser updates one parameter array in place; `states` are f32 arrays of n, zero at step 1. */
typedef struct tq_optimizer {
    tq_entry entry;            /* "sgd", "adam", "adagrad", "pactsgd", "pactadam", "pactadagrad" */
    int n_states;
    tq_optimizer_params defaults;
    void (*update)(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step, int64_t n, float *w,
                   const float *grad, float *const *states);
} tq_optimizer;

/** Factor of the base learning rate at `step` of `n_steps`. */
typedef struct tq_schedule {
    tq_entry entry;            /* "constant", "step", "cosine" */
    double (*factor)(const double *args, int64_t step, int64_t n_steps, int64_t steps_per_epoch);
} tq_schedule;

/** A loss: appends nodes to the graph that compute the scalar mean loss of output 0. */
typedef struct tq_loss {
    tq_entry entry;            /* "cross-entropy", "mse" */
    bool wants_labels;         /* targets are labels i64 [N], else an array shaped as the output */
    tq_status (*append)(tq_graph *graph, tq_value *output, tq_value *target, double label_smoothing, tq_value **out_loss);
} tq_loss;

/** What a trained array is to its network. */
typedef enum tq_role {
    TQ_ROLE_WEIGHT,            /* of a linear operator */
    TQ_ROLE_BIAS,              /* of a linear operator, also as an addition behind it */
    TQ_ROLE_NORM,              /* scale or bias of a batch norm */
    TQ_ROLE_SLOPE,             /* of a PRelu */
    TQ_ROLE_BOUND              /* of a quantiser */
} tq_role;
TQ_API const char *tq_role_name(tq_role role);   /* "weight", ... */

/** One array that is trained: the f32 data of a constant of the network. */
typedef struct tq_parameter {
    const char *name;          /* the constant's */
    tq_role role;
    int64_t n;
    float *data;               /* the values of now */
    const float *grad;         /* [n], of the step just made; NULL but in after_step */
    bool frozen;               /* optimiser and decay leave it, and their states of it, alone */
    double lr_factor;          /* times the learning rate; 1 at the start */
    bool decays;               /* a bound that decays by pact_decay */
    float *states[TQ_OPTIMIZER_MAX_STATES];   /* the optimiser's */
} tq_parameter;

/** A training as a controller sees it, and what it may change of it: the values, `frozen` and `lr_factor` of parameters, its own
 *  state, freeze_norms. What it changes stays so until it, or another controller, changes it again, and is saved with checkpoints.
 *  All pointers are borrowed, for the time of the call. */
typedef struct tq_control {
    const char *args;          /* of "NAME:ARGS"; "" where there are none */
    int n_state;
    double *state;             /* as many numbers as `prepare` asked for; 0 at the start */
    const tq_graph *graph;     /* the network; its constants hold the values of now */
    int64_t epoch, step;       /* finished ones */
    int64_t n_epochs, n_steps, steps_per_epoch;
    double loss;               /* of the step just made; NaN but in after_step */
    int n_parameters;
    tq_parameter *parameters;
    bool freeze_norms;         /* batch norms use and keep their running statistics; their scales and biases go on learning */
} tq_control;

/** A controller steers what is quantised, trained and frozen while a training runs. Every hook may be NULL. The hooks of several
 *  controllers are called in the order in which these were given. A resumed training calls what is left: the same bits. */
typedef struct tq_controller {
    tq_entry entry;                              /* "freeze-bn" */
    /** Checks the arguments and says how many numbers of state it needs (0 before). Called whenever a training starts, also a
     *  resumed one; it changes nothing. NULL: it takes no arguments and has no state. */
    tq_status (*prepare)(const tq_control *control, int *out_n_state);
    tq_status (*start)(tq_control *control);     /* before the first step; not when resumed */
    tq_status (*epoch_start)(tq_control *control);
    tq_status (*before_step)(tq_control *control);
    tq_status (*after_step)(tq_control *control);/* parameters are updated; grad and loss are of this step */
    tq_status (*epoch_end)(tq_control *control); /* before the network is judged and saved */
} tq_controller;

/** Arguments as finite numbers "A,B": at least n_min, at most n_max of them; *out_n (may be NULL): how many. TQ_ERR_VALUE. */
TQ_API tq_status tq_control_numbers(const tq_control *control, int n_min, int n_max, double *out, int *out_n);

typedef struct tq_progress {
    const char *phase;         /* "train", "valid", "calibrate", "eval" */
    int64_t epoch, n_epochs, batch, n_batches;
    int64_t n_images;          /* so far in this phase */
    double loss, top1;         /* running means; NaN: unknown */
    double lr, images_per_s, eta_s;
} tq_progress;
typedef void (*tq_progress_fn)(void *context, const tq_progress *progress);

typedef struct tq_train_options {
    const tq_registry *registry;
    const tq_dataset *train;             /* borrowed */
    const tq_dataset *valid;             /* may be NULL */
    const tq_preset *preset;
    const char *loss;                    /* "cross-entropy" */
    const char *target;                  /* "labels", "input", "npz:KEY"; NULL: what the loss takes, labels or input */
    double label_smoothing;
    const char *optimizer;
    tq_optimizer_params params;          /* lr, beta1, beta2, epsilon <= 0 and momentum, weight_decay, pact_decay < 0: the
                                            optimiser's default */
    const char *schedule;                /* "constant", "cosine", "step:EPOCHS,FACTOR" */
    double warmup_epochs;
    int64_t epochs, batch;
    int64_t max_steps;                   /* > 0: stop after so many */
    const char *const *controllers;      /* "freeze-bn:1", ...; ends with NULL; NULL: none */
    const char *bn;                      /* "train" (statistics move), "freeze" (running statistics used and kept) */
    uint64_t seed;
    int n_threads, n_shards;
    tq_ranks *ranks;                     /* processes that share each batch (truq/ranks.h), borrowed; NULL: alone. All ranks call with
                                            the same options; the first one writes files and reports progress */
    const char *compute;                 /* of the convolutions of a step: "f32" (NULL), or "bf16": they round their operands to
                                            bf16, sums, parameters and all else stay f32; TQ_ERR_UNSUPPORTED without AVX512-BF16 */
    size_t memory;                       /* bytes for the arrays of a step; the backward pass computes again what does not fit, with
                                            the same bits; 0: no limit */
    int64_t cache;                       /* bytes of decoded images to keep between epochs; 0: 512 MiB, < 0: none. The result does not
                                            depend on it */
    const char *run_folder;              /* checkpoint, best.onnx, manifest.json */
    int64_t checkpoint_every;            /* steps; 0: each epoch */
    bool resume;                         /* continue from the run folder's checkpoint where there is one */
    const char *command_line;            /* for the manifest */
    bool profile;                        /* engines take the time of stages too */
    /** Called after each step with the engine that ran it; may be NULL. */
    void (*stepped)(void *context, const tq_engine *engine);
    const struct tq_edit *edit;          /* of the pipeline pre-grad: editors that join (more), log, dump, failed; NULL: nothing */
    tq_progress_fn progress;
    void *context;
} tq_train_options;

/** What a training sent between ranks; of this rank. */
typedef struct tq_exchange_counts {
    int64_t n_sums, sum_bytes;           /* that are needed at once */
    int64_t n_buckets, bucket_bytes;     /* of gradients of weights, in the background */
    int64_t n_gathers, gather_bytes;
    double wait_s;                       /* for all of them */
} tq_exchange_counts;

typedef struct tq_train_result {
    double train_loss, train_top1, valid_loss, valid_top1, best_valid_top1;
    int64_t steps;
    double seconds;
    tq_exchange_counts exchange;
} tq_train_result;

/** Trains `graph` in place (float or fake). Same seed, same data, same shards: same bits for any number of threads. A quantiser
 *  that was never observed stops it by name (TQ_ERR_STATE). */
TQ_API tq_status tq_train(tq_graph *graph, const tq_train_options *options, tq_train_result *out_result);

typedef struct tq_eval_options {
    const tq_registry *registry;
    const tq_dataset *data;
    const tq_preset *preset;
    const char *loss, *target;           /* NULL: as the data: cross-entropy with labels; without, mse against the input
                                            where the output has its shape */
    int64_t batch, limit;
    int n_threads;
    tq_ranks *ranks;                     /* share the batches; all get the result; NULL: alone */
    const char *save;                    /* CSV: id,label,prediction; or NULL */
    tq_progress_fn progress;
    void *context;
} tq_eval_options;

typedef struct tq_eval_result {
    int64_t n;
    double top1, top5, loss;             /* percent; NaN where there are no labels */
    double images_per_s, seconds;
    int64_t *predictions;                /* n of them, free() */
    int64_t *labels;
} tq_eval_result;

/** Evaluates any stage, in order. True networks get codes: the preset's output quantised with what is stored at the input. */
TQ_API tq_status tq_evaluate(const tq_graph *graph, const tq_eval_options *options, tq_eval_result *out_result);

typedef struct tq_calibrate_options {
    const tq_registry *registry;
    const tq_dataset *data;
    const tq_preset *preset;
    int64_t batch, n_batches;            /* 0: all */
    int n_threads;
    tq_progress_fn progress;
    void *context;
} tq_calibrate_options;

/** Observes what every FakeQuantize sees, float network running underneath (no quantiser acts), then places the grids. */
TQ_API tq_status tq_calibrate(tq_graph *graph, const tq_calibrate_options *options);

/** Feeds one batch to a graph of any stage: quantises for true graphs with the grid stored at input `i`. Reset *out; it
 *  borrows the data of `f32` where nothing changes. */
TQ_API tq_status tq_feed(const tq_graph *graph, int i, const tq_tensor *f32, tq_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
