/* Reverse-mode differentiation on the graph: the gradient is more nodes behind the forward ones, so
 * that passes and the memory planner see both.
 *
 *   d loss / d x = sum over consumers n of x of  (d n / d x)^T d loss / d (outputs of n)
 *
 * Nodes are walked from last to first; each adds, through its operator's rule, one contribution to
 * each input that somebody wants. Contributions are summed in the order in which they came, from
 * left to right: the same graph gives the same sums. Only nodes between `wrt` and the loss take
 * part. Source: Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3. */
#include <truq/op.h>
#include <truq/autodiff.h>

#include <string.h>

/** What is known of one value: a row of a hash table, looked up and never walked. */
typedef struct record {
    const tq_value *value;
    bool wanted; /* float, and depends on one of `wrt` */
    int n_parts;
    size_t capacity;
    tq_value **parts; /* contributions to its gradient */
    const tq_op **makers;
} record;

struct tq_grad {
    tq_graph *graph;
    tq_arena *arena;
    tq_node *node;        /* forward node whose rule runs */
    tq_value **of_output; /* its outputs' gradients */
    record *table;
    size_t table_size; /* a power of two */
};

/* ---- the table ------------------------------------------------------------------------------- */

/** The row of `value`, or the free one where it belongs. */
static record *row_of(const tq_grad *g, const tq_value *value)
{
    size_t i = ((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 20 & (g->table_size - 1);
    while (g->table[i].value && g->table[i].value != value)
        i = (i + 1) & (g->table_size - 1);
    return &g->table[i];
}

static record *add_row(const tq_grad *g, const tq_value *value)
{
    record *row = row_of(g, value);
    row->value = value;
    return row;
}

static void make_table(tq_grad *g)
{
    const size_t n = (size_t)tq_graph_n_values(g->graph);
    g->table_size = 16;
    while (g->table_size < 2 * n)
        g->table_size *= 2;
    g->table = TQ_NEW_N(g->arena, record, g->table_size);
    for (int i = 0; i < tq_graph_n_values(g->graph); i++)
        add_row(g, tq_graph_value(g->graph, i));
}

static bool is_wanted(const tq_grad *g, const tq_value *value)
{
    return value && row_of(g, value)->wanted;
}

/** Marks what depends on `wrt`, through float values only. The ranges that WeightRange takes from a
 *  weight count as constants: PACT passes the gradient through the rounding alone. */
static void mark_wanted(tq_grad *g, tq_value *const *wrt, int n)
{
    for (int i = 0; i < n; i++)
        add_row(g, wrt[i])->wanted = true;
    for (tq_node *node = tq_graph_first(g->graph); node; node = tq_node_next(node)) {
        bool any = false;
        for (int i = 0; i < tq_node_n_inputs(node) && !tq_node_is(node, "WeightRange"); i++)
            any = any || is_wanted(g, tq_node_input(node, i));
        for (int i = 0; any && i < tq_node_n_outputs(node); i++) {
            tq_value *output = tq_node_output(node, i);
            if (output && tq_dtype_is_float(tq_value_type(output)->dtype))
                add_row(g, output)->wanted = true;
        }
    }
}

/* ---- what rules use -------------------------------------------------------------------------- */

tq_graph *tq_grad_graph(tq_grad *g)
{
    return g->graph;
}

tq_node *tq_grad_of(tq_grad *g)
{
    return g->node;
}

const tq_attrs *tq_grad_attrs(tq_grad *g)
{
    return tq_node_attrs(g->node);
}

tq_value *tq_grad_input(tq_grad *g, int i)
{
    return tq_node_input(g->node, i);
}

tq_value *tq_grad_output(tq_grad *g, int i)
{
    return tq_node_output(g->node, i);
}

tq_value *tq_grad_of_output(tq_grad *g, int i)
{
    return i >= 0 && i < tq_node_n_outputs(g->node) ? g->of_output[i] : NULL;
}

bool tq_grad_wants(tq_grad *g, int i)
{
    return is_wanted(g, tq_node_input(g->node, i));
}

void tq_grad_set(tq_grad *g, int i, tq_value *value)
{
    if (!value || !tq_grad_wants(g, i))
        return;
    record *row = row_of(g, tq_node_input(g->node, i));
    size_t capacity = row->capacity;
    row->makers =
        tq_arena_grow(g->arena, row->makers, (size_t)row->n_parts, &capacity, sizeof *row->makers);
    row->makers[row->n_parts] = tq_node_op(g->node);
    TQ_PUSH(g->arena, row->parts, row->n_parts, row->capacity, value);
}

tq_status tq_grad_node(tq_grad *g, const tq_node_spec *spec, tq_node **out_node)
{
    tq_node_spec named = *spec;
    if (!named.name)
        named.name = tq_arena_printf(g->arena, "%s.grad", tq_node_name(g->node));
    return tq_graph_add_node(g->graph, &named, out_node);
}

/** The attributes of the forward node that `op` also has. */
static int shared_attrs(tq_grad *g, const tq_op *op, tq_attr *out_attrs)
{
    const tq_attrs *attrs = tq_grad_attrs(g);
    int n = 0;
    for (int i = 0; i < tq_attrs_count(attrs) && n < TQ_OP_MAX_ATTRS; i++) {
        const tq_attr *attr = tq_attrs_at(attrs, i);
        for (int k = 0; k < TQ_OP_MAX_ATTRS && op->attrs[k].name; k++)
            if (!strcmp(op->attrs[k].name, attr->name))
                out_attrs[n++] = *attr;
    }
    return n;
}

tq_status tq_grad_emit_n(tq_grad *g, int i, const char *op, bool copy_attrs,
                         tq_value *const *inputs, int n_inputs)
{
    if (!tq_grad_wants(g, i))
        return TQ_OK;
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(g->graph), TQ_KIND_OP, op, &entry));
    tq_attr attrs[TQ_OP_MAX_ATTRS];
    const int n_attrs = copy_attrs ? shared_attrs(g, (const tq_op *)entry, attrs) : 0;
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){
            .op = op, .inputs = inputs, .n_inputs = n_inputs, .attrs = attrs, .n_attrs = n_attrs },
        &node));
    tq_grad_set(g, i, tq_node_output(node, 0));
    return TQ_OK;
}

