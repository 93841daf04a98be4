/* Integer networks of others compute in int64, which is exact and no more. With the codes of their
 * inputs known (metadata quant.q_min and quant.q_max), interval analysis bounds every value, and
 * each gets the narrowest type that holds it, in the operators of our own integer networks:
 *
 *   Conv, Gemm, MatMul of 8-bit codes       ConvInteger, MatMulInteger; a bias is added as int32
 *   RequantShift; Mul, Add, >>, Clip        Requant
 *   MaxPool and what moves elements         on the codes as they are
 *   Add, Mul, Max, ...                      int32 where operands and result fit, else int64
 *   anything else                           int64 as before
 *
 * The numbers stay what they were. */
#include "base/base.h"
#include "passes/lift/lift.h"
#include "passes/lift/narrow.h"
#include "rewrite/rewrite.h"

#include <truq/integerise.h>

#include <string.h>

/* A value of the network as it came. */
typedef struct slot {
    tq_value *narrow; /* what stands for it; NULL: nothing yet */
    int64_t lo, hi;
    bool bounded;
} slot;

typedef struct narrowing {
    tq_graph *graph;
    const tq_edit *edit;
    tq_arena *arena;
    tq_index numbers; /* of values, into slots */
    slot *slots;
    tq_index skipped; /* nodes inside a requantisation */
    int n_requants;
} narrowing;

static slot *slot_of(const narrowing *n, const tq_value *value)
{
    const int i = tq_index_find(&n->numbers, value);
    return i < 0 ? NULL : &n->slots[i];
}

static bool fits(int64_t lo, int64_t hi, tq_dtype dtype)
{
    return lo >= tq_dtype_min(dtype) && hi <= tq_dtype_max(dtype);
}

static tq_dtype narrowest(int64_t lo, int64_t hi)
{
    static const tq_dtype dtypes[] = { TQ_U8, TQ_I8, TQ_I32 };
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (fits(lo, hi, dtypes[i]))
            return dtypes[i];
    return TQ_I64;
}

static bool is_byte(tq_dtype dtype)
{
    return dtype == TQ_U8 || dtype == TQ_I8;
}

/* ---- values ---- */

static tq_status constant_of(narrowing *n, const tq_tensor *tensor, tq_dtype dtype, tq_value **out)
{
    tq_tensor own;
    TQ_TRY(tq_tensor_cast(tensor, dtype, &own));
    const tq_status status = tq_graph_add_constant(n->graph, NULL, &own, out);
    tq_tensor_reset(&own);
    return status;
}

static void range_of(const tq_tensor *tensor, int64_t *lo, int64_t *hi)
{
    *lo = *hi = 0;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++) {
        const int64_t v = tq_load_i64(tensor->data, tensor->type.dtype, i);
        *lo = i == 0 || v < *lo ? v : *lo;
        *hi = i == 0 || v > *hi ? v : *hi;
    }
}

/* What stands for `value`, whatever its type. */
static tq_value *narrow_of(const narrowing *n, tq_value *value)
{
    const slot *s = slot_of(n, value);
    return s && s->narrow ? s->narrow : value;
}

/* The same as `dtype`, which holds it; a Cast stands before `node`. */
static tq_status as(narrowing *n, tq_node *node, tq_value *value, tq_dtype dtype, tq_value **out)
{
    static const int onnx[TQ_N_DTYPES] = { [TQ_I32] = 6, [TQ_I64] = 7, [TQ_U8] = 2, [TQ_I8] = 3 };
    *out = narrow_of(n, value);
    if (tq_value_type(*out)->dtype == dtype)
        return TQ_OK;
    if (tq_value_is_const(*out))
        return constant_of(n, tq_value_tensor(*out), dtype, out);
    const tq_attr to = TQ_INT("to", onnx[dtype]);
    return tq_graph_emit(n->graph, node, "Cast", out, 1, &to, 1, out);
}

/* `value` stands for what `node` made, under its names. */
static void take_place(narrowing *n, tq_node *node, tq_value *value)
{
    tq_value *old = tq_node_output(node, 0);
    slot_of(n, old)->narrow = value;
    tq_value_set_name(value, tq_lift_take_name(n->arena, old));
    tq_node_set_name(tq_value_producer(value), tq_lift_take_node_name(n->arena, node));
}

