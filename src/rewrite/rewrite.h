/* The machinery that edits graphs: finder, applier, pipelines. See <truq/edit.h>. */
#ifndef TQ_REWRITE_H
#define TQ_REWRITE_H

#include <truq/edit.h>

/* Says what was done: "fold-batchnorm: conv1, bn1". */
void tq_edit_log(const tq_edit *edit, const char *format, ...) TQ_PRINTF(2, 3);

/* Does `node` match pattern node by pattern node, the last one being `last`? Fills the match. */
bool tq_pattern_match_at(const tq_pattern *pattern, tq_graph *graph, tq_node *last,
                         tq_match *match);

#endif
