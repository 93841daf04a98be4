/* truq check: what a target can run of a network, before anything is trained. */
#include "cli.h"

static tq_status refuse(const tq_feasibility *f)
{
    if (f->runs)
        return TQ_OK;
    for (int i = 0; i < f->n; i++)
        if (f->nodes[i].verdict == TQ_NEVER_RUNS)
            return tq_fail(TQ_ERR_CHECK,
                           "backend '%s' cannot run %d of %d nodes, first '%s' (%s): %s; 'truq "
                           "partition' leaves them to the cpu",
                           f->backend->entry.name, f->n_never, f->n, f->nodes[i].node,
                           f->nodes[i].op, f->nodes[i].why);
    if (f->problem)
        return tq_fail(TQ_ERR_CHECK, "backend '%s' cannot run the network: %s",
                       f->backend->entry.name, f->problem);
    return tq_fail(
        TQ_ERR_CHECK,
        "the network fits no chip of backend '%s': it has %lld bytes of weights and %lld of "
        "activations",
        f->backend->entry.name, (long long)f->weight_bytes, (long long)f->peak_bytes);
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *backend = NULL, *recipe_name = NULL, *dialect = NULL;
    bool json = false;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_REQUIRED(0, "backend", "NAME", &backend, "target ('truq list backends')"),
        TQ_OPT_STRING('r', "recipe", "R", &recipe_name,
                      "how a float network would be quantised; default: pact8"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const tq_entry *entry;
    const tq_recipe *recipe = NULL;
    TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_BACKEND, backend, &entry));
    if (recipe_name)
        TQ_TRY(tq_recipe_open(cli->registry, recipe_name, cli->arena, &recipe));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    tq_feasibility f;
    TQ_TRY(tq_wrap(
        tq_feasibility_run(*graph, (const tq_backend *)(const void *)entry, recipe, cli->arena, &f),
        "'%s'", model));
    tq_print("%s", tq_report_feasibility(&f, json, cli->arena));
    return refuse(&f);
}

const tq_command tq_command_check = {
    .entry = { .name = "check", .brief = "what a target can run of a network, before training" },
    .details =
        "The network goes the whole road without data: quantisers that saw none get a grid, then "
        "comes the\nconversion for the target. A node runs as it is, runs after the editors named, "
        "or "
        "never, with the reason.\nBytes are those of quantised weights and activations of one "
        "sample. Exit status 0: all of it runs; 1: some\nnode never will, or it fits no memory.",
    .examples = { "check net.onnx --backend dory", "check fake.onnx --backend dory --json" },
    .run = run,
};
