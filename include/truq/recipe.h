/* Recipes: which quantiser goes where. */
#ifndef TRUQ_RECIPE_H
#define TRUQ_RECIPE_H

#include <truq/quant.h>
#include <truq/edit.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A slot of an operator that can carry a quantiser. */
typedef enum tq_slot {
    TQ_SLOT_INPUT,          /* graph inputs; with conditions on nodes: the inputs of those nodes */
    TQ_SLOT_WEIGHT,         /* weights of linear operators */
    TQ_SLOT_ACTIVATION,     /* outputs of activations (Relu, Clip, LeakyRelu, Sigmoid, ...) */
    TQ_SLOT_ADD,            /* inputs and output of an add tree, one shared scale */
    TQ_SLOT_CONCAT,         /* output of Concat */
    TQ_SLOT_POOL,           /* output of average pools */
    TQ_SLOT_INTERPOSED,     /* between two linear operators with nothing between them, and wherever a linear operator or
                               unary function would read a value that is not quantised */
    TQ_SLOT_CORRELATION,    /* what a linear operator accumulates, before its bias */
    TQ_SLOT_BIAS,           /* biases of linear operators */
    TQ_SLOT_SUM,            /* correlation + bias; without a bias the correlation itself */
    TQ_SLOT_OUTPUT,         /* graph outputs; with conditions on nodes: output 0 of those nodes */
    TQ_N_SLOTS
} tq_slot;
TQ_API const char *tq_slot_name(tq_slot slot);

/** What to put on a slot. */
typedef struct tq_slot_spec {
    const char *quantizer;      /* "pact"; NULL: leave it alone */
    tq_range range;
    bool per_channel;           /* per-outchannel_weights */
    tq_init init;
    tq_rounding rounding;
    const char *share;          /* "concat", "add": one grid with what meets this value there; other words: one grid for all
                                   quantisers of that group; NULL: a grid of its own */
    bool unsigned_if_positive;  /* a signed range becomes the unsigned one of as many levels when the observed minimum is >= 0 */
} tq_slot_spec;

/** A filter over nodes: all conditions given must hold. */
typedef struct tq_filter {
    const char *regex;          /* POSIX extended, on the node's name; NULL: any */
    const char *const *types;   /* operator names (also what tq_recipe_type_name gives), NULL-terminated; NULL: any */
    const char *const *exclude; /* exact node names */
    bool first, last;           /* only the first / last linear operator */
} tq_filter;

/** A rule: for nodes the filter accepts, this spec on this slot. Later rules win. */
typedef struct tq_recipe_rule {
    tq_filter filter;
    tq_slot slot;
    tq_slot_spec spec;
} tq_recipe_rule;

typedef struct tq_recipe {
    tq_entry entry;             /* "pact8" */
    const char *pipeline;       /* of editors: "f2f" */
    int n_rules;
    const tq_recipe_rule *rules;
    bool head_per_tensor;       /* linear operators that make a graph output have one weight scale: logits compare */
    bool fuse_activations;      /* a sum read only by a quantised activation has no quantiser of its own */
    const char *const *const *merges;   /* lists of names of nodes or values whose quantisers have one grid; each list and the
                                           whole end with NULL; NULL: none */
    int n_editors;              /* that join the pipeline at their anchors (tq_edit.more) */
    const tq_editor *const *editors;
    /* defaults for truq quantize and train */
    const char *optimizer;
    double lr;
    int epochs;
    const char *const *controllers;     /* "freeze-bn:1", ...; ends with NULL; NULL: none */
} tq_recipe;

/** What a fake-quantised network remembers of its recipe: how it is trained, and editors whose stage is still to come; NULL and 0
 *  where it remembers nothing. */
typedef struct tq_recipe_memory {
    const char *optimizer;
    double lr;
    int epochs;
    const char *const *controllers;     /* ends with NULL */
    int n_editors;
    const tq_editor *const *editors;
} tq_recipe_memory;

/** "pact8", or a YAML file (ends in .yaml or .yml); errors carry line and column. The recipe lives in `arena`. */
TQ_API tq_status tq_recipe_load(const tq_registry *registry, const char *name_or_file, tq_arena *arena,
                                const tq_recipe **out_recipe);

/** As tq_recipe_load, but first loads the plug-ins that the file lists (a path is taken from the file's folder). tq_recipe_load
 *  refuses a file that lists some. */
TQ_API tq_status tq_recipe_open(tq_registry *registry, const char *name_or_file, tq_arena *arena,
                                const tq_recipe **out_recipe);

/** Writes into the metadata of a network what later commands want of its recipe: its name, its training, and editors (rules with
 *  their text, others by name). */
TQ_API void tq_recipe_remember(const tq_recipe *recipe, int n_editors, const tq_editor *const *editors, tq_graph *graph);
/** Reads it back; lists live in `arena`. TQ_ERR_VALUE where the metadata is no number, TQ_ERR_NOT_FOUND and TQ_ERR_FORMAT where an
 *  editor is not there (any more). */
TQ_API tq_status tq_recipe_recall(const tq_graph *graph, tq_arena *arena, tq_recipe_memory *out_memory);

/** What a node is to a filter: "Relu6" for a Clip between constant 0 and 6, "Relu" for a Clip between constant 0 and any other
 *  upper bound or none; else its operator's name. A filter's `types` may hold either name. */
TQ_API const char *tq_recipe_type_name(const tq_node *node);

/** Spec for (node, slot) under a recipe: the last rule that accepts; NULL if none. is_first / is_last: position of the node among
 *  linear operators. `node` is NULL for TQ_SLOT_INPUT: then only rules without conditions on nodes accept. */
TQ_API const tq_slot_spec *tq_recipe_spec(const tq_recipe *recipe, const tq_node *node, tq_slot slot, bool is_first,
                                          bool is_last);

/** A preset of preprocessing from a YAML file, or a registered one by name. */
struct tq_preset;
TQ_API tq_status tq_preset_load(const tq_registry *registry, const char *name_or_file, tq_arena *arena,
                                const struct tq_preset **out_preset);

#ifdef __cplusplus
}
#endif
#endif
