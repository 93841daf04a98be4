/* A network cut at its devices: the parts in the order in which they run, what crosses between
 * them, and what that costs. */
#include "report/report_internal.h"

#include <inttypes.h>
#include <string.h>

static int64_t macs_of(const tq_part *part)
{
    int64_t n = 0;
    for (int i = 0; i < part->n_nodes; i++)
        n += tq_node_macs(part->nodes[i]);
    return n;
}

static const char *names_of(int n, tq_value *const *values, tq_arena *arena)
{
    tq_string text = { .arena = arena };
    tq_string_add(&text, "", 0);
    for (int i = 0; i < n; i++)
        tq_string_printf(&text, "%s%s", i ? ", " : "", tq_value_name(values[i]));
    return text.s;
}

static const char *place_of(const tq_parts *parts, int i, const char *outside, tq_arena *arena)
{
    return i < 0 ? outside : tq_arena_printf(arena, "%d %s", i, parts->parts[i].device);
}

/* ---- what the device refuses ---- */

typedef struct refusal {
    const char *op, *why, *first;
    int n;
    int64_t macs;
} refusal;

/* Nodes of one operator that are refused for the same reason; returns how many groups. */
static int find_refusals(const tq_parts *parts, tq_arena *arena, refusal **out)
{
    int n = 0;
    size_t capacity = 0;
    *out = NULL;
    for (int i = 0; i < parts->n; i++)
        for (int k = 0; k < parts->parts[i].n_nodes; k++) {
            const tq_node *node = parts->parts[i].nodes[k];
            const refusal item = { tq_node_op_name(node), tq_node_meta(node, "device.why"),
                                   tq_node_name(node), 0, 0 };
            int g = 0;
            while (item.why && g < n &&
                   (strcmp((*out)[g].op, item.op) != 0 || strcmp((*out)[g].why, item.why) != 0))
                g++;
            if (!item.why)
                continue;
            if (g == n)
                TQ_PUSH(arena, *out, n, capacity, item);
            (*out)[g].n++;
            (*out)[g].macs += tq_node_macs(node);
        }
    return n;
}

static const char *refusals_text(const tq_parts *parts, tq_arena *arena)
{
    static const char *const titles[] = { "left to the cpu", ">nodes", ">MACs", "first", "why" };
    refusal *rows;
    const int n = find_refusals(parts, arena, &rows);
    if (n == 0)
        return "";
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    for (int i = 0; i < n; i++)
        tq_table_add(table, (const char *[]){ rows[i].op, tq_arena_printf(arena, "%d", rows[i].n),
                                              tq_arena_printf(arena, "%" PRId64, rows[i].macs),
                                              rows[i].first, rows[i].why });
    return tq_arena_printf(arena, "%s\n", tq_table_print(table));
}

/* ---- text ---- */

static const char *total_text(const tq_parts *parts, tq_arena *arena)
{
    tq_string out = { .arena = arena };
    tq_string_printf(&out, "%d part%s, %" PRId64 " bytes cross between devices for one sample",
                     parts->n, parts->n == 1 ? "" : "s", parts->bytes);
    if (parts->bytes_kept)
        tq_string_printf(&out, ", %" PRId64 " wait on one device", parts->bytes_kept);
    tq_string_printf(&out, "\n");
    return out.s;
}

static const char *parts_text(const tq_parts *parts, const char *const *files, tq_arena *arena)
{
    static const char *const titles[] = { ">part", "device", ">nodes", ">MACs",
                                          "reads", "makes",  "file" };
    static const char *const crossings[] = { "value", "type", "from", "to", ">bytes" };
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    tq_table *borders = tq_table_create(arena, TQ_COUNT(crossings), crossings);
    for (int i = 0; i < parts->n; i++) {
        const tq_part *p = &parts->parts[i];
        tq_table_add(table,
                     (const char *[]){ tq_arena_printf(arena, "%d", i), p->device,
                                       tq_arena_printf(arena, "%d", p->n_nodes),
                                       tq_arena_printf(arena, "%" PRId64, macs_of(p)),
                                       names_of(p->n_inputs, p->inputs, arena),
                                       names_of(p->n_outputs, p->outputs, arena), files[i] });
    }
    for (int i = 0; i < parts->n_crossings; i++) {
        const tq_crossing *c = &parts->crossings[i];
        tq_table_add(borders, (const char *[]){
                                  tq_value_name(c->value),
                                  tq_arena_strdup(arena, tq_type_text(tq_value_type(c->value)).s),
                                  place_of(parts, c->from, "input", arena),
                                  place_of(parts, c->to, "output", arena),
                                  tq_arena_printf(arena, "%" PRId64, c->bytes) });
    }
    tq_string out = { .arena = arena };
    tq_string_printf(&out, "%s\n%s\n%s%s", tq_table_print(table), tq_table_print(borders),
                     refusals_text(parts, arena), total_text(parts, arena));
    return out.s;
}

