/* truq partition: a network cut at what a target can run. */
#include "cli.h"

#include <ctype.h>
#include <string.h>

typedef struct partition {
    tq_cli *cli;
    tq_graph **graph;
    const char *backend, *ops, *folder;
    const tq_recipe *recipe;
    bool json;
} partition;

static tq_status check_ops(const partition *p)
{
    const char *const *items;
    const tq_entry *entry;
    if (!p->ops)
        return TQ_OK;
    TQ_TRY(tq_options_split(p->cli, "device-ops", p->ops, &items));
    for (int i = 0; items[i]; i++)
        if (strcmp(items[i], "Relu6") != 0)
            TQ_TRY(tq_registry_find(p->cli->registry, TQ_KIND_OP, items[i], &entry));
    return TQ_OK;
}

/* ---- devices ---- */

/** An assignment for another target, or one that is asked anew, goes. */
static void forget_devices(const partition *p)
{
    const char *before = tq_graph_meta(*p->graph, "device.backend");
    if (!p->ops && (!before || strcmp(before, p->backend) == 0))
        return;
    for (tq_node *node = tq_graph_first(*p->graph); node; node = tq_node_next(node)) {
        tq_node_set_meta(node, "device", NULL);
        tq_node_set_meta(node, "device.why", NULL);
    }
}

static tq_status assign(const partition *p)
{
    const tq_entry *entry;
    const tq_edit edit = { .registry = p->cli->registry, .recipe = p->recipe };
    TQ_TRY(tq_registry_find(p->cli->registry, TQ_KIND_EDITOR, "assign-devices", &entry));
    return tq_editor_apply((const tq_editor *)(const void *)entry, *p->graph, &edit, NULL);
}

/** With a recipe the device's part of a float network becomes fake-quantised. */
static tq_status place(const partition *p)
{
    const bool quantizes = p->recipe && tq_graph_stage(*p->graph) == TQ_STAGE_FLOAT;
    if (p->recipe && !quantizes)
        return tq_fail(TQ_ERR_STATE, "--recipe is for float networks, this one is quantised");
    forget_devices(p);
    tq_graph_set_meta(*p->graph, "device.backend", p->backend);
    if (p->ops)
        tq_graph_set_meta(*p->graph, "device.ops", p->ops);
    if (!quantizes)
        return assign(p);
    int n_quantizers;
    TQ_TRY(tq_pipeline_run(p->cli->registry, "canonicalise", p->graph, NULL));
    TQ_TRY(assign(p));
    return tq_f2f_run(p->graph, p->recipe, NULL, &n_quantizers);
}

/* ---- files ---- */

/** "part2_dory.onnx", or "part02_dory.onnx" of more than ten: a listing is in the order of running.
 *  A backend's name may hold anything. */
static const char *file_name(const partition *p, int i, int n, const char *device)
{
    int n_digits = 1;
    for (int k = 10; k < n; k *= 10)
        n_digits++;
    char *name = tq_arena_printf(p->cli->arena, "part%0*d_%s", n_digits, i, device);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            *c = '_';
    return tq_arena_printf(p->cli->arena, "%s.onnx", name);
}

static tq_status write_part(const partition *p, const tq_part *part, const char *file)
{
    tq_graph *graph;
    TQ_TRY(tq_part_extract(*p->graph, part, &graph));
    const char *path = tq_arena_printf(p->cli->arena, "%s/%s", p->folder, file);
    const tq_status status = tq_onnx_export(graph, path, 0);
    tq_graph_destroy(graph);
    return status;
}

static tq_status write_text(const partition *p, const char *file, const char *text)
{
    return tq_file_write(tq_arena_printf(p->cli->arena, "%s/%s", p->folder, file), text,
                         strlen(text));
}

static tq_status write_all(const partition *p, const tq_parts *parts)
{
    tq_arena *arena = p->cli->arena;
    const char **files = TQ_NEW_N(arena, const char *, parts->n + 1);
    TQ_TRY(tq_folder_create(p->folder));
    for (int i = 0; i < parts->n; i++) {
        files[i] = file_name(p, i, parts->n, parts->parts[i].device);
        TQ_TRY(write_part(p, &parts->parts[i], files[i]));
    }
    TQ_TRY(tq_onnx_export(*p->graph, tq_arena_printf(arena, "%s/whole.onnx", p->folder), 0));
    TQ_TRY(write_text(p, "partition.json", tq_report_parts(*p->graph, parts, files, true, arena)));
    tq_print("%s", tq_report_parts(*p->graph, parts, files, p->json, arena));
    if (!p->json)
        tq_print("wrote %s: whole.onnx, %d part%s, partition.json\n", p->folder, parts->n,
                 parts->n == 1 ? "" : "s");
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *recipe = NULL, *dialect = NULL;
    partition p = { .cli = cli };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_REQUIRED(0, "backend", "NAME", &p.backend, "target ('truq list backends')"),
        TQ_OPT_STRING(0, "device-ops", "OP,..", &p.ops,
                      "only these operators may go to the target, such as Conv,Relu"),
        TQ_OPT_STRING('r', "recipe", "R", &recipe,
                      "fake-quantise the target's part of a float network"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&p.json),
        TQ_OPT_OUT(&p.folder, "DIR", "folder for whole.onnx, the parts and partition.json"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_BACKEND, p.backend, &entry));
    TQ_TRY(check_ops(&p));
    if (recipe)
        TQ_TRY(tq_recipe_open(cli->registry, recipe, cli->arena, &p.recipe));
    TQ_TRY(tq_cli_check_folder(cli, p.folder));
    TQ_TRY(tq_cli_load(cli, model, dialect, &p.graph));
    tq_parts parts;
    TQ_TRY(tq_wrap(place(&p), "'%s'", model));
    TQ_TRY(tq_parts_find(*p.graph, cli->arena, &parts));
    return write_all(&p, &parts);
}

const tq_command tq_command_partition = {
    .entry = { .name = "partition", .brief = "cuts a network at what a target can run" },
    .details =
        "Each part is a network of its own, to be run in order: values go by name. A quantised "
        "part on the target goes\non with 'truq f2t' and 'truq export'. whole.onnx trains and "
        "evaluates as before; after training,\n'truq f2t --partial' makes integers of the "
        "target's part alone, and can be partitioned again.",
    .examples = { "partition net.onnx --backend dory --recipe pact8 -o parts",
                  "partition net.onnx --backend generic --device-ops Conv,Relu -o parts" },
    .run = run,
};
