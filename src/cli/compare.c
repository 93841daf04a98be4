/* truq compare: do two networks say the same, and where do they part? */
#include "predictions.h"

#include <inttypes.h>
#include <math.h>

typedef struct comparison {
    tq_cli *cli;
    const char *paths[2];
    const char *data, *preset, *partition, *dialect;
    bool layers, json;
    int64_t batch, n_threads, limit;
    tq_graph **graphs[2];
    const tq_dataset *dataset;
    const tq_preset *preprocessing;
    tq_meter meter;
    tq_predictions predictions[2];
    int64_t n_equal, first_different; /* id, -1: none */
    int n_rows;
    tq_layer_difference *rows;
} comparison;

static tq_status load(comparison *c)
{
    const char *name;
    for (int i = 0; i < 2; i++) {
        if (tq_predictions_is_csv(c->paths[i]))
            TQ_TRY(tq_predictions_load(c->paths[i], c->cli->arena, &c->predictions[i]));
        else
            TQ_TRY(tq_cli_load(c->cli, c->paths[i], c->dialect, &c->graphs[i]));
    }
    if (!c->graphs[0] && !c->graphs[1])
        return c->layers ? tq_fail(TQ_ERR_USAGE, "--layers needs two networks, not predictions")
                         : TQ_OK;
    if (c->layers && !(c->graphs[0] && c->graphs[1]))
        return tq_fail(TQ_ERR_USAGE, "--layers needs two networks, not predictions");
    if (!c->data)
        return tq_fail(TQ_ERR_USAGE, "--data is missing; 'truq compare --help' explains");
    TQ_TRY(tq_cli_data(c->cli, c->data, c->partition, TQ_PARTITION_TEST, &c->dataset));
    const tq_graph *first = *(c->graphs[0] ? c->graphs[0] : c->graphs[1]);
    const tq_graph *second = c->graphs[1] ? *c->graphs[1] : NULL;
    return tq_cli_preset(c->cli, c->preset, first, second, c->dataset, &c->preprocessing, &name);
}

static tq_status predict(comparison *c)
{
    const tq_eval_options options = { .registry = c->cli->registry,
                                      .data = c->dataset,
                                      .preset = c->preprocessing,
                                      .batch = c->batch,
                                      .limit = c->limit,
                                      .n_threads = (int)c->n_threads,
                                      .progress = tq_meter_show,
                                      .context = &c->meter };
    for (int i = 0; i < 2; i++)
        if (c->graphs[i])
            TQ_TRY(tq_predictions_make(*c->graphs[i], c->paths[i], &options, c->cli->arena,
                                       &c->predictions[i]));
    return TQ_OK;
}

static tq_status count_equal(comparison *c)
{
    const tq_predictions *a = &c->predictions[0], *b = &c->predictions[1];
    c->first_different = -1;
    for (int64_t i = 0; i < a->n && i < b->n; i++) {
        if (a->items[i].id != b->items[i].id)
            return tq_fail(TQ_ERR_VALUE, "'%s' and '%s' are of different data: id %lld and id %lld",
                           a->name, b->name, (long long)a->items[i].id, (long long)b->items[i].id);
        const bool equal = a->items[i].prediction == b->items[i].prediction;
        c->n_equal += equal;
        if (!equal && c->first_different < 0)
            c->first_different = a->items[i].id;
    }
    if (a->n != b->n)
        return tq_fail(TQ_ERR_VALUE, "'%s' has %lld predictions, '%s' has %lld", a->name,
                       (long long)a->n, b->name, (long long)b->n);
    return TQ_OK;
}

static tq_status compare_layers(comparison *c)
{
    const tq_compare_options options = { .registry = c->cli->registry,
                                         .data = c->dataset,
                                         .preset = c->preprocessing,
                                         .limit = c->limit > 0 && c->limit < 64 ? c->limit : 64,
                                         .n_threads = (int)c->n_threads,
                                         .progress = tq_meter_show,
                                         .context = &c->meter };
    return tq_compare_layers(*c->graphs[0], *c->graphs[1], &options, c->cli->arena, &c->rows,
                             &c->n_rows);
}

/* ---- printing ---- */

static const tq_layer_difference *first_diverging(const comparison *c)
{
    for (int i = 0; i < c->n_rows; i++)
        if (c->rows[i].diverges)
            return &c->rows[i];
    return NULL;
}

static const tq_layer_difference *worst(const comparison *c)
{
    const tq_layer_difference *found = NULL;
    for (int i = 0; i < c->n_rows; i++)
        if (c->rows[i].diverges && (!found || c->rows[i].max_steps > found->max_steps))
            found = &c->rows[i];
    return found;
}

static double percent_equal(const comparison *c)
{
    const int64_t n = c->predictions[0].n;
    return n ? 100.0 * (double)c->n_equal / (double)n : (double)NAN;
}

