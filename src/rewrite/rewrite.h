/* The machinery that edits graphs: finder, applier, pipelines. See <truq/edit.h>. */
#ifndef TQ_REWRITE_H
#define TQ_REWRITE_H

#include <truq/edit.h>

/* Says what was done: "fold-batchnorm: conv1, bn1". */
void tq_edit_log(const tq_edit *edit, const char *format, ...) TQ_PRINTF(2, 3);

/* Does `node` match pattern node by pattern node, the last one being `last`? Fills the match. */
bool tq_pattern_match_at(const tq_pattern *pattern, tq_graph *graph, tq_node *last,
                         tq_match *match);

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
/* TQ_ERR_CHECK says what is different. */
tq_status tq_interface_check(const tq_interface *before, const tq_graph *graph);

#endif
