/* What a network consists of: `name  Op(parameters)`, shapes, parameters and multiply-accumulates,
 * with totals, in the order of execution. */
#include "base/base.h"
#include "report/report_internal.h"

#include <truq/recipe.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/** One row: what is printed of a node. */
typedef struct layer {
    const tq_node *node;
    const char *text;
    const tq_type *output;
    int bits;
    const tq_value_range *range; /* of output 0; NULL: not measured */
    int64_t n_parameters, n_macs;
} layer;

typedef struct layers {
    const tq_graph *graph;
    const tq_layers_options *options;
    tq_arena *arena;
    int n;
    layer *items;
    int64_t n_parameters, n_macs; /* of those shown */
} layers;

/* ---- which nodes ---- */

static bool has_type(const tq_node *node, const char *const *types)
{
    for (int i = 0; types[i]; i++)
        if (tq_node_is(node, types[i]) || strcmp(tq_recipe_type_name(node), types[i]) == 0)
            return true;
    return false;
}

/** All that the options ask of a node. */
typedef struct selection {
    tq_node_filter *filter;
    tq_reach *upstream, *downstream;
} selection;

static bool is_selected(const layers *l, const selection *s, const tq_node *node)
{
    return tq_node_filter_accepts(s->filter, node) &&
           (!s->upstream || tq_reach_has(s->upstream, node)) &&
           (!s->downstream || tq_reach_has(s->downstream, node)) &&
           (!l->options->types || has_type(node, l->options->types));
}

/** Ranges are in order of the graph, as the nodes are. */
static const tq_value_range *range_of(const layers *l, const tq_value *value, int *at)
{
    const tq_layers_options *o = l->options;
    for (int n = 0; n < o->n_ranges; n++, *at = (*at + 1) % o->n_ranges)
        if (strcmp(o->ranges[*at].value, tq_value_name(value)) == 0)
            return &o->ranges[*at];
    return NULL;
}

/** Constants that several layers read count once in the whole. */
static void count_parameters(layers *l)
{
    tq_index seen = tq_index_make(l->arena, tq_graph_n_values(l->graph) + 1);
    for (int k = 0; k < l->n; k++)
        for (int i = 0; i < tq_node_n_inputs(l->items[k].node); i++) {
            const tq_value *value = tq_node_input(l->items[k].node, i);
            if (!tq_node_input_is_parameter(l->items[k].node, i) ||
                tq_index_find(&seen, value) >= 0)
                continue;
            tq_index_set(&seen, value, 0);
            l->n_parameters += tq_type_count(tq_value_type(value));
        }
}

static void collect(layers *l, const selection *s)
{
    int at = 0;
    l->items = TQ_NEW_N(l->arena, layer, tq_graph_n_nodes(l->graph));
    for (const tq_node *node = tq_graph_first(l->graph); node; node = tq_node_next(node)) {
        if (!is_selected(l, s, node))
            continue;
        const tq_value *output = tq_node_output(node, 0);
        layer *item = &l->items[l->n++];
        *item = (layer){ .node = node,
                         .text = tq_report_node(node, l->arena),
                         .output = tq_value_type(output),
                         .bits = tq_value_bits(output),
                         .range = range_of(l, output, &at),
                         .n_parameters = tq_node_n_parameters(node),
                         .n_macs = tq_node_macs(node) };
        l->n_macs += item->n_macs;
    }
    count_parameters(l);
}

static tq_status find(layers *l)
{
    const tq_layers_options *o = l->options;
    selection s = { 0 };
    if (o->upstream)
        TQ_TRY(tq_reach_find(l->graph, o->upstream, true, l->arena, &s.upstream));
    if (o->downstream)
        TQ_TRY(tq_reach_find(l->graph, o->downstream, false, l->arena, &s.downstream));
    TQ_TRY(tq_node_filter_parse(tq_graph_registry(l->graph), o->filter, l->arena, &s.filter));
    collect(l, &s);
    tq_node_filter_reset(s.filter);
    return TQ_OK;
}

/* ---- edges ---- */

/** Who makes input i: a node's name, or "input" or "constant" and the value's name; NULL: absent.
 */
static const char *source_of(const layers *l, const tq_node *node, int i)
{
    const tq_value *value = tq_node_input(node, i);
    if (!value)
        return NULL;
    if (tq_value_producer(value))
        return tq_node_name(tq_value_producer(value));
    return tq_arena_printf(l->arena, "%s %s", tq_value_is_input(value) ? "input" : "constant",
                           tq_value_name(value));
}

static void add_edges(const layers *l, const tq_node *node, tq_string *out)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (source_of(l, node, i))
            tq_string_printf(out, "    <- %s\n", tq_text_clean(l->arena, source_of(l, node, i)));
    for (int k = 0; k < tq_node_n_outputs(node); k++) {
        const tq_value *value = tq_node_output(node, k);
        for (int i = 0; value && i < tq_value_n_consumers(value); i++)
            tq_string_printf(out, "    -> %s\n",
                             tq_text_clean(l->arena, tq_node_name(tq_value_consumer(value, i))));
        if (value && tq_value_is_output(value))
            tq_string_printf(out, "    -> output %s\n",
                             tq_text_clean(l->arena, tq_value_name(value)));
    }
}

