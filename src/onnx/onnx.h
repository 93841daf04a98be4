/* Door of the ONNX room: what its tests need beyond the public header. */
#ifndef TQ_ONNX_ONNX_H
#define TQ_ONNX_ONNX_H

#include <truq/onnx.h>

/** As tq_onnx_export, but constants leave the model file when they are more than `inline_limit`
 *  bytes in all. */
tq_status tq_onnx_write(const tq_graph *graph, const char *path, int opset, size_t inline_limit);

#endif
