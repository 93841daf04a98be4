/* truq f2f: a float network gets quantisers. */
#include "dump.h"
#include "rules.h"

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *recipe_name = NULL, *out = NULL;
    tq_dump dump = { .cli = cli };
    tq_edit edit = { 0 };
    tq_list editors = { 0 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "float network"),
        TQ_OPT_REQUIRED('r', "recipe", "R", &recipe_name,
                        "a recipe's name ('truq list recipes') or a YAML file"),
        TQ_OPT_LIST('e', "editor", "NAME", &editors,
                    "an editor or a file of rules (FILE.rule) that joins the recipe's pipeline: at "
                    "its anchor, else behind its stage"),
        TQ_OPT_STRING(0, "dump-after", "EDITOR", &edit.dump_after,
                      "print the network after this editor, or after all"),
        TQ_OPT_STRING(0, "stop-after", "EDITOR", &edit.stop_after, "run no editor after this one"),
        TQ_OPT_STRING(0, "dump-failed", "FILE", &dump.failed_path,
                      "where to write the network as it was before an editor that failed"),
        TQ_OPT_FLAG(0, "log", &dump.log, "print each edit"),
        TQ_OPT_OUT(&out, "FQ.onnx", "where to write the fake-quantised network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    TQ_TRY(tq_cli_editors(cli, &editors, false, &edit.n_more, &edit.more));
    TQ_TRY(tq_dump_prepare(&dump, &edit));
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    const tq_recipe *recipe;
    int n_quantizers;
    TQ_TRY(tq_recipe_open(cli->registry, recipe_name, cli->arena, &recipe));
    TQ_TRY(tq_cli_load(cli, model, NULL, &graph));
    TQ_TRY(tq_wrap(tq_dump_finish(&dump, tq_f2f_run(graph, recipe, &edit, &n_quantizers)), "'%s'",
                   model));
    tq_print("%d quantiser%s inserted by recipe %s\n", n_quantizers, n_quantizers == 1 ? "" : "s",
             recipe->entry.name);
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_f2f = {
    .entry = { .name = "f2f", .brief = "float to fake-quantised, by a recipe" },
    .details = "The quantisers know no scale yet: 'truq calibrate' places them.",
    .examples = { "f2f net.onnx --recipe pact8 -o fake.onnx" },
    .run = run,
};
