/* What a target can run of a network, known before anything is trained: the network goes the whole
 * road dry, and each node is judged by what became of it. A node that is left float carries the
 * reason why (metadata "float.why"); integer nodes are asked of the backend's table. Nodes that the
 * conversion made are charged to the node they are named after. */
#include "passes/device/device_internal.h"

#include <math.h>
#include <string.h>

const char *tq_verdict_name(tq_verdict verdict)
{
    static const char *const names[] = { "runs", "runs after", "never" };
    return names[verdict];
}

typedef struct judge {
    const tq_graph *graph;
    const tq_backend *backend;
    tq_arena *arena;
    tq_dry_run dry;
    tq_feasibility *out;
} judge;

/* Of several nodes that stand for one, the reason of that with its operator says most. */
static void refuse(const judge *j, tq_feasible_node *row, const tq_node *node, const char *why)
{
    const bool same = tq_node_is(node, row->op) || tq_node_meta(node, "float.why");
    if (row->verdict != TQ_NEVER_RUNS || same)
        row->why = same ? tq_arena_strdup(j->arena, why)
                        : tq_arena_printf(j->arena, "as %s: %s", tq_node_op_name(node), why);
    row->verdict = TQ_NEVER_RUNS;
}

/* ---- who a node of the result belongs to ---- */

/* Is `text` the name, or the name and something that an editor put behind it? */
static bool is_named_after(const char *text, const char *name, size_t n)
{
    return n > 0 && strncmp(text, name, n) == 0 && (!text[n] || text[n] == '.' || text[n] == '_');
}

/* The row of the original node with the longest fitting name, its own or that of its result; NULL.
 */
static tq_feasible_node *owner_of(const judge *j, const char *name)
{
    tq_feasible_node *best = NULL;
    size_t longest = 0;
    int i = 0;
    for (const tq_node *node = tq_graph_first(j->graph); node; node = tq_node_next(node), i++) {
        const char *names[] = { tq_node_name(node), tq_value_name(tq_node_output(node, 0)) };
        for (int k = 0; k < TQ_COUNT(names); k++) {
            const size_t n = strlen(names[k]);
            if (n > longest && is_named_after(name, names[k], n)) {
                longest = n;
                best = &j->out->nodes[i];
            }
        }
    }
    return best;
}

static bool touches_float(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        if (tq_dtype_is_float(tq_value_type(tq_node_output(node, i))->dtype))
            return true;
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *x = tq_node_input(node, i);
        if (x && !tq_value_is_const(x) && tq_dtype_is_float(tq_value_type(x)->dtype))
            return true;
    }
    return false;
}

/* What was put in only to change between reals and codes is neither here nor there. */
static bool is_border(const judge *j, const tq_node *node)
{
    return j->dry.fake && touches_float(node) && !tq_node_meta(node, "float.why");
}

static void judge_node(judge *j, const tq_node *node)
{
    const char *why = tq_node_meta(node, "float.why");
    if (is_border(j, node))
        return;
    tq_status status = why ? NULL : tq_backend_check_node(j->backend, node);
    if (!status && !why)
        return;
    if (!why)
        why = tq_status_text(status);
    tq_feasible_node *row = owner_of(j, tq_node_name(node));
    if (row)
        refuse(j, row, node, why);
    else if (!j->out->problem)
        j->out->problem = tq_arena_printf(j->arena, "node '%s' (%s): %s", tq_node_name(node),
                                          tq_node_op_name(node), why);
    tq_status_drop(status);
}

/* Numbers that may not fit. Networks of others have inputs of which nothing is known. */
static tq_status judge_bounds(judge *j)
{
    tq_proof_row *rows;
    int n;
    bool proven;
    if (tq_graph_meta(j->dry.result, "dialect") && !j->dry.fake)
        return TQ_OK;
    TQ_TRY(tq_proof_run(j->dry.result, j->arena, &rows, &n, &proven));
    for (int i = 0; i < n && !proven; i++) {
        tq_feasible_node *row = rows[i].fits ? NULL : owner_of(j, rows[i].node);
        const tq_node *node = row ? tq_graph_find_node(j->dry.result, rows[i].node) : NULL;
        if (row)
            refuse(j, row, node, tq_arena_printf(j->arena, "may overflow: %s", rows[i].problem));
        else if (!rows[i].fits && !j->out->problem)
            j->out->problem = tq_arena_printf(j->arena, "node '%s' (%s) may overflow: %s",
                                              rows[i].node, rows[i].op, rows[i].problem);
    }
    return TQ_OK;
}

/* ---- rows ---- */

