/* Editors: what changes graphs. A finder (pattern + accept) and an applier; or a whole-graph function. */
#ifndef TRUQ_EDIT_H
#define TRUQ_EDIT_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Stages in the order they run. GRAD: what turns into its form of training, behind all that PRE_GRAD changes. */
typedef enum tq_edit_stage {
    TQ_EDIT_CANONICALISE, TQ_EDIT_FOLD, TQ_EDIT_FAKE, TQ_EDIT_PRE_GRAD, TQ_EDIT_GRAD, TQ_EDIT_POST_TRAIN, TQ_EDIT_TRUE,
    TQ_EDIT_CUSTOM, TQ_EDIT_CLEAN, TQ_EDIT_BACKEND, TQ_N_EDIT_STAGES
} tq_edit_stage;

enum { TQ_PATTERN_MAX_NODES = 12, TQ_PATTERN_MAX_INPUTS = 6 };

/** Input of a pattern node: output 0 of pattern node k, or anything (0). */
#define TQ_FROM(k) ((k) + 1)

/** One node of a pattern. */
typedef struct tq_pattern_node {
    const char *op;                             /* "Conv", or "Relu|Clip|LeakyRelu", or NULL: any */
    int inputs[TQ_PATTERN_MAX_INPUTS];          /* TQ_FROM(k) or 0 */
    bool commutative;                           /* inputs may come in any order */
    bool sole_consumer;                         /* its output 0 has one consumer and is no graph output */
    bool (*accept)(const tq_node *node);        /* more conditions; may be NULL */
} tq_pattern_node;

/** A small connected graph; node n_nodes-1 is the last, found first. */
typedef struct tq_pattern {
    int n_nodes;
    tq_pattern_node nodes[TQ_PATTERN_MAX_NODES];
} tq_pattern;

/** Where a pattern was found. */
typedef struct tq_match {
    tq_graph *graph;
    int n_nodes;
    tq_node *nodes[TQ_PATTERN_MAX_NODES];
} tq_match;

typedef struct tq_rule tq_rule;
typedef struct tq_editor tq_editor;

/** What an editor's run can ask for. */
typedef struct tq_edit {
    const tq_registry *registry;
    const struct tq_recipe *recipe;             /* NULL outside of recipes */
    const struct tq_true_options *true_options; /* NULL outside of f2t */
    const char *dump_after;                     /* editor name, "all" or NULL */
    const char *stop_after;                     /* editor name or NULL */
    void (*log)(void *context, const char *line);   /* one line an edit; may be NULL */
    void (*dump)(void *context, const char *editor, const tq_graph *graph);
    void *context;
    tq_arena *scratch;
    /** An editor failed: the network as it was before it; may be NULL. */
    void (*failed)(void *context, const char *editor, const tq_graph *before);
    /** Editors that join a pipeline though nobody registered them (rules): at their anchors, else behind the last editor of
     *  their stage or an earlier one. */
    int n_more;
    const tq_editor *const *more;
} tq_edit;

/** An editor: pattern + accept + apply, or run, or rules. */
struct tq_editor {
    tq_entry entry;
    tq_edit_stage stage;
    const char *after, *before;                 /* names of editors of the same stage; may be NULL */
    bool annotates;                             /* leaves the topology alone; checked */
    bool by_name;                               /* runs only where a pipeline or recipe names it */
    const tq_pattern *pattern;
    bool (*accept)(const tq_match *match);      /* may be NULL */
    tq_status (*apply)(tq_graph *graph, const tq_match *match);
    tq_status (*run)(tq_graph *graph, const tq_edit *edit);     /* instead of a pattern */
    const char *rules;                          /* instead of both: rules as text (docs/rules.md) */
    const tq_rule *rule;                        /* one that was read (truq/rule.h) */
    bool changes_interface;                     /* may change number, names and types of graph inputs and outputs; else checked */
};

/** Applies an editor wherever it matches until nothing matches, verifies the graph after it, logs each
 *  edit. On failure the graph is as broken as it is: callers work on a clone (tq_pipeline_run does). */