/* ---- requantisations ---- */

static tq_status vector_of(narrowing *n, int64_t count, int64_t *entries, bool wide, tq_value **out)
{
    const tq_tensor whole = { .type = tq_type_make(TQ_I64, 1, &count), .data = entries };
    int64_t lo, hi;
    range_of(&whole, &lo, &hi);
    return constant_of(n, &whole, wide || !fits(lo, hi, TQ_I32) ? TQ_I64 : TQ_I32, out);
}

static tq_status requantise(narrowing *n, tq_node *node, const tq_narrow_chain *c)
{
    tq_value *inputs[3] = { narrow_of(n, c->x) }, *y;
    TQ_TRY(vector_of(n, c->n, c->mul, false, &inputs[1]));
    TQ_TRY(vector_of(n, c->n, c->add, true, &inputs[2]));
    const tq_dtype dtype = narrowest(c->q_min, c->q_max);
    const tq_attr attrs[] = { TQ_INT("shift", c->shift), TQ_INT("q_min", c->q_min),
                              TQ_INT("q_max", c->q_max), TQ_INT("axis", c->axis < 0 ? 1 : c->axis),
                              TQ_STRING("dtype", tq_dtype_name(dtype)) };
    TQ_TRY(tq_graph_emit(n->graph, node, "Requant", inputs, 3, attrs, TQ_COUNT(attrs), &y));
    take_place(n, node, y);
    n->n_requants++;
    return TQ_OK;
}

/* ---- linear operators ---- */

/* A constant factor as 8 bits; *out NULL if they do not hold it. Another factor must be codes. */
static tq_status factor_of(narrowing *n, tq_value *value, tq_value **out)
{
    int64_t lo, hi;
    *out = narrow_of(n, value);
    if (!tq_value_is_const(*out)) {
        *out = is_byte(tq_value_type(*out)->dtype) ? *out : NULL;
        return TQ_OK;
    }
    const tq_tensor *tensor = tq_value_tensor(*out);
    range_of(tensor, &lo, &hi);
    const tq_dtype dtype = fits(lo, hi, TQ_I8) ? TQ_I8 : narrowest(lo, hi);
    if (!is_byte(dtype)) {
        *out = NULL;
        return TQ_OK;
    }
    TQ_TRY(constant_of(n, tensor, dtype, out));
    tq_value_set_name(*out, tq_lift_take_name(n->arena, value));
    return TQ_OK;
}

/* acc + bias, which runs along `axis`; a bias of one row or number is shaped so. */
static tq_status add_bias(narrowing *n, tq_node *node, int i, int axis, tq_value **acc)
{
    const tq_tensor *bias = tq_narrow_constant(node, i);
    if (!bias)
        return TQ_OK;
    const tq_type *type = tq_value_type(*acc);
    tq_tensor shaped;
    TQ_TRY(tq_tensor_cast(bias, TQ_I32, &shaped));
    if (tq_tensor_count(bias) > 1 && bias->type.rank == 1) { /* [C] to [C, 1, 1] */
        shaped.type.rank = type->rank - axis;
        for (int d = 1; d < shaped.type.rank; d++)
            shaped.type.dims[d] = 1;
    }
    tq_value *inputs[2] = { *acc };
    tq_status status = tq_graph_add_constant(n->graph, NULL, &shaped, &inputs[1]);
    tq_tensor_reset(&shaped);
    TQ_TRY(status);
    tq_node_set_name(tq_value_producer(*acc),
                     tq_arena_printf(n->arena, "%s.sum", tq_node_name(node)));
    return tq_graph_emit(n->graph, node, "Add", inputs, 2, NULL, 0, acc);
}

static bool holds_sum(const narrowing *n, const tq_node *node)
{
    const slot *s = slot_of(n, tq_node_output(node, 0));
    return s->bounded && fits(s->lo, s->hi, TQ_I32);
}

