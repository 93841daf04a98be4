/* Networks in QDQ form (ONNX Runtime, TensorRT, PyTorch, Brevitas' QCDQ) become fake-quantised:
 *
 *   QuantizeLinear -> DequantizeLinear     FakeQuantize on the same grid: the same bits
 *   QuantizeLinear -> Clip -> Dequantize.. the same with the ends of Clip
 *   DequantizeLinear(codes of a weight)    FakeQuantize of the weight in float, which can be
 * trained DequantizeLinear(int32 bias, a number) the float constant codes as graph inputs and
 * outputs      the reals they stand for
 *
 * Codes may be moved (Reshape, Transpose, MaxPool, ...) before they are dequantised: the same is
 * then done to reals. What does not fit (scales that are computed, other readers of codes) stays.
 *
 * First every value that holds codes is found with its grid; then those are struck out that someone
 * reads as codes, until no more fall; the rest is rewritten in order. */
#include "passes/lift/lift.h"
#include "rewrite/rewrite.h"

#include <string.h>

enum { X };

/* A value of codes. */
typedef struct coded {
    const tq_value *value;
    tq_lift_grid grid;
    bool stays;       /* someone reads it as codes */
    tq_value *source; /* what is quantised: the input of QuantizeLinear; NULL: codes that moved */
    tq_value *real;   /* what replaces it, once there is one */
    bool named;       /* the real has the name of something it replaces */
} coded;

typedef struct lift {
    tq_graph *graph;
    const tq_edit *edit;
    tq_arena *arena;
    int n, n_sorted;
    size_t capacity;
    coded *items; /* in order of nodes */
    int *sorted;  /* their positions, by address of the value: only for looking up */
    const char *rounding;
    int n_quantizers;
} lift;

/* ---- finding values ---- */

static coded *find(const lift *l, const tq_value *value)
{
    int lo = 0, hi = l->n_sorted;
    while (lo < hi) {
        const int middle = lo + (hi - lo) / 2;
        const tq_value *here = l->items[l->sorted[middle]].value;
        if (here == value)
            return &l->items[l->sorted[middle]];
        if ((uintptr_t)here < (uintptr_t)value)
            lo = middle + 1;
        else
            hi = middle;
    }
    return NULL;
}

static void add(lift *l, const coded *item)
{
    const size_t before = l->capacity;
    TQ_PUSH(l->arena, l->items, l->n, l->capacity, *item);
    if (l->capacity != before) {
        int *wider = TQ_NEW_N(l->arena, int, l->capacity);
        if (l->n_sorted)
            memcpy(wider, l->sorted, (size_t)l->n_sorted * sizeof *wider);
        l->sorted = wider;
    }
    int at = l->n_sorted++;
    for (; at > 0 && (uintptr_t)l->items[l->sorted[at - 1]].value > (uintptr_t)item->value; at--)
        l->sorted[at] = l->sorted[at - 1];
    l->sorted[at] = l->n - 1;
}

/* How many of the node's inputs are data that it moves or selects; 0: it does neither. */
static int n_moved(const tq_node *node)
{
    if (tq_node_is(node, "Concat"))
        return tq_node_n_inputs(node);
    const bool selects = tq_node_is(node, "MaxPool") || tq_node_is(node, "GlobalMaxPool") ||
                         tq_node_is(node, "Identity");
    const bool moves = tq_node_has_flag(node, TQ_OP_MOVES) && !tq_node_is(node, "Pad");
    return moves || selects ? 1 : 0;
}

/* The ends of a Clip that are constants. */
static bool clip_ends(const tq_node *node, tq_lift_grid *grid)
{
    for (int i = 1; i <= 2; i++) {
        const tq_value *end = tq_node_n_inputs(node) > i ? tq_node_input(node, i) : NULL;
        const tq_tensor *tensor = end ? tq_value_tensor(end) : NULL;
        if (end && (!tensor || tq_tensor_count(tensor) != 1))
            return false;
        const int64_t q = tensor ? tq_load_i64(tensor->data, tensor->type.dtype, 0) : 0;
        if (tensor && i == 1 && q > grid->q_min)
            grid->q_min = q;
        if (tensor && i == 2 && q < grid->q_max)
            grid->q_max = q;
    }
    return grid->q_min < grid->q_max;
}