TQ_API tq_status tq_editor_apply(const tq_editor *editor, tq_graph *graph, const tq_edit *edit, int *out_n_edits);
/** The same without context. */
TQ_API tq_status tq_editor_run(const tq_editor *editor, tq_graph *graph);
/** Opens the batch of a graph that is written for another one (the editor free-batch); one that cannot take others, or whose
 * batch is `batch` already (0: any other is wanted), stays as it is. The graph must have a registry. */
TQ_API tq_status tq_graph_open_batch(tq_graph *graph, int64_t batch);

/** Finds matches of a pattern: sorted by the order of their last node, non-overlapping. Returns how
 *  many; *out_matches lives in `scratch`. */
TQ_API int tq_pattern_find(const tq_pattern *pattern, tq_graph *graph, bool (*accept)(const tq_match *match),
                           tq_arena *scratch, tq_match **out_matches);

/** A named list of editors, in order; NULL-terminated names. */
typedef struct tq_pipeline {
    tq_entry entry;
    const char *const *editors;
    unsigned stages;                            /* bits 1 << stage: third parties' editors of these join too, beside those of the
                                                   stages of the editors listed */
} tq_pipeline;

/** The stage in which an editor runs: that of its anchor, where it names one that is registered, else its own. */
TQ_API tq_edit_stage tq_editor_moment(const tq_registry *registry, const tq_editor *editor);
/** Those of a list whose moment is in [first, last], in their order and in the arena. */
TQ_API const tq_editor *const *tq_editors_between(const tq_registry *registry, int n, const tq_editor *const *editors,
                                                  tq_edit_stage first, tq_edit_stage last, tq_arena *arena, int *out_n);

/** Runs a pipeline's editors, with every registered third-party editor of the same stages at its anchors.
 *  On failure *graph is unchanged, the message names editor and node. */
TQ_API tq_status tq_pipeline_run(const tq_registry *registry, const char *pipeline, tq_graph **graph,
                                 const tq_edit *edit);

/* ---- history ----------------------------------------------------------------------------- */

/** States of a network, one behind each other, that share the data of their constants. */
typedef struct tq_history tq_history;
/** Starts with a copy of `graph`; the caller destroys the history (NULL is fine). */
TQ_API tq_history *tq_history_create(const tq_graph *graph);
TQ_API void tq_history_destroy(tq_history *history);
/** The present state, to read or to edit by hand; valid until the next call that changes the history. */
TQ_API tq_graph *tq_history_graph(tq_history *history);
/** Makes what was edited by hand since the last state a state of its own. What was undone before is gone then. Fails, and the
 *  edits are lost, if the graph does not verify. */
TQ_API tq_status tq_history_commit(tq_history *history, const char *label);
/** Applies an editor and makes that a state, labelled with the editor's name, if it changed anything; on failure the present
 *  state stays. Edits that were not committed are committed first, as "edit". */
TQ_API tq_status tq_history_apply(tq_history *history, const tq_editor *editor, const tq_edit *edit, int *out_n_edits);
/** One state back, or forward again; false where there is none. Edits that were not committed are dropped. */
TQ_API bool tq_history_undo(tq_history *history);
TQ_API bool tq_history_redo(tq_history *history);
/** How many states there are, and which is the present one (0 is the start). */
TQ_API int tq_history_count(const tq_history *history);
TQ_API int tq_history_at(const tq_history *history);
/** The label of state i, and the lines that its editor logged, one after the other; NULL past the last. */
TQ_API const char *tq_history_label(const tq_history *history, int i);
TQ_API const char *tq_history_log(const tq_history *history, int i, int line);

/* ---- cutting ----------------------------------------------------------------------------- */

/** The part of a network between names of nodes or values, inclusive: what `to` needs of what depends on `from`. A value
 *  of `from` becomes an input, of a node of `from` what it reads; values that come in from beside become inputs too.
 *  n_from 0: from the inputs on; n_to 0: up to the outputs. The caller destroys *out_graph. TQ_ERR_NOT_FOUND for an
 *  unknown name, TQ_ERR_VALUE where `to` does not depend on `from`. */
TQ_API tq_status tq_graph_extract(const tq_graph *graph, int n_from, const char *const *from, int n_to,
                                  const char *const *to, tq_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
