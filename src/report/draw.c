/* A network as a picture: Graphviz' language, or SVG laid out by its `dot`. Nodes are boxes in
 * clusters, one for each scope of their names that holds more than one; edges carry the type and,
 * of codes, the bits, those with codes are coloured; a constant is drawn where several nodes share
 * it; the range of a quantised weight is part of its quantiser. The title says what the colours in
 * it mean. Identifiers are
 * numbers: names only stand in labels, cleaned of control characters and of what is no UTF-8, and
 * escaped. Graphviz is given no plug-ins but its own layout and SVG writer, so that a picture does
 * not depend on fonts or on what is installed; the reference to a DTD is cut off. */
#include "base/base.h"
#include "report/draw_internal.h"

#include <gvc.h>
#include <gvplugin.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 4000, MANY_NODES = 400, MAX_SCOPES = 12, LABEL_BYTES = 120 };

extern gvplugin_library_t gvplugin_dot_layout_LTX_library, gvplugin_core_LTX_library;

typedef struct scope {
    const char *name; /* "stage1.conv" */
    int parent;       /* -1: the picture */
    int n_nodes;      /* below it too */
    Agraph_t *cluster;
} scope;

typedef struct drawing {
    const tq_graph *graph;
    tq_arena *arena;
    Agraph_t *picture;
    int n_scopes;
    size_t capacity;
    scope *scopes;
    tq_index nodes;     /* numbers of nodes */
    int *scope_of;      /* of each node */
    Agnode_t **boxes;   /* NULL: not drawn */
    unsigned seen;      /* colours of edges, bits of 1 << tone */
    const char *device; /* one that a node is on */
} drawing;

/* ---- text ---- */

/** Length of the UTF-8 sequence that begins here, 0 if there is none. */
static int sequence_length(const unsigned char *c)
{
    const int n = c[0] < 0x80                   ? 1
                  : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
                  : c[0] >= 0xE0 && c[0] < 0xF0 ? 3
                  : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                                : 0;
    for (int i = 1; i < n; i++)
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    const bool overlong =
        (n == 3 && c[0] == 0xE0 && c[1] < 0xA0) || (n == 4 && c[0] == 0xF0 && c[1] < 0x90);
    const bool outside =
        (n == 3 && c[0] == 0xED && c[1] >= 0xA0) || (n == 4 && c[0] == 0xF4 && c[1] >= 0x90);
    return overlong || outside ? 0 : n;
}

/** As it may stand in a label: one line, valid, short, and read as it is written. */
static void add_label(tq_string *out, const char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        const unsigned char *c = (const unsigned char *)text + i;
        const int length = sequence_length(c);
        if (i > LABEL_BYTES) {
            tq_string_add(out, "...", 3);
            return;
        }
        if (length == 0 || *c < 32 || *c == 127)
            tq_string_add(out, "?", 1);
        else if (*c == '\\')
            tq_string_add(out, "\\\\", 2);
        else if (*c == '&')
            tq_string_add(out, "&amp;", 5);
        else
            tq_string_add(out, (const char *)c, (size_t)length);
        i += length ? (size_t)length : 1;
    }
}

static const char *label(tq_arena *arena, const char *first, const char *second)
{
    tq_string text = { .arena = arena };
    tq_string_add(&text, "", 0);
    add_label(&text, first);
    if (second) {
        tq_string_add(&text, "\\n", 2);
        add_label(&text, second);
    }
    return text.s;
}

/** Graphviz does not change what it copies, but does not say so. */
static void set(void *object, const char *key, const char *value)
{
    agsafeset(object, (char *)(uintptr_t)key, (char *)(uintptr_t)value, (char *)(uintptr_t) "");
}

/** The range of a weight, which its quantiser alone reads. */
static bool is_hidden(const tq_node *node)
{
    if (!tq_node_is(node, "WeightRange"))
        return false;
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const tq_value *y = tq_node_output(node, i);
        for (int k = 0; k < tq_value_n_consumers(y); k++)
            if (tq_value_is_output(y) || !tq_node_is(tq_value_consumer(y, k), "FakeQuantize"))
                return false;
    }
    return true;
}

/* ---- scopes ---- */

/** Bytes of the name before its last part; 0: it has one part. */
static size_t scope_length(const char *name, size_t n)
{
    while (n > 0 && name[n - 1] != '.' && name[n - 1] != '/')
        n--;
    while (n > 0 && (name[n - 1] == '.' || name[n - 1] == '/'))
        n--;
    return n;
}