/* The grid that a graph input's codes are dequantised with first, through what moves them. */
static bool grid_of_input(const tq_value *value, int depth, tq_lift_grid *out)
{
    const tq_dtype dtype = tq_value_type(value)->dtype;
    for (int i = 0; i < tq_value_n_consumers(value) && depth < 100; i++) {
        const tq_node *node = tq_value_consumer(value, i);
        if (tq_node_is(node, "DequantizeLinear") && tq_node_input(node, X) == value) {
            if (tq_lift_read_grid(node, dtype, out) && out->axis < 0)
                return true;
        } else if (n_moved(node) == 1 && grid_of_input(tq_node_output(node, 0), depth + 1, out)) {
            return true;
        }
    }
    return false;
}

static void find_inputs(lift *l)
{
    for (int i = 0; i < tq_graph_n_inputs(l->graph); i++) {
        tq_value *value = tq_graph_input(l->graph, i);
        coded item = { .value = value, .source = value };
        if (tq_lift_is_code(tq_value_type(value)->dtype) && grid_of_input(value, 0, &item.grid))
            add(l, &item);
    }
}

/* Codes that the node moves: all data inputs are codes on one grid with one scale. */
static bool find_moved(const lift *l, const tq_node *node, coded *out)
{
    const int n = n_moved(node);
    for (int i = 0; i < n; i++) {
        const coded *x = tq_node_input(node, i) ? find(l, tq_node_input(node, i)) : NULL;
        if (!x || x->grid.axis >= 0 || (i > 0 && !tq_lift_same_grid(&x->grid, &out->grid)))
            return false;
        if (i == 0)
            out->grid = x->grid;
    }
    return n > 0;
}

static void find_outputs(lift *l, tq_node *node)
{
    coded item = { 0 };
    tq_value *y = tq_node_output(node, 0), *x = tq_node_n_inputs(node) ? tq_node_input(node, X) : 0;
    const coded *before = x ? find(l, x) : NULL;
    if (tq_node_is(node, "QuantizeLinear")) {
        if (tq_value_type(x)->dtype != TQ_F32 ||
            !tq_lift_read_grid(node, tq_value_type(y)->dtype, &item.grid))
            return;
        item.source = x;
    } else if (tq_node_is(node, "Clip") && before && before->source) {
        item.grid = before->grid;
        item.source = before->source;
        if (!clip_ends(node, &item.grid))
            return;
    } else if (!find_moved(l, node, &item)) {
        return;
    }
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        item.value = tq_node_output(node, i);
        if (tq_lift_is_code(tq_value_type(item.value)->dtype))
            add(l, &item);
    }
}

/* ---- who must stay ---- */

static bool reader_is_lifted(const lift *l, const coded *item, const tq_node *node)
{
    tq_lift_grid grid;
    if (tq_node_is(node, "DequantizeLinear"))
        return tq_node_input(node, X) == item->value &&
               tq_lift_read_grid(node, tq_value_type(item->value)->dtype, &grid) &&
               tq_lift_same_grid(&grid, &item->grid) &&
               tq_value_type(tq_node_output(node, 0))->dtype == TQ_F32;
    const coded *y = find(l, tq_node_output(node, 0));
    return y && !y->stays;
}

static bool must_stay(const lift *l, const coded *item)
{
    for (int i = 0; i < tq_value_n_consumers(item->value); i++)
        if (!reader_is_lifted(l, item, tq_value_consumer(item->value, i)))
            return true;
    const tq_node *node = tq_value_producer(item->value);
    for (int i = 0; !item->source && i < n_moved(node); i++)
        if (find(l, tq_node_input(node, i))->stays)
            return true;
    const bool clipped = node && tq_node_is(node, "Clip");
    return clipped && find(l, tq_node_input(node, X))->stays;
}

static void strike_out(lift *l)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = l->n - 1; i >= 0; i--)
            if (!l->items[i].stays && must_stay(l, &l->items[i]))
                changed = l->items[i].stays = true;
    }
}

/* ---- rewriting ---- */

static const char *slot_of(const tq_value *x)
{
    return tq_value_is_const(x) ? "weight" : tq_value_is_input(x) ? "input" : "activation";
}

/* What a QuantizeLinear reads by now: what it read before may have been replaced. */
static tq_value *source_of(const tq_node *node)
{
    while (tq_node_is(node, "Clip"))
        node = tq_value_producer(tq_node_input(node, X));
    return tq_node_input(node, X);
}

