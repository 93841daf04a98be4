/* Loading a model the way every command does. */
#ifndef TRUQ_MODEL_H
#define TRUQ_MODEL_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Imports an ONNX file and, when it is an integer network spelt in floats (QuantLib, NEMO, Deeploy), gives it integers to
 *  compute with. `dialect`: NULL finds out, "onnx" takes the file as it is, "nemo", "quantlib", "deeploy" force one.
 *  The caller destroys the graph. Fails as tq_onnx_import does; TQ_ERR_VALUE for an unknown dialect. */
TQ_API tq_status tq_model_load(const tq_registry *registry, const char *path, const char *dialect, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
