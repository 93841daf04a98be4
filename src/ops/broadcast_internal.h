/* Rows of a broadcasting operator: the longest innermost runs that every operand walks with step 0
 * or 1, so that inner loops are plain. */
#ifndef TQ_OPS_BROADCAST_INTERNAL_H
#define TQ_OPS_BROADCAST_INTERNAL_H

#include "ops/ops.h"

enum { TQ_BROADCAST_INPUTS = 4 };

/** What one row is made of. step[i] is 0 (one value for the whole row) or 1. */
typedef struct tq_row {
    int64_t n;
    const void *in[TQ_BROADCAST_INPUTS];
    int64_t step[TQ_BROADCAST_INPUTS];
    void *out;
} tq_row;

/** Calls row(context, ...) for the rows of an output of type `out`, in order. */
void tq_broadcast_rows(int n_in, const void *const *in, const tq_type *const *in_types, void *out,
                       const tq_type *out_type, void (*row)(const void *context, const tq_row *row),
                       const void *context);

#endif