static void add_edges_json(const layers *l, const tq_node *node, tq_json *json)
{
    tq_json_open_array(json, "upstream");
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (source_of(l, node, i))
            tq_json_add_text(json, NULL, source_of(l, node, i));
    tq_json_close(json);
    tq_json_open_array(json, "downstream");
    for (int k = 0; k < tq_node_n_outputs(node); k++) {
        const tq_value *value = tq_node_output(node, k);
        for (int i = 0; value && i < tq_value_n_consumers(value); i++)
            tq_json_add_text(json, NULL, tq_node_name(tq_value_consumer(value, i)));
        if (value && tq_value_is_output(value))
            tq_json_add_text(json, NULL,
                             tq_arena_printf(l->arena, "output %s", tq_value_name(value)));
    }
    tq_json_close(json);
}

/* ---- text ---- */

static void add_border(const layers *l, tq_string *out, const char *what, const tq_value *value)
{
    double scale;
    tq_string_printf(out, "%s %s %s", what, tq_text_clean(l->arena, tq_value_name(value)),
                     tq_type_text(tq_value_type(value)).s);
    if (tq_value_meta_f64(value, "quant.scale", &scale))
        tq_string_printf(out, ", scale %.9g", scale);
    tq_string_add(out, "\n", 1);
}

/** Integers between reals ('truq f2t --partial') are neither one nor the other. */
static const char *stage_of(const tq_graph *graph)
{
    const char *said = tq_graph_meta(graph, "stage");
    return said && strcmp(said, "partial") == 0 ? "mixed" : tq_stage_name(tq_graph_stage(graph));
}

static void add_head(const layers *l, tq_string *out)
{
    const tq_graph *g = l->graph;
    tq_string_printf(out, "%s: %s network", tq_text_clean(l->arena, tq_graph_name(g)), stage_of(g));
    static const char *const keys[] = { "preset", "dialect", "recipe", "backend" };
    for (int i = 0; i < TQ_COUNT(keys); i++)
        if (tq_graph_meta(g, keys[i]))
            tq_string_printf(out, ", %s %s", keys[i],
                             tq_text_clean(l->arena, tq_graph_meta(g, keys[i])));
    tq_string_add(out, "\n", 1);
    for (int i = 0; i < tq_graph_n_inputs(g); i++)
        add_border(l, out, "input", tq_graph_input(g, i));
    for (int i = 0; i < tq_graph_n_outputs(g); i++)
        add_border(l, out, "output", tq_graph_output(g, i));
    tq_string_add(out, "\n", 1);
}

static const char *number_text(tq_arena *arena, const char *format, double number)
{
    char text[48];
    snprintf(text, sizeof text, format, number);
    return tq_arena_strdup(arena, text);
}

/** Without any noise there is no ratio. */
static const char *sqnr_text(tq_arena *arena, const tq_value_range *r)
{
    if (!r || isnan(r->sqnr))
        return NULL;
    return isinf(r->sqnr) ? "exact" : number_text(arena, "%.2f", r->sqnr);
}

/** Columns that are shown where there is something in them. */
enum { DEVICE = 1, BITS = 2, RANGES = 4, MAX_COLUMNS = 10 };

static int shown_columns(const layers *l)
{
    const bool quantised = strcmp(stage_of(l->graph), "float") != 0 || l->options->n_ranges;
    int columns = (quantised ? BITS : 0) | (l->options->n_ranges ? RANGES : 0);
    for (const tq_node *node = tq_graph_first(l->graph); node; node = tq_node_next(node))
        columns |= tq_node_meta(node, "device") ? DEVICE : 0;
    return columns;
}

static tq_table *make_table(const layers *l, int columns)
{
    const char *titles[MAX_COLUMNS] = { "name", "operator", "output" };
    int n = 3;
    if (columns & DEVICE)
        titles[n++] = "device";
    if (columns & BITS)
        titles[n++] = ">bits";
    if (columns & RANGES) {
        titles[n++] = ">min";
        titles[n++] = ">max";
        titles[n++] = ">SQNR dB";
    }
    titles[n++] = ">parameters";
    titles[n++] = ">MACs";
    return tq_table_create(l->arena, n, titles);
}