static tq_status convolve(narrowing *n, tq_node *node, bool *out_done)
{
    tq_value *inputs[2] = { narrow_of(n, tq_node_input(node, 0)) }, *y;
    const bool has_bias = tq_node_n_inputs(node) > 2 && tq_node_input(node, 2);
    if (!is_byte(tq_value_type(inputs[0])->dtype) || !tq_narrow_constant(node, 1) ||
        (has_bias && !tq_narrow_constant(node, 2)) || !holds_sum(n, node))
        return TQ_OK;
    TQ_TRY(factor_of(n, tq_node_input(node, 1), &inputs[1]));
    if (!inputs[1])
        return TQ_OK;
    const tq_attrs *attrs = tq_node_attrs(node);
    const int n_attrs = tq_attrs_count(attrs);
    TQ_TRY(tq_graph_emit(n->graph, node, "ConvInteger", inputs, 2,
                         n_attrs ? tq_attrs_at(attrs, 0) : NULL, n_attrs, &y));
    TQ_TRY(add_bias(n, node, 2, 1, &y));
    take_place(n, node, y);
    *out_done = true;
    return TQ_OK;
}

/* Gemm computes A B + C, B transposed where it says so. */
static bool is_plain_product(const tq_node *node)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    if (!tq_node_is(node, "Gemm"))
        return true;
    const bool has_bias = tq_node_n_inputs(node) > 2 && tq_node_input(node, 2);
    return !tq_attr_int(attrs, "transA") && tq_attr_float(attrs, "alpha") == 1.0f &&
           tq_attr_float(attrs, "beta") == 1.0f && (!has_bias || tq_narrow_constant(node, 2));
}

static tq_status transpose(narrowing *n, tq_node *node, tq_value **value)
{
    const tq_attr perm = TQ_INTS("perm", 2, ((int64_t[]){ 1, 0 }));
    return tq_graph_emit(n->graph, node, "Transpose", value, 1, &perm, 1, value);
}

static tq_status multiply(narrowing *n, tq_node *node, bool *out_done)
{
    tq_value *inputs[2] = { narrow_of(n, tq_node_input(node, 0)) }, *y;
    if (!is_byte(tq_value_type(inputs[0])->dtype) || !is_plain_product(node) || !holds_sum(n, node))
        return TQ_OK;
    TQ_TRY(factor_of(n, tq_node_input(node, 1), &inputs[1]));
    if (!inputs[1])
        return TQ_OK;
    if (tq_node_is(node, "Gemm") && tq_attr_int(tq_node_attrs(node), "transB"))
        TQ_TRY(transpose(n, node, &inputs[1]));
    TQ_TRY(tq_graph_emit(n->graph, node, "MatMulInteger", inputs, 2, NULL, 0, &y));
    if (tq_node_is(node, "Gemm"))
        TQ_TRY(add_bias(n, node, 2, tq_value_type(y)->rank - 1, &y));
    take_place(n, node, y);
    *out_done = true;
    return TQ_OK;
}

/* ---- what stays the same operator ---- */

static bool only_moves(const tq_node *node)
{
    return tq_node_has_flag(node, TQ_OP_MOVES) || tq_node_is(node, "MaxPool") ||
           tq_node_is(node, "GlobalMaxPool") || tq_node_is(node, "Identity") ||
           tq_node_is(node, "Concat") || tq_node_is(node, "Pad");
}

/* Is input i data, and no shape, axis or index? */
static bool is_data(const tq_node *node, int i)
{
    if (i == 0 || tq_node_is(node, "Concat"))
        return true;
    if (tq_node_is(node, "Pad"))
        return i == 2;
    return !only_moves(node) && !tq_node_is(node, "ReduceSum");
}

/* The narrowest type that holds all data that the node reads, and what it makes. */
static tq_dtype common_dtype(const narrowing *n, const tq_node *node, bool with_output)
{
    int64_t lo = 0, hi = 0;
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *value = tq_node_input(node, i);
        if (!value || !is_data(node, i))
            continue;
        int64_t a = INT64_MIN, b = INT64_MAX;
        const slot *s = slot_of(n, value);
        if (tq_value_is_const(value))
            range_of(tq_value_tensor(value), &a, &b);
        else if (s && s->bounded)
            a = s->lo, b = s->hi;
        lo = a < lo ? a : lo;
        hi = b > hi ? b : hi;
    }
    const slot *y = slot_of(n, tq_node_output(node, 0));
    if (with_output && (!y->bounded || y->lo < lo || y->hi > hi)) {
        lo = y->bounded ? (y->lo < lo ? y->lo : lo) : INT64_MIN;
        hi = y->bounded ? (y->hi > hi ? y->hi : hi) : INT64_MAX;
    }
    return narrowest(lo, hi);
}

