/* Targets of Reshape that inference cannot work out, because several of their elements depend on
 * the batch ([N * 4, 256, -1]): the network is inferred for three batches, and where every
 * dimension of the result is either the same for all or, at most one, proportional to the batch,
 * the target becomes a constant with -1 for that one. Networks with other open sizes are left
 * alone. */
#include "rewrite/rewrite.h"

#include <truq/op.h>

enum { TARGET = 1, N_BATCHES = 3 };
static const int64_t batches[N_BATCHES] = { 2, 3, 7 };

/** Only first axes of inputs are open. */
static bool depends_on_batch(const tq_graph *graph)
{
    bool any = false;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        const tq_type *type = tq_value_type(tq_graph_input(graph, i));
        if (type->rank < 0 || (type->rank > 0 && tq_type_count_from(type, 1) == TQ_DIM_ANY))
            return false;
        any = any || (type->rank > 0 && type->dims[0] == TQ_DIM_ANY);
    }
    return any;
}

static bool is_open(const tq_node *node)
{
    return tq_node_is(node, "Reshape") && !tq_node_is_const_from(node, TARGET) &&
           !tq_type_is_known(tq_value_type(tq_node_output(node, 0)));
}

static tq_status infer_for_batch(tq_graph *graph, int64_t batch, tq_arena *scratch)
{
    const int n = tq_graph_n_inputs(graph);
    tq_type *types = TQ_NEW_N(scratch, tq_type, n);
    for (int i = 0; i < n; i++) {
        types[i] = *tq_value_type(tq_graph_input(graph, i));
        if (types[i].rank > 0 && types[i].dims[0] == TQ_DIM_ANY)
            types[i].dims[0] = batch;
    }
    return tq_graph_infer_for(graph, types, n);
}

/** The target that gives these results for the three batches; false if none does. */
static bool solve(tq_graph *const inferred[N_BATCHES], const char *name, int64_t *out_target,
                  int *out_rank)
{
    const tq_type *types[N_BATCHES];
    for (int b = 0; b < N_BATCHES; b++) {
        types[b] = tq_value_type(tq_graph_find_value(inferred[b], name));
        if (!tq_type_is_known(types[b]) || types[b]->rank != types[0]->rank)
            return false;
    }
    int n_open = 0;
    for (int d = 0; d < types[0]->rank; d++) {
        bool same = true, proportional = true;
        for (int b = 1; b < N_BATCHES; b++) {
            same = same && types[b]->dims[d] == types[0]->dims[d];
            proportional =
                proportional && types[b]->dims[d] * batches[0] == types[0]->dims[d] * batches[b];
        }
        if (types[0]->dims[d] < 1 || (!same && !proportional))
            return false;
        n_open += !same;
        out_target[d] = same ? types[0]->dims[d] : -1;
    }
    *out_rank = types[0]->rank;
    return n_open <= 1;
}

static tq_status set_target(tq_graph *graph, tq_node *node, const int64_t *target, int rank)
{
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ rank });
    tq_tensor tensor;
    tq_value *constant;
    TQ_TRY(tq_tensor_init_from(&tensor, &type, target));
    const tq_status status = tq_graph_add_constant(
        graph, tq_value_name(tq_node_input(node, TARGET)), &tensor, &constant);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_node_set_input(node, TARGET, constant);
    return tq_node_infer(node);
}

typedef struct search {
    tq_graph *graph;
    const tq_edit *edit;
    tq_arena *scratch;
    tq_graph *inferred[N_BATCHES];
} search;

static tq_status replace_targets(const search *s)
{
    for (tq_node *node = tq_graph_first(s->graph); node; node = tq_node_next(node)) {
        int64_t target[TQ_MAX_RANK];
        int rank;
        if (!is_open(node) ||
            !solve(s->inferred, tq_value_name(tq_node_output(node, 0)), target, &rank))
            continue;
        TQ_TRY(set_target(s->graph, node, target, rank));
        tq_edit_log(s->edit, "the target of '%s' depends on the batch alone", tq_node_name(node));
    }
    tq_graph_sweep(s->graph);
    return tq_graph_infer(s->graph);
}

static tq_status search_targets(void *context)
{
    search *s = context;
    for (int b = 0; b < N_BATCHES; b++) {
        s->inferred[b] = tq_graph_clone(s->graph);
        const tq_status status = infer_for_batch(s->inferred[b], batches[b], s->scratch);
        tq_status_drop(status);
        if (status)
            return TQ_OK; /* a network that takes other batches only */
    }
    return replace_targets(s);
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    bool any = false;
    for (const tq_node *node = tq_graph_first(graph); node && !any; node = tq_node_next(node))
        any = is_open(node);
    if (!any || !depends_on_batch(graph))
        return TQ_OK;
    search s = { .graph = graph, .edit = edit, .scratch = tq_scratch_create() };
    const tq_status status = tq_guard(search_targets, &s);
    for (int b = 0; b < N_BATCHES; b++)
        tq_graph_destroy(s.inferred[b]);
    tq_arena_destroy(s.scratch);
    return status;
}

const tq_editor tq_editor_canonicalise_reshapes = {
    .entry = { .name = "canonicalise-reshapes",
               .brief = "targets of Reshape that depend on the batch alone are constants" },
    .stage = TQ_EDIT_CANONICALISE,
    .run = run,
};
