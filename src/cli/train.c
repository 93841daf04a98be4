/* truq train: trains a float or a fake-quantised network. */
#include "dump.h"
#include "rules.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct training {
    const char *model, *data, *valid, *preset, *partition, *out;
    int64_t seed, n_threads, n_shards, memory, cache;
    double lr, momentum, weight_decay, pact_decay; /* NaN: not given */
    tq_list controllers, editors;
    tq_dump dump;
    tq_edit edit;
    tq_train_options train;
} training;

/** The controllers asked for; "none" is none of them. */
static void list_controllers(tq_cli *cli, training *t)
{
    const char **list = TQ_NEW_N(cli->arena, const char *, t->controllers.n + 1);
    int n = 0;
    for (int i = 0; i < t->controllers.n; i++)
        if (strcmp(t->controllers.items[i], "none") != 0)
            list[n++] = t->controllers.items[i];
    t->train.controllers = list;
}

/** What the recipe of a fake-quantised network says of its training, where nothing else was said.
 *  Its learning rate is for its optimiser. */
static tq_status take_recipe(tq_cli *cli, const tq_graph *graph, training *t)
{
    tq_train_options *o = &t->train;
    tq_recipe_memory recipe;
    TQ_TRY(tq_recipe_recall(graph, cli->arena, &recipe));
    if (!o->optimizer) {
        o->optimizer = recipe.optimizer;
        if (isnan(t->lr))
            o->params.lr = recipe.lr;
    }
    if (!o->optimizer)
        o->optimizer = tq_graph_stage(graph) == TQ_STAGE_FAKE ? "pactsgd" : "sgd";
    if (o->epochs == 0)
        o->epochs = recipe.epochs > 0 ? recipe.epochs : 1;
    if (t->controllers.n > 0)
        list_controllers(cli, t);
    else
        o->controllers = recipe.controllers;
    return TQ_OK;
}

static tq_status check(tq_cli *cli, training *t)
{
    tq_train_options *o = &t->train;
    if (!o->run_folder)
        o->run_folder = tq_arena_printf(cli->arena, "%s.run", t->out);
    if (strcmp(o->bn, "train") != 0 && strcmp(o->bn, "freeze") != 0)
        return tq_fail(TQ_ERR_USAGE, "--bn takes train or freeze, not '%s'", o->bn);
    TQ_TRY(tq_cli_editors(cli, &t->editors, false, &t->edit.n_more, &t->edit.more));
    TQ_TRY(tq_dump_prepare(&t->dump, &t->edit));
    TQ_TRY(tq_cli_check_output(cli, t->out));
    return tq_cli_check_folder(cli, o->run_folder);
}

static tq_status open_data(tq_cli *cli, training *t)
{
    TQ_TRY(tq_cli_data(cli, t->data, t->partition, TQ_PARTITION_TRAIN, &t->train.train));
    if (t->valid)
        return tq_cli_data(cli, t->valid, NULL, TQ_PARTITION_VALID, &t->train.valid);
    return t->partition ? TQ_OK : tq_cli_held_out(cli, t->data, &t->train.valid);
}

static void print_result(const tq_train_result *r)
{
    tq_print("%" PRId64 " steps in %.0f s", r->steps, r->seconds);
    if (isfinite(r->train_loss))
        tq_print(", train loss %.4f", r->train_loss);
    if (isfinite(r->train_top1))
        tq_print(", train top-1 %.2f %%", r->train_top1);
    if (isfinite(r->valid_loss))
        tq_print(", valid loss %.4f", r->valid_loss);
    if (isfinite(r->valid_top1))
        tq_print(", valid top-1 %.2f %% (best %.2f %%)", r->valid_top1, r->best_valid_top1);
    tq_print("\n");
}