/* The data of what only moves is of one type: that which it has, or one that holds all of it. */
static tq_dtype moved_dtype(const narrowing *n, const tq_node *node)
{
    const tq_dtype own = tq_value_type(narrow_of(n, tq_node_input(node, 0)))->dtype;
    for (int i = 1; i < tq_node_n_inputs(node); i++) {
        tq_value *x = tq_node_input(node, i);
        int64_t lo = 0, hi = 0;
        if (x && is_data(node, i) && tq_value_is_const(x))
            range_of(tq_value_tensor(x), &lo, &hi);
        if (x && is_data(node, i) &&
            (!fits(lo, hi, own) ||
             (!tq_value_is_const(x) && tq_value_type(narrow_of(n, x))->dtype != own)))
            return common_dtype(n, node, false);
    }
    return own;
}

/* A Cast between integers that the new types make needless. */
static bool is_needless(const narrowing *n, const tq_node *node)
{
    const slot *y = slot_of(n, tq_node_output(node, 0));
    return tq_node_is(node, "Cast") && y->bounded &&
           tq_dtype_is_integer(tq_value_type(tq_node_output(node, 0))->dtype) &&
           tq_dtype_is_integer(tq_value_type(tq_node_input(node, 0))->dtype) &&
           fits(y->lo, y->hi, tq_value_type(tq_node_output(node, 0))->dtype);
}

/* Sums of windows take codes and int32 as they are. */
static bool sums_windows(const tq_node *node)
{
    return tq_node_is(node, "SumPool") || tq_node_is(node, "GlobalSumPool");
}

static tq_status keep(narrowing *n, tq_node *node)
{
    static const char *const arithmetic[] = { "Add",        "Sub",  "Mul",       "Max",   "Min",
                                              "Abs",        "Neg",  "ReduceSum", "Relu",  "Clip",
                                              "ShiftRight", "Conv", "Gemm",      "MatMul" };
    tq_dtype dtype = TQ_I64;
    if (is_needless(n, node)) {
        slot_of(n, tq_node_output(node, 0))->narrow = narrow_of(n, tq_node_input(node, 0));
        return TQ_OK;
    }
    if (only_moves(node))
        dtype = moved_dtype(n, node);
    if (sums_windows(node))
        dtype = tq_value_type(narrow_of(n, tq_node_input(node, 0)))->dtype;
    for (int i = 0; i < TQ_COUNT(arithmetic); i++)
        if (tq_node_is(node, arithmetic[i]) && common_dtype(n, node, true) != TQ_I64)
            dtype = TQ_I32;
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *value = tq_node_input(node, i), *x;
        if (!value || !is_data(node, i) || !tq_dtype_is_integer(tq_value_type(value)->dtype))
            continue;
        TQ_TRY(as(n, node, value, dtype, &x));
        tq_node_set_input(node, i, x);
    }
    return tq_node_infer(node);
}

/* ---- the whole ---- */

static tq_status narrow_node(narrowing *n, tq_node *node)
{
    tq_narrow_chain chain;
    bool done = false;
    if (tq_index_find(&n->skipped, node) >= 0)
        return TQ_OK;
    if (tq_narrow_find_chain(node, n->arena, &chain))
        return requantise(n, node, &chain);
    if (tq_node_is(node, "Conv"))
        TQ_TRY(convolve(n, node, &done));
    if (tq_node_is(node, "Gemm") || tq_node_is(node, "MatMul"))
        TQ_TRY(multiply(n, node, &done));
    return done ? TQ_OK : keep(n, node);
}

static tq_status find_bounds(narrowing *n)
{
    tq_proof_row *rows;
    int n_rows, at = 0;
    bool proven;
    TQ_TRY(tq_proof_run(n->graph, n->arena, &rows, &n_rows, &proven));
    for (const tq_node *node = tq_graph_first(n->graph); node; node = tq_node_next(node)) {
        if (at >= n_rows || strcmp(rows[at].node, tq_node_name(node)) != 0)
            continue;
        slot *s = slot_of(n, tq_node_output(node, 0));
        s->lo = rows[at].lo;
        s->hi = rows[at].hi;
        s->bounded = true;
        at++;
    }
    return TQ_OK;
}

