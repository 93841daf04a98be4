/* Attention becomes what it stands for (arXiv:1706.03762, section 3.2.1), which has gradients and
 * integer forms:
 *
 *   Softmax(scale Q K^T + mask) V,   scale = 1 / sqrt(size of a head) unless it is said
 *
 * heads first; operands with heads last ([N, L, H D]) are split and joined again. A bool mask and
 * causality choose between the score and -inf. Left alone: groups of heads that share keys, caches,
 * windows, caps, and masks that are not constants or hide all keys from a query, which Attention
 * answers with 0. */
#include "rewrite/rewrite.h"

#include <truq/op.h>

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY };

static const tq_type *type_of(const tq_node *node, int i)
{
    return tq_value_type(tq_node_input(node, i));
}

static int64_t heads_of(const tq_node *node, int i)
{
    const tq_type *type = type_of(node, i);
    const char *attr = i == Q ? "q_num_heads" : "kv_num_heads";
    return type->rank == 4 ? type->dims[1] : tq_attr_int(tq_node_attrs(node), attr);
}

/** Positions of operand i, and elements of one head of it. */
static int64_t length_of(const tq_node *node, int i)
{
    const tq_type *type = type_of(node, i);
    return type->dims[type->rank - 2];
}

static int64_t size_of(const tq_node *node, int i)
{
    const tq_type *type = type_of(node, i);
    const int64_t last = type->dims[type->rank - 1];
    return type->rank == 4 || last == TQ_DIM_ANY ? last : last / heads_of(node, i);
}

/** A constant that leaves each query a key. */
static bool mask_is_plain(const tq_node *node)
{
    const tq_value *value = tq_node_input(node, MASK);
    const tq_tensor *mask = value ? tq_value_tensor(value) : NULL;
    if (!value)
        return true;
    if (!mask || mask->type.rank < 1 || (mask->type.dtype != TQ_F32 && mask->type.dtype != TQ_BOOL))
        return false;
    const int64_t n = mask->type.dims[mask->type.rank - 1], count = tq_tensor_count(mask);
    if (n < 1 || n != length_of(node, K))
        return false;
    for (int64_t row = 0; row < count; row += n) {
        bool sees = false;
        for (int64_t i = row; i < row + n; i++)
            sees =
                sees || (mask->type.dtype == TQ_BOOL ? ((const uint8_t *)mask->data)[i] != 0
                                                     : ((const float *)mask->data)[i] > -INFINITY);
        if (!sees)
            return false;
    }
    return true;
}

static bool only_result_is_read(const tq_node *node)
{
    for (int i = 1; i < tq_node_n_outputs(node); i++) {
        const tq_value *y = tq_node_output(node, i);
        if (y && (tq_value_n_consumers(y) > 0 || tq_value_is_output(y)))
            return false;
    }
    return true;
}

static bool accept_node(const tq_node *node)
{
    if (!tq_node_is(node, "Attention") || type_of(node, Q)->dtype != TQ_F32)
        return false;
    const tq_attrs *attrs = tq_node_attrs(node);
    const int64_t heads = heads_of(node, Q);
    const bool causal = tq_attr_int(attrs, "is_causal") != 0;
    for (int i = PAST_KEY; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i))
            return false;
    return heads > 0 && heads == heads_of(node, K) && size_of(node, Q) > 0 &&
           size_of(node, V) > 0 && tq_attr_float(attrs, "softcap") == 0.0f &&
           tq_attr_int(attrs, "left_window_size") < 0 &&
           tq_attr_int(attrs, "right_window_size") < 0 &&
           (!causal ||
            (!tq_node_input(node, MASK) && length_of(node, Q) > 0 && length_of(node, K) > 0)) &&
           mask_is_plain(node) && only_result_is_read(node);
}

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .accept = accept_node } } };

/* ---- nodes ---- */

