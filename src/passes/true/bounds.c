/* The proof that nothing overflows: interval analysis in topological order. Each operator says what
 * its intermediates and outputs can reach, given its inputs' bounds and its real weights. */
#include "passes/true/true.h"

#include <string.h>

typedef struct interval {
    int64_t lo, hi;
} interval;

typedef struct known_bounds {
    const tq_value *value;
    interval range;
} known_bounds;

struct tq_bounds {
    tq_op_types types;
    interval *in, *out;
    bool *out_set;
    int64_t inner_lo, inner_hi;
    int inner_bits;
    bool fits;
    const char *problem;
    tq_arena *arena;
};

const tq_op_types *tq_bounds_types(const tq_bounds *b)
{
    return &b->types;
}

void tq_bounds_input(const tq_bounds *b, int i, int64_t *out_lo, int64_t *out_hi)
{
    const bool there = i < b->types.n_in && b->types.in[i];
    *out_lo = there ? b->in[i].lo : 0;
    *out_hi = there ? b->in[i].hi : 0;
}

void tq_bounds_set(tq_bounds *b, int i, int64_t lo, int64_t hi)
{
    b->out[i] = (interval){ lo, hi };
    b->out_set[i] = true;
}

void tq_bounds_intermediate(tq_bounds *b, const char *what, int64_t lo, int64_t hi, int bits)
{
    const int64_t max = bits >= 64 ? INT64_MAX - 1 : ((int64_t)1 << (bits - 1)) - 1;
    if (lo < b->inner_lo)
        b->inner_lo = lo;
    if (hi > b->inner_hi)
        b->inner_hi = hi;
    if (bits > b->inner_bits)
        b->inner_bits = bits;
    if ((lo < -max - 1 || hi > max) && b->fits) {
        b->fits = false;
        b->problem = tq_arena_printf(b->arena, "%s reaches [%lld, %lld], beyond %d bits", what,
                                     (long long)lo, (long long)hi, bits);
    }
}

static interval dtype_range(tq_dtype dtype)
{
    if (dtype == TQ_BOOL)
        return (interval){ 0, 1 };
    return (interval){ tq_dtype_min(dtype), tq_dtype_max(dtype) };
}

static interval tensor_range(const tq_tensor *tensor)
{
    interval range = { INT64_MAX, INT64_MIN };
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++) {
        const int64_t v = tq_load_i64(tensor->data, tensor->type.dtype, i);
        range.lo = v < range.lo ? v : range.lo;
        range.hi = v > range.hi ? v : range.hi;
    }
    return range.lo > range.hi ? (interval){ 0, 0 } : range;
}

static interval input_range(const tq_value *input)
{
    interval range = dtype_range(tq_value_type(input)->dtype);
    tq_value_meta_i64(input, "quant.q_min", &range.lo);
    tq_value_meta_i64(input, "quant.q_max", &range.hi);
    return range;
}

/* ---- one node ---- */

typedef struct analysis {
    tq_arena *arena, *scratch;
    int n;
    size_t capacity;
    known_bounds *known;
} analysis;

static interval range_of(const analysis *a, const tq_value *value)
{
    if (tq_value_is_const(value))
        return tensor_range(tq_value_tensor(value));
    for (int i = a->n - 1; i >= 0; i--)
        if (a->known[i].value == value)
            return a->known[i].range;
    return input_range(value);
}

static void remember(analysis *a, const tq_value *value, interval range)
{
    const known_bounds item = { value, range };
    TQ_PUSH(a->scratch, a->known, a->n, a->capacity, item);
}

static void prepare(const analysis *a, const tq_node *node, tq_bounds *b)
{
    const int n_in = tq_node_n_inputs(node), n_out = tq_node_n_outputs(node);
    const tq_type **in = TQ_NEW_N(a->scratch, const tq_type *, n_in + 1);
    const tq_tensor **known = TQ_NEW_N(a->scratch, const tq_tensor *, n_in + 1);
    tq_type *out = TQ_NEW_N(a->scratch, tq_type, n_out);
    b->in = TQ_NEW_N(a->scratch, interval, n_in + 1);
    b->out = TQ_NEW_N(a->scratch, interval, n_out);
    b->out_set = TQ_NEW_N(a->scratch, bool, n_out);
    for (int i = 0; i < n_in; i++) {
        const tq_value *value = tq_node_input(node, i);
        if (!value)
            continue;
        in[i] = tq_value_type(value);
        known[i] = tq_value_tensor(value);
        b->in[i] = range_of(a, value);
    }
    for (int i = 0; i < n_out; i++)
        out[i] = *tq_value_type(tq_node_output(node, i));
    b->types = (tq_op_types){ .n_in = n_in,
                              .n_out = n_out,
                              .in = in,
                              .in_known = known,
                              .attrs = tq_node_attrs(node),
                              .out = out,
                              .scratch = a->scratch,
                              .registry = tq_graph_registry(tq_node_graph(node)) };
    b->fits = true;
    b->arena = a->arena;
}

/* Without a rule of its own: what moves keeps its bounds, anything else may reach all its dtype
 * holds. */
