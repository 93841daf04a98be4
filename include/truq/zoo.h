/* The model zoo: networks made by builders, or from a description. */
#ifndef TRUQ_ZOO_H
#define TRUQ_ZOO_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_zoo_options {
    double capacity;            /* width multiplier, 0: 1.0 */
    const char *activation;     /* "relu" (default) or "relu6" */
    int64_t classes;            /* 0: the network's own default */
    int64_t input[3];           /* C, H, W; 0: the network's own default */
    uint64_t seed;
} tq_zoo_options;

/** A network builder: adds input "input", the layers, output "logits" to an empty graph. */
typedef struct tq_zoo {
    tq_entry entry;             /* "mobilenet_v1", ... */
    tq_status (*build)(tq_graph *graph, const tq_zoo_options *options);
} tq_zoo;

/** Builds by name. */
TQ_API tq_status tq_zoo_build(const tq_registry *registry, const char *name, const tq_zoo_options *options,
                              tq_graph **out_graph);

/* ---- descriptions: see docs/zoo.md ----------------------------------------------------------- */

/** "name: value" or "name: [a, b]" of a description, with its place in the file. */
typedef struct tq_zoo_param {
    const char *name;
    int n;
    const char *const *texts;
    const double *numbers;      /* NaN where the text is no number */
    bool is_list;
    size_t line, column;
} tq_zoo_param;

/** One layer, or layers that repeat. */
typedef struct tq_zoo_layer {
    const char *op;             /* ONNX spelling, or "Activation"; NULL: repeats */
    int n_params;
    const tq_zoo_param *params; /* attributes and what layers have besides: name, from, channels, init, ... */
    int64_t repeat;
    const char *name;           /* of what repeats; NULL: made */
    int n_layers;
    const struct tq_zoo_layer *layers;
    size_t line, column;
} tq_zoo_layer;

/** A network in words. */
typedef struct tq_zoo_description {
    const char *file, *name;
    int n_inputs;
    const tq_zoo_param *inputs;   /* name and sizes without the batch */
    int n_params;
    const tq_zoo_param *params;   /* of the whole: init, classes, outputs */
    int n_layers;
    const tq_zoo_layer *layers;
} tq_zoo_description;

/** Reads a YAML file (defined in the recipe room); errors carry file, line and column. Lives in `arena`. */
TQ_API tq_status tq_zoo_read_description(const char *path, tq_arena *arena, const tq_zoo_description **out);
/** Builds it. Of the options, `input` replaces the sizes of the first input, `classes` what the file says, `capacity` widens
 *  convolutions (groups of 1), `activation` is what "Activation" stands for. Errors carry file, line and column of the layer. */
TQ_API tq_status tq_zoo_build_description(const tq_registry *registry, const tq_zoo_description *description,
                                          const tq_zoo_options *options, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
