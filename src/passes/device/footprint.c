/* How much memory a network takes: constants as they will be stored, and the most activations alive
 * at once. Values along a chain of operators that work in place (activations, quantisers,
 * requantisations, reshapes) share one buffer, as large as the smallest of them: what is wider on
 * the way lives in registers or a tile. */
#include "passes/device/device_internal.h"
#include "passes/fake/fake.h"

#include <string.h>

static int bits_of_levels(int64_t n_levels)
{
    int bits = 1;
    while (bits < 32 && INT64_C(1) << bits < n_levels)
        bits++;
    return bits;
}

static const tq_node *fake_of(const tq_value *value)
{
    const tq_node *producer = tq_value_producer(value);
    if (producer && tq_node_is(producer, "FakeQuantize"))
        return producer;
    const tq_node *only = tq_value_n_consumers(value) ? tq_value_consumer(value, 0) : NULL;
    for (int i = 0; i < tq_value_n_consumers(value); i++)
        if (!tq_node_is(tq_value_consumer(value, i), "FakeQuantize") ||
            tq_node_input(tq_value_consumer(value, i), 0) != value)
            return NULL;
    return only;
}

/* The quantiser whose codes the value holds, through what only moves them; NULL. */
static const tq_node *grid_of(const tq_value *value)
{
    const tq_node *fake = fake_of(value);
    if (fake || !tq_fake_is_quantized(value))
        return fake;
    const tq_node *node = tq_value_producer(value);
    while (node && !tq_node_is(node, "FakeQuantize"))
        node = tq_value_producer(tq_node_input(node, 0));
    return node;
}

bool tq_is_on_grid(const tq_value *value)
{
    return !tq_dtype_is_float(tq_value_type(value)->dtype) || grid_of(value);
}

/* Codes that a requantisation clips to fewer bits than their dtype has. */
static int bits_of_requant(const tq_value *value)
{
    const tq_node *node = tq_value_producer(value);
    if (!node || !tq_node_is(node, "Requant") || tq_dtype_size(tq_value_type(value)->dtype) > 2)
        return 0;
    const tq_attrs *attrs = tq_node_attrs(node);
    return bits_of_levels(tq_attr_int(attrs, "q_max") - tq_attr_int(attrs, "q_min") + 1);
}

int tq_stored_bits(const tq_value *value)
{
    const tq_type *type = tq_value_type(value);
    if (bits_of_requant(value))
        return bits_of_requant(value);
    if (!tq_dtype_is_float(type->dtype))
        return type->dtype == TQ_U4 || type->dtype == TQ_I4 ? 4
                                                            : 8 * (int)tq_dtype_size(type->dtype);
    const tq_node *fake = grid_of(value);
    return fake ? bits_of_levels(tq_attr_int(tq_node_attrs(fake), "n_levels")) : 8;
}

int tq_value_bits(const tq_value *value)
{
    const tq_dtype dtype = tq_value_type(value)->dtype;
    return tq_dtype_is_float(dtype) && !tq_is_on_grid(value) ? 8 * (int)tq_dtype_size(dtype)
                                                             : tq_stored_bits(value);
}

static int64_t count_of(const tq_type *type)
{
    int64_t n = 1;
    for (int d = 0; d < type->rank; d++)
        if (type->dims[d] != TQ_DIM_ANY && __builtin_mul_overflow(n, type->dims[d], &n))
            return INT64_MAX / 64;
    return n < INT64_MAX / 64 ? n : INT64_MAX / 64;
}

