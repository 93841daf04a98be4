/* The two conversions: a recipe's pipeline makes a float network fake-quantised; the pipeline f2t,
 * then the backend's own editors, make that an integer one. Work is done on copies. */
#include "train/road/road_internal.h"

#include <math.h>
#include <string.h>

static int count(const tq_graph *graph, const char *op)
{
    int n = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        n += tq_node_is(node, op);
    return n;
}

const tq_editor *const *tq_road_join(int n_a, const tq_editor *const *a, int n_b,
                                     const tq_editor *const *b, tq_arena *arena)
{
    const tq_editor **editors = TQ_NEW_N(arena, const tq_editor *, n_a + n_b + 1);
    for (int i = 0; i < n_a + n_b; i++)
        editors[i] = i < n_a ? a[i] : b[i - n_a];
    return editors;
}

/** The recipe's editors, then the caller's, as far as their stage is here; the network remembers
 *  the others. */
static tq_status insert_quantizers(tq_graph **graph, const tq_recipe *recipe, tq_edit *edit,
                                   tq_arena *arena)
{
    int n = recipe->n_editors + edit->n_more, n_later;
    const tq_editor *const *all =
        tq_road_join(recipe->n_editors, recipe->editors, edit->n_more, edit->more, arena);
    const tq_editor *const *later = tq_editors_between(edit->registry, n, all, TQ_EDIT_FAKE + 1,
                                                       TQ_N_EDIT_STAGES - 1, arena, &n_later);
    edit->more = tq_editors_between(edit->registry, n, all, TQ_EDIT_CANONICALISE, TQ_EDIT_FAKE,
                                    arena, &edit->n_more);
    const char *pipeline = recipe->pipeline ? recipe->pipeline : "f2f";
    TQ_TRY(tq_pipeline_run(edit->registry, pipeline, graph, edit));
    tq_recipe_remember(recipe, n_later, later, *graph);
    return TQ_OK;
}

tq_status tq_f2f_run(tq_graph **graph, const tq_recipe *recipe, const tq_edit *edit,
                     int *out_n_quantizers)
{
    const tq_stage stage = tq_graph_stage(*graph);
    if (stage != TQ_STAGE_FLOAT)
        return tq_fail(TQ_ERR_STATE, "a float network is needed, this one is %s-quantised already",
                       tq_stage_name(stage));
    tq_edit own = edit ? *edit : (tq_edit){ 0 };
    own.registry = tq_graph_registry(*graph);
    own.recipe = recipe;
    tq_arena *arena = tq_scratch_create();
    const tq_status status = insert_quantizers(graph, recipe, &own, arena);
    tq_arena_destroy(arena);
    if (!status && out_n_quantizers)
        *out_n_quantizers = count(*graph, "FakeQuantize");
    return status;
}

/* ---- f2t ---- */

bool tq_input_scale(const tq_graph *graph, int i, double *out_scale)
{
    if (tq_value_meta_f64(tq_graph_input(graph, i), "quant.scale", out_scale))
        return true;
    const char *name = tq_graph_meta(graph, "preset");
    const tq_entry *entry =
        name ? tq_registry_get(tq_graph_registry(graph), TQ_KIND_PRESET, name) : NULL;
    *out_scale = entry ? ((const tq_preset *)(const void *)entry)->scale : 0.0;
    return *out_scale > 0.0;
}

static bool has_quantizer(const tq_value *input)
{
    for (int i = 0; i < tq_value_n_consumers(input); i++)
        if (tq_node_is(tq_value_consumer(input, i), "FakeQuantize"))
            return true;
    return false;
}

/** The scales asked for, and before them (later ones win) those known of inputs without a
 *  quantiser. */