static void assume(const tq_node *node, tq_bounds *b, int i)
{
    const tq_dtype dtype = b->types.out[i].dtype;
    interval range = dtype_range(dtype);
    if (tq_node_has_flag(node, TQ_OP_MOVES)) {
        range = (interval){ INT64_MAX, INT64_MIN };
        for (int k = 0; k < b->types.n_in; k++) {
            if (!b->types.in[k] || b->types.in[k]->dtype != dtype)
                continue;
            range.lo = b->in[k].lo < range.lo ? b->in[k].lo : range.lo;
            range.hi = b->in[k].hi > range.hi ? b->in[k].hi : range.hi;
        }
    }
    b->out[i] = range;
}

static void check_output(tq_bounds *b, int i)
{
    const interval can = dtype_range(b->types.out[i].dtype);
    if (b->fits && (b->out[i].lo < can.lo || b->out[i].hi > can.hi)) {
        b->fits = false;
        b->problem = tq_arena_printf(b->arena, "output reaches [%lld, %lld], beyond %s",
                                     (long long)b->out[i].lo, (long long)b->out[i].hi,
                                     tq_dtype_name(b->types.out[i].dtype));
    }
}

static bool within(const tq_bounds *b, int64_t limit)
{
    bool exact = b->inner_lo >= -limit && b->inner_hi <= limit;
    for (int i = 0; i < b->types.n_in; i++)
        if (b->types.in[i])
            exact = exact && b->in[i].lo >= -limit && b->in[i].hi <= limit;
    return exact && b->out[0].lo >= -limit && b->out[0].hi <= limit;
}

/** Codes that were to be rounded otherwise, and how many ties that would change. */
static void count_ties(const tq_node *node, const interval *x, tq_proof_row *row)
{
    const tq_value *y = tq_node_output(node, 0);
    const char *name = tq_value_meta(y, "ties.rounding");
    int64_t zero_point = 0;
    tq_rounding rounding;
    if (!name || !tq_node_is(node, "Requant") || !tq_node_is_const_from(node, 1) ||
        !tq_node_is_const_from(node, 2))
        return;
    const tq_status status = tq_rounding_parse(name, &rounding);
    tq_status_drop(status);
    if (status)
        return;
    tq_value_meta_i64(y, "ties.zero_point", &zero_point);
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_tensor *mul = tq_value_tensor(tq_node_input(node, 1));
    const tq_tensor *add = tq_value_tensor(tq_node_input(node, 2));
    row->rounding = tq_rounding_name(rounding);
    for (int64_t c = 0; c < tq_tensor_count(mul); c++) {
        int64_t m = tq_load_i64(mul->data, mul->type.dtype, c);
        int64_t a = tq_load_i64(add->data, add->type.dtype, tq_tensor_count(add) == 1 ? 0 : c);
        const tq_requant r = {
            .shift = (int)tq_attr_int(attrs, "shift"), .n = 1, .mul = &m, .add = &a
        };
        row->n_ties = tq_sat_add(
            row->n_ties, tq_requant_ties(&r, x->lo, x->hi, tq_attr_int(attrs, "q_min"),
                                         tq_attr_int(attrs, "q_max"), zero_point, rounding));
    }
}

static tq_status analyse_node(analysis *a, const tq_node *node, tq_proof_row *row)
{
    tq_bounds b = { 0 };
    prepare(a, node, &b);
    if (tq_node_op(node)->bounds)
        TQ_TRY(tq_wrap(tq_node_op(node)->bounds(&b), "node '%s' (%s)", tq_node_name(node),
                       tq_node_op_name(node)));
    for (int i = 0; i < b.types.n_out; i++) {
        if (!b.out_set[i])
            assume(node, &b, i);
        check_output(&b, i);
        remember(a, tq_node_output(node, i), b.out[i]);
    }
    *row = (tq_proof_row){ .node = tq_node_name(node),
                           .op = tq_node_op_name(node),
                           .lo = b.out[0].lo,
                           .hi = b.out[0].hi,
                           .inner_lo = b.inner_lo,
                           .inner_hi = b.inner_hi,
                           .inner_bits = b.inner_bits,
                           .fits = b.fits,
                           .fp32_exact = within(&b, (int64_t)1 << 24),
                           .fp64_exact = within(&b, (int64_t)1 << 53),
                           .problem = b.problem };
    count_ties(node, b.in, row);
    return TQ_OK;
}

/* What computes in floats (islands of a partial network) has no bounds; integers that come from
 * there have their dtype's. */
static bool is_real(const tq_node *node)
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

tq_status tq_proof_run(const tq_graph *graph, tq_arena *arena, tq_proof_row **out_rows, int *out_n,
                       bool *out_proven)
{
    analysis a = { .arena = arena, .scratch = tq_scratch_create() };
    tq_proof_row *rows = TQ_NEW_N(arena, tq_proof_row, tq_graph_n_nodes(graph) + 1);
    tq_status status = TQ_OK;
    int n = 0;
    *out_proven = true;
    for (const tq_node *node = tq_graph_first(graph); node && !status; node = tq_node_next(node)) {
        if (is_real(node))
            continue;
        status = analyse_node(&a, node, &rows[n]);
        *out_proven = *out_proven && !status && rows[n].fits;
        n++;
    }
    tq_arena_destroy(a.scratch);
    *out_rows = rows;
    *out_n = n;
    return status;
}
