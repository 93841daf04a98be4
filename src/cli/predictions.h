/* Predictions of one network, by id. */
#ifndef TQ_CLI_PREDICTIONS_H
#define TQ_CLI_PREDICTIONS_H

#include "cli.h"

typedef struct tq_prediction {
    int64_t id, label, prediction;
} tq_prediction;

typedef struct tq_predictions {
    const char *name; /* of the file they come from */
    int64_t n;
    tq_prediction *items; /* sorted by id, in the arena */
    double loss;          /* NaN: not known */
} tq_predictions;

bool tq_predictions_is_csv(const char *path);
/** What 'truq eval --save' wrote. */
tq_status tq_predictions_load(const char *path, tq_arena *arena, tq_predictions *out);
tq_status tq_predictions_make(const tq_graph *graph, const char *path,
                              const tq_eval_options *options, tq_arena *arena, tq_predictions *out);
/** Percent right; NaN if a label is missing. */
double tq_predictions_top1(const tq_predictions *p);

#endif