static void gather_scales(const tq_graph *graph, const tq_f2t_options *o, tq_arena *arena,
                          tq_true_options *out)
{
    const int n_inputs = tq_graph_n_inputs(graph);
    const char **names = TQ_NEW_N(arena, const char *, n_inputs + o->n_input_scales);
    double *scales = TQ_NEW_N(arena, double, n_inputs + o->n_input_scales), scale;
    int n = 0;
    for (int i = 0; i < n_inputs; i++) {
        const tq_value *input = tq_graph_input(graph, i);
        if (has_quantizer(input) || !tq_input_scale(graph, i, &scale))
            continue;
        names[n] = tq_value_name(input);
        scales[n++] = scale;
    }
    for (int i = 0; i < o->n_input_scales; i++) {
        names[n] = o->input_names ? o->input_names[i] : NULL;
        scales[n++] = o->input_scales[i];
    }
    out->n_input_scales = n;
    out->input_names = names;
    out->input_scales = scales;
}

static tq_status check_scales(const tq_graph *graph, const tq_f2t_options *o)
{
    for (int i = 0; i < o->n_input_scales; i++) {
        const char *name = o->input_names ? o->input_names[i] : NULL;
        const tq_value *value = name ? tq_graph_find_value(graph, name) : NULL;
        if (name && (!value || !tq_value_is_input(value)))
            return tq_fail(TQ_ERR_NOT_FOUND, "the network has no input '%s'; its first is '%s'",
                           name,
                           tq_graph_n_inputs(graph) ? tq_value_name(tq_graph_input(graph, 0)) : "");
        if (!(o->input_scales[i] > 0.0 && isfinite(o->input_scales[i])))
            return tq_fail(TQ_ERR_VALUE, "input scale %g is not a positive number",
                           o->input_scales[i]);
    }
    return TQ_OK;
}

/** QuantLib's 24-bit converter is a fixed shift with multipliers and addends cut toward -inf. */
static tq_status set_shift(const tq_f2t_options *o, tq_true_options *out)
{
    tq_requant_limits *limits = &out->limits;
    out->fixed_shift = o->shift;
    if (o->shift < 0)
        return TQ_OK;
    if (o->shift < limits->shift_min || o->shift > limits->shift_max)
        return tq_fail(TQ_ERR_VALUE, "backend '%s' takes shifts %d to %d, not %d", out->backend,
                       limits->shift_min, limits->shift_max, o->shift);
    limits->fixed_shift = o->shift;
    limits->floor_mul_add = o->shift == 24;
    return TQ_OK;
}

static tq_status run_editor(tq_graph *graph, const char *name, const tq_edit *edit)
{
    const tq_entry *entry;
    int n_edits;
    TQ_TRY(tq_registry_find(edit->registry, TQ_KIND_EDITOR, name, &entry));
    TQ_TRY(tq_editor_apply((const tq_editor *)(const void *)entry, graph, edit, &n_edits));
    const char *wanted = edit->dump_after;
    if (edit->dump && wanted && (!strcmp(wanted, "all") || !strcmp(wanted, name)))
        edit->dump(edit->context, name, graph);
    return TQ_OK;
}

/* ---- integer networks of others ---- */

static bool is_foreign(const tq_graph *graph)
{
    static const char *const dialects[] = { "deeploy", "quantlib", "nemo" };
    const char *dialect = tq_graph_meta(graph, "dialect"), *stage = tq_graph_meta(graph, "stage");
    for (int i = 0; dialect && stage && i < TQ_COUNT(dialects); i++)
        if (strcmp(dialect, dialects[i]) == 0)
            return true;
    return false;
}

static tq_status state_codes(tq_graph *graph, const tq_f2t_options *o)
{
    for (int k = 0; k < o->n_codes; k++) {
        const char *name = o->code_names[k];
        bool known = false;
        for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
            tq_value *input = tq_graph_input(graph, i);
            if (name && strcmp(name, tq_value_name(input)) != 0)
                continue;
            tq_value_set_meta_i64(input, "quant.q_min", o->codes[k].q_min);
            tq_value_set_meta_i64(input, "quant.q_max", tq_range_q_max(&o->codes[k]));
            known = true;
        }
        if (!known)
            return tq_fail(TQ_ERR_NOT_FOUND, "the network has no input '%s'", name ? name : "");
    }
    return TQ_OK;
}

