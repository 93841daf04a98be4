/* What a target can run of a network: a line a node, what it costs, and one line that says it all.
 */
#include "report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *whole(tq_arena *arena, int64_t number)
{
    return number ? tq_arena_printf(arena, "%" PRId64, number) : NULL;
}

static const char *editors_text(const tq_feasible_node *row, tq_arena *arena)
{
    tq_string text = { .arena = arena };
    tq_string_add(&text, "", 0);
    for (int i = 0; i < row->n_editors; i++)
        tq_string_printf(&text, "%s%s", i ? ", " : "", row->editors[i]);
    return text.s;
}

static void add_chips(const tq_feasibility *f, tq_string *out)
{
    for (int i = 0; i < f->n_chips; i++) {
        const tq_chip_use *use = &f->chips[i];
        tq_string_printf(out, "%s: %s", use->chip->name,
                         use->fits           ? "fits"
                         : use->fits_outside ? "fits with memory outside the chip"
                                             : "does not fit");
        tq_string_printf(out, " (%" PRId64 " bytes on chip", use->chip->memory);
        if (use->chip->outside_memory)
            tq_string_printf(out, ", %" PRId64 " outside", use->chip->outside_memory);
        if (isfinite(use->ms))
            tq_string_printf(out, "; the MACs alone take %.3g ms", use->ms);
        tq_string_printf(out, ")\n");
    }
}

static void add_summary(const tq_feasibility *f, tq_arena *arena, tq_string *out)
{
    tq_string_printf(out,
                     "%" PRId64 " MACs, %" PRId64 " bytes of weights, %" PRId64
                     " bytes of activations at most",
                     f->macs, f->weight_bytes, f->peak_bytes);
    if (f->peak_node)
        tq_string_printf(out, " (at %s)", tq_text_clean(arena, f->peak_node));
    tq_string_printf(out, ", one sample\n");
    add_chips(f, out);
    if (f->problem)
        tq_string_printf(out, "%s\n", tq_text_clean(arena, f->problem));
    tq_string_printf(out, "%s: %s: %d of %d nodes run as they are, %d after editors, %d never\n",
                     f->backend->entry.name, f->runs ? "runs" : "does not run", f->n_runs, f->n,
                     f->n_after, f->n_never);
}

/* Nodes of one operator that are refused for one reason, in one line. */
static void add_refusals(const tq_feasibility *f, tq_arena *arena, tq_string *out)
{
    static const char *const titles[] = { "never", ">nodes", "first", "why" };
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    bool *told = TQ_NEW_N(arena, bool, f->n + 1);
    for (int i = 0; i < f->n; i++) {
        const tq_feasible_node *first = &f->nodes[i];
        int n = 0;
        for (int k = i; k < f->n && first->verdict == TQ_NEVER_RUNS && !told[i]; k++)
            if (f->nodes[k].verdict == TQ_NEVER_RUNS && strcmp(f->nodes[k].op, first->op) == 0 &&
                strcmp(f->nodes[k].why, first->why) == 0) {
                told[k] = k > i;
                n++;
            }
        if (n > 0)
            tq_table_add(table, (const char *[]){ first->op, tq_arena_printf(arena, "%d", n),
                                                  first->node, first->why });
    }
    if (f->n_never > 0)
        tq_string_printf(out, "%s\n", tq_table_print(table));
}

static const char *feasibility_text(const tq_feasibility *f, tq_arena *arena)
{
    static const char *const titles[] = {
        "node", "operator", "verdict", "editors, or why", ">MACs", ">weight bytes", ">output bytes"
    };
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    for (int i = 0; i < f->n; i++) {
        const tq_feasible_node *row = &f->nodes[i];
        tq_table_add(table,
                     (const char *[]){ row->node, row->op, tq_verdict_name(row->verdict),
                                       row->why ? row->why : editors_text(row, arena),
                                       whole(arena, row->macs), whole(arena, row->weight_bytes),
                                       whole(arena, row->output_bytes) });
    }
    tq_string out = { .arena = arena };
    tq_string_printf(&out, "%s\n", tq_table_print(table));
    add_refusals(f, arena, &out);
    add_summary(f, arena, &out);
    return out.s;
}

/* ---- JSON ---- */

static void add_node_json(tq_json *json, const tq_feasible_node *row)
{
    tq_json_open_object(json, NULL);
    tq_json_add_text(json, "name", row->node);
    tq_json_add_text(json, "op", row->op);
    tq_json_add_text(json, "verdict", tq_verdict_name(row->verdict));
    tq_json_open_array(json, "editors");
    for (int i = 0; i < row->n_editors; i++)
        tq_json_add_text(json, NULL, row->editors[i]);
    tq_json_close(json);
    tq_json_add_text(json, "why", row->why);
    tq_json_add_integer(json, "macs", row->macs);
    tq_json_add_integer(json, "weight_bytes", row->weight_bytes);
    tq_json_add_integer(json, "output_bytes", row->output_bytes);
    tq_json_close(json);
}

static void add_chips_json(tq_json *json, const tq_feasibility *f)
{
    tq_json_open_array(json, "chips");
    for (int i = 0; i < f->n_chips; i++) {
        const tq_chip_use *use = &f->chips[i];
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "name", use->chip->name);
        tq_json_add_bool(json, "fits", use->fits);
        tq_json_add_bool(json, "fits_outside", use->fits_outside);
        tq_json_add_integer(json, "memory", use->chip->memory);
        tq_json_add_integer(json, "outside_memory", use->chip->outside_memory);
        tq_json_add_number(json, "ms", use->ms);
        tq_json_close(json);
    }
    tq_json_close(json);
}

static const char *feasibility_json(const tq_feasibility *f, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    tq_json_add_text(json, "backend", f->backend->entry.name);
    tq_json_add_bool(json, "runs", f->runs);
    tq_json_add_integer(json, "nodes_as_they_are", f->n_runs);
    tq_json_add_integer(json, "nodes_after_editors", f->n_after);
    tq_json_add_integer(json, "nodes_never", f->n_never);
    tq_json_add_text(json, "problem", f->problem);
    tq_json_add_integer(json, "macs", f->macs);
    tq_json_add_integer(json, "weight_bytes", f->weight_bytes);
    tq_json_add_integer(json, "peak_activation_bytes", f->peak_bytes);
    tq_json_add_text(json, "peak_node", f->peak_node);
    add_chips_json(json, f);
    tq_json_open_array(json, "nodes");
    for (int i = 0; i < f->n; i++)
        add_node_json(json, &f->nodes[i]);
    tq_json_close(json);
    return tq_json_print(json);
}

const char *tq_report_feasibility(const tq_feasibility *f, bool json, tq_arena *arena)
{
    return json ? feasibility_json(f, arena) : feasibility_text(f, arena);
}