static tq_status narrow_inputs(narrowing *n)
{
    for (int i = 0; i < tq_graph_n_inputs(n->graph); i++) {
        tq_value *input = tq_graph_input(n->graph, i);
        slot *s = slot_of(n, input);
        if (!tq_dtype_is_integer(tq_value_type(input)->dtype))
            continue;
        if (!tq_value_meta_i64(input, "quant.q_min", &s->lo) ||
            !tq_value_meta_i64(input, "quant.q_max", &s->hi))
            return tq_fail(TQ_ERR_STATE,
                           "the codes of input '%s' are not known; say them with --codes, such as "
                           "--codes u8 or --codes i8",
                           tq_value_name(input));
        s->bounded = true;
        s->narrow = input;
    }
    return TQ_OK;
}

static void retype_inputs(const narrowing *n)
{
    for (int i = 0; i < tq_graph_n_inputs(n->graph); i++) {
        tq_value *input = tq_graph_input(n->graph, i);
        const slot *s = slot_of(n, input);
        tq_type type = *tq_value_type(input);
        if (!s->bounded)
            continue;
        type.dtype = narrowest(s->lo, s->hi);
        tq_value_set_type(input, &type);
    }
}

static void number_values(narrowing *n)
{
    const int count = tq_graph_n_values(n->graph);
    n->numbers = tq_index_make(n->arena, count + 1);
    n->slots = TQ_NEW_N(n->arena, slot, count + 1);
    for (int i = 0; i < count; i++)
        tq_index_set(&n->numbers, tq_graph_value(n->graph, i), i);
}

/* Inner nodes of requantisations go with their last one. */
static void find_skipped(narrowing *n)
{
    n->skipped = tq_index_make(n->arena, tq_graph_n_nodes(n->graph) + 1);
    for (const tq_node *node = tq_graph_first(n->graph); node; node = tq_node_next(node)) {
        tq_narrow_chain chain;
        if (!tq_narrow_find_chain(node, n->arena, &chain))
            continue;
        for (int i = 0; i < chain.n_inner; i++)
            tq_index_set(&n->skipped, chain.inner[i], 0);
    }
}

static tq_status narrow_all(narrowing *n)
{
    const int count = tq_graph_n_nodes(n->graph);
    tq_node **nodes = TQ_NEW_N(n->arena, tq_node *, count + 1);
    int k = 0;
    for (tq_node *node = tq_graph_first(n->graph); node; node = tq_node_next(node))
        nodes[k++] = node;
    for (k = 0; k < count; k++) {
        const char *name = tq_node_name(nodes[k]), *op = tq_node_op_name(nodes[k]);
        TQ_TRY(tq_wrap(narrow_node(n, nodes[k]), "node '%s' (%s)", name, op));
    }
    for (int i = 0; i < tq_graph_n_outputs(n->graph); i++) {
        tq_value *y = tq_graph_output(n->graph, i);
        const slot *s = slot_of(n, y);
        if (s && s->narrow && s->narrow != y)
            tq_value_redirect_consumers(y, s->narrow);
    }
    tq_graph_sweep(n->graph);
    return TQ_OK;
}

static tq_status run_in(narrowing *n)
{
    number_values(n);
    TQ_TRY(narrow_inputs(n));
    TQ_TRY(find_bounds(n));
    find_skipped(n);
    retype_inputs(n);
    TQ_TRY(narrow_all(n));
    tq_edit_log(n->edit, "%d requantisations", n->n_requants);
    tq_graph_set_meta(n->graph, "dialect", NULL);
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    narrowing n = { .graph = graph, .edit = edit, .arena = tq_scratch_create() };
    const tq_status status = run_in(&n);
    tq_arena_destroy(n.arena);
    return status;
}

const tq_editor tq_editor_narrow_integers = {
    .entry = { .name = "narrow-integers",
               .brief = "integer networks of others get the types and operators of ours" },
    .stage = TQ_EDIT_TRUE,
    .changes_interface = true,
    .by_name = true,
    .run = run,
};