/* Whoever is left with reals or a division has no integer form. */
static tq_status check_integers(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        const tq_dtype dtype = tq_value_type(tq_node_output(node, 0))->dtype;
        if (tq_node_is(node, "Div"))
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "node '%s' divides by what is no power of two, which has no integer "
                           "form without division; --partial leaves it",
                           tq_node_name(node));
        if (tq_dtype_is_float(dtype))
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "node '%s' (%s) computes reals; --partial leaves it float",
                           tq_node_name(node), tq_node_op_name(node));
    }
    return TQ_OK;
}

static tq_status narrow(tq_graph **copy, const tq_f2t_options *o, const tq_edit *edit)
{
    TQ_TRY(state_codes(*copy, o));
    TQ_TRY(tq_pipeline_run(edit->registry, "narrow", copy, edit));
    if (edit->stop_after)
        return TQ_OK;
    const tq_status status = check_integers(*copy);
    tq_graph_set_meta(*copy, "stage", status ? "partial" : "true");
    if (o->partial)
        tq_status_drop(status);
    return o->partial ? TQ_OK : status;
}

static tq_status convert(tq_graph **copy, const tq_f2t_options *o, const tq_backend *backend,
                         const tq_edit *edit)
{
    for (int i = 0; i < o->n_editors; i++)
        TQ_TRY(run_editor(*copy, o->editors[i], edit));
    TQ_TRY(is_foreign(*copy) ? narrow(copy, o, edit)
                             : tq_pipeline_run(edit->registry, "f2t", copy, edit));
    if (edit->stop_after)
        return TQ_OK;
    for (int i = 0; i < TQ_COUNT(backend->editors) && backend->editors[i]; i++)
        TQ_TRY(run_editor(*copy, backend->editors[i], edit));
    tq_graph_set_meta(*copy, "backend", backend->entry.name);
    return o->partial ? TQ_OK : tq_backend_check_graph(backend, *copy);
}

static tq_status check_stage(const tq_graph *graph)
{
    if (is_foreign(graph))
        return TQ_OK;
    switch (tq_graph_stage(graph)) {
    case TQ_STAGE_FAKE:
        return TQ_OK;
    case TQ_STAGE_TRUE:
        return tq_fail(TQ_ERR_STATE, "it is a true-quantised network already");
    case TQ_STAGE_FLOAT:
        break;
    }
    return tq_fail(TQ_ERR_STATE,
                   "it is a float network; run 'truq f2f' and 'truq calibrate' first");
}

/** What the recipe wants done here comes before what the caller wants. */
static tq_status add_remembered(const tq_graph *graph, tq_arena *arena, tq_edit *edit)
{
    int n;
    tq_recipe_memory memory;
    TQ_TRY(tq_recipe_recall(graph, arena, &memory));
    const tq_editor *const *ours = tq_editors_between(
        edit->registry, memory.n_editors, memory.editors, TQ_EDIT_TRUE, TQ_EDIT_BACKEND, arena, &n);
    edit->more = tq_road_join(n, ours, edit->n_more, edit->more, arena);
    edit->n_more += n;
    return TQ_OK;
}

tq_status tq_f2t_run(tq_graph **graph, const tq_f2t_options *options, const tq_edit *edit)
{
    tq_edit own = edit ? *edit : (tq_edit){ 0 };
    own.registry = tq_graph_registry(*graph);
    const tq_entry *entry;
    const char *name = options->backend ? options->backend : "generic";
    TQ_TRY(tq_registry_find(own.registry, TQ_KIND_BACKEND, name, &entry));
    const tq_backend *backend = (const tq_backend *)(const void *)entry;
    TQ_TRY(check_stage(*graph));
    TQ_TRY(check_scales(*graph, options));
    tq_true_options true_options = { .backend = name,
                                     .force_half_up = options->force_half_up,
                                     .limits = backend->requant,
                                     .partial = options->partial };
    TQ_TRY(set_shift(options, &true_options));
    tq_arena *arena = tq_scratch_create();
    gather_scales(*graph, options, arena, &true_options);
    own.true_options = &true_options;
    tq_graph *copy = tq_graph_clone(*graph);
    tq_status status = add_remembered(*graph, arena, &own);
    if (!status)
        status = convert(&copy, options, backend, &own);
    tq_graph_destroy(status ? copy : *graph);
    if (!status)
        *graph = copy;
    tq_arena_destroy(arena);
    return status;
}
