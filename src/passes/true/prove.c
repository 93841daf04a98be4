/* The last editor of the conversion: proves that nothing overflows and stores each node's bounds.
 */
#include "passes/true/true.h"

#include <inttypes.h>
#include <stdio.h>

static void store(tq_graph *graph, const tq_proof_row *row)
{
    tq_node *node = tq_graph_find_node(graph, row->node);
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 " %" PRId64, row->lo, row->hi);
    tq_node_set_meta(node, "proof.output", text);
    if (row->inner_bits) {
        snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " in %d bits", row->inner_lo,
                 row->inner_hi, row->inner_bits);
        tq_node_set_meta(node, "proof.inner", text);
    }
}

static tq_status check(tq_graph *graph, const tq_proof_row *rows, int n)
{
    for (int i = 0; i < n; i++) {
        if (!rows[i].fits)
            return tq_fail(TQ_ERR_CHECK, "node '%s' (%s) may overflow: %s", rows[i].node,
                           rows[i].op, rows[i].problem);
        store(graph, &rows[i]);
    }
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    tq_arena *arena = tq_scratch_create();
    tq_proof_row *rows;
    int n;
    bool proven;
    tq_status status = tq_proof_run(graph, arena, &rows, &n, &proven);
    if (!status)
        status = check(graph, rows, n);
    tq_arena_destroy(arena);
    return status;
}

const tq_editor tq_editor_prove = {
    .entry = { .name = "prove", .brief = "interval analysis: nothing can overflow" },
    .stage = TQ_EDIT_CLEAN,
    .annotates = true,
    .run = run,
};
