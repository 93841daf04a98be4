/* What the editors of float networks share. */
#ifndef TQ_PASSES_FLOAT_H
#define TQ_PASSES_FLOAT_H

#include <truq/edit.h>

/* A constant with the tensor of the one that `identity` reads and the name of what it makes takes
 * the place of both. */
tq_status tq_separate_constant(tq_graph *graph, tq_node *identity);

#endif
