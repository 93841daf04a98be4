/* truq diff: how two networks differ, in structure and in what they compute. */
#include "cli.h"

#include <math.h>
#include <string.h>

typedef struct comparison {
    tq_cli *cli;
    tq_graph **graphs[2];
    int n, n_layers;
    tq_difference *rows;
    tq_layer_difference *layers;
} comparison;

static tq_status run_both(comparison *c, const char *data, const char *preset_name, int64_t limit,
                          int64_t n_threads, tq_meter *meter)
{
    const tq_dataset *dataset;
    const tq_preset *preset;
    const char *name;
    TQ_TRY(tq_cli_data(c->cli, data, NULL, TQ_PARTITION_TEST, &dataset));
    TQ_TRY(
        tq_cli_preset(c->cli, preset_name, *c->graphs[0], *c->graphs[1], dataset, &preset, &name));
    const tq_compare_options options = { .registry = c->cli->registry,
                                         .data = dataset,
                                         .preset = preset,
                                         .limit = limit,
                                         .n_threads = (int)n_threads,
                                         .progress = tq_meter_show,
                                         .context = meter };
    const tq_status status = tq_compare_layers(*c->graphs[0], *c->graphs[1], &options,
                                               c->cli->arena, &c->layers, &c->n_layers);
    tq_meter_clear(meter);
    return status;
}

static void print_text(const comparison *c, bool numbers)
{
    tq_arena *arena = c->cli->arena;
    for (int i = 0; i < c->n; i++) {
        const tq_difference *row = &c->rows[i];
        tq_print("%c %s %s: %s\n", row->sign, row->what, tq_text_clean(arena, row->name),
                 tq_text_clean(arena, row->detail));
    }
    tq_print(c->n ? "%d difference%s\n" : "no difference in structure or constants\n", c->n,
             c->n == 1 ? "" : "s");
    if (!numbers)
        return;
    tq_table *table =
        tq_table_create(arena, 3, (const char *const[]){ "value", "made by", ">max |difference|" });
    for (int i = 0; i < c->n_layers; i++)
        tq_table_add(
            table, (const char *[]){ c->layers[i].name, c->layers[i].op,
                                     tq_arena_printf(arena, "%.4g", c->layers[i].max_difference) });
    tq_print("\n%s", tq_table_print(table));
}

static void print_json(const comparison *c, bool numbers)
{
    tq_json *json = tq_json_create(c->cli->arena);
    tq_json_add_integer(json, "n", c->n);
    tq_json_open_array(json, "differences");
    for (int i = 0; i < c->n; i++) {
        const tq_difference *row = &c->rows[i];
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "sign", (const char[]){ row->sign, 0 });
        tq_json_add_text(json, "what", row->what);
        tq_json_add_text(json, "name", row->name);
        tq_json_add_text(json, "detail", row->detail);
        if (!isnan(row->max_difference))
            tq_json_add_number(json, "max_difference", row->max_difference);
        tq_json_close(json);
    }
    tq_json_close(json);
    if (numbers) {
        tq_json_open_array(json, "values");
        for (int i = 0; i < c->n_layers; i++) {
            tq_json_open_object(json, NULL);
            tq_json_add_text(json, "name", c->layers[i].name);
            tq_json_add_text(json, "op", c->layers[i].op);
            tq_json_add_number(json, "max_difference", c->layers[i].max_difference);
            tq_json_close(json);
        }
        tq_json_close(json);
    }
    tq_print("%s", tq_json_print(json));
}

static tq_status run(tq_cli *cli)
{
    const char *a = NULL, *b = NULL, *data = NULL, *preset = NULL, *dialect = NULL;
    int64_t limit = 16, n_threads = 0;
    bool json = false;
    const tq_option options[] = {
        TQ_ARG("A", &a, "a network"),
        TQ_ARG("B", &b, "the other one"),
        TQ_OPT_STRING('d', "data", "D", &data,
                      "run both on this dataset and compare each value they have in common"),
        TQ_OPT_PRESET(&preset),
        TQ_OPT_INT('n', "limit", "N", &limit, 1, INT64_MAX, "data points to run on"),
        TQ_OPT_THREADS(&n_threads),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    comparison c = { .cli = cli };
    TQ_TRY(tq_cli_load(cli, a, dialect, &c.graphs[0]));
    TQ_TRY(tq_cli_load(cli, b, dialect, &c.graphs[1]));
    tq_report_diff(*c.graphs[0], *c.graphs[1], cli->arena, &c.rows, &c.n);
    tq_meter meter = tq_meter_make(json);
    if (data)
        TQ_TRY(run_both(&c, data, preset, limit, n_threads, &meter));
    if (json)
        print_json(&c, data != NULL);
    else
        print_text(&c, data != NULL);
    return TQ_OK;
}

const tq_command tq_command_diff = {
    .entry = { .name = "diff", .brief = "how two networks differ: structure, constants, values" },
    .details = "Nodes, values and constants are matched by name. -: only in A, +: only in B, ~: "
               "changed.",
    .examples = { "diff net.onnx folded.onnx", "diff net.onnx folded.onnx --data digits --json" },
    .run = run,
};
