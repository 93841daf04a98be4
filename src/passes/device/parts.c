/* Cutting a network at its devices. The level of a node is the number of changes of device on the
 * longest way to it:
 *
 *   level(n) = max over producers p of level(p) + (device(p) != device(n))
 *
 * Edges never go down a level and stay on one only within a device, so the sets (device, level)
 * have no cycle between them: each is convex. Two parts of one device are then joined wherever no
 * way leads from one to the other through a third part, which keeps that so.
 *
 * What is made of constants alone (the quantiser of a weight) is no work that others wait for: it
 * stands with its first reader, and every part that reads it has it whole. */
#include "passes/device/device_internal.h"

#include <string.h>

enum { MAX_JOINED = 512 }; /* more parts than this are not worth joining, nor cheap to */

typedef struct placed {
    const tq_node *node;
    const char *device; /* NULL: not found yet */
    bool constant;      /* made of constants alone */
    int level, part;
} placed;

typedef struct cut {
    const tq_graph *graph;
    tq_arena *arena;
    int n;
    placed *nodes;
    tq_index numbers; /* of nodes */
    int n_parts;
    const char **devices;
    int *levels;
    bool *reads; /* [n_parts][n_parts]: the row reads the column */
} cut;

static placed *of_node(const cut *c, const tq_node *node)
{
    return &c->nodes[tq_index_find(&c->numbers, node)];
}

/* ---- devices ---- */

static bool is_cpu(const char *device)
{
    return !device || strcmp(device, "cpu") == 0;
}

static const char *device_of_consumers(const cut *c, const tq_node *node)
{
    for (int k = 0; k < tq_node_n_outputs(node); k++) {
        const tq_value *y = tq_node_output(node, k);
        for (int i = 0; i < tq_value_n_consumers(y); i++) {
            const char *device = of_node(c, tq_value_consumer(y, i))->device;
            if (!is_cpu(device))
                return device;
        }
    }
    return NULL;
}

static const char *device_of_producers(const cut *c, const tq_node *node)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *x = tq_node_input(node, i);
        const tq_node *producer = x ? tq_value_producer(x) : NULL;
        const char *device = producer ? of_node(c, producer)->device : NULL;
        if (!is_cpu(device))
            return device;
    }
    return NULL;
}

static bool goes_along(const tq_node *node)
{
    return tq_node_is(node, "FakeQuantize") || tq_node_is(node, "WeightRange") ||
           tq_node_is(node, "Observer");
}

/* Quantisers take the device of a reader, else of what they read. */
static void find_devices(cut *c)
{
    for (int i = 0; i < c->n; i++)
        c->nodes[i].device = tq_node_meta(c->nodes[i].node, "device");
    for (int i = c->n - 1; i >= 0; i--)
        if (!c->nodes[i].device && goes_along(c->nodes[i].node))
            c->nodes[i].device = device_of_consumers(c, c->nodes[i].node);
    for (int i = 0; i < c->n; i++) {
        if (!c->nodes[i].device && goes_along(c->nodes[i].node))
            c->nodes[i].device = device_of_producers(c, c->nodes[i].node);
        if (!c->nodes[i].device)
            c->nodes[i].device = "cpu";
    }
}

/* ---- parts ---- */

/* Who makes input k in the course of running; NULL: an input of the network, or made of constants.
 */
static placed *maker_of(const cut *c, const tq_node *node, int k)
{
    const tq_value *x = tq_node_input(node, k);
    const tq_node *producer = x ? tq_value_producer(x) : NULL;
    placed *maker = producer ? of_node(c, producer) : NULL;
    return maker && !maker->constant ? maker : NULL;
}

static void find_constants(cut *c)
{
    for (int i = 0; i < c->n; i++) {
        placed *p = &c->nodes[i];
        const int n = tq_node_n_inputs(p->node);
        p->constant = n > 0;
        for (int k = 0; k < n && p->constant; k++) {
            const tq_value *x = tq_node_input(p->node, k);
            p->constant = !x || tq_value_is_const(x) ||
                          (tq_value_producer(x) && of_node(c, tq_value_producer(x))->constant);
        }
    }
}

/* The level of the first reader. */
static int reader_level(const cut *c, const tq_node *node)
{
    int least = -1;
    for (int k = 0; k < tq_node_n_outputs(node); k++) {
        const tq_value *y = tq_node_output(node, k);
        for (int i = 0; i < tq_value_n_consumers(y); i++) {
            const int level = of_node(c, tq_value_consumer(y, i))->level;
            least = least < 0 || level < least ? level : least;
        }
    }
    return least < 0 ? 0 : least;
}