/** One node with one output; `ints` (n of them) become a constant i64 second input. */
static tq_status emit_with_ints(tq_grad *g, const char *op, tq_value *x, const int64_t *ints, int n,
                                const tq_attr *attr, tq_value **out_value)
{
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ n });
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, &type, ints));
    tq_value *constant;
    const tq_status status = tq_graph_add_constant(
        g->graph, tq_arena_printf(g->arena, "%s.grad.axes", tq_node_name(g->node)), &tensor,
        &constant);
    tq_tensor_reset(&tensor);
    TQ_TRY(status);
    tq_node *node;
    TQ_TRY(tq_grad_node(g,
                        &(tq_node_spec){ .op = op,
                                         .inputs = (tq_value *[]){ x, constant },
                                         .n_inputs = 2,
                                         .attrs = attr,
                                         .n_attrs = attr ? 1 : 0 },
                        &node));
    *out_value = tq_node_output(node, 0);
    return TQ_OK;
}

tq_status tq_grad_set_unbroadcast(tq_grad *g, int i, tq_value *value)
{
    if (!value || !tq_grad_wants(g, i))
        return TQ_OK;
    const tq_type *to = tq_value_type(tq_node_input(g->node, i)), *from = tq_value_type(value);
    if (to->rank < 0 || from->rank < to->rank)
        return tq_fail(TQ_ERR_SHAPE, "cannot reduce the gradient %s to %s", tq_type_text(from).s,
                       tq_type_text(to).s);
    const int missing = from->rank - to->rank;
    int64_t axes[TQ_MAX_RANK];
    int n_axes = 0;
    for (int d = 0; d < from->rank; d++)
        if (d < missing || (to->dims[d - missing] == 1 && from->dims[d] != 1))
            axes[n_axes++] = d;
    if (n_axes > 0)
        TQ_TRY(emit_with_ints(g, "ReduceSum", value, axes, n_axes, &TQ_INT("keepdims", 1), &value));
    if (missing > 0) {
        int64_t dims[TQ_MAX_RANK];
        int n_any = 0;
        for (int d = 0; d < to->rank; d++) {
            n_any += to->dims[d] == TQ_DIM_ANY;
            dims[d] = to->dims[d] == TQ_DIM_ANY ? -1 : to->dims[d];
        }
        if (n_any > 1)
            return tq_fail(TQ_ERR_SHAPE, "cannot reduce the gradient to %s", tq_type_text(to).s);
        TQ_TRY(emit_with_ints(g, "Reshape", value, dims, to->rank, NULL, &value));
    }
    tq_grad_set(g, i, value);
    return TQ_OK;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/** Do they agree where both are known? */
static bool fits(const tq_type *a, const tq_type *b)
{
    if (a->dtype != b->dtype)
        return false;
    if (a->rank < 0 || b->rank < 0)
        return true;
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++)
        same = a->dims[d] == b->dims[d] || a->dims[d] == TQ_DIM_ANY || b->dims[d] == TQ_DIM_ANY;
    return same;
}