static tq_status train(tq_cli *cli, training *t)
{
    tq_graph **graph;
    const char *preset_name;
    TQ_TRY(check(cli, t));
    TQ_TRY(tq_cli_load(cli, t->model, NULL, &graph));
    TQ_TRY(open_data(cli, t));
    TQ_TRY(tq_cli_preset(cli, t->preset, *graph, NULL, t->train.train, &t->train.preset,
                         &preset_name));
    TQ_TRY(take_recipe(cli, *graph, t));
    if (!t->train.loss && !t->train.target && t->train.train->n_classes == 0)
        t->train.loss = "mse";
    tq_graph_set_meta(*graph, "preset", preset_name);
    tq_meter meter = tq_meter_make(false);
    t->train.seed = (uint64_t)t->seed;
    t->train.n_threads = (int)t->n_threads;
    t->train.n_shards = (int)t->n_shards;
    t->train.ranks = cli->ranks;
    t->train.memory = (size_t)t->memory * 1000000;
    t->train.cache = t->cache > 0 ? t->cache * 1000000 : -1;
    t->train.progress = tq_meter_show;
    t->train.context = &meter;
    tq_train_result result;
    t->train.edit = &t->edit;
    const tq_status status = tq_dump_finish(&t->dump, tq_train_run(graph, &t->train, &result));
    tq_meter_clear(&meter);
    TQ_TRY(status);
    print_result(&result);
    return tq_ranks_index(cli->ranks) == 0 ? tq_cli_save(cli, *graph, t->out) : TQ_OK;
}

/** The numbers that were given, in the place of the optimiser's defaults. */
static tq_status take_numbers(training *t)
{
    tq_optimizer_params *p = &t->train.params;
    const struct {
        const char *name;
        double given;
        double *target;
        bool positive;
    } numbers[] = { { "lr", t->lr, &p->lr, true },
                    { "momentum", t->momentum, &p->momentum, false },
                    { "weight-decay", t->weight_decay, &p->weight_decay, false },
                    { "pact-decay", t->pact_decay, &p->pact_decay, false } };
    for (int i = 0; i < TQ_COUNT(numbers); i++) {
        if (isnan(numbers[i].given))
            continue;
        if (numbers[i].given < 0.0 || (numbers[i].positive && numbers[i].given == 0.0))
            return tq_fail(TQ_ERR_USAGE, "--%s is %g; expected a positive number", numbers[i].name,
                           numbers[i].given);
        *numbers[i].target = numbers[i].given;
    }
    return TQ_OK;
}

