/* Hardware targets: what they can run, their editors, their exporters. */
#ifndef TRUQ_BACKEND_H
#define TRUQ_BACKEND_H

#include <truq/edit.h>
#include <truq/quant.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_export_request {
    const char *folder;             /* created if missing */
    const char *name;               /* of the network, already safe for file names */
    const tq_tensor *inputs;        /* sample codes, one per graph input, batch 1 */
    int n_inputs;
    const tq_registry *registry;
    void (*log)(void *context, const char *line);
    void *context;
} tq_export_request;

typedef struct tq_backend {
    tq_entry entry;
    /** A node it refuses stays on the CPU; `why` (may be NULL) gets a short reason. */
    bool (*can_run)(const tq_node *node, const char **why);
    const char *editors[16];        /* run by f2t --backend at stage backend, in order */
    tq_requant_limits requant;
    int weight_bits, activation_bits;
    bool zero_points;               /* takes zero points other than 0 */
    /** Checks everything first, then writes; nothing half-written. NULL: export as ONNX only. */
    tq_status (*export_files)(const tq_graph *graph, const tq_export_request *request);
} tq_backend;

#ifdef __cplusplus
}
#endif
#endif
