/* truq edit: runs editors and rules on a network. */
#include "dump.h"
#include "rules.h"

#include <string.h>

/** KEY=VALUE of --set becomes metadata of the network, where editors look for their settings. */
static tq_status set_metas(tq_cli *cli, tq_graph *graph, const tq_list *settings)
{
    for (int i = 0; i < settings->n; i++) {
        const char *text = settings->items[i], *equals = strchr(text, '=');
        if (!equals || equals == text)
            return tq_fail(TQ_ERR_USAGE, "--set takes KEY=VALUE, not '%s'", text);
        tq_graph_set_meta(graph, tq_arena_strndup(cli->arena, text, (size_t)(equals - text)),
                          equals + 1);
    }
    return TQ_OK;
}

static tq_status run_all(tq_graph *graph, int n, const tq_editor *const *editors,
                         const tq_edit *edit)
{
    for (int i = 0; i < n; i++) {
        const char *name = editors[i]->entry.name;
        int n_edits;
        TQ_TRY(tq_editor_apply(editors[i], graph, edit, &n_edits));
        if (editors[i]->run)
            tq_print("%s: done\n", name);
        else
            tq_print("%s: %d edit%s\n", name, n_edits, n_edits == 1 ? "" : "s");
        if (edit->dump_after &&
            (!strcmp(edit->dump_after, "all") || !strcmp(edit->dump_after, name)))
            edit->dump(edit->context, name, graph);
        if (edit->stop_after && strcmp(edit->stop_after, name) == 0)
            break;
    }
    return TQ_OK;
}

static tq_status read_names(tq_cli *cli, const char *pipeline, const char *recipe, tq_edit *edit)
{
    const tq_entry *entry;
    if (pipeline)
        TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_PIPELINE, pipeline, &entry));
    return recipe ? tq_recipe_open(cli->registry, recipe, cli->arena, &edit->recipe) : TQ_OK;
}

/** --rounding half-up, for the editors that make integers. */
static tq_status force_half_up(const tq_cli *cli, tq_true_options *options, tq_edit *edit)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_BACKEND, "generic", &entry));
    *options = (tq_true_options){ .backend = "generic",
                                  .fixed_shift = -1,
                                  .force_half_up = true,
                                  .limits = ((const tq_backend *)(const void *)entry)->requant };
    edit->true_options = options;
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *out = NULL, *dialect = NULL, *pipeline = NULL, *recipe = NULL;
    const char *rounding = NULL;
    tq_list names = { 0 }, settings = { 0 };
    tq_dump dump = { .cli = cli };
    tq_edit edit = { .registry = cli->registry };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_LIST('r', "rule", "FILE", &names, "a file of rules (FILE.rule)"),
        TQ_OPT_LIST('e', "editor", "NAME", &names, "an editor ('truq list editors')"),
        TQ_OPT_STRING(0, "pipeline", "NAME", &pipeline,
                      "then a pipeline ('truq list pipelines'), such as graph-mode"),
        TQ_OPT_STRING(0, "recipe", "R", &recipe, "for editors that ask one where quantisers go"),
        TQ_OPT_ROUNDING(&rounding),
        TQ_OPT_LIST(0, "set", "KEY=VALUE", &settings, "metadata of the network, set first"),
        TQ_OPT_STRING(0, "dump-after", "EDITOR", &edit.dump_after,
                      "print the network after this editor, or after all"),
        TQ_OPT_STRING(0, "stop-after", "EDITOR", &edit.stop_after, "run no editor after this one"),
        TQ_OPT_STRING(0, "dump-failed", "FILE", &dump.failed_path,
                      "where to write the network as it was before an editor that failed"),
        TQ_OPT_FLAG(0, "log", &dump.log, "print each edit"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_OUT(&out, "OUT.onnx", "where to write the network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    bool half_up;
    tq_true_options true_options;
    TQ_TRY(tq_cli_half_up(rounding, &half_up));
    if (half_up)
        TQ_TRY(force_half_up(cli, &true_options, &edit));
    int n;
    const tq_editor *const *editors;
    TQ_TRY(tq_cli_editors(cli, &names, false, &n, &editors));
    if (n == 0 && !pipeline)
        return tq_fail(TQ_ERR_USAGE,
                       "nothing to do: --rule FILE, --editor NAME or --pipeline NAME is missing");
    TQ_TRY(read_names(cli, pipeline, recipe, &edit));
    TQ_TRY(tq_dump_prepare(&dump, &edit));
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(set_metas(cli, *graph, &settings));
    tq_status status = run_all(*graph, n, editors, &edit);
    if (!status && pipeline)
        status = tq_pipeline_run(cli->registry, pipeline, graph, &edit);
    TQ_TRY(tq_wrap(tq_dump_finish(&dump, status), "'%s'", model));
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_edit = {
    .entry = { .name = "edit", .brief = "rewrites a network by rules and editors" },
    .details = "Editors run in the order in which they are given; docs/rules.md explains rules.\n"
               "Nothing is written when one of them fails.",
    .examples = { "edit net.onnx --rule head.rule -o net2.onnx",
                  "edit net.onnx --editor fold-batchnorm --log -o folded.onnx" },
    .run = run,
};