static tq_status read_options(tq_cli *cli, training *t)
{
    tq_train_options *o = &t->train;
    const tq_option options[] = {
        TQ_ARG("MODEL", &t->model, "float or calibrated fake-quantised network"),
        TQ_OPT_DATA(&t->data),
        TQ_OPT_STRING(0, "valid", "D", &t->valid,
                      "dataset to validate on; default: the held-out part of a divided dataset"),
        TQ_OPT_PRESET(&t->preset),
        TQ_OPT_PARTITION(&t->partition, "train"),
        TQ_OPT_INT('e', "epochs", "N", &o->epochs, 0, 1000000,
                   "times through the data; 0: what the recipe says, else 1"),
        TQ_OPT_INT(0, "steps", "N", &o->max_steps, 0, INT64_MAX, "stop after N batches; 0: never"),
        TQ_OPT_INT('b', "batch", "B", &o->batch, 1, 65536, "images a step"),
        TQ_OPT_NUMBER(0, "lr", "L", &t->lr,
                      "learning rate; default: the recipe's, else the optimiser's, 0.01 for sgd"),
        TQ_OPT_STRING(0, "optimizer", "O", &o->optimizer,
                      "'truq list optimizers'; default: sgd, for fake-quantised networks what "
                      "their recipe says"),
        TQ_OPT_NUMBER(0, "momentum", "M", &t->momentum, "default: the optimiser's, 0.9"),
        TQ_OPT_FLAG(0, "nesterov", &o->params.nesterov, "Nesterov's momentum"),
        TQ_OPT_NUMBER(0, "weight-decay", "W", &t->weight_decay, "default: the optimiser's"),
        TQ_OPT_NUMBER(0, "pact-decay", "W", &t->pact_decay,
                      "weight decay of clipping bounds; default: the optimiser's, 0.001"),
        TQ_OPT_STRING(0, "schedule", "S", &o->schedule, "cosine, constant, step:EPOCHS,FACTOR"),
        TQ_OPT_NUMBER(0, "warmup", "N", &o->warmup_epochs, "epochs of linear warm-up"),
        TQ_OPT_STRING(0, "loss", "NAME", &o->loss,
                      "cross-entropy or mse; default: as the data has labels or not"),
        TQ_OPT_STRING(0, "target", "T", &o->target,
                      "labels, input or npz:KEY; default: what the loss takes"),
        TQ_OPT_NUMBER(0, "label-smoothing", "E", &o->label_smoothing, "of cross-entropy"),
        TQ_OPT_STRING(0, "bn", "MODE", &o->bn,
                      "batch norms: train (statistics move) or freeze (they stay)"),
        TQ_OPT_LIST(0, "controller", "NAME[:ARGS]", &t->controllers,
                    "what steers the training ('truq list controllers'), or none; default: the "
                    "recipe's"),
        TQ_OPT_LIST(0, "editor", "NAME", &t->editors,
                    "an editor or a file of rules (FILE.rule) for what is differentiated; those "
                    "of stage post_train for the trained network"),
        TQ_OPT_STRING(0, "dump-after", "EDITOR", &t->edit.dump_after,
                      "print the first training graph after this editor, or after all"),
        TQ_OPT_STRING(0, "dump-failed", "FILE", &t->dump.failed_path,
                      "where to write the network as it was before an editor that failed"),
        TQ_OPT_FLAG(0, "log", &t->dump.log, "print each edit"),
        TQ_OPT_INT('s', "seed", "S", &t->seed, 0, INT64_MAX, "of shuffling, augmentation, dropout"),
        TQ_OPT_THREADS(&t->n_threads),
        TQ_OPT_INT(0, "shards", "N", &t->n_shards, 1, 1024,
                   "pieces a batch is cut into: the bits depend on it, not on threads"),
        TQ_OPT_COMPUTE(&o->compute),
        TQ_OPT_MEMORY(&t->memory),
        TQ_OPT_INT(0, "cache", "MB", &t->cache, 0, 1 << 30,
                   "decoded images to keep between epochs; 0: none"),
        TQ_OPT_STRING(0, "run", "DIR", &o->run_folder,
                      "checkpoint, best.onnx, manifest.json; default: OUT.onnx.run"),
        TQ_OPT_INT(0, "checkpoint-every", "N", &o->checkpoint_every, 0, INT64_MAX,
                   "steps between checkpoints; 0: one an epoch"),
        TQ_OPT_FLAG(0, "resume", &o->resume, "continue from the run folder's checkpoint"),
        TQ_OPT_OUT(&t->out, "OUT.onnx", "where to write the trained network"),
        TQ_OPT_END,
    };
    return tq_options_parse(cli, options);
}

static tq_status run(tq_cli *cli)
{
    const double absent = (double)NAN;
    training t = { .dump = { .cli = cli },
                   .n_shards = 16,
                   .cache = 512,
                   .lr = absent,
                   .momentum = absent,
                   .weight_decay = absent,
                   .pact_decay = absent,
                   .train = {
                       .registry = cli->registry,
                       .command_line = cli->command_line,
                       .params = { .momentum = -1.0, .weight_decay = -1.0, .pact_decay = -1.0 },
                       .schedule = "cosine",
                       .batch = 64,
                       .bn = "train" } };
    TQ_TRY(read_options(cli, &t));
    TQ_TRY(take_numbers(&t));
    return train(cli, &t);
}

const tq_command tq_command_train = {
    .entry = { .name = "train", .brief = "trains a float or a fake-quantised network" },
    .details = "Same seed, data and shards: the same bits, for any number of threads and after "
               "--resume.",
    .examples = { "train net.onnx --data tar:train.tar --preset cifar10 --epochs 30 --schedule "
                  "cosine -o net2.onnx",
                  "train fake.onnx --data tar:train.tar --epochs 3 --controller freeze-bn:1 -o "
                  "fq.onnx" },
    .run = run,
    .shares_work = true,
};