/** The gradient of `value`: its contributions summed from left to right; NULL if there are none. */
static tq_status gradient_of(tq_grad *g, const tq_value *value, tq_value **out_gradient)
{
    record *row = row_of(g, value);
    for (int i = 0; i < row->n_parts; i++)
        if (!fits(tq_value_type(value), tq_value_type(row->parts[i])))
            return tq_fail(TQ_ERR_CHECK, "the gradient rule of %s makes %s for '%s', which is %s",
                           row->makers[i]->entry.name, tq_type_text(tq_value_type(row->parts[i])).s,
                           tq_value_name(value), tq_type_text(tq_value_type(value)).s);
    for (int i = 1; i < row->n_parts; i++)
        TQ_TRY(tq_graph_emit(g->graph, NULL, "Add", (tq_value *[]){ row->parts[0], row->parts[i] },
                             2, NULL, 0, &row->parts[0]));
    row->n_parts = row->n_parts ? 1 : 0;
    *out_gradient = row->n_parts ? row->parts[0] : NULL;
    return TQ_OK;
}

static tq_status differentiate_node(tq_grad *g, tq_node *node)
{
    bool reached = false, wanted = false;
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        wanted = wanted || is_wanted(g, tq_node_output(node, i));
    if (!wanted)
        return TQ_OK;
    g->node = node;
    g->of_output = TQ_NEW_N(g->arena, tq_value *, tq_node_n_outputs(node));
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        tq_value *output = tq_node_output(node, i);
        if (output)
            TQ_TRY(gradient_of(g, output, &g->of_output[i]));
        reached = reached || g->of_output[i];
    }
    if (!reached)
        return TQ_OK;
    const tq_op *op = tq_node_op(node);
    if (!op->gradient)
        return tq_fail(TQ_ERR_UNSUPPORTED, "no gradient for operator %s (node '%s')",
                       op->entry.name, tq_node_name(node));
    return tq_wrap(op->gradient(g), "gradient of node '%s' (%s)", tq_node_name(node),
                   op->entry.name);
}

/** d loss / d loss = 1. */
static tq_status seed(tq_grad *g, tq_value *loss)
{
    const tq_type *type = tq_value_type(loss);
    if (type->dtype != TQ_F32 || tq_type_count(type) != 1)
        return tq_fail(TQ_ERR_SHAPE, "the loss '%s' is %s; expected one f32", tq_value_name(loss),
                       tq_type_text(type).s);
    tq_tensor one;
    TQ_TRY(tq_tensor_init_from(&one, type, &(float){ 1.0f }));
    tq_value *value;
    const tq_status status = tq_graph_add_constant(g->graph, "loss.grad", &one, &value);
    tq_tensor_reset(&one);
    TQ_TRY(status);
    record *row = row_of(g, loss);
    row->makers = TQ_NEW(g->arena, const tq_op *);
    row->makers[0] = tq_value_producer(loss) ? tq_node_op(tq_value_producer(loss)) : NULL;
    TQ_PUSH(g->arena, row->parts, row->n_parts, row->capacity, value);
    return TQ_OK;
}

typedef struct request {
    tq_grad g;
    tq_value *loss;
    tq_value *const *wrt;
    int n;
    tq_value **out_grads;
} request;

static tq_status differentiate(void *context)
{
    request *r = context;
    tq_grad *g = &r->g;
    TQ_TRY(tq_graph_sort(g->graph));
    make_table(g);
    mark_wanted(g, r->wrt, r->n);
    tq_node *last = tq_graph_last(g->graph);
    TQ_TRY(seed(g, r->loss));
    for (tq_node *node = last, *previous; node; node = previous) {
        previous = tq_node_prev(node);
        TQ_TRY(differentiate_node(g, node));
    }
    for (int i = 0; i < r->n; i++)
        TQ_TRY(gradient_of(g, r->wrt[i], &r->out_grads[i]));
    return TQ_OK;
}

tq_status tq_autodiff(tq_graph *graph, tq_value *loss, tq_value *const *wrt, int n,
                      tq_value **out_grads)
{
    for (int i = 0; i < n; i++)
        out_grads[i] = NULL;
    request r = { .g = { .graph = graph, .arena = tq_arena_create() },
                  .loss = loss,
                  .wrt = wrt,
                  .n = n,
                  .out_grads = out_grads };
    const tq_status status = tq_guard(differentiate, &r);
    tq_arena_destroy(r.g.arena);
    return status;
}
