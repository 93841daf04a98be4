/* truq quantize: the whole road in one command. */
#include "cli.h"

#include <math.h>

static void print_line(void *context, const char *line)
{
    tq_meter *meter = context;
    tq_meter_clear(meter);
    if (!meter->silent)
        tq_print("%s\n", line);
}

static tq_status open_data(tq_cli *cli, const char *data, const char *test, tq_road_options *road)
{
    TQ_TRY(tq_cli_data(cli, data, NULL, TQ_PARTITION_TRAIN, &road->data));
    if (test)
        return tq_cli_data(cli, test, NULL, TQ_PARTITION_TEST, &road->test);
    return tq_cli_held_out(cli, data, &road->test);
}

static tq_status check_backend(const tq_cli *cli, const char *name)
{
    const tq_entry *entry;
    return tq_registry_find(cli->registry, TQ_KIND_BACKEND, name, &entry);
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *data = NULL, *test = NULL, *preset = NULL, *recipe = "pact8";
    const char *out = NULL;
    int64_t seed = 0, n_threads = 0;
    double lr = (double)NAN;
    bool json = false;
    tq_road_options road = { .registry = cli->registry,
                             .command_line = cli->command_line,
                             .backend = "generic",
                             .batch = 64,
                             .calibration_batches = 16 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "float network"),
        TQ_OPT_DATA(&data),
        TQ_OPT_STRING(0, "test", "D", &test,
                      "dataset to judge on; default: the held-out part of a divided one, else D"),
        TQ_OPT_PRESET(&preset),
        TQ_OPT_STRING('r', "recipe", "R", &recipe, "a recipe's name or a YAML file"),
        TQ_OPT_INT('e', "epochs", "N", &road.epochs, 0, 1000000, "of training; 0: calibrate only"),
        TQ_OPT_STRING(0, "backend", "B", &road.backend, "target ('truq list backends')"),
        TQ_OPT_INT(0, "batches", "N", &road.calibration_batches, 0, INT64_MAX,
                   "observe so many batches to calibrate; 0: all"),
        TQ_OPT_INT('b', "batch", "B", &road.batch, 1, 65536, "images at once"),
        TQ_OPT_INT('n', "limit", "N", &road.limit, 0, INT64_MAX, "judge on the first N; 0: all"),
        TQ_OPT_NUMBER(0, "lr", "L", &lr, "learning rate; default: the recipe's"),
        TQ_OPT_STRING(0, "optimizer", "O", &road.optimizer, "default: the recipe's"),
        TQ_OPT_STRING(0, "schedule", "S", &road.schedule, "cosine, constant, step:EPOCHS,FACTOR"),
        TQ_OPT_STRING(0, "loss", "NAME", &road.loss, "cross-entropy or mse; default: as the data"),
        TQ_OPT_STRING(0, "target", "T", &road.target, "labels, input or npz:KEY"),
        TQ_OPT_INT('s', "seed", "S", &seed, 0, INT64_MAX, "of all that is random"),
        TQ_OPT_THREADS(&n_threads),
        TQ_OPT_JSON(&json),
        TQ_OPT_OUT(&out, "DIR", "folder for the networks, the table and the manifest"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (!isnan(lr) && !(lr > 0.0))
        return tq_fail(TQ_ERR_USAGE, "--lr is %g; expected a positive number", lr);
    TQ_TRY(check_backend(cli, road.backend));
    TQ_TRY(tq_recipe_open(cli->registry, recipe, cli->arena, &road.recipe));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, NULL, &graph));
    TQ_TRY(open_data(cli, data, test, &road));
    TQ_TRY(tq_cli_preset(cli, preset, *graph, NULL, road.data, &road.preset, &road.preset_name));
    TQ_TRY(tq_cli_check_folder(cli, out));
    tq_meter meter = tq_meter_make(json);
    road.lr = isnan(lr) ? 0.0 : lr;
    road.seed = (uint64_t)seed;
    road.n_threads = (int)n_threads;
    road.folder = out;
    road.progress = tq_meter_show;
    road.log = print_line;
    road.context = &meter;
    tq_road_result result;
    const tq_status status = tq_road_run(*graph, &road, &result);
    tq_meter_clear(&meter);
    TQ_TRY(status);
    tq_print("%s%s", json ? "" : "\n",
             tq_report_stages(result.stages, result.n_stages, json, cli->arena));
    return TQ_OK;
}

const tq_command tq_command_quantize = {
    .entry = { .name = "quantize", .brief = "the whole road: float to integers, with its table" },
    .details = "Writes float.onnx, fake.onnx, calibrated.onnx, with --epochs trained.onnx and "
               "run/, true.onnx,\nthe backend's files and manifest.json. Agreement is with the row "
               "before.",
    .examples = { "quantize net.onnx --data tar:train.tar --test tar:test.tar --preset cifar10 -o "
                  "out",
                  "quantize net.onnx --data digits --epochs 2 --backend dory -o out" },
    .run = run,
};
