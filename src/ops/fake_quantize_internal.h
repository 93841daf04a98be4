/* What FakeQuantize, its gradient and WeightRange check alike; the rest is in the door of the room.
 */
#ifndef TQ_OPS_FAKE_QUANTIZE_INTERNAL_H
#define TQ_OPS_FAKE_QUANTIZE_INTERNAL_H

#include "ops/ops.h"

#include <truq/fake.h>

/** Parameters in inputs first, first + 1, ... are f32 with one entry, or one per index of axis. */
tq_status tq_fake_check_params(const tq_op_types *t, const tq_fake *fake, int first);

#endif
