/* What the files that narrow integer networks share: requantisations as others spell them. */
#ifndef TQ_PASSES_NARROW_H
#define TQ_PASSES_NARROW_H

#include <truq/edit.h>
#include <truq/op.h>

enum { TQ_NARROW_MAX_INNER = 8 };

/* clip((x * mul + add) >> shift, q_min, q_max), mul and add along one axis of x. */
typedef struct tq_narrow_chain {
    tq_value *x;
    int axis; /* -1: n is 1 */
    int64_t n, *mul, *add;
    int64_t shift, q_min, q_max;
    int n_inner;
    const tq_node *inner[TQ_NARROW_MAX_INNER]; /* before the last one; nobody else reads them */
} tq_narrow_chain;

/* Is `end` a RequantShift, or a Clip behind products, sums and a ShiftRight? */
bool tq_narrow_find_chain(const tq_node *end, tq_arena *arena, tq_narrow_chain *out);

/* Constant input i, NULL if it is none. */
const tq_tensor *tq_narrow_constant(const tq_node *node, int i);

#endif