static void find_levels(cut *c)
{
    for (int i = 0; i < c->n; i++) {
        placed *p = &c->nodes[i];
        for (int k = 0; k < tq_node_n_inputs(p->node); k++) {
            const placed *from = maker_of(c, p->node, k);
            const int level = from ? from->level + (strcmp(from->device, p->device) != 0) : 0;
            p->level = level > p->level ? level : p->level;
        }
    }
    for (int i = c->n - 1; i >= 0; i--)
        if (c->nodes[i].constant)
            c->nodes[i].level = reader_level(c, c->nodes[i].node);
}

static int part_of(cut *c, const char *device, int level)
{
    for (int i = c->n_parts - 1; i >= 0; i--)
        if (c->levels[i] == level && strcmp(c->devices[i], device) == 0)
            return i;
    c->devices[c->n_parts] = device;
    c->levels[c->n_parts] = level;
    return c->n_parts++;
}

static void number_parts(cut *c)
{
    c->devices = TQ_NEW_N(c->arena, const char *, c->n + 1);
    c->levels = TQ_NEW_N(c->arena, int, c->n + 1);
    for (int i = 0; i < c->n; i++)
        c->nodes[i].part = part_of(c, c->nodes[i].device, c->nodes[i].level);
}

/* ---- joining ---- */

static void find_reads(cut *c)
{
    const int n = c->n_parts;
    c->reads = TQ_NEW_N(c->arena, bool, (size_t)n *(size_t)n + 1);
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < tq_node_n_inputs(c->nodes[i].node); k++) {
            const placed *from = maker_of(c, c->nodes[i].node, k);
            if (from && from->part != c->nodes[i].part)
                c->reads[c->nodes[i].part * n + from->part] = true;
        }
}

/* Does a way of two edges or more lead from `from` to `to`? */
static bool leads_around(const cut *c, int from, int to, bool *seen, int *stack)
{
    const int n = c->n_parts;
    int n_stack = 0;
    memset(seen, 0, (size_t)n);
    for (int k = 0; k < n; k++)
        if (c->reads[k * n + from] && k != to) {
            seen[k] = true;
            stack[n_stack++] = k;
        }
    while (n_stack > 0) {
        const int at = stack[--n_stack];
        if (c->reads[to * n + at])
            return true;
        for (int k = 0; k < n; k++)
            if (c->reads[k * n + at] && !seen[k]) {
                seen[k] = true;
                stack[n_stack++] = k;
            }
    }
    return false;
}

static void join(cut *c, int a, int b)
{
    const int n = c->n_parts;
    for (int k = 0; k < n; k++) {
        c->reads[a * n + k] = c->reads[a * n + k] || c->reads[b * n + k];
        c->reads[k * n + a] = c->reads[k * n + a] || c->reads[k * n + b];
        c->reads[b * n + k] = c->reads[k * n + b] = false;
    }
    c->reads[a * n + a] = false;
    for (int i = 0; i < c->n; i++)
        if (c->nodes[i].part == b)
            c->nodes[i].part = a;
    c->devices[b] = NULL;
}

static void join_parts(cut *c)
{
    if (c->n_parts > MAX_JOINED)
        return;
    find_reads(c);
    bool *seen = TQ_NEW_N(c->arena, bool, c->n_parts + 1);
    int *stack = TQ_NEW_N(c->arena, int, c->n_parts + 1);
    for (int a = 0; a < c->n_parts; a++)
        for (int b = a + 1; c->devices[a] && b < c->n_parts; b++)
            if (c->devices[b] && strcmp(c->devices[a], c->devices[b]) == 0 &&
                !leads_around(c, a, b, seen, stack) && !leads_around(c, b, a, seen, stack))
                join(c, a, b);
}

/* ---- order: parts in which nothing is read that has not run ---- */

static bool is_ready(const cut *c, const int *order, int part)
{
    for (int i = 0; i < c->n; i++) {
        if (c->nodes[i].part != part)
            continue;
        for (int k = 0; k < tq_node_n_inputs(c->nodes[i].node); k++) {
            const placed *from = maker_of(c, c->nodes[i].node, k);
            if (from && from->part != part && order[from->part] < 0)
                return false;
        }
    }
    return true;
}

/* Levels are an order of parts that were not joined; else those that are ready go first. */
static int order_parts(const cut *c, int *order)
{
    int n = 0;
    for (int i = 0; i < c->n_parts; i++)
        order[i] = -1;
    if (c->n_parts > MAX_JOINED) {
        for (int level = 0; n < c->n_parts; level++)
            for (int i = 0; i < c->n_parts; i++)
                if (c->levels[i] == level)
                    order[i] = n++;
        return n;
    }
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < c->n_parts; i++)
            if (c->devices[i] && order[i] < 0 && is_ready(c, order, i)) {
                order[i] = n++;
                any = true;
            }
    }
    return n;
}

/* ---- what crosses ---- */

