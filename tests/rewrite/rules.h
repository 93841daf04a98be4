/* Rules in tests: read, apply, compare texts. */
#ifndef TRUQ_TESTS_REWRITE_RULES_H
#define TRUQ_TESTS_REWRITE_RULES_H

#include "check.h"

/* The first rule of a text; lives in `arena`. */
static inline const tq_editor *rule_of(const char *text, tq_arena *arena)
{
    int n;
    const tq_editor *const *editors;
    CHECK_OK(tq_rules_parse(check_registry(), text, "test", arena, &n, &editors));
    return editors[0];
}

/* Applies all rules of a text to a graph. Returns the number of edits. */
static inline int rules_apply(const char *text, tq_graph *graph)
{
    tq_arena *arena = tq_arena_create();
    int n, n_edits = 0, n_all = 0;
    const tq_editor *const *editors;
    CHECK_OK(tq_rules_parse(check_registry(), text, "test", arena, &n, &editors));
    for (int i = 0; i < n; i++) {
        CHECK_OK(tq_editor_apply(editors[i], graph, NULL, &n_edits));
        n_all += n_edits;
    }
    tq_arena_destroy(arena);
    return n_all;
}

/* The graph has the structure and constants that `text` gives. */
static inline void rules_check_graph(const tq_graph *graph, const char *text)
{
    tq_graph *expected = check_graph(text);
    tq_graph_set_name(expected, tq_graph_name(graph));
    char *a = tq_graph_print(graph, -1), *b = tq_graph_print(expected, -1);
    CHECK_STR(a, b);
    free(a);
    free(b);
    tq_graph_destroy(expected);
}

/* before, rules, after. */
static inline void rules_check(const char *before, const char *rules, const char *after)
{
    tq_graph *graph = check_graph(before);
    rules_apply(rules, graph);
    rules_check_graph(graph, after);
    tq_graph_destroy(graph);
}

/* Reading the text fails with this. */
static inline void rules_check_error(const char *text, tq_code code, const char *message)
{
    tq_arena *arena = tq_arena_create();
    int n;
    const tq_editor *const *editors;
    CHECK_FAILS(tq_rules_parse(check_registry(), text, "test", arena, &n, &editors), code, message);
    tq_arena_destroy(arena);
}

/* Number of matches of a pattern. */
static inline int rules_count(const char *pattern, const char *graph_text)
{
    tq_arena *arena = tq_arena_create();
    const tq_rule *rule;
    tq_rule_match *matches;
    int n;
    tq_graph *graph = check_graph(graph_text);
    CHECK_OK(tq_rule_pattern_parse(check_registry(), pattern, "test", arena, &rule));
    CHECK_OK(tq_rule_find(rule, graph, arena, &n, &matches));
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
    return n;
}

#endif