static tq_status emit(tq_node *before, const char *suffix, const char *op, tq_value *const *inputs,
                      int n_inputs, const tq_attr *attr, tq_value **out)
{
    tq_graph *graph = tq_node_graph(before);
    tq_node *node;
    TQ_TRY(
        tq_graph_add_node(graph,
                          &(tq_node_spec){ .op = op,
                                           .name = tq_arena_printf(tq_graph_arena(graph), "%s.%s",
                                                                   tq_node_name(before), suffix),
                                           .inputs = inputs,
                                           .n_inputs = n_inputs,
                                           .attrs = attr,
                                           .n_attrs = attr != NULL,
                                           .before = before },
                          &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status add_constant(const tq_node *node, const char *suffix, const tq_type *type,
                              const void *data, tq_value **out)
{
    tq_graph *graph = tq_node_graph(node);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init_from(&tensor, type, data));
    const char *name = tq_arena_printf(tq_graph_arena(graph), "%s.%s", tq_node_name(node), suffix);
    const tq_status status = tq_graph_add_constant(graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status add_number(const tq_node *node, const char *suffix, float number, tq_value **out)
{
    const tq_type scalar = tq_type_make(TQ_F32, 0, NULL);
    return add_constant(node, suffix, &scalar, &number, out);
}

static tq_status transpose(tq_node *node, const char *suffix, const int64_t perm[4], tq_value **x)
{
    const tq_attr attr = TQ_INTS("perm", 4, perm);
    return emit(node, suffix, "Transpose", x, 1, &attr, x);
}

static tq_status reshape(tq_node *node, const char *suffix, int n, const int64_t *target,
                         tq_value **x)
{
    const tq_type type = tq_type_make(TQ_I64, 1, (int64_t[]){ n });
    tq_value *inputs[2] = { *x };
    TQ_TRY(add_constant(node, suffix, &type, target, &inputs[1]));
    return emit(node, suffix, "Reshape", inputs, 2, NULL, x);
}

/** Operand i as [N, H, L, D]. */
static tq_status split_heads(tq_node *node, int i, tq_value **out)
{
    static const char *const names[] = { "q", "k", "v" };
    *out = tq_node_input(node, i);
    if (type_of(node, i)->rank == 4)
        return TQ_OK;
    const int64_t target[] = { 0, 0, heads_of(node, i), size_of(node, i) };
    TQ_TRY(reshape(node, names[i], 4, target, out));
    return transpose(node, names[i], (int64_t[]){ 0, 2, 1, 3 }, out);
}

/** -inf where `visible` does not hold. */
static tq_status hide(tq_node *node, tq_value *visible, tq_value **scores)
{
    tq_value *inputs[3] = { visible, *scores };
    TQ_TRY(add_number(node, "hidden", -INFINITY, &inputs[2]));
    return emit(node, "masked", "Where", inputs, 3, NULL, scores);
}

static tq_status add_mask(tq_node *node, tq_value **scores)
{
    tq_value *mask = tq_node_input(node, MASK);
    if (mask && tq_value_type(mask)->dtype == TQ_BOOL)
        return hide(node, mask, scores);
    if (mask)
        return emit(node, "masked", "Add", (tq_value *[]){ *scores, mask }, 2, NULL, scores);
    if (!tq_attr_int(tq_node_attrs(node), "is_causal"))
        return TQ_OK;
    const int64_t n_queries = length_of(node, Q), n_keys = length_of(node, K);
    const tq_type type = tq_type_make(TQ_BOOL, 2, (int64_t[]){ n_queries, n_keys });
    tq_tensor past;
    TQ_TRY(tq_tensor_init(&past, &type));
    for (int64_t i = 0; i < n_queries; i++)
        for (int64_t j = 0; j <= i && j < n_keys; j++)
            ((uint8_t *)past.data)[i * n_keys + j] = 1;
    tq_value *visible;
    const tq_status status = add_constant(node, "past", &type, past.data, &visible);
    tq_tensor_reset(&past);
    TQ_TRY(status);
    return hide(node, visible, scores);
}

/** scale Q K^T. */
static tq_status multiply(tq_node *node, tq_value **out_scores)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const float scale = tq_attrs_has(attrs, "scale")
                            ? tq_attr_float(attrs, "scale")
                            : (float)(1.0 / sqrt((double)size_of(node, Q)));
    tq_value *q, *k, *factor;
    TQ_TRY(split_heads(node, Q, &q));
    TQ_TRY(split_heads(node, K, &k));
    TQ_TRY(transpose(node, "k_t", (int64_t[]){ 0, 1, 3, 2 }, &k));
    TQ_TRY(add_number(node, "scale", scale, &factor));
    TQ_TRY(emit(node, "scaled", "Mul", (tq_value *[]){ q, factor }, 2, NULL, &q));
    return emit(node, "scores", "MatMul", (tq_value *[]){ q, k }, 2, NULL, out_scores);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *node = m->nodes[0];
    tq_value *y, *v, *old = tq_node_output(node, 0);
    TQ_TRY(multiply(node, &y));
    TQ_TRY(add_mask(node, &y));
    const tq_attr axis = TQ_INT("axis", -1);
    TQ_TRY(emit(node, "softmax", "Softmax", &y, 1, &axis, &y));
    TQ_TRY(split_heads(node, V, &v));
    TQ_TRY(emit(node, "mixed", "MatMul", (tq_value *[]){ y, v }, 2, NULL, &y));
    if (type_of(node, Q)->rank == 3) {
        TQ_TRY(transpose(node, "joined", (int64_t[]){ 0, 2, 1, 3 }, &y));
        TQ_TRY(reshape(node, "joined", 3, (int64_t[]){ 0, 0, heads_of(node, Q) * size_of(node, V) },
                       &y));
    }
    const char *name = tq_value_name(old);
    tq_value_redirect_consumers(old, y);
    tq_graph_remove_node(graph, node);
    tq_value_set_name(y, name);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_decompose_attention = {
    .entry = { .name = "decompose-attention",
               .brief = "Attention becomes products and a softmax",
               .source = "arXiv:1706.03762" },
    .stage = TQ_EDIT_CANONICALISE,
    .pattern = &pattern,
    .apply = apply,
};
