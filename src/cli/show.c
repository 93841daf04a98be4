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

/** What was asked about data. */
typedef struct data_options {
    const char *data, *preset, *partition;
    int64_t limit, n_threads;
} data_options;

static tq_status measure(tq_cli *cli, const tq_graph *graph, const data_options *o,
                         tq_layers_options *layers)
{
    tq_compare_options c = { .registry = cli->registry,
                             .limit = o->limit,
                             .n_threads = (int)o->n_threads };
    const char *preset_name;
    tq_value_range *rows;
    TQ_TRY(tq_cli_data(cli, o->data, o->partition, TQ_PARTITION_TEST, &c.data));
    TQ_TRY(tq_cli_preset(cli, o->preset, graph, NULL, c.data, &c.preset, &preset_name));
    tq_meter meter = tq_meter_make(true);
    c.progress = tq_meter_show;
    c.context = &meter;
    const tq_status status = tq_ranges_measure(graph, &c, cli->arena, &rows, &layers->n_ranges);
    tq_meter_clear(&meter);
    layers->ranges = rows;
    return status;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *types = NULL, *dialect = NULL;
    data_options data = { .limit = 64 };
    tq_layers_options layers = { 0 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_STRING(
            'f', "filter", "EXPR", &layers.filter,
            "only nodes whose name matches this regular expression, or for which this holds: "
            "'type:Conv and not name:^stage1'"),
        TQ_OPT_STRING(0, "type", "T,..", &types, "only these operators, such as Conv,Gemm"),
        TQ_OPT_STRING(0, "upstream", "NAME", &layers.upstream,
                      "only what this node or value is made from"),
        TQ_OPT_STRING(0, "downstream", "NAME", &layers.downstream,
                      "only what is made from this node or value"),
        TQ_OPT_FLAG('e', "edges", &layers.edges, "who feeds and who reads each node"),
        TQ_OPT_STRING('d', "data", "D", &data.data,
                      "show ranges, and the noise of each quantiser, on this dataset"),
        TQ_OPT_PRESET(&data.preset),
        TQ_OPT_PARTITION(&data.partition, "test"),
        TQ_OPT_INT('n', "limit", "N", &data.limit, 0, INT64_MAX,
                   "on its first N data points; 0: all"),
        TQ_OPT_THREADS(&data.n_threads),
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
    if (data.data)
        TQ_TRY(measure(cli, *graph, &data, &layers));
    TQ_TRY(tq_report_layers(*graph, &layers, cli->arena, &text));
    tq_print("%s", text);
    return TQ_OK;
}

const tq_command tq_command_show = {
    .entry = { .name = "show", .brief = "layers of a network: shapes, parameters, MACs" },
    .details =
        "Filters: name:RE, type:OPERATOR and device:RE, joined by and, or, not and parentheses.\n"
        "SQNR: signal to quantisation noise of a quantiser's output against its input.",
    .examples = { "show net.onnx", "show net.onnx --type Conv --filter 'block3' --edges",
                  "show net.onnx --filter 'type:Conv and not name:^stage1' --upstream fc",
                  "show fake.onnx --data tar:test.tar --type FakeQuantize" },
    .run = run,
};
