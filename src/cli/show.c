/* truq show: what a network consists of. */
#include "cli.h"

#include <string.h>

static tq_status check_types(const tq_cli *cli, const char *const *types)
{
    for (int i = 0; types && types[i]; i++) {
        const tq_entry *entry;
        static const char *const also[] = { "Relu6" };
        bool known = false;
        for (int k = 0; k < TQ_COUNT(also); k++)
            known = known || strcmp(types[i], also[k]) == 0;
        if (!known)
            TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_OP, types[i], &entry));
    }
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *types = NULL, *dialect = NULL;
    tq_layers_options layers = { 0 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "an ONNX file of any stage"),
        TQ_OPT_STRING('f', "filter", "RE", &layers.filter,
                      "only nodes whose name matches this regular expression"),
        TQ_OPT_STRING(0, "type", "T,..", &types, "only these operators, such as Conv,Gemm"),
        TQ_OPT_FLAG('e', "edges", &layers.edges, "who feeds and who reads each node"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&layers.json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (types)
        TQ_TRY(tq_options_split(cli, "type", types, &layers.types));
    TQ_TRY(check_types(cli, layers.types));
    tq_graph **graph;
    const char *text;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_report_layers(*graph, &layers, cli->arena, &text));
    tq_print("%s", text);
    return TQ_OK;
}

const tq_command tq_command_show = {
    .entry = { .name = "show", .brief = "layers of a network: shapes, parameters, MACs" },
    .examples = { "show net.onnx", "show net.onnx --type Conv --filter 'block3' --edges" },
    .run = run,
};