static int add_scope(drawing *d, const char *name, size_t n, int depth)
{
    if (n == 0 || depth > MAX_SCOPES)
        return -1;
    for (int i = 0; i < d->n_scopes; i++)
        if (strlen(d->scopes[i].name) == n && strncmp(d->scopes[i].name, name, n) == 0)
            return i;
    const scope item = { .name = tq_arena_strndup(d->arena, name, n),
                         .parent = add_scope(d, name, scope_length(name, n), depth + 1) };
    TQ_PUSH(d->arena, d->scopes, d->n_scopes, d->capacity, item);
    return d->n_scopes - 1;
}

static void find_scopes(drawing *d)
{
    int k = 0;
    for (const tq_node *node = tq_graph_first(d->graph); node; node = tq_node_next(node), k++) {
        const char *name = tq_node_name(node);
        d->scope_of[k] = add_scope(d, name, scope_length(name, strlen(name)), 0);
        for (int s = d->scope_of[k]; s >= 0; s = d->scopes[s].parent)
            d->scopes[s].n_nodes += !is_hidden(node);
    }
}

/** A node that a block is named after stands in it, beside what is named after the node. */
static void move_into_own(drawing *d)
{
    int k = 0;
    for (const tq_node *node = tq_graph_first(d->graph); node; node = tq_node_next(node), k++)
        for (int s = 0; s < d->n_scopes; s++)
            if (d->scopes[s].n_nodes > 0 && strcmp(d->scopes[s].name, tq_node_name(node)) == 0) {
                d->scope_of[k] = s;
                d->scopes[s].n_nodes++;
            }
}

/** The cluster of a scope, or of the next one outside that holds more than one node. */
static Agraph_t *cluster_of(drawing *d, int s)
{
    while (s >= 0 && d->scopes[s].n_nodes < 2)
        s = d->scopes[s].parent;
    if (s < 0)
        return d->picture;
    scope *here = &d->scopes[s];
    if (!here->cluster) {
        char name[32];
        snprintf(name, sizeof name, "cluster%d", s);
        Agraph_t *outer = cluster_of(d, here->parent);
        here->cluster = agsubg(outer, name, 1);
        set(here->cluster, "label", label(d->arena, here->name, NULL));
        set(here->cluster, "style", "rounded");
        set(here->cluster, "color", "#b0b0b0");
        set(here->cluster, "fontcolor", "#606060");
    }
    return here->cluster;
}

/* ---- nodes ---- */

static const char *fill_of(const tq_node *node)
{
    static const char *const quantizers[] = { "FakeQuantize", "WeightRange",    "Observer",
                                              "Requant",      "QuantizeLinear", "DequantizeLinear",
                                              "RequantShift" };
    const char *device = tq_node_meta(node, "device");
    for (int i = 0; i < TQ_COUNT(quantizers); i++)
        if (tq_node_is(node, quantizers[i]))
            return "#fff3cd";
    if (device && strcmp(device, "cpu") != 0)
        return "#d8f0dc";
    return tq_node_has_flag(node, TQ_OP_LINEAR) || tq_node_is(node, "ConvInteger") ||
                   tq_node_is(node, "MatMulInteger")
               ? "#dce8f8"
               : "#ffffff";
}

/** Letters of the longer line. */
static size_t line_length(const char *text)
{
    size_t longest = 0;
    for (const char *line = text; line;) {
        const char *end = strstr(line, "\\n");
        const size_t n = end ? (size_t)(end - line) : strlen(line);
        longest = n > longest ? n : longest;
        line = end ? end + 2 : NULL;
    }
    return longest;
}

/** Graphviz measures with the widths of Helvetica; who shows the picture may have a wider font
 * only. */
static void set_width(const drawing *d, Agnode_t *box, const char *text)
{
    const double letter = 0.62 * 10 / 72; /* inches, of 10 points */
    set(box, "width", tq_arena_printf(d->arena, "%.2f", 0.25 + letter * (double)line_length(text)));
}

static Agnode_t *add_box(const drawing *d, Agraph_t *where, char kind, int number, const char *text,
                         const char *shape, const char *fill)
{
    char id[32];
    snprintf(id, sizeof id, "%c%d", kind, number);
    Agnode_t *box = agnode(where, id, 1);
    set(box, "label", text);
    set_width(d, box, text);
    set(box, "shape", shape);
    set(box, "style", "filled");
    set(box, "fillcolor", fill);
    return box;
}

static void add_nodes(drawing *d)
{
    int k = 0;
    for (const tq_node *node = tq_graph_first(d->graph); node; node = tq_node_next(node), k++) {
        const char *text = label(d->arena, tq_node_name(node), tq_report_node(node, d->arena));
        const char *device = tq_node_meta(node, "device");
        if (is_hidden(node))
            continue;
        d->boxes[k] = add_box(d, cluster_of(d, d->scope_of[k]), 'n', k, text, "box", fill_of(node));
        if (device && strcmp(device, "cpu") != 0)
            d->device = device;
    }
}

/* ---- edges ---- */

