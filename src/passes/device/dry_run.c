/* The road without data: a recipe's pipeline, grids placed where nothing was observed, the partial
 * conversion, the backend's editors. After each editor every node of the original network is looked
 * up by name: an editor that changed or removed it goes on its trail. */
#include "passes/device/device_internal.h"

#include <truq/quant.h>

#include <math.h>
#include <string.h>

bool tq_is_integer_network(const tq_graph *graph)
{
    const char *stage = tq_graph_meta(graph, "stage");
    return stage && (strcmp(stage, "true") == 0 || strcmp(stage, "partial") == 0);
}

/* ---- trails ---- */

static uint32_t add_text(uint32_t crc, const char *text)
{
    return tq_crc32(crc, text, strlen(text) + 1);
}

/* Operator and wiring; what an editor notes beside them is no change. */
static uint32_t shape_of(const tq_node *node)
{
    uint32_t crc = add_text(0, tq_node_op_name(node));
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        crc = add_text(crc, value ? tq_value_name(value) : "");
    }
    return crc;
}

static void start_trails(tq_dry_run *run, const tq_graph *graph)
{
    run->n = 0;
    run->trails = TQ_NEW_N(run->arena, tq_trail, tq_graph_n_nodes(graph) + 1);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        run->trails[run->n++] = (tq_trail){ .node = tq_arena_strdup(run->arena, tq_node_name(node)),
                                            .shape = shape_of(node) };
}

static bool is_integer(const tq_node *node)
{
    return !tq_dtype_is_float(tq_value_type(tq_node_output(node, 0))->dtype);
}

static void note(tq_dry_run *run, const char *editor, const tq_graph *graph)
{
    for (int i = 0; i < run->n; i++) {
        tq_trail *trail = &run->trails[i];
        const tq_node *node = trail->gone ? NULL : tq_graph_find_node(graph, trail->node);
        const uint32_t shape = node ? shape_of(node) : 0;
        if (trail->gone || (node && shape == trail->shape))
            continue;
        TQ_PUSH(run->arena, trail->editors, trail->n, trail->capacity,
                tq_arena_strdup(run->arena, editor));
        trail->gone = node == NULL || is_integer(node);
        trail->shape = shape;
    }
}

static void watch(void *context, const char *editor, const tq_graph *graph)
{
    note(context, editor, graph);
}

/* ---- grids without data ---- */

static tq_status place_grid(const tq_node *fake)
{
    enum { REACH = 4 }; /* reals that a normalised activation takes */
    const tq_attrs *attrs = tq_node_attrs(fake);
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(tq_node_graph(fake)), TQ_KIND_QUANTIZER,
                            tq_attr_string(attrs, "quantizer"), &entry));
    const tq_quantizer *quantizer = (const tq_quantizer *)(const void *)entry;
    const tq_range range = { .q_min = tq_attr_int(attrs, "q_min"),
                             .n_levels = tq_attr_int(attrs, "n_levels"),
                             .step = (int)tq_attr_int(attrs, "step"),
                             .free_offset = tq_attr_int(attrs, "free_offset") != 0 };
    float params[TQ_QUANTIZER_MAX_PARAMS] = { 0 };
    TQ_TRY(quantizer->init(&range, range.q_min >= 0 && !range.free_offset ? 0 : -REACH, REACH,
                           params));
    for (int k = 0; k < quantizer->n_params; k++) {
        tq_value *value = tq_node_input(fake, 1 + k);
        void *data;
        if (!value || !tq_value_is_const(value) || tq_value_type(value)->dtype != TQ_F32)
            continue;
        TQ_TRY(tq_value_own(value, &data));
        for (int64_t c = 0; c < tq_type_count(tq_value_type(value)); c++)
            if (isnan(((float *)data)[c]))
                ((float *)data)[c] = params[k];
    }
    return TQ_OK;
}

static tq_status place_grids(tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize"))
            TQ_TRY(tq_wrap(place_grid(node), "quantizer '%s'", tq_node_name(node)));
    return TQ_OK;
}

/* ---- the road ---- */

static tq_status run_recipe(tq_dry_run *run, const tq_recipe *recipe)
{
    const tq_registry *registry = tq_graph_registry(run->fake);
    const tq_entry *entry = NULL;
    if (!recipe)
        TQ_TRY(tq_registry_find(registry, TQ_KIND_RECIPE, "pact8", &entry));
    const tq_recipe *used = recipe ? recipe : (const tq_recipe *)(const void *)entry;
    const tq_edit edit = {
        .registry = registry, .recipe = used, .dump_after = "all", .dump = watch, .context = run
    };
    return tq_pipeline_run(registry, used->pipeline ? used->pipeline : "f2f", &run->fake, &edit);
}

static tq_status run_backend_editors(tq_dry_run *run, const tq_edit *edit)
{
    const tq_backend *backend = run->backend;
    for (int i = 0; i < TQ_COUNT(backend->editors) && backend->editors[i]; i++) {
        const tq_entry *entry;
        TQ_TRY(tq_registry_find(edit->registry, TQ_KIND_EDITOR, backend->editors[i], &entry));
        TQ_TRY(tq_editor_apply((const tq_editor *)(const void *)entry, run->result, edit, NULL));
        note(run, backend->editors[i], run->result);
    }
    return TQ_OK;
}

static tq_true_options true_options(const tq_backend *backend, bool partial)
{
    return (tq_true_options){ .backend = backend->entry.name,
                              .fixed_shift = -1,
                              .force_half_up = true,
                              .limits = backend->requant,
                              .partial = partial };
}

static tq_status make(tq_dry_run *run, const tq_graph *graph, const tq_recipe *recipe)
{
    const tq_registry *registry = tq_graph_registry(graph);
    if (tq_is_integer_network(graph)) {
        run->result = tq_graph_clone(graph);
        return TQ_OK;
    }
    run->fake = tq_graph_clone(graph);
    if (tq_graph_stage(graph) == TQ_STAGE_FLOAT)
        TQ_TRY(run_recipe(run, recipe));
    TQ_TRY(place_grids(run->fake));
    run->result = tq_graph_clone(run->fake);
    const tq_true_options options = true_options(run->backend, true);
    const tq_edit edit = { .registry = registry,
                           .true_options = &options,
                           .dump_after = "all",
                           .stop_after = "merge-requants", /* the proof is the judge's */
                           .dump = watch,
                           .context = run };
    TQ_TRY(tq_pipeline_run(registry, "f2t", &run->result, &edit));
    return run_backend_editors(run, &edit);
}

tq_status tq_dry_run_make(const tq_graph *graph, const tq_backend *backend, const tq_recipe *recipe,
                          tq_arena *arena, tq_dry_run *out)
{
    *out = (tq_dry_run){ .backend = backend, .arena = arena };
    start_trails(out, graph);
    const tq_status status = make(out, graph, recipe);
    if (status)
        tq_dry_run_reset(out);
    return status;
}

void tq_dry_run_reset(tq_dry_run *run)
{
    tq_graph_destroy(run->fake);
    tq_graph_destroy(run->result);
    run->fake = run->result = NULL;
}

tq_status tq_dry_run_whole(const tq_dry_run *run, tq_graph **out_graph)
{
    const tq_true_options options = true_options(run->backend, false);
    const tq_edit edit = { .registry = tq_graph_registry(run->fake), .true_options = &options };
    *out_graph = tq_graph_clone(run->fake);
    const tq_status status = tq_pipeline_run(edit.registry, "f2t", out_graph, &edit);
    if (status) {
        tq_graph_destroy(*out_graph);
        *out_graph = NULL;
    }
    return status;
}