static void add_crossing(tq_parts *out, size_t *capacity, tq_arena *arena, const tq_crossing *item)
{
    TQ_PUSH(arena, out->crossings, out->n_crossings, *capacity, *item);
    if (item->from < 0 || item->to < 0)
        return;
    if (strcmp(out->parts[item->from].device, out->parts[item->to].device) != 0)
        out->bytes += item->bytes;
    else
        out->bytes_kept += item->bytes;
}

/* Bytes of one sample: codes as wide as they are, reals that pass a quantiser on the other side (or
 * passed one) as its codes, other reals in f32. */
static int64_t crossing_bytes(const tq_value *value)
{
    return tq_is_on_grid(value) ? tq_stored_bytes(value) : 4 * tq_stored_bytes(value);
}

static void value_crosses(const cut *c, tq_value *value, tq_parts *out, size_t *capacity)
{
    const tq_node *producer = tq_value_producer(value);
    if (tq_value_is_const(value))
        return;
    tq_crossing item = { .value = value,
                         .from = producer ? of_node(c, producer)->part : -1,
                         .bytes = crossing_bytes(value) };
    const int first = out->n_crossings;
    const bool constant = producer && of_node(c, producer)->constant;
    for (int i = 0; i < tq_value_n_consumers(value) && !constant; i++) {
        item.to = of_node(c, tq_value_consumer(value, i))->part;
        bool known = item.to == item.from;
        for (int k = first; k < out->n_crossings; k++)
            known = known || out->crossings[k].to == item.to;
        if (!known)
            add_crossing(out, capacity, c->arena, &item);
    }
    item.to = -1;
    if (tq_value_is_output(value) && producer)
        add_crossing(out, capacity, c->arena, &item);
}

static void push_value(tq_arena *arena, tq_value ***values, int *n, size_t *capacity,
                       tq_value *value)
{
    for (int i = 0; i < *n; i++)
        if ((*values)[i] == value)
            return;
    TQ_PUSH(arena, *values, *n, *capacity, value);
}

static void fill_parts(const cut *c, tq_parts *out)
{
    size_t *in = TQ_NEW_N(c->arena, size_t, out->n + 1),
           *made = TQ_NEW_N(c->arena, size_t, out->n + 1);
    for (int i = 0; i < out->n; i++)
        out->parts[i].nodes = TQ_NEW_N(c->arena, tq_node *, out->parts[i].n_nodes + 1);
    int *filled = TQ_NEW_N(c->arena, int, out->n + 1);
    for (tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node)) {
        const int k = of_node(c, node)->part;
        out->parts[k].nodes[filled[k]++] = node;
    }
    for (int i = 0; i < out->n_crossings; i++) {
        const tq_crossing *x = &out->crossings[i];
        if (x->to >= 0) {
            tq_part *part = &out->parts[x->to];
            push_value(c->arena, &part->inputs, &part->n_inputs, &in[x->to], x->value);
        }
        if (x->from >= 0) {
            tq_part *part = &out->parts[x->from];
            push_value(c->arena, &part->outputs, &part->n_outputs, &made[x->from], x->value);
        }
    }
}

/* Numbers in order of running replace the ones that parts were found with. */
static void renumber(cut *c, tq_parts *out)
{
    int *order = TQ_NEW_N(c->arena, int, c->n_parts + 1);
    out->n = order_parts(c, order);
    out->parts = TQ_NEW_N(c->arena, tq_part, out->n + 1);
    for (int i = 0; i < c->n; i++) {
        c->nodes[i].part = order[c->nodes[i].part];
        tq_part *part = &out->parts[c->nodes[i].part];
        part->device = c->nodes[i].device;
        part->n_nodes++;
    }
}

tq_status tq_parts_find(const tq_graph *graph, tq_arena *arena, tq_parts *out)
{
    *out = (tq_parts){ 0 };
    cut c = { .graph = graph, .arena = arena, .n = tq_graph_n_nodes(graph) };
    c.nodes = TQ_NEW_N(arena, placed, c.n + 1);
    c.numbers = tq_index_make(arena, c.n);
    int k = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node), k++) {
        c.nodes[k].node = node;
        tq_index_set(&c.numbers, node, k);
    }
    find_devices(&c);
    find_constants(&c);
    find_levels(&c);
    number_parts(&c);
    join_parts(&c);
    renumber(&c, out);
    size_t capacity = 0;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        value_crosses(&c, tq_graph_input(graph, i), out, &capacity);
    for (int i = 0; i < c.n; i++)
        for (int o = 0; o < tq_node_n_outputs(c.nodes[i].node); o++)
            value_crosses(&c, tq_node_output(c.nodes[i].node, o), out, &capacity);
    fill_parts(&c, out);
    return TQ_OK;
}
