/* What the files of this backend share: a true-quantised graph read as the layers DORY will fuse.
 */
#ifndef TQ_DORY_INTERNAL_H
#define TQ_DORY_INTERNAL_H

#include <truq/backend.h>
#include <truq/op.h>

extern const tq_backend tq_backend_dory;

typedef enum dory_kind {
    DORY_CONV,
    DORY_LINEAR,
    DORY_MAX_POOL,
    DORY_AVERAGE_POOL,
    DORY_ADD
} dory_kind;

/* One operand of an addition: a value and, when its producer cannot fuse it, the requantisation on
 * it. */
typedef struct dory_operand {
    tq_value *value;
    tq_node *requant;
} dory_operand;

/* One hardware layer: operator, int32 bias, requantisation. */
typedef struct dory_layer {
    dory_kind kind;
    const char *name; /* "conv0": safe in files and C */
    tq_node *node, *bias, *requant;
    dory_operand operands[2];
    tq_value *result;
} dory_layer;

typedef struct dory_net {
    const tq_graph *graph;
    tq_arena *arena;
    int n;
    size_t capacity;
    dory_layer *layers;
} dory_net;

/* Reads the layers and checks them against the frontend's rules; the first breach names node and
 * way out. */
tq_status dory_read(const tq_graph *graph, tq_arena *arena, dory_net *out_net);

/* The network as the frontend reads it: float32 carrying integers, numbered tensors, annotations.
 */
tq_status dory_spell(const dory_net *net, tq_graph **out_graph);

/* config_NAME.json, NAME_ql_integerized.onnx, input.txt, out_layer*.txt, output.txt. */
tq_status dory_write(const dory_net *net, const tq_graph *spelt, const tq_export_request *request);

/* The one number of a constant input (per-tensor multiplier, addend). */
int64_t dory_scalar(const tq_node *node, int input);
bool dory_is_scalar(const tq_node *requant);
/* The node's output is read by one node and is no output of the graph: that node, else NULL. */
tq_node *dory_only_consumer(const tq_value *value);
/* Reshapes that DORY passes over. */
bool dory_is_flatten(const tq_node *node);

#endif
