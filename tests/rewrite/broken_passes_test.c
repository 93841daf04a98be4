/* Passes that are broken on purpose: each is stopped, the message names the editor and the node, and
 * the caller's network stays what it was. */
#include "check.h"

static const char network[] = "input x: f32[2,3]  a = Relu(x)  b = Neg(a)  c = Abs(b)  output c";

#define PATTERN(op_)                                                                              \
    &(const tq_pattern)                                                                           \
    {                                                                                             \
        .n_nodes = 1, .nodes = { {.op = (op_) } }                                                 \
    }

static tq_node *find(tq_graph *graph, const char *op)
{
    tq_node *node = tq_graph_first(graph);
    while (node && !tq_node_is(node, op))
        node = tq_node_next(node);
    return node;
}

/* ---- the passes ---- */

static tq_status make_cycle(tq_graph *graph, const tq_match *m)
{
    tq_node_set_input(find(graph, "Relu"), 0, tq_node_output(m->nodes[0], 0));
    return TQ_OK;
}

/* A value of another graph. */
static tq_status read_elsewhere(tq_graph *graph, const tq_match *m)
{
    static tq_graph *other;
    if (!other)
        other = check_graph("input x: f32[2,3]  y = Relu(x)");
    tq_node_set_input(m->nodes[0], 0, tq_graph_input(other, 0));
    (void)graph;
    return TQ_OK; /* the other graph must outlive the check: it lives until the process ends */
}

static tq_status lie_about_shape(tq_graph *graph, const tq_match *m)
{
    (void)graph;
    tq_value_set_type(tq_node_output(m->nodes[0], 0), &(tq_type){ .dtype = TQ_F32, .rank = 2, .dims = { 3, 2 } });
    return TQ_OK;
}

static tq_status lie_about_dtype(tq_graph *graph, const tq_match *m)
{
    (void)graph;
    tq_value_set_type(tq_node_output(m->nodes[0], 0), &(tq_type){ .dtype = TQ_I8, .rank = 2, .dims = { 2, 3 } });
    return TQ_OK;
}

/* Merges a node with the one behind it, which may be another match. */
static tq_status swallow_neighbour(tq_graph *graph, const tq_match *m)
{
    tq_value *y = tq_node_output(m->nodes[0], 0);
    tq_node *next = tq_value_n_consumers(y) ? tq_value_consumer(y, 0) : NULL;
    if (!next)
        return TQ_OK;
    tq_value_redirect_consumers(tq_node_output(next, 0), y);
    tq_graph_remove_node(graph, next);
    return TQ_OK;
}

static tq_status add_second_x(tq_graph *graph, const tq_match *m)
{
    (void)m;
    return tq_graph_add_input(graph, "x", tq_value_type(tq_graph_input(graph, 0)), NULL);
}

/* Cuts a node's input off, which it needs. */
static tq_status starve(tq_graph *graph, const tq_match *m)
{
    (void)graph;
    tq_node_set_input(m->nodes[0], 0, NULL);
    return TQ_OK;
}

static tq_status retype_output(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_value *y = tq_graph_output(graph, 0), *codes;
    TQ_TRY(tq_graph_emit(graph, NULL, "Cast", &y, 1, (tq_attr[]){ TQ_INT("to", 3) }, 1, &codes));
    tq_graph_set_output(graph, 0, codes);
    return TQ_OK;
}

static tq_status add_output(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_graph_add_output(graph, tq_node_output(find(graph, "Neg"), 0));
    return TQ_OK;
}

static tq_status edit_instead(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_node *neg = find(graph, "Neg");
    tq_node_set_input(neg, 0, tq_graph_input(graph, 0));
    return TQ_OK;
}

static tq_status do_it_again(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y;
    TQ_TRY(tq_graph_emit(graph, m->nodes[0], "Abs", &x, 1, NULL, 0, &y));
    tq_node_set_input(m->nodes[0], 0, y);
    return TQ_OK;
}

static tq_status add_unknown_operator(tq_graph *graph, const tq_match *m)
{
    tq_value *x = tq_node_input(m->nodes[0], 0), *y;
    return tq_graph_emit(graph, m->nodes[0], "Conv", &x, 1, NULL, 0, &y);
}

static tq_status no_attribute(tq_graph *graph, const tq_match *m)
{
    (void)graph;
    const tq_attr attr = TQ_INT("speed", 9);
    tq_node_set_attr(m->nodes[0], &attr);
    return TQ_OK;
}

/* ---- the claim ---- */

typedef struct witness {
    char editor[64];
    char *before;
} witness;

static void see_failure(void *context, const char *editor, const tq_graph *before)
{
    witness *w = context;
    snprintf(w->editor, sizeof w->editor, "%s", editor);
    w->before = tq_graph_print(before, -1);
}

