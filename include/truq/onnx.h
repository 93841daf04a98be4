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

/** Writes `path` atomically. opset 13 to 24, or 10 (DORY); 0: 17, or the first later one that has all
 *  operators. Weights beyond 2 GiB go to PATH.data. No time, host or path inside. TQ_ERR_UNSUPPORTED if an operator has no form in that opset. Attributes that ONNX does not know come in as node
 *  metadata "attr.NAME" ("1", "0.5", "text"); opset 10 writes them as attributes again, the others as metadata. */
TQ_API tq_status tq_onnx_export(const tq_graph *graph, const char *path, int opset);

/** Reads the arrays of a .safetensors file in the order of the file. Names and the array of tensors lie in `arena`;
 *  each tensor owns its data: reset it with tq_tensor_reset. */
TQ_API tq_status tq_safetensors_load(const char *path, tq_arena *arena, int *out_n, const char ***out_names,
                                     tq_tensor **out_tensors);
/** Gives the constants of these names the data of the tensors (floats are converted to the constant's dtype). Errors
 *  list every missing name (constants that are parameters: float and not scalar, or weights of a linear operator),
 *  extra name and mis-shaped tensor; nothing changes then. "num_batches_tracked" of batch norms is ignored. */
TQ_API tq_status tq_weights_apply(tq_graph *graph, int n, const char *const *names, const tq_tensor *tensors);
/** The same for those that fit; *out_rest (in `arena`) lists what does not, as the error would, or is NULL. TQ_ERR_VALUE if
 *  nothing fits. */
TQ_API tq_status tq_weights_apply_some(tq_graph *graph, int n, const char *const *names, const tq_tensor *tensors,
                                       tq_arena *arena, int *out_n_applied, const char **out_rest);
/** Writes all constants as .safetensors. */
TQ_API tq_status tq_safetensors_save(const tq_graph *graph, const char *path);

/** Writes a whole file atomically: temporary name beside it, fsync, rename. Devices are written in place. */
TQ_API tq_status tq_file_write(const char *path, const void *bytes, size_t size);
/** Reads a whole regular file; free(*out_bytes). A NUL follows the last byte. TQ_ERR_IO names it. */
TQ_API tq_status tq_file_read(const char *path, void **out_bytes, size_t *out_size);

#ifdef __cplusplus
}
#endif
#endif
