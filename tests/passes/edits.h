/* One editor on a graph in text form: what the graph is before and after. */
#ifndef TRUQ_TESTS_EDITS_H
#define TRUQ_TESTS_EDITS_H

#include "road.h"

static inline const tq_editor *edits_find(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, name, &entry));
    return (const tq_editor *)(const void *)entry;
}

static inline void edits_check_text(const tq_graph *graph, const char *expected)
{
    tq_graph *wanted = check_graph(expected);
    char *a = tq_graph_print(graph, -1), *b = tq_graph_print(wanted, -1);
    CHECK_STR(a, b);
    free(a);
    free(b);
    tq_graph_destroy(wanted);
}

/* Largest difference of the outputs of two graphs on the same random inputs; infinite if their
 * number or types differ. */
static inline double edits_difference(const tq_graph *a, const tq_graph *b)
{
    road_run ra, rb;
    road_run_open(&ra, a, 3, 9);
    road_run_open(&rb, b, 3, 9);
    double worst = tq_graph_n_outputs(a) == tq_graph_n_outputs(b) ? 0 : INFINITY;
    for (int i = 0; i < tq_graph_n_outputs(a) && worst < INFINITY; i++)
        worst = fmax(worst,
                     road_distance(tq_engine_output(ra.engine, i), tq_engine_output(rb.engine, i)));
    road_run_close(&ra);
    road_run_close(&rb);
    return worst;
}

/* The editor turns `before` into `after`, keeps what the network computes to `tolerance`, and has
 * nothing left to do then. */
static inline void edits_check(const char *editor, const char *before, const char *after,
                               double tolerance)
{
    tq_graph *graph = check_graph(before), *original = check_graph(before);
    CHECK_OK(tq_editor_run(edits_find(editor), graph));
    edits_check_text(graph, after);
    CHECK_NEAR(edits_difference(original, graph), 0, tolerance);
    int n;
    CHECK_OK(tq_editor_apply(edits_find(editor), graph, NULL, &n));
    CHECK_EQ(n, 0, "(edits of a second run)");
    tq_graph_destroy(original);
    tq_graph_destroy(graph);
}

/* The editor finds nothing to do. */
static inline void edits_check_none(const char *editor, const char *text)
{
    edits_check(editor, text, text, 0);
}

#endif
