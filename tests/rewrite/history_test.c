/* Undo, redo, and the log of edits. */
#include "rules.h"

static const char *const rule_text = "rule to_relu { y = Max(x, 0) => y = Relu(x) }";
static const char *const network = "input x: f32[2]  const zero: f32[] = 0  const s: f32[2] = {1, 2}"
                                   "  m = Mul(x, s)  y = Max(m, zero)";

typedef struct fixture {
    tq_arena *arena;
    tq_graph *graph;
    tq_history *history;
    const tq_editor *editor;
} fixture;

static fixture start(void)
{
    fixture f = { .arena = tq_arena_create(), .graph = check_graph(network) };
    f.history = tq_history_create(f.graph);
    f.editor = rule_of(rule_text, f.arena);
    return f;
}

static void end(fixture *f)
{
    tq_history_destroy(f->history);
    tq_graph_destroy(f->graph);
    tq_arena_destroy(f->arena);
}

TEST(an_edit_is_undone_and_done_again)
{
    fixture f = start();
    int n;
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, &n));
    CHECK_EQ(n, 1);
    CHECK_EQ(check_count(tq_history_graph(f.history), "Relu"), 1);
    CHECK(tq_history_undo(f.history));
    rules_check_graph(tq_history_graph(f.history), network);
    CHECK(!tq_history_undo(f.history));
    CHECK(tq_history_redo(f.history));
    CHECK_EQ(check_count(tq_history_graph(f.history), "Relu"), 1);
    CHECK(!tq_history_redo(f.history));
    end(&f);
}

TEST(states_are_labelled_and_logged)
{
    fixture f = start();
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    CHECK_EQ(tq_history_count(f.history), 2);
    CHECK_EQ(tq_history_at(f.history), 1);
    CHECK_STR(tq_history_label(f.history, 0), "start");
    CHECK_STR(tq_history_label(f.history, 1), "to_relu");
    CHECK_STR(tq_history_log(f.history, 1, 0), "to_relu: y");
    CHECK(!tq_history_log(f.history, 1, 1));
    CHECK(!tq_history_label(f.history, 2));
    end(&f);
}

TEST(an_editor_that_finds_nothing_leaves_no_state)
{
    fixture f = start();
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    CHECK_EQ(tq_history_count(f.history), 2);
    end(&f);
}

TEST(a_new_edit_forgets_what_was_undone)
{
    fixture f = start();
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    tq_history_undo(f.history);
    CHECK_OK(tq_history_apply(f.history, rule_of("rule b { y = Max(x, 0) => y = Abs(x) }", f.arena), NULL, NULL));
    CHECK_EQ(tq_history_count(f.history), 2);
    CHECK_STR(tq_history_label(f.history, 1), "b");
    CHECK(!tq_history_redo(f.history));
    end(&f);
}

TEST(edits_by_hand_are_committed)
{
    fixture f = start();
    tq_graph *graph = tq_history_graph(f.history);
    tq_node_set_name(tq_graph_find_node(graph, "m"), "scaling");
    CHECK_OK(tq_history_commit(f.history, "renamed"));
    CHECK(tq_graph_find_node(tq_history_graph(f.history), "scaling"));
    tq_history_undo(f.history);
    CHECK(!tq_graph_find_node(tq_history_graph(f.history), "scaling"));
    end(&f);
}

TEST(edits_by_hand_are_committed_before_an_editor_runs)
{
    fixture f = start();
    tq_node_set_name(tq_graph_find_node(tq_history_graph(f.history), "m"), "scaling");
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    CHECK_EQ(tq_history_count(f.history), 3);
    CHECK_STR(tq_history_label(f.history, 1), "edit");
    end(&f);
}

TEST(a_broken_edit_is_refused_and_undone)
{
    fixture f = start();
    tq_graph *graph = tq_history_graph(f.history);
    tq_node_set_input(tq_graph_find_node(graph, "m"), 0, tq_graph_find_value(graph, "y"));
    CHECK_FAILS(tq_history_commit(f.history, "loop"), TQ_ERR_CHECK, "edit 'loop': node 'm' (Mul) is part of a cycle");
    rules_check_graph(tq_history_graph(f.history), network);
    CHECK_EQ(tq_history_count(f.history), 1);
    end(&f);
}

TEST(a_failing_editor_leaves_the_present_state)
{
    fixture f = start();
    const tq_editor *bad = rule_of("rule bad { y = Max(x, 0) => y = cast(x, \"i8\") }", f.arena);
    CHECK_FAILS(tq_history_apply(f.history, bad, NULL, NULL), TQ_ERR_SHAPE, "editor 'bad': at node 'y'");
    rules_check_graph(tq_history_graph(f.history), network);
    CHECK_EQ(tq_history_count(f.history), 1);
    end(&f);
}

TEST(states_share_constants)
{
    fixture f = start();
    CHECK_OK(tq_history_apply(f.history, f.editor, NULL, NULL));
    const void *then = tq_value_tensor(tq_graph_find_value(f.graph, "s"))->data;
    CHECK(tq_value_tensor(tq_graph_find_value(tq_history_graph(f.history), "s"))->data == then);
    end(&f);
}
