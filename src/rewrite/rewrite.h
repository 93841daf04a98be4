/* The machinery that edits graphs: finder, applier, pipelines. See <truq/edit.h>. */
#ifndef TQ_REWRITE_H
#define TQ_REWRITE_H

#include <truq/edit.h>

/* Says what was done: "fold-batchnorm: conv1, bn1". */
void tq_edit_log(const tq_edit *edit, const char *format, ...) TQ_PRINTF(2, 3);

/* An editor that makes its own matches stops after so many rounds, or so many edits for the size of
 * the network: each round may find more than the one before. */
enum { TQ_EDIT_MAX_ROUNDS = 1000 };
int64_t tq_edit_limit(const tq_graph *graph);

/* Does `node` match pattern node by pattern node, the last one being `last`? Fills the match. */
bool tq_pattern_match_at(const tq_pattern *pattern, tq_graph *graph, tq_node *last,
                         tq_match *match);

/* Which nodes matches have taken. */
typedef struct tq_node_set {
    size_t n, capacity;
    const tq_node **slots;
    tq_arena *arena;
} tq_node_set;
bool tq_node_set_has(const tq_node_set *set, const tq_node *node);
void tq_node_set_add(tq_node_set *set, const tq_node *node);

/* What others rely on: the inputs and outputs of a network. */
typedef struct tq_port {
    const char *name;
    tq_type type;
} tq_port;
typedef struct tq_interface {
    int n_inputs, n_outputs;
    tq_port *ports; /* inputs, then outputs */
} tq_interface;

tq_interface tq_interface_of(const tq_graph *graph, tq_arena *arena);
/* TQ_ERR_CHECK says what is different. New outputs take the names of those they replaced. */
tq_status tq_interface_check(const tq_interface *before, const tq_graph *graph);

/* What an annotator must leave alone. */
typedef struct tq_node_digest {
    const char *name;
    uint32_t crc;
} tq_node_digest;
typedef struct tq_topology {
    int n;
    tq_node_digest *nodes;
    uint32_t ports;
} tq_topology;

tq_topology tq_topology_of(const tq_graph *graph, tq_arena *arena);
/* TQ_ERR_CHECK names the first node that is different. */
tq_status tq_topology_check(const tq_topology *before, const tq_graph *graph, tq_arena *arena);

#endif
