/* truq draw: a network as a picture. */
#include "cli.h"

#include <string.h>

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), n_end = strlen(end);
    return n > n_end && strcmp(path + n - n_end, end) == 0;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *out = NULL, *dialect = NULL, *text;
    size_t size;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_OUT(&out, "FILE", "g.svg: a picture; g.dot: Graphviz' language, without a layout"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (!ends_in(out, ".svg") && !ends_in(out, ".dot"))
        return tq_fail(TQ_ERR_USAGE, "--output ends in .svg or .dot, not '%s'", out);
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_wrap(tq_report_draw(*graph, ends_in(out, ".svg"), cli->arena, &text, &size),
                   "cannot draw '%s'", model));
    TQ_TRY(tq_file_write(out, text, size));
    tq_print("wrote %s\n", out);
    return TQ_OK;
}

const tq_command tq_command_draw = {
    .entry = { .name = "draw",
               .brief = "a network as a picture: blocks, edges with types and bits" },
    .details =
        "Edges with codes are coloured by their bits: purple to 16, blue to 8, green to 4, pink to "
        "2. "
        "Boxes: blue\nlinear operators, yellow quantisers, green on a device (truq partition).",
    .examples = { "draw net.onnx -o net.svg", "draw fake.onnx -o fake.dot" },
    .run = run,
};