/** Codes by their width, sums and reals grey. */
enum { GREY, TO_16, TO_8, TO_4, TO_2, N_TONES };
static const char *const tones[N_TONES] = { "#808080", "#6f42c1", "#1f6feb", "#1a7f37", "#bf3989" };
static const char *const tone_names[N_TONES] = { "grey reals and sums", "purple to 16 bit",
                                                 "blue to 8 bit", "green to 4 bit",
                                                 "pink to 2 bit" };

static int tone_of(const tq_value *value, int bits)
{
    if (bits > 16 || tq_value_type(value)->dtype == TQ_BOOL)
        return GREY;
    return bits > 8 ? TO_16 : bits > 4 ? TO_8 : bits > 2 ? TO_4 : TO_2;
}

/** Spaces keep the text apart from the line where the font is wider than Graphviz knows. */
static const char *edge_text(const drawing *d, const tq_value *value, int bits, int tone)
{
    const char *type = tq_type_text(tq_value_type(value)).s;
    const int n = (int)strlen(type) / 3 + 1;
    const char *line = tq_arena_printf(d->arena, "%*s%s%*s", n, "", type, n, "");
    return tone == GREY ? line : tq_arena_printf(d->arena, "%s\\n%d bit", line, bits);
}

static void add_edge(drawing *d, Agnode_t *from, Agnode_t *to, const tq_value *value)
{
    const int bits = tq_value_bits(value), tone = tone_of(value, bits);
    Agedge_t *edge = agedge(d->picture, from, to, NULL, 1);
    set(edge, "label", edge_text(d, value, bits, tone));
    set(edge, "color", tones[tone]);
    set(edge, "fontcolor", tones[tone]);
    set(edge, "penwidth", tone != GREY ? "2" : "1");
    d->seen |= 1u << tone;
}

static Agnode_t *box_of(const drawing *d, const tq_node *node)
{
    return d->boxes[tq_index_find(&d->nodes, node)];
}

/** An edge for each time that a node reads the value. */
static void add_edges_from(drawing *d, Agnode_t *from, const tq_value *value)
{
    tq_index seen = tq_index_make(d->arena, tq_value_n_consumers(value));
    for (int i = 0; i < tq_value_n_consumers(value); i++) {
        const tq_node *reader = tq_value_consumer(value, i);
        if (tq_index_find(&seen, reader) >= 0)
            continue;
        tq_index_set(&seen, reader, 0);
        if (!box_of(d, reader))
            continue;
        for (int k = 0; k < tq_node_n_inputs(reader); k++)
            if (tq_node_input(reader, k) == value)
                add_edge(d, from, box_of(d, reader), value);
    }
}

static int n_readers(const drawing *d, const tq_value *value)
{
    int n = 0;
    for (int i = 0; i < tq_value_n_consumers(value); i++)
        n += (i == 0 || tq_value_consumer(value, i) != tq_value_consumer(value, i - 1)) &&
             box_of(d, tq_value_consumer(value, i)) != NULL;
    return n;
}

static void add_constants(drawing *d)
{
    for (int i = 0; i < tq_graph_n_values(d->graph); i++) {
        const tq_value *value = tq_graph_value(d->graph, i);
        if (!tq_value_is_const(value) || n_readers(d, value) < 2 ||
            tq_type_count(tq_value_type(value)) < 2)
            continue;
        Agnode_t *box =
            add_box(d, d->picture, 'c', i, label(d->arena, tq_value_name(value), "shared constant"),
                    "note", "#f0f0f0");
        add_edges_from(d, box, value);
    }
}

static void add_inputs(drawing *d)
{
    for (int i = 0; i < tq_graph_n_inputs(d->graph); i++) {
        const tq_value *value = tq_graph_input(d->graph, i);
        add_edges_from(d,
                       add_box(d, d->picture, 'i', i,
                               label(d->arena, tq_value_name(value), "input"), "ellipse",
                               "#e8e8e8"),
                       value);
    }
}

static void add_outputs(drawing *d)
{
    for (int i = 0; i < tq_graph_n_outputs(d->graph); i++) {
        const tq_value *value = tq_graph_output(d->graph, i);
        Agnode_t *box =
            add_box(d, d->picture, 'o', i, label(d->arena, tq_value_name(value), "output"),
                    "ellipse", "#e8e8e8");
        if (tq_value_producer(value))
            add_edge(d, box_of(d, tq_value_producer(value)), box, value);
    }
}

static void add_edges(drawing *d)
{
    add_inputs(d);
    add_constants(d);
    for (const tq_node *node = tq_graph_first(d->graph); node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node) && box_of(d, node); i++)
            add_edges_from(d, box_of(d, node), tq_node_output(node, i));
    add_outputs(d);
}

/* ---- the picture ---- */

