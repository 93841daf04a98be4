/* Reports: what is known of networks and results, as text tables and JSON. All text lives in the
 * arena that is given. Control characters of names never reach the reader as they are. */
#ifndef TRUQ_REPORT_H
#define TRUQ_REPORT_H

#include <truq/device.h>
#include <truq/road.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- JSON ---------------------------------------------------------------------------------- */

/** Writes one JSON object, piece by piece. Keys are NULL inside arrays. */
typedef struct tq_json tq_json;
TQ_API tq_json *tq_json_create(tq_arena *arena);
TQ_API void tq_json_open_object(tq_json *json, const char *key);
TQ_API void tq_json_open_array(tq_json *json, const char *key);
TQ_API void tq_json_close(tq_json *json);
TQ_API void tq_json_add_text(tq_json *json, const char *key, const char *text);     /* NULL: null */
TQ_API void tq_json_add_number(tq_json *json, const char *key, double number);      /* NaN, inf: null */
TQ_API void tq_json_add_integer(tq_json *json, const char *key, int64_t number);
TQ_API void tq_json_add_bool(tq_json *json, const char *key, bool truth);
/** Closes what is open and gives the text, with a newline at its end. */
TQ_API const char *tq_json_print(tq_json *json);

/* ---- tables -------------------------------------------------------------------------------- */

/** Columns as wide as their widest cell; a title that begins with '>' makes its column flush right. */
typedef struct tq_table tq_table;
TQ_API tq_table *tq_table_create(tq_arena *arena, int n_columns, const char *const *titles);
/** Adds a row of n_columns cells (copied; NULL: empty). */
TQ_API void tq_table_add(tq_table *table, const char *const *cells);
TQ_API const char *tq_table_print(const tq_table *table);

/** A copy fit for a line of text: control characters become '?'. */
TQ_API const char *tq_text_clean(tq_arena *arena, const char *text);

/* ---- networks ------------------------------------------------------------------------------ */

/** What a value was on data. */
typedef struct tq_value_range {
    const char *value;
    double min, max;             /* in reals where the grid of codes is known */
    double sqnr;                 /* dB, of a quantiser's output against its input; NaN: no quantiser made it */
} tq_value_range;

typedef struct tq_layers_options {
    const char *filter;          /* POSIX extended regular expression on names, or an expression: "type:Conv and not
                                    name:^stage1" (name:, type:, device:, and, or, not, parentheses); NULL: all */
    const char *const *types;    /* operator names (also "Relu6" and the like), NULL-terminated, or NULL */
    bool edges;                  /* who feeds and who reads each node */
    bool json;
    const char *upstream, *downstream;   /* only this node and what feeds it, what it feeds; names of nodes or values, or NULL */
    int n_ranges;
    const tq_value_range *ranges;        /* columns with what tq_ranges_measure found */
} tq_layers_options;

/** The layers of a network: `name  Op(parameters)`, output type, parameters, MACs (for one sample); totals, stage, preset,
 *  dialect, inputs and outputs. TQ_ERR_USAGE if the filter is no regular expression. */
TQ_API tq_status tq_report_layers(const tq_graph *graph, const tq_layers_options *options, tq_arena *arena,
                                  const char **out_text);
/** "Conv(16x3x3x3, pads=1x1x1x1)": operator, constant weight, attributes that are not the default. */
TQ_API const char *tq_report_node(const tq_node *node, tq_arena *arena);

/** The network as a picture: SVG, laid out and with nothing outside of itself, or Graphviz' language without a layout. Any name is
 *  safe. TQ_ERR_UNSUPPORTED for more nodes than can be laid out. */
TQ_API tq_status tq_report_draw(const tq_graph *graph, bool svg, tq_arena *arena, const char **out_text, size_t *out_size);

/** The proof table. */
TQ_API const char *tq_report_proof(const tq_proof_row *rows, int n, bool proven, bool json, tq_arena *arena);

/** What a target can run, node by node. */
TQ_API const char *tq_report_feasibility(const tq_feasibility *feasibility, bool json, tq_arena *arena);

/** The parts of a network (`files`: a name for each) and what crosses between them. */
TQ_API const char *tq_report_parts(const tq_graph *graph, const tq_parts *parts, const char *const *files, bool json,
                                   tq_arena *arena);

/** All entries of a kind: name, brief, source; of operators also what they have and lack (reference, gradient, integer rule,
 *  bounds, kernels). */
TQ_API const char *tq_report_list(const tq_registry *registry, tq_kind kind, bool json, tq_arena *arena);

/* ---- results ------------------------------------------------------------------------------- */

/** The table of a road: what each stage scores and costs. */
TQ_API const char *tq_report_stages(const tq_road_stage *stages, int n, bool json, tq_arena *arena);

/** One value that two networks have in common. */
typedef struct tq_layer_difference {
    const char *name, *op;       /* of the value in A, and what makes it there */
    double step;                 /* scale of its grid; 0: it has none, or is an accumulator */
    double max_difference;       /* in real units */
    double max_steps;            /* in steps; without a grid in units of the largest |a| times 2^-8 */
    double equal;                /* percent of elements within half a step (without a grid: 1e-5, relative) */
    bool diverges;               /* some element is further away */
} tq_layer_difference;

typedef struct tq_compare_options {
    const tq_registry *registry;
    const tq_dataset *data;
    const tq_preset *preset;
    int64_t batch, limit;
    int n_threads;
    tq_progress_fn progress;
    void *context;
} tq_compare_options;

/** Runs a network on data: the range of each value that is made, and the noise of each quantiser. Rows in order of the graph, in the
 *  arena. */
TQ_API tq_status tq_ranges_measure(const tq_graph *graph, const tq_compare_options *options, tq_arena *arena,
                                   tq_value_range **out_rows, int *out_n);

/** Runs both networks on the same data and compares each value they have in common: same name, or the value metadata
 *  "quant.of" of B (or A) that names it. Codes are dequantised. Rows in order of A's nodes, in the arena. TQ_ERR_STATE if
 *  they have no inner value in common. */
TQ_API tq_status tq_compare_layers(const tq_graph *a, const tq_graph *b, const tq_compare_options *options, tq_arena *arena,
                                   tq_layer_difference **out_rows, int *out_n);

/* ---- differences --------------------------------------------------------------------------- */

/** One way in which network B is not network A. */
typedef struct tq_difference {
    char sign;                   /* '-': only A has it; '+': only B; '~': changed */
    const char *what;            /* "input", "output", "node", "value", "constant", "metadata" */
    const char *name, *detail;
    double max_difference;       /* of constants of one type; else NaN */
} tq_difference;

/** Structure and constants, by name: rows in the order of A, then what only B has; in the arena. */
TQ_API void tq_report_diff(const tq_graph *a, const tq_graph *b, tq_arena *arena, tq_difference **out_rows, int *out_n);

/* ---- networks as programs ------------------------------------------------------------------ */

/** A C file with one function that builds the network with the public API:
 *    tq_status FUNCTION(const tq_registry *registry, const char *weights, tq_graph **out_graph)
 *  where `weights` names the file that tq_safetensors_save wrote. TQ_ERR_VALUE if `function` is no C identifier. */
TQ_API tq_status tq_report_c(const tq_graph *graph, const char *function, tq_arena *arena, const char **out_text);

#ifdef __cplusplus
}
#endif
#endif
