/* Editors and pipelines: what breaks a graph is named and the caller's graph stays as it was;
 * editors of third parties run at their anchors. */
#include "check.h"

static const char text[] = "input x: f32[2,3]\n a = Relu(x)\n b = Sigmoid(a)\n c = Relu(b)";
static const tq_pattern any_relu = { .n_nodes = 1, .nodes = { { .op = "Relu" } } };
static const tq_pattern any_sigmoid = { .n_nodes = 1, .nodes = { { .op = "Sigmoid" } } };

/* ---- editors ---- */

static tq_status replace_by_tanh(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y;
    TQ_TRY(tq_graph_emit(graph, m->nodes[0], "Tanh", &x, 1, NULL, 0, &y));
    const char *name = tq_value_name(tq_node_output(m->nodes[0], 0));
    tq_value_redirect_consumers(tq_node_output(m->nodes[0], 0), y);
    tq_graph_remove_node(graph, m->nodes[0]);
    tq_value_set_name(y, name);
    return TQ_OK;
}
static const tq_editor to_tanh = {
    .entry = { .name = "to-tanh" }, .pattern = &any_relu, .apply = replace_by_tanh, .by_name = true
};

static tq_status make_cycle(tq_graph *graph, const tq_match *m)
{
    tq_node_set_input(m->nodes[0], 0, tq_graph_output(graph, 0));
    return TQ_OK;
}
static const tq_editor cycler = { .entry = { .name = "cycler" },
                                  .stage = TQ_EDIT_FAKE,
                                  .pattern = &any_sigmoid,
                                  .apply = make_cycle,
                                  .by_name = true };

static tq_status mistype(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    const tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 7 });
    tq_value_set_type(tq_graph_find_value(graph, "b"), &type);
    return TQ_OK;
}
static const tq_editor mistyper = { .entry = { .name = "mistyper" },
                                    .run = mistype,
                                    .by_name = true };

static tq_status refuse(tq_graph *graph, const tq_match *m)
{
    (void)graph, (void)m;
    return tq_fail(TQ_ERR_UNSUPPORTED, "will not");
}
static const tq_editor refuser = {
    .entry = { .name = "refuser" }, .pattern = &any_sigmoid, .apply = refuse, .by_name = true
};

/* A Relu before every Relu: never comes to an end. */
static tq_status grow(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y;
    TQ_TRY(tq_graph_emit(graph, m->nodes[0], "Tanh", &x, 1, NULL, 0, &y));
    tq_node_set_input(m->nodes[0], 0, y);
    return TQ_OK;
}
static const tq_editor grower = {
    .entry = { .name = "grower" }, .pattern = &any_relu, .apply = grow, .by_name = true
};

static tq_status annotate(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_node_set_meta(tq_graph_first(graph), "core", "3");
    return TQ_OK;
}
static const tq_editor annotator = {
    .entry = { .name = "annotator" }, .run = annotate, .annotates = true, .by_name = true
};

static tq_status rewire(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_node_set_input(tq_graph_last(graph), 0, tq_graph_input(graph, 0));
    return TQ_OK;
}
static const tq_editor liar = {
    .entry = { .name = "liar" }, .run = rewire, .annotates = true, .by_name = true
};

static tq_status add_output(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_graph_add_output(graph, tq_graph_find_value(graph, "a"));
    return TQ_OK;
}
static const tq_editor outputter = {
    .entry = { .name = "outputter" }, .run = add_output, .annotates = true, .by_name = true
};

/* ---- one editor ---- */

TEST(an_editor_runs_until_nothing_matches)
{
    tq_graph *graph = check_graph(text);
    int n;
    CHECK_OK(tq_editor_apply(&to_tanh, graph, NULL, &n));
    CHECK_EQ(n, 2);
    CHECK_EQ(check_count(graph, "Relu"), 0);
    CHECK_EQ(check_count(graph, "Tanh"), 2);
    tq_graph_destroy(graph);
}

TEST(a_broken_graph_is_named_with_editor_and_node)
{
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_editor_run(&mistyper, graph), TQ_ERR_CHECK,
                "editor 'mistyper': broke the graph: node 'b' (Sigmoid)");
    tq_graph_destroy(graph);
    graph = check_graph(text);
    CHECK_FAILS(tq_editor_run(&cycler, graph), TQ_ERR_CHECK, "editor 'cycler'");
    tq_graph_destroy(graph);
}

TEST(a_refusal_is_named_with_editor_and_node)
{
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_editor_run(&refuser, graph), TQ_ERR_UNSUPPORTED,
                "editor 'refuser': at node 'b': will not");
    tq_graph_destroy(graph);
}

