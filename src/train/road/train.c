/* Training with the editors that the recipe and the caller want: those of pre-grad see each
 * training graph, those of post-train the network when it was trained. */
#include "train/road/road_internal.h"

/** Those of the caller that do not wait for the end are for what is differentiated. */
static void split(const tq_recipe_memory *memory, const tq_edit *asked, tq_arena *arena,
                  tq_edit *before, tq_edit *after)
{
    const tq_registry *registry = before->registry;
    int n, n_early, n_middle, n_late;
    const tq_editor *const *ours = tq_editors_between(registry, memory->n_editors, memory->editors,
                                                      TQ_EDIT_PRE_GRAD, TQ_EDIT_GRAD, arena, &n);
    const tq_editor *const *early = tq_editors_between(
        registry, asked->n_more, asked->more, TQ_EDIT_CANONICALISE, TQ_EDIT_GRAD, arena, &n_early);
    const tq_editor *const *late = tq_editors_between(
        registry, asked->n_more, asked->more, TQ_EDIT_TRUE, TQ_EDIT_BACKEND, arena, &n_late);
    ours = tq_road_join(n, ours, n_early, early, arena);
    before->more = tq_road_join(n + n_early, ours, n_late, late, arena);
    before->n_more = n + n_early + n_late;
    ours = tq_editors_between(registry, memory->n_editors, memory->editors, TQ_EDIT_POST_TRAIN,
                              TQ_EDIT_POST_TRAIN, arena, &n);
    const tq_editor *const *middle =
        tq_editors_between(registry, asked->n_more, asked->more, TQ_EDIT_POST_TRAIN,
                           TQ_EDIT_POST_TRAIN, arena, &n_middle);
    after->more = tq_road_join(n, ours, n_middle, middle, arena);
    after->n_more = n + n_middle;
}

static tq_status run(tq_graph **graph, const tq_train_options *options, tq_arena *arena,
                     tq_train_result *out_result)
{
    const tq_edit asked = options->edit ? *options->edit : (tq_edit){ 0 };
    tq_edit before = asked, after = asked;
    tq_recipe_memory memory;
    tq_train_options own = *options;
    before.registry = after.registry = options->registry;
    TQ_TRY(tq_recipe_recall(*graph, arena, &memory));
    split(&memory, &asked, arena, &before, &after);
    own.edit = &before;
    TQ_TRY(tq_train(*graph, &own, out_result));
    return tq_pipeline_run(options->registry, "post-train", graph, &after);
}

tq_status tq_train_run(tq_graph **graph, const tq_train_options *options,
                       tq_train_result *out_result)
{
    tq_arena *arena = tq_scratch_create();
    const tq_status status = run(graph, options, arena, out_result);
    tq_arena_destroy(arena);
    return status;
}
