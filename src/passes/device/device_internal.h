/* What the files on devices share: the dry road of a network, and sizes. */
#ifndef TQ_DEVICE_INTERNAL_H
#define TQ_DEVICE_INTERNAL_H

#include "base/base.h"

#include <truq/device.h>
#include <truq/integerise.h>
#include <truq/op.h>

/* The editors that changed one node of the original, in order. */
typedef struct tq_trail {
    const char *node;
    uint32_t shape; /* digest of the node as it was last seen */
    bool gone;
    int n;
    size_t capacity;
    const char **editors;
} tq_trail;

/* A network taken to integers without data. */
typedef struct tq_dry_run {
    const tq_backend *backend;
    tq_arena *arena;
    int n;
    tq_trail *trails; /* of the original nodes, in order */
    tq_graph *fake;   /* with grids, placed where no data was seen; NULL for integer networks */
    tq_graph *result; /* after the partial conversion; of an integer network a copy */
} tq_dry_run;

tq_status tq_dry_run_make(const tq_graph *graph, const tq_backend *backend, const tq_recipe *recipe,
                          tq_arena *arena, tq_dry_run *out);
void tq_dry_run_reset(tq_dry_run *run);
/* The whole conversion of run->fake, nothing left float; the caller destroys it. */
tq_status tq_dry_run_whole(const tq_dry_run *run, tq_graph **out_graph);

/* Is it made of integers already, wholly or in part? */
bool tq_is_integer_network(const tq_graph *graph);

/* Bits of one element as the target stores it: a quantiser's, the dtype's, else 8. */
int tq_stored_bits(const tq_value *value);
/* Does it hold codes, or reals on a quantiser's grid? */
bool tq_is_on_grid(const tq_value *value);
/* Bytes of one sample (an unknown dim is 1). */
int64_t tq_stored_bytes(const tq_value *value);
/* A constant as `reader`, which reads it, has it stored: with the bits of a quantiser, a float as a
 * 32-bit integer; 0 for a quantiser's parameters. */
int64_t tq_constant_bytes(const tq_value *value, const tq_node *reader);
/* Constants that a node reads itself or through a quantiser. */
int64_t tq_weight_bytes(const tq_node *node);
/* Most bytes of activations alive at once, and the node that computes then. */
int64_t tq_peak_bytes(const tq_graph *graph, tq_arena *arena, const char **out_node);

#endif