static void print_layers(const comparison *c)
{
    static const char *const titles[] = { "value",           "made by", ">max steps",
                                          ">max difference", ">step",   ">equal %" };
    tq_arena *arena = c->cli->arena;
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    for (int i = 0; i < c->n_rows; i++) {
        const tq_layer_difference *r = &c->rows[i];
        tq_table_add(
            table, (const char *[]){ r->name, r->op, tq_arena_printf(arena, "%.3g", r->max_steps),
                                     tq_arena_printf(arena, "%.4g", r->max_difference),
                                     r->step > 0.0 ? tq_arena_printf(arena, "%.4g", r->step) : "-",
                                     tq_arena_printf(arena, "%.2f", r->equal) });
    }
    tq_print("\n%s\n", tq_table_print(table));
    const tq_layer_difference *first = first_diverging(c), *last = worst(c);
    if (!first)
        tq_print("no layer diverges by half a step\n");
    else
        tq_print("first diverging layer: %s (%.3g steps); worst: %s (%.3g steps)\n",
                 tq_text_clean(arena, first->name), first->max_steps,
                 tq_text_clean(arena, last->name), last->max_steps);
}

static void print_text(const comparison *c)
{
    for (int i = 0; i < 2; i++) {
        const tq_predictions *p = &c->predictions[i];
        const double top1 = tq_predictions_top1(p);
        if (isfinite(top1))
            tq_print("%s: top-1 %.2f %%\n", p->name, top1);
        else if (isfinite(p->loss))
            tq_print("%s: loss %.6g\n", p->name, p->loss);
    }
    tq_print("equal predictions: %.2f %% (%" PRId64 " of %" PRId64 ")", percent_equal(c),
             c->n_equal, c->predictions[0].n);
    if (c->first_different >= 0)
        tq_print(", first different: id %" PRId64, c->first_different);
    tq_print("\n");
    if (c->layers)
        print_layers(c);
}

static void print_json(const comparison *c)
{
    tq_json *json = tq_json_create(c->cli->arena);
    const tq_layer_difference *first = first_diverging(c), *last = worst(c);
    tq_json_add_number(json, "equal", percent_equal(c));
    tq_json_add_integer(json, "n_equal", c->n_equal);
    tq_json_add_integer(json, "n", c->predictions[0].n);
    if (c->first_different >= 0)
        tq_json_add_integer(json, "first_different", c->first_different);
    else
        tq_json_add_text(json, "first_different", NULL);
    tq_json_add_number(json, "top1_a", tq_predictions_top1(&c->predictions[0]));
    tq_json_add_number(json, "top1_b", tq_predictions_top1(&c->predictions[1]));
    tq_json_add_number(json, "loss_a", c->predictions[0].loss);
    tq_json_add_number(json, "loss_b", c->predictions[1].loss);
    if (c->layers) {
        tq_json_add_text(json, "first_diverging", first ? first->name : NULL);
        tq_json_add_text(json, "worst", last ? last->name : NULL);
        tq_json_open_array(json, "layers");
        for (int i = 0; i < c->n_rows; i++) {
            tq_json_open_object(json, NULL);
            tq_json_add_text(json, "name", c->rows[i].name);
            tq_json_add_text(json, "op", c->rows[i].op);
            tq_json_add_number(json, "max_steps", c->rows[i].max_steps);
            tq_json_add_number(json, "max_difference", c->rows[i].max_difference);
            tq_json_add_number(json, "step", c->rows[i].step);
            tq_json_add_number(json, "equal", c->rows[i].equal);
            tq_json_close(json);
        }
        tq_json_close(json);
    }
    tq_print("%s", tq_json_print(json));
}

static tq_status compare(comparison *c)
{
    TQ_TRY(load(c));
    TQ_TRY(predict(c));
    TQ_TRY(count_equal(c));
    return c->layers ? compare_layers(c) : TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    comparison c = { .cli = cli, .batch = 32 };
    const tq_option options[] = {
        TQ_ARG("A", &c.paths[0], "a network, or predictions that 'truq eval --save' wrote (.csv)"),
        TQ_ARG("B", &c.paths[1], "the other one"),
        TQ_OPT_STRING('d', "data", "D", &c.data, "dataset (not needed for two .csv files)"),
        TQ_OPT_PRESET(&c.preset),
        TQ_OPT_PARTITION(&c.partition, "test"),
        TQ_OPT_FLAG('l', "layers", &c.layers,
                    "compare inner values too, on the first 64 data points at most"),
        TQ_OPT_INT('b', "batch", "B", &c.batch, 1, 65536, "images at once"),
        TQ_OPT_INT('n', "limit", "N", &c.limit, 0, INT64_MAX, "only the first N; 0: all"),
        TQ_OPT_THREADS(&c.n_threads),
        TQ_OPT_DIALECT(&c.dialect),
        TQ_OPT_JSON(&c.json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    c.meter = tq_meter_make(c.json);
    const tq_status status = compare(&c);
    tq_meter_clear(&c.meter);
    TQ_TRY(status);
    if (c.json)
        print_json(&c);
    else
        print_text(&c);
    return TQ_OK;
}

const tq_command tq_command_compare = {
    .entry = { .name = "compare", .brief = "equal predictions of two networks; where they part" },
    .details = "Steps are those of the grid a value lies on; without a grid, 1/256 of its largest "
               "magnitude.\nA layer diverges when an element is more than half a step away "
               "(without a grid: "
               "1e-5, relative).",
    .examples = { "compare fake.onnx true.onnx --data tar:test.tar --layers",
                  "compare a.csv b.csv" },
    .run = run,
};