TEST(an_editor_without_end_is_stopped)
{
    tq_graph *graph = check_graph("input x: f32[1]\n a = Relu(x)");
    CHECK_FAILS(tq_editor_run(&grower, graph), TQ_ERR_CHECK,
                "editor 'grower': does not come to an end");
    tq_graph_destroy(graph);
}

TEST(an_annotator_leaves_the_topology_alone)
{
    tq_graph *graph = check_graph(text);
    CHECK_OK(tq_editor_run(&annotator, graph));
    CHECK_STR(tq_node_meta(tq_graph_first(graph), "core"), "3");
    CHECK_FAILS(tq_editor_run(&liar, graph), TQ_ERR_CHECK,
                "editor 'liar': is an annotator but changed the graph");
    tq_graph_destroy(graph);
    graph = check_graph(text);
    CHECK_FAILS(tq_editor_run(&outputter, graph), TQ_ERR_CHECK,
                "is an annotator but changed the graph");
    tq_graph_destroy(graph);
}

/* ---- pipelines ---- */

static const tq_editor *const own[] = { &to_tanh, &cycler,    &mistyper, &refuser,
                                        &grower,  &annotator, &liar,     &outputter };

static const tq_pipeline breaking = { .entry = { .name = "breaking" },
                                      .editors =
                                          (const char *const[]){ "to-tanh", "cycler", NULL } };
static const tq_pipeline two = { .entry = { .name = "two" },
                                 .editors = (const char *const[]){ "to-tanh", "annotator", NULL } };
static const tq_pipeline unknown = { .entry = { .name = "unknown" },
                                     .editors = (const char *const[]){ "to-tank", NULL } };

typedef struct diary {
    char text[1024];
} diary;

static void note(void *context, const char *line)
{
    diary *d = context;
    strncat(d->text, line, sizeof d->text - strlen(d->text) - 1);
    strncat(d->text, "|", sizeof d->text - strlen(d->text) - 1);
}

static void note_dump(void *context, const char *editor, const tq_graph *graph)
{
    CHECK_OK(tq_graph_verify(graph));
    note(context, editor);
}

/* Each of these says its name in the log. */
#define SPEAKER(id, name_, after_, before_)                                                        \
    static tq_status id##_run(tq_graph *graph, const tq_edit *edit)                                \
    {                                                                                              \
        (void)graph;                                                                               \
        edit->log(edit->context, name_);                                                           \
        return TQ_OK;                                                                              \
    }                                                                                              \
    static const tq_editor id = {                                                                  \
        .entry = { .name = name_ }, .after = after_, .before = before_, .run = id##_run            \
    };
SPEAKER(anchor, "anchor", NULL, NULL)
SPEAKER(last_of_all, "last-of-all", "behind-1", NULL)
SPEAKER(behind_1, "behind-1", "anchor", NULL)
SPEAKER(behind_2, "behind-2", "anchor", NULL)
SPEAKER(ahead_1, "ahead-1", NULL, "anchor")
SPEAKER(ahead_2, "ahead-2", NULL, "anchor")
SPEAKER(elsewhere, "elsewhere", "no-such-editor", NULL)
SPEAKER(closing, "closing", "anchor", NULL)
static const tq_pipeline speaking = { .entry = { .name = "speaking" },
                                      .editors =
                                          (const char *const[]){ "anchor", "closing", NULL } };

static tq_registry *registry_with(const tq_editor *const *editors, int n,
                                  const tq_pipeline *pipeline)
{
    tq_registry *registry = tq_registry_create();
    CHECK_OK(tq_builtin_register(registry));
    for (int i = 0; i < n; i++)
        CHECK_OK(tq_registry_add(registry, TQ_KIND_EDITOR, &editors[i]->entry));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_PIPELINE, &pipeline->entry));
    return registry;
}

