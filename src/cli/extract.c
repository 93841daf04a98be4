/* truq extract: the part of a network between two cuts. */
#include "cli.h"

#include <string.h>

/** "a,b" as names; empty: none. */
static tq_status split(tq_cli *cli, const char *text, const char *const **out, int *out_n)
{
    *out_n = 0;
    if (!*text)
        return TQ_OK;
    TQ_TRY(tq_options_split(cli, "part", text, out));
    while ((*out)[*out_n])
        ++*out_n;
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *part = NULL, *out = NULL, *dialect = NULL;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_ARG("A..B", &part,
               "names of nodes or values, several with commas; an empty side: the "
               "network's own inputs, outputs"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_OUT(&out, "OUT.onnx", "where to write the part"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const char *dots = strstr(part, "..");
    if (!dots || strstr(dots + 1, ".."))
        return tq_fail(TQ_ERR_USAGE, "a part is written A..B, not '%s'", part);
    const char *const *from = NULL, *const *to = NULL;
    int n_from, n_to;
    TQ_TRY(split(cli, tq_arena_strndup(cli->arena, part, (size_t)(dots - part)), &from, &n_from));
    TQ_TRY(split(cli, dots + 2, &to, &n_to));
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph, **cut = NULL;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    cut = tq_cli_slot(cli);
    TQ_TRY(tq_wrap(tq_graph_extract(*graph, n_from, from, n_to, to, cut), "'%s'", model));
    const int n_in = tq_graph_n_inputs(*cut), n_out = tq_graph_n_outputs(*cut);
    tq_print("%d of %d nodes, %d input%s, %d output%s\n", tq_graph_n_nodes(*cut),
             tq_graph_n_nodes(*graph), n_in, n_in == 1 ? "" : "s", n_out, n_out == 1 ? "" : "s");
    return tq_cli_save(cli, *cut, out);
}

const tq_command tq_command_extract = {
    .entry = { .name = "extract", .brief = "the part of a network between two cuts" },
    .details = "A node of A is in the part, a value of A becomes its input. What comes in from "
               "beside becomes an input too.",
    .examples = { "extract net.onnx conv1..layer2.relu -o part.onnx",
                  "extract net.onnx ..features -o backbone.onnx" },
    .run = run,
};