static int64_t bytes_of(int64_t count, int bits)
{
    return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

int64_t tq_stored_bytes(const tq_value *value)
{
    return bytes_of(count_of(tq_value_type(value)), tq_stored_bits(value));
}

/* ---- constants ---- */

static bool is_quantizer(const tq_node *node)
{
    return tq_node_is(node, "FakeQuantize") || tq_node_is(node, "WeightRange") ||
           tq_node_is(node, "Observer");
}

int64_t tq_constant_bytes(const tq_value *value, const tq_node *reader)
{
    const tq_type *type = tq_value_type(value);
    int bits = tq_dtype_is_float(type->dtype) ? 32 : tq_stored_bits(value);
    if (is_quantizer(reader)) {
        if (tq_node_input(reader, 0) != value)
            return 0;
        bits = tq_stored_bits(value);
        for (int i = 0; i < tq_value_n_consumers(value); i++) /* a range node reads it too */
            if (tq_node_is(tq_value_consumer(value, i), "FakeQuantize"))
                bits = tq_stored_bits(tq_node_output(tq_value_consumer(value, i), 0));
    }
    return bytes_of(count_of(type), bits);
}

int64_t tq_weight_bytes(const tq_node *node)
{
    int64_t bytes = 0;
    for (int i = 0; i < tq_node_n_inputs(node) && !is_quantizer(node); i++) {
        const tq_value *x = tq_node_input(node, i);
        const tq_node *producer = x ? tq_value_producer(x) : NULL;
        if (x && tq_value_is_const(x))
            bytes += tq_constant_bytes(x, node);
        else if (producer && is_quantizer(producer) && tq_node_is_const_from(producer, 0))
            bytes += tq_constant_bytes(tq_node_input(producer, 0), producer);
    }
    return bytes;
}

/* ---- liveness ---- */

typedef struct buffer {
    int first, last; /* nodes, by position */
    int64_t bytes;
} buffer;

typedef struct liveness {
    tq_arena *arena;
    int n;
    size_t capacity;
    buffer *buffers;
    tq_index owner; /* of each value */
} liveness;

static bool works_in_place(const tq_node *node)
{
    static const char *const names[] = { "BatchNormalization",
                                         "FakeQuantize",
                                         "Requant",
                                         "RequantShift",
                                         "Lookup",
                                         "Cast",
                                         "Reshape",
                                         "Flatten",
                                         "Squeeze",
                                         "Unsqueeze",
                                         "Identity",
                                         "Dropout",
                                         "QuantizeLinear",
                                         "DequantizeLinear",
                                         "Observer" };
    int n_dynamic = 0;
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        n_dynamic += tq_node_input(node, i) && !tq_value_is_const(tq_node_input(node, i));
    if (n_dynamic == 1 && tq_node_has_flag(node, TQ_OP_ELEMENTWISE | TQ_OP_UNARY))
        return true;
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (tq_node_is(node, names[i]))
            return true;
    return false;
}

static int buffer_of(const liveness *l, const tq_value *value)
{
    return tq_index_find(&l->owner, value);
}

static void make_buffer(liveness *l, const tq_value *value, int at)
{
    const buffer item = { at, at, tq_stored_bytes(value) };
    tq_index_set(&l->owner, value, l->n);
    TQ_PUSH(l->arena, l->buffers, l->n, l->capacity, item);
}

/* The one value whose place the node's output can take, NULL if there is none. */
static const tq_value *overwritten(const tq_node *node)
{
    const tq_value *x = tq_node_input(node, 0), *y = tq_node_output(node, 0);
    if (x && tq_node_is(node, "FakeQuantize") && tq_fake_is_quantized(x))
        return x; /* codes that a reader rescales as it reads them */
    const bool sole =
        x && !tq_value_is_const(x) && tq_value_n_consumers(x) == 1 && !tq_value_is_output(x);
    return sole && works_in_place(node) && count_of(tq_value_type(x)) == count_of(tq_value_type(y))
               ? x
               : NULL;
}

static void take(liveness *l, const tq_value *x, const tq_value *y)
{
    const int b = buffer_of(l, x);
    const int64_t bytes = tq_stored_bytes(y);
    tq_index_set(&l->owner, y, b);
    l->buffers[b].bytes = bytes < l->buffers[b].bytes ? bytes : l->buffers[b].bytes;
}

static void visit(liveness *l, const tq_node *node, int at)
{
    const tq_value *x =
        is_quantizer(node) && tq_node_is_const_from(node, 0) ? NULL : overwritten(node);
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *in = tq_node_input(node, i);
        const int b = in ? buffer_of(l, in) : -1;
        if (b >= 0)
            l->buffers[b].last = at;
    }
    if (x)
        take(l, x, tq_node_output(node, 0));
    for (int k = x ? 1 : 0; k < tq_node_n_outputs(node); k++)
        if (!is_quantizer(node) || !tq_node_is_const_from(node, 0))
            make_buffer(l, tq_node_output(node, k), at);
}

int64_t tq_peak_bytes(const tq_graph *graph, tq_arena *arena, const char **out_node)
{
    liveness l = { .arena = tq_scratch_create() };
    const int n = tq_graph_n_nodes(graph);
    int at = 0, k = 0;
    l.owner = tq_index_make(l.arena, tq_graph_n_values(graph));
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        make_buffer(&l, tq_graph_input(graph, i), 0);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        visit(&l, node, at++);
    for (int i = 0; i < tq_graph_n_outputs(graph); i++) {
        const int b = buffer_of(&l, tq_graph_output(graph, i));
        if (b >= 0)
            l.buffers[b].last = n - 1;
    }
    int64_t *change = TQ_NEW_N(l.arena, int64_t, n + 1), live = 0, peak = -1;
    for (int b = 0; b < l.n; b++) {
        change[l.buffers[b].first] += l.buffers[b].bytes;
        change[l.buffers[b].last + 1 > n ? n : l.buffers[b].last + 1] -= l.buffers[b].bytes;
    }
    *out_node = NULL;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node), k++) {
        live += change[k];
        if (live > peak) {
            peak = live;
            *out_node = tq_arena_strdup(arena, tq_node_name(node));
        }
    }
    tq_arena_destroy(l.arena);
    return peak > 0 ? peak : 0;
}
