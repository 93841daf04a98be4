/* truq codegen: a network as text or as a C function that builds it. */
#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/** PATH without its last suffix. */
static const char *stem(tq_arena *arena, const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash + 1) ? tq_arena_strndup(arena, path, (size_t)(dot - path))
                                              : path;
}

/** build_NAME, NAME being the file's as a C identifier. */
static const char *function_name(tq_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = tq_arena_printf(arena, "build_%s", stem(arena, slash ? slash + 1 : path));
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return name;
}

static tq_status write_text(const tq_graph *graph, int64_t max_elements, const char *path)
{
    char *text = tq_graph_print(graph, max_elements);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "no memory left for the text");
    tq_status status = TQ_OK;
    if (path)
        status = tq_file_write(path, text, strlen(text));
    else
        tq_print("%s", text);
    free(text);
    if (path && !status)
        tq_print("wrote %s\n", path);
    return status;
}

static tq_status write_c(tq_cli *cli, const tq_graph *graph, const char *function, const char *path)
{
    const char *text;
    const char *weights = tq_arena_printf(cli->arena, "%s.safetensors", stem(cli->arena, path));
    TQ_TRY(tq_cli_check_output(cli, weights));
    TQ_TRY(tq_report_c(graph, function ? function : function_name(cli->arena, path), cli->arena,
                       &text));
    TQ_TRY(tq_safetensors_save(graph, weights));
    TQ_TRY(tq_file_write(path, text, strlen(text)));
    tq_print("wrote %s and %s\n", path, weights);
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *lang = "text", *out = NULL, *function = NULL, *dialect = NULL;
    int64_t max_elements = -1;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_STRING('l', "lang", "text|c", &lang, "the graph's text form, or a C file"),
        TQ_OPT_INT('e', "elements", "N", &max_elements, -1, INT64_MAX,
                   "text: a constant of more is elided to its checksum; -1: none"),
        TQ_OPT_STRING(0, "function", "NAME", &function, "of the C function; default: build_FILE"),
        TQ_OPT_STRING('o', "output", "FILE", &out,
                      "where to write; text without it is printed; weights of C go beside it"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const bool c = strcmp(lang, "c") == 0;
    if (!c && strcmp(lang, "text") != 0)
        return tq_fail(TQ_ERR_USAGE, "--lang takes text or c, not '%s'", lang);
    if (c && !out)
        return tq_fail(TQ_ERR_USAGE, "--output is missing: the weights of C go beside it");
    if (out)
        TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    return c ? write_c(cli, *graph, function, out) : write_text(*graph, max_elements, out);
}

const tq_command tq_command_codegen = {
    .entry = { .name = "codegen", .brief = "a network as text or as C that builds it" },
    .details =
        "The text is what every command reads as MODEL, with all its constants. The C file has "
        "one function that needs <truq/truq.h> alone and reads the weights from "
        "FILE.safetensors.",
    .examples = { "codegen net.onnx --elements 8", "codegen net.onnx -o net.txt",
                  "codegen net.onnx --lang c -o net.c" },
    .run = run,
};