static void add_row(judge *j, const tq_node *node)
{
    const tq_trail *trail = &j->dry.trails[j->out->n];
    const tq_node *sized = j->dry.fake ? tq_graph_find_node(j->dry.fake, trail->node) : node;
    j->out->nodes[j->out->n++] =
        (tq_feasible_node){ .node = trail->node,
                            .op = tq_node_op_name(node),
                            .verdict = trail->n ? TQ_RUNS_AFTER : TQ_RUNS,
                            .n_editors = trail->n,
                            .editors = trail->editors,
                            .macs = tq_node_macs(node),
                            .weight_bytes = sized ? tq_weight_bytes(sized) : 0,
                            .output_bytes = sized ? tq_stored_bytes(tq_node_output(sized, 0)) : 0 };
}

static void count(tq_feasibility *f)
{
    for (int i = 0; i < f->n; i++) {
        f->n_runs += f->nodes[i].verdict == TQ_RUNS;
        f->n_after += f->nodes[i].verdict == TQ_RUNS_AFTER;
        f->n_never += f->nodes[i].verdict == TQ_NEVER_RUNS;
        f->macs += f->nodes[i].macs;
    }
}

/* ---- memory and time ---- */

/* A constant that several nodes read counts once. */
static int64_t total_weight_bytes(const tq_graph *graph)
{
    int64_t bytes = 0;
    for (int i = 0; i < tq_graph_n_values(graph); i++) {
        const tq_value *value = tq_graph_value(graph, i);
        const tq_node *reader = tq_value_is_const(value) && tq_value_n_consumers(value)
                                    ? tq_value_consumer(value, 0)
                                    : NULL;
        if (reader)
            bytes += tq_constant_bytes(value, reader);
    }
    return bytes;
}

static void measure(judge *j)
{
    tq_feasibility *f = j->out;
    const tq_graph *sized = j->dry.fake ? j->dry.fake : j->dry.result;
    f->weight_bytes = total_weight_bytes(sized);
    f->peak_bytes = tq_peak_bytes(sized, j->arena, &f->peak_node);
    const tq_chip *chip = j->backend->chips;
    for (; chip && chip->name && f->n_chips < TQ_MAX_CHIPS; chip++) {
        const int64_t bytes = f->weight_bytes + f->peak_bytes;
        const double rate = chip->macs_per_cycle * chip->clock_hz;
        const bool fits = !chip->memory || bytes <= chip->memory;
        f->chips[f->n_chips++] = (tq_chip_use){
            .chip = chip,
            .fits = fits,
            .fits_outside =
                fits || (chip->outside_memory && f->weight_bytes <= chip->outside_memory),
            .ms = rate > 0 ? 1000.0 * (double)f->macs / rate : (double)NAN,
        };
    }
}

static bool fits_a_chip(const tq_feasibility *f)
{
    for (int i = 0; i < f->n_chips; i++)
        if (f->chips[i].fits_outside)
            return true;
    return f->n_chips == 0;
}

/* ---- the whole ---- */

/* What no single node shows: the backend looks at the integer network. */
static tq_status look_at_whole(judge *j)
{
    if (!j->backend->check_graph || j->out->n_never || j->out->problem)
        return TQ_OK;
    tq_graph *whole = NULL;
    tq_status status = TQ_OK;
    if (j->dry.fake)
        status = tq_dry_run_whole(&j->dry, &whole);
    if (!status)
        status = j->backend->check_graph(whole ? whole : j->dry.result);
    tq_graph_destroy(whole);
    if (status && tq_status_code(status) != TQ_ERR_MEMORY) {
        j->out->problem = tq_arena_strdup(j->arena, tq_status_text(status));
        tq_status_drop(status);
        return TQ_OK;
    }
    return status;
}

static tq_status run(judge *j)
{
    tq_feasibility *f = j->out;
    f->nodes = TQ_NEW_N(j->arena, tq_feasible_node, j->dry.n + 1);
    for (const tq_node *node = tq_graph_first(j->graph); node; node = tq_node_next(node))
        add_row(j, node);
    for (const tq_node *node = tq_graph_first(j->dry.result); node; node = tq_node_next(node))
        judge_node(j, node);
    TQ_TRY(judge_bounds(j));
    count(f);
    TQ_TRY(look_at_whole(j));
    measure(j);
    f->runs = f->n_never == 0 && !f->problem && fits_a_chip(f);
    return TQ_OK;
}

tq_status tq_feasibility_run(const tq_graph *graph, const tq_backend *backend,
                             const tq_recipe *recipe, tq_arena *arena, tq_feasibility *out)
{
    *out = (tq_feasibility){ .backend = backend };
    judge j = { .graph = graph, .backend = backend, .arena = arena, .out = out };
    TQ_TRY(tq_wrap(tq_dry_run_make(graph, backend, recipe, arena, &j.dry),
                   "cannot tell what '%s' runs", backend->entry.name));
    const tq_status status = run(&j);
    tq_dry_run_reset(&j.dry);
    return status;
}