static tq_status quantize(lift *l, coded *item)
{
    tq_node *node = tq_value_producer(item->value);
    const bool is_input = item->source == item->value;
    if (!is_input)
        item->source = source_of(node);
    const char *name = is_input ? tq_arena_printf(l->arena, "%s.fq", tq_value_name(item->value))
                                : tq_lift_take_node_name(l->arena, node);
    const tq_lift_quantizer q = { &item->grid, l->rounding, slot_of(item->source), name,
                                  is_input ? tq_graph_first(l->graph) : node };
    if (is_input) {
        tq_type type = *tq_value_type(item->source);
        tq_value_set_meta(item->source, "import.codes", tq_dtype_name(type.dtype));
        type.dtype = TQ_F32;
        tq_value_set_type(item->source, &type);
    }
    TQ_TRY(tq_lift_add_quantizer(l->graph, &q, item->source, &item->real));
    l->n_quantizers++;
    tq_edit_log(l->edit, "quantised '%s'", tq_value_name(item->source));
    return TQ_OK;
}

/* What stands for the codes `value`; FakeQuantize is added where it is first asked for. */
static tq_status real_of(lift *l, const tq_value *value, tq_value **out)
{
    coded *item = find(l, value);
    if (!item->real)
        TQ_TRY(quantize(l, item));
    *out = item->real;
    return TQ_OK;
}

static tq_status move_reals(lift *l, tq_node *node)
{
    for (int i = 0; i < n_moved(node); i++) {
        tq_value *real;
        TQ_TRY(real_of(l, tq_node_input(node, i), &real));
        tq_node_set_input(node, i, real);
    }
    TQ_TRY(tq_node_infer(node));
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        coded *item = find(l, tq_node_output(node, i));
        if (item)
            item->real = tq_node_output(node, i);
    }
    return TQ_OK;
}

/* `old`, an output of a node that goes, is replaced by the real of `codes`, which takes its name:
 * the first one's, or that of a graph output. */
static tq_status replace(lift *l, const tq_value *codes, tq_value *old)
{
    tq_value *real;
    TQ_TRY(real_of(l, codes, &real));
    coded *item = find(l, codes);
    const bool is_output = tq_value_is_output(old);
    const bool renames = tq_node_is(tq_value_producer(real), "FakeQuantize") &&
                         (is_output ? !tq_value_is_output(real) : !item->named);
    tq_value_redirect_consumers(old, real);
    if (renames)
        tq_value_set_name(real, tq_lift_take_name(l->arena, old));
    item->named = true;
    return TQ_OK;
}

static tq_status rewrite(lift *l, tq_node *node)
{
    const bool dequantizes = tq_node_is(node, "DequantizeLinear");
    tq_value *y = tq_node_output(node, 0);
    const tq_value *codes = dequantizes ? tq_node_input(node, X) : y;
    const coded *item = find(l, codes);
    if (!item || item->stays)
        return TQ_OK;
    if (dequantizes)
        return replace(l, codes, y);
    if (!item->source)
        return move_reals(l, node);
    return tq_value_is_output(y) ? replace(l, codes, y) : TQ_OK;
}

static tq_status rewrite_all(lift *l)
{
    const int n = tq_graph_n_nodes(l->graph);
    tq_node **nodes = TQ_NEW_N(l->arena, tq_node *, n + 1);
    int k = 0;
    for (tq_node *node = tq_graph_first(l->graph); node; node = tq_node_next(node))
        nodes[k++] = node;
    for (k = 0; k < n; k++) {
        tq_status status = rewrite(l, nodes[k]);
        if (status)
            return tq_wrap(status, "node '%s' (%s)", tq_node_name(nodes[k]),
                           tq_node_op_name(nodes[k]));
    }
    return TQ_OK;
}

static tq_status run_in(lift *l)
{
    find_inputs(l);
    for (tq_node *node = tq_graph_first(l->graph); node; node = tq_node_next(node))
        find_outputs(l, node);
    strike_out(l);
    TQ_TRY(rewrite_all(l));
    tq_graph_sweep(l->graph);
    if (l->n_quantizers && !tq_graph_meta(l->graph, "dialect"))
        tq_graph_set_meta(l->graph, "dialect", "qdq");
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    if (!tq_lift_wanted(graph))
        return TQ_OK;
    lift l = { .graph = graph,
               .edit = edit,
               .arena = tq_scratch_create(),
               .rounding = tq_lift_rounding(graph) };
    const tq_status status = run_in(&l);
    tq_arena_destroy(l.arena);
    return status;
}

const tq_editor tq_editor_lift_qdq = {
    .entry = { .name = "lift-qdq",
               .brief = "pairs of QuantizeLinear and DequantizeLinear become FakeQuantize" },
    .stage = TQ_EDIT_CANONICALISE,
    .changes_interface = true,
    .after = "lift-weights",
    .by_name = true,
    .run = run,
};
