/* Subcommands: what one is and what it is given - options, printing, models, files, data. A
 * subcommand is one file: a table of options, a few calls of the library, one const descriptor. The
 * functions live in the truq command, not in libtruq: a plug-in that brings a subcommand can be
 * loaded by the command alone. */
#ifndef TRUQ_COMMAND_H
#define TRUQ_COMMAND_H

#include <truq/data.h>
#include <truq/graph.h>
#include <truq/memory.h>
#include <truq/model.h>
#include <truq/recipe.h>
#include <truq/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Exported by the command; absent, and never called, in a program without subcommands. */
#define TQ_COMMAND_API __attribute__((visibility("default"), weak))

typedef struct tq_command tq_command;

/** One run of one subcommand. What is opened through it is closed after it, however it ends. */
typedef struct tq_cli {
    tq_registry *registry;
    const tq_command *command;
    int argc; /* what follows the subcommand's name */
    char **argv;
    const char *command_line;
    tq_arena *arena;
    bool helped; /* --help was answered: there is nothing left to do */
    tq_graph *graphs[4];
    tq_dataset *datasets[4];
    tq_ranks *ranks; /* processes that share the work of a command that says so; NULL: alone */
} tq_cli;

struct tq_command {
    tq_entry entry;          /* source is not used */
    const char *details;     /* more lines for --help, or NULL */
    const char *examples[4]; /* without the leading "truq " */
    tq_status (*run)(tq_cli *cli);
    bool shares_work; /* may be started as several ranks, of which only the first prints and writes files */
};

/* ---- options ------------------------------------------------------------------------------- */

typedef enum tq_option_kind {
    TQ_OPTION_END,
    TQ_OPTION_ARGUMENT,
    TQ_OPTION_FLAG,
    TQ_OPTION_STRING,
    TQ_OPTION_INT,
    TQ_OPTION_NUMBER,
    TQ_OPTION_LIST
} tq_option_kind;

enum { TQ_LIST_MAX = 64 };
/** An option that may be given several times. */
typedef struct tq_list {
    int n;
    const char *items[TQ_LIST_MAX];
} tq_list;

/** One row of a command's table. What `target` holds before parsing is the default. */
typedef struct tq_option {
    tq_option_kind kind;
    char letter;            /* 0: none */
    const char *name;       /* "batch"; of an argument "MODEL" */
    const char *value_name; /* "N" */
    void *target;           /* const char *, int64_t, double, bool, tq_list */
    int64_t min, max;       /* of INT */
    bool required;
    const char *help;
} tq_option;

#define TQ_ARG(name_, target_, help_)                                                              \
    {                                                                                              \
        .kind = TQ_OPTION_ARGUMENT, .name = (name_), .target = (target_), .required = true,        \
        .help = (help_)                                                                            \
    }
#define TQ_ARG_MAYBE(name_, target_, help_)                                                        \
    {                                                                                              \
        .kind = TQ_OPTION_ARGUMENT, .name = (name_), .target = (target_), .help = (help_)          \
    }
#define TQ_OPT_FLAG(letter_, name_, target_, help_)                                                \
    {                                                                                              \
        .kind = TQ_OPTION_FLAG, .letter = (letter_), .name = (name_), .target = (target_),         \
        .help = (help_)                                                                            \
    }
#define TQ_OPT_STRING(letter_, name_, value_, target_, help_)                                      \
    {                                                                                              \
        .kind = TQ_OPTION_STRING, .letter = (letter_), .name = (name_), .value_name = (value_),    \
        .target = (target_), .help = (help_)                                                       \
    }
#define TQ_OPT_REQUIRED(letter_, name_, value_, target_, help_)                                    \
    {                                                                                              \
        .kind = TQ_OPTION_STRING, .letter = (letter_), .name = (name_), .value_name = (value_),    \
        .target = (target_), .required = true, .help = (help_)                                     \
    }
#define TQ_OPT_INT(letter_, name_, value_, target_, min_, max_, help_)                             \
    {                                                                                              \
        .kind = TQ_OPTION_INT, .letter = (letter_), .name = (name_), .value_name = (value_),       \
        .target = (target_), .min = (min_), .max = (max_), .help = (help_)                         \
    }
#define TQ_OPT_NUMBER(letter_, name_, value_, target_, help_)                                      \
    {                                                                                              \
        .kind = TQ_OPTION_NUMBER, .letter = (letter_), .name = (name_), .value_name = (value_),    \
        .target = (target_), .help = (help_)                                                       \
    }
#define TQ_OPT_LIST(letter_, name_, value_, target_, help_)                                        \
    {                                                                                              \
        .kind = TQ_OPTION_LIST, .letter = (letter_), .name = (name_), .value_name = (value_),      \
        .target = (target_), .help = (help_)                                                       \
    }
#define TQ_OPT_END                                                                                 \
    {                                                                                              \
        .kind = TQ_OPTION_END                                                                      \
    }

