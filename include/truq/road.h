/* The road as calls: float network -> fake-quantised -> calibrated -> trained -> true-quantised. */
#ifndef TRUQ_ROAD_H
#define TRUQ_ROAD_H

#include <truq/backend.h>
#include <truq/data.h>
#include <truq/edit.h>
#include <truq/integerise.h>
#include <truq/recipe.h>
#include <truq/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Float to fake-quantised by a recipe, whose name the network remembers. `edit` says what to log, dump and where to stop (its
 *  registry and recipe are set here; NULL: nothing). On failure *graph is unchanged. TQ_ERR_STATE if it is not a float network. */
TQ_API tq_status tq_f2f_run(tq_graph **graph, const tq_recipe *recipe, const tq_edit *edit, int *out_n_quantizers);

/** Trains (tq_train), with the editors that the recipe left with the network and those of options->edit: the moment POST_TRAIN runs
 *  on the trained network, the pipeline post-train; what else the caller brings runs in pre-grad. */
TQ_API tq_status tq_train_run(tq_graph **graph, const tq_train_options *options, tq_train_result *out_result);

typedef struct tq_f2t_options {
    const char *backend;                    /* NULL: "generic" */
    int shift;                              /* -1: as large as the proof allows; 24: QuantLib's arithmetic */
    bool force_half_up;
    int n_input_scales;                     /* as in tq_true_options */
    const char *const *input_names;
    const double *input_scales;
    int n_editors;                          /* more editors, run before the conversion */
    const char *const *editors;
    bool partial;                           /* what has no integer form stays float (see tq_true_options): a network of reals outside,
                                               of integers inside */
    int n_codes;                            /* of an integer network of others: what its inputs hold */
    const char *const *code_names;          /* NULL entry: all inputs */
    const tq_range *codes;
} tq_f2t_options;

/** Fake- to true-quantised, or an integer network of others (dialect deeploy, quantlib or nemo; `codes` must say what inputs
 *  hold unless they remember it) to one of ours, for a backend: its limits, its editors; TQ_ERR_UNSUPPORTED names a node that it
 *  could not run. The network remembers the backend's name. Stopped by edit->stop_after, neither the backend's editors nor that
 *  check run. On failure *graph is unchanged. */
TQ_API tq_status tq_f2t_run(tq_graph **graph, const tq_f2t_options *options, const tq_edit *edit);

/** How the scale of an input is known without an option: metadata "quant.scale" of the value, else the grid of the preset the
 *  network remembers (registered ones). False if nothing is known. */
TQ_API bool tq_input_scale(const tq_graph *graph, int i, double *out_scale);

/* ---- leaving ------------------------------------------------------------------------------- */

/** One data point as codes of a true network with one input, batch 1: preset, then the grid stored at the input. */
TQ_API tq_status tq_sample_codes(const tq_graph *graph, const tq_preset *preset, const tq_sample *sample, tq_tensor *out_codes);

/** Writes what the backend's tools take into `folder` (created if missing): its own files, or NAME.onnx where it has none.
 *  `inputs`: sample codes, one per graph input, batch 1; NULL: fixed random codes. Checks first that the network is a true one and
 *  that the backend can run each node (TQ_ERR_UNSUPPORTED names it). */
TQ_API tq_status tq_export_run(const tq_graph *graph, const char *backend, const tq_tensor *inputs, const char *folder,
                               void (*log)(void *context, const char *line), void *context);

/** Creates a folder and those above it; fine if it is there. */
TQ_API tq_status tq_folder_create(const char *path);

/* ---- the whole road ------------------------------------------------------------------------ */

typedef struct tq_road_options {
    const tq_registry *registry;
    const tq_recipe *recipe;
    const char *backend;                    /* NULL: "generic" */
    const tq_dataset *data, *test;          /* calibrated and trained on `data`, judged on `test` (NULL: `data`) */
    const tq_preset *preset;
    const char *preset_name;                /* stored in the networks */
    const char *loss, *target;              /* NULL: as the data */
    int64_t calibration_batches, batch;     /* 0: all; 32 */
    int64_t epochs;                         /* 0: no training */
    int64_t limit;                          /* > 0: judge on so many */
    const char *optimizer, *schedule;       /* NULL: the recipe's; cosine */
    double lr;                              /* <= 0: the recipe's */
    uint64_t seed;
    int n_threads;
    const char *folder;                     /* created if missing */
    const char *command_line;               /* for the manifest */
    tq_progress_fn progress;
    void (*log)(void *context, const char *line);   /* one line a step */
    void *context;
} tq_road_options;

/** A network on its road and how it does. */
typedef struct tq_road_stage {
    const char *name, *file;                /* "FP", "float.onnx" */
    int64_t bytes;
    tq_eval_result result;                  /* predictions and labels are freed by then */
    double agreement;                       /* percent of predictions equal to the stage before; NaN for the first */
} tq_road_stage;

enum { TQ_ROAD_MAX_STAGES = 4 };
typedef struct tq_road_result {
    int n_stages;
    tq_road_stage stages[TQ_ROAD_MAX_STAGES];
    int n_quantizers, n_true_nodes;
    bool exported;                          /* the backend wrote its files */
} tq_road_result;

/** Walks the road from a float network into a folder: float.onnx, fake.onnx, calibrated.onnx, with training trained.onnx and run/,
 *  true.onnx, the backend's files in a folder of its name, manifest.json. */
TQ_API tq_status tq_road_run(const tq_graph *model, const tq_road_options *options, tq_road_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
