/* Loading a model the way every command does. */
#ifndef TRUQ_MODEL_H
#define TRUQ_MODEL_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whose quantised network it is, or how it is spelt. "onnx" is any file as it stands. */
#define TQ_DIALECTS "onnx, nemo, quantlib, deeploy, qdq, qoperator, qonnx, tflite"

/** Imports an ONNX or TensorFlow Lite file, or the text of tq_graph_print with all its constants. What others quantised becomes ours: an integer network spelt in floats (QuantLib, NEMO, Deeploy) gets
 *  integers to compute with; networks in QDQ, QOperator or QONNX form become fake-quantised, on reals at inputs and outputs.
 *  `dialect`: NULL finds out, one of TQ_DIALECTS forces it. The caller destroys the graph. Fails as tq_onnx_import does; TQ_ERR_VALUE for an unknown dialect. */
TQ_API tq_status tq_model_load(const tq_registry *registry, const char *path, const char *dialect, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