static void set_style(const drawing *d, int n)
{
    agattr(d->picture, AGNODE, (char *)(uintptr_t) "fontsize", (char *)(uintptr_t) "10");
    agattr(d->picture, AGEDGE, (char *)(uintptr_t) "fontsize", (char *)(uintptr_t) "8");
    agattr(d->picture, AGNODE, (char *)(uintptr_t) "fontname", (char *)(uintptr_t) "Helvetica");
    agattr(d->picture, AGEDGE, (char *)(uintptr_t) "fontname", (char *)(uintptr_t) "Helvetica");
    set(d->picture, "fontname", "Helvetica");
    set(d->picture, "fontsize", "10");
    set(d->picture, "labelloc", "t");
    if (n <= MANY_NODES)
        return;
    set(d->picture, "nslimit", "1"); /* large ones are laid out with less polish */
    set(d->picture, "nslimit1", "1");
    set(d->picture, "splines", "polyline");
}

/** The name, and what the colours mean that are there. */
static void set_title(const drawing *d)
{
    tq_string text = { .arena = d->arena };
    tq_string_printf(&text, "%s", "");
    for (int tone = TO_16; tone < N_TONES; tone++)
        if (d->seen >> tone & 1u)
            tq_string_printf(&text, "%s%s", text.n ? ", " : "edges: ", tone_names[tone]);
    if (text.n)
        tq_string_printf(&text, ", %s", tone_names[GREY]);
    if (d->device)
        tq_string_printf(&text, "%sgreen boxes: on %s", text.n ? "; " : "", d->device);
    set(d->picture, "label", label(d->arena, tq_graph_name(d->graph), text.n ? text.s : NULL));
}

static void make_picture(drawing *d)
{
    const int n = tq_graph_n_nodes(d->graph);
    int k = 0;
    d->nodes = tq_index_make(d->arena, n);
    d->scope_of = TQ_NEW_N(d->arena, int, n + 1);
    d->boxes = TQ_NEW_N(d->arena, Agnode_t *, n + 1);
    for (const tq_node *node = tq_graph_first(d->graph); node; node = tq_node_next(node))
        tq_index_set(&d->nodes, node, k++);
    set_style(d, n);
    find_scopes(d);
    move_into_own(d);
    add_nodes(d);
    add_edges(d);
    set_title(d);
}

static tq_status write_dot(const drawing *d, tq_string *out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return tq_fail(TQ_ERR_MEMORY, "no memory for the picture");
    const bool written = agwrite(d->picture, file) == 0;
    if (fclose(file) == 0 && written)
        tq_string_add(out, text, size);
    free(text);
    return out->n ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "no memory for the picture");
}

/** What stands before <svg: comments with versions, and a reference to a DTD elsewhere. */
static void add_svg(tq_string *out, const char *text, size_t n)
{
    static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n";
    const char *svg = strstr(text, "<svg");
    if (!svg)
        return;
    tq_string_add(out, head, sizeof head - 1);
    tq_string_add(out, svg, n - (size_t)(svg - text));
}

static tq_status write_svg(const drawing *d, tq_string *out)
{
    lt_symlist_t plugins[] = {
        { "gvplugin_dot_layout_LTX_library", &gvplugin_dot_layout_LTX_library },
        { "gvplugin_core_LTX_library", &gvplugin_core_LTX_library },
        { NULL, NULL },
    };
    GVC_t *context = gvContextPlugins(plugins, 0);
    char *text = NULL;
    unsigned n = 0;
    if (context && gvLayout(context, d->picture, "dot") == 0) {
        if (gvRenderData(context, d->picture, "svg", &text, &n) == 0 && text)
            add_svg(out, text, n);
        gvFreeRenderData(text);
        gvFreeLayout(context, d->picture);
    }
    gvFreeContext(context);
    return out->n ? TQ_OK : tq_fail(TQ_ERR_STATE, "Graphviz could not lay out the picture");
}

tq_status tq_report_draw(const tq_graph *graph, bool svg, tq_arena *arena, const char **out_text,
                         size_t *out_size)
{
    const int n = tq_graph_n_nodes(graph);
    if (svg && n > MAX_NODES)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "%d nodes are too many to lay out (at most %d); write a .dot file", n,
                       MAX_NODES);
    agseterr(AGMAX); /* it has nothing to say on standard error */
    drawing d = { .graph = graph, .arena = arena };
    tq_drawing_names names;
    tq_drawing_names_init(&names, arena);
    d.picture = agopen((char *)(uintptr_t) "network", Agdirected, &names.disc);
    if (!d.picture)
        return tq_fail(TQ_ERR_MEMORY, "no memory for the picture");
    make_picture(&d);
    tq_string out = { .arena = arena };
    const tq_status status = svg ? write_svg(&d, &out) : write_dot(&d, &out);
    agclose(d.picture);
    *out_text = out.s;
    *out_size = out.n;
    return status;
}
