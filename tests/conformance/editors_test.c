/* All editors and pipelines that are registered: what they name exists, and what they did they do
 * not do again. */
#include "road.h"

static const tq_recipe *recipe_of(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_RECIPE, name, &entry));
    return (const tq_recipe *)(const void *)entry;
}

static void check_exists(tq_kind kind, const char *name, const char *by)
{
    CHECK_EQ(tq_registry_get(check_registry(), kind, name) != NULL, true, "('%s' names %s '%s')",
             by, tq_kind_name(kind, false), name);
}

TEST(everything_registered_says_what_it_is)
{
    for (int kind = 0; kind < TQ_N_KINDS; kind++)
        for (int i = 0; i < tq_registry_count(check_registry(), (tq_kind)kind); i++) {
            const tq_entry *entry = tq_registry_at(check_registry(), (tq_kind)kind, i);
            CHECK(entry->name && *entry->name);
            CHECK_EQ(entry->brief && *entry->brief, true, "(%s '%s' has no brief)",
                     tq_kind_name((tq_kind)kind, false), entry->name);
        }
}

TEST(pipelines_and_recipes_name_what_exists)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_PIPELINE); i++) {
        const tq_pipeline *pipeline = (const tq_pipeline *)(const void *)tq_registry_at(
            check_registry(), TQ_KIND_PIPELINE, i);
        for (int k = 0; pipeline->editors[k]; k++)
            check_exists(TQ_KIND_EDITOR, pipeline->editors[k], pipeline->entry.name);
    }
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_RECIPE); i++) {
        const tq_recipe *recipe =
            (const tq_recipe *)(const void *)tq_registry_at(check_registry(), TQ_KIND_RECIPE, i);
        check_exists(TQ_KIND_PIPELINE, recipe->pipeline, recipe->entry.name);
        for (int k = 0; k < recipe->n_rules; k++)
            if (recipe->rules[k].spec.quantizer)
                check_exists(TQ_KIND_QUANTIZER, recipe->rules[k].spec.quantizer,
                             recipe->entry.name);
    }
}

TEST(anchors_and_backends_name_editors_that_exist)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_EDITOR); i++) {
        const tq_editor *editor =
            (const tq_editor *)(const void *)tq_registry_at(check_registry(), TQ_KIND_EDITOR, i);
        if (editor->after)
            check_exists(TQ_KIND_EDITOR, editor->after, editor->entry.name);
        if (editor->before)
            check_exists(TQ_KIND_EDITOR, editor->before, editor->entry.name);
    }
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_BACKEND); i++) {
        const tq_backend *backend =
            (const tq_backend *)(const void *)tq_registry_at(check_registry(), TQ_KIND_BACKEND, i);
        for (int k = 0; k < TQ_COUNT(backend->editors) && backend->editors[k]; k++)
            check_exists(TQ_KIND_EDITOR, backend->editors[k], backend->entry.name);
    }
}

/* Each editor of the pipeline twice: the second run changes nothing. */
static void check_idempotent(tq_graph *graph, const char *pipeline_name, const tq_edit *edit)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_PIPELINE, pipeline_name, &entry));
    const tq_pipeline *pipeline = (const tq_pipeline *)(const void *)entry;
    for (int i = 0; pipeline->editors[i]; i++) {
        CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, pipeline->editors[i], &entry));
        const tq_editor *editor = (const tq_editor *)(const void *)entry;
        CHECK_OK(tq_editor_apply(editor, graph, edit, NULL));
        char *once = tq_graph_print(graph, 0);
        CHECK_OK(tq_editor_apply(editor, graph, edit, NULL));
        char *twice = tq_graph_print(graph, 0);
        CHECK_EQ(strcmp(once, twice), 0, "(editor '%s', twice)", pipeline->editors[i]);
        free(once);
        free(twice);
    }
}

TEST(editors_that_fake_quantise_do_nothing_twice)
{
    static const char *const recipes[] = { "pact8", "pact8-floor" };
    for (int r = 0; r < TQ_COUNT(recipes); r++)
        for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_ZOO); i++) {
            const char *name = tq_registry_at(check_registry(), TQ_KIND_ZOO, i)->name;
            const bool own_size = strcmp(name, "ds_cnn") == 0 || strcmp(name, "autoencoder") == 0;
            tq_graph *graph = road_build(name, 0.125, 0, own_size ? 0 : 32, own_size ? 0 : 32);
            const tq_edit edit = { .registry = check_registry(), .recipe = recipe_of(recipes[r]) };
            check_idempotent(graph, "f2f", &edit);
            check_idempotent(graph, "f2f", &edit);
            tq_graph_destroy(graph);
        }
}

TEST(float_editors_do_nothing_twice_and_keep_outputs)
{
    static const char *const pipelines[] = { "canonicalise", "fold" };
    for (int p = 0; p < TQ_COUNT(pipelines); p++)
        for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_ZOO); i++) {
            const char *name = tq_registry_at(check_registry(), TQ_KIND_ZOO, i)->name;
            const bool own_size = strcmp(name, "ds_cnn") == 0 || strcmp(name, "autoencoder") == 0;
            tq_graph *graph = road_build(name, 0.125, 0, own_size ? 0 : 32, own_size ? 0 : 32),
                     *before = tq_graph_clone(graph);
            const tq_edit edit = { .registry = check_registry() };
            check_idempotent(graph, pipelines[p], &edit);
            road_run a, b;
            road_run_open(&a, before, 2, 4);
            road_run_open(&b, graph, 2, 4);
            const tq_tensor *wanted = tq_engine_output(a.engine, 0);
            double most = 0;
            for (int64_t k = 0; k < tq_tensor_count(wanted); k++)
                most = fmax(most, fabs((double)((const float *)wanted->data)[k]));
            CHECK_NEAR(road_distance(wanted, tq_engine_output(b.engine, 0)), 0, 1e-4 * most);
            road_run_close(&a);
            road_run_close(&b);
            tq_graph_destroy(before);
            tq_graph_destroy(graph);
        }
}

/* A true network is at its end: nothing of f2t changes it. */
TEST(the_rest_of_f2t_does_nothing_twice)
{
    tq_graph *graph = road_build("resnet8", 0.25, 3, 16, 16);
    road_fake(&graph, "pact8");
    road_true(&graph, "generic");
    static const char *const editors[] = { "remove-identity", "drop-last-softmax", "merge-requants",
                                           "prove" };
    char *before = tq_graph_print(graph, 0);
    for (int i = 0; i < TQ_COUNT(editors); i++) {
        const tq_entry *entry;
        CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, editors[i], &entry));
        CHECK_OK(tq_editor_run((const tq_editor *)(const void *)entry, graph));
        char *after = tq_graph_print(graph, 0);
        CHECK_STR(after, before);
        free(after);
    }
    free(before);
    tq_graph_destroy(graph);
}
