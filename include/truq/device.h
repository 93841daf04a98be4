/* Before anything is trained: what a target can run of a network, and which part of it runs where. */
#ifndef TRUQ_DEVICE_H
#define TRUQ_DEVICE_H

#include <truq/backend.h>
#include <truq/recipe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- feasibility ---------------------------------------------------------------------------- */

typedef enum tq_verdict {
    TQ_RUNS,                        /* as it is */
    TQ_RUNS_AFTER,                  /* when editors have changed it */
    TQ_NEVER_RUNS
} tq_verdict;
TQ_API const char *tq_verdict_name(tq_verdict verdict);     /* "runs", "runs after", "never" */

typedef struct tq_feasible_node {
    const char *node, *op;
    tq_verdict verdict;
    int n_editors;
    const char *const *editors;     /* that change or remove it on the way, in order */
    const char *why;                /* it never runs */
    int64_t macs, weight_bytes, output_bytes;   /* of one sample, as quantised */
} tq_feasible_node;

/** A chip of the target and the network in it. */
typedef struct tq_chip_use {
    const tq_chip *chip;
    bool fits, fits_outside;        /* on chip; with the memory beside it */
    double ms;                      /* of the MACs alone, one sample; NaN: its speed is not known */
} tq_chip_use;

enum { TQ_MAX_CHIPS = 8 };
typedef struct tq_feasibility {
    const tq_backend *backend;
    bool runs;                      /* all of it, and it fits a chip where they are known */
    int n, n_runs, n_after, n_never;
    tq_feasible_node *nodes;        /* in order of the graph */
    const char *problem;            /* what only the whole network shows, or NULL */
    int64_t macs, weight_bytes, peak_bytes;     /* peak: activations alive at once */
    const char *peak_node;
    int n_chips;
    tq_chip_use chips[TQ_MAX_CHIPS];
} tq_feasibility;

/** Judges a network of any stage by doing it dry: a float network passes the recipe's pipeline (NULL: pact8), quantisers that saw
 *  no data get a grid, then comes the partial conversion for the backend; what stays float or is refused by the backend's
 *  table never runs. Weights and activations count with the bits of their quantisers (8 where there is none); activations that an
 *  operator can overwrite share memory. `graph` does not change; the result lives in `arena`. */
TQ_API tq_status tq_feasibility_run(const tq_graph *graph, const tq_backend *backend, const tq_recipe *recipe, tq_arena *arena,
                                    tq_feasibility *out);

/** Bits of one element: of a quantiser's codes (also where only quantisers read the value), else of the dtype. */
TQ_API int tq_value_bits(const tq_value *value);

/* ---- devices -------------------------------------------------------------------------------- */

/* Node metadata "device" is "cpu" or a backend's name: editor assign-devices writes it where it is not set yet, and "device.why"
 * with what the device refuses. It reads the graph's metadata "device.backend" ("generic" if absent) and "device.ops" (only these operators; all if absent). F2F quantises
 * what is on a device alone (quantize-borders where values cross), a partial conversion leaves the cpu's part float. */

/** A convex part of a network: what it computes does not come back to it through others. */
typedef struct tq_part {
    const char *device;
    int n_nodes, n_inputs, n_outputs;
    tq_node **nodes;
    tq_value **inputs, **outputs;   /* in order of the graph */
} tq_part;

/** A value that goes from a part into another one; -1: an input or output of the network. */
typedef struct tq_crossing {
    tq_value *value;
    int from, to;
    int64_t bytes;                  /* one sample */
} tq_crossing;

typedef struct tq_parts {
    int n, n_crossings;
    tq_part *parts;                 /* in an order in which they can run */
    tq_crossing *crossings;
    int64_t bytes, bytes_kept;      /* one sample: between devices; between parts of one device */
} tq_parts;

/** Cuts a network whose nodes have devices into as few convex parts as a greedy merge finds. Quantisers without a device belong to
 *  the device beside them, other nodes without one to the cpu. What is made of constants alone does not cross: each part that reads
 *  it has it. */
TQ_API tq_status tq_parts_find(const tq_graph *graph, tq_arena *arena, tq_parts *out);
/** One part as a network of its own: inputs and outputs have the names of the values that cross. The caller destroys it. */
TQ_API tq_status tq_part_extract(const tq_graph *graph, const tq_part *part, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
