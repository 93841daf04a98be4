/* TensorFlow Lite files to graphs. */
#ifndef TRUQ_TFLITE_H
#define TRUQ_TFLITE_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Reads a .tflite model (schema version 3, one subgraph, shapes fixed) as a float network in which quantised tensors are pairs of
 *  QuantizeLinear and DequantizeLinear, and inputs and outputs the codes that the file has; <truq/model.h> makes a fake-quantised
 *  network of it. Images become N, C, H, W, at inputs and outputs too; a batch of 1 becomes any. Metadata "dialect" = "tflite".
 *  TQ_ERR_FORMAT if the file is damaged, TQ_ERR_UNSUPPORTED (naming operator and tensor) for what is not implemented. */
TQ_API tq_status tq_tflite_import(const tq_registry *registry, const char *path, tq_graph **out_graph);
/** As above from memory; `name` serves messages. */
TQ_API tq_status tq_tflite_import_bytes(const tq_registry *registry, const void *bytes, size_t size, const char *name,
                                        tq_graph **out_graph);
/** Does the file begin as such models do? False too if it cannot be read. */
TQ_API bool tq_tflite_is_file(const char *path);

#ifdef __cplusplus
}
#endif
#endif