/* Rows that many commands share. */
#define TQ_OPT_DATA(target_)                                                                       \
    TQ_OPT_REQUIRED('d', "data", "D", (target_),                                                   \
                    "dataset: tar:FILE, imagefolder:DIR, cifar10:DIR, idx:I,L, npz:FILE, digits")
#define TQ_OPT_PRESET(target_)                                                                     \
    TQ_OPT_STRING('p', "preset", "P", (target_),                                                   \
                  "preprocessing: a name ('truq list presets') or a YAML file; default: what the " \
                  "model remembers")
#define TQ_OPT_PARTITION(target_, default_)                                                        \
    TQ_OPT_STRING(0, "partition", "NAME", (target_),                                               \
                  "train, valid or test of a divided dataset; default: " default_)
#define TQ_OPT_THREADS(target_)                                                                    \
    TQ_OPT_INT('t', "threads", "T", (target_), 0, 4096, "threads; 0: all cores")
#define TQ_OPT_JSON(target_) TQ_OPT_FLAG(0, "json", (target_), "print JSON")
#define TQ_OPT_OUT(target_, value_, help_) TQ_OPT_REQUIRED('o', "output", value_, (target_), help_)
#define TQ_OPT_DIALECT(target_)                                                                    \
    TQ_OPT_STRING(0, "dialect", "NAME", (target_),                                                 \
                  "whose quantised network it is: " TQ_DIALECTS                                    \
                  "; onnx: as it stands; default: found out")

/** Reads argv into the targets; options may stand before, between and after arguments, "--" ends
 *  them. TQ_ERR_USAGE says what is wrong. Answers --help: then cli->helped is set and the (empty)
 *  error only unwinds. */
TQ_COMMAND_API tq_status tq_options_parse(tq_cli *cli, const tq_option *options);
/** "a,b,c" as a NULL-terminated list; TQ_ERR_USAGE for an empty item. */
TQ_COMMAND_API tq_status tq_options_split(tq_cli *cli, const char *option, const char *text,
                                          const char *const **out_items);
/** A number in full, as options take it; false if `text` is none. */
TQ_COMMAND_API bool tq_options_number(const char *text, double *out);
TQ_COMMAND_API bool tq_options_integer(const char *text, int64_t *out);

/* ---- printing ------------------------------------------------------------------------------ */

/** To standard output; main finds out whether it arrived. */
TQ_COMMAND_API void tq_print(const char *format, ...) TQ_PRINTF(1, 2);

/** Progress of loops: a bar on a terminal, else plain lines: one an epoch, or every 10 % of what
 *  takes longer than a few seconds. */
typedef struct tq_meter {
    bool silent; /* no plain lines (--json) */
    bool terminal, drawn;
    bool said; /* a line in this phase */
    int64_t tenths, last_epoch;
    const char *last_phase;
    double last_time;
} tq_meter;
TQ_COMMAND_API tq_meter tq_meter_make(bool silent);
TQ_COMMAND_API void tq_meter_show(void *meter, const tq_progress *progress); /* a tq_progress_fn */
/** Takes the bar off the terminal. */
TQ_COMMAND_API void tq_meter_clear(tq_meter *meter);

/* ---- models, files, data ------------------------------------------------------------------- */

/** Loads a model; *out_slot points to the graph, which calls may replace. Destroyed after the run.
 */
TQ_COMMAND_API tq_status tq_cli_load(tq_cli *cli, const char *path, const char *dialect,
                                     tq_graph ***out_slot);
/** A slot for a graph that is made. */
TQ_COMMAND_API tq_graph **tq_cli_slot(tq_cli *cli);
/** Could this file be written, could files be made in this folder (made later)? To be asked before
 *  long work. */
TQ_COMMAND_API tq_status tq_cli_check_output(tq_cli *cli, const char *path);
TQ_COMMAND_API tq_status tq_cli_check_folder(tq_cli *cli, const char *path);
/** Exports and says so. */
TQ_COMMAND_API tq_status tq_cli_save(tq_cli *cli, const tq_graph *graph, const char *path);

/** Opens a dataset. `partition` NULL: `preferred` where the dataset is divided. Closed after the
 *  run. */
TQ_COMMAND_API tq_status tq_cli_data(tq_cli *cli, const char *spec, const char *partition,
                                     tq_partition preferred, const tq_dataset **out_dataset);
/** The dataset's validation or test part, NULL if it is not divided. */
TQ_COMMAND_API tq_status tq_cli_held_out(tq_cli *cli, const char *spec,
                                         const tq_dataset **out_dataset);

/** The preset asked for, else the one the graph (or `other`, may be NULL) remembers, else the one
 *  the dataset implies; *out_name is what to remember. */
TQ_COMMAND_API tq_status tq_cli_preset(tq_cli *cli, const char *asked, const tq_graph *graph,
                                       const tq_graph *other, const tq_dataset *data,
                                       const tq_preset **out_preset, const char **out_name);

#ifdef __cplusplus
}
#endif
#endif
