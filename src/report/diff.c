/* How two networks differ: inputs, outputs, metadata, nodes and values by name, constants by their
 * largest difference. */
#include <truq/report.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct diff {
    const tq_graph *a, *b;
    tq_arena *arena;
    int n;
    size_t capacity;
    tq_difference *rows;
} diff;

static void add(diff *d, char sign, const char *what, const char *name, const char *detail)
{
    const tq_difference row = { sign, what, name, detail, (double)NAN };
    TQ_PUSH(d->arena, d->rows, d->n, d->capacity, row);
}

static const char *join(diff *d, const char *text, const char *more)
{
    return text ? tq_arena_printf(d->arena, "%s; %s", text, more) : more;
}

static const char *type_text(diff *d, const tq_value *value)
{
    return tq_arena_strdup(d->arena, tq_type_text(tq_value_type(value)).s);
}

/* ---- ports and metadata ---- */

typedef tq_value *(*port_at)(const tq_graph *graph, int i);

static int find_port(const tq_graph *graph, port_at at, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(tq_value_name(at(graph, i)), name) == 0)
            return i;
    return -1;
}

static void diff_ports(diff *d, const char *what, port_at at, int n_a, int n_b)
{
    for (int i = 0; i < n_a; i++) {
        tq_value *value = at(d->a, i);
        const int k = find_port(d->b, at, n_b, tq_value_name(value));
        if (k < 0) {
            add(d, '-', what, tq_value_name(value), type_text(d, value));
            continue;
        }
        if (!tq_type_equal(tq_value_type(value), tq_value_type(at(d->b, k))))
            add(d, '~', what, tq_value_name(value),
                tq_arena_printf(d->arena, "%s -> %s", type_text(d, value),
                                type_text(d, at(d->b, k))));
    }
    for (int i = 0; i < n_b; i++)
        if (find_port(d->a, at, n_a, tq_value_name(at(d->b, i))) < 0)
            add(d, '+', what, tq_value_name(at(d->b, i)), type_text(d, at(d->b, i)));
}

static void diff_metas(diff *d)
{
    const char *key, *text;
    for (int i = 0; tq_graph_meta_at(d->a, i, &key, &text); i++) {
        const char *other = tq_graph_meta(d->b, key);
        if (!other)
            add(d, '-', "metadata", key, text);
        else if (strcmp(other, text) != 0)
            add(d, '~', "metadata", key, tq_arena_printf(d->arena, "%s -> %s", text, other));
    }
    for (int i = 0; tq_graph_meta_at(d->b, i, &key, &text); i++)
        if (!tq_graph_meta(d->a, key))
            add(d, '+', "metadata", key, text);
}

/* ---- nodes ---- */

static const char *name_of(const tq_value *value)
{
    return value ? tq_value_name(value) : "";
}

static const char *diff_wires(diff *d, const char *text, const char *what, const tq_node *a,
                              const tq_node *b, int n_a, int n_b,
                              tq_value *(*at)(const tq_node *node, int i))
{
    for (int i = 0; i < n_a || i < n_b; i++) {
        const char *old = name_of(at(a, i)), *new = name_of(at(b, i));
        if (strcmp(old, new) != 0)
            text =
                join(d, text, tq_arena_printf(d->arena, "%s %d '%s' -> '%s'", what, i, old, new));
    }
    return text;
}

static const char *attr_text(diff *d, const tq_attr *attr)
{
    const char *text = "";
    switch (attr ? attr->kind : TQ_ATTR_NONE) {
    case TQ_ATTR_INT:
        return tq_arena_printf(d->arena, "%" PRId64, attr->i);
    case TQ_ATTR_FLOAT:
        return tq_arena_printf(d->arena, "%.9g", (double)attr->f);
    case TQ_ATTR_STRING:
        return tq_arena_printf(d->arena, "\"%s\"", attr->s ? attr->s : "");
    case TQ_ATTR_INTS:
        for (int i = 0; i < attr->n; i++)
            text = tq_arena_printf(d->arena, "%s%s%" PRId64, text, i ? "," : "", attr->ints[i]);
        break;
    case TQ_ATTR_FLOATS:
        for (int i = 0; i < attr->n; i++)
            text =
                tq_arena_printf(d->arena, "%s%s%.9g", text, i ? "," : "", (double)attr->floats[i]);
        break;
    case TQ_ATTR_STRINGS:
        for (int i = 0; i < attr->n; i++)
            text = tq_arena_printf(d->arena, "%s%s\"%s\"", text, i ? "," : "", attr->strings[i]);
        break;
    case TQ_ATTR_TENSOR:
        return tq_arena_printf(d->arena, "%s crc32:%08x", tq_type_text(&attr->tensor.type).s,
                               tq_crc32(0, attr->tensor.data,
                                        (size_t)tq_tensor_count(&attr->tensor) *
                                            tq_dtype_size(attr->tensor.type.dtype)));
    case TQ_ATTR_NONE:
        return "absent";
    }
    return tq_arena_printf(d->arena, "[%s]", text);
}

/* Defaults count as set: a node that says the default is no other node. */
static const char *diff_attr(diff *d, const char *text, const char *name, const tq_node *a,
                             const tq_node *b)
{
    const char *old = attr_text(d, tq_attrs_find(tq_node_attrs(a), name));
    const char *new = attr_text(d, tq_attrs_find(tq_node_attrs(b), name));
    return strcmp(old, new) == 0
               ? text
               : join(d, text, tq_arena_printf(d->arena, "%s %s -> %s", name, old, new));
}

