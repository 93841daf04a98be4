/* Requant -> Requant becomes one where the first only clips (multiplier 2^shift: the code itself).
 * With R the second's rounding, monotone in x: clip(R(clip(x, a, b)), c, d) = clip(R(x), clip(R(a),
 * c, d), clip(R(b), c, d)), ends swapped where the multiplier is negative; so it must be one
 * multiplier. Exact. */
#include <truq/edit.h>
#include <truq/op.h>

enum { FIRST, SECOND };

static int64_t at(const tq_node *node, int i)
{
    const tq_tensor *tensor = tq_value_tensor(tq_node_input(node, i));
    return tq_load_i64(tensor->data, tensor->type.dtype, 0);
}

static bool is_scalar(const tq_node *node)
{
    return tq_node_is_const_from(node, 1) && tq_node_is_const_from(node, 2) &&
           tq_type_count(tq_value_type(tq_node_input(node, 1))) == 1 &&
           tq_type_count(tq_value_type(tq_node_input(node, 2))) == 1;
}

static bool only_clips(const tq_node *node)
{
    const int64_t shift = tq_attr_int(tq_node_attrs(node), "shift");
    if (tq_value_meta(tq_node_output(node, 0), "ties.rounding"))
        return false; /* its ties would no longer be counted */
    if (!is_scalar(node) || shift > 62 || at(node, 1) != (int64_t)1 << shift)
        return false;
    const int64_t add = at(node, 2); /* anything below one step rounds away */
    return add >= 0 && add < (int64_t)1 << shift;
}

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [FIRST] = { .op = "Requant", .sole_consumer = true, .accept = only_clips },
        [SECOND] = { .op = "Requant", .inputs = { TQ_FROM(FIRST) }, .accept = is_scalar },
    },
};

static int64_t requantize(const tq_node *node, int64_t x)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const int64_t y =
        (int64_t)(((__int128)x * at(node, 1) + at(node, 2)) >> tq_attr_int(attrs, "shift"));
    return tq_clip_i64(y, tq_attr_int(attrs, "q_min"), tq_attr_int(attrs, "q_max"));
}

/* Without the clip the product may be larger; it must still fit 64 bits. */
static bool accept(const tq_match *m)
{
    const tq_node *second = m->nodes[SECOND];
    const tq_dtype dtype = tq_value_type(tq_node_input(m->nodes[FIRST], 0))->dtype;
    const __int128 mul = at(second, 1), add = at(second, 2);
    const __int128 a = tq_dtype_min(dtype) * mul + add, b = tq_dtype_max(dtype) * mul + add;
    return a >= INT64_MIN && a <= INT64_MAX && b >= INT64_MIN && b <= INT64_MAX;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *first = m->nodes[FIRST], *second = m->nodes[SECOND];
    const int64_t a = requantize(second, tq_attr_int(tq_node_attrs(first), "q_min"));
    const int64_t b = requantize(second, tq_attr_int(tq_node_attrs(first), "q_max"));
    tq_node_set_attr(second, &TQ_INT("q_min", a < b ? a : b));
    tq_node_set_attr(second, &TQ_INT("q_max", a < b ? b : a));
    tq_node_set_input(second, 0, tq_node_input(first, 0));
    tq_graph_remove_node(graph, first);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_merge_requants = {
    .entry = { .name = "merge-requants",
               .brief = "a clip before a requantisation goes into its bounds" },
    .stage = TQ_EDIT_CLEAN,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
