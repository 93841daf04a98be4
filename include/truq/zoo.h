/* The model zoo: networks made by builders. */
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

#ifdef __cplusplus
}
#endif
#endif