static void add_line(const layers *l, const layer *item, int columns, tq_table *table)
{
    const tq_value_range *r = item->range;
    const char *cells[MAX_COLUMNS] = { tq_node_name(item->node), item->text,
                                       tq_arena_strdup(l->arena, tq_type_text(item->output).s) };
    int n = 3;
    if (columns & DEVICE)
        cells[n++] = tq_node_meta(item->node, "device");
    if (columns & BITS)
        cells[n++] = tq_arena_printf(l->arena, "%d", item->bits);
    if (columns & RANGES) {
        cells[n++] = r ? number_text(l->arena, "%.4g", r->min) : NULL;
        cells[n++] = r ? number_text(l->arena, "%.4g", r->max) : NULL;
        cells[n++] = sqnr_text(l->arena, r);
    }
    cells[n++] = tq_arena_printf(l->arena, "%" PRId64, item->n_parameters);
    cells[n++] = tq_arena_printf(l->arena, "%" PRId64, item->n_macs);
    tq_table_add(table, cells);
}

static const char *layers_text(const layers *l)
{
    const int columns = shown_columns(l);
    tq_table *table = make_table(l, columns);
    for (int i = 0; i < l->n; i++)
        add_line(l, &l->items[i], columns, table);
    tq_string out = { .arena = l->arena };
    add_head(l, &out);
    const char *line = tq_table_print(table);
    for (int i = -1; i < l->n; i++) { /* the edges of a node go below its line */
        const char *end = strchr(line, '\n') + 1;
        tq_string_add(&out, line, (size_t)(end - line));
        if (i >= 0 && l->options->edges)
            add_edges(l, l->items[i].node, &out);
        line = end;
    }
    tq_string_printf(&out, "\n%d of %d nodes, %" PRId64 " parameters, %" PRId64 " MACs\n", l->n,
                     tq_graph_n_nodes(l->graph), l->n_parameters, l->n_macs);
    return out.s;
}

/* ---- JSON ---- */

static void add_type_json(tq_json *json, const tq_type *type)
{
    tq_json_add_text(json, "dtype", tq_dtype_name(type->dtype));
    tq_json_open_array(json, "shape");
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[i] == TQ_DIM_ANY)
            tq_json_add_text(json, NULL, NULL);
        else
            tq_json_add_integer(json, NULL, type->dims[i]);
    }
    tq_json_close(json);
}

static void add_border_json(tq_json *json, const tq_value *value)
{
    double scale;
    tq_json_open_object(json, NULL);
    tq_json_add_text(json, "name", tq_value_name(value));
    add_type_json(json, tq_value_type(value));
    if (tq_value_meta_f64(value, "quant.scale", &scale))
        tq_json_add_number(json, "scale", scale);
    tq_json_close(json);
}

static void add_layer_json(const layers *l, const layer *item, tq_json *json)
{
    tq_json_open_object(json, NULL);
    tq_json_add_text(json, "name", tq_node_name(item->node));
    tq_json_add_text(json, "op", tq_node_op_name(item->node));
    tq_json_add_text(json, "text", item->text);
    add_type_json(json, item->output);
    tq_json_add_text(json, "device", tq_node_meta(item->node, "device"));
    tq_json_add_integer(json, "bits", item->bits);
    if (item->range) {
        tq_json_add_number(json, "min", item->range->min);
        tq_json_add_number(json, "max", item->range->max);
        tq_json_add_number(json, "sqnr_db", item->range->sqnr);
    }
    tq_json_add_integer(json, "parameters", item->n_parameters);
    tq_json_add_integer(json, "macs", item->n_macs);
    if (l->options->edges)
        add_edges_json(l, item->node, json);
    tq_json_close(json);
}

static const char *layers_json(const layers *l)
{
    const tq_graph *g = l->graph;
    tq_json *json = tq_json_create(l->arena);
    tq_json_add_text(json, "name", tq_graph_name(g));
    tq_json_add_text(json, "stage", stage_of(g));
    tq_json_add_text(json, "preset", tq_graph_meta(g, "preset"));
    tq_json_add_text(json, "dialect", tq_graph_meta(g, "dialect"));
    tq_json_open_array(json, "inputs");
    for (int i = 0; i < tq_graph_n_inputs(g); i++)
        add_border_json(json, tq_graph_input(g, i));
    tq_json_close(json);
    tq_json_open_array(json, "outputs");
    for (int i = 0; i < tq_graph_n_outputs(g); i++)
        add_border_json(json, tq_graph_output(g, i));
    tq_json_close(json);
    tq_json_open_array(json, "layers");
    for (int i = 0; i < l->n; i++)
        add_layer_json(l, &l->items[i], json);
    tq_json_close(json);
    tq_json_add_integer(json, "nodes", tq_graph_n_nodes(g));
    tq_json_add_integer(json, "parameters", l->n_parameters);
    tq_json_add_integer(json, "macs", l->n_macs);
    return tq_json_print(json);
}

tq_status tq_report_layers(const tq_graph *graph, const tq_layers_options *options, tq_arena *arena,
                           const char **out_text)
{
    layers l = { .graph = graph, .options = options, .arena = arena };
    TQ_TRY(find(&l));
    *out_text = options->json ? layers_json(&l) : layers_text(&l);
    return TQ_OK;
}