static const char *diff_attrs(diff *d, const char *text, const tq_node *a, const tq_node *b)
{
    for (int i = 0; i < tq_attrs_count(tq_node_attrs(a)); i++)
        text = diff_attr(d, text, tq_attrs_at(tq_node_attrs(a), i)->name, a, b);
    for (int i = 0; i < tq_attrs_count(tq_node_attrs(b)); i++) {
        const char *name = tq_attrs_at(tq_node_attrs(b), i)->name;
        if (!tq_attrs_has(tq_node_attrs(a), name))
            text = diff_attr(d, text, name, a, b);
    }
    return text;
}

static void diff_node(diff *d, const tq_node *a, const tq_node *b)
{
    const char *text = NULL;
    if (strcmp(tq_node_op_name(a), tq_node_op_name(b)) != 0)
        text = tq_arena_printf(d->arena, "%s -> %s", tq_node_op_name(a), tq_node_op_name(b));
    text =
        diff_wires(d, text, "input", a, b, tq_node_n_inputs(a), tq_node_n_inputs(b), tq_node_input);
    text = diff_wires(d, text, "output", a, b, tq_node_n_outputs(a), tq_node_n_outputs(b),
                      tq_node_output);
    if (tq_node_op(a) == tq_node_op(b))
        text = diff_attrs(d, text, a, b);
    if (text)
        add(d, '~', "node", tq_node_name(a), text);
}

static void diff_nodes(diff *d)
{
    for (const tq_node *node = tq_graph_first(d->a); node; node = tq_node_next(node)) {
        const tq_node *other = tq_graph_find_node(d->b, tq_node_name(node));
        if (other)
            diff_node(d, node, other);
        else
            add(d, '-', "node", tq_node_name(node), tq_report_node(node, d->arena));
    }
    for (const tq_node *node = tq_graph_first(d->b); node; node = tq_node_next(node))
        if (!tq_graph_find_node(d->a, tq_node_name(node)))
            add(d, '+', "node", tq_node_name(node), tq_report_node(node, d->arena));
}

/* ---- values ---- */

/* Of elements as doubles; integers of more than 53 bits that differ count as different. NaN equals
 * NaN. */
static double max_difference(const tq_tensor *a, const tq_tensor *b)
{
    double max = 0.0;
    const tq_dtype dtype = a->type.dtype;
    for (int64_t i = 0; i < tq_tensor_count(a); i++) {
        const double x = tq_load_f64(a->data, dtype, i), y = tq_load_f64(b->data, dtype, i);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        const double difference = fabs(x - y);
        max = difference > max || isnan(difference) ? difference : max;
        if (isnan(max))
            return (double)INFINITY;
    }
    return max;
}

static void diff_constant(diff *d, const tq_value *a, const tq_value *b)
{
    const tq_tensor *x = tq_value_tensor(a), *y = tq_value_tensor(b);
    if (x->data == y->data || tq_tensor_equal(x, y))
        return;
    const double max = max_difference(x, y);
    if (max == 0.0 && tq_dtype_is_float(x->type.dtype))
        return; /* signs of zeros, payloads of NaNs */
    add(d, '~', "constant", tq_value_name(a),
        tq_arena_printf(d->arena, "max |difference| %.6g of %s", max, type_text(d, a)));
    d->rows[d->n - 1].max_difference = max;
}

static void diff_value(diff *d, const tq_value *a, const tq_value *b)
{
    if (!tq_type_equal(tq_value_type(a), tq_value_type(b)))
        add(d, '~', "value", tq_value_name(a),
            tq_arena_printf(d->arena, "%s -> %s", type_text(d, a), type_text(d, b)));
    else if (tq_value_is_const(a) && tq_value_is_const(b))
        diff_constant(d, a, b);
    else if (tq_value_is_const(a) != tq_value_is_const(b))
        add(d, '~', "value", tq_value_name(a),
            tq_value_is_const(b) ? "is a constant now" : "is no constant any more");
}

/* Outputs of nodes that came or went are not told again. */
static void diff_values(diff *d)
{
    for (int i = 0; i < tq_graph_n_values(d->a); i++) {
        const tq_value *value = tq_graph_value(d->a, i);
        const tq_value *other = tq_graph_find_value(d->b, tq_value_name(value));
        if (other)
            diff_value(d, value, other);
        else if (tq_value_is_const(value))
            add(d, '-', "constant", tq_value_name(value), type_text(d, value));
    }
    for (int i = 0; i < tq_graph_n_values(d->b); i++) {
        const tq_value *value = tq_graph_value(d->b, i);
        if (tq_value_is_const(value) && !tq_graph_find_value(d->a, tq_value_name(value)))
            add(d, '+', "constant", tq_value_name(value), type_text(d, value));
    }
}

void tq_report_diff(const tq_graph *a, const tq_graph *b, tq_arena *arena, tq_difference **out_rows,
                    int *out_n)
{
    diff d = { .a = a, .b = b, .arena = arena };
    diff_metas(&d);
    diff_ports(&d, "input", tq_graph_input, tq_graph_n_inputs(a), tq_graph_n_inputs(b));
    diff_ports(&d, "output", tq_graph_output, tq_graph_n_outputs(a), tq_graph_n_outputs(b));
    diff_nodes(&d);
    diff_values(&d);
    *out_rows = d.rows;
    *out_n = d.n;
}
