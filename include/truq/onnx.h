/* ONNX files to graphs and back; weights files. */
#ifndef TRUQ_ONNX_H
#define TRUQ_ONNX_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Reads an ONNX model, opset 7 to 28, each operator by the schema version in force, brought to the newest form.
 *  External data only from the model's folder or below. Operators or dtypes not implemented: TQ_ERR_UNSUPPORTED.
 *  Graph metadata (keys "preset", "stage", ...), node and value metadata come from metadata_props. */
TQ_API tq_status tq_onnx_import(const tq_registry *registry, const char *path, tq_graph **out_graph);
/** As above from memory; `name` serves messages, `folder` external data (NULL: refused). */
TQ_API tq_status tq_onnx_import_bytes(const tq_registry *registry, const void *bytes, size_t size, const char *name,
                                      const char *folder, tq_graph **out_graph);

/** Writes `path` atomically. opset 13 to 23, or 10 (DORY); 0: 17. Weights beyond 2 GiB go to PATH.data. No time, host or path
 *  inside. TQ_ERR_UNSUPPORTED if an operator has no form in that opset. */
TQ_API tq_status tq_onnx_export(const tq_graph *graph, const char *path, int opset);

/** Weights by name from .safetensors or .npz into constants of that name. With errors for missing (constants of the graph that are
 *  parameters), extra and mis-shaped names, all listed; nothing changes then. */
TQ_API tq_status tq_weights_load(tq_graph *graph, const char *path);
/** Writes all constants as .safetensors. */
TQ_API tq_status tq_safetensors_save(const tq_graph *graph, const char *path);

/** Writes a whole file atomically: temporary name beside it, fsync, rename. */
TQ_API tq_status tq_file_write(const char *path, const void *bytes, size_t size);
/** Reads a whole file; free(*out_bytes). TQ_ERR_IO names it. */
TQ_API tq_status tq_file_read(const char *path, void **out_bytes, size_t *out_size);

#ifdef __cplusplus
}
#endif
#endif
