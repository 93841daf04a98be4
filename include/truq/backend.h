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

/** How many groups a convolution may have. */
typedef enum tq_group_limit { TQ_GROUPS_ANY, TQ_GROUPS_ONE, TQ_GROUPS_DEPTHWISE /* one, or inputs = outputs = groups */ } tq_group_limit;

/** What a target takes of one operator of integer networks. Zero and NULL: whatever comes. */
typedef struct tq_op_limits {
    const char *op;                 /* "ConvInteger" */
    uint32_t dtypes;                /* of input 0: bits 1 << dtype */
    uint32_t weight_dtypes;         /* of input 1 */
    bool constant_weight;           /* input 1 is a constant */
    int rank;                       /* of input 0: 4 for images */
    int64_t kernel_max, stride_max, dilation_max;   /* along any axis of a window */
    int64_t in_channels_max, out_channels_max;
    tq_group_limit groups;
    bool no_pads, symmetric_pads, no_ceil;
    bool (*accepts)(const tq_node *node, const char **why);   /* what a table cannot say */
} tq_op_limits;

/** One chip of a target: its memories in bytes and its speed; 0: there is none, or it is not known. */
typedef struct tq_chip {
    const char *name;               /* "GAP8" */
    int64_t memory;                 /* weights and activations together, on chip */
    int64_t outside_memory;         /* beside the chip: slower, but a network that only fits there runs */
    double macs_per_cycle, clock_hz;
} tq_chip;

typedef struct tq_backend {
    tq_entry entry;
    /** A node it refuses stays on the CPU; `why` (may be NULL) gets a short reason. Asked after the table of operators; NULL: the
     *  table says all. */
    bool (*can_run)(const tq_node *node, const char **why);
    const char *editors[16];        /* run by f2t --backend at stage backend, in order */
    tq_requant_limits requant;
    int weight_bits, activation_bits;
    bool zero_points;               /* takes zero points other than 0 */
    /** Checks everything first, then writes; nothing half-written. NULL: export as ONNX only. */
    tq_status (*export_files)(const tq_graph *graph, const tq_export_request *request);
    /** What only a whole integer network shows (what cannot be fused, say); NULL: nothing. check asks. */
    tq_status (*check_graph)(const tq_graph *graph);
    const tq_op_limits *ops;        /* operators it takes, to an entry without name; NULL: every integer operator */
    const tq_chip *chips;           /* to an entry without name; NULL: nothing is known */
} tq_backend;

/** Can the backend run this node of an integer network? TQ_ERR_UNSUPPORTED says why not ("kernel 9 is beyond 7"). Reads the table
 *  of operators, the limits on zero points and requantisations, and can_run: export, f2t, check and partition all ask here. */
TQ_API tq_status tq_backend_check_node(const tq_backend *backend, const tq_node *node);
/** All nodes; the message names backend and node. */
TQ_API tq_status tq_backend_check_graph(const tq_backend *backend, const tq_graph *graph);

#ifdef __cplusplus
}
#endif
#endif