/* Run by a pipeline, the pass fails with a message that holds all of `parts`; nothing has changed, and who asked for it
 * gets the network as it was before the pass. */
static void check_stopped_in(const char *text, const tq_editor *editor, const char *const *parts)
{
    tq_registry *registry = tq_registry_create();
    CHECK_OK(tq_builtin_register(registry));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_EDITOR, &editor->entry));
    const tq_pipeline pipeline = { .entry = { .name = "broken", .brief = "" },
                                   .editors = (const char *const[]){ editor->entry.name, NULL } };
    CHECK_OK(tq_registry_add(registry, TQ_KIND_PIPELINE, &pipeline.entry));
    tq_graph *graph = check_graph(text);
    char *before = tq_graph_print(graph, -1);
    witness w = { .before = NULL };
    const tq_edit edit = { .registry = registry, .failed = see_failure, .context = &w };
    const tq_status status = tq_pipeline_run(registry, "broken", &graph, &edit);
    CHECK(status);
    for (; *parts; parts++)
        if (!strstr(tq_status_text(status), *parts))
            check_fail(__FILE__, __LINE__, "'%s' is not in '%s'", *parts, tq_status_text(status));
    tq_status_drop(status);
    char *after = tq_graph_print(graph, -1);
    CHECK_STR(after, before);
    CHECK_STR(w.before, before);
    CHECK_STR(w.editor, editor->entry.name);
    free(after);
    free(before);
    free(w.before);
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

#define CHECK_STOPPED(...) check_stopped_in(network, __VA_ARGS__)
#define PARTS(...) (const char *const[]){ __VA_ARGS__, NULL }
#define NAMED(name_) .entry = { .name = (name_), .brief = "broken" }, .stage = TQ_EDIT_CUSTOM

TEST(a_cycle)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("cycler"), .pattern = PATTERN("Neg"), .apply = make_cycle },
                  PARTS("editor 'cycler'", "(Relu) is part of a cycle"));
}

TEST(a_dangling_edge)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("dangler"), .pattern = PATTERN("Neg"), .apply = read_elsewhere },
                  PARTS("editor 'dangler'", "node 'b' (Neg)", "does not belong to this graph"));
}

TEST(a_wrong_shape)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("shaper"), .pattern = PATTERN("Neg"), .apply = lie_about_shape },
                  PARTS("editor 'shaper'", "node 'b' (Neg)", "is f32[3,2], its operator gives f32[2,3]"));
}

TEST(a_wrong_dtype)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("typer"), .pattern = PATTERN("Relu"), .apply = lie_about_dtype },
                  PARTS("editor 'typer'", "node 'a' (Relu)", "is i8[2,3], its operator gives f32[2,3]"));
}

TEST(matches_that_do_not_commute)
{
    check_stopped_in("input x: f32[4]  a = Neg(x)  b = Neg(a)  c = Neg(b)",
                     &(tq_editor){ NAMED("swallower"), .pattern = PATTERN("Neg"), .apply = swallow_neighbour },
                     PARTS("editor 'swallower'", "node 'b'", "matches do not commute"));
}

TEST(a_duplicate_name)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("namer"), .pattern = PATTERN("Neg"), .apply = add_second_x },
                  PARTS("editor 'namer'", "at node 'b'", "input 'x': a value has that name already"));
}

TEST(an_input_cut_off)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("starver"), .pattern = PATTERN("Neg"), .apply = starve },
                  PARTS("editor 'starver'", "node 'b' (Neg)", "input 0 ('x') is missing"));
}

TEST(a_graph_output_of_another_type)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("retyper"), .run = retype_output },
                  PARTS("editor 'retyper'", "output 'c' of the network is 'Cast' now"));
}

TEST(another_number_of_outputs)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("adder"), .run = add_output },
                  PARTS("editor 'adder'", "1 inputs and 1 outputs", "1 and 2 now"));
}

TEST(an_annotator_that_edits)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("annotator"), .annotates = true, .run = edit_instead },
                  PARTS("editor 'annotator'", "is an annotator but changed", "node 'b'"));
}

TEST(a_pass_that_never_ends)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("endless"), .pattern = PATTERN("Abs"), .apply = do_it_again },
                  PARTS("editor 'endless'", "does not come to an end", "node '"));
}

TEST(an_operator_without_its_inputs)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("conver"), .pattern = PATTERN("Neg"), .apply = add_unknown_operator },
                  PARTS("editor 'conver'", "at node 'b'", "(Conv)", "is missing"));
}

TEST(an_attribute_that_the_operator_has_not)
{
    CHECK_STOPPED(&(tq_editor){ NAMED("speeder"), .pattern = PATTERN("Relu"), .apply = no_attribute },
                  PARTS("editor 'speeder'", "node 'a' (Relu)", "attribute 'speed'"));
}