/* ---- JSON ---- */

static void add_names_json(tq_json *json, const char *key, int n, tq_value *const *values)
{
    tq_json_open_array(json, key);
    for (int i = 0; i < n; i++)
        tq_json_add_text(json, NULL, tq_value_name(values[i]));
    tq_json_close(json);
}

static void add_graph_json(tq_json *json, const tq_graph *graph)
{
    tq_json_add_text(json, "name", tq_graph_name(graph));
    tq_json_open_array(json, "inputs");
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        tq_json_add_text(json, NULL, tq_value_name(tq_graph_input(graph, i)));
    tq_json_close(json);
    tq_json_open_array(json, "outputs");
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        tq_json_add_text(json, NULL, tq_value_name(tq_graph_output(graph, i)));
    tq_json_close(json);
}

static void add_part_json(tq_json *json, const tq_part *p, const char *file)
{
    tq_json_open_object(json, NULL);
    tq_json_add_text(json, "device", p->device);
    tq_json_add_text(json, "file", file);
    tq_json_add_integer(json, "macs", macs_of(p));
    add_names_json(json, "inputs", p->n_inputs, p->inputs);
    add_names_json(json, "outputs", p->n_outputs, p->outputs);
    tq_json_open_array(json, "nodes");
    for (int i = 0; i < p->n_nodes; i++)
        tq_json_add_text(json, NULL, tq_node_name(p->nodes[i]));
    tq_json_close(json);
    tq_json_close(json);
}

static void add_refused_json(tq_json *json, const tq_parts *parts)
{
    tq_json_open_array(json, "refused");
    for (int i = 0; i < parts->n; i++)
        for (int k = 0; k < parts->parts[i].n_nodes; k++) {
            const tq_node *node = parts->parts[i].nodes[k];
            const char *why = tq_node_meta(node, "device.why");
            if (!why)
                continue;
            tq_json_open_object(json, NULL);
            tq_json_add_text(json, "node", tq_node_name(node));
            tq_json_add_text(json, "op", tq_node_op_name(node));
            tq_json_add_text(json, "why", why);
            tq_json_close(json);
        }
    tq_json_close(json);
}

static const char *parts_json(const tq_graph *graph, const tq_parts *parts,
                              const char *const *files, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    add_graph_json(json, graph);
    tq_json_open_array(json, "parts");
    for (int i = 0; i < parts->n; i++)
        add_part_json(json, &parts->parts[i], files[i]);
    tq_json_close(json);
    tq_json_open_array(json, "crossings");
    for (int i = 0; i < parts->n_crossings; i++) {
        const tq_crossing *c = &parts->crossings[i];
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "value", tq_value_name(c->value));
        tq_json_add_integer(json, "from", c->from);
        tq_json_add_integer(json, "to", c->to);
        tq_json_add_integer(json, "bytes", c->bytes);
        tq_json_close(json);
    }
    tq_json_close(json);
    add_refused_json(json, parts);
    tq_json_add_integer(json, "bytes", parts->bytes);
    tq_json_add_integer(json, "bytes_kept", parts->bytes_kept);
    return tq_json_print(json);
}

const char *tq_report_parts(const tq_graph *graph, const tq_parts *parts, const char *const *files,
                            bool json, tq_arena *arena)
{
    return json ? parts_json(graph, parts, files, arena) : parts_text(parts, files, arena);
}
