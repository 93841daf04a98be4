/* truq eval: how well a network of any stage does on a dataset. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static void print_text(const tq_eval_result *r)
{
    if (isfinite(r->top1))
        tq_print("top-1 %.2f %%, top-5 %.2f %%, ", r->top1, r->top5);
    if (isfinite(r->loss))
        tq_print("loss %.6g, ", r->loss);
    tq_print("n %" PRId64 ", %.0f images/s\n", r->n, r->images_per_s);
}

static void print_json(const tq_eval_result *r, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    tq_json_add_number(json, "top1", r->top1);
    tq_json_add_number(json, "top5", r->top5);
    tq_json_add_integer(json, "n", r->n);
    tq_json_add_number(json, "loss", r->loss);
    tq_json_add_number(json, "images_per_s", r->images_per_s);
    tq_print("%s", tq_json_print(json));
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *data = NULL, *preset = NULL, *partition = NULL, *dialect = NULL;
    int64_t n_threads = 0;
    bool json = false;
    tq_eval_options eval = { .registry = cli->registry, .batch = 32 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_DATA(&data),
        TQ_OPT_PRESET(&preset),
        TQ_OPT_PARTITION(&partition, "test"),
        TQ_OPT_INT('b', "batch", "B", &eval.batch, 1, 65536, "images at once"),
        TQ_OPT_THREADS(&n_threads),
        TQ_OPT_INT('n', "limit", "N", &eval.limit, 0, INT64_MAX, "only the first N; 0: all"),
        TQ_OPT_STRING(0, "loss", "NAME", &eval.loss, "cross-entropy or mse; default: as the data"),
        TQ_OPT_STRING(0, "target", "T", &eval.target,
                      "labels, input or npz:KEY; default: what the loss takes"),
        TQ_OPT_STRING(0, "save", "PRED.csv", &eval.save, "write id,label,prediction"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (eval.save)
        TQ_TRY(tq_cli_check_output(cli, eval.save));
    tq_graph **graph;
    const char *preset_name;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_cli_data(cli, data, partition, TQ_PARTITION_TEST, &eval.data));
    TQ_TRY(tq_cli_preset(cli, preset, *graph, NULL, eval.data, &eval.preset, &preset_name));
    tq_meter meter = tq_meter_make(json || tq_ranks_index(cli->ranks) > 0);
    eval.ranks = cli->ranks;
    eval.n_threads = (int)n_threads;
    eval.progress = tq_meter_show;
    eval.context = &meter;
    tq_eval_result result;
    const tq_status status = tq_evaluate(*graph, &eval, &result);
    tq_meter_clear(&meter);
    TQ_TRY(status);
    if (json)
        print_json(&result, cli->arena);
    else
        print_text(&result);
    free(result.predictions);
    free(result.labels);
    return TQ_OK;
}

const tq_command tq_command_eval = {
    .entry = { .name = "eval", .brief = "accuracy and loss on a dataset, in its order" },
    .examples = { "eval net.onnx --data tar:test.tar --preset cifar10",
                  "eval true.onnx --data npz:kws.npz --json --save pred.csv" },
    .run = run,
    .shares_work = true,
};
