/* What the editors of the graph mode share: observers and what they have seen. */
#ifndef TQ_PASSES_OBSERVED_H
#define TQ_PASSES_OBSERVED_H

#include <truq/op.h>
#include <truq/recipe.h>

/* What calibration left with an observer; false: it has seen nothing. */
bool tq_observed_statistics(const tq_node *observer, tq_statistics *out);
/* What the grid of an observer shall be. */
tq_range tq_observed_range(const tq_node *observer);
/* A constant, or codes that QuantizeLinear or FakeQuantize made, perhaps moved. */
bool tq_is_on_written_grid(const tq_value *value);

#endif
