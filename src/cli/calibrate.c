/* truq calibrate: places the grids of a fake-quantised network by what it sees. */
#include "cli.h"

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *data = NULL, *preset = NULL, *partition = NULL, *out = NULL;
    int64_t n_threads = 0;
    tq_calibrate_options calibration = { .registry = cli->registry, .batch = 32 };
    const tq_option options[] = {
        TQ_ARG("FQ.onnx", &model, "fake-quantised network"),
        TQ_OPT_DATA(&data),
        TQ_OPT_PRESET(&preset),
        TQ_OPT_PARTITION(&partition, "train"),
        TQ_OPT_INT('b', "batch", "B", &calibration.batch, 1, 65536, "images at once"),
        TQ_OPT_INT('n', "batches", "N", &calibration.n_batches, 0, INT64_MAX,
                   "observe so many batches; 0: all"),
        TQ_OPT_THREADS(&n_threads),
        TQ_OPT_OUT(&out, "OUT.onnx", "where to write the network; may be FQ.onnx itself"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    const char *preset_name;
    TQ_TRY(tq_cli_load(cli, model, NULL, &graph));
    TQ_TRY(tq_cli_data(cli, data, partition, TQ_PARTITION_TRAIN, &calibration.data));
    TQ_TRY(tq_cli_preset(cli, preset, *graph, NULL, calibration.data, &calibration.preset,
                         &preset_name));
    tq_meter meter = tq_meter_make(false);
    calibration.n_threads = (int)n_threads;
    calibration.progress = tq_meter_show;
    calibration.context = &meter;
    const tq_status status = tq_calibrate(*graph, &calibration);
    tq_meter_clear(&meter);
    TQ_TRY(status);
    tq_graph_set_meta(*graph, "preset", preset_name);
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_calibrate = {
    .entry = { .name = "calibrate", .brief = "places the grids of a fake-quantised network" },
    .details = "The float network underneath runs while every quantiser observes.",
    .examples = { "calibrate fake.onnx --data tar:train.tar --preset cifar10 --batches 32 -o "
                  "fake.onnx" },
    .run = run,
};