TEST(a_failed_pipeline_leaves_the_callers_graph_unchanged)
{
    tq_registry *registry = registry_with(own, TQ_COUNT(own), &breaking);
    tq_graph *graph = check_graph(text), *before = graph;
    char *was = tq_graph_print(graph, -1);
    CHECK_FAILS(tq_pipeline_run(registry, "breaking", &graph, NULL), TQ_ERR_CHECK,
                "editor 'cycler'");
    CHECK(graph == before);
    char *is = tq_graph_print(graph, -1);
    CHECK_STR(is, was);
    free(is);
    free(was);
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(an_unknown_editor_or_pipeline_is_named)
{
    tq_registry *registry = registry_with(own, TQ_COUNT(own), &unknown);
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_pipeline_run(registry, "unknown", &graph, NULL), TQ_ERR_NOT_FOUND,
                "unknown editor 'to-tank'; did you mean 'to-tanh'");
    CHECK_FAILS(tq_pipeline_run(registry, "foldd", &graph, NULL), TQ_ERR_NOT_FOUND,
                "unknown pipeline 'foldd'");
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(anchored_editors_run_at_their_anchors_in_order_of_registration)
{
    static const tq_editor *const speakers[] = { &last_of_all, &anchor,  &behind_1,  &behind_2,
                                                 &ahead_1,     &ahead_2, &elsewhere, &closing };
    tq_registry *registry = registry_with(speakers, TQ_COUNT(speakers), &speaking);
    tq_graph *graph = check_graph(text);
    diary d = { "" };
    const tq_edit edit = { .registry = registry, .log = note, .context = &d };
    CHECK_OK(tq_pipeline_run(registry, "speaking", &graph, &edit));
    CHECK_STR(d.text, "ahead-1|ahead-2|anchor|behind-1|last-of-all|behind-2|closing|");
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(an_editor_by_name_runs_only_where_it_is_named)
{
    static tq_editor shy;
    shy = behind_1;
    shy.by_name = true;
    const tq_editor *const speakers[] = { &anchor, &shy, &closing };
    tq_registry *registry = registry_with(speakers, TQ_COUNT(speakers), &speaking);
    tq_graph *graph = check_graph(text);
    diary d = { "" };
    const tq_edit edit = { .registry = registry, .log = note, .context = &d };
    CHECK_OK(tq_pipeline_run(registry, "speaking", &graph, &edit));
    CHECK_STR(d.text, "anchor|closing|");
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(every_edit_is_logged_and_graphs_are_dumped)
{
    tq_registry *registry = registry_with(own, TQ_COUNT(own), &two);
    tq_graph *graph = check_graph(text);
    diary d = { "" };
    const tq_edit edit = {
        .registry = registry, .log = note, .dump = note_dump, .dump_after = "all", .context = &d
    };
    CHECK_OK(tq_pipeline_run(registry, "two", &graph, &edit));
    CHECK_STR(d.text, "to-tanh: a|to-tanh: c|to-tanh|annotator|");
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(a_pipeline_stops_and_dumps_where_it_is_told)
{
    tq_registry *registry = registry_with(own, TQ_COUNT(own), &two);
    tq_graph *graph = check_graph(text);
    diary d = { "" };
    const tq_edit edit = { .registry = registry,
                           .dump = note_dump,
                           .dump_after = "to-tanh",
                           .stop_after = "to-tanh",
                           .context = &d };
    CHECK_OK(tq_pipeline_run(registry, "two", &graph, &edit));
    CHECK_STR(d.text, "to-tanh|");
    CHECK(tq_node_meta(tq_graph_first(graph), "core") == NULL);
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

/* ---- moments ---- */

TEST(an_editor_runs_in_the_stage_of_its_anchor_else_in_its_own)
{
    static const struct {
        const char *after, *before;
        tq_edit_stage own, expected;
    } cases[] = {
        { NULL, NULL, TQ_EDIT_CUSTOM, TQ_EDIT_CUSTOM },
        { "quantize-weights", NULL, TQ_EDIT_CUSTOM, TQ_EDIT_FAKE },
        { NULL, "train-dropout", TQ_EDIT_FAKE, TQ_EDIT_GRAD },
        { NULL, "integerise", TQ_EDIT_FAKE, TQ_EDIT_TRUE },
        { "nosuch", NULL, TQ_EDIT_POST_TRAIN, TQ_EDIT_POST_TRAIN },
    };
    tq_editor editors[TQ_COUNT(cases)];
    const tq_editor *list[TQ_COUNT(cases)];
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        editors[i] = (tq_editor){ .stage = cases[i].own,
                                  .after = cases[i].after,
                                  .before = cases[i].before };
        list[i] = &editors[i];
        CHECK_EQ(tq_editor_moment(check_registry(), list[i]), cases[i].expected, "case %d", i);
    }
    tq_arena *arena = tq_arena_create();
    int n;
    const tq_editor *const *of_training =
        tq_editors_between(check_registry(), TQ_COUNT(cases), list, TQ_EDIT_PRE_GRAD,
                           TQ_EDIT_POST_TRAIN, arena, &n);
    CHECK_EQ(n, 2);
    CHECK(of_training[0] == list[2] && of_training[1] == list[4]);
    tq_arena_destroy(arena);
}
